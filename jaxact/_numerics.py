"""Arithmetic that every family stands on: precision, polynomials, split exponents, exact products.

The one idea: what rounding takes away is either kept exactly, in a second number, or never arises.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike


def rounded_once(core: Callable[..., jax.Array], x: jax.Array, *others: jax.Array, broadcast: bool = True) -> jax.Array:
    """`core(x, *others)`, computed in float32 or wider and rounded once to the dtype of `x`.

    The others `broadcast` to the shape of `x`; a scalar stays one, so that what depends on it alone is computed once.
    Reverse mode saves the arguments in their own dtypes and nothing else, and rounds each gradient once: that is what
    `jax.checkpoint` is for here. Under jit the compiler merges what the two passes share, so it costs no time.
    """
    compute_dtype = x.dtype if x.dtype == jnp.float64 else jnp.dtype(jnp.float32)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def wide(*arrays):
        arrays = [array if array.dtype == compute_dtype else array.astype(compute_dtype) for array in arrays]
        if broadcast:
            arrays = [array if array.ndim == 0 else jnp.broadcast_to(array, x.shape) for array in arrays]
        return core(*arrays).astype(x.dtype)

    out = wide(x, *others)
    if jax.typeof(x).weak_type and not jax.typeof(out).weak_type:
        # Bit operations yield strong types; an update keeps the type of the array that it is made in.
        out = jnp.zeros_like(x, shape=out.shape).at[...].set(out)
    return out


def polynomial(coefficients: Mapping[str, Sequence[float]], x: jax.Array) -> jax.Array:
    """The polynomial in `x` with the coefficients for its dtype, lowest power first, by Horner's rule."""
    *lower, second, last = coefficients[x.dtype.name]
    total = last * x + second
    for coefficient in reversed(lower):
        total = total * x + coefficient
    return total


def split_exponent(x: jax.Array, low: float) -> tuple[jax.Array, jax.Array]:
    """Splits positive normal `x` into `f * 2**k` with `low <= f < 2 * low`; returns `f` and `k`, both floating."""
    mantissa_bits = jnp.finfo(x.dtype).nmant
    integer = jnp.dtype(f"int{x.dtype.itemsize * 8}")
    bits = lax.bitcast_convert_type(x, integer)
    k = (bits - lax.bitcast_convert_type(jnp.asarray(low, x.dtype), integer)) >> mantissa_bits
    return lax.bitcast_convert_type(bits - (k << mantissa_bits), x.dtype), k.astype(x.dtype)


