"""Cross entropy of the logits that a last, linear layer would give, without ever holding them all.

The one idea: a few tokens at a time go through the layer and the loss, and once more for the derivative, where the
logits are computed again. What is kept are the gradients, which do not grow with tokens times classes.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._cross_entropy_core import integer_label_nll, is_zero

# Logits that are held at a time, by default: enough for a matrix product to be efficient.
LOGITS = 2**23
FUNCTION = "linear_softmax_cross_entropy"


def linear_softmax_cross_entropy(
    hidden: ArrayLike,
    kernel: ArrayLike,
    labels: ArrayLike,
    /,
    *,
    bias: ArrayLike | None = None,
    reduction: str = "mean",
    chunk_size: int | None = None,
    label_smoothing: ArrayLike = 0.0,
    z_loss: ArrayLike = 0.0,
    ignore_label: ArrayLike | None = None,
) -> jax.Array:
    r"""Cross entropy of softmax of a linear layer, in memory that does not hold the logits of all tokens.

    .. math:: \ell = \frac{1}{n} \sum_{t} \ell_t, \qquad
              \ell_t = -\log \operatorname{softmax}(h_t W + b)_{y_t}, \qquad
              \frac{\partial\ell_t}{\partial h_t} = W (p_t - e_{y_t})

    Args:
      hidden: floating array `[..., features]`, what goes into the layer, :math:`h`.
      kernel: array `[features, classes]` of the same dtype, :math:`W`.
      labels: integer array `[...]`, the index :math:`y` of the right class of each token.
      bias: array `[classes]` of the same dtype, :math:`b`, if there is one.
      reduction: `"mean"` over the tokens that are not ignored, `"sum"`, or `"none"` (static).
      chunk_size: how many tokens go at a time (static); by default so many that they have some 8 million logits.
      label_smoothing: the part of the weight that is spread evenly over the classes, a number; traced, differentiable.
      z_loss: weight of the squared logarithm of the normaliser, likewise.
      ignore_label: the label of tokens that are left out: their loss and gradient are 0. It need not be a class.

    Returns:
      Scalar, or with `reduction="none"` array `[...]`, of the dtype of `hidden`, in nats. Logits, losses and sums are in
      float32 also for inputs in half precision; a mean over no tokens is 0.

    Raises:
      TypeError: `hidden` is not floating, `kernel` or `bias` has another dtype, or `labels` or `ignore_label` is not
        integer.
      ValueError: shapes do not fit, `reduction` is none of the three, or `chunk_size` is not positive.

    Special values: those of `softmax_cross_entropy_with_integer_labels`: a label outside `[0, classes)` gives NaN.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> hidden, kernel = jnp.ones((5, 3)), jnp.eye(3, 4)
    >>> print(jaxact.linear_softmax_cross_entropy(hidden, kernel, jnp.array([0, 1, 2, 3, 0])).round(4))
    1.4173

    See also: `softmax_cross_entropy_with_integer_labels`.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'jaxact.{FUNCTION}: reduction must be "mean", "sum" or "none", got {reduction!r}')
    if chunk_size is not None and not (isinstance(chunk_size, int) and chunk_size > 0):
        raise ValueError(f"jaxact.{FUNCTION}: chunk_size must be a positive integer, got {chunk_size!r}")
    options = {"label_smoothing": label_smoothing, "z_loss": z_loss}
    options = {name: option for name, option in options.items() if not is_zero(option)}
    return _guarded(hidden, kernel, labels, bias, options, ignore_label, reduction, chunk_size)


@functools.partial(jax.jit, static_argnames=("reduction", "chunk_size"))
def _guarded(hidden, kernel, labels, bias, options, ignore_label, reduction, chunk_size):
    hidden = checks.floating(FUNCTION, "hidden", hidden)
    kernel = checks.like(FUNCTION, "kernel", kernel, hidden)
    bias = None if bias is None else checks.like(FUNCTION, "bias", bias, hidden)
    labels = checks.integer(FUNCTION, "labels", labels)
    labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
    checks.shape(FUNCTION, "kernel", kernel, (*hidden.shape[-1:], None))
    checks.shape(FUNCTION, "labels", labels, hidden.shape[:-1])
    if bias is not None:
        checks.shape(FUNCTION, "bias", bias, kernel.shape[1:])
    wide = _wide(hidden)
    options = {name: checks.scalar(FUNCTION, name, option).astype(wide) for name, option in options.items()}
    ignored = None if ignore_label is None else labels == checks.label(FUNCTION, "ignore_label", ignore_label, labels)
    tokens = labels.size
    chunk = min(chunk_size or max(LOGITS // max(kernel.shape[1], 1), 1), max(tokens, 1))
    counted = jnp.ones(labels.shape, wide) if ignored is None else jnp.where(ignored, 0, 1).astype(wide)
    data = _in_chunks(chunk, hidden.reshape(tokens, -1), jnp.where(counted > 0, labels, 0).ravel(), counted.ravel())
    losses = _losses(data, kernel, bias, options)
    if reduction == "none":
        return losses.ravel()[:tokens].reshape(labels.shape).astype(hidden.dtype)
    count = jnp.maximum(counted.sum(), 1) if reduction == "mean" else 1
    return (losses.sum() / count).astype(hidden.dtype)


def _wide(array):
    return jnp.promote_types(array.dtype, jnp.float32)


def _in_chunks(chunk, *arrays):
    """The arrays with their first axis cut into chunks, the last of them filled up with zeros."""
    missing = -arrays[0].shape[0] % chunk
    padded = [jnp.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1)) for array in arrays]
    return [array.reshape(-1, chunk, *array.shape[1:]) for array in padded]


def _losses(data, kernel, bias, options):
    """The loss of every token, by chunks, whose logits are computed again for the gradient."""
    wide_kernel = kernel.astype(_wide(kernel))  # so that the gradients of the chunks are added up in it

    @jax.checkpoint
    def losses(chunk):
        hidden, labels, counted = chunk
        hidden = jnp.where(counted[:, None] > 0, hidden, 0)
        logits = _logits(hidden, wide_kernel.astype(kernel.dtype), bias)
        return integer_label_nll(logits, labels, counted == 0, None, 1, (), **options)

    return lax.map(losses, tuple(data))


def _logits(hidden, kernel, bias):
    logits = jnp.matmul(hidden, kernel, preferred_element_type=_wide(hidden))
    return logits if bias is None else logits + bias.astype(logits.dtype)[None, :]
