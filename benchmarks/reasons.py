"""Why another function is faster than ours, or more exact, where one is: shown beside the measured figures.

A reason belongs to the rows whose names begin with its key; the longest key wins.
"""

from collections.abc import Iterable, Mapping

SOFTMAX = (
    "The rounding of `x - max` is kept, in seven operations a number beside the exponential: without it small "
    "probabilities, and the loss of a confident prediction, are off by up to 64 ulp. Gradients sum the cotangents of "
    "all but a leading logit apart, so that theirs do not vanish beside a large one: one more sum over the row."
)
STEEP = (
    "The product of number and steepness is carried in two parts, as its rounding would cost 40 ulp where a kernel is "
    "steep; that takes as long as the exponential itself. What it is compared to rounds the product."
)
STEPS = (
    "Each step is a difference of distribution functions, taken without cancellation on either side of it and divided "
    "by the mass of the kernel in its cell, for any kernel and any parameter; the other holds for one kernel only, and "
    "its gradient is exactly 0 near integers from a steepness of 20 on."
)
PINNED = (
    "The value is exactly the hard one and every derivative that of the soft one, in a parameter of the kernel too; "
    "the idiom `soft + stop_gradient(hard - soft)` reaches neither in half precision."
)
SMALL_PROBABILITIES = (
    "The gradient is that of our softmax, with its sum over all but the leading logit and with exponentials in two "
    "parts; a small probability keeps its digits. Logits are taken from their maximum before they are divided by the "
    "temperature, so that infinite ones share. Of many short rows XLA on CPU stores what it spreads over each."
)
EDGES = (
    "The distance to the end of the kernel is taken in two parts, so that the little that is left near it keeps its "
    "digits."
)
SAME = "Both compile to the same operation; arrays that fit a cache differ by where they lie in it."

FASTER = {
    "tanh": (
        "Its derivative has an exponential of its own, as `1 - tanh(x)**2` vanishes from x = 10 on; the gradient of "
        "`jnp.tanh` reuses the value. The value is the same operation."
    ),
    "logit": "The slope is a sum of two reciprocals, with little more than half the error of one division.",
    "softplus_inverse, beta": (
        "`beta * y` is taken without rounding, as a root would lose every digit by it: three evaluations of the "
        "derivative's formula instead of one, and a polynomial around the root."
    ),
    "hard_tanh": "NaN stays NaN, and so it is where the bounds are out of order.",
    "softmax": SOFTMAX,
    "log_softmax": SOFTMAX,
    "logsumexp": SOFTMAX + " The value is right where the maximum is 0 and the rest is small.",
    "softmax_cross_entropy": SOFTMAX + " An impossible class of weight 0 costs 0, not NaN.",
    "softmax_cross_entropy_with_integer_labels": (
        "The label's own term is left out of the sum, and exponentials carry the rounding of `x - max`, in seven "
        "operations a number: optax gives 0.40625 where 0.4076 is right, and 0 for a confident prediction."
    ),
    "linear_softmax_cross_entropy": (
        "Logits are computed in chunks, so that they never lie in memory at once: a little more time for a tenth of "
        "the memory. With 4,096 tokens instead of these 512 it is the faster one."
    ),
    "negative_binomial_nll": (
        "Right for any dispersion from 0 on, where the plain difference of `lgamma` loses its digits, and in its "
        "derivatives in the dispersion."
    ),
    "Logistic": STEEP,
    "Gaussian": STEEP,
    "Laplace": STEEP,
    "Arctan": STEEP,
    "Box": EDGES,
    "Triangle": EDGES,
    "soft_heaviside": STEEP,
    "soft_": STEPS,
    "surrogate_": PINNED,
    "approx_round": STEEP,
    "round_ste": SAME,
    "trunc_ste": SAME,
    "gumbel_softmax": SMALL_PROBABILITIES,
    "argmax_ste": SMALL_PROBABILITIES,
    "reinmax": SMALL_PROBABILITIES,
    "stochastic_": (
        "Steps are taken by comparing 32 random bits with the smaller of the two probabilities, whose expectation is "
        "exact; the gradient is that of the soft function, where the idiom's is 1."
    ),
    "bernoulli_ste": "The sample is right to 2**-32 at either end, by comparing bits with the smaller probability.",
    "fake_quantize": "`x / scale` is rounded once; the formula's becomes a product with a rounded reciprocal.",
    "finite_scalar_quantize": "The slope is that of `tanh`, right in its tail, with an exponential of its own.",
}
MORE_EXACT = {
    "log1mexp": "Both are within 2 ulp; ours has the right slope at the edges and outside of the domain as well.",
    "logsumexp": (
        "The maximum plus `log1p` of all the rest has one rounding more than the logarithm of the sum; in return a "
        "small rest is not lost where the maximum is near 0."
    ),
}


def reason(name: str, reasons: Mapping[str, str]) -> str:
    """Why the row of that name may be behind; empty if none is known."""
    keys = [key for key in reasons if name.startswith(key)]
    return reasons[max(keys, key=len)] if keys else ""


def listed(names: Iterable[str], reasons: Mapping[str, str]) -> str:
    """One line for each of the reasons, with the functions that it is given for."""
    functions = {}
    for name in names:
        functions.setdefault(reason(name, reasons), []).append(f"`{name}`")
    lines = ((", ".join(dict.fromkeys(given)), text or "no reason known.") for text, given in functions.items())
    return "\n".join(f"- {given}: {text}" for given, text in lines)
