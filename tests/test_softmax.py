"""Softmax, its logarithm and logsumexp: accuracy on hard rows, conventions, measured faults of the usual ones."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

import jaxact
import rows
from ulp import errors

INF, NAN = jnp.inf, jnp.nan
DTYPES = ("float16", "bfloat16", "float32", "float64")
# Value and gradient, in ulp. A softmax just below 1 has the ulp of numbers below 1, which is half of theirs above.
HALF = (0.51, 1.01)
BUDGETS = {"log_softmax": (4, 6), "softmax": (7, 9), "logsumexp": (3, 7)}


def check(name, dtype, x, got, expected, scale=None):
    """The value is right to the budget of its function, and so is the gradient."""
    budgets = BUDGETS[name] if jnp.finfo(dtype).bits > 16 else HALF
    for budget, result, truth, size in zip(budgets, got, expected, scale or (None, None), strict=True):
        error = errors(result, truth, jnp.dtype(dtype), size)
        worst = np.unravel_index(np.argmax(error), error.shape)
        assert error[worst] <= budget, f"{error[worst]:.2f} ulp in row {x[worst[0]]}, at {worst}: {truth[worst]}"


def leader(x):
    return jax.nn.one_hot(jnp.argmax(x, axis=-1), x.shape[-1], dtype=bool)


@jax.jit
def log_softmax_and_gradient(x):
    value, backward = jax.vjp(jaxact.log_softmax, x)
    return value, backward(leader(x).astype(x.dtype))[0]


@jax.jit
def softmax_and_gradient(x):
    value, backward = jax.vjp(jaxact.softmax, x)
    return value, backward(leader(x).astype(x.dtype))[0]


@jax.jit
def logsumexp_and_gradient(x):
    value, backward = jax.vjp(jaxact.logsumexp, x)
    return value, backward(jnp.ones_like(value))[0]


def check_all(dtype, x):
    at_leader = np.asarray(leader(jnp.asarray(x)))
    centred = rows.centred_softmax(x, at_leader)
    p = rows.softmax(x)
    check("log_softmax", dtype, x, log_softmax_and_gradient(x), (rows.log_softmax(x), -centred))
    p_leader = p.max(axis=-1, keepdims=True)
    check("softmax", dtype, x, softmax_and_gradient(x), (p, -p_leader * centred))
    value = rows.logsumexp(x)
    peak = np.abs(np.asarray(x).astype(np.longdouble).max(axis=-1))
    check("logsumexp", dtype, x, logsumexp_and_gradient(x), (value, p), (np.maximum(np.abs(value), peak), None))


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_rows_are_right(dtype):
    with np.errstate(over="ignore"):
        x = np.concatenate(list(rows.hard_rows(jnp.dtype(dtype)).values()))
    check_all(dtype, x)


@jax.jit
def gradients_of(x, cotangent):
    return [jax.vjp(function, x)[1](cotangent)[0] for function in (jaxact.softmax, jaxact.log_softmax)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_any_cotangent_keep_the_small_terms_at_a_confident_logit(dtype):
    """The large cotangent there cancels; what is left is of the size of the others, against which it is measured."""
    x = np.concatenate(list(rows.hard_rows(dtype, 20).values()))
    cotangent = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    p = rows.softmax(x)
    at_leader = np.asarray(leader(jnp.asarray(x)))
    centred = rows.centred_softmax(x, at_leader)
    for weights, got in zip((p * cotangent, cotangent.astype(np.longdouble)), gradients_of(x, cotangent), strict=True):
        at_others, at_centre = np.where(at_leader, 0, weights), np.where(at_leader, weights, 0).sum(-1, keepdims=True)
        others, sizes = (v.sum(-1, keepdims=True) for v in (at_others, np.abs(at_others)))
        expected = np.where(at_leader, -p * others - weights * centred, weights - p * (others + at_centre))
        size = np.where(
            at_leader, p * sizes + np.abs(weights * centred), np.abs(weights) + p * (sizes + abs(at_centre))
        )
        # Products of small probabilities end before their sums do.
        assert errors(got, expected, jnp.dtype(dtype), size, (2.0**24, 1.0)).max() <= 16


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [10, 1000, 50257, 131072])
def test_rows_of_any_length_are_right(dtype, classes):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, classes)) * np.array([1, 3, 10, 1, 1, 0])[:, None] + 0.3
    x[3, 7] = 30
    x[4] = np.round(x[4])
    check_all(dtype, x.astype(dtype))


def test_references_agree_with_mpmath_and_scipy():
    x = np.concatenate([row[:2] for row in rows.hard_rows(np.float64).values()])
    with mpmath.workprec(300):
        for row, value, p in zip(x, rows.log_softmax(x), rows.softmax(x), strict=True):
            exact = [mpmath.mpf(float(number)) for number in row]
            total = mpmath.fsum(mpmath.exp(number) for number in exact)
            for number, got, probability in zip(exact, value, p, strict=True):
                assert abs(float(got / (number - mpmath.log(total))) - 1) < 1e-17 * 100
                assert abs(float(probability / (mpmath.exp(number) / total)) - 1) < 1e-17 * 100
    assert np.allclose(rows.logsumexp(x).astype(float), scipy.special.logsumexp(x, axis=-1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (2, 1, 0)], ids=str)
def test_axis_and_mask(axis):
    x = np.random.default_rng(0).normal(size=(3, 16, 5))
    where = np.random.default_rng(1).random((3, 16, 5)) < 0.7
    where[0] = True  # SciPy has no value for rows of nothing
    masked = np.where(where, x, -np.inf)
    garbage = jnp.asarray(np.where(where, x, np.nan))
    options = {"axis": axis, "where": jnp.asarray(where)}
    same = functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=0)
    same(jaxact.softmax(garbage, **options), scipy.special.softmax(masked, axis=axis))
    same(jaxact.log_softmax(garbage, **options), scipy.special.log_softmax(masked, axis=axis))
    same(jaxact.logsumexp(garbage, **options), scipy.special.logsumexp(masked, axis=axis))
    assert jaxact.logsumexp(garbage, keepdims=True, **options).ndim == 3
    for function in (jaxact.softmax, jaxact.log_softmax, jaxact.logsumexp):
        gradient = jax.grad(lambda x, f=function: jnp.where(jnp.isfinite(y := f(x, **options)), y, 0).sum())(garbage)
        assert np.all(np.isfinite(gradient))
        assert np.all(np.asarray(gradient)[~where] == 0)


@pytest.mark.parametrize(
    ("x", "log_softmax", "softmax", "logsumexp"),
    [
        ([-INF, -INF], [-INF, -INF], [0, 0], -INF),
        ([INF, 0], [0, -INF], [1, 0], INF),
        ([INF, 3.4028235e38], [0, -INF], [1, 0], INF),
        ([INF, INF, 1], [-0.6931472, -0.6931472, -INF], [0.5, 0.5, 0], INF),
        ([-INF, 5], [-INF, 0], [0, 1], 5),
        ([NAN, 1], [NAN, NAN], [NAN, NAN], NAN),
        ([NAN, INF], [NAN, NAN], [NAN, NAN], NAN),
        ([3.4e38, 3.3e38], [0, -1e37], [1, 0], 3.4e38),
        ([-3.4e38, -3.4e38], [-0.6931472, -0.6931472], [0.5, 0.5], -3.4e38),
        ([7.0], [0], [1], 7),
    ],
    ids=str,
)
def test_conventions(x, log_softmax, softmax, logsumexp):
    x = jnp.array(x, jnp.float32)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=0)
    close(jaxact.log_softmax(x), log_softmax)
    close(jaxact.softmax(x), softmax)
    close(jaxact.logsumexp(x), logsumexp)


@pytest.mark.parametrize("row", [[-INF, -INF], [1.0, NAN]], ids=("all -inf", "all masked"))
def test_rows_of_nothing_have_no_gradient(row):
    x = jnp.array(row)
    options = {} if row[0] == -INF else {"where": jnp.zeros(2, bool)}
    assert jaxact.logsumexp(x, **options) == -INF
    for function in (jaxact.softmax, jaxact.log_softmax, jaxact.logsumexp):
        value, backward = jax.vjp(lambda x, f=function: f(x, **options), x)
        assert np.all(backward(jnp.ones_like(value))[0] == 0)


def test_empty_axis():
    assert np.all(jaxact.logsumexp(jnp.ones((2, 0))) == -INF)
    assert jaxact.softmax(jnp.ones((2, 0))).shape == jaxact.log_softmax(jnp.ones((2, 0))).shape == (2, 0)


def test_softmax_gradients_sum_to_zero():
    x = rows.hard_rows(np.float32)["wide"]
    gradient = np.asarray(softmax_and_gradient(x)[1], np.float64)
    assert np.all(np.abs(gradient.sum(axis=-1)) <= 2 * np.finfo(np.float32).eps * np.abs(gradient).sum(axis=-1))


def test_a_confident_logit_keeps_value_and_gradient():
    x = jnp.array([20, 0, -3], jnp.float32)
    assert jax.nn.log_softmax(x)[0] == 0
    assert jax.grad(lambda x: -jax.nn.log_softmax(x)[0])(x)[0] == 0
    expected = np.float32(-2.1637724e-9)
    np.testing.assert_allclose(jaxact.log_softmax(x)[0], expected, rtol=4e-7, atol=0)
    np.testing.assert_allclose(jax.grad(lambda x: -jaxact.log_softmax(x)[0])(x)[0], expected, rtol=4e-7, atol=0)


def test_a_confident_logit_keeps_its_signal_in_bfloat16():
    x = jnp.array([8, 0, 1], jnp.bfloat16)
    assert jax.nn.log_softmax(x)[0] == 0
    value, gradient = jaxact.log_softmax(x)[0], jax.grad(lambda x: -jaxact.log_softmax(x)[0])(x)[0]
    assert value == jnp.bfloat16(-0.0012466)
    assert gradient == jnp.bfloat16(-0.0012458)


def test_many_classes_in_float16_do_not_overflow():
    x = jnp.zeros(100_000, jnp.float16)
    assert not np.all(np.isfinite(jnp.exp(x).sum(dtype=jnp.float16)))
    np.testing.assert_allclose(jaxact.log_softmax(x), np.float16(-np.log(100_000)), rtol=0, atol=0)


def test_a_product_fused_with_the_difference_changes_nothing():
    x = jnp.array([3.1e11, 2.9e11, 1], jnp.float32)
    compiled = jax.jit(lambda x: jaxact.log_softmax(x * 0.7))(x)
    assert np.array_equal(compiled, jaxact.log_softmax(x * 0.7))
    np.testing.assert_allclose(compiled, [0, -1.4e10, -2.17e11], rtol=2e-6, atol=0)


def test_terms_that_vanish_one_by_one_count_together():
    x = np.full((1, rows.CLASSES), -88.0, np.float32)
    x[0, 0] = 0
    value = jaxact.log_softmax(x)[0, 0]
    np.testing.assert_allclose(value, -(rows.CLASSES - 1) * np.exp(-88.0), rtol=1e-6, atol=0)


ORDERS = {
    "forward over reverse": lambda f: jax.jacfwd(jax.grad(f)),
    "reverse over reverse": lambda f: jax.jacrev(jax.grad(f)),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_second_derivatives(name, order):
    """Against the formula; JAX 0.10 compiles those of `jax.nn.log_softmax` to wrong numbers in one of the modes."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
    p = scipy.special.softmax(x, axis=-1)
    centred = np.eye(7) - p[:, None, :]  # d log p_i / d x_k
    covariance = p[:, :, None] * centred
    if name == "logsumexp":
        weights = weights[:, 0]
        expected = weights[:, None, None] * covariance
    elif name == "log_softmax":
        expected = -weights.sum(axis=1)[:, None, None] * covariance
    else:
        mean = (weights * p).sum(axis=1)[:, None, None]
        deviation = p * (weights - mean[:, :, 0])
        expected = np.einsum("bi,bik->bik", deviation, np.broadcast_to(np.eye(7), (2, 7, 7)))
        expected = expected - deviation[:, :, None] * p[:, None, :] - p[:, :, None] * deviation[:, None, :]
    got = ORDERS[order](lambda x: (weights * getattr(jaxact, name)(x)).sum())(x)
    diagonal = np.stack([got[row, :, row] for row in range(2)])
    assert np.max(np.abs(diagonal - expected)) <= 8 * np.finfo(np.float64).eps * np.max(np.abs(expected))


def test_third_derivative_agrees_between_modes():
    x = np.random.default_rng(0).normal(size=5)
    forward = jax.jacfwd(jax.jacfwd(jax.jacfwd(jaxact.logsumexp)))(x)
    reverse = jax.jacrev(jax.jacrev(jax.jacrev(jaxact.logsumexp)))(x)
    assert np.max(np.abs(forward - reverse)) <= 8 * np.finfo(np.float64).eps * np.max(np.abs(forward))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_backward_saves_no_more_than_the_input(name):
    x = jnp.ones((64, 32), jnp.bfloat16)
    backward = jax.vjp(getattr(jaxact, name), x)[1]
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(backward)) <= x.nbytes
    assert backward(x)[0].dtype == x.dtype
