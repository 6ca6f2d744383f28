"""Piecewise linear activations, with the slope at every kink stated, and NaN kept in value and derivative.

The one idea: the slope is a constant of each piece, so the rule writes it out, instead of leaving it to what the
derivatives of max and clip happen to be where two pieces meet.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._jit import jitted
from jaxact._numerics import rounded_once, zero_unless_nan

MIN_VALUE, MAX_VALUE = -1.0, 1.0


@jitted()
def relu(x: ArrayLike, /) -> jax.Array:
    r"""Rectified linear unit.

    .. math:: \operatorname{relu}(x) = \max(x, 0)

    Args:
      x: floating array of any shape.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating.

    Slope: 0 for `x <= 0`, 1 for `x > 0`. NaN gives NaN, also in the slope.

    >>> import jax, jaxact
    >>> print(jaxact.relu(-1.5), jaxact.relu(1.5), jax.grad(jaxact.relu)(0.0))
    0.0 1.5 0.0

    See also: `jax.nn.relu`, which has the same value and slope except at NaN.
    """
    return rounded_once(_relu, checks.floating("relu", "x", x))


@jitted()
def leaky_relu(x: ArrayLike, /, *, negative_slope: ArrayLike = 0.01) -> jax.Array:
    r"""Leaky rectified linear unit.

    .. math:: \operatorname{leaky\_relu}(x) = \begin{cases} x & x \ge 0 \\ a x & x < 0 \end{cases}

    Args:
      x: floating array of any shape.
      negative_slope: :math:`a`, a number or an array that broadcasts to the shape of `x`; traced and differentiable.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or `negative_slope` is not a real number or an array of them.
      ValueError: `negative_slope` does not broadcast to the shape of `x`.

    Slope: 1 for `x >= 0`, `negative_slope` for `x < 0`. NaN gives NaN, also in the slope.

    >>> import jax, jaxact
    >>> print(jaxact.leaky_relu(-1.5), jaxact.leaky_relu(-1.5, negative_slope=0.2), jax.grad(jaxact.leaky_relu)(0.0))
    -0.015 -0.3 1.0

    See also: `jax.nn.leaky_relu`.
    """
    x = checks.floating("leaky_relu", "x", x)
    negative_slope = checks.real("leaky_relu", "negative_slope", negative_slope)
    checks.broadcastable("leaky_relu", "negative_slope", negative_slope, x)
    return rounded_once(_leaky_relu, x, negative_slope)


def hard_tanh(x: ArrayLike, /, *, min_value: ArrayLike = MIN_VALUE, max_value: ArrayLike = MAX_VALUE) -> jax.Array:
    r"""Identity clipped to an interval.

    .. math:: \operatorname{hard\_tanh}(x) = \min(\max(x, \text{min\_value}), \text{max\_value})

    Args:
      x: floating array of any shape.
      min_value: lower bound, a number or an array that broadcasts to the shape of `x`; traced and differentiable.
      max_value: upper bound, likewise.

    Returns:
      Array of the shape and dtype of `x`.

    Raises:
      TypeError: `x` is not floating, or a bound is not a real number or an array of them.
      ValueError: both bounds are plain numbers and `min_value` is not below `max_value`, or a bound does not broadcast
        to the shape of `x`. Where bounds in arrays are out of order, value and derivatives are NaN.

    Slope: 1 for `min_value <= x <= max_value`, 0 outside; in `min_value` it is 1 for `x < min_value`, in `max_value`
    for `x > max_value`, 0 elsewhere. NaN gives NaN, also in the slope.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> print(jaxact.hard_tanh(jnp.array([-3.0, 0.5, 3.0])), jax.grad(jaxact.hard_tanh)(1.0))
    [-1.   0.5  1. ] 1.0

    See also: `jax.nn.hard_tanh`, which has fixed bounds and the same slopes.
    """
    if min_value is MIN_VALUE and max_value is MAX_VALUE:
        return _guarded_hard_tanh(x)  # to hand over bounds takes as long as all the rest of a call
    checks.below("hard_tanh", min_value=min_value, max_value=max_value)
    return _guarded_hard_tanh(x, min_value, max_value)


@jax.jit
def _guarded_hard_tanh(x, min_value=MIN_VALUE, max_value=MAX_VALUE):
    x = checks.floating("hard_tanh", "x", x)
    min_value = checks.real("hard_tanh", "min_value", min_value)
    max_value = checks.real("hard_tanh", "max_value", max_value)
    checks.broadcastable("hard_tanh", "min_value", min_value, x)
    checks.broadcastable("hard_tanh", "max_value", max_value, x)
    return rounded_once(_hard_tanh, x, min_value, max_value)


@jax.custom_jvp
def _relu(x):
    return jnp.maximum(x, 0)


@_relu.defjvp
def _relu_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    return _relu(x), (jnp.where(x > 0, 1, 0) + zero_unless_nan(x)) * t


@jax.custom_jvp
def _leaky_relu(x, negative_slope):
    return jnp.where(x >= 0, x, negative_slope * jnp.minimum(x, 0))


@_leaky_relu.defjvp
def _leaky_relu_jvp(primals, tangents):
    x, negative_slope = primals
    x_dot, slope_dot = tangents
    slope = jnp.where(x >= 0, 1, negative_slope) + zero_unless_nan(x)
    return _leaky_relu(x, negative_slope), slope * x_dot + jnp.where(x >= 0, 0, x) * slope_dot


@jax.custom_jvp
def _hard_tanh(x, low, high):
    value = jnp.where(x < low, low, jnp.where(x > high, high, x))
    return jnp.where(low < high, value, jnp.nan)


@_hard_tanh.defjvp
def _hard_tanh_jvp(primals, tangents):
    x, low, high = primals
    x_dot, low_dot, high_dot = tangents
    zero = zero_unless_nan(jnp.where(low < high, x, jnp.nan))
    inside = jnp.where((x >= low) & (x <= high), 1, 0) + zero
    below, above = jnp.where(x < low, 1, 0) + zero, jnp.where(x > high, 1, 0) + zero
    return _hard_tanh(x, low, high), inside * x_dot + below * low_dot + above * high_dot
