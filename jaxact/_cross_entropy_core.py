"""The cores of the cross entropies.

The one idea for integer labels: leave the label's own term out of the sum of exponentials. With the maximum `m`, the
label's `d = x_label - m` and the sum `s` of `exp(x - m)` over all other classes, the loss is
`log1p(s + (exp(d) - 1)) - d`, a sum of nothing negative; and the derivative in the label's logit is
`-s / (s + exp(d))`. Neither is rounded to 0 by a confident prediction. That derivative is the softmax *centred* on the
label, in the terms of `_softmax_core`.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxact import _logistic_core as logistic
from jaxact._logistic_core import log1p
from jaxact._numerics import finite
from jaxact._row_sums import Axes, Names, all_sum, is_divided, row_sum, row_sums
from jaxact._softmax_core import (
    centre_of,
    centred_softmax,
    difference,
    exponentials,
    largest_sum,
    log_softmax,
    logsumexp,
    maximum,
    softmax,
)


def integer_label_nll(
    x: jax.Array,
    labels: jax.Array,
    ignored: jax.Array | None,
    where: jax.Array | None,
    axis: int,
    names: Names,
    label_smoothing: jax.Array | None = None,
    z_loss: jax.Array | None = None,
) -> jax.Array:
    """The loss of integer labels, the axis of the classes kept; NaN for labels that are no class."""
    labels = jnp.expand_dims(labels, axis)
    if ignored is not None:
        ignored = jnp.expand_dims(ignored, axis)
        labels, x = jnp.where(ignored, 0, labels), jnp.where(ignored, 0, x)
    size = x.shape[axis]
    valid = (labels >= 0) & (labels < size * lax.psum(1, names))
    first = lax.axis_index(names) * size if names else 0
    label = jnp.where(valid, labels, 0).astype(jnp.int32) - first
    loss = label_nll(x, label, jnp.where(valid, 0, jnp.nan).astype(x.dtype), axis, names)
    if label_smoothing is not None:
        uniform = _mean_nll(x, where, (axis,), names)
        loss = (1 - label_smoothing) * loss + label_smoothing * uniform
    if z_loss is not None:
        loss = loss + z_loss * logsumexp(x, (axis,), names) ** 2
    return loss if ignored is None else jnp.where(ignored, 0, loss)


def _mean_nll(x, where, axes, names):
    """The mean of `-log_softmax(x)` over the classes that count."""
    counted = jnp.ones_like(x) if where is None else where.astype(x.dtype)
    return soft_label_nll(x, counted / row_sum(counted, axes, names), axes, names)


def is_zero(option: ArrayLike) -> bool:
    """Whether the option is the plain number 0, in which case its term is left out."""
    return isinstance(option, int | float) and option == 0


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def label_nll(x: jax.Array, label: jax.Array, flaw: jax.Array, axis: int, names: Names) -> jax.Array:
    """`-log_softmax(x)` at the label, an index into the classes of this device if it is one; axis kept.

    Where `flaw` is NaN and not 0, so is the loss and every derivative.
    """
    _, _, total, shifted, label_exp = _around_label(x, label, flaw, axis, names)
    return log1p(jnp.maximum(total + (label_exp - 1), 0)) - shifted


@label_nll.defjvp
def _label_nll_jvp(axis, names, primals, tangents):
    centred = label_centred_softmax(*primals, axis, names)
    return label_nll(*primals, axis, names), row_sum(centred * tangents[0], (axis,), names)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def label_centred_softmax(x: jax.Array, label: jax.Array, flaw: jax.Array, axis: int, names: Names) -> jax.Array:
    """Softmax, less 1 at the label; 0 in a row of -inf. A label moves nothing, so the derivative is that of softmax."""
    others, scale, total, _, label_exp = _around_label(x, label, flaw, axis, names)
    share = 1 / jnp.maximum(total + label_exp, 1)
    return _replaced(others * (scale * share), label, -total * share, axis)


@label_centred_softmax.defjvp
def _label_centred_softmax_jvp(axis, names, primals, tangents):
    x, _, flaw = primals
    _, tangent = jax.jvp(lambda x: softmax(x, (axis,), names), (x,), tangents[:1])
    return label_centred_softmax(*primals, axis, names), tangent * (1 + flaw)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def soft_label_nll(x: jax.Array, y: jax.Array, axes: Axes, names: Names) -> jax.Array:
    """The sum of `-y * log_softmax(x)`, axes kept, in which a weight of 0 makes 0 of an infinite loss."""
    (loss,) = row_sums((expectation(-log_softmax(x, axes, names), y),), axes, names)
    return loss


@soft_label_nll.defjvp
def _soft_label_nll_jvp(axes, names, primals, tangents):
    x, y = primals
    x_dot, y_dot = tangents
    nll = finite(-log_softmax(x, axes, names))
    tangent = row_sum(_soft_label_slope(x, y, axes, names) * x_dot + nll * y_dot, axes, names)
    return soft_label_nll(x, y, axes, names), tangent


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _soft_label_slope(x, y, axes, names):
    """The softmax times the sum of `y`, less `y`; 0 in a row of -inf."""
    return _less_labels(x, y, axes, names, row_sums)


@_soft_label_slope.defjvp
def _soft_label_slope_jvp(axes, names, primals, tangents):
    x, y = primals
    x_dot, y_dot = tangents

    def sums(arrays, axes, names):
        return [row_sum(array, axes, names) for array in arrays]

    _, p_dot = jax.jvp(lambda x: softmax(x, axes, names), (x,), (x_dot,))
    tangent = row_sum(y, axes, names) * p_dot + _less_labels(x, y_dot, axes, names, sums)
    return _soft_label_slope(x, y, axes, names), tangent


def _less_labels(x, y, axes, names, sums):
    """The slope in `x`, linear in `y` if `sums` is. Where softmax is above 1/2, it is of what `y` is elsewhere."""
    centre = centre_of(lax.stop_gradient(x), axes, names)
    at_centre, elsewhere = sums((jnp.where(centre, y, 0), jnp.where(centre, 0, y)), axes, names)
    slope = (at_centre + elsewhere) * centred_softmax(x, axes, names) + jnp.where(centre, elsewhere, -y)
    return jnp.where(maximum(x, axes, names) == -jnp.inf, 0, slope)


def _around_label(x, label, flaw, axis, names):
    """Exponentials of all classes but the label, their scale, their sum; the label's `x - maximum`, its exponential."""
    peak = maximum(x, (axis,), names)
    exp, scale = exponentials(x, peak)
    others = _replaced(exp, label, 0, axis)
    (total,) = row_sums((others,), (axis,), names, largest_sum(x, scale, (axis,), names))
    at_label = all_sum(_taken(x, label, axis), names)
    shifted = difference(at_label, peak)
    label_exp = jnp.where(shifted == 0, 1, scale * exponentials(at_label, peak)[0])
    return others, scale, scale * total + flaw, shifted, label_exp


