"""The stochastic reading of a kernel: the step of the input plus noise of that density.

The one idea: a step is taken with the probability that its soft reading gives, so that the expectation is the soft
staircase, exactly, and so is the derivative. What is compared with the noise is always the smaller of the probabilities
of two neighbouring treads, which has all its digits.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._jit import jitted
from jaxact._kernel import Kernel, evaluated
from jaxact._kernel_rules import cell
from jaxact._random import uniform
from jaxact._soft_staircases import ternary
from jaxact._surrogate import surrogate


@jitted()
def stochastic_round(key: jax.Array, x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Rounding up or down at random, with the expectation and the derivative of `soft_round`.

    .. math:: P(f(x) = \lfloor x \rfloor + 1) = \operatorname{soft\_round}(x) - \lfloor x \rfloor, \qquad
              f' = \operatorname{soft\_round}'

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable. The
        noise has its density, cut off 1/2 from the centre and normalised. `Box(width=1.0)` gives unbiased rounding.

    Returns:
      Array of the shape and dtype of `x`, of integers: each is one of the two next to `x`.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: integers, ±inf and NaN are kept. Probabilities are right to 2**-32.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 0.25)
    >>> print(f"{jaxact.stochastic_round(jax.random.key(0), x, jaxact.Box()).mean():.2f}")
    0.25

    See also: `soft_round`. Source: Gupta et al., "Deep Learning with Limited Numerical Precision", 2015.
    """
    return _stochastic("stochastic_round", key, _sampled("round"), _soft("round"), x, kernel)


@jitted()
def stochastic_floor(key: jax.Array, x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Floor at random, with the expectation and the derivative of `soft_floor`.

    .. math:: \mathbb{E} f(x) = \operatorname{soft\_floor}(x), \qquad f' = \operatorname{soft\_floor}'

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable. The
        noise has its density, cut off 1/2 from the centre and normalised.

    Returns:
      Array of the shape and dtype of `x`, of integers: each is `round(x)` or 1 less.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: ±inf and NaN are kept. Probabilities are right to 2**-32.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 2.25)
    >>> print(f"{jaxact.stochastic_floor(jax.random.key(0), x, jaxact.Box()).mean():.2f}")
    1.75

    See also: `soft_floor`, `stochastic_round`.
    """
    return _stochastic("stochastic_floor", key, _sampled("floor"), _soft("floor"), x, kernel)


@jitted()
def stochastic_ceil(key: jax.Array, x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""Ceiling at random, with the expectation and the derivative of `soft_ceil`.

    .. math:: \mathbb{E} f(x) = \operatorname{soft\_ceil}(x), \qquad f' = \operatorname{soft\_ceil}'

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable. The
        noise has its density, cut off 1/2 from the centre and normalised.

    Returns:
      Array of the shape and dtype of `x`, of integers: each is `round(x)` or 1 more.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: ±inf and NaN are kept. Probabilities are right to 2**-32.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 2.25)
    >>> print(f"{jaxact.stochastic_ceil(jax.random.key(0), x, jaxact.Box()).mean():.2f}")
    2.75

    See also: `soft_ceil`, `stochastic_round`.
    """
    return _stochastic("stochastic_ceil", key, _sampled("ceil"), _soft("ceil"), x, kernel)


