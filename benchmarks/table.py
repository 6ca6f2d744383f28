"""The rows of activations, softmax and losses, and the table of all rows."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.special

import jaxact
import references as ref
from benchmarks import table_rounding
from benchmarks.row import Row, elementwise, from_library, labels_of, library, no_more
from cases_counts import COUNT, DISPERSION
from contract import BETA

LOGISTIC, PIECEWISE, COUNTS = "logistic", "piecewise linear", "counts"
SOFTMAX, CROSS_ENTROPY = "softmax", "cross entropy"
# Many short rows, and few long ones; from the size of a cache to beyond it.
LOGITS = ((16384, 10), (2048, 128), (256, 1024), (64, 32768), (16, 131072))
TOKENS, MANY_TOKENS, FEATURES = 512, 8192, 256
VOCABULARIES = (4096, 32768, 131072)


def _softplus_inverse(y):
    return y + jnp.log(-jnp.expm1(-y))


LOGISTIC_ROWS = (
    elementwise("sigmoid", LOGISTIC, jaxact.sigmoid, {"jax.nn": jax.nn.sigmoid}),
    elementwise("log_sigmoid", LOGISTIC, jaxact.log_sigmoid, {"jax.nn": jax.nn.log_sigmoid}),
    elementwise(
        "logit",
        LOGISTIC,
        jaxact.logit,
        {
            "jax.scipy": jax.scipy.special.logit,
            "TFP": lambda p: library("TFP").bijectors.Sigmoid().inverse(p),
            "distrax": lambda p: library("distrax").Sigmoid().inverse(p),
        },
    ),
    elementwise("tanh", LOGISTIC, jaxact.tanh, {"jax.numpy": jnp.tanh}),
    elementwise("softplus", LOGISTIC, jaxact.softplus, {"jax.nn": jax.nn.softplus}),
    elementwise(
        "softplus_inverse",
        LOGISTIC,
        jaxact.softplus_inverse,
        {
            "TFP": from_library("TFP", "math.softplus_inverse"),
            "numpyro": lambda y: library("numpyro").transforms.SoftplusTransform().inv(y),
            "formula": _softplus_inverse,
        },
    ),
    elementwise(
        "softplus_inverse",
        LOGISTIC,
        lambda y: jaxact.softplus_inverse(y, beta=BETA),
        {"formula": lambda y: _softplus_inverse(BETA * y) / BETA},
        argument="x-at-beta",
        note=", beta",
    ),
    elementwise(
        "log_softplus", LOGISTIC, jaxact.log_softplus, {"log of jax.nn": lambda x: jnp.log(jax.nn.softplus(x))}
    ),
    elementwise(
        "log1mexp",
        LOGISTIC,
        jaxact.log1mexp,
        {"jax.nn": jax.nn.log1mexp, "TFP": from_library("TFP", "math.log1mexp")},
    ),
)
PIECEWISE_ROWS = (
    elementwise("relu", PIECEWISE, jaxact.relu, {"jax.nn": jax.nn.relu}),
    elementwise(
        "leaky_relu",
        PIECEWISE,
        lambda x: jaxact.leaky_relu(x, negative_slope=BETA),
        {"jax.nn": lambda x: jax.nn.leaky_relu(x, BETA)},
    ),
    elementwise("hard_tanh", PIECEWISE, jaxact.hard_tanh, {"jax.nn": jax.nn.hard_tanh}),
)


def _negative_binomial(z, y):
    rate, lgamma = 1 / DISPERSION, jax.lax.lgamma
    constant = lgamma(jnp.full_like(y, rate)) - lgamma(y + rate)
    return (rate + y) * jnp.log(1 + DISPERSION * jnp.exp(z)) - y * z + constant - y * jnp.log(DISPERSION)


def _counts(z):
    return (jnp.full_like(z, COUNT),)


COUNTS_ROWS = (
    elementwise("poisson_nll", COUNTS, jaxact.poisson_nll, {"formula": lambda z, y: jnp.exp(z) - y * z}, more=_counts),
    elementwise(
        "negative_binomial_nll",
        COUNTS,
        lambda z, y: jaxact.negative_binomial_nll(z, y, dispersion=DISPERSION),
        {"formula": _negative_binomial},
        alternatives={
            "numpyro": lambda z, y: (
                -library("numpyro").NegativeBinomial2(jnp.exp(z), 1 / DISPERSION, validate_args=False).log_prob(y)
            ),
        },
        more=_counts,
        argument="log_mean",
        interval=(-4.0, 4.0),
    ),
)

# In the logit of one class less the log-sum-exp of the others, softmax is a sigmoid.
OF_SOFTMAX = (ref.sigmoid, ref.bump, ref.bump_slope)
OF_LOG_SOFTMAX = (
    lambda m, a: -ref.softplus(m, -a),
    lambda m, a: ref.sigmoid(m, -a),
    lambda m, a: -ref.bump(m, a),
)
OF_LOGSUMEXP = (None, ref.sigmoid, ref.bump)
OF_LOSS = (
    lambda m, a: ref.softplus(m, -a),
    lambda m, a: -ref.sigmoid(m, -a),
    ref.bump,
)


def _logits_row(name: str, family: str, ours: Callable, peer: tuple[str, Callable], truth, more: Callable) -> Row:
    label, fun = peer
    return Row(name, family, ours, {label: fun}, truth=truth, more=more, shapes=LOGITS, interval=(-10.0, 10.0))


def _softmax_row(name: str, peer: Callable, truth) -> Row:
    return _logits_row(name, SOFTMAX, getattr(jaxact, name), ("jax.nn", peer), truth, no_more)


def _optax_row(name: str, more: Callable) -> Row:
    peer = "optax", from_library("optax", name)
    return _logits_row(name, CROSS_ENTROPY, getattr(jaxact, name), peer, OF_LOSS, more)


def _labels(x):
    return (labels_of(x),)


def _one_hot_labels(x):
    return (jax.nn.one_hot(labels_of(x), x.shape[-1], dtype=x.dtype),)


SOFTMAX_ROWS = (
    _softmax_row("softmax", jax.nn.softmax, OF_SOFTMAX),
    _softmax_row("log_softmax", jax.nn.log_softmax, OF_LOG_SOFTMAX),
    _softmax_row("logsumexp", lambda x: jax.nn.logsumexp(x, axis=-1), OF_LOGSUMEXP),
)


def _dense(hidden, kernel, labels):
    return library("optax").softmax_cross_entropy_with_integer_labels(hidden @ kernel, labels)


def _linear_row(name: str, reduction: str, reduce: Callable, layer: Callable, **fields) -> Row:
    """The loss of a linear layer, which copies its first features to the logits, so that these are exact."""
    return Row(
        name,
        CROSS_ENTROPY,
        lambda *arguments: jaxact.linear_softmax_cross_entropy(*arguments, reduction=reduction),
        {"optax, dense": lambda *arguments: reduce(_dense(*arguments))},
        more=layer,
        **fields,
    )


def _square_layer(hidden):
    return jnp.eye(hidden.shape[-1], dtype=hidden.dtype), labels_of(hidden)


def vocabulary_row(classes: int) -> Row:
    def layer(hidden):
        labels = jnp.arange(len(hidden), dtype=jnp.int32) % classes
        return jnp.eye(hidden.shape[-1], classes, dtype=hidden.dtype), labels

    name = f"linear_softmax_cross_entropy, {classes} classes"
    shapes = {"shapes": ((TOKENS, FEATURES),), "compiled_shapes": ((MANY_TOKENS, FEATURES),)}
    return _linear_row(name, "mean", jnp.mean, layer, **shapes, argnums=(0, 1))


CROSS_ENTROPY_ROWS = (
    _optax_row("softmax_cross_entropy", _one_hot_labels),
    _optax_row("softmax_cross_entropy_with_integer_labels", _labels),
    elementwise(
        "sigmoid_binary_cross_entropy",
        CROSS_ENTROPY,
        jaxact.sigmoid_binary_cross_entropy,
        {"optax": from_library("optax", "sigmoid_binary_cross_entropy")},
        more=lambda x: (jnp.ones_like(x),),
    ),
    _linear_row("linear_softmax_cross_entropy", "none", lambda x: x, _square_layer, truth=OF_LOSS, shapes=()),
    *map(vocabulary_row, VOCABULARIES),
)

ROWS = (
    *LOGISTIC_ROWS,
    *PIECEWISE_ROWS,
    *SOFTMAX_ROWS,
    *CROSS_ENTROPY_ROWS,
    *COUNTS_ROWS,
    *table_rounding.ROWS,
)
FAMILIES = tuple(dict.fromkeys(row.family for row in ROWS))
