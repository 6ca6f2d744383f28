"""The surrogate reading of a kernel: the value is the hard staircase's, exactly; the derivative is the soft one's.

The one idea: `surrogate` of the hard and the soft staircase. Under `jit`, a program that takes no derivative holds
nothing but the hard one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._jit import jitted
from jaxact._kernel import Kernel, check_kernel, evaluated
from jaxact._kernels import Box
from jaxact._soft_staircases import ternary
from jaxact._surrogate import straight_through, surrogate

HARD = {"surrogate_round": jnp.round, "surrogate_floor": jnp.floor, "surrogate_ceil": jnp.ceil}


def surrogate_round(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Rounding with the derivative of `soft_round`.

    .. math:: f(x) = \operatorname{round}(x), \qquad f' = \operatorname{soft\_round}'

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, of integers, halves to even, exact for every number.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -0.0, ±inf and NaN are kept. The slope is finite everywhere, largest half-way between integers.

    >>> import jax, jaxact
    >>> f = lambda x: jaxact.surrogate_round(x, jaxact.Triangle(width=1.0))
    >>> print(f(2.5), jax.grad(f)(2.5))
    2.0 2.0

    See also: `round_ste`, which is this with `Box(width=1.0)`, and `soft_round`.
    """
    return _rounded("surrogate_round", x, kernel)


