"""Noise from 32 random bits a number: uniform and Gumbel, for sampling and for stochastic rounding.

The one idea: the bits `k` stand for `(k + 1/2) / 2**32`, which is never 0 or 1, and what does not fit into the dtype is
cut off, not rounded. Then the number is below a threshold of that dtype exactly as often as it should be, to `2**-32`.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxact import _coefficients as coefficients
from jaxact._numerics import polynomial


def uniform(key: jax.Array, shape: tuple[int, ...], dtype: jax.typing.DTypeLike) -> jax.Array:
    """Numbers strictly between 0 and 1, in float32 or float64; below `p` with probability `p`, to `2**-32`."""
    return uniform_of(jax.random.bits(key, shape, jnp.uint32), dtype)


def uniform_and_complement(
    key: jax.Array, shape: tuple[int, ...], dtype: jax.typing.DTypeLike
) -> tuple[jax.Array, jax.Array]:
    """`uniform`, and 1 less it: each has all its digits, also where it is small."""
    bits = jax.random.bits(key, shape, jnp.uint32)
    return uniform_of(bits, dtype), uniform_of(~bits, dtype)


def gumbel(key: jax.Array, shape: tuple[int, ...], dtype: jax.typing.DTypeLike) -> jax.Array:
    """Standard Gumbel numbers in float32 or float64, from -3.13 to 22.88: never infinite."""
    return gumbel_of(jax.random.bits(key, shape, jnp.uint32), dtype)


def uniform_of(bits: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """`(bits + 1/2) / 2**32` for bits in uint32, cut off to the digits of the dtype."""
    digits = jnp.finfo(dtype).nmant + 1
    if digits < 32:
        # The leading digits alone are exact in the dtype, and so is the half that follows one digit fewer.
        surplus = jnp.uint32(2 ** (32 - digits) - 1) >> jnp.minimum(lax.clz(bits), 31)
        half = jnp.where(bits < 2 ** (digits - 1), 0.5, 0).astype(dtype)
        return ((bits & ~surplus).astype(dtype) + half) * 2.0**-32
    return (bits.astype(dtype) + 0.5) * 2.0**-32


def gumbel_of(bits: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """`-log(-log(1 - u))` with `u` the uniform number of the bits.

    Small `u` make the large Gumbel numbers, which decide what is sampled, so that these have all their digits.
    """
    u, complement = uniform_of(bits, dtype), uniform_of(~bits, dtype)
    small = jnp.minimum(u, 0.5)
    near = small + small * (small * polynomial(coefficients.LOG1M, small))
    return -jnp.log(jnp.where(u < 0.5, near, -jnp.log(jnp.minimum(complement, 0.5))))
