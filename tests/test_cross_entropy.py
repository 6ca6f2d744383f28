"""Cross entropies: accuracy on hard rows, labels of every kind, and the measured faults of the usual ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import jaxact
import rows
from ulp import errors

INF, NAN = jnp.inf, jnp.nan
DTYPES = ("float16", "bfloat16", "float32", "float64")
integer_loss = jaxact.softmax_cross_entropy_with_integer_labels
close = functools.partial(np.testing.assert_allclose, rtol=2e-14, atol=0)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradient(loss, x, labels):
    value, backward = jax.vjp(lambda x: loss(x, labels), x)
    return value, backward(jnp.ones_like(value))[0]


def assert_within(dtype, got, expected, budgets, scale=(None, None)):
    budgets = budgets if jnp.finfo(dtype).bits > 16 else (0.51, 1.01)
    for result, truth, budget, size in zip(got, expected, budgets, scale, strict=True):
        worst = errors(result, truth, jnp.dtype(dtype), size).max()
        assert worst <= budget, f"{worst:.2f} ulp > {budget}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", ["leader", "any"])
def test_hard_rows_are_right(dtype, which):
    with np.errstate(over="ignore"):
        x = np.concatenate(list(rows.hard_rows(jnp.dtype(dtype)).values()))
    wide = x.astype(np.float64)
    labels = wide.argmax(axis=-1) if which == "leader" else np.random.default_rng(2).integers(0, rows.CLASSES, len(x))
    at_label = np.eye(rows.CLASSES, dtype=bool)[labels]
    nll = -rows.log_softmax(x)[at_label]
    centred = rows.centred_softmax(x, at_label)
    assert_within(dtype, value_and_gradient(integer_loss, x, labels), (nll, centred), (4, 7))
    soft = at_label.astype(x.dtype)
    assert_within(dtype, value_and_gradient(jaxact.softmax_cross_entropy, x, soft), (nll, centred), (4, 7))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smoothing_and_z_loss_are_those_of_torch_and_megatron(dtype):
    x = rows.hard_rows(np.dtype(dtype))["normal"]
    labels = np.random.default_rng(2).integers(0, rows.CLASSES, len(x))
    at_label = np.eye(rows.CLASSES, dtype=bool)[labels]
    smoothing, z_loss = 0.125, 0.0078125
    logp, p, lse = rows.log_softmax(x), rows.softmax(x), rows.logsumexp(x)
    expected = -(1 - smoothing) * logp[at_label] - smoothing * logp.mean(axis=-1) + z_loss * lse**2
    terms = (1 - smoothing) * rows.centred_softmax(x, at_label), smoothing * p, smoothing / rows.CLASSES
    slope = terms[0] + terms[1] - terms[2] + 2 * z_loss * lse[:, None] * p
    size = np.maximum(
        np.maximum(np.abs(terms[0]), terms[1]), np.maximum(terms[2], np.abs(2 * z_loss * lse[:, None] * p))
    )
    loss = functools.partial(integer_loss, label_smoothing=smoothing, z_loss=z_loss)
    assert_within(dtype, value_and_gradient(loss, x, labels), (expected, slope), (4, 6), (None, size))


def test_options_are_differentiable():
    x, labels = np.array([[1.0, 2, 0.5], [3, 1, 0]]), np.array([0, 2])
    logp, lse = scipy.special.log_softmax(x, axis=-1), scipy.special.logsumexp(x, axis=-1)
    nll = -logp[np.arange(2), labels]
    gradient = jax.grad(lambda a: integer_loss(x, labels, label_smoothing=a).sum())(0.1)
    close(gradient, (-logp.mean(axis=-1) - nll).sum())
    gradient = jax.grad(lambda z: integer_loss(x, labels, z_loss=z).sum())(jnp.array([0.1, 0.2]))
    close(gradient, lse**2)


@pytest.mark.parametrize("reverse", [True, False])
def test_second_derivatives_keep_small_probabilities(reverse):
    """`1 + (p - 1)` at a label of probability 1e-13 would leave three digits of it."""
    x, label = np.array([30.0, 0.0, 1.0, -2.0]), np.array(1)
    p = scipy.special.softmax(x)
    expected = np.diag(p * np.array([p[1:].sum(), *(1 - p[1:])])) - np.outer(p, p) * (1 - np.eye(4))
    gradient = jax.grad(integer_loss)
    close((jax.jacrev if reverse else jax.jacfwd)(gradient)(x, label), expected)


@pytest.mark.parametrize("huge", [2.0**20, 1e9, 1e20, 3e38])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_equal_huge_logits_share(huge, dtype):
    """Numbers that lie further apart than the distance that exponentials are lifted by."""
    value, gradient = value_and_gradient(integer_loss, jnp.array([huge, huge, 0, -huge], dtype), jnp.array(0))
    close(value, np.log(2).astype(dtype))
    close(gradient, np.array([-0.5, 0.5, 0, 0], dtype))


@pytest.mark.parametrize("classes", [4, 256])
@pytest.mark.parametrize("far", [1e38, 1.4e38, 2e38, 3.3e38])
def test_losses_close_to_the_largest_number(far, classes):
    """Where the sum of magnitudes is within a factor of 2 of it, or beyond it."""
    x, label = jnp.full(classes, -far, jnp.float32).at[0].set(0), classes // 2
    y = jax.nn.one_hot(label, classes, dtype=jnp.float32)
    assert jaxact.softmax_cross_entropy(x, y) == np.float32(far)
    assert jaxact.softmax_cross_entropy(x, y / 2) == np.float32(far) / 2
    smoothed = jaxact.softmax_cross_entropy_with_integer_labels(x, label, label_smoothing=0.5)
    expected = (0.5 + 0.5 * (classes - 1) / classes) * far
    assert abs(smoothed - expected) <= 4 * np.spacing(np.float32(expected))


def test_labels_that_are_no_class_give_nan():
    x = jnp.ones((4, 3))
    labels = jnp.array([0, -1, 3, -100])
    value, gradient = value_and_gradient(integer_loss, x, labels)
    assert np.array_equal(np.isnan(value), [False, True, True, True])
    assert np.array_equal(np.isnan(gradient).all(axis=1), [False, True, True, True])


@pytest.mark.parametrize("ignore_label", [-100, 1, 7])
def test_ignored_labels_cost_nothing_whatever_their_logits(ignore_label):
    x = jnp.array([[1.0, 2, 3], [NAN, INF, 0]])
    loss = functools.partial(integer_loss, ignore_label=ignore_label)
    value, gradient = value_and_gradient(loss, x, jnp.array([0, ignore_label]))
    assert value[0] > 0
    assert value[1] == 0
    assert np.all(gradient[1] == 0)
    assert np.all(gradient[0] != 0)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.int32, jnp.uint32, jnp.int64])
def test_labels_of_any_integer_dtype(dtype):
    x = jax.random.normal(jax.random.key(0), (3, 300))
    close(integer_loss(x, jnp.array([0, 5, 100], dtype)), integer_loss(x, jnp.array([0, 5, 100])))
    assert np.all(integer_loss(x, jnp.array([0, 5, 100], dtype), ignore_label=-156) > 0)


def test_masked_classes():
    x = jnp.array([[1.0, NAN, 2.0], [1.0, 5.0, INF]])
    where = jnp.array([[True, False, True], [True, True, False]])
    kept = jnp.array([[1.0, 2.0], [1.0, 5.0]])
    for options in ({}, {"label_smoothing": 0.25}, {"z_loss": 0.5}):
        got, gradient = value_and_gradient(
            functools.partial(integer_loss, where=where, **options), x, jnp.array([2, 1])
        )
        close(got, integer_loss(kept, jnp.array([1, 1]), **options))
        assert np.all(np.asarray(gradient)[~where] == 0)
    assert integer_loss(x[0], jnp.array(1), where=where[0]) == INF
    soft = jnp.array([[0.25, NAN, 0.75], [1.0, 0, 3]])
    weights = jnp.array([[0.25, 0.75], [1.0, 0]])
    close(jaxact.softmax_cross_entropy(x, soft, where=where), jaxact.softmax_cross_entropy(kept, weights))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axis(axis):
    x = np.random.default_rng(0).normal(size=(3, 16, 5))
    labels = np.random.default_rng(1).integers(0, x.shape[axis], np.delete(x.shape, axis))
    expected = -np.take_along_axis(scipy.special.log_softmax(x, axis=axis), np.expand_dims(labels, axis), axis)
    close(integer_loss(x, labels, axis=axis), expected.squeeze(axis))
    soft = np.moveaxis(np.eye(x.shape[axis])[labels], -1, axis)
    close(jaxact.softmax_cross_entropy(x, soft, axis=axis), expected.squeeze(axis))


def usual_integer_loss(logits, label):
    """The formula of optax."""
    shifted = logits - jax.lax.stop_gradient(logits.max())
    return jnp.log(jnp.sum(jnp.exp(shifted))) - shifted[label]


def test_large_logits_keep_six_digits():
    x = jnp.array([1e5, 1e5 + 0.5, 1e5 - 1], jnp.float32)
    exact = np.log(np.exp(-0.5) + 1 + np.exp(-1.5))
    np.testing.assert_allclose(integer_loss(x, jnp.array(1)), exact, rtol=1e-6, atol=0)
    lse = jnp.log(jnp.sum(jnp.exp(x - x.max()))) + x.max()
    assert abs(float(lse - x[1]) - exact) > 1e-3


def test_a_label_below_the_first_wraps_in_the_usual_loss():
    x = jnp.array([1.0, 2, 3])
    assert jnp.isfinite(usual_integer_loss(x, -1))
    assert jnp.isnan(integer_loss(x, jnp.array(-1)))


def test_an_impossible_class_of_weight_zero_is_finite_in_every_derivative():
    logits, labels = jnp.array([2.0, 1, -INF]), jnp.array([0.5, 0.5, 0])
    assert jnp.isnan(-jnp.sum(labels * jax.nn.log_softmax(logits)))
    loss = jaxact.softmax_cross_entropy
    tangents = jnp.ones(3), jnp.zeros(3)
    p = scipy.special.softmax([2.0, 1])
    expected = np.append(p - 0.5, 0)
    close(loss(logits, labels), -0.5 * np.log(p).sum())
    assert jnp.isfinite(jax.jvp(loss, (logits, labels), tangents)[1])
    for gradient in (jax.grad(loss), jax.jacfwd(loss)):
        np.testing.assert_allclose(gradient(logits, labels), expected, rtol=1e-14, atol=0)
    of_labels = jax.grad(loss, 1)(logits, labels)
    close(of_labels[:2], -np.log(p))


def test_binary_cross_entropy_in_both_tails():
    loss = jaxact.sigmoid_binary_cross_entropy
    for x, y, value, slope in ((INF, 1.0, 0, 0), (-INF, 0.0, 0, 0), (INF, 0.0, INF, 1), (-INF, 1.0, INF, -1)):
        assert loss(x, y) == value
        assert jax.grad(loss)(x, y) == slope
    gradient = jax.grad(loss)(jnp.float32(20), jnp.float32(1))
    np.testing.assert_allclose(gradient, -2.0611537e-9, rtol=3e-7, atol=0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda x, y: integer_loss(x, y[:1]), ValueError, "labels must have shape (2,), got (1,)"),
        (lambda x, y: integer_loss(x, x[:, 0]), TypeError, "labels must be integer, got float64"),
        (lambda x, y: integer_loss(x, y, ignore_label=0.5), TypeError, "ignore_label must be integer, got float"),
        (lambda x, y: integer_loss(x, y, label_smoothing=x[0]), ValueError, "label_smoothing must broadcast"),
        (lambda x, y: integer_loss(x, y, where=x), TypeError, "where must be boolean, got float64"),
        (lambda x, y: integer_loss(x, y, axis=2), ValueError, "axis must be an integer, one of those of shape (2, 3)"),
        (lambda x, y: jaxact.softmax_cross_entropy(x, x[0]), ValueError, "shapes must be equal, got logits (2, 3)"),
        (lambda x, y: jaxact.softmax(x, axis=(0, 0)), ValueError, "axis must name different axes of shape (2, 3)"),
        (lambda x, y: jaxact.softmax(x, axis=1.5), TypeError, "axis must be an integer or a tuple"),
        (lambda x, y: jaxact.logsumexp(x, where=x > 0, axis=3), ValueError, "axis must name different axes"),
        (lambda x, y: jaxact.log_softmax(x, where=x[:, :2] > 0), ValueError, "where must broadcast"),
    ],
)
def test_bad_input(call, kind, message):
    with pytest.raises(kind) as caught:
        call(jnp.ones((2, 3)), jnp.zeros(2, jnp.int32))
    assert str(caught.value).count("jaxact.") == 1
    assert message in str(caught.value)
