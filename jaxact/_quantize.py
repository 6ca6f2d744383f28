"""Quantising that can be trained: integers of a few bits with learned steps, finite scalars, and a pull to integers.

The one idea: the value is computed by itself, exactly on its grid, and what is differentiated is stated beside it. So
the value never leaves the range of its integers, as the usual `x + stop_gradient(hard - x)` does, which rounds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact import _coefficients as coefficients
from jaxact import _logistic_core as logistic
from jaxact._bounded_shapes import cos_pi, sin_pi
from jaxact._jit import jitted
from jaxact._numerics import polynomial, quotient, rounded_once, zero_unless_nan
from jaxact._surrogate import pin

# So that every integer of the range, and its distance from the zero point, is a number of float32.
MOST_BITS = 24

# What FSQ stretches tanh by, so that its outermost integers are reached.
STRETCH = 1 + 1e-3


@jitted("bits", "signed", "narrow")
def fake_quantize(
    x: ArrayLike,
    scale: ArrayLike,
    /,
    *,
    zero_point: ArrayLike = 0.0,
    bits: int = 8,
    signed: bool = True,
    narrow: bool = False,
) -> jax.Array:
    r"""What is left of a number that is stored as an integer of a few bits, with a step size that can be trained.

    .. math:: f(x, s, z) = s \, (\operatorname{clip}(\operatorname{round}(x / s) + z, \, l, \, h) - z), \qquad
              (l, h) = (-2^{b-1}, 2^{b-1} - 1) \text{ or } (0, 2^b - 1)

    With :math:`v = x / s`, the derivatives in `x`, `scale` and `zero_point` are those of LSQ:

    .. math:: (1, \; \operatorname{round}(v) - v, \; 0) \text{ for } l \le v + z \le h, \qquad
              (0, \; l - z, \; -s) \text{ below}, \qquad (0, \; h - z, \; -s) \text{ above}

    Args:
      x: floating array of any shape.
      scale: :math:`s > 0`, the step, a number or an array that broadcasts to the shape of `x`: one for the whole array,
        or one for each channel. Traced and differentiable.
      zero_point: :math:`z`, the integer that stands for 0, likewise; floating if it is trained.
      bits: number of bits of the integers :math:`b`, from 1 to 24 (static).
      signed: whether the integers are signed (static).
      narrow: whether to leave out the lowest integer, so that the signed range is symmetric (static); needs 2 bits.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, `scale` or `zero_point` is neither floating nor integer, `bits` is not an integer,
        or `signed` or `narrow` not True or False.
      ValueError: `bits` is out of its range, or `scale` or `zero_point` does not broadcast to the shape of `x`.

    Slope at the edges: the ends, `x` equal to :math:`s (l - z)` or :math:`s (h - z)`, belong to the inside. Beyond
    them, also where `x` still rounds to the end, the slope in `x` is 0. Second derivatives are those of a rounding that
    is passed straight through: 0, but -1 in `scale` and `zero_point` outside.

    Special values: halves round to even. ±inf gives the end of the range, NaN gives NaN. NaN unless `scale` is
    positive.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.array([-0.26, 0.1, 1e8])
    >>> print(jaxact.fake_quantize(x, 0.25, bits=3))
    [-0.25  0.    0.75]
    >>> print(f"{jax.grad(lambda s: jaxact.fake_quantize(x, s, bits=3).sum())(0.25):.2f}")
    2.64

    Source: Esser et al., "Learned Step Size Quantization", 2020. To train a step with the learning rate of the weights,
    they multiply its gradient by :math:`1 / \sqrt{n h}`, `n` being the number of weights that share it.

    See also: `finite_scalar_quantize`, `integer_penalty`, `straight_through`.
    """
    name = "fake_quantize"
    x = checks.floating(name, "x", x)
    scale = checks.real(name, "scale", scale)
    zero_point = checks.real(name, "zero_point", zero_point)
    checks.broadcastable(name, "scale", scale, x)
    checks.broadcastable(name, "zero_point", zero_point, x)
    checks.flag(name, "signed", signed)
    checks.flag(name, "narrow", narrow)
    checks.between(name, "bits", bits, 2 if narrow else 1, MOST_BITS)
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    low += narrow

    def core(x, scale, zero_point):
        return _fake_quantize(x, scale, zero_point, low, high)

    return rounded_once(core, x, scale, zero_point)


def finite_scalar_quantize(x: ArrayLike, /, *, levels: Sequence[int]) -> jax.Array:
    r"""Finite scalar quantisation: each channel squashed by tanh and rounded to one of a few levels.

    .. math:: f(x) = \frac{1}{\lfloor L / 2 \rfloor} \operatorname{round}(\operatorname{bound}(x)), \qquad
              \operatorname{bound}(x) = h \tanh(x + \operatorname{artanh} \tfrac{o}{h}) - o, \qquad
              h = \frac{1.001 \, (L - 1)}{2}

    with :math:`o = 1/2` for even :math:`L`, whose levels then are :math:`-1, \ldots, 1 - 2 / L`, and 0 for odd
    :math:`L`, whose levels are :math:`-1, \ldots, 1`. The derivative, of every order, is that without the rounding.

    Args:
      x: floating array `[..., channels]`.
      levels: number of levels :math:`L \ge 2` of each channel, a tuple or list of integers (static). Their product is
        the size of the code book.

    Returns:
      Array of the shape and dtype of `x`, in [-1, 1].

    Raises:
      TypeError: `x` is not floating, or `levels` is not a tuple or a list of integers.
      ValueError: a number of levels is below 2 or above 2**24, or there are not as many as there are channels.

    Slope: positive for every finite `x` until it underflows, also where tanh is rounded to 1. Special values: ±inf
    gives the outermost levels, with slope 0. NaN gives NaN.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.array([[-9.0, 0.1, 0.6], [0.5, 9.0, 9.0]])
    >>> print(jaxact.finite_scalar_quantize(x, levels=(8, 5, 5)))
    [[-1.    0.    0.5 ]
     [ 0.25  1.    1.  ]]

    Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2023.

    See also: `fake_quantize`.
    """
    name = "finite_scalar_quantize"
    if not isinstance(levels, tuple | list):
        raise TypeError(f"jaxact.{name}: levels must be a tuple of integers, got {type(levels).__name__}")
    for number in levels:
        checks.between(name, "levels", number, 2, 2**MOST_BITS)
    return _guarded_finite_scalar_quantize(x, tuple(levels))


@functools.partial(jax.jit, static_argnums=1)
def _guarded_finite_scalar_quantize(x, levels):
    x = checks.floating("finite_scalar_quantize", "x", x)
    if x.shape[-1:] != (len(levels),):
        message = f"levels must be one for each channel of shape {x.shape}, got {len(levels)}"
        raise ValueError(f"jaxact.finite_scalar_quantize: {message}")
    return rounded_once(lambda x: _finite_scalar_quantize(x, levels), x)


@jitted()
def integer_penalty(x: ArrayLike, /) -> jax.Array:
    r"""Penalty that pulls numbers to the nearest integer: 0 there, 1 half way.

    .. math:: f(x) = \sin^2(\pi x), \qquad f'(x) = \pi \sin(2 \pi x)

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, in [0, 1].

    Raises:
      TypeError: `x` is not floating.

    Special values: exactly 0 at integers and 1 at halves, with slope 0, however large they are. ±inf and NaN give NaN.

    >>> import jax, jaxact
    >>> print(jaxact.integer_penalty(3.0), jaxact.integer_penalty(1e6 + 0.5), jax.grad(jaxact.integer_penalty)(7.0))
    0.0 1.0 0.0

    See also: `fake_quantize`, which rounds.
    """
    return rounded_once(_integer_penalty, checks.floating("integer_penalty", "x", x))


# fake_quantize


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _fake_quantize(x, scale, zero_point, low, high):
    # The zero point is taken from the range, not added to the integer: so nothing is rounded on the way there and back.
    level = jnp.clip(jnp.round(quotient(x, scale)), low - zero_point, high - zero_point)
    return level * _positive(scale)


@_fake_quantize.defjvp
def _fake_quantize_jvp(low, high, primals, tangents):
    x, scale, zero_point = primals
    x_dot, scale_dot, zero_point_dot = tangents
    value, scale = _fake_quantize(x, scale, zero_point, low, high), _positive(scale)
    first, last = low - zero_point, high - zero_point
    below, above = x < first * scale, x > last * scale
    steps = lax.stop_gradient(quotient(x, scale))
    scale_slope = jnp.where(below, first, jnp.where(above, last, jnp.round(steps) - steps))
    zero = zero_unless_nan(x + scale)
    x_slope, zero_point_slope = jnp.where(below | above, 0, 1) + zero, jnp.where(below | above, -scale, 0) + zero
    return value, x_slope * x_dot + scale_slope * scale_dot + zero_point_slope * zero_point_dot


def _positive(scale):
    return jnp.where(scale > 0, scale, jnp.nan)


# finite_scalar_quantize


def _finite_scalar_quantize(x, levels):
    half, offset, shift, _ = _constants(levels, x)
    count = _channels([number // 2 for number in levels], x)
    last = _channels([(number - 1) // 2 for number in levels], x)
    # More than a thousand levels are stretched by more than half of one.
    level = jnp.clip(jnp.round(logistic.tanh(x + shift) * half - offset), -count, last)
    return pin(quotient(level, count), _tanh(x, levels) * (half / count))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _tanh(x, levels):
    """`tanh(x + shift)`, the shift that of each number of levels."""
    _, _, shift, _ = _constants(levels, x)
    return logistic.tanh(x + shift)


@_tanh.defjvp
def _tanh_jvp(levels, primals, tangents):
    (x,), (t,) = primals, tangents
    return _tanh(x, levels), _sech_squared(x, levels) * t


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _sech_squared(x, levels):
    """`sech(x + shift)**2`; rounding the sum would cost 40 ulp in the tail, so the shift becomes a factor instead."""
    _, _, _, factor = _constants(levels, x)
    u = jnp.exp(-2 * jnp.abs(x)) * jnp.where(x < 0, factor, 1 / factor)
    r = 1 / (1 + u)
    return (4 * u * r) * r


@_sech_squared.defjvp
def _sech_squared_jvp(levels, primals, tangents):
    (x,), (t,) = primals, tangents
    value = _sech_squared(x, levels)
    return value, -2 * _tanh(x, levels) * value * t


def _constants(levels, x):
    """Half the stretched range, the offset of even numbers of levels, its shift of `x`, and `exp` of twice that."""
    offset = [0.5 * (number % 2 == 0) for number in levels]
    half = [(number - 1) * STRETCH / 2 for number in levels]
    ratio = [o / h for o, h in zip(offset, half, strict=True)]
    shift, factor = [math.atanh(k) for k in ratio], [(1 + k) / (1 - k) for k in ratio]
    return tuple(_channels(numbers, x) for numbers in (half, offset, shift, factor))


def _channels(numbers, x):
    return jnp.broadcast_to(jnp.asarray(np.array(numbers), x.dtype), x.shape)


# integer_penalty


@jax.custom_jvp
def _integer_penalty(x):
    r = _from_integer(x)
    near = jnp.abs(r) < 0.25
    t = jnp.where(near, r, 0.5 - jnp.abs(r))
    square = t * polynomial(coefficients.SIN_PI_SQUARED, t * t) * t
    return jnp.where(near, square, 1 - square)


@_integer_penalty.defjvp
def _integer_penalty_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _integer_penalty(x), math.pi * _sine(2 * _from_integer(x)) * t


@jax.custom_jvp
def _sine(x):
    """`sin(pi * x)` for `x` in [-1, 1]."""
    r = _from_integer(x)
    return jnp.where(x == r, 1, -1) * sin_pi(r)


@_sine.defjvp
def _sine_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _sine(x), math.pi * _cosine(x) * t


@jax.custom_jvp
def _cosine(x):
    """`cos(pi * x)` for `x` in [-1, 1]."""
    r = _from_integer(x)
    return jnp.where(x == r, 1, -1) * cos_pi(r)


@_cosine.defjvp
def _cosine_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _cosine(x), -math.pi * _sine(x) * t


def _from_integer(x):
    """The distance from the nearest integer, with its sign; exact."""
    return x - jnp.round(x)
