"""Guards: chex assertions on dtype and shape, with errors that name the function, the argument and what was got.

They run while a function is traced. A call that finds its compiled program in the cache never reaches them, and the
program itself holds nothing of them. What only values could tell inside a trace gives the documented NaN instead.
"""

from collections.abc import Hashable, Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike


def floating(function: str, argument: str, value: ArrayLike) -> jax.Array:
    """Returns `value` as an array; raises TypeError unless it is floating."""
    array = _array(function, argument, value)
    chex.assert_type(
        array,
        float,
        custom_message=f"jaxact.{function}: {argument} must be floating, got {array.dtype}",
        include_default_message=False,
        exception_type=TypeError,
    )
    return array


def real(function: str, argument: str, value: ArrayLike) -> jax.Array:
    """Returns `value` as an array; raises TypeError unless it is floating or integer."""
    array = _array(function, argument, value)
    chex.assert_type(
        array,
        int if jnp.issubdtype(array.dtype, jnp.integer) else float,
        custom_message=f"jaxact.{function}: {argument} must be floating or integer, got {array.dtype}",
        include_default_message=False,
        exception_type=TypeError,
    )
    return array


def integer(function: str, argument: str, value: ArrayLike) -> jax.Array:
    """Returns `value` as an array; raises TypeError unless it is integer."""
    array = _array(function, argument, value)
    chex.assert_type(
        array,
        int,
        custom_message=f"jaxact.{function}: {argument} must be integer, got {array.dtype}",
        include_default_message=False,
        exception_type=TypeError,
    )
    return array


def like(function: str, argument: str, value: ArrayLike, data: jax.Array) -> jax.Array:
    """Returns `value` as an array; raises TypeError unless it has the dtype of `data`."""
    array = _array(function, argument, value)
    chex.assert_type(
        array,
        data.dtype,
        custom_message=f"jaxact.{function}: {argument} must be {data.dtype}, got {array.dtype}",
        include_default_message=False,
        exception_type=TypeError,
    )
    return array


def label(function: str, argument: str, value: ArrayLike, labels: jax.Array) -> jax.Array:
    """Returns `value` in the dtype of the labels; raises TypeError or ValueError unless it is an integer."""
    array = integer(function, argument, value)
    shape(function, argument, array, ())
    return array.astype(labels.dtype)


def shape(function: str, argument: str, array: jax.Array, expected: tuple[int | None, ...]) -> None:
    """Raises ValueError unless the array has the expected shape, in which None is any size."""
    chex.assert_shape(
        array,
        expected,
        custom_message=f"jaxact.{function}: {argument} must have shape {expected}, got {array.shape}",
        include_default_message=False,
        exception_type=ValueError,
    )


def same_shape(function: str, **arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays have one shape: losses do not broadcast, as that hides mistakes."""
    shapes = ", ".join(f"{argument} {array.shape}" for argument, array in arrays.items())
    chex.assert_equal_shape(
        list(arrays.values()),
        custom_message=f"jaxact.{function}: shapes must be equal, got {shapes}",
        include_default_message=False,
        exception_type=ValueError,
    )


def broadcastable(function: str, argument: str, option: jax.Array, data: jax.Array | jax.ShapeDtypeStruct) -> None:
    """Raises ValueError unless the shape of `option` broadcasts to that of `data`."""
    chex.assert_is_broadcastable(
        option.shape,
        data.shape,
        custom_message=f"jaxact.{function}: {argument} must broadcast to shape {data.shape}, got {option.shape}",
        include_default_message=False,
        exception_type=ValueError,
    )


def axes(function: str, axis: int | tuple[int, ...], data: jax.Array) -> tuple[int, ...]:
    """Returns `axis` as a sorted tuple of axes of `data`, counted from 0; raises TypeError or ValueError otherwise."""
    several = axis if isinstance(axis, tuple) else (axis,)
    if not all(_is_integer(one) for one in several):
        raise TypeError(f"jaxact.{function}: axis must be an integer or a tuple of integers, got {axis!r}")
    counted = {one % data.ndim for one in several if -data.ndim <= one < data.ndim}
    if not 0 < len(counted) == len(several):
        raise ValueError(f"jaxact.{function}: axis must name different axes of shape {data.shape}, got {axis!r}")
    return tuple(sorted(counted))


def axis(function: str, value: int, data: jax.Array) -> int:
    """Returns `value`, counted from 0; raises ValueError unless it is one of the axes of the data."""
    if not _is_integer(value) or not -data.ndim <= value < data.ndim:
        message = f"axis must be an integer, one of those of shape {data.shape}, got {value!r}"
        raise ValueError(f"jaxact.{function}: {message}")
    return value % data.ndim


def choice(function: str, argument: str, value: str, choices: Sequence[str]) -> None:
    """Raises ValueError unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"jaxact.{function}: {argument} must be one of {', '.join(choices)}, got {value!r}")


