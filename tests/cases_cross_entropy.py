"""Rows of the binary cross entropy, the one that is elementwise."""

import jax.numpy as jnp

import jaxact
import references as ref
from contract import INF, Case


def _at_label(label):
    return lambda x: jaxact.sigmoid_binary_cross_entropy(x, jnp.full(jnp.shape(x), label, x.dtype))


def _label_of(logit):
    return lambda y: jaxact.sigmoid_binary_cross_entropy(jnp.full(jnp.shape(y), logit, y.dtype), y)


SOFT = 0.25

CASES = (
    Case(
        "sigmoid_binary_cross_entropy",
        _at_label(1.0),
        (
            lambda m, x: ref.softplus(m, -x),
            lambda m, x: -ref.sigmoid(m, -x),
            ref.bump,
        ),
        special=(0.0,),
        edges=(
            (-INF, (INF, -1, 0)),
            (INF, (0, 0, 0)),
        ),
    ),
    Case(
        "sigmoid_binary_cross_entropy",
        _at_label(SOFT),
        (
            lambda m, x: SOFT * ref.softplus(m, -x) + (1 - SOFT) * ref.softplus(m, x),
            lambda m, x: (1 - SOFT) * ref.sigmoid(m, x) - SOFT * ref.sigmoid(m, -x),
            ref.bump,
        ),
        scale=(None, lambda m, x: m.maximum((1 - SOFT) * ref.sigmoid(m, x), SOFT * ref.sigmoid(m, -x)), None),
        special=(0.0,),
        edges=(
            (-INF, (INF, -SOFT, 0)),
            (INF, (INF, 1 - SOFT, 0)),
        ),
        argument="x-at-soft-label",
    ),
    Case(
        "sigmoid_binary_cross_entropy",
        _label_of(3.0),
        (
            lambda m, y: y * ref.softplus(m, m.number(-3)) + (1 - y) * ref.softplus(m, m.number(3)),
            lambda m, y: 0 * y - 3,
            lambda m, y: 0 * y,
        ),
        scale=(
            lambda m, y: m.maximum(abs(y) * ref.softplus(m, m.number(-3)), abs(1 - y) * ref.softplus(m, m.number(3))),
            None,
            None,
        ),
        special=(1.0,),
        points=(0.0, 1.0),
        magnitudes=(1e-6, 1e6),
        argument="labels",
        varies_data=False,
    ),
)
