"""What random bit patterns are tried on: every public function, as a function of arrays, with the domain of each.

An argument is a number of its domain, closed, or a row of such numbers. For those that are in the domain the `truth`
says where an infinite result is right: functions of longdouble arrays that return value and gradients. Without a truth
infinities are not looked at, as nobody needs all those parameters at all those numbers.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

import jaxact
import references_kernels as kernels
import rows
from cases import CASES
from cases_rounding import PARAMETERS
from contract import INF, POSITIVE, REALS, UNIT
from contract import PARAMETERS as MAGNITUDES
from references import LONG

KEY = jax.random.key(5)
CLASSES = 8


@dataclasses.dataclass(frozen=True)
class Argument:
    """An interval, closed unless it is `open`, of which only some magnitudes may be asked for."""

    domain: tuple[float, float] = REALS
    magnitudes: tuple[float, float] = (0.0, INF)
    open: bool = False

    def contains(self, x):
        """Whether `x` are finite and lie in the domain."""
        size = np.abs(x)
        low, high = self.domain
        inside = (low < x) & (x < high) if self.open else (low <= x) & (x <= high)
        return np.isfinite(x) & inside & (self.magnitudes[0] <= size) & (size <= self.magnitudes[1])


@dataclasses.dataclass(frozen=True)
class Subject:
    """A function of arrays, all of one shape.

    Attributes:
      name: what is reported.
      function: name of the public function.
      fun: the function that is tried.
      arguments: the domain of each argument.
      truth: value and gradients in longdouble, or None where infinities are not looked at.
      edges: numbers whose results stand in the contract; infinite ones may be right there.
      margin: the factor by which the largest number may be missed.
      in_rows: whether the last axis is one of `CLASSES` classes, all of which must be in the domain.
    """

    name: str
    function: str
    fun: Callable[..., jax.Array]
    arguments: tuple[Argument, ...] = (Argument(),)
    truth: Callable | None = None
    edges: tuple[float, ...] = ()
    margin: float = 1.0
    in_rows: bool = False


def _finite(*arrays):
    """The truth of what is never infinite: value, and as many gradients as there are arguments."""
    return (0 * arrays[0],) * (1 + len(arrays))


def _case(case):
    def truth(x):
        return tuple(formula(LONG, x) for formula in case.reference[:2])

    magnitudes = (0.0, INF) if case.varies_data else case.magnitudes
    argument = Argument(case.domain, magnitudes, open=not case.varies_data)
    edges = tuple(x for x, _ in case.edges)
    return Subject(case.name, case.function, case.fun, (argument,), truth, edges)


# kernels


def _density(name):
    parameter = PARAMETERS[name]

    def truth(u):
        return tuple(formula(LONG, u) for formula in kernels.cdf(name, parameter)[1:])

    return Subject(f"{name}.pdf", name, getattr(jaxact, name)(parameter).pdf, truth=truth)


# The size of a quantile; those that are not named are never larger than a hundred of their parameters.
QUANTILES = {
    "Arctan": lambda a, q: 2 / (np.pi * a * np.tan(np.pi * q)),
    "FastSigmoid": lambda b, q: (1 / (2 * q) - 1) / b,
}
QUANTILE_SLOPES = {
    "Box": lambda w, q: w + 0 * q,
    "Triangle": lambda w, q: w / np.sqrt(8 * q),
    "Sine": lambda w, q: w / (np.pi * np.sqrt(q * (1 - q))),
    "Logistic": lambda s, q: 1 / (s * q * (1 - q)),
    "Arctan": lambda a, q: 2 / (a * np.sin(np.pi * q) ** 2),
    "FastSigmoid": lambda b, q: 1 / (2 * b * q**2),
    "Gaussian": lambda c, q: c * np.sqrt(2 * np.pi) * np.exp(scipy.special.ndtri(q.astype(float)) ** 2 / 2),
    "Laplace": lambda c, q: c / q,
}


def _quantile(name):
    parameter = PARAMETERS[name]

    def truth(p):
        q = np.minimum(p, 1 - p)
        size = QUANTILES[name](parameter, q) if name in QUANTILES else 0 * q
        return np.where(q == 0, np.inf, size), QUANTILE_SLOPES[name](parameter, q)

    # The slope is the reciprocal of a density, which is 0 where it is below the smallest normal number.
    quantile = getattr(jaxact, name)(parameter).quantile
    return Subject(f"{name}.quantile", name, quantile, (Argument(UNIT),), truth, margin=4.0)


# one number: what has no row of the contract


def _stochastic(name):
    function = getattr(jaxact, f"stochastic_{name}")
    return Subject(
        f"stochastic_{name}", f"stochastic_{name}", lambda x: function(KEY, x, jaxact.Gaussian(0.25)), truth=_finite
    )


ALONE = (
    *(_stochastic(name) for name in ("round", "floor", "ceil", "sign", "heaviside", "ternary")),
    Subject("bernoulli_ste", "bernoulli_ste", functools.partial(jaxact.bernoulli_ste, KEY), truth=_finite),
    Subject("surrogate", "surrogate", jaxact.surrogate(jnp.sign, jaxact.tanh), truth=_finite),
    Subject("straight_through", "straight_through", jaxact.straight_through(jnp.floor), truth=_finite),
)


# rows


def _labels(x):
    return jnp.arange(len(x), dtype=jnp.int32) % CLASSES


def _weights(x):
    """Probabilities that are exact in every dtype, and 0 for one class."""
    weights = np.array([1, 2, 3, 0, 4, 3, 2, 1]) / 16
    return jnp.broadcast_to(jnp.asarray(weights, x.dtype), x.shape)


def _linear(hidden):
    kernel = (np.arange(CLASSES * 5).reshape(CLASSES, 5) % 7 - 3) / 4
    labels = jnp.arange(len(hidden), dtype=jnp.int32) % 5
    return jaxact.linear_softmax_cross_entropy(hidden, jnp.asarray(kernel, hidden.dtype), labels, reduction="none")


def _true_log_softmax(x):
    return rows.log_softmax(x), 0 * x


def _true_logsumexp(x):
    return rows.logsumexp(x), 0 * x


def _true_cross_entropy(x):
    # Where the logarithm of a probability is beyond the dtype, so is the sum that it is part of, whatever its weight.
    counts = np.asarray(_weights(x.astype(np.float32))) > 0
    return np.max(np.where(counts, -rows.log_softmax(x), 0), axis=-1), 0 * x


def _true_integer_cross_entropy(x):
    return np.max(-rows.log_softmax(x), axis=-1), 0 * x  # the largest of all labels


def _row(name, fun, truth=_finite, arguments=(Argument(),), suffix=""):
    return Subject(name + suffix, name, fun, arguments, truth, in_rows=True)


# So small that the logits of a linear layer are finite, in float16 too.
HIDDEN = Argument(magnitudes=(0.0, 2.0**10))
ROWS = (
    _row("softmax", jaxact.softmax),
    _row("log_softmax", jaxact.log_softmax, _true_log_softmax),
    _row("logsumexp", jaxact.logsumexp, _true_logsumexp),
    _row("softmax_cross_entropy", lambda x: jaxact.softmax_cross_entropy(x, _weights(x)), _true_cross_entropy),
    _row(
        "softmax_cross_entropy_with_integer_labels",
        lambda x: jaxact.softmax_cross_entropy_with_integer_labels(x, _labels(x)),
        _true_integer_cross_entropy,
    ),
    _row("linear_softmax_cross_entropy", _linear, arguments=(HIDDEN,)),
    _row("gumbel_softmax", functools.partial(jaxact.gumbel_softmax, KEY)),
    _row("gumbel_softmax", functools.partial(jaxact.gumbel_softmax, KEY, hard=True), suffix="-hard"),
    _row("argmax_ste", jaxact.argmax_ste),
    _row("reinmax", functools.partial(jaxact.reinmax, KEY)),
    _row("finite_scalar_quantize", lambda x: jaxact.finite_scalar_quantize(x, levels=(2, 3, 4, 5, 6, 7, 8, 256))),
)


# data and parameter, both random

ANY, POSITIVE_DATA, UNIT_DATA = Argument(), Argument(POSITIVE), Argument(UNIT)
PARAMETER = Argument(POSITIVE, MAGNITUDES)


def _pair(name, fun, *arguments):
    return Subject(f"{name}-of-all", name, fun, arguments or (ANY, PARAMETER))


def _with_kernel(name, kernel):
    function = getattr(jaxact, name)
    data = ANY
    return Subject(f"{name}-{kernel}", name, lambda x, p: function(x, getattr(jaxact, kernel)(p)), (data, PARAMETER))


PAIRS = (
    _pair("softplus", lambda x, p: jaxact.softplus(x, beta=p)),
    _pair("softplus_inverse", lambda x, p: jaxact.softplus_inverse(x, beta=p), POSITIVE_DATA, PARAMETER),
    _pair("log_softplus", lambda x, p: jaxact.log_softplus(x, beta=p)),
    _pair("leaky_relu", lambda x, p: jaxact.leaky_relu(x, negative_slope=p), ANY, ANY),
    _pair("hard_tanh", lambda x, p: jaxact.hard_tanh(x, min_value=-p, max_value=p)),
    _pair("sigmoid_binary_cross_entropy", jaxact.sigmoid_binary_cross_entropy, ANY, UNIT_DATA),
    _pair("poisson_nll", jaxact.poisson_nll, ANY, POSITIVE_DATA),
    _pair(
        "poisson_nll",
        lambda x, y: jaxact.poisson_nll(x, y, log_input=False, full=True),
        POSITIVE_DATA,
        Argument(POSITIVE, (0.0, 1e6)),
    ),
    _pair(
        "negative_binomial_nll",
        lambda x, y, a: jaxact.negative_binomial_nll(x, y, dispersion=a),
        ANY,
        Argument(POSITIVE, (0.0, 1e6)),
        PARAMETER,
    ),
    _pair("fake_quantize", lambda x, s: jaxact.fake_quantize(x, s, zero_point=3.0)),
    _pair("approx_round", lambda x, p: jaxact.approx_round(x, steepness=p)),
    _pair("approx_round_sin", lambda x, p: jaxact.approx_round_sin(x, width=p), ANY, Argument(UNIT, (1e-6, 1.0))),
    *(
        _with_kernel(f"soft_{name}", kernel)
        for name in ("round", "floor", "heaviside", "sign", "ternary", "round_inverse")
        for kernel in PARAMETERS
    ),
)

SUBJECTS = (
    *map(_case, CASES),
    *map(_density, PARAMETERS),
    *map(_quantile, PARAMETERS),
    *ALONE,
    *ROWS,
)
