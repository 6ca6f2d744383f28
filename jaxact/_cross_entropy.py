"""Cross entropies of single examples, with optax's names, that neither vanish nor overflow.

The one idea: no probability is subtracted from 1, and no logarithm taken of one. What is small is summed up by itself,
so that loss and gradient of a confident prediction keep their digits until they underflow.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._cross_entropy_core import binary_nll, integer_label_nll, is_zero, soft_label_nll
from jaxact._jit import jitted
from jaxact._numerics import rounded_once
from jaxact._softmax import AxisName


@jitted("axis", "axis_name")
def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    /,
    *,
    axis: int | tuple[int, ...] = -1,
    where: ArrayLike | None = None,
    axis_name: AxisName = (),
) -> jax.Array:
    r"""Cross entropy of softmax with a distribution over the classes.

    .. math:: \ell(x, y) = -\sum_i y_i \log p_i, \qquad p = \operatorname{softmax}(x), \qquad
              \frac{\partial\ell}{\partial x_k} = p_k \sum_i y_i - y_k

    Args:
      logits: floating array `[..., classes]`.
      labels: floating or integer array of the same shape, the weight :math:`y` of each class; usually each row sums
        to 1.
      axis: the axis or the tuple of axes of the classes (static).
      where: boolean array that broadcasts to the shape of `logits`; the classes that count. Others may hold anything.
      axis_name: inside `jax.shard_map`, the names of the mesh axes that `axis` is divided over (static).

    Returns:
      Array `[...]` of the dtype of `logits`, in nats; the caller reduces.

    Raises:
      TypeError: `logits` is not floating, `labels` neither floating nor integer, `where` not boolean, or `axis` not an
        integer or a tuple of them.
      ValueError: the shapes differ, `axis` is not an axis of `logits`, or `where` does not broadcast to its shape.
      NameError: `axis_name` names an axis that no `jax.shard_map` around the call has.

    Special values: a class of weight 0 contributes 0, also if its logit is -inf; a positive weight there gives inf, and
    so does one where :math:`-\log p_i` is beyond the dtype. The derivative in the weight of a class of logit -inf,
    truly inf, is the largest number, so that 0 times it is 0.

    >>> import jax.numpy as jnp, jaxact
    >>> logits = jnp.array([2.0, 1.0, -jnp.inf])
    >>> print(f"{jaxact.softmax_cross_entropy(logits, jnp.array([0.5, 0.5, 0.0])):.4f}")
    0.8133

    See also: `optax.softmax_cross_entropy`, `softmax_cross_entropy_with_integer_labels`.
    """
    logits = checks.floating("softmax_cross_entropy", "logits", logits)
    labels = checks.real("softmax_cross_entropy", "labels", labels)
    checks.same_shape("softmax_cross_entropy", logits=logits, labels=labels)
    axes, names = checks.axes("softmax_cross_entropy", axis, logits), checks.names("softmax_cross_entropy", axis_name)
    where = checks.mask("softmax_cross_entropy", where, logits)

    def core(logits, labels):
        if where is not None:
            logits, labels = jnp.where(where, logits, -jnp.inf), jnp.where(where, labels, 0)
        return soft_label_nll(logits, labels, axes, names)

    return jnp.squeeze(rounded_once(core, logits, labels), axes)


@jitted("axis", "axis_name")
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    /,
    *,
    axis: int = -1,
    where: ArrayLike | None = None,
    label_smoothing: ArrayLike = 0.0,
    z_loss: ArrayLike = 0.0,
    ignore_label: ArrayLike | None = None,
    axis_name: AxisName = (),
) -> jax.Array:
    r"""Cross entropy of softmax with the right class, given by its index.

    .. math:: \ell(x, y) = -(1 - \alpha) \log p_y - \frac{\alpha}{C} \sum_i \log p_i + z \operatorname{lse}(x)^2,
              \qquad p = \operatorname{softmax}(x), \qquad
              \frac{\partial\ell}{\partial x_k} = p_k - \mathbb{1}[k = y] \text{ for } \alpha = z = 0

    Args:
      logits: floating array `[..., classes]`.
      labels: integer array `[...]`, the index :math:`y` of the right class.
      axis: the axis of the classes (static).
      where: boolean array that broadcasts to the shape of `logits`; the classes that count. Others may hold anything.
      label_smoothing: :math:`\alpha`, the part of the weight that is spread evenly over the :math:`C` classes that
        count; a number or an array that broadcasts to the shape of `labels`; traced and differentiable.
      z_loss: :math:`z`, the weight of the squared logarithm of the normaliser, likewise.
      ignore_label: the label of examples that are left out: their loss and gradient are 0. It need not be a class.
      axis_name: inside `jax.shard_map`, the names of the mesh axes that `axis` is divided over (static). Labels are
        indices into all classes, not into those of one device.

    Returns:
      Array `[...]` of the dtype of `logits`, in nats; the caller reduces.

    Raises:
      TypeError: `logits` is not floating, `labels` or `ignore_label` not integer, `where` not boolean, or an option not
        a real number or an array of them.
      ValueError: `labels` has not the shape of `logits` without `axis`, `axis` is not an axis of `logits`, or an option
        does not broadcast.
      NameError: `axis_name` names an axis that no `jax.shard_map` around the call has.

    Special values: a label outside `[0, classes)` gives NaN, in the loss and in the gradient. A label whose class is
    masked or has the logit -inf gives inf.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> logits = jnp.array([8.0, 0.0, 1.0], jnp.bfloat16)
    >>> loss = lambda logits: jaxact.softmax_cross_entropy_with_integer_labels(logits, jnp.array(0))
    >>> print(loss(logits), jax.grad(loss)(logits)[0])
    0.00124359 -0.00124359

    See also: `optax.softmax_cross_entropy_with_integer_labels`.
    """
    function = "softmax_cross_entropy_with_integer_labels"
    logits = checks.floating(function, "logits", logits)
    labels = checks.integer(function, "labels", labels)
    labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
    axis, names = checks.axis(function, axis, logits), checks.names(function, axis_name)
    checks.shape(function, "labels", labels, logits.shape[:axis] + logits.shape[axis + 1 :])
    where = checks.mask(function, where, logits)
    options = _options(function, labels, axis, label_smoothing=label_smoothing, z_loss=z_loss)
    ignored = None if ignore_label is None else labels == checks.label(function, "ignore_label", ignore_label, labels)

    def core(logits, *arrays):
        x = logits if where is None else jnp.where(where, logits, -jnp.inf)
        given = dict(zip(options, arrays, strict=True))
        return integer_label_nll(x, labels, ignored, where, axis, names, **given)

    return jnp.squeeze(rounded_once(core, logits, *options.values(), broadcast=False), axis)


@jitted()
def sigmoid_binary_cross_entropy(logits: ArrayLike, labels: ArrayLike, /) -> jax.Array:
    r"""Cross entropy of independent yes-or-no questions.

    .. math:: \ell(x, y) = y \log(1 + e^{-x}) + (1 - y) \log(1 + e^x), \qquad
              \frac{\partial\ell}{\partial x} = (1 - y)\,\sigma(x) - y\,\sigma(-x)

    Args:
      logits: floating array `[...]`, the log odds :math:`x` of a yes.
      labels: floating or integer array of the same shape, 1 for yes and 0 for no, or a probability :math:`y`.

    Returns:
      Array `[...]` of the dtype of `logits`, in nats, one loss for each question; the caller reduces.

    Raises:
      TypeError: `logits` is not floating, or `labels` neither floating nor integer.
      ValueError: the shapes differ.

    Special values: 0 where an infinite logit agrees with a label of 0 or 1, inf where it does not. The derivative in
    the label is `-logits`.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> loss = lambda x: jaxact.sigmoid_binary_cross_entropy(x, 1.0)
    >>> print(loss(20.0), jax.grad(loss)(20.0))
    2.0611537e-09 -2.0611537e-09

    See also: `optax.sigmoid_binary_cross_entropy`.
    """
    logits = checks.floating("sigmoid_binary_cross_entropy", "logits", logits)
    labels = checks.real("sigmoid_binary_cross_entropy", "labels", labels)
    checks.same_shape("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    return rounded_once(binary_nll, logits, labels)


def _options(function, labels, axis, **options):
    """Those of the options that are not 0, as numbers or arrays that broadcast to the logits."""
    arrays = {name: checks.real(function, name, option) for name, option in options.items() if not is_zero(option)}
    for name, array in arrays.items():
        checks.broadcastable(function, name, array, labels)
    return {
        name: array if array.ndim == 0 else jnp.expand_dims(jnp.broadcast_to(array, labels.shape), axis)
        for name, array in arrays.items()
    }
