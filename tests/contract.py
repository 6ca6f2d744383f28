"""The table of cases: one row a function of one variable, with its reference, its points, its edges and its budget.

A function with several arguments has a row for each, the others held fixed. `test_contract.py` runs every check on
every row, so to add a function to the contract is to add its row.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxact
import references as ref
from ulp import normal_range

INF, NAN = np.inf, np.nan
# A product's rounding error is 2**-24 of it, and so may its correction be of the result.
SCALED = (2.0**24, 2.0**12)
PARAMETERS = (1e-6, 1e6)
REALS, POSITIVE, UNIT = (-INF, INF), (0.0, INF), (0.0, 1.0)
# Exact in float16 and wider, so that all dtypes see the same number; neither is a power of two.
BETA = 0.7001953125
LN2 = 0.6931471805599453
LOG_E_MINUS_1 = 0.5413248546129181


@dataclasses.dataclass(frozen=True)
class Budget:
    """Largest error of value, first and second derivative, in units in the last place of the dtype."""

    float32: tuple[float, float, float] = (3, 4, 6)
    float64: tuple[float, float, float] = (4, 6, 12)
    bfloat16: tuple[float, float, float] = (0.51, 0.51, 0.51)
    float16: tuple[float, float, float] = (0.51, 0.51, 0.51)


@dataclasses.dataclass(frozen=True)
class Case:
    """A function of one array, elementwise.

    Attributes:
      function: name of the public function.
      fun: the function of one variable that is checked.
      reference: value, first and second derivative, each a formula in (arithmetic, x).
      domain: closed interval; outside it value and derivatives are NaN.
      special: roots, thresholds, ties: points whose neighbourhoods are searched densely.
      edges: `(x, (value, first, second))`, to be met exactly, sign of zero aside.
      budget: largest errors.
      scale: for sums that may cancel, the size of the largest term of value, first and second derivative, against
        which the ulp is taken; else that is the result itself.
      points: interval in which points are spread evenly, besides those spread over all magnitudes.
      magnitudes: the magnitudes that are checked, for parameters, of which nobody needs the extremes.
      margin: the factors by which the lower and the upper end of the range of the compute dtype are drawn in, where
        corrections or intermediate results are so much smaller or larger than the result.
      argument: what is varied, where it is not the first argument.
    """

    function: str
    fun: Callable[[jax.Array], jax.Array]
    reference: tuple[Callable, Callable, Callable]
    domain: tuple[float, float] = REALS
    special: tuple[float, ...] = ()
    edges: tuple[tuple[float, tuple[float, float, float]], ...] = ()
    budget: Budget = Budget()
    scale: tuple[Callable | None, ...] = (None, None, None)
    points: tuple[float, float] = (-40.0, 40.0)
    magnitudes: tuple[float, float] = (0.0, INF)
    margin: tuple[float, float] = (1.0, 1.0)
    argument: str = "x"

    @property
    def varies_data(self):
        """Whether the variable is the function's data, not one of its parameters."""
        return self.argument in ("x", "x-at-beta", "rate", "log_mean")

    @property
    def name(self):
        return f"{self.function}-{self.argument}"

    def contains(self, x, dtype):
        """Whether `x` lies inside the domain, its ends excluded: those are among the edges."""
        low, high = max(self.magnitudes[0], normal_range(dtype, self.margin)[0]), self.magnitudes[1]
        return (self.domain[0] < x) & (x < self.domain[1]) & (low <= np.abs(x)) & (np.abs(x) <= high)


def _scaled(beta, fun):
    """References in x of `fun(beta * x) / beta`, from value, slope and bend of `fun`."""
    value, slope, bend = fun
    return (
        lambda m, x: value(m, m.number(beta) * x) / m.number(beta),
        lambda m, x: slope(m, m.number(beta) * x),
        lambda m, x: m.number(beta) * bend(m, m.number(beta) * x),
    )


def _constant(number):
    return lambda m, x: 0 * x + m.number(number)


def _steps(*pieces):
    """A piecewise linear formula: `(upper end, slope, offset)` of each piece, a kink belonging to the piece below."""

    def value(m, x):
        result = 0 * x
        for end, slope, offset in reversed(pieces):
            result = m.where(x <= end, m.number(slope) * x + m.number(offset), result)
        return result

    def first(m, x):
        result = 0 * x
        for end, slope, _ in reversed(pieces):
            result = m.where(x <= end, m.number(slope), result)
        return result

    return value, first, _constant(0)