def surrogate_floor(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Floor with the derivative of `soft_floor`.

    .. math:: f(x) = \lfloor x \rfloor, \qquad f' = \operatorname{soft\_floor}'

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, of integers, exact for every number.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -0.0, ±inf and NaN are kept. The slope is finite everywhere, largest at integers.

    >>> import jax, jaxact
    >>> f = lambda x: jaxact.surrogate_floor(x, jaxact.Triangle(width=1.0))
    >>> print(f(2.75), jax.grad(f)(2.75))
    2.0 1.0

    See also: `floor_ste`, which is this with `Box(width=1.0)`, and `soft_floor`.
    """
    return _rounded("surrogate_floor", x, kernel)


def surrogate_ceil(x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Ceiling with the derivative of `soft_ceil`.

    .. math:: f(x) = \lceil x \rceil, \qquad f' = \operatorname{soft\_ceil}'

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, of integers, exact for every number.

    Raises:
      TypeError: `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -0.0, ±inf and NaN are kept. The slope is finite everywhere, largest at integers.

    >>> import jax, jaxact
    >>> f = lambda x: jaxact.surrogate_ceil(x, jaxact.Triangle(width=1.0))
    >>> print(f(2.25), jax.grad(f)(2.25))
    3.0 1.0

    See also: `ceil_ste`, which is this with `Box(width=1.0)`, and `soft_ceil`.
    """
    return _rounded("surrogate_ceil", x, kernel)


@jitted()
def surrogate_heaviside(
    x: ArrayLike, kernel: Kernel, /, *, at_zero: ArrayLike = 0.0, gain: ArrayLike = 1.0
) -> jax.Array:
    r"""The unit step with the kernel as its derivative: a spike with a surrogate gradient.

    .. math:: f(x) = \mathbb{1}[x > 0], \qquad f'(x) = g \operatorname{pdf}(x)

    Args:
      x: floating array of any shape; in a spiking network the membrane potential less the threshold.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.
      at_zero: the value at 0, a number or an array that broadcasts to `x`; it has no derivative.
      gain: :math:`g`, factor of the derivative, likewise; `gain=2 / slope` makes `FastSigmoid` that of SuperSpike.

    Returns:
      Array of the shape and dtype of `x`, of zeros and ones.

    Raises:
      TypeError: `x` is not floating, `kernel` not a `Kernel` of real numbers, or an option not real.
      ValueError: an option or a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: `at_zero` at 0 and -0.0. NaN gives NaN.

    >>> import jax, jaxact
    >>> spike = lambda x: jaxact.surrogate_heaviside(x, jaxact.Arctan(alpha=2.0))
    >>> print(spike(0.1), jax.grad(spike)(0.0))
    1.0 1.0

    See also: `soft_heaviside`, `stochastic_heaviside`. Source: Neftci, Mostafa and Zenke, "Surrogate Gradient Learning
    in Spiking Neural Networks", 2019.
    """
    at_zero = _value("surrogate_heaviside", "at_zero", at_zero, x)

    def hard(x):
        return jnp.where(x == 0, at_zero, (jnp.sign(x) + 1) / 2)

    return _surrogate(
        "surrogate_heaviside", hard, lambda kernel, x, gain: gain * kernel._heaviside(x), x, kernel, gain=gain
    )


@jitted()
def surrogate_sign(x: ArrayLike, kernel: Kernel, /, *, at_zero: ArrayLike = 0.0, gain: ArrayLike = 1.0) -> jax.Array:
    r"""The sign with twice the kernel as its derivative.

    .. math:: f(x) = \operatorname{sign}(x), \qquad f'(x) = 2 g \operatorname{pdf}(x)

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.
      at_zero: the value at 0, a number or an array that broadcasts to `x`; it has no derivative.
      gain: :math:`g`, factor of the derivative, likewise.

    Returns:
      Array of the shape and dtype of `x`: -1, 1, or `at_zero`.

    Raises:
      TypeError: `x` is not floating, `kernel` not a `Kernel` of real numbers, or an option not real.
      ValueError: an option or a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: `at_zero` at 0; where that is 0, -0.0 is kept. NaN gives NaN.

    >>> import jax, jaxact
    >>> f = lambda x: jaxact.surrogate_sign(x, jaxact.Triangle(width=2.0))
    >>> print(f(0.25), jax.grad(f)(0.25))
    1.0 1.5

    See also: `sign_ste`, which is this with `Box(width=2.0)`, and `soft_sign`.
    """
    at_zero = _value("surrogate_sign", "at_zero", at_zero, x)

    def hard(x):
        return jnp.where((x == 0) & (at_zero != 0), at_zero, jnp.sign(x))

    return _surrogate("surrogate_sign", hard, lambda kernel, x, gain: gain * kernel._sign(x), x, kernel, gain=gain)


@jitted()
def surrogate_ternary(x: ArrayLike, kernel: Kernel, /, *, threshold: ArrayLike = 0.5) -> jax.Array:
    r"""The staircase with the treads -1, 0 and 1, with the derivative of `soft_ternary`.

    .. math:: f(x) = \operatorname{sign}(x)\,\mathbb{1}[|x| > t], \qquad f' = \operatorname{soft\_ternary}'

    Args:
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.
      threshold: :math:`t`, where the upper step is; a number that is not negative, or an array that broadcasts to `x`;
        traced, with the derivative of `soft_ternary`.

    Returns:
      Array of the shape and dtype of `x`: -1, 0 or 1.

    Raises:
      TypeError: `x` is not floating, `kernel` not a `Kernel` of real numbers, or `threshold` not real.
      ValueError: `threshold` or a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: 0 at the thresholds themselves. NaN gives NaN, and so does a negative threshold.

    >>> import jax, jaxact
    >>> f = lambda x: jaxact.surrogate_ternary(x, jaxact.Triangle(width=1.0))
    >>> print(f(0.75), jax.grad(f)(0.75))
    1.0 1.0

    See also: `ternary_ste`, which is this with `Box(width=1.0)`, and `soft_ternary`.
    """
    limit = _value("surrogate_ternary", "threshold", threshold, x)

    def hard(x):
        return jnp.where(limit >= 0, jnp.where(jnp.abs(x) <= limit, 0, jnp.sign(x)), jnp.nan)

    return _surrogate("surrogate_ternary", hard, ternary, x, kernel, threshold=threshold)


def _rounded(function: str, x: ArrayLike, kernel: Kernel) -> jax.Array:
    # What is no argument of jit is refused here: JAX would name the function below.
    check_kernel(function, kernel)
    checks.array_like(function, "x", x)
    # A box that is known to fill the cell needs no derivative but 1, and then nothing has to be read for it.
    fills = isinstance(kernel, Box) and isinstance(kernel.width, int | float) and kernel.width >= 1
    return _straight(function, x) if fills else _softened(function, x, kernel)


@functools.partial(jax.jit, static_argnames="function")
def _straight(function, x):
    return straight_through(HARD[function])(checks.floating(function, "x", x))


@functools.partial(jax.jit, static_argnames="function")
def _softened(function, x, kernel):
    name = function.removeprefix("surrogate_")
    return _surrogate(function, HARD[function], lambda kernel, x: kernel._staircase(name, x), x, kernel)


def _value(function, argument, value, x):
    """What the hard staircase needs, in the dtype of `x`."""
    array, data = checks.real(function, argument, value), checks.floating(function, "x", x)
    checks.broadcastable(function, argument, array, data)
    return array if array.dtype == data.dtype else array.astype(data.dtype)


def _surrogate(
    function: str,
    hard: Callable[[jax.Array], jax.Array],
    method: Callable[..., jax.Array],
    x: ArrayLike,
    kernel: Kernel,
    **options: ArrayLike,
) -> jax.Array:
    def soft(x):
        return evaluated(function, method, kernel, x, options=options)

    return surrogate(hard, soft)(checks.floating(function, "x", x))
