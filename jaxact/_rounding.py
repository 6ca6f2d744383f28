"""Rounding that needs no kernel to be named: straight through, as activation functions, and back again.

The one idea: straight-through rounding passes the gradient on as it is; where the staircase ends, so does the gradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact import _kernel_rules as rules
from jaxact._bounded_shapes import Sine as SineShape
from jaxact._jit import jitted
from jaxact._kernel import Kernel, evaluated
from jaxact._numerics import rounded_once
from jaxact._piecewise import hard_tanh
from jaxact._surrogate import straight_through, surrogate
from jaxact._tailed_shapes import Logistic as LogisticShape


@jitted()
def round_ste(x: ArrayLike, /) -> jax.Array:
    r"""Rounding to the nearest integer, halves to even, with the derivative of the identity.

    .. math:: f(x) = \operatorname{round}(x), \qquad f'(x) = 1

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, exact for every number.

    Raises:
      TypeError: `x` is not floating.

    Special values: -0.0, ±inf and NaN are kept; the derivative is 1 everywhere, also there.

    >>> import jax, jaxact
    >>> print(jaxact.round_ste(2.5), jax.grad(jaxact.round_ste)(2.5))
    2.0 1.0

    See also: `surrogate_round`, of which this is the case `Box(width=1.0)`.
    """
    return straight_through(jnp.round)(checks.floating("round_ste", "x", x))


@jitted()
def floor_ste(x: ArrayLike, /) -> jax.Array:
    r"""The largest integer that is not above, with the derivative of the identity.

    .. math:: f(x) = \lfloor x \rfloor, \qquad f'(x) = 1

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, exact for every number.

    Raises:
      TypeError: `x` is not floating.

    Special values: -0.0, ±inf and NaN are kept; the derivative is 1 everywhere, also there.

    >>> import jax, jaxact
    >>> print(jaxact.floor_ste(-0.5), jax.grad(jaxact.floor_ste)(-0.5))
    -1.0 1.0

    See also: `surrogate_floor`, of which this is the case `Box(width=1.0)`.
    """
    return straight_through(jnp.floor)(checks.floating("floor_ste", "x", x))


@jitted()
def ceil_ste(x: ArrayLike, /) -> jax.Array:
    r"""The smallest integer that is not below, with the derivative of the identity.

    .. math:: f(x) = \lceil x \rceil, \qquad f'(x) = 1

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, exact for every number.

    Raises:
      TypeError: `x` is not floating.

    Special values: -0.0, ±inf and NaN are kept; the derivative is 1 everywhere, also there.

    >>> import jax, jaxact
    >>> print(jaxact.ceil_ste(0.5), jax.grad(jaxact.ceil_ste)(0.5))
    1.0 1.0

    See also: `surrogate_ceil`, of which this is the case `Box(width=1.0)`.
    """
    return straight_through(jnp.ceil)(checks.floating("ceil_ste", "x", x))


@jitted()
def trunc_ste(x: ArrayLike, /) -> jax.Array:
    r"""The nearest integer in the direction of 0, with the derivative of the identity.

    .. math:: f(x) = \operatorname{sign}(x) \lfloor |x| \rfloor, \qquad f'(x) = 1

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, exact for every number.

    Raises:
      TypeError: `x` is not floating.

    Special values: -0.0, ±inf and NaN are kept; the derivative is 1 everywhere, also there.

    >>> import jax, jaxact
    >>> print(jaxact.trunc_ste(-1.5), jax.grad(jaxact.trunc_ste)(-1.5))
    -1.0 1.0

    See also: `floor_ste`, `ceil_ste`.
    """
    return straight_through(jnp.trunc)(checks.floating("trunc_ste", "x", x))


@jitted()
def sign_ste(x: ArrayLike, /) -> jax.Array:
    r"""The sign, with the derivative of the identity between -1 and 1.

    .. math:: f(x) = \operatorname{sign}(x), \qquad f'(x) = \mathbb{1}[|x| \le 1]

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`: -1, 0 or 1.

    Raises:
      TypeError: `x` is not floating.

    Special values: 0 and -0.0 are kept, with slope 1. The slope at -1 and 1 is 1. NaN gives NaN, also in the slope.

    >>> import jax, jaxact
    >>> print(jaxact.sign_ste(-0.5), jax.grad(jaxact.sign_ste)(-0.5), jax.grad(jaxact.sign_ste)(2.0))
    -1.0 1.0 0.0

    See also: `surrogate_sign`, of which this is the case `Box(width=2.0)`. Source: Courbariaux et al.,
    "Binarized Neural Networks", 2016.
    """
    return surrogate(jnp.sign, hard_tanh)(checks.floating("sign_ste", "x", x))


@jitted()
def heaviside_ste(x: ArrayLike, /) -> jax.Array:
    r"""The unit step, with the derivative of the identity around it.

    .. math:: f(x) = \mathbb{1}[x > 0], \qquad f'(x) = \mathbb{1}[|x| \le \tfrac12]

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, of zeros and ones.

    Raises:
      TypeError: `x` is not floating.

    Special values: 0 at 0, with slope 1. The slope at -1/2 and 1/2 is 1. NaN gives NaN, also in the slope.

    >>> import jax, jaxact
    >>> print(jaxact.heaviside_ste(0.25), jax.grad(jaxact.heaviside_ste)(0.25), jax.grad(jaxact.heaviside_ste)(2.0))
    1.0 1.0 0.0

    See also: `surrogate_heaviside`, of which this is the case `Box(width=1.0)`.
    """

    def hard(x):
        return jnp.where(x == 0, 0, (jnp.sign(x) + 1) / 2)

    def soft(x):
        return hard_tanh(x, min_value=-0.5, max_value=0.5)

    return surrogate(hard, soft)(checks.floating("heaviside_ste", "x", x))


@jitted()
def ternary_ste(x: ArrayLike, /) -> jax.Array:
    r"""The treads -1, 0 and 1 with steps at -1/2 and 1/2, with the derivative of the identity between -1 and 1.

    .. math:: f(x) = \operatorname{sign}(x)\,\mathbb{1}[|x| > \tfrac12], \qquad f'(x) = \mathbb{1}[|x| \le 1]

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`: -1, 0 or 1.

    Raises:
      TypeError: `x` is not floating.

    Special values: 0 at -1/2 and 1/2. The slope at -1 and 1 is 1. NaN gives NaN, also in the slope.

    >>> import jax, jaxact
    >>> print(jaxact.ternary_ste(0.75), jax.grad(jaxact.ternary_ste)(0.75), jax.grad(jaxact.ternary_ste)(2.0))
    1.0 1.0 0.0

    See also: `surrogate_ternary`, of which this is the case `Box(width=1.0)`.
    """

    def hard(x):
        return jnp.where(jnp.abs(x) <= 0.5, 0, jnp.sign(x))

    return surrogate(hard, hard_tanh)(checks.floating("ternary_ste", "x", x))


@jitted()
def approx_round(x: ArrayLike, /, *, steepness: ArrayLike = 1.0) -> jax.Array:
    r"""A sigmoid in every cell between two integers, as it is used as a rounding activation; it jumps at integers.

    .. math:: f(x) = \lfloor x \rfloor + \sigma\bigl(s (x - \lfloor x \rfloor - \tfrac12)\bigr), \qquad
              f'(x) = s\,\sigma(s u)\,\sigma(-s u), \quad u = x - \lfloor x \rfloor - \tfrac12

    Args:
      x: floating array of any shape.
      steepness: :math:`s`, a positive number or an array that broadcasts to `x`, in units of 1/x; traced,
        differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `steepness` neither a real number nor an array of them.
      ValueError: `steepness` does not broadcast to the shape of `x`.

    Special values: it jumps by :math:`2\sigma(-s/2)` at an integer n, where it is n + sigmoid(-s / 2). ±inf and NaN are
    kept. NaN where the steepness is not positive.

    >>> import jax, jaxact
    >>> print(jaxact.approx_round(0.5), jax.grad(lambda x: jaxact.approx_round(x, steepness=8.0))(0.5))
    0.5 2.0

    See also: `soft_round`, which does not jump. The derivative that is published with it lacks the factor s.
    """
    x = checks.floating("approx_round", "x", x)
    steepness = checks.real("approx_round", "steepness", steepness)
    checks.broadcastable("approx_round", "steepness", steepness, x)

    def core(x, steepness):
        return rules.jumping_round(LogisticShape, x, jnp.where(steepness > 0, steepness, jnp.nan))

    return rounded_once(core, x, steepness)


def approx_round_sin(x: ArrayLike, /, *, width: ArrayLike = 0.1) -> jax.Array:
    r"""Rounding with steps of the shape of half a sine wave, flat between them.

    .. math:: f'(x) = \frac{\pi}{2w} \cos\frac{\pi u}{w} \text{ for } |u| \le \frac{w}{2}, \text{ else } 0, \qquad
              u = x - \lfloor x \rfloor - \tfrac12

    Args:
      x: floating array of any shape.
      width: :math:`w`, the width of a step, a number above 0 and at most 1, or an array that broadcasts to `x`; traced,
        differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `width` neither a real number nor an array of them.
      ValueError: `width` is a number that is not in (0, 1], or does not broadcast to the shape of `x`.

    Special values: integers, ±inf and NaN are kept. NaN where an array or a traced number for `width` is not in (0, 1].

    >>> import jaxact
    >>> print(jaxact.approx_round_sin(0.5), jaxact.approx_round_sin(0.4))
    0.5 0.0

    See also: `soft_round` with the kernel `Sine`, which is the same and takes any width.
    """
    if isinstance(width, int | float) and not 0 < width <= 1:
        raise ValueError(f"jaxact.approx_round_sin: width must be in (0, 1], got {width}")
    return _approx_round_sin(x, width)


@jax.jit
def _approx_round_sin(x, width):
    x = checks.floating("approx_round_sin", "x", x)
    width = checks.real("approx_round_sin", "width", width)
    checks.broadcastable("approx_round_sin", "width", width, x)

    def core(x, width):
        return rules.staircase(SineShape, "round", x, jnp.where((width > 0) & (width <= 1), width, jnp.nan))

    return rounded_once(core, x, width)


@jitted()
def soft_round_inverse(y: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The inverse of `soft_round` with the same kernel.

    .. math:: \operatorname{soft\_round}(f(y)) = y

    Args:
      y: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `y`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `y`.

    Raises:
      TypeError: `y` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `y`.

    Special values: integers, ±inf and NaN are kept. Where `soft_round` is flat, around integers for a kernel narrower
    than 1, the integer itself is given.

    >>> import jaxact
    >>> kernel = jaxact.Logistic(steepness=10.0)
    >>> print(f"{jaxact.soft_round_inverse(jaxact.soft_round(0.3, kernel), kernel):.4f}")
    0.3000

    See also: `soft_round_conditional_mean`. Source: Agustsson and Theis, "Universally Quantized Neural Compression",
    2020.
    """
    return evaluated("soft_round_inverse", lambda kernel, y: kernel._inverse("round", y), kernel, y, "y")


@jitted()
def soft_round_conditional_mean(y: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The mean of what `soft_round` was applied to, given its value plus uniform noise.

    .. math:: f(y) = \mathbb{E}[X \mid \operatorname{soft\_round}(X) + U = y]
              = \operatorname{soft\_round}^{-1}(y - \tfrac12) + \tfrac12

    Args:
      y: floating array of any shape: the value of `soft_round` plus noise that is uniform between -1/2 and 1/2.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `y`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `y`.

    Raises:
      TypeError: `y` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `y`.

    Special values: integers, ±inf and NaN are kept.

    >>> import jaxact
    >>> print(f"{jaxact.soft_round_conditional_mean(2.25, jaxact.Logistic(steepness=10.0)):.4f}")
    2.1081

    See also: `soft_round_inverse`. Source: Agustsson and Theis, "Universally Quantized Neural Compression", 2020, for a
    density of X that is constant over a cell.
    """
    return evaluated("soft_round_conditional_mean", lambda kernel, y: kernel._inverse("middle", y), kernel, y, "y")
