"""Programs can be exported for any number of rows, and of classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jaxact
from calls import CALLS
from marks import most_slow
from ulp import errors


def assert_equal(got, expected):
    """Within an ulp or two of the largest number of each result, as the two are compiled apart."""
    for result, truth in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        wide = np.asarray(truth).astype(np.longdouble)
        assert errors(result, wide, truth.dtype, np.abs(wide).max()).max() <= 2


@pytest.mark.slow
def test_elementwise_functions():
    """They can be exported; what the program makes of numbers is what it makes of them where sizes are known."""
    calls = [call for call in CALLS if call.elementwise]

    def everything(x):
        return {call.name: _value_and_gradient(call, x) for call in calls}

    sizes = export.symbolic_shape("rows, 4")
    program = export.export(jax.jit(everything))(jax.ShapeDtypeStruct(sizes, jnp.float32))
    assert {out.shape[0] for out in program.out_avals if out.ndim == 2} == {sizes[0]}


def _value_and_gradient(call, x):
    _, parameters = call.arguments(x.dtype)
    parameters = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, x.shape) if leaf.ndim else leaf, parameters)
    if jax.__version_info__ < (0, 8):
        return call.fun(x, parameters)  # zeros of an argument without a tangent have no size there
    value, backward = jax.vjp(call.fun, x, parameters)
    return value, backward(jnp.ones_like(value))


def integer_loss(x, labels, **options):
    return jaxact.softmax_cross_entropy_with_integer_labels(x, labels, **options)


def at_label(rows, labels):
    return jnp.sum(jax.nn.one_hot(labels, rows.shape[1], dtype=rows.dtype) * rows, axis=1)


KEY = jax.random.key(0)


OF_CLASSES = {
    "softmax": lambda x, y, labels: at_label(jaxact.softmax(x), labels),
    "log_softmax": lambda x, y, labels: at_label(jaxact.log_softmax(x), labels),
    "logsumexp": lambda x, y, labels: jaxact.logsumexp(x),
    "softmax_cross_entropy": lambda x, y, labels: jaxact.softmax_cross_entropy(x, y),
    "integer labels": lambda x, y, labels: integer_loss(x, labels),
    "all options": lambda x, y, labels: integer_loss(x, labels, label_smoothing=0.125, z_loss=0.01, ignore_label=-1),
    "gumbel_softmax": lambda x, y, labels: at_label(jaxact.gumbel_softmax(KEY, x), labels),
    "gumbel_softmax, hard": lambda x, y, labels: at_label(jaxact.gumbel_softmax(KEY, x, hard=True), labels),
    "argmax_ste": lambda x, y, labels: at_label(jaxact.argmax_ste(x), labels),
    "reinmax": lambda x, y, labels: at_label(jaxact.reinmax(KEY, x), labels),
}


@pytest.mark.parametrize("name", most_slow(OF_CLASSES, {"softmax_cross_entropy", "integer labels"}))
def test_functions_of_classes(name):
    value_and_gradient = jax.jit(jax.value_and_grad(lambda *arguments: OF_CLASSES[name](*arguments).sum()))
    sizes = export.symbolic_shape("rows, classes")
    logits = jax.ShapeDtypeStruct(sizes, jnp.float32)
    program = export.export(value_and_gradient)(logits, logits, jax.ShapeDtypeStruct(sizes[:1], jnp.int32))
    program = export.deserialize(program.serialize())
    rng = np.random.default_rng(0)
    for rows, classes in ((3, 10), (2, 128)):
        x = 3 * rng.normal(size=(rows, classes)).astype(np.float32)
        arguments = x, jax.nn.softmax(-x), np.arange(rows, dtype=np.int32)
        assert_equal(program.call(*arguments), value_and_gradient(*arguments))
