"""The soft reading of a kernel: every step of a staircase is replaced by the kernel's distribution function.

The one idea: with `r = x - round(x)`, which is exact, nothing is lost close to an integer or far from 0. Round, floor
and ceil use the kernel normalised over one cell, so that they are continuous and rise by exactly 1 from cell to cell.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact._jit import jitted
from jaxact._kernel import Kernel, evaluated


@jitted()
def soft_round(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Rounding with steps softened by a kernel: smooth, increasing, exact at integers and half-way between them.

    .. math:: f(x) = n + \frac{F(x - n - \frac12) - F(-\frac12)}{F(\frac12) - F(-\frac12)}, \qquad
              n = \lfloor x \rfloor, \qquad F = \operatorname{cdf}

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: integers, ±inf and NaN are kept. The slope at an integer is that of the kernel 1/2 from its centre;
    it has a kink there, and the second derivative is that from above. The mean slope is 1.

    >>> import jaxact
    >>> print(f"{jaxact.soft_round(0.4, jaxact.Logistic(steepness=10.0)):.4f}")
    0.2658

    See also: `soft_round_inverse`, `surrogate_round`, `stochastic_round`. Source for the logistic kernel: Agustsson and
    Theis, "Universally Quantized Neural Compression", 2020, with steepness = 2 alpha.
    """
    return evaluated("soft_round", lambda kernel, x: kernel._staircase("round", x), kernel, x)


@jitted()
def soft_floor(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Floor with steps softened by a kernel: `soft_round` moved by a half, without rounding `x - 1/2`.

    .. math:: f(x) = n - 1 + \frac{F(x - n) - F(-\frac12)}{F(\frac12) - F(-\frac12)}, \qquad
              n = \operatorname{round}(x), \qquad F = \operatorname{cdf}

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: n - 1/2 at an integer n, n at n + 1/2; ±inf and NaN are kept.

    >>> import jaxact
    >>> print(f"{jaxact.soft_floor(1.1, jaxact.Logistic(steepness=10.0)):.4f}")
    0.7342

    See also: `surrogate_floor`, `stochastic_floor`, `soft_ceil`.
    """
    return evaluated("soft_floor", lambda kernel, x: kernel._staircase("floor", x), kernel, x)


@jitted()
def soft_ceil(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Ceiling with steps softened by a kernel: 1 more than `soft_floor`.

    .. math:: f(x) = n + \frac{F(x - n) - F(-\frac12)}{F(\frac12) - F(-\frac12)}, \qquad
              n = \operatorname{round}(x), \qquad F = \operatorname{cdf}

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: n + 1/2 at an integer n, n + 1 at n + 1/2; ±inf and NaN are kept.

    >>> import jaxact
    >>> print(f"{jaxact.soft_ceil(0.9, jaxact.Logistic(steepness=10.0)):.4f}")
    1.2658

    See also: `surrogate_ceil`, `stochastic_ceil`, `soft_floor`.
    """
    return evaluated("soft_ceil", lambda kernel, x: kernel._staircase("ceil", x), kernel, x)


@jitted()
def soft_heaviside(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The unit step softened by a kernel: its distribution function.

    .. math:: f(x) = \operatorname{cdf}(x), \qquad f'(x) = \operatorname{pdf}(x)

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, in [0, 1], right also where it is small.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: 0 at -inf, 1/2 at 0, 1 at inf. NaN gives NaN.

    >>> import jaxact
    >>> print(jaxact.soft_heaviside(0.25, jaxact.Box(width=1.0)))
    0.75

    See also: `surrogate_heaviside`, `stochastic_heaviside`.
    """
    return evaluated("soft_heaviside", lambda kernel, x: kernel._heaviside(x), kernel, x)


@jitted()
def soft_sign(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The sign softened by a kernel, right also close to 0.

    .. math:: f(x) = 2\operatorname{cdf}(x) - 1, \qquad f'(x) = 2\operatorname{pdf}(x)

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, in [-1, 1].

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -1 at -inf, 0 at 0, 1 at inf. NaN gives NaN.

    >>> import jaxact
    >>> print(jaxact.soft_sign(0.5, jaxact.Box(width=2.0)))
    0.5

    See also: `surrogate_sign`, `stochastic_sign`.
    """
    return evaluated("soft_sign", lambda kernel, x: kernel._sign(x), kernel, x)


@jitted()
def soft_ternary(x: ArrayLike, kernel: Kernel, /, *, threshold: ArrayLike = 0.5) -> jax.Array:
    r"""The staircase with the treads -1, 0 and 1, softened by a kernel, right also close to 0.

    .. math:: f(x) = \operatorname{cdf}(x - t) - \operatorname{cdf}(-x - t), \qquad
              f'(x) = \operatorname{pdf}(x - t) + \operatorname{pdf}(x + t)

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.
      threshold: :math:`t`, where the upper step is; a number that is not negative, or an array that broadcasts to `x`;
        traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, in [-1, 1].

    Raises:
      TypeError: `x` is not floating, `kernel` not a `Kernel` of real numbers, or `threshold` not real.
      ValueError: `threshold` or a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -1 at -inf, 0 at 0, 1 at inf. NaN gives NaN, and so does a negative threshold.

    >>> import jaxact
    >>> print(jaxact.soft_ternary(0.75, jaxact.Box(width=1.0)))
    0.75

    See also: `surrogate_ternary`, `stochastic_ternary`.
    """
    return evaluated("soft_ternary", ternary, kernel, x, options={"threshold": threshold})


def ternary(kernel: Kernel, x: jax.Array, threshold: jax.Array) -> jax.Array:
    """The soft staircase, NaN where the threshold is negative."""
    return kernel._ternary(x, jnp.where(threshold >= 0, threshold, jnp.nan))
