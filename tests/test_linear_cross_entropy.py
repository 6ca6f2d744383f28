"""Linear cross entropy is the dense loss, by chunks: gradients of all orders, memory, tokens that do not count."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from ulp import errors

INF, NAN, F32 = jnp.inf, jnp.nan, jnp.float32
TOKENS, FEATURES, CLASSES = 7, 3, 5
IGNORED = -9
LABELS = np.array([0, 4, 2, 1, 3, IGNORED, 2])
ALL = ("hidden", "kernel", "bias", "label_smoothing", "z_loss")
loss = jaxact.linear_softmax_cross_entropy


def arguments(names=ALL, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    shapes = {"hidden": (TOKENS, FEATURES), "kernel": (FEATURES, CLASSES), "bias": (CLASSES,)}
    return {name: jnp.asarray(rng.uniform(0.1, 1, shapes.get(name, ())), dtype) for name in names}


def chunked(given, **options):
    options = {**given, **options}
    out = loss(options.pop("hidden"), options.pop("kernel"), jnp.asarray(LABELS), ignore_label=IGNORED, **options)
    return jnp.sum(out * jnp.arange(1, TOKENS + 1, dtype=out.dtype)) if out.ndim else out


def dense(given, reduction="mean", chunk_size=None):
    """The textbook formula, in float64, differentiated by JAX."""
    logits = given["hidden"] @ given["kernel"]
    if "bias" in given:
        logits = logits + given["bias"][None, :]
    logp = logits - jnp.log(jnp.sum(jnp.exp(logits), axis=1, keepdims=True))
    at_label = jnp.asarray(np.eye(CLASSES)[np.where(LABELS == IGNORED, 0, LABELS)])
    smoothing, z_loss = given.get("label_smoothing", 0.0), given.get("z_loss", 0.0)
    losses = -(1 - smoothing) * jnp.sum(at_label * logp, axis=1) - smoothing * jnp.mean(logp, axis=1)
    losses = losses + z_loss * (logits - logp)[:, 0] ** 2
    losses = losses * jnp.asarray((LABELS != IGNORED).astype(float))
    if reduction == "none":
        return jnp.sum(losses * jnp.arange(1.0, TOKENS + 1))
    return jnp.sum(losses) / (TOKENS - 1 if reduction == "mean" else 1)


def along(function, tangents):
    return lambda given: jax.jvp(function, (given,), (tangents,))[1]


def derivatives(function, given, tangents):
    """Every mode, to the second order."""
    gradient = jax.grad(function)
    return {
        "value": function(given),
        "forward": along(function, tangents)(given),
        "reverse": gradient(given),
        "forward over reverse": along(gradient, tangents)(given),
        "reverse over forward": jax.grad(along(function, tangents))(given),
        "reverse over reverse": jax.vjp(gradient, given)[1](tangents)[0],
    }


def assert_close(got, expected):
    """To 64 ulp of the largest element: some hundred products are added up, and cancel."""
    wide = jax.tree.map(lambda array: np.asarray(array, np.longdouble), expected)
    for (path, truth), result in zip(jax.tree_util.tree_leaves_with_path(wide), jax.tree.leaves(got), strict=True):
        assert errors(result, truth, jnp.dtype(jnp.float64), max(1, np.max(np.abs(truth)))).max() <= 64, path


@pytest.mark.parametrize(
    ("names", "reduction", "chunk_size"),
    [
        (ALL, "mean", 3),
        (ALL, "none", 3),
        pytest.param(("hidden", "kernel"), "sum", 2, marks=pytest.mark.slow),
        pytest.param(("hidden", "kernel", "bias"), "mean", 99, marks=pytest.mark.slow),
        pytest.param(("hidden", "kernel", "label_smoothing"), "sum", 1, marks=pytest.mark.slow),
        pytest.param(("hidden", "kernel", "z_loss"), "none", 7, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_all_orders_are_those_of_the_dense_loss(names, reduction, chunk_size):
    """Also batched over the tangents alone; JAX 0.10 forgets rules of derivatives inside a plain scan."""
    given, tangents = arguments(names), arguments(names, seed=1)
    options = {"reduction": reduction, "chunk_size": chunk_size}
    function = functools.partial(chunked, **options)

    @jax.jit
    def run(given, tangents):
        batch = jax.tree.map(lambda array: jnp.stack([2 * array, array]), tangents)
        batched = jax.vmap(lambda tangents: along(jax.grad(function), tangents)(given))(batch)
        return derivatives(function, given, tangents), jax.tree.map(lambda array: array[1], batched)

    got, batched = run(given, tangents)
    expected = jax.jit(functools.partial(derivatives, functools.partial(dense, **options)))(given, tangents)
    assert_close(got, expected)
    assert_close(batched, expected["forward over reverse"])


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_third_derivative(reduction):
    given, tangents = arguments(("hidden", "kernel")), arguments(("hidden", "kernel"), seed=1)

    def third(function, given, tangents):
        gradient = jax.grad(functools.partial(function, reduction=reduction, chunk_size=3))
        forward = along(along(gradient, tangents), tangents)(given)
        return forward, jax.grad(lambda given: jax.vjp(gradient, given)[1](tangents)[0]["kernel"][0, 0])(given)

    run = jax.jit(third, static_argnums=0)
    assert_close(run(chunked, given, tangents), run(dense, given, tangents))


def long_dense(hidden, kernel, labels):
    """Mean loss and its gradients in longdouble."""
    hidden, kernel = hidden.astype(np.longdouble), kernel.astype(np.longdouble)
    logits = hidden @ kernel
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exp / exp.sum(axis=1, keepdims=True)
    slope = (p - np.eye(kernel.shape[1])[labels]) / len(labels)
    return -np.log(p[np.arange(len(labels)), labels]).mean(), slope @ kernel.T, hidden.T @ slope


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_half_precision_is_rounded_once(dtype, reduction):
    """Gradients are sums over 12 chunks, which half precision would round 12 times; terms cancel, hence the scale."""
    rng = np.random.default_rng(0)
    hidden, kernel = (jnp.asarray(rng.normal(size=shape), dtype) for shape in ((36, 8), (8, 20)))
    labels = rng.integers(0, 20, 36)

    @jax.jit
    def run(hidden, kernel):
        value, backward = jax.vjp(
            lambda *given: loss(*given, jnp.asarray(labels), reduction=reduction, chunk_size=3), hidden, kernel
        )
        return jnp.mean(value), *backward(jnp.full_like(value, 1 if reduction == "mean" else 2**-5))

    got = run(hidden, kernel)
    expected = long_dense(np.asarray(hidden), np.asarray(kernel), labels)
    if reduction == "none":
        expected = (expected[0], *(np.longdouble(36) / 32 * gradient for gradient in expected[1:]))
        got = (jnp.asarray(expected[0], dtype), *got[1:])  # the mean of rounded losses is not rounded once
    assert all(result.dtype == dtype for result in got)
    for result, truth in zip(got, expected, strict=True):
        assert errors(result, truth, jnp.dtype(dtype), np.max(np.abs(truth)) / 16).max() <= 0.51


def test_float32_is_as_right_as_its_products():
    """Each gradient is a sum of some hundred products: ten ulp of the largest element."""
    rng = np.random.default_rng(0)
    hidden, kernel = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((100, 32), (32, 200)))
    labels = rng.integers(0, 200, 100)
    value_and_grad = jax.value_and_grad(functools.partial(loss, chunk_size=16), (0, 1))
    value, gradients = jax.jit(value_and_grad)(hidden, kernel, jnp.asarray(labels))
    expected = long_dense(np.asarray(hidden), np.asarray(kernel), labels)
    for got, truth in zip((value, *gradients), expected, strict=True):
        assert got.dtype == jnp.float32
        assert errors(got, truth, jnp.dtype(jnp.float32), np.max(np.abs(truth))).max() <= 10


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_tokens_that_do_not_count_may_hold_anything(reduction):
    given = arguments(("hidden", "kernel"))
    labels = jnp.array([0, 1, 2, 3, 4, IGNORED, 4])
    hidden = given["hidden"].at[5].set(jnp.array([NAN, INF, -INF]))

    @jax.jit
    def run(hidden, kernel, labels):
        run = functools.partial(loss, reduction=reduction, chunk_size=2, ignore_label=IGNORED)
        value, backward = jax.vjp(lambda hidden, kernel: run(hidden, kernel, labels), hidden, kernel)
        return value, *backward(jnp.ones_like(value))

    got = run(hidden, given["kernel"], labels)
    assert np.all(got[1][5] == 0)
    expected = run(given["hidden"], given["kernel"], labels)
    for result, truth in zip(got, expected, strict=True):
        assert np.array_equal(result, truth)
    nothing = run(hidden, given["kernel"], jnp.full(TOKENS, IGNORED))
    assert all(np.all(result == 0) for result in nothing)
    wrong = run(given["hidden"], given["kernel"], labels.at[2].set(CLASSES))
    assert jnp.isnan(wrong[0] if reduction != "none" else wrong[0][2])
    assert np.isnan(wrong[1][2]).all()
    assert np.isnan(wrong[2]).all()
    assert np.isfinite(wrong[1][3]).all()


def test_shapes():
    given = arguments()
    hidden, kernel = given["hidden"], given["kernel"]
    labels = jnp.asarray(np.where(LABELS < 0, 0, LABELS))
    each = loss(hidden, kernel, labels, reduction="none")
    assert each.shape == (TOKENS,)
    np.testing.assert_allclose(loss(hidden[0], kernel, labels[0]), each[0], rtol=1e-14, atol=0)
    three = loss(hidden[:6].reshape(2, 3, FEATURES), kernel, labels[:6].reshape(2, 3), reduction="none", chunk_size=4)
    np.testing.assert_allclose(three.ravel(), each[:6], rtol=1e-14, atol=0)
    assert loss(hidden[:0], kernel, labels[:0], reduction="none").shape == (0,)
    empty = jax.value_and_grad(loss, (0, 1))(hidden[:0], kernel, labels[:0])
    assert empty[0] == 0
    assert empty[1][0].shape == (0, FEATURES)
    assert np.all(empty[1][1] == 0)
    over_kernels = jax.vmap(jax.grad(loss, 1), (None, 0, None))(hidden, jnp.stack([kernel, 2 * kernel]), labels)
    np.testing.assert_allclose(over_kernels[1], jax.grad(loss, 1)(hidden, 2 * kernel, labels), rtol=1e-13, atol=0)
    over_tokens = jax.vmap(jax.grad(loss), (0, None, 0))(hidden[:, None], kernel, labels[:, None])
    np.testing.assert_allclose(over_tokens[:, 0], TOKENS * jax.grad(loss)(hidden, kernel, labels), rtol=1e-13, atol=0)


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.uint32, jnp.int64])
def test_labels_of_any_integer_dtype(dtype):
    rng = np.random.default_rng(0)
    hidden, kernel = jnp.asarray(rng.normal(size=(3, 4))), jnp.asarray(rng.normal(size=(4, 300)))
    labels = np.array([0, 5, 100])
    expected = loss(hidden, kernel, jnp.asarray(labels))
    assert loss(hidden, kernel, jnp.asarray(labels, dtype)) == expected


def test_memory_holds_few_logits_and_does_not_grow_with_tokens():
    """Half of what the logits of all tokens take, and less: the kernel's gradient twice, and the logits of a chunk."""

    def temporary(tokens, classes, reduction):
        shapes = (tokens, 16), (16, classes), (tokens,)
        arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes[:2]]
        labels = jax.ShapeDtypeStruct(shapes[2], jnp.int32)

        def run(hidden, kernel, labels):
            function = functools.partial(loss, reduction=reduction, chunk_size=64)
            value, backward = jax.vjp(lambda *given: function(*given, labels), hidden, kernel)
            return value, backward(jnp.ones_like(value))

        return jax.jit(run).lower(*arrays, labels).compile().memory_analysis().temp_size_in_bytes

    for reduction in ("mean", "none"):
        logits, gradient = 4 * 64 * 4096, 4 * 16 * 4096
        once, twice = temporary(1024, 4096, reduction), temporary(2048, 4096, reduction)
        assert once <= 4 * gradient + 3 * logits
        assert twice - once <= 4 * 16 * 1024 * 4  # hidden and its gradient


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"hidden": jnp.ones((2, 3), jnp.int32)}, TypeError, "hidden must be floating, got int32"),
        ({"hidden": jnp.ones((2, 4), F32)}, ValueError, "hidden must have shape (2, 3), got (2, 4)"),
        ({"hidden": jnp.ones((), F32)}, ValueError, "must have shape"),
        ({"kernel": jnp.ones((3, 4), jnp.bfloat16)}, TypeError, "kernel must be float32, got bfloat16"),
        ({"kernel": jnp.ones(3, F32)}, ValueError, "kernel must have shape (None, None), got (3,)"),
        ({"labels": jnp.ones(2, F32)}, TypeError, "labels must be integer, got float32"),
        ({"labels": jnp.zeros(3, jnp.int32)}, ValueError, "labels must have shape (2,), got (3,)"),
        ({"bias": jnp.ones(4, jnp.float16)}, TypeError, "bias must be float32, got float16"),
        ({"bias": jnp.ones(3, F32)}, ValueError, "bias must have shape (4,), got (3,)"),
        ({"reduction": "average"}, ValueError, "reduction must be one of mean, sum, none, got 'average'"),
        ({"chunk_size": 0}, ValueError, "chunk_size must be positive, got 0"),
        ({"chunk_size": 2.0}, TypeError, "chunk_size must be an integer, got 2.0"),
        ({"label_smoothing": jnp.ones(2, F32)}, ValueError, "label_smoothing must have shape (), got (2,)"),
        ({"z_loss": 1j}, TypeError, "z_loss must be floating or integer, got complex"),
        ({"ignore_label": 0.5}, TypeError, "ignore_label must be integer, got float"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input(change, kind, message):
    given = {"hidden": jnp.ones((2, 3), F32), "kernel": jnp.ones((3, 4), F32), "labels": jnp.zeros(2, jnp.int32)}
    given |= change
    with pytest.raises(kind) as caught:
        loss(given.pop("hidden"), given.pop("kernel"), given.pop("labels"), **given)
    assert str(caught.value).count("jaxact.linear_softmax_cross_entropy: ") == 1
    assert message in str(caught.value)
