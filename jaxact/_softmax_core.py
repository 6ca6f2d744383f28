"""The cores of the softmax family: sums of exponentials over some axes, on one device or over many.

The one idea: the largest terms are left out of the sum of exponentials, and counted instead. With a maximum `m` that is
taken `k` times and the sum `s` of `exp(x - m)` over all others, the logarithm of the whole sum is `log1p(s + (k - 1))`,
which is right however small `s` is. Likewise 1 minus the softmax of a lone maximum is `s / (k + s)`. Where that is the
smaller part, the *centred* softmax holds its negative; every derivative is written with it.

The difference `x - m` is taken in two parts, as rounding it would cost its exponential up to 64 ulp.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxact._logistic_core import log1p
from jaxact._row_sums import Axes, Names, row_sum, row_sums, spread

LIFT = 32

# The exponential of what lies deeper is 0 in every dtype.
DEPTH = 1024


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def log_softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The logarithm of softmax; infinite maxima share, and a row of -inf stays one, with derivative 0."""
    _, _, _, count, total = _apart(x, axes, names)
    return difference(x, maximum(x, axes, names)) - lax.log1p(jnp.maximum(total + (count - 1), 0))


@log_softmax.defjvp
def _log_softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    t = jnp.where(maximum(x, axes, names) == -jnp.inf, 0, t)
    return log_softmax(x, axes, names), minus_mean(t, x, axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def logsumexp(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The logarithm of the sum of exponentials, axes kept."""
    _, _, _, count, total = _apart(x, axes, names)
    return maximum(x, axes, names) + log1p(jnp.maximum(total + (count - 1), 0))


@logsumexp.defjvp
def _logsumexp_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    return logsumexp(x, axes, names), row_sum(_softmax_apart(x, axes, names) * t, axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Softmax; infinite maxima share, and a row of -inf gives 0."""
    exp, scale = exponentials(x, maximum(x, axes, names))
    (total,) = row_sums((exp,), axes, names, largest_sum(x, scale, axes, names))
    return exp * (1 / jnp.maximum(total, 1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _softmax_apart(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Softmax from what its derivative needs as well."""
    rest, top, scale, count, total = _apart(x, axes, names)
    share = 1 / jnp.maximum(count + total, 1)
    return jnp.where(top, share, rest * (scale * share))


@softmax.defjvp
@_softmax_apart.defjvp
def _softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    out = _softmax_apart(x, axes, names)
    return out, out * minus_mean(t, x, axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def centred_softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Softmax, less 1 where it is above 1/2."""
    rest, top, scale, count, total = _apart(x, axes, names)
    share = 1 / jnp.maximum(count + total, 1)
    return jnp.where(top, jnp.where((count == 1) & (total < 1), -total, 1) * share, rest * (scale * share))


@centred_softmax.defjvp
def _centred_softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    return centred_softmax(x, axes, names), _softmax_apart(x, axes, names) * minus_mean(t, x, axes, names)


def minus_mean(t: jax.Array, x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """`t` less its mean under the softmax of `x`.

    At the centre the difference from it is 0 by selection, so that in the transpose the large cotangent there is never
    added to the small ones of all others, which would be lost.
    """
    centre = centre_of(lax.stop_gradient(x), axes, names)
    at_centre = row_sum(jnp.where(centre, t, 0), axes, names)
    off_centre = jnp.where(centre, 0, t - spread(at_centre, t, axes, names))
    return off_centre - spread(weighted_sum(centred_softmax(x, axes, names), t, axes, names), t, axes, names)


def centre_of(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Where softmax is above 1/2."""
    _, _, _, count, total = _apart(x, axes, names)
    return _is_peak(x, maximum(x, axes, names), (count == 1) & (total < 1))


def maximum(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The largest of each row, axes kept; -inf of an empty one."""
    peak = jnp.max(lax.stop_gradient(x), axes, keepdims=True, initial=-jnp.inf)
    return lax.pmax(peak, names) if names else peak


def difference(x: jax.Array, peak: jax.Array) -> jax.Array:
    """`x - peak` for `x <= peak`; 0 where they are equal, also if both are inf, but -inf if both are -inf.

    The select keeps a compiler from fusing the subtraction with a product that gave `x`, which would undo the rounding
    of `x` that `peak` has gone through.
    """
    limit = float(jnp.finfo(x.dtype).max)
    tied = jnp.where(peak == -jnp.inf, -jnp.inf, 0).astype(x.dtype)
    return jnp.where(x == peak, tied, jnp.where(x > limit, limit, x) - jnp.maximum(peak, -limit))


def exponentials(x: jax.Array, peak: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`exp(x - peak) / scale` for `x <= peak`, and the scale of the row; 0 in a row of -inf.

    Rounding `x - peak` would cost up to 64 ulp. From an origin close to the peak and of few digits, a sum and a
    difference give the rounding error of `x - origin` exactly. The origin lies `LIFT` below the peak, or next to it
    where numbers are so large that they lie further apart, so that terms that are too small for the dtype, but together
    are not, do not vanish. The last step is a select, as XLA on CPU takes products into the sums that follow, and then
    sums short rows three times slower.
    """
    limit = float(jnp.finfo(x.dtype).max)
    base = jnp.clip(peak, -limit, limit)
    origin = jnp.floor(base - LIFT)
    vanishes = x < jnp.where(peak == jnp.inf, peak, origin - DEPTH)
    x = jnp.where(vanishes, origin, jnp.where(x > base, base, x))
    rounded, lowered = x - origin, origin - base
    exp, scale = jnp.exp(rounded), jnp.exp(lowered)
    exp = jnp.where(vanishes, 0, exp + exp * (x - (rounded + origin)))
    return exp, scale + scale * ((origin - lowered) - base)


def weighted_sum(weights: jax.Array, t: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The sum of `weights * t`, in which a weight of 0 makes 0 of anything.

    Without the select, JAX 0.10 compiles the difference of `t` and this sum, batched over `t` alone, to wrong numbers
    on CPU.
    """
    return row_sum(jnp.where(weights == 0, 0, weights * t), axes, names)


def largest_sum(x: jax.Array, scale: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """What the exponentials of a row add up to at most."""
    count = math.prod(x.shape[axis] for axis in axes) * (lax.psum(1, names) if names else 1)
    return count / scale


def _apart(x, axes, names):
    """Exponentials of all but the maximum, and where that is; their scale; how often it is taken; the scaled sum."""
    peak = maximum(x, axes, names)
    top = _is_peak(x, peak, peak > -jnp.inf)
    exp, scale = exponentials(x, peak)
    rest = jnp.where(top, 0, exp)
    count, total = row_sums((top.astype(x.dtype), rest), axes, names, largest_sum(x, scale, axes, names))
    return rest, top, scale, count, scale * total


def _is_peak(x, peak, condition):
    """Where `x` is the peak of a row for which the condition holds.

    By one comparison, as two booleans of each element take six times as long where rows are short. Where the condition
    does not hold, it is with a number above the peak, or, where there is none, with NaN.
    """
    limit = float(jnp.finfo(x.dtype).max)
    return x >= jnp.where(condition, peak, jnp.where(peak < limit, limit, jnp.nan))