def count(function: str, argument: str, value: int | None) -> None:
    """Raises TypeError or ValueError unless `value` is a positive integer, or None."""
    if value is not None and not _is_integer(value):
        raise TypeError(f"jaxact.{function}: {argument} must be an integer, got {value!r}")
    if value is not None and value < 1:
        raise ValueError(f"jaxact.{function}: {argument} must be positive, got {value}")


def mask(function: str, where: ArrayLike | None, data: jax.Array) -> jax.Array | None:
    """Returns `where` as an array, or None; raises unless it is boolean and broadcasts to the shape of `data`."""
    if where is None:
        return None
    array = _array(function, "where", where)
    chex.assert_type(
        array,
        bool,
        custom_message=f"jaxact.{function}: where must be boolean, got {array.dtype}",
        include_default_message=False,
        exception_type=TypeError,
    )
    broadcastable(function, "where", array, data)
    return jnp.broadcast_to(array, data.shape)


def key(function: str, argument: str, value: ArrayLike) -> jax.Array:
    """Returns `value`; raises TypeError or ValueError unless it is one random key, of the new form or the old."""
    array = _array(function, argument, value)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        expected = ()
    elif array.dtype == jnp.uint32:
        expected = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape
    else:
        raise TypeError(f"jaxact.{function}: {argument} must be a key of jax.random, got {array.dtype}")
    if array.shape != expected:
        raise ValueError(f"jaxact.{function}: {argument} must be one key of jax.random, got shape {array.shape}")
    return array


def names(function: str, axis_name: Hashable | Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Returns the name or names as a tuple; raises NameError unless they are mesh axes of where it is called."""
    several = tuple(axis_name) if isinstance(axis_name, tuple | list) else (axis_name,)
    try:
        for name in several:
            lax.psum(1, name)
    except (NameError, ValueError) as error:
        message = f"axis_name must name axes of a mesh, inside `jax.shard_map`, got {axis_name!r}"
        raise NameError(f"jaxact.{function}: {message}") from error
    return several


def flag(function: str, argument: str, value: bool) -> None:
    """Raises TypeError unless a static option is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"jaxact.{function}: {argument} must be True or False, got {value!r}")


def between(function: str, argument: str, value: int, low: int, high: int) -> None:
    """Raises TypeError or ValueError unless a static option is an integer from `low` to `high`."""
    if not _is_integer(value):
        raise TypeError(f"jaxact.{function}: {argument} must be an integer, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"jaxact.{function}: {argument} must be from {low} to {high}, got {value}")


def below(function: str, **bounds: ArrayLike) -> None:
    """Raises ValueError unless the first of two bounds is below the second, as far as both are plain numbers."""
    (low_name, low), (high_name, high) = bounds.items()
    if isinstance(low, bool) or isinstance(high, bool):
        return  # Python counts them as numbers; they are refused as what they are
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        chex.assert_scalar_negative(
            low - high,
            custom_message=f"jaxact.{function}: {low_name} must be below {high_name}, got {low} and {high}",
            include_default_message=False,
            exception_type=ValueError,
        )


def positive(function: str, argument: str, value: ArrayLike) -> None:
    """Raises TypeError unless `value` is a number or an array, ValueError if it is a number that is not positive."""
    if isinstance(value, bool | complex) or not is_array_like(value):
        raise TypeError(f"jaxact.{function}: {argument} must be an array or a number, got {type(value).__name__}")
    if isinstance(value, int | float) and not value > 0:
        raise ValueError(f"jaxact.{function}: {argument} must be positive, got {value}")


def array_like(function: str, argument: str, value: ArrayLike) -> None:
    """Raises TypeError unless `value` is an array or a number, before `jax.jit` does, which names what it is given."""
    if not is_array_like(value) and not hasattr(value, "__jax_array__"):
        raise TypeError(f"jaxact.{function}: {argument} must be an array or a number, got {type(value).__name__}")


def is_array_like(value: object) -> bool:
    """Whether `value` is an array or a number."""
    return isinstance(value, int | float | complex | np.ndarray | np.generic | jax.Array)


def _is_integer(value):
    # Python counts True and False as integers.
    return isinstance(value, int) and not isinstance(value, bool)


def _array(function, argument, value):
    if isinstance(value, int | float | complex):
        return jnp.asarray(value)
    if not isinstance(value, jax.Array):
        raise TypeError(f"jaxact.{function}: {argument} must be an array or a number, got {type(value).__name__}")
    return value