def _taken(x, index, axis):
    """`x` at the index along the axis, 0 where the index lies outside."""
    if is_divided(x):
        return jnp.sum(jnp.where(_is_at(index, x, axis), x, 0), axis, keepdims=True)
    inside = (index >= 0) & (index < x.shape[axis])
    return jnp.where(inside, jnp.take_along_axis(x, jnp.where(inside, index, 0), axis), 0)


def _replaced(x, index, value, axis):
    """`x` with the value at the index along the axis, unless the index lies outside: done in place, in no time.

    Of sizes that are symbols, as in an exported program, JAX has no places.
    """
    if is_divided(x) or not all(isinstance(size, int) for size in x.shape):
        return jnp.where(_is_at(index, x, axis), value, x)
    size = x.shape[axis]
    index = jnp.where((index >= 0) & (index < size), index, size)
    values = jnp.broadcast_to(jnp.asarray(value, x.dtype), index.shape)
    return jnp.put_along_axis(x, index, values, axis, inplace=False, mode="drop")


def _is_at(index, x, axis):
    return lax.broadcasted_iota(index.dtype, x.shape, axis) == index


@jax.custom_jvp
def expectation(nll: jax.Array, weights: jax.Array) -> jax.Array:
    """`weights * nll`, in which a weight of 0 makes 0 of an infinite loss, and in its derivatives."""
    return jnp.where(weights == 0, 0, weights * nll)


@expectation.defjvp
def _expectation_jvp(primals, tangents):
    nll, weights = primals
    nll_dot, weights_dot = tangents
    return expectation(nll, weights), weights * nll_dot + finite(nll) * weights_dot


@jax.custom_jvp
def binary_nll(x: jax.Array, y: jax.Array) -> jax.Array:
    """`y * softplus(-x) + (1 - y) * softplus(x)`."""
    return expectation(logistic.softplus(-x), y) + expectation(logistic.softplus(x), 1 - y)


@binary_nll.defjvp
def _binary_nll_jvp(primals, tangents):
    x, y = primals
    x_dot, y_dot = tangents
    return binary_nll(x, y), _binary_slope(x, y) * x_dot - finite(x) * y_dot


@jax.custom_jvp
def _binary_slope(x, y):
    return (1 - y) * logistic.sigmoid(x) - y * logistic.sigmoid(-x)


@_binary_slope.defjvp
def _binary_slope_jvp(primals, tangents):
    x, y = primals
    x_dot, y_dot = tangents
    return _binary_slope(x, y), logistic.bump(x) * x_dot - y_dot
