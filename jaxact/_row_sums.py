"""Sums over some axes of an array that hardly depend on how many devices it lies on.

What lies on several devices is added up in an order that nobody knows. So numbers are first added up within parts that
no device boundary cuts: in tiles or runs, for which a compiler finds vector instructions, and the sums of these in
pairs, in pairs of pairs, and so on. Of the few numbers left, the leading digits are added up apart: so few of them that
their sum is exact, in whatever order.
"""

import math
from collections.abc import Hashable

import jax
import jax.numpy as jnp
from jax import lax

Axes = tuple[int, ...]
Names = tuple[Hashable, ...]

# An axis is cut into at least so many parts, so that on up to as many devices the parts are the same.
PARTS = 8

# Parts of several arrays are added up in tiles of so many rows and columns, in one pass; those of one array in runs.
ROWS, COLUMNS = (8, 4, 2), 16
RUNS = (*range(64, 31, -1), *range(65, 129))


def row_sum(array: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The sum over the axes, which are kept, in the order that is fastest; for linear maps."""
    return all_sum(jnp.sum(array, axes, keepdims=True), names)


def all_sum(array: jax.Array, names: Names) -> jax.Array:
    """The sum over the devices that the axes are divided over; JAX 0.10 refuses a sum over no names."""
    return lax.psum(array, names) if names else array


def row_sums(
    arrays: tuple[jax.Array, ...], axes: Axes, names: Names, bound: jax.Array | None = None
) -> tuple[jax.Array, ...]:
    """The sums over the axes, which are kept, of the last array and of others, whose sums are exact in any order.

    To be differentiated only by the rule of a caller. The magnitudes of the last array add up to at most the bound,
    axes kept; where none is given, one more sum over devices finds it.
    """
    axis = axes[-1]
    tile = _tile(arrays[0].shape, axis, names)
    if tile and len(arrays) > 1:
        arrays = _sums_of_tiles(arrays, axis, tile)
    else:
        arrays = tuple(_sum_of_runs(array, axis, names) for array in arrays)
    *whole, last = arrays
    if last.shape[axis] == 1 and not names:
        return tuple(row_sum(array, axes, names) for array in arrays)
    leading = _leading(last, row_sum(jnp.abs(last), axes, names) if bound is None else bound)
    *sums, of_leading, of_rest = (row_sum(array, axes, names) for array in (*whole, leading, last - leading))
    return *sums, of_leading + of_rest


def _leading(array, bound):
    """The leading digits of numbers whose magnitudes add up to the bound at most, so few that the sum is exact.

    They are multiples of a unit, at least 4/3 * 2**-nmant of the bound.
    """
    finfo = jnp.finfo(array.dtype)
    unit = jnp.maximum(lax.reduce_precision(bound * 2.0 ** (1 - finfo.nmant), finfo.nexp, 0), finfo.tiny)
    return jnp.where(bound < jnp.inf, jnp.round(array * (1 / unit)) * unit, 0)


def spread(row: jax.Array, array: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The number of each row at all elements of an array, by tiles, so that the transpose is a sum that is done fast.

    Where the array lies on several devices, tiles would be gathered, or, with names, the transpose summed over devices
    before it is over the row: it is left to broadcast.
    """
    axis = axes[-1]
    tile = _tile(array.shape, axis, names)
    if tile is None or names or is_divided(array):
        return row
    parts, rows, columns = tile
    count = array.shape[axis] // (parts * rows * columns)
    before, after = row.shape[:axis], row.shape[axis + 1 :]
    tops = jnp.broadcast_to(row.reshape(*before, 1, 1, 1, 1, *after), (*before, parts, count, 1, columns, *after))
    return jnp.broadcast_to(tops, _cut(array, axis, *tile).shape).reshape(array.shape)


def is_divided(x: jax.Array) -> bool:
    """Whether the type of `x` says that it lies on several devices, where indexing is refused."""
    return any(part is not None for part in jax.typeof(x).sharding.spec)


def _sums_of_tiles(arrays, axis, tile):
    """The sums of the parts of arrays, which are read once for all."""
    tiled = [_cut(array, axis, *tile) for array in arrays]
    # The select is never taken, and not compiled. JAX asks that all of several operands have a tangent or none, as it
    # differentiates this where it has forgotten the rules of who calls it, in a scan; nothing is made of that.
    tiled = [jnp.where(False, tiled[-1], array) for array in tiled]
    zeros = [jnp.zeros((), array.dtype) for array in arrays]
    of_tiles = lax.reduce(tiled, zeros, _add, (axis + 2,))
    return tuple(_in_pairs(_in_pairs(array, axis + 1), axis + 1) for array in of_tiles)


def _add(xs, ys):
    return [x + y for x, y in zip(xs, ys, strict=True)]


def _tile(shape, axis, names):
    """Into how many parts to cut the axis, and then into tiles of how many rows and columns; None: leave it whole."""
    size, innermost = shape[axis], axis == len(shape) - 1
    if not isinstance(size, int):
        return None  # a symbol, as in an exported program
    if innermost and size <= COLUMNS:
        return (1, size, 1) if size > 1 and jax.device_count() == 1 else None
    columns = COLUMNS if innermost else 1
    fits = ((parts, rows, columns) for rows in ROWS for parts in _parts(names) if size % (parts * rows * columns) == 0)
    return next(fits, None)


def _sum_of_runs(array, axis, names):
    """The sums of the parts of an array."""
    cut = _runs(array.shape[axis], names)
    if cut is None:
        return jnp.sum(array, axis, keepdims=True)
    return _in_pairs(jnp.sum(_cut(array, axis, *cut, 1), (axis + 2, axis + 3)), axis + 1)


def _runs(size, names):
    """Into how many parts to cut an axis, then into runs of what length; None: leave it whole."""
    if not isinstance(size, int):
        return None
    parts = _parts(names)[0]
    if jax.device_count() > 1 and size % parts == 0 and size // parts < min(RUNS):
        return parts, 1
    all_parts = [parts for parts in _parts(names) if parts > 1 or names]  # alone, XLA does as well in one run
    fits = ((parts, run) for parts in all_parts for run in RUNS if size > run and size % (parts * run) == 0)
    return next(fits, None)


def _parts(names):
    """How many parts to cut an axis into, in order of preference; a device's part of it, with names."""
    devices, here = jax.device_count(), lax.psum(1, names) if names else 1
    return [parts // math.gcd(parts, here) for parts in (math.lcm(PARTS, devices), devices)]


def _cut(array, axis, parts, rows, columns):
    """The array with its axis cut into parts, these into tiles, and these into rows and columns."""
    return array.reshape(*array.shape[:axis], parts, -1, rows, columns, *array.shape[axis + 1 :])


def _in_pairs(array, axis):
    """The sum over the axis, of pairs, of pairs of these, and so on."""
    while (size := array.shape[axis]) > 1:
        if size % 2:
            widths = [(0, int(each == axis), 0) for each in range(array.ndim)]
            array = lax.pad(array, jnp.zeros((), array.dtype), widths)
        pairs = array.reshape(*array.shape[:axis], -1, 2, *array.shape[axis + 1 :])
        first, second = (lax.index_in_dim(pairs, side, axis + 1, keepdims=False) for side in range(2))
        array = first + second
    return jnp.sum(array, axis)
