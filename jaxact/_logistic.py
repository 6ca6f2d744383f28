"""The logistic family: sigmoid, tanh, softplus, their inverses and logarithms.

Each function here guards its arguments, promotes, and calls its core in `_logistic_core`, where the numerics and the
derivatives are. `beta` enters through an exactly rounded product, so that roots and tails stay right for any `beta`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact import _logistic_core as core
from jaxact._jit import jitted
from jaxact._numerics import at_product, rounded_once


@jitted()
def sigmoid(x: ArrayLike, /) -> jax.Array:
    r"""Logistic sigmoid, with a derivative that keeps its tail.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}, \qquad \sigma'(x) = \sigma(x)\,\sigma(-x)

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, in [0, 1].

    Raises:
      TypeError: `x` is not floating.

    Special values: 0 at -inf, 1 at inf, both with slope 0. NaN gives NaN.

    >>> import jax, jaxact
    >>> print(jaxact.sigmoid(0.0), jax.grad(jaxact.sigmoid)(30.0))
    0.5 9.357623e-14

    `jax.nn.sigmoid` differentiates to `s * (1 - s)`, which is 0 at 30.
    """
    return rounded_once(core.sigmoid, checks.floating("sigmoid", "x", x))


@jitted()
def log_sigmoid(x: ArrayLike, /) -> jax.Array:
    r"""Logarithm of the sigmoid, right in both tails.

    .. math:: \log\sigma(x) = -\log(1 + e^{-x}), \qquad \frac{d}{dx}\log\sigma(x) = \sigma(-x)

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, never positive.

    Raises:
      TypeError: `x` is not floating.

    Special values: -inf at -inf with slope 1, 0 at inf with slope 0. NaN gives NaN.

    >>> import jaxact
    >>> print(jaxact.log_sigmoid(-200.0), jaxact.log_sigmoid(20.0))
    -200.0 -2.0611537e-09

    See also: `softplus`, of which this is the mirror image `-softplus(-x)`.
    """
    return rounded_once(lambda v: -core.softplus(-v), checks.floating("log_sigmoid", "x", x))


@jitted()
def logit(p: ArrayLike, /) -> jax.Array:
    r"""Log odds, the inverse of the sigmoid, right to the last bits around 1/2.

    .. math:: \operatorname{logit}(p) = \log\frac{p}{1 - p}, \qquad \operatorname{logit}'(p) = \frac{1}{p (1 - p)}

    Args:
      p: floating array of any shape, probabilities in [0, 1].

    Returns:
      Array of the shape and dtype of `p`.

    Raises:
      TypeError: `p` is not floating.

    Special values: -inf at 0, 0 at 1/2, inf at 1; the slope is inf at 0 and 1. Outside [0, 1] value and derivatives
    are NaN.

    >>> import jaxact
    >>> print(jaxact.logit(0.50000006))
    2.3841858e-07

    Around 1/2 the series of `2 atanh(2p - 1)` is used, as `2p - 1` is exact there; elsewhere `p / (1 - p)` is reduced
    to `2**k * (1 + s) / (1 - s)`.
    """
    return rounded_once(core.logit, checks.floating("logit", "p", p))


@jitted()
def tanh(x: ArrayLike, /) -> jax.Array:
    r"""Hyperbolic tangent, with a derivative that keeps its tail.

    .. math:: \tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}}, \qquad \tanh'(x) = \frac{1}{\cosh^2 x}

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`, in [-1, 1].

    Raises:
      TypeError: `x` is not floating.

    Special values: -1 at -inf, 1 at inf, both with slope 0. NaN gives NaN.

    >>> import jax, jaxact
    >>> print(jaxact.tanh(20.0), jax.grad(jaxact.tanh)(20.0))
    1.0 1.6993417e-17

    `jnp.tanh` differentiates to `1 - tanh**2`, which is 0 at 20.
    """
    return rounded_once(core.tanh, checks.floating("tanh", "x", x))


@jitted()
def softplus(x: ArrayLike, /, *, beta: ArrayLike = 1.0) -> jax.Array:
    r"""Softplus, a smooth rectifier that is always positive.

    .. math:: \operatorname{softplus}_\beta(x) = \frac{1}{\beta}\log(1 + e^{\beta x}), \qquad
              \frac{d}{dx}\operatorname{softplus}_\beta(x) = \sigma(\beta x)

    Args:
      x: floating array of any shape.
      beta: steepness, a positive number or an array that broadcasts to the shape of `x`; traced and differentiable.
        In units of 1/x: the bend is about `1 / beta` wide.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `beta` is not a real number or an array of them.
      ValueError: `beta` does not broadcast to the shape of `x`.

    Special values: 0 at -inf with slope 0, inf at inf with slope 1. Where `beta` is not positive the result is NaN.

    >>> import jax.numpy as jnp, jaxact
    >>> print(jaxact.softplus(jnp.array([-2.0, 0.0, 2.0])))
    [0.12692802 0.6931472  2.126928  ]

    Computed as `max(x, 0) + log1p(exp(-abs(beta * x))) / beta`. See also: `softplus_inverse`.
    """
    x = checks.floating("softplus", "x", x)
    if _is_one(beta):
        return rounded_once(core.softplus, x)
    return rounded_once(_scaled_softplus, x, _beta("softplus", beta, x))


@jitted()
def softplus_inverse(y: ArrayLike, /, *, beta: ArrayLike = 1.0) -> jax.Array:
    r"""Inverse of softplus: the parameter whose softplus is `y`.

    .. math:: \operatorname{softplus}_\beta^{-1}(y) = \frac{1}{\beta}\log(e^{\beta y} - 1)
              = y + \frac{1}{\beta}\log(-\operatorname{expm1}(-\beta y)), \qquad
              \frac{d}{dy}\operatorname{softplus}_\beta^{-1}(y) = \frac{1}{1 - e^{-\beta y}}

    Args:
      y: floating array of any shape, positive.
      beta: steepness, a positive number or an array that broadcasts to the shape of `y`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `y`.

    Raises:
      TypeError: `y` is not floating, or `beta` is not a real number or an array of them.
      ValueError: `beta` does not broadcast to the shape of `y`.

    Special values: -inf at 0 with slope inf, 0 at `log(2) / beta`, inf at inf with slope 1. For negative `y` value and
    derivatives are NaN, as they are where `beta` is not positive.

    >>> import jaxact
    >>> print(jaxact.softplus_inverse(2.86), jaxact.softplus(jaxact.softplus_inverse(2.86)))
    2.8010259 2.86
    >>> print(jaxact.softplus_inverse(0.6931472), jaxact.softplus_inverse(1000.0))
    3.8093084e-09 1000.0

    The usual `y + log(-expm1(-y))` has no correct digit at the root ln 2, where both terms cancel. Here the logarithm
    is expanded about the root, with ln 2 in two parts.
    """
    y = checks.floating("softplus_inverse", "y", y)
    if _is_one(beta):
        return rounded_once(core.softplus_inverse, y)
    return rounded_once(_scaled_softplus_inverse, y, _beta("softplus_inverse", beta, y))


@jitted()
def log_softplus(x: ArrayLike, /, *, beta: ArrayLike = 1.0) -> jax.Array:
    r"""Logarithm of softplus: the log rate of a count whose rate is a softplus.

    .. math:: \log\operatorname{softplus}_\beta(x) = \log\left(\frac{1}{\beta}\log(1 + e^{\beta x})\right), \qquad
              \frac{d}{dx}\log\operatorname{softplus}_1(x) = \frac{\sigma(x)}{\operatorname{softplus}_1(x)}

    Args:
      x: floating array of any shape.
      beta: steepness, a positive number or an array that broadcasts to the shape of `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `beta` is not a real number or an array of them.
      ValueError: `beta` does not broadcast to the shape of `x`.

    Special values: -inf at -inf with slope `beta`, 0 at `log(e - 1)` for `beta = 1`, inf at inf with slope 0. Where
    `beta` is not positive the result is NaN. With another `beta` the result is `log_softplus(beta * x) - log(beta)`,
    right to the last bits of the larger of the two terms.

    >>> import jax.numpy as jnp, jaxact
    >>> print(jaxact.log_softplus(jnp.array([-1e30, 0.0, 1e30])))
    [-1.0000000e+30 -3.6651292e-01  6.9077553e+01]

    `log(softplus(x))` is -inf as soon as softplus underflows, and then a Poisson loss is NaN. See also: `poisson_nll`.
    """
    x = checks.floating("log_softplus", "x", x)
    if _is_one(beta):
        return rounded_once(core.log_softplus, x)
    return rounded_once(_scaled_log_softplus, x, _beta("log_softplus", beta, x))


@jitted()
def log1mexp(x: ArrayLike, /) -> jax.Array:
    r"""Logarithm of one minus the exponential of `-x`, as in `jax.nn.log1mexp`.

    .. math:: \operatorname{log1mexp}(x) = \log(1 - e^{-x}), \qquad
              \operatorname{log1mexp}'(x) = \frac{1}{e^x - 1}

    Args:
      x: floating array of any shape, positive.

    Returns:
      Array of the shape and dtype of `x`, never positive.

    Raises:
      TypeError: `x` is not floating.

    Special values: -inf at 0 with slope inf, 0 at inf with slope 0. For negative `x` value and derivatives are NaN.

    >>> import jax, jaxact
    >>> print(jaxact.log1mexp(1e-30), jaxact.log1mexp(20.0), jax.grad(jaxact.log1mexp)(1e-30))
    -69.07755 -2.0611537e-09 1e+30

    See: M. Maechler, Accurately computing log(1 - exp(-abs(a))), 2012.
    """
    return rounded_once(core.log1mexp, checks.floating("log1mexp", "x", x))


def _is_one(beta):
    # Left out, beta is still the Python number: the plain function then needs no product at all.
    return isinstance(beta, float) and beta == 1.0


def _beta(function, beta, data):
    beta = checks.real(function, "beta", beta)
    checks.broadcastable(function, "beta", beta, data)
    return beta


def _positive(beta):
    return jnp.where(beta > 0, beta, jnp.nan)


@jax.custom_jvp
def _scaled_softplus(x, beta):
    return jnp.maximum(x, 0) + at_product(core.softplus_tail, _positive(beta), x) / beta


@_scaled_softplus.defjvp
def _scaled_softplus_jvp(primals, tangents):
    x, beta = primals
    x_dot, beta_dot = tangents
    slope = at_product(core.softplus_slope, _positive(beta), x)
    beta_slope = -at_product(core.softplus_deficit, beta, x) / beta**2
    return _scaled_softplus(x, beta), slope * x_dot + beta_slope * beta_dot


@jax.custom_jvp
def _scaled_softplus_inverse(y, beta):
    lifted, _, log_lift = _lifted(y, beta)
    value = (at_product(core.softplus_inverse, _positive(beta), lifted) - log_lift) / beta
    return jnp.where(value == jnp.inf, y, value)  # beta * y may overflow while y does not


@_scaled_softplus_inverse.defjvp
def _scaled_softplus_inverse_jvp(primals, tangents):
    y, beta = primals
    y_dot, beta_dot = tangents
    lifted, lift, log_lift = _lifted(y, beta)
    slope = at_product(core.g, _positive(beta), lifted) * lift
    beta_slope = (at_product(core.softplus_inverse_surplus, beta, lifted) + log_lift) / beta**2
    return _scaled_softplus_inverse(y, beta), slope * y_dot + beta_slope * beta_dot


def _lifted(y, beta):
    """`y` times `lift`, `lift` and its logarithm: 1, or a power of 2 where `beta * y` might underflow.

    So far below 1 the inverse is the logarithm of the product, its slope a reciprocal, to the last bit and beyond.
    """
    exponent = -jnp.finfo(y.dtype).minexp // 2
    small = jnp.abs(beta * y) < 2.0 ** (-3 * exponent // 2)
    lift = jnp.where(small, 2.0**exponent, 1.0).astype(y.dtype)
    return y * lift, lift, jnp.where(small, exponent * math.log(2), 0.0).astype(y.dtype)


@jax.custom_jvp
def _scaled_log_softplus(x, beta):
    return at_product(core.log_softplus, _positive(beta), x) - jnp.log(beta)


@_scaled_log_softplus.defjvp
def _scaled_log_softplus_jvp(primals, tangents):
    x, beta = primals
    x_dot, beta_dot = tangents
    slope_of_log = at_product(core.log_softplus_slope, _positive(beta), x)
    deficit = at_product(core.log_softplus_deficit, beta, x)
    # log_softplus(z) - log(beta) with z = beta * x: x * r(z) - 1 / beta, whose terms cancel for positive z only.
    beta_slope = jnp.where(x < 0, x * slope_of_log, 0) - jnp.where(x < 0, 1, deficit) / beta
    return _scaled_log_softplus(x, beta), beta * slope_of_log * x_dot + beta_slope * beta_dot
