"""The kernels of the library, each a known shape with one positive parameter.

The one idea: what a kernel is good for follows from its shape, so that a kernel is nothing but the name of its
parameter and a shape, whose formulas are in `_bounded_shapes` and `_tailed_shapes`.
"""

from __future__ import annotations

import dataclasses
import typing

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _bounded_shapes as bounded
from jaxact import _checks as checks
from jaxact import _kernel_inverses as inverses
from jaxact import _kernel_rules as rules
from jaxact import _tailed_shapes as tailed
from jaxact._kernel import Kernel, evaluated


class _Shaped(Kernel):
    """A kernel of a known shape with one positive parameter."""

    _shape: typing.ClassVar[rules.Kind]

    def __post_init__(self) -> None:
        (field,) = dataclasses.fields(self)
        checks.positive(type(self).__name__, field.name, getattr(self, field.name))

    def cdf(self, u: ArrayLike) -> jax.Array:
        """The probability of at most `u`: a floating array, whose shape and dtype the result has."""
        return _cdf(self, u)

    def pdf(self, u: ArrayLike) -> jax.Array:
        """The density at `u`: a floating array, whose shape and dtype the result has."""
        return _pdf(self, u)

    def quantile(self, p: ArrayLike) -> jax.Array:
        """The inverse of `cdf`: a floating array of the shape and dtype of `p`, NaN outside [0, 1]."""
        return _quantile(self, p)

    @property
    def _parameter(self):
        (parameter,) = jax.tree.leaves(self)
        return jnp.where(parameter > 0, parameter, jnp.nan)

    def _heaviside(self, u):
        return rules.cdf(self._shape, u, self._parameter)

    def _density(self, u):
        return rules.density(self._shape, u, jnp.zeros_like(u), self._parameter)

    def _quantile(self, p):
        return inverses.quantile(self._shape, p, self._parameter)

    def _sign(self, u):
        return rules.sign(self._shape, u, self._parameter)

    def _ternary(self, x, threshold):
        return rules.ternary(self._shape, x, threshold, self._parameter)

    def _staircase(self, name, x):
        return rules.staircase(self._shape, name, x, self._parameter)

    def _part_of_step(self, at):
        return rules.part_of_step(self._shape, at, self._parameter)

    def _inverse(self, name, y):
        return inverses.inverse(self._shape, name, y, self._parameter)


@jax.jit
def _cdf(kernel: _Shaped, u: ArrayLike) -> jax.Array:
    return evaluated(f"{type(kernel).__name__}.cdf", lambda kernel, u: kernel._heaviside(u), kernel, u, "u")


@jax.jit
def _pdf(kernel: _Shaped, u: ArrayLike) -> jax.Array:
    return evaluated(f"{type(kernel).__name__}.pdf", lambda kernel, u: kernel._density(u), kernel, u, "u")


@jax.jit
def _quantile(kernel: _Shaped, p: ArrayLike) -> jax.Array:
    return evaluated(f"{type(kernel).__name__}.quantile", lambda kernel, p: kernel._quantile(p), kernel, p, "p")


class Box(_Shaped):
    r"""Uniform density: the straight-through kernel. `surrogate_round` with a width of 1 is `round_ste`.

    .. math:: \operatorname{pdf}(u) = \frac{1}{w} \text{ for } |u| \le \frac{w}{2}, \text{ else } 0

    Args:
      width: positive number, or array of them that broadcasts to the data, :math:`w`, the whole support; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `width` is neither a number nor an array of them.
      ValueError: `width` is a number that is not positive. In an array such a one makes the results NaN.

    The density counts as 1 / width on the edge itself.
    With a width of 2, `surrogate_sign` has the slope of Courbariaux et al., "Binarized Neural Networks", 2016.

    >>> import jaxact
    >>> kernel = jaxact.Box()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 1.000 0.400
    """

    width: ArrayLike = 1.0
    _shape = bounded.Box


class Triangle(_Shaped):
    r"""Triangular density.

    .. math:: \operatorname{pdf}(u) = \frac{2}{w}\Bigl(1 - \frac{2|u|}{w}\Bigr) \text{ for } |u| \le \frac{w}{2},
              \text{ else } 0

    Args:
      width: positive number, or array of them that broadcasts to the data, :math:`w`, the whole support; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `width` is neither a number nor an array of them.
      ValueError: `width` is a number that is not positive. In an array such a one makes the results NaN.

    The slope of the density is 0 at its kink in the centre, and at the edge that from inside.
    With a width of 2, `surrogate_sign` has the slope 2 - 2 abs(x) of Larq's `approx_sign`: Liu et al.,
    "Bi-Real Net", 2018.

    >>> import jaxact
    >>> kernel = jaxact.Triangle()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 1.000 0.276
    """

    width: ArrayLike = 1.0
    _shape = bounded.Triangle


