"""The cores of the softmax family: sums of exponentials over some axes, on one device or over many.

The one idea: the largest terms are left out of the sum of exponentials, and counted instead. With a maximum `m` that is
taken `k` times and the sum `s` of `exp(x - m)` over all others, the logarithm of the whole sum is `log1p(s + (k - 1))`,
which is right however small `s` is. Likewise 1 minus the softmax of a lone maximum is `s / (k + s)`. Where that is the
smaller part, the *centred* softmax holds its negative, marked by the sign; every derivative is written with it.

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

# Origins are multiples of 1 / GRID.
GRID = {"float32": 2.0**14, "float64": 2.0**30}
LIFT = 32


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def log_softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The logarithm of softmax; infinite maxima share, and a row of -inf stays one, with derivative 0."""
    _, _, _, count, total = _apart(x, axes, names)
    return difference(x, maximum(x, axes, names)) - lax.log1p(jnp.maximum(total + (count - 1), 0))


@log_softmax.defjvp
def _log_softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    t = jnp.where(maximum(x, axes, names) == -jnp.inf, 0, t)
    return log_softmax(x, axes, names), minus_mean(t, centred_softmax(x, axes, names), axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def logsumexp(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The logarithm of the sum of exponentials, axes kept."""
    _, _, _, count, total = _apart(x, axes, names)
    return maximum(x, axes, names) + log1p(jnp.maximum(total + (count - 1), 0))


@logsumexp.defjvp
def _logsumexp_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    return logsumexp(x, axes, names), weighted_sum(softmax(x, axes, names), t, axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Softmax; infinite maxima share, and a row of -inf gives 0."""
    exp, _ = exponentials(x, maximum(x, axes, names))
    return exp * (1 / jnp.maximum(row_sum(exp, axes, names), 1))


@softmax.defjvp
def _softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    out = softmax(x, axes, names)
    return out, out * minus_mean(t, centred_softmax(x, axes, names), axes, names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def centred_softmax(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """Softmax, less 1 where it is above 1/2: of all elements that one alone has its sign bit set."""
    rest, top, scale, count, total = _apart(x, axes, names)
    share = 1 / jnp.maximum(count + total, 1)
    return jnp.where(top, jnp.where((count == 1) & (total < 1), -total, 1) * share, rest * (scale * share))


@centred_softmax.defjvp
def _centred_softmax_jvp(axes, names, primals, tangents):
    (x,), (t,) = primals, tangents
    centred = centred_softmax(x, axes, names)
    return centred, softmax(x, axes, names) * minus_mean(t, centred, axes, names)


def minus_mean(t: jax.Array, centred: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """`t` less its mean under a softmax.

    At the centre the difference from it is 0 by selection, so that in the transpose the large cotangent there is never
    added to the small ones of all others, which would be lost.
    """
    centre = jnp.signbit(centred)
    at_centre = row_sum(jnp.where(centre, t, 0), axes, names)
    return jnp.where(centre, 0, t - at_centre) - weighted_sum(centred, t, axes, names)


def maximum(x: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The largest of each row, axes kept; -inf of an empty one."""
    peak = jnp.max(lax.stop_gradient(x), axes, keepdims=True, initial=-jnp.inf)
    return lax.pmax(peak, names) if names else peak


def difference(x: jax.Array, peak: jax.Array) -> jax.Array:
    """`x - peak` for `x <= peak`; 0 where they are equal, also if both are inf, but -inf if both are -inf.

    The minimum keeps a compiler from fusing the subtraction with a product that gave `x`, which would undo the rounding
    of `x` that `peak` has gone through.
    """
    limit = float(jnp.finfo(x.dtype).max)
    return jnp.where((x == peak) & (x > -jnp.inf), 0, jnp.minimum(x, limit) - jnp.maximum(peak, -limit))


def exponentials(x: jax.Array, peak: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`exp(x - peak) / scale` for `x <= peak`, and the scale of the row; 0 in a row of -inf.

    Rounding `x - peak` would cost up to 64 ulp. From an origin close to the peak and of few digits, a sum and a
    difference give the rounding error of `x - origin` exactly. The origin is moved down by `LIFT`, so that terms that
    are too small for the dtype, but together are not, do not vanish.
    """
    limit, grid = float(jnp.finfo(x.dtype).max) / 4, GRID[x.dtype.name]
    # Huge numbers are made smaller: their neighbours stay so far apart that only equal ones count.
    shrink = jnp.where(jnp.abs(peak) < limit, 1, 1 / 16)
    x, base = jnp.clip(x * shrink, -limit, limit), jnp.clip(peak * shrink, -limit, limit)
    fine = jnp.abs(base) < grid
    near = jnp.where(fine, jnp.round(jnp.where(fine, base, 0) * grid) / grid, base)
    origin = jnp.where(peak == -jnp.inf, limit, near - LIFT)
    rounded = x - origin
    exp = jnp.exp(rounded)
    return exp + exp * (x - (rounded + origin)), jnp.exp(near - base) * math.exp(-LIFT)


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
    """The sums of several arrays, in one pass over the data; to be differentiated only by the rule of who calls it."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(arrays[0].shape))
    rows, columns = _tile(arrays[0].shape, axes)
    if rows > 1:
        axis = axes[-1]
        before, size, after = arrays[0].shape[:axis], arrays[0].shape[axis], arrays[0].shape[axis + 1 :]
        tiled = [array.reshape(*before, size // (rows * columns), rows, columns, *after) for array in arrays]
        # The select is never taken, and not compiled. JAX asks that all of several operands have a tangent or none, as
        # it differentiates this where it has forgotten the rules of who calls it, in a scan; nothing is made of that.
        tiled = [jnp.where(False, tiled[-1], array) for array in tiled]
        zeros = [jnp.zeros((), array.dtype) for array in arrays]
        arrays = tuple(lax.reduce(tiled, zeros, _add, (axis + 1,)))
        axes = (*axes, axis + 1)
    return tuple(all_sum(jnp.sum(array, axes).reshape(kept), names) for array in arrays)


def _add(xs, ys):
    return [x + y for x, y in zip(xs, ys, strict=True)]


def _tile(shape, axes):
    """Rows and columns of the tiles that the last of the axes is cut into; one row if it is not to be cut."""
    size, innermost = shape[axes[-1]], axes[-1] == len(shape) - 1
    if not innermost:
        rows, columns = TILE[0], 1
    elif size <= TILE[1]:
        rows, columns = max(size, 1), 1
    else:
        rows, columns = TILE
    # Tiles that lie across devices would be gathered.
    whole = size % (rows * columns) == 0 and (size // (rows * columns)) % jax.device_count() == 0
    return (rows, columns) if whole else (1, 1)


def _apart(x, axes, names):
    """Exponentials of all but the maximum, and where that is; their scale; how often it is taken; the scaled sum."""
    peak = maximum(x, axes, names)
    top = (x == peak) & (peak > -jnp.inf)
    exp, scale = exponentials(x, peak)
    rest = jnp.where(top, 0, exp)
    count, total = row_sums((top.astype(x.dtype), rest), axes, names)
    return rest, top, scale, count, scale * total
