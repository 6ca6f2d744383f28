"""The form of a case: one function of one variable, with its reference, its points, its edges and its budget.

The rows stand in `cases_<family>.py`. A function with several arguments has a row for each, the others held fixed.
`test_contract.py` runs every check on every row, so to add a function to the contract is to add its row.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ulp import neighbours, normal_range

INF, NAN = np.inf, np.nan
# A product's rounding error is 2**-24 of it, and so may its correction be of the result.
SCALED = (2.0**24, 2.0**12)
PARAMETERS = (1e-6, 1e6)
REALS, POSITIVE, UNIT = (-INF, INF), (0.0, INF), (0.0, 1.0)
# Exact in float16 and wider, so that all dtypes see the same number; neither is a power of two.
BETA = 0.7001953125


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
      worst: where the errors of value and first derivative are the largest of all float32 numbers.
      edges: `(x, (value, first, second))`, to be met exactly, sign of zero aside.
      budget: largest errors.
      scale: for sums that may cancel, the size of the largest term of value, first and second derivative, against
        which the ulp is taken; else that is the result itself.
      points: interval in which points are spread evenly, besides those spread over all magnitudes.
      magnitudes: the magnitudes that are checked, for parameters, of which nobody needs the extremes.
      margin: the factors by which the lower and the upper end of the range of the compute dtype are drawn in, where
        corrections or intermediate results are so much smaller or larger than the result.
      argument: what is varied, for the name of the test.
      varies_data: whether that is the function's data, and not one of its parameters.
      at_nan: value, first and second derivative at NaN.
      thorough: whether every transform is tried, and all dtypes also where only compatibility is checked; not needed of
        functions whose code is that of another.
    """

    function: str
    fun: Callable[[jax.Array], jax.Array]
    reference: tuple[Callable, Callable, Callable]
    domain: tuple[float, float] = REALS
    special: tuple[float, ...] = ()
    worst: tuple[float, ...] = ()
    edges: tuple[tuple[float, tuple[float, float, float]], ...] = ()
    budget: Budget = Budget()
    scale: tuple[Callable | None, ...] = (None, None, None)
    points: tuple[float, float] = (-40.0, 40.0)
    magnitudes: tuple[float, float] = (0.0, INF)
    margin: tuple[float, float] = (1.0, 1.0)
    argument: str = "x"
    varies_data: bool = True
    at_nan: tuple[float, float, float] = (NAN, NAN, NAN)
    thorough: bool = True

    @property
    def name(self):
        return f"{self.function}-{self.argument}"

    def contains(self, x, dtype):
        """Whether `x` lies inside the domain, its ends excluded: those are among the edges."""
        low, high = max(self.magnitudes[0], normal_range(dtype, self.margin)[0]), self.magnitudes[1]
        return (self.domain[0] < x) & (x < self.domain[1]) & (low <= np.abs(x)) & (np.abs(x) <= high)


def constant(number):
    return lambda m, x: 0 * x + m.number(number)


def in_option(function, option, data):
    """`function(data, option=v)` as a function of `v`, the data in the dtype of `v`."""
    return lambda v: function(jnp.full(jnp.shape(v), data, v.dtype), **{option: v})


def sample(case, dtype, count):
    """Points of all magnitudes, evenly spread ones, and the neighbours of every special point, inside the domain."""
    rng = np.random.default_rng(0)
    info = jnp.finfo(dtype)
    magnitudes = 2.0 ** rng.uniform(info.minexp, info.maxexp, count) * rng.choice([-1, 1], count)
    even = rng.uniform(*case.points, count)
    near = [neighbours(point, count // 20, dtype) for point in case.special]
    with np.errstate(over="ignore"):
        points = np.concatenate([magnitudes.astype(dtype), even.astype(dtype), np.array(case.worst, dtype), *near])
    wide = points.astype(np.float64)
    normal = np.isfinite(wide) & (np.abs(wide) >= float(info.tiny))
    return points[normal & case.contains(wide, dtype)]
