"""Guards: chex assertions on dtype and shape, with errors that name the function, the argument and what was got.

They run while a function is traced. A call that finds its compiled program in the cache never reaches them, and the
program itself holds nothing of them. What only values could tell inside a trace gives the documented NaN instead.
"""

import chex
import jax
import jax.numpy as jnp
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


def same_shape(function: str, **arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays have one shape: losses do not broadcast, as that hides mistakes."""
    shapes = ", ".join(f"{argument} {array.shape}" for argument, array in arrays.items())
    chex.assert_equal_shape(
        list(arrays.values()),
        custom_message=f"jaxact.{function}: shapes must be equal, got {shapes}",
        include_default_message=False,
        exception_type=ValueError,
    )


def broadcastable(function: str, argument: str, option: jax.Array, data: jax.Array) -> None:
    """Raises ValueError unless the shape of `option` broadcasts to that of `data`."""
    chex.assert_is_broadcastable(
        option.shape,
        data.shape,
        custom_message=f"jaxact.{function}: {argument} must broadcast to shape {data.shape}, got {option.shape}",
        include_default_message=False,
        exception_type=ValueError,
    )


def below(function: str, **bounds: ArrayLike) -> None:
    """Raises ValueError unless the first of two bounds is below the second, as far as both are plain numbers."""
    (low_name, low), (high_name, high) = bounds.items()
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        chex.assert_scalar_negative(
            low - high,
            custom_message=f"jaxact.{function}: {low_name} must be below {high_name}, got {low} and {high}",
            include_default_message=False,
            exception_type=ValueError,
        )


def _array(function, argument, value):
    if isinstance(value, int | float | complex):
        return jnp.asarray(value)
    if not isinstance(value, jax.Array):
        raise TypeError(f"jaxact.{function}: {argument} must be an array or a number, got {type(value).__name__}")
    return value