class Sine(_Shaped):
    r"""Density of the shape of a half sine wave.

    .. math:: \operatorname{pdf}(u) = \frac{\pi}{2w} \cos\frac{\pi u}{w} \text{ for } |u| \le \frac{w}{2},
              \text{ else } 0

    Args:
      width: positive number, or array of them that broadcasts to the data, :math:`w`, the whole support; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `width` is neither a number nor an array of them.
      ValueError: `width` is a number that is not positive. In an array such a one makes the results NaN.

    The slope of the density at the edge is that from inside.
    The kernel behind `approx_round_sin`.

    >>> import jaxact
    >>> kernel = jaxact.Sine()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 1.111 0.295
    """

    width: ArrayLike = 1.0
    _shape = bounded.Sine


class Logistic(_Shaped):
    r"""Logistic density: steps become sigmoids.

    .. math:: \operatorname{cdf}(u) = \sigma(s u), \qquad \operatorname{pdf}(u) = s\,\sigma(s u)\,\sigma(-s u)

    Args:
      steepness: positive number, or array of them that broadcasts to the data, :math:`s`, in units of 1/u; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `steepness` is neither a number nor an array of them.
      ValueError: `steepness` is a number that is not positive. In an array such a one makes the results NaN.

    `soft_round` with it is the soft rounding of Agustsson and Theis, "Universally Quantized Neural Compression", 2020,
    with steepness = 2 alpha, and that of TensorFlow Compression.

    >>> import jaxact
    >>> kernel = jaxact.Logistic()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 0.786 0.549
    """

    steepness: ArrayLike = 4.0
    _shape = tailed.Logistic


class Arctan(_Shaped):
    r"""Cauchy density: steps become arctangents.

    .. math:: \operatorname{pdf}(u) = \frac{\alpha / 2}{1 + (\pi \alpha u / 2)^2}

    Args:
      alpha: positive number, or array of them that broadcasts to the data, :math:`\alpha`, in units of 1/u; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `alpha` is neither a number nor an array of them.
      ValueError: `alpha` is a number that is not positive. In an array such a one makes the results NaN.

    The spiking surrogate of Fang et al., "Incorporating Learnable Membrane Time Constant", 2021.

    >>> import jaxact
    >>> kernel = jaxact.Arctan()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 0.618 0.980
    """

    alpha: ArrayLike = 2.0
    _shape = tailed.Arctan


class FastSigmoid(_Shaped):
    r"""Density that falls like a power: steps become fast sigmoids.

    .. math:: \operatorname{cdf}(u) = \frac12 + \frac{b u / 2}{1 + b |u|}, \qquad
              \operatorname{pdf}(u) = \frac{b / 2}{(1 + b |u|)^2}

    Args:
      slope: positive number, or array of them that broadcasts to the data, :math:`b`, in units of 1/u; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `slope` is neither a number nor an array of them.
      ValueError: `slope` is a number that is not positive. In an array such a one makes the results NaN.

    The slope of the density is 0 at its kink in the centre.
    SuperSpike of Zenke and Ganguli, 2018, is `surrogate_heaviside` with it and `gain=2 / slope`.

    >>> import jaxact
    >>> kernel = jaxact.FastSigmoid()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 0.238 0.160
    """

    slope: ArrayLike = 25.0
    _shape = tailed.FastSigmoid


class Gaussian(_Shaped):
    r"""Normal density.

    .. math:: \operatorname{pdf}(u) = \frac{1}{\sqrt{2\pi}\,\sigma} e^{-u^2 / (2\sigma^2)}

    Args:
      sigma: positive number, or array of them that broadcasts to the data, :math:`\sigma`, the standard deviation, in
        units of u; traced, differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `sigma` is neither a number nor an array of them.
      ValueError: `sigma` is a number that is not positive. In an array such a one makes the results NaN.

    >>> import jaxact
    >>> kernel = jaxact.Gaussian()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 0.704 0.641
    """

    sigma: ArrayLike = 0.5
    _shape = tailed.Gaussian


class Laplace(_Shaped):
    r"""Laplace density: exponential on both sides.

    .. math:: \operatorname{pdf}(u) = \frac{1}{2c} e^{-|u| / c}

    Args:
      scale: positive number, or array of them that broadcasts to the data, :math:`c`, in units of u; traced,
        differentiable, and free to change from step to step without recompilation.

    Returns:
      A kernel, a frozen dataclass and pytree with the methods `cdf(u)`, `pdf(u)` and `quantile(p)`.

    Raises:
      TypeError: `scale` is neither a number nor an array of them.
      ValueError: `scale` is a number that is not positive. In an array such a one makes the results NaN.

    The slope of the density is 0 at its kink in the centre.

    >>> import jaxact
    >>> kernel = jaxact.Laplace()
    >>> print(kernel.cdf(0.0), f"{kernel.pdf(0.25):.3f} {kernel.quantile(0.9):.3f}")
    0.5 0.736 0.402
    """

    scale: ArrayLike = 0.25
    _shape = tailed.Laplace