SIGMOID = (ref.sigmoid, ref.bump, ref.bump_slope)
SOFTPLUS = (ref.softplus, ref.sigmoid, ref.bump)
INVERSE = (ref.softplus_inverse, ref.softplus_inverse_slope, ref.softplus_inverse_bend)
LOG_SOFTPLUS = (ref.log_softplus, ref.log_softplus_slope, ref.log_softplus_bend)


def _softplus_in_beta(x):
    return (
        lambda m, b: ref.softplus(m, b * x) / b,
        lambda m, b: -ref.softplus_deficit(m, b * x) / b**2,
        lambda m, b: (x**2 * ref.bump(m, b * x) + 2 * ref.softplus_deficit(m, b * x) / b**2) / b,
    )


def _softplus_inverse_in_beta(y):
    def bend(m, b):
        z = b * y
        slope_of_surplus = -z * ref.softplus_inverse_slope(m, z) * ref.log1mexp_slope(m, z)
        return (z * slope_of_surplus - 2 * ref.softplus_inverse_surplus(m, z)) / b**3

    return (
        lambda m, b: ref.softplus_inverse(m, b * y) / b,
        lambda m, b: ref.softplus_inverse_surplus(m, b * y) / b**2,
        bend,
    )


def _log_softplus_in_beta(x):
    return (
        lambda m, b: ref.log_softplus(m, b * x) - m.log(b),
        lambda m, b: -ref.log_softplus_deficit(m, b * x) / b,
        lambda m, b: x**2 * ref.log_softplus_bend(m, b * x) + 1 / b**2,
    )


def _log_softplus_scale(x):
    return (
        lambda m, b: m.maximum(abs(ref.log_softplus(m, b * x)), abs(m.log(b))),
        None,
        lambda m, b: m.maximum(1 / b**2, abs(x**2 * ref.log_softplus_bend(m, b * x))),
    )


def _with(function, **options):
    return functools.partial(function, **options)


def _in_option(function, option, data):
    """`function(data, option=v)` as a function of `v`, the data in the dtype of `v`."""
    return lambda v: function(jnp.full(jnp.shape(v), data, v.dtype), **{option: v})


def _counts(function, count, **options):
    return lambda z: function(z, jnp.full(jnp.shape(z), count, z.dtype), **options)


COUNT = 4
DISPERSION = 0.75
LOG_MEAN = 1.5


def _loss_of_dispersion(a):
    log_mean, counts = jnp.full(jnp.shape(a), LOG_MEAN, a.dtype), jnp.full(jnp.shape(a), COUNT, a.dtype)
    return jaxact.negative_binomial_nll(log_mean, counts, dispersion=a)


def _in_log_mean(*formulas):
    return tuple(functools.partial(_at_dispersion, formula) for formula in formulas)


def _at_dispersion(formula, m, z):
    return formula(m, z, COUNT, m.number(DISPERSION))


def _in_dispersion(*formulas):
    return tuple(functools.partial(_at_log_mean, formula) for formula in formulas)


def _at_log_mean(formula, m, a):
    return formula(m, m.number(LOG_MEAN), COUNT, a)


