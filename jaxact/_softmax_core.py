"""The cores of the softmax family: sums of exponentials over some axes, on one device or over many.

The one idea: the largest terms are left out of the sum of exponentials, and counted instead. With a maximum `m` that is
taken `k` times and the sum `s` of `exp(x - m)` over all others, the logarithm of the whole sum is `log1p(s + (k - 1))`,
which is right however small `s` is. Likewise 1 minus the softmax of a lone maximum is `s / (k + s)`. Where that is the
smaller part, the *centred* softmax holds its negative; every derivative is written with it.

The difference `x - m` is taken in two parts, as rounding it would cost its exponential up to 64 ulp.
"""

import functools
import math
from collections.abc import Hashable

import jax
import jax.numpy as jnp
from jax import lax

from jaxact._logistic_core import log1p

Axes = tuple[int, ...]
Names = tuple[Hashable, ...]

# Rows are added up in tiles of so many rows and columns, in which a compiler finds vector instructions.
TILE = (8, 16)

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
    exp, _ = exponentials(x, maximum(x, axes, names))
    return exp * (1 / jnp.maximum(row_sum(exp, axes, names), 1))


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
    centre = _centre(lax.stop_gradient(x), axes, names)
    at_centre = row_sum(jnp.where(centre, t, 0), axes, names)
    off_centre = jnp.where(centre, 0, t - spread(at_centre, t, axes, names))
    return off_centre - spread(weighted_sum(centred_softmax(x, axes, names), t, axes, names), t, axes, names)


def _centre(x, axes, names):
    """Where softmax is above 1/2."""
    _, _, _, count, total = _apart(x, axes, names)
    return _is_peak(x, maximum(x, axes, names), (count == 1) & (total < 1))


def spread(row: jax.Array, array: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The number of each row at all elements of an array, by tiles, so that the transpose is a sum that is done fast.

    Where the array lies on several devices, tiles would be gathered, or, with names, the transpose summed over devices
    before it is over the row: it is left to broadcast.
    """
    rows, columns = _tile(array.shape, axes, names)
    if rows == 1 or names or is_divided(array):
        return row
    axis = axes[-1]
    before, after = row.shape[:axis], row.shape[axis + 1 :]
    count = array.shape[axis] // (rows * columns)
    tops = jnp.broadcast_to(row.reshape(*before, 1, 1, 1, *after), (*before, count, 1, columns, *after))
    tiles = (*array.shape[:axis], count, rows, columns, *array.shape[axis + 1 :])
    return jnp.broadcast_to(tops, tiles).reshape(array.shape)


def is_divided(x: jax.Array) -> bool:
    """Whether the type of `x` says that it lies on several devices, where indexing is refused."""
    return any(part is not None for part in jax.typeof(x).sharding.spec)


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


def row_sum(array: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The sum over the axes, which are kept."""
    return all_sum(jnp.sum(array, axes, keepdims=True), names)


def all_sum(array: jax.Array, names: Names) -> jax.Array:
    """The sum over the devices that the axes are divided over; JAX 0.10 refuses a sum over no names."""
    return lax.psum(array, names) if names else array


def weighted_sum(weights: jax.Array, t: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The sum of `weights * t`, in which a weight of 0 makes 0 of anything.

    Without the select, JAX 0.10 compiles the difference of `t` and this sum, batched over `t` alone, to wrong numbers
    on CPU.
    """
    return row_sum(jnp.where(weights == 0, 0, weights * t), axes, names)


def row_sums(arrays: tuple[jax.Array, ...], axes: Axes, names: Names) -> tuple[jax.Array, ...]:
    """The sums of arrays, of several in one pass over the data; to be differentiated only by the rule of who calls it.

    Several are summed in tiles, then in pairs of these, in pairs of pairs, and so on, none of them across devices: by
    far more exact than one after the other. What XLA makes of the sum of one array is faster.
    """
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(arrays[0].shape))
    rows, columns = _tile(arrays[0].shape, axes, names)
    if rows > 1 and len(arrays) > 1:
        axis = axes[-1]
        tiled = [_cut(array, axis, (rows, columns)) for array in arrays]
        # The select is never taken, and not compiled. JAX asks that all of several operands have a tangent or none, as
        # it differentiates this where it has forgotten the rules of who calls it, in a scan; nothing is made of that.
        tiled = [jnp.where(False, tiled[-1], array) for array in tiled]
        zeros = [jnp.zeros((), array.dtype) for array in arrays]
        of_tiles = lax.reduce(tiled, zeros, _add, (axis + 1,))
        arrays = tuple(_in_pairs(_in_pairs(array, axis, _devices(names)), axis + 1, 1) for array in of_tiles)
        axes = (*axes, axis + 1)
    return tuple(all_sum(jnp.sum(array, axes).reshape(kept), names) for array in arrays)


def _in_pairs(array, axis, devices):
    """Sums of pairs along the axis, of pairs of these, and so on, as long as none lies across devices."""
    while array.shape[axis] % (2 * devices) == 0:
        pairs = _cut(array, axis, (2,))
        first, second = (lax.index_in_dim(pairs, side, axis + 1, keepdims=False) for side in range(2))
        array = first + second
    return array


def _cut(array, axis, sizes):
    """The array with its axis cut up into parts, and these into axes of those sizes."""
    count = array.shape[axis] // math.prod(sizes)
    return array.reshape(*array.shape[:axis], count, *sizes, *array.shape[axis + 1 :])


def _add(xs, ys):
    return [x + y for x, y in zip(xs, ys, strict=True)]


def _tile(shape, axes, names):
    """Rows and columns of the tiles that the last of the axes is cut into; one row if it is not to be cut."""
    size, innermost = shape[axes[-1]], axes[-1] == len(shape) - 1
    rows, columns = TILE
    if not innermost:
        columns = 1
    elif size <= columns:
        rows, columns = max(size, 1), 1
    # Tiles that lie across devices would be gathered.
    while rows > 1 and (size % (rows * columns) or (size // (rows * columns)) % _devices(names)):
        rows //= 2
    return (rows, columns) if rows > 1 else (1, 1)


def _devices(names):
    """Over how many devices an axis may be divided; with names, what is here lies on one."""
    return 1 if names else jax.device_count()


def _apart(x, axes, names):
    """Exponentials of all but the maximum, and where that is; their scale; how often it is taken; the scaled sum."""
    peak = maximum(x, axes, names)
    top = _is_peak(x, peak, peak > -jnp.inf)
    exp, scale = exponentials(x, peak)
    rest = jnp.where(top, 0, exp)
    count, total = row_sums((top.astype(x.dtype), rest), axes, names)
    return rest, top, scale, count, scale * total


def _is_peak(x, peak, condition):
    """Where `x` is the peak of a row for which the condition holds.

    By one comparison, as two booleans of each element take six times as long where rows are short. Where the condition
    does not hold, it is with a number above the peak, or, where there is none, with NaN.
    """
    limit = float(jnp.finfo(x.dtype).max)
    return x >= jnp.where(condition, peak, jnp.where(peak < limit, limit, jnp.nan))