def matched_exponent(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`k` and `x / 2**k` so that the latter is within a factor of 1.6 of `y`; both positive normal."""
    mantissa_bits = jnp.finfo(x.dtype).nmant
    integer = jnp.dtype(f"int{x.dtype.itemsize * 8}")
    x_bits, y_bits = lax.bitcast_convert_type(x, integer), lax.bitcast_convert_type(y, integer)
    k = (x_bits - y_bits + (1 << (mantissa_bits - 1))) >> mantissa_bits
    return k.astype(x.dtype), lax.bitcast_convert_type(x_bits - (k << mantissa_bits), x.dtype)


def quotient(x: jax.Array, divisor: jax.Array) -> jax.Array:
    """`x / divisor`, rounded once.

    A compiler multiplies by the reciprocal of a divisor that is a scalar or a constant, which is off by an ulp for a
    third of all numbers: here every element has a divisor of its own.
    """
    return x / jnp.where(jnp.isnan(x), jnp.nan, divisor)


def derivative(fun: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """The derivative of an elementwise function, elementwise."""
    return lambda x: jax.jvp(fun, (x,), (jnp.ones_like(x),))[1]


def finite(x: jax.Array) -> jax.Array:
    """`x` with infinities replaced by the largest number, for products whose other factor is then 0."""
    limit = float(jnp.finfo(x.dtype).max)
    # A clip, which has to treat NaN by itself, takes three times as long on CPU.
    return jnp.where(x > limit, limit, jnp.where(x < -limit, -limit, x))


@jax.custom_jvp
def zero_unless_nan(x: jax.Array) -> jax.Array:
    """0 where `x` is a number, NaN where it is NaN, and so is every derivative: added to slopes that are constants."""
    return jnp.where(jnp.isnan(x), x, 0)


@zero_unless_nan.defjvp
def _zero_unless_nan_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    zero = zero_unless_nan(x)
    return zero, zero * t


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def at_product(fun: Callable[[jax.Array], jax.Array], factor: jax.Array, x: jax.Array) -> jax.Array:
    """`fun(factor * x)` with the product exact: its rounding error `low` adds `low * fun'(product)`.

    Rounding the product would cost `abs(x * fun' / fun)` half-ulp: 40 ulp in a tail, every digit at a root. Very
    small and very large products are left as they are, as the functions here have neither roots nor steep tails there.
    """
    product = factor * x
    steep = (jnp.abs(product) > 2.0**-12) & (jnp.abs(product) < 2.0**12)
    x, factor, centre = (jnp.where(steep, v, 1.0) for v in (x, factor, product))
    return fun(product) + _product_error(x, factor, centre) * derivative(fun)(centre)


@at_product.defjvp
def _at_product_jvp(fun, primals, tangents):
    factor, x = primals
    factor_dot, x_dot = tangents
    slope = at_product(derivative(fun), factor, x)
    return at_product(fun, factor, x), slope * (factor * x_dot + x * factor_dot)


def _product_error(x, y, product):
    """`x * y - product`, exact but for the last bit: the halves are so short that their products are exact.

    Magnitudes, as a compiler may fuse a product into a following sum but not one whose sign was changed in between.
    """
    sign = jnp.sign(product)
    x, y, product = jnp.abs(x), jnp.abs(y), jnp.abs(product)
    x_high, y_high = upper_half(x), upper_half(y)
    x_low, y_low = x - x_high, y - y_high
    return sign * ((((x_high * y_high - product) + x_high * y_low) + x_low * y_high) + x_low * y_low)


def upper_half(x: jax.Array) -> jax.Array:
    """`x` with so few bits that the product of two such numbers is exact: 12 in float32, 26 in float64."""
    integer = jnp.dtype(f"int{x.dtype.itemsize * 8}")
    lower_bits = (jnp.finfo(x.dtype).nmant + 2) // 2
    bits = lax.bitcast_convert_type(x, integer)
    return lax.bitcast_convert_type((bits >> lower_bits) << lower_bits, x.dtype)


# Numbers in two parts, high and low


Parts = tuple[jax.Array, jax.Array]


def rate(number: jax.Array) -> Parts:
    """`number` in two parts, the first of them so short that `scaled` has exact products of it."""
    high = upper_half(number)
    return high, number - high


def inverse_rate(width: jax.Array, numerator: float = 1.0) -> Parts:
    """`numerator / width` likewise, right beyond the last bit of the quotient; the numerator is a power of 2."""
    high, width_high = upper_half(numerator / width), upper_half(width)
    return high, ((numerator - high * width_high) - high * (width - width_high)) / width


def constant_rate(constant: tuple[float, float], number: jax.Array) -> Parts:
    """`sum(constant) * number` likewise, the constant split so that its first part is short."""
    leading, rest = constant
    number_high = upper_half(number)
    high = upper_half(leading * number)
    return high, ((leading * number_high - high) + leading * (number - number_high)) + rest * number


def scaled(x: jax.Array, low: ArrayLike, factor: Parts) -> Parts:
    """`factor * (x + low)` in two parts. Products of halves are exact: it does no harm to fuse them with a sum."""
    high, rest = factor
    x_high = upper_half(x)
    first, second = high * x_high, (high * (x - x_high) + rest * x) + high * low
    product = first + second
    return product, (first - product) + second


def exp_minus(z: jax.Array, low: jax.Array, times: ArrayLike = 1) -> jax.Array:
    """`times * exp(-(z + low))`, with `low` a rounding error of `z`; it vanishes no sooner than the product does."""
    far = z > 64
    e = jnp.exp(jnp.where(far, 64.0, 0.0).astype(z.dtype) - z)
    e = e - e * low
    if isinstance(times, int):
        return times * jnp.where(far, math.exp(-64) * e, e)
    return e * jnp.where(far, times * math.exp(-64), times)


def decay(x: jax.Array, low: ArrayLike, factor: Parts, times: ArrayLike = 1) -> jax.Array:
    """`times * exp(-factor * (x + low))` for `x >= 0`; what is beyond any exponent counts as just that."""
    limit = 1000 / factor[0]
    beyond = x > limit
    return exp_minus(*scaled(jnp.where(beyond, limit, x), jnp.where(beyond, 0, low), factor), times)


def half_square(z: jax.Array, low: jax.Array) -> Parts:
    """`(z + low)**2 / 2` in two parts."""
    high = upper_half(z)
    first, second = high * high / 2, (z - high) * (z + high) / 2 + z * low
    total = first + second
    return total, (first - total) + second


def remaining(end: jax.Array, x: jax.Array, low: ArrayLike) -> Parts:
    """`end - (x + low)` for `x >= 0` in two parts, 0 where that is negative."""
    outside = x > 2 * end
    x, low = jnp.where(outside, 2 * end, x), jnp.where(outside, 0, low)
    first = end - x
    second = ((end - first) - x) - low
    total = first + second
    beyond = total < 0
    return jnp.where(beyond, 0, total), jnp.where(beyond, 0, (first - total) + second)
