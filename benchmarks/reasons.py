"""Why another function is faster than ours, or more exact, where one is: shown beside the measured figures.

A reason belongs to the rows whose names begin with its key; the longest key wins.
"""

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
    "temperature, so that infinite ones share."
)
EVERY_NUMBER = "NaN stays NaN in the slope as well, and edges have the slopes that are promised."

REASONS = {
    "sigmoid": "Its derivative `sigmoid(x) * sigmoid(-x)` does not vanish in the tail, which takes two more products.",
    "tanh": (
        "Its derivative has an exponential of its own, as `1 - tanh(x)**2` vanishes from x = 10 on; the gradient of "
        "`jnp.tanh` reuses the value."
    ),
    "logit": (
        "Value: right to 1 ulp near p = 1/2, where the plain formula loses every digit. Slope: one formula for all of "
        "`(0, 1)`, two roundings where `1/p + 1/(1 - p)` has fewer to one side of it; both are within 2 ulp."
    ),
    "softplus_inverse": (
        "Near its root ln 2 a polynomial takes the place of `log(-expm1(-y))`, which has no correct digit there; the "
        "arrays that fit a cache show its cost, larger ones hardly."
    ),
    "softplus_inverse, beta": (
        "`beta * y` is taken without rounding, as a root would lose every digit by it: three evaluations of the "
        "derivative's formula instead of one."
    ),
    "log_softplus": "It has a polynomial around its root; `log(softplus(x))` is -inf or off by millions of ulp there.",
    "log1mexp": (
        "Slopes and edges: NaN outside the domain, in the derivative too, and right slopes down to the smallest "
        "number; half of one formula would be NaN there. In float64 both slopes are within 2 ulp."
    ),
    "relu": EVERY_NUMBER,
    "leaky_relu": EVERY_NUMBER,
    "hard_tanh": EVERY_NUMBER,
    "softmax": SOFTMAX,
    "log_softmax": SOFTMAX,
    "logsumexp": SOFTMAX + " The value is right where the maximum is 0 and the rest is small.",
    "softmax_cross_entropy": SOFTMAX + " An impossible class of weight 0 costs 0, not NaN.",
    "softmax_cross_entropy_with_integer_labels": (
        "The label's own term is left out of the sum, and exponentials carry the rounding of `x - max`, in seven "
        "operations a number: optax gives 0.40625 where 0.4076 is right, and 0 for a confident prediction."
    ),
    "linear_softmax_cross_entropy": (
        "Logits are computed in chunks, and again for the gradient, so that they never lie in memory at once: time "
        "for a tenth of the memory."
    ),
    "poisson_nll": "`counts * log_rate` is 0 where the count is, also at rate 0, and finite for a large rate.",
    "negative_binomial_nll": (
        "Right for any dispersion from 0 on, where the plain difference of `lgamma` loses all digits, and in its "
        "derivatives in the dispersion."
    ),
    "Logistic": STEEP,
    "Gaussian": STEEP,
    "Laplace": STEEP,
    "Arctan": STEEP,
    "Sine": STEEP,
    "Box": STEEP,
    "Triangle": STEEP,
    "FastSigmoid": STEEP,
    "soft_heaviside": STEEP,
    "soft_sign": STEEP,
    "soft_ternary": STEEP,
    "soft_": STEPS,
    "surrogate_": PINNED,
    "approx_round": STEEP,
    "gumbel_softmax": SMALL_PROBABILITIES,
    "argmax_ste": SMALL_PROBABILITIES,
    "reinmax": SMALL_PROBABILITIES,
    "stochastic_": (
        "Steps are taken by comparing 32 random bits with the smaller of the two probabilities, whose expectation is "
        "exact; the gradient is that of the soft function, where the idiom's is 1."
    ),
    "fake_quantize": EVERY_NUMBER,
    "finite_scalar_quantize": "The slope is that of `tanh` right in its tail, with an exponential of its own.",
}


def reason(name: str) -> str:
    """Why the row of that name may be behind; empty if none is known."""
    keys = [key for key in REASONS if name.startswith(key)]
    return REASONS[max(keys, key=len)] if keys else ""


def listed(names) -> str:
    """One line for each of the reasons, with the functions that it is given for."""
    functions = {}
    for name in names:
        functions.setdefault(reason(name), []).append(f"`{name}`")
    return "\n".join(
        f"- {', '.join(dict.fromkeys(given))}: {text or 'no reason known.'}" for text, given in functions.items()
    )
