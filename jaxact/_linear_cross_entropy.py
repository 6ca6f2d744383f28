"""Cross entropy of the logits that a last, linear layer would give, without ever holding them all.

The one idea: a few tokens at a time go through layer and loss. The derivative of a sum of losses is a sum over tokens
too, so the pass that adds up the losses adds up the gradients beside them, and keeps no logits for later.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxact import _checks as checks
from jaxact._cross_entropy_core import integer_label_nll, is_zero
from jaxact._jit import jitted

# How many logits are held at a time, by default: so many that the matrix products are efficient.
LOGITS = 2**24


@jitted("reduction", "chunk_size")
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
      chunk_size: how many tokens go at a time at most (static); by default so many that they have some 16 million
        logits.
      label_smoothing: the part of the weight that is spread evenly over the classes, a number; traced, differentiable.
      z_loss: weight of the squared logarithm of the normaliser, likewise.
      ignore_label: the label of tokens that are left out: their loss and gradient are 0. It need not be a class.

    Returns:
      Scalar, or with `reduction="none"` array `[...]`, of the dtype of `hidden`, in nats. Logits, losses, gradients and
      their sums are in float32 or wider and rounded once; a mean over no tokens is 0.

    Raises:
      TypeError: `hidden` is not floating, `kernel` or `bias` has another dtype, `labels` or `ignore_label` is not
        integer, or an option is not a real number.
      ValueError: shapes do not fit, `reduction` is none of the three, or `chunk_size` is not a positive integer.

    Special values: a label outside `[0, classes)` gives NaN, in the loss and in the gradient. The `hidden` of ignored
    tokens may hold anything.

    A mean or a sum is the faster one: loss and gradients take three matrix products, those of single tokens take four.

    >>> import jax, jax.numpy as jnp, jaxact
    >>> hidden, kernel = jnp.ones((5, 3)), jnp.eye(3, 4)
    >>> print(f"{jaxact.linear_softmax_cross_entropy(hidden, kernel, jnp.array([0, 1, 2, 3, 0])):.4f}")
    1.4143

    See also: `softmax_cross_entropy_with_integer_labels`.
    """
    function = "linear_softmax_cross_entropy"
    hidden = checks.floating(function, "hidden", hidden)
    kernel = checks.like(function, "kernel", kernel, hidden)
    bias = None if bias is None else checks.like(function, "bias", bias, hidden)
    labels = checks.integer(function, "labels", labels)
    checks.shape(function, "kernel", kernel, (None, None))
    checks.shape(function, "labels", labels, hidden.shape[:-1])
    checks.shape(function, "hidden", hidden, (*labels.shape, kernel.shape[0]))
    if bias is not None:
        checks.shape(function, "bias", bias, kernel.shape[1:])
    checks.choice(function, "reduction", reduction, ("mean", "sum", "none"))
    checks.count(function, "chunk_size", chunk_size)
    options = _options(function, label_smoothing=label_smoothing, z_loss=z_loss)
    labels = labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels
    ignored = None if ignore_label is None else labels == checks.label(function, "ignore_label", ignore_label, labels)

    compute_dtype = hidden.dtype if hidden.dtype == jnp.float64 else jnp.dtype(jnp.float32)
    layer = jax.tree.map(lambda array: array.astype(compute_dtype), (kernel, bias, options))
    limit = chunk_size or max(LOGITS // max(kernel.shape[1], 1), 1)
    chunks = _in_chunks(limit, hidden.astype(compute_dtype), labels, ignored)
    if reduction == "none":
        return _each_loss(layer, *chunks).T.ravel()[: labels.size].reshape(labels.shape).astype(hidden.dtype)
    total = _total(layer, *chunks)
    if reduction == "mean":
        counted = labels.size if ignored is None else jnp.sum(~ignored)
        total = total / jnp.maximum(counted, 1).astype(compute_dtype)
    return total.astype(hidden.dtype)


def _options(function, **options):
    """Those of the options that are not 0, as numbers."""
    arrays = {name: checks.real(function, name, option) for name, option in options.items() if not is_zero(option)}
    for name, array in arrays.items():
        checks.shape(function, name, array, ())
    return arrays


def _in_chunks(limit, hidden, labels, ignored):
    """The tokens as chunks of equal size, of at most `limit`; what fills them up is ignored.

    A chunk takes every so-many-th token, so that each of the devices which tokens are divided over has a part in it.
    """
    tokens = labels.size
    count = -(-tokens // limit)
    size = -(-tokens // max(count, 1))
    missing = count * size - tokens
    if missing and ignored is None:
        ignored = jnp.zeros(labels.shape, bool)
    hidden = jnp.pad(hidden.reshape(tokens, hidden.shape[-1]), ((0, missing), (0, 0)))
    hidden = hidden.reshape(size, count, hidden.shape[-1]).swapaxes(0, 1)
    labels = jnp.pad(labels.ravel(), (0, missing)).reshape(size, count).T
    if ignored is not None:
        ignored = jnp.pad(ignored.ravel(), (0, missing), constant_values=True).reshape(size, count).T
        hidden = jnp.where(ignored[:, :, None], 0, hidden)
    return hidden, labels, ignored


def _losses(layer, hidden, labels, ignored):
    """The loss of every token of a chunk."""
    kernel, bias, options = layer
    logits = hidden @ kernel
    if bias is not None:
        logits = logits + bias[None, :]
    return integer_label_nll(logits, labels, ignored, None, 1, (), **options)[:, 0]


# Differentiated in reverse, a scan keeps what its steps computed, which would be all logits, unless they are
# checkpoints. That the whole scan is one too is for JAX 0.10 and older: there a scan that reverse mode splits in two
# forgets the rules of `jax.custom_jvp` in its steps, and the next derivative is that of what stands in the cores.
_checkpoint = functools.partial(jax.checkpoint, prevent_cse=False)


@_checkpoint
def _each_loss(layer, hidden, labels, ignored):
    return lax.map(_checkpoint(lambda chunk: _losses(layer, *chunk)), (hidden, labels, ignored))


@jax.custom_jvp
def _total(layer, hidden, labels, ignored):
    """The sum of the losses of all tokens."""
    return jnp.sum(lax.map(lambda chunk: _losses(layer, *chunk), (hidden, labels, ignored)))


@_total.defjvp
def _total_jvp(primals, tangents):
    """The gradients are found before the tangents are asked for, in the one pass that makes and drops the logits."""
    total, gradients = _total_and_gradients(*primals)
    products = jax.tree.map(lambda gradient, tangent: jnp.sum(gradient * tangent), gradients, tangents[:2])
    return total, jax.tree.reduce(jnp.add, products)


@_checkpoint
def _total_and_gradients(layer, hidden, labels, ignored):
    """The sum of the losses, and its gradients in the layer and in the hidden of each token."""

    @_checkpoint
    def of_chunk(layer, hidden, labels, ignored):
        def total(layer, hidden):
            return jnp.sum(_losses(layer, hidden, labels, ignored))

        out, backward = jax.vjp(total, layer, hidden)
        return out, *backward(jnp.ones_like(out))

    def add(sums, chunk):
        total, of_layer, of_hidden = of_chunk(layer, *chunk)
        return jax.tree.map(jnp.add, sums, (total, of_layer)), of_hidden

    # Inside `jax.shard_map` a gradient in what all devices share would be summed over them, once too often.
    layer = jax.tree.map(lambda array: array + _zero(hidden), layer)
    sums, of_hidden = lax.scan(add, (_zero(hidden), jax.tree.map(jnp.zeros_like, layer)), (hidden, labels, ignored))
    return sums[0], (sums[1], of_hidden)


def _zero(array):
    return jnp.zeros_like(array, shape=())