@jitted()
def stochastic_heaviside(key: jax.Array, x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The unit step of `x` plus noise: a spike with the kernel's probability.

    .. math:: P(f(x) = 1) = \operatorname{cdf}(x), \qquad f'(x) = \operatorname{pdf}(x)

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`, of zeros and ones.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: 0 at -inf, 1 at inf. NaN gives NaN. Probabilities are right to 2**-32.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 0.25)
    >>> print(f"{jaxact.stochastic_heaviside(jax.random.key(0), x, jaxact.Box()).mean():.2f}")
    0.75

    See also: `soft_heaviside`, and `bernoulli_ste`, which is this with `Logistic(steepness=1.0)`.
    """
    return _stochastic("stochastic_heaviside", key, _spiked, lambda kernel, x: kernel._heaviside(x), x, kernel)


@jitted()
def stochastic_sign(key: jax.Array, x: ArrayLike, kernel: Kernel, /) -> jax.Array:
    r"""The sign of `x` plus noise.

    .. math:: P(f(x) = 1) = \operatorname{cdf}(x), \qquad f'(x) = 2\operatorname{pdf}(x)

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`: -1 or 1.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, or `kernel` not a `Kernel` of real numbers.
      ValueError: a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -1 at -inf, 1 at inf. NaN gives NaN. Probabilities are right to 2**-32.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 0.25)
    >>> print(f"{jaxact.stochastic_sign(jax.random.key(0), x, jaxact.Box()).mean():.1f}")
    0.5

    See also: `soft_sign`. Source: Courbariaux et al., "Binarized Neural Networks", 2016.
    """

    def sampled(kernel, x, noise):
        return 2 * _spiked(kernel, x, noise) - 1

    return _stochastic("stochastic_sign", key, sampled, lambda kernel, x: kernel._sign(x), x, kernel)


@jitted()
def stochastic_ternary(key: jax.Array, x: ArrayLike, kernel: Kernel, /, *, threshold: ArrayLike = 0.5) -> jax.Array:
    r"""The staircase with the treads -1, 0 and 1, of `x` plus noise.

    .. math:: P(f(x) = \pm 1) = \operatorname{cdf}(\pm x - t), \qquad f' = \operatorname{soft\_ternary}'

    Args:
      key: a key of `jax.random`.
      x: floating array of any shape.
      kernel: a `Kernel`, whose parameters are numbers or arrays that broadcast to `x`; traced and differentiable.
      threshold: :math:`t`, where the upper step is; a number that is not negative, or an array that broadcasts to `x`;
        traced, with the derivative of `soft_ternary`.

    Returns:
      Array of the shape and dtype of `x`: -1, 0 or 1.

    Raises:
      TypeError: `key` is not a key, `x` is not floating, `kernel` not a `Kernel` of real numbers, or `threshold` not
        real.
      ValueError: `threshold` or a parameter of the kernel does not broadcast to the shape of `x`.

    Special values: -1 at -inf, 1 at inf. NaN gives NaN, and so does a negative threshold.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> x = jnp.full(100_000, 0.75)
    >>> print(f"{jaxact.stochastic_ternary(jax.random.key(0), x, jaxact.Box()).mean():.2f}")
    0.75

    See also: `soft_ternary`.
    """

    def sampled(kernel, x, threshold, noise):
        size = jnp.abs(x)
        beyond, opposite = kernel._heaviside(threshold - size), kernel._heaviside(-threshold - size)
        step = jnp.where(noise < opposite, -1, jnp.where(noise < beyond, 0, 1))
        return jnp.where((threshold >= 0) & (size >= 0), jnp.where(x < 0, -step, step), jnp.nan)

    return _stochastic("stochastic_ternary", key, sampled, ternary, x, kernel, threshold=threshold)


def _soft(name):
    return lambda kernel, x: kernel._staircase(name, x)


def _sampled(name):
    def sampled(kernel, x, noise):
        at = cell(x, name)
        return at.tread + jnp.where(noise < kernel._part_of_step(at), at.direction, 0)

    return sampled


def _spiked(kernel, x, noise):
    rare = noise < kernel._heaviside(-jnp.abs(x))
    return jnp.where(jnp.isnan(x), x, jnp.where(x < 0, rare, ~rare).astype(x.dtype))


def _stochastic(
    function: str,
    key: jax.Array,
    sampled: Callable[..., jax.Array],
    soft: Callable[..., jax.Array],
    x: ArrayLike,
    kernel: Kernel,
    **options: ArrayLike,
) -> jax.Array:
    key, array = checks.key(function, "key", key), checks.floating(function, "x", x)
    noise = uniform(key, array.shape, array.dtype if array.dtype == jnp.float64 else jnp.float32)

    def hard(x):
        return evaluated(function, sampled, kernel, x, options={**options, "noise": noise})

    return surrogate(hard, lambda x: evaluated(function, soft, kernel, x, options=options))(array)