CASES = (
    Case(
        "sigmoid",
        jaxact.sigmoid,
        SIGMOID,
        special=(0.0,),
        edges=(
            (-INF, (0, 0, 0)),
            (0.0, (0.5, 0.25, 0)),
            (INF, (1, 0, 0)),
        ),
        budget=Budget(float32=(3, 6, 12)),
    ),
    Case(
        "log_sigmoid",
        jaxact.log_sigmoid,
        (
            lambda m, x: -ref.softplus(m, -x),
            lambda m, x: ref.sigmoid(m, -x),
            lambda m, x: -ref.bump(m, x),
        ),
        special=(0.0,),
        edges=(
            (-INF, (-INF, 1, 0)),
            (INF, (0, 0, 0)),
        ),
    ),
    Case(
        "logit",
        jaxact.logit,
        (ref.logit, ref.logit_slope, ref.logit_bend),
        domain=UNIT,
        special=(0.5, 0.25, 0.75, 1 / 3, 2 / 3, 1.0),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (0.5, (0, 4, 0)),
            (1.0, (INF, INF, INF)),
        ),
        points=UNIT,
    ),
    Case(
        "tanh",
        jaxact.tanh,
        (ref.tanh, ref.tanh_slope, ref.tanh_bend),
        special=(0.0, 0.345, 20.0),
        edges=(
            (-INF, (-1, 0, 0)),
            (0.0, (0, 1, 0)),
            (INF, (1, 0, 0)),
        ),
        budget=Budget(float32=(5, 6, 12)),
    ),
    Case(
        "softplus",
        jaxact.softplus,
        SOFTPLUS,
        special=(0.0, 27.7, 37.4),
        edges=(
            (-INF, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "softplus",
        _with(jaxact.softplus, beta=BETA),
        _scaled(BETA, SOFTPLUS),
        special=(0.0,),
        edges=(
            (-INF, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
        margin=SCALED,
        argument="x-at-beta",
    ),
    Case(
        "softplus",
        _in_option(jaxact.softplus, "beta", 1.25),
        _softplus_in_beta(1.25),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-positive",
    ),
    Case(
        "softplus",
        _in_option(jaxact.softplus, "beta", -1.25),
        _softplus_in_beta(-1.25),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-negative",
    ),
    Case(
        "softplus_inverse",
        jaxact.softplus_inverse,
        INVERSE,
        domain=POSITIVE,
        special=(LN2, 0.47, 0.69, 0.94, 1.86, 1.88),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (-0.0, (-INF, INF, -INF)),
            (INF, (INF, 1, 0)),
        ),
        points=(0.0, 40.0),
    ),
    Case(
        "softplus_inverse",
        _with(jaxact.softplus_inverse, beta=BETA),
        _scaled(BETA, INVERSE),
        domain=POSITIVE,
        special=(LN2 / BETA, 0.69 / BETA, 1.86 / BETA),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (INF, (INF, 1, 0)),
        ),
        points=(0.0, 40.0),
        margin=SCALED,
        argument="x-at-beta",
    ),
    Case(
        "softplus_inverse",
        _in_option(jaxact.softplus_inverse, "beta", 1.25),
        _softplus_inverse_in_beta(1.25),
        domain=POSITIVE,
        special=(LN2 / 1.25,),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta",
    ),
    Case(
        "log_softplus",
        jaxact.log_softplus,
        LOG_SOFTPLUS,
        special=(LOG_E_MINUS_1, 0.0, 1.6, -15.0, 1e30, -1e30),
        edges=(
            (-INF, (-INF, 1, 0)),
            (INF, (INF, 0, 0)),
        ),
    ),
    Case(
        "log_softplus",
        _with(jaxact.log_softplus, beta=BETA),
        (
            lambda m, x: ref.log_softplus(m, m.number(BETA) * x) - m.log(m.number(BETA)),
            lambda m, x: m.number(BETA) * ref.log_softplus_slope(m, m.number(BETA) * x),
            lambda m, x: m.number(BETA) ** 2 * ref.log_softplus_bend(m, m.number(BETA) * x),
        ),
        edges=(
            (-INF, (-INF, BETA, 0)),
            (INF, (INF, 0, 0)),
        ),
        scale=(
            lambda m, x: m.maximum(abs(ref.log_softplus(m, m.number(BETA) * x)), abs(m.log(m.number(BETA)))),
            None,
            None,
        ),
        margin=SCALED,
        argument="x-at-beta",
    ),
    Case(
        "log_softplus",
        _in_option(jaxact.log_softplus, "beta", 1.25),
        _log_softplus_in_beta(1.25),
        domain=POSITIVE,
        scale=_log_softplus_scale(1.25),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-positive",
    ),
    Case(
        "log_softplus",
        _in_option(jaxact.log_softplus, "beta", -1.25),
        _log_softplus_in_beta(-1.25),
        domain=POSITIVE,
        scale=_log_softplus_scale(-1.25),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-negative",
    ),
    Case(
        "log1mexp",
        jaxact.log1mexp,
        (ref.log1mexp, ref.log1mexp_slope, ref.softplus_inverse_bend),
        domain=POSITIVE,
        special=(LN2, 0.69, 1.0),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (-0.0, (-INF, INF, -INF)),
            (INF, (0, 0, 0)),
        ),
        points=(0.0, 40.0),
    ),
    Case(
        "relu",
        jaxact.relu,
        _steps((0, 0, 0), (INF, 1, 0)),
        special=(0.0,),
        edges=(
            (-INF, (0, 0, 0)),
            (-0.0, (0, 0, 0)),
            (0.0, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "leaky_relu",
        _with(jaxact.leaky_relu, negative_slope=BETA),
        _steps((-5e-324, BETA, 0), (INF, 1, 0)),
        special=(0.0,),
        edges=(
            (-INF, (-INF, BETA, 0)),
            (-0.0, (0, 1, 0)),
            (0.0, (0, 1, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "leaky_relu",
        _in_option(jaxact.leaky_relu, "negative_slope", -3.0),
        (lambda m, a: -3 * a, _constant(-3), _constant(0)),
        argument="negative_slope",
    ),
    Case(
        "hard_tanh",
        jaxact.hard_tanh,
        _steps((np.nextafter(-1, -2), 0, -1), (1, 1, 0), (INF, 0, 1)),
        special=(-1.0, 1.0),
        edges=(
            (-INF, (-1, 0, 0)),
            (-1.0, (-1, 1, 0)),
            (1.0, (1, 1, 0)),
            (INF, (1, 0, 0)),
        ),
    ),
    Case(
        "hard_tanh",
        _in_option(jaxact.hard_tanh, "max_value", 2.0),
        _steps((np.nextafter(2, 1), 1, 0), (INF, 0, 2)),
        domain=(-1.0, INF),
        special=(2.0,),
        edges=(
            (2.0, (2, 0, 0)),
            (INF, (2, 0, 0)),
        ),
        argument="max_value",
    ),
    Case(
        "poisson_nll",
        _counts(jaxact.poisson_nll, COUNT),
        (
            lambda m, z: ref.poisson_nll(m, z, COUNT),
            lambda m, z: m.exp(z) - COUNT,
            lambda m, z: m.exp(z),
        ),
        scale=(
            lambda m, z: m.maximum(m.exp(z), abs(COUNT * z)),
            lambda m, z: m.maximum(m.exp(z), m.number(COUNT)),
            None,
        ),
        special=(np.log(COUNT),),
        edges=(
            (-INF, (INF, -COUNT, 0)),
            (INF, (INF, INF, INF)),
        ),
        margin=(1.0, 2.0),  # XLA on CPU: exp is 4.6 ulp off where it nears the largest number
    ),
    Case(
        "poisson_nll",
        _counts(jaxact.poisson_nll, COUNT, log_input=False),
        (
            lambda m, r: r - COUNT * m.log(r),
            lambda m, r: (r - COUNT) / r,
            lambda m, r: COUNT / r**2,
        ),
        domain=POSITIVE,
        scale=(lambda m, r: m.maximum(r, abs(COUNT * m.log(r))), None, None),
        special=(COUNT, 1.0),
        edges=((0.0, (INF, -INF, INF)),),
        points=(0.0, 40.0),
        argument="rate",
    ),
    Case(
        "negative_binomial_nll",
        _counts(jaxact.negative_binomial_nll, COUNT, dispersion=DISPERSION),
        _in_log_mean(ref.negative_binomial_nll, ref.negative_binomial_nll_slope, ref.negative_binomial_nll_bend),
        scale=(*_in_log_mean(ref.negative_binomial_nll_scale, ref.negative_binomial_nll_slope_scale), None),
        special=(np.log(COUNT),),
        edges=(
            (-INF, (INF, -COUNT, 0)),
            (INF, (INF, 1 / DISPERSION, 0)),
        ),
        points=(-100.0, 100.0),
        margin=(2.0**3, 1.0),
        budget=Budget(float32=(4, 4, 6)),  # a sum of four terms
        argument="log_mean",
    ),
    Case(
        "negative_binomial_nll",
        _loss_of_dispersion,
        _in_dispersion(
            ref.negative_binomial_nll,
            ref.negative_binomial_nll_dispersion_slope,
            ref.negative_binomial_nll_dispersion_bend,
        ),
        scale=_in_dispersion(
            ref.negative_binomial_nll_scale,
            ref.negative_binomial_nll_dispersion_slope_scale,
            ref.negative_binomial_nll_dispersion_bend_scale,
        ),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=(1e-3, 1e6),  # below, the reference cancels; the Poisson limit has a test of its own
        # Between Stirling's series and the recurrence that shifts it, terms larger than these cancel.
        budget=Budget(float32=(4, 8, 20), float64=(4, 8, 12)),
        argument="dispersion",
    ),
)
