"""Errors counted in units in the last place, and the points at which they are measured."""

import jax.numpy as jnp
import mpmath
import numpy as np

from references import LONG, MP, MPMATH_BITS


def spacing(magnitude, dtype):
    """The distance between neighbouring numbers of `dtype` at `magnitude`, a longdouble array."""
    info = jnp.finfo(dtype)
    exponent = np.frexp(magnitude)[1] - 1
    return np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)


def normal_range(dtype, margin):
    """The smallest and largest magnitude to check: normal in `dtype`, and by `margin` inside its compute dtype."""
    info, compute = jnp.finfo(dtype), jnp.finfo(jnp.float64 if dtype == np.float64 else jnp.float32)
    smallest = max(np.longdouble(float(info.tiny)), np.longdouble(float(compute.tiny)) * margin[0])
    return smallest, min(np.longdouble(float(info.max)), np.longdouble(float(compute.max)) / margin[1])


def errors(got, expected, dtype, scale=None, margin=(1.0, 1.0)):
    """Error of each element in ulp of the larger of `expected` and `scale`, both longdouble.

    Results beyond the largest number must be infinite, and those below the smallest normal one may be 0, as XLA on CPU
    flushes them: there only a result that is not itself below the smallest normal is an error. `margin` draws these
    ends of the range in.
    """
    info = jnp.finfo(dtype)
    tiny, largest = normal_range(dtype, margin)
    got = np.asarray(got).astype(np.longdouble)
    magnitude = np.abs(expected) if scale is None else np.maximum(np.abs(expected), scale)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.asarray(np.abs(got - expected) / spacing(np.minimum(magnitude, largest), dtype))
    # What is rounded correctly needs no excuse.
    doubtful = ~(error <= 0.5)
    error[doubtful] = _excused(
        *(np.broadcast_to(v, error.shape)[doubtful] for v in (error, got, expected, magnitude)), info, tiny, largest
    )
    return error


def _excused(error, got, expected, magnitude, info, tiny, largest):
    """The errors, with 0 where a result overflows or vanishes as it should, and infinity for NaN."""
    overflows = (magnitude > largest * (1 - 4 * np.longdouble(float(info.eps)))) & (np.abs(got) >= largest * 0.99)
    vanishes = (magnitude < tiny) & (np.abs(got) <= 1.01 * tiny)
    error = np.where((overflows & (np.sign(got) == np.sign(expected))) | vanishes, 0, error)
    return np.where(np.isnan(error), np.inf, error)


def expected_long(formula, points):
    """`formula` at `points` in longdouble."""
    with np.errstate(all="ignore"):
        return np.asarray(formula(LONG, np.asarray(points).astype(np.longdouble)), np.longdouble)


def expected_exactly(formula, points):
    """`formula` at `points` in mpmath, as the nearest longdouble and the rest."""
    with mpmath.workprec(MPMATH_BITS):
        exact = [formula(MP, mpmath.mpf(float(point))) for point in points]
        nearest = [_longdouble(value) for value in exact]
    return np.array(nearest, np.longdouble)


def _longdouble(value):
    high = float(value)
    return np.longdouble(high) + np.longdouble(float(value - high)) if np.isfinite(high) else np.longdouble(high)


def neighbours(centre, count, dtype):
    """The `2 * count + 1` numbers of `dtype` around `centre`."""
    integer = {2: np.int16, 4: np.int32, 8: np.int64}[jnp.dtype(dtype).itemsize]
    bits = np.asarray(centre, dtype).view(integer)
    if bits & np.iinfo(integer).max <= count:
        bits = np.asarray(jnp.finfo(dtype).tiny, dtype).view(integer) + integer(count)
    return (bits + np.arange(-count, count + 1).astype(integer)).view(dtype)


def bit_patterns(step, dtype):
    """Every `step`-th normal number of a 16- or 32-bit `dtype`."""
    unsigned = {2: np.uint16, 4: np.uint32}[jnp.dtype(dtype).itemsize]
    numbers = np.arange(0, np.iinfo(unsigned).max + 1, step, dtype=np.uint64).astype(unsigned).view(dtype)
    wide = numbers.astype(np.float32)
    return numbers[np.isfinite(wide) & (np.abs(wide) >= float(jnp.finfo(dtype).tiny))]
