"""Discrete samples: exactly 0 and 1, as often as they should be, with the published gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import export, lax
from jax.experimental import checkify

import jaxact
import rows
from jaxact._random import gumbel_of, uniform_of
from ulp import errors

INF, NAN = np.inf, np.nan
DTYPES = (np.float16, jnp.bfloat16, np.float32, np.float64)
HALF = (np.float16, jnp.bfloat16)
by_name = {"ids": lambda dtype: jnp.dtype(dtype).name}
KEY = jax.random.key(7)
DRAWS = 1_000_000

# One-hot functions of key and logits.
SAMPLERS = {
    "gumbel_softmax": functools.partial(jaxact.gumbel_softmax, hard=True),
    "reinmax": jaxact.reinmax,
    "argmax_ste": lambda _key, logits, **options: jaxact.argmax_ste(logits, **options),
}
each_sampler = pytest.mark.parametrize("name", SAMPLERS)


@functools.partial(jax.jit, static_argnames=("name", "axis"))
def value_and_gradients(name, key, logits, cotangent, temperature, axis=-1):
    def fun(logits, temperature):
        return SAMPLERS[name](key, logits, temperature=temperature, axis=axis)

    value, backward = jax.vjp(fun, logits, temperature)
    return value, *backward(cotangent)


def normal_logits(dtype, shape=(400, 10)):
    return (3 * np.random.default_rng(0).normal(size=shape)).astype(dtype)


# values


def is_0_or_1(numbers):
    return np.all((np.asarray(numbers) == 0) | (np.asarray(numbers) == 1), axis=-1)


@jax.jit
def all_samples(logits):
    """The samples, and what a consumer in float32 sees of them."""
    samples = [sampler(KEY, logits, temperature=5) for sampler in SAMPLERS.values()]
    return samples, [sample.astype(jnp.float32) for sample in samples]


@pytest.mark.parametrize("dtype", DTYPES, **by_name)
def test_hard_values_are_0_and_1(dtype):
    samples, consumed = all_samples(normal_logits(dtype))
    assert all(sample.dtype == dtype for sample in samples)
    for sample in (*samples, *consumed):
        assert np.all(is_0_or_1(sample))
        assert np.all(np.asarray(sample, np.float32).sum(axis=-1) == 1)


def test_the_usual_straight_through_one_hots_are_not_0_and_1():
    """XLA skips the rounding of the sum to bfloat16 where float32 is wanted next."""

    @jax.jit
    def usual(logits):
        soft = jax.nn.softmax((logits + jax.random.gumbel(KEY, logits.shape, logits.dtype)) / 5)
        hard = jax.nn.one_hot(jnp.argmax(soft, axis=-1), logits.shape[-1], dtype=logits.dtype)
        return (soft + lax.stop_gradient(hard - soft)).astype(jnp.float32)

    assert np.mean(is_0_or_1(usual(normal_logits(jnp.bfloat16)))) < 0.6


@pytest.mark.parametrize("dtype", HALF, **by_name)
def test_half_precision_is_computed_in_float32_and_rounded_once(dtype):
    """All dtypes draw the same noise."""
    logits = normal_logits(dtype)
    soft = jax.jit(lambda x: jaxact.gumbel_softmax(KEY, x, temperature=0.5))
    np.testing.assert_array_equal(soft(logits), soft(logits.astype(np.float32)).astype(dtype))


SPECIAL = {
    "-inf": ([0.5, -INF, 0.1, -INF], [2, 0, 2, 0]),
    "all -inf": ([-INF] * 4, [0] * 4),
    "inf": ([INF, 3.0, INF, -INF], [2, 0, 2, 0]),
    "confident": ([3e38, 0, -3e38, 0], [1, 0, 0, 0]),
    "nan": ([NAN, 0, 0, 0], [NAN] * 4),
}


@each_sampler
@pytest.mark.parametrize("row", SPECIAL)
def test_special_rows(name, row):
    """A 2 stands for 0 in some samples and 1 in the others."""
    logits, expected = (np.array(numbers, np.float32) for numbers in SPECIAL[row])
    logits = np.tile(logits, (64, 1))
    weights = np.tile(np.float32([0.3, -1, 2, 0.7]), (64, 1))
    value, slope, temperature_slope = value_and_gradients(name, KEY, logits, weights, np.float32(0.5))
    certain = expected != 2
    np.testing.assert_array_equal(np.asarray(value)[:, certain], np.tile(expected[certain], (64, 1)))
    if not certain.all():
        assert np.all(np.asarray(value).sum(axis=-1) == 1)
    if not certain.all() and name != "argmax_ste":
        assert np.all(np.asarray(value)[:, ~certain].sum(axis=0) > 10)
    if row == "nan":
        assert np.all(np.isnan(slope))
    else:
        assert np.all(np.isfinite(slope))
        assert np.isfinite(temperature_slope)
        assert np.all(np.asarray(slope)[:, expected == 0] == 0)


@each_sampler
@pytest.mark.parametrize("temperature", [0.0, -1.0, NAN])
def test_without_a_positive_temperature_all_is_nan(name, temperature):
    logits = np.float32([[1, 2, -INF]])
    value, slope, _ = value_and_gradients(name, KEY, logits, np.ones_like(logits), np.float32(temperature))
    assert np.all(np.isnan(value))
    assert np.all(np.isnan(slope))


@each_sampler
def test_at_a_tiny_temperature_nothing_is_nan(name):
    logits = np.float32([[1, 2, -INF], [300, 1, 0]])
    weights = np.float32([[1, -2, 0.5]] * 2)
    results = value_and_gradients(name, KEY, logits, weights, np.float32(1e-30))
    assert all(np.all(np.isfinite(result)) for result in results)


def test_of_equal_maxima_argmax_takes_the_first():
    np.testing.assert_array_equal(jaxact.argmax_ste(np.float32([1, 3, 3, -INF, 3])), [0, 1, 0, 0, 0])


# frequencies


@functools.partial(jax.jit, static_argnames=("name", "dtype"))
def counts(name, key, logits, dtype):
    value = SAMPLERS[name](key, jnp.broadcast_to(logits, (DRAWS, logits.size)).astype(dtype))
    return value.astype(jnp.int32).sum(axis=0)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("gumbel_softmax", np.float32), ("gumbel_softmax", jnp.bfloat16), ("reinmax", np.float32)],
    ids=str,
)
def test_classes_are_as_frequent_as_softmax_says(name, dtype):
    logits = np.array([2, 0, -1, -INF, 0.5, -6])
    got = np.asarray(counts(name, KEY, logits, dtype))
    possible = np.isfinite(logits)
    expected = DRAWS * np.exp(logits[possible]) / np.exp(logits[possible]).sum()
    assert np.all(got[~possible] == 0)
    assert scipy.stats.chisquare(got[possible], expected).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], **by_name)
def test_ones_are_as_frequent_as_sigmoid_says(dtype):
    logits = np.array([-7, -2, 0, 0.5, 4, 9])

    @jax.jit
    def ones(key):
        x = jnp.broadcast_to(logits, (DRAWS, logits.size)).astype(dtype)
        return jaxact.bernoulli_ste(key, x).astype(jnp.int32).sum(axis=0)

    expected = DRAWS / (1 + np.exp(-logits))
    statistic = ((np.asarray(ones(KEY)) - expected) ** 2 / (expected * (1 - expected / DRAWS))).sum()
    assert scipy.stats.chi2.sf(statistic, logits.size) > 1e-3


BITS = np.concatenate(
    [
        np.arange(1000),
        2**32 - 1 - np.arange(1000),
        *(2**power + np.arange(-300, 300) for power in (22, 23, 24, 25, 31)),
        np.random.default_rng(0).integers(0, 2**32, 10_000),
    ]
).astype(np.uint32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], **by_name)
def test_uniform_numbers_are_below_a_threshold_as_often_as_they_should_be(dtype):
    exact = (BITS.astype(np.longdouble) + 0.5) / 2**32
    got = np.asarray(uniform_of(jnp.asarray(BITS), dtype))
    assert np.all((got > 0) & (got < 1))
    for threshold in np.concatenate([got[::7], np.nextafter(got[::7], dtype(1))]):
        np.testing.assert_array_equal(got < threshold, exact < threshold)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], **by_name)
def test_gumbel_numbers_are_right_and_finite(dtype):
    exact = -np.log(-np.log1p(-(BITS.astype(np.longdouble) + 0.5) / 2**32))
    got = np.asarray(jax.jit(functools.partial(gumbel_of, dtype=dtype))(BITS))
    assert errors(got, exact, np.dtype(dtype), scale=np.ones_like(exact)).max() <= 4


def test_the_usual_gumbel_noise_is_infinite_and_its_softmax_nan():
    """What PyTorch computes when its exponential noise happens to be 0."""

    def usual(exponential, logits):
        return jax.nn.softmax(logits - jnp.log(exponential))

    assert np.all(np.isnan(usual(jnp.zeros(2), jnp.ones(2))))
    assert np.all(np.isfinite(gumbel_of(jnp.array([0, 2**32 - 1], jnp.uint32), np.float32)))


# keys


@jax.jit
def everything(key, logits):
    soft = jaxact.gumbel_softmax(key, logits, temperature=0.7)
    return jnp.stack(
        [soft, *(sampler(key, logits) for sampler in SAMPLERS.values()), jaxact.bernoulli_ste(key, logits)]
    )


def test_both_forms_of_keys_and_several_at_once():
    logits = normal_logits(np.float32, (5, 3))
    old = jax.random.PRNGKey(7)
    np.testing.assert_array_equal(everything(KEY, logits), everything(old, logits))
    for keys in (jax.random.split(KEY, 4), jax.random.split(old, 4)):
        np.testing.assert_array_equal(
            jax.vmap(everything, (0, None))(keys, logits), [everything(key, logits) for key in keys]
        )


def test_bernoulli_is_monotone_in_the_logit():
    logits = np.linspace(-9, 9, 200, dtype=np.float32)
    shape = (500,)
    samples = np.stack([jaxact.bernoulli_ste(KEY, np.full(shape, x)) for x in logits])
    assert np.all(np.diff(samples, axis=0) >= 0)
    np.testing.assert_array_equal(jaxact.bernoulli_ste(KEY, np.float32([-INF, INF, NAN])), [0, 1, NAN])


# gradients


def softmax_jacobian(p):
    return np.diag(p) - np.outer(p, p)


def plain_softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def same(got, expected):
    """To the last bits of the largest element, as the plain formulas that are compared with subtract."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14 * np.abs(expected).max())


def test_reinmax_has_the_published_gradient():
    """Liu et al., 2023: 2 J(q) - J(p) / 2, q half way between the tempered softmax and the sample."""
    temperature = 1.3
    seen = set()

    @jax.jit
    def sample_and_jacobians(key, x):
        fun = functools.partial(jaxact.reinmax, key, temperature=temperature)
        return fun(x), jax.jacfwd(fun)(x), jax.jacrev(fun)(x)

    for i, x in enumerate(normal_logits(np.float64, (12, 4))):
        sample, forward, reverse = sample_and_jacobians(jax.random.key(i), x)
        q = (plain_softmax(x / temperature) + sample) / 2
        expected = 2 * softmax_jacobian(np.asarray(q)) - softmax_jacobian(plain_softmax(x)) / 2
        same(forward, expected)
        same(reverse, expected)
        seen.add(int(jnp.argmax(sample)))
    assert len(seen) == 4


def test_the_mean_gradient_of_reinmax_is_exact_for_a_linear_loss():
    """The sum over samples, weighted with their probabilities, is the derivative of the expectation."""
    x = np.array([0.3, -1.0, 0.8])
    p = plain_softmax(x)
    fun = jax.jit(lambda key: (jaxact.reinmax(key, x), jax.jacrev(functools.partial(jaxact.reinmax, key))(x)))
    jacobians = {}
    for i in range(40):
        sample, jacobian = fun(jax.random.key(i))
        jacobians[int(jnp.argmax(sample))] = np.asarray(jacobian)
    same(sum(p[i] * jacobians[i] for i in range(3)), softmax_jacobian(p))


@pytest.mark.parametrize("name", ["argmax_ste", "gumbel_softmax"])
def test_gradients_in_logits_and_temperature_are_those_of_the_tempered_softmax(name):
    temperature, weights = 0.7, np.array([0.3, -1.0, 2.0, 0.1])
    for x in normal_logits(np.float64, (5, 4)):
        # At temperature 1 the logarithm of the relaxed sample is the perturbed logits, a constant aside.
        scores = x if name == "argmax_ste" else np.log(jaxact.gumbel_softmax(KEY, x))
        p = plain_softmax(np.asarray(scores) / temperature)
        value, slope, temperature_slope = value_and_gradients(name, KEY, x, weights, np.float64(temperature))
        np.testing.assert_array_equal(value, np.arange(4) == np.argmax(scores))
        same(slope, softmax_jacobian(p) @ weights / temperature)
        expected = -(softmax_jacobian(p) @ scores @ weights) / temperature**2
        np.testing.assert_allclose(temperature_slope, expected, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_axis_is_kept_in_every_mode(axis):
    x, t = normal_logits(np.float64, (3, 4)), normal_logits(np.float64, (4, 3)).T
    value, forward = jax.jvp(functools.partial(jaxact.argmax_ste, axis=axis), (x,), (t,))
    np.testing.assert_array_equal(value, x == x.max(axis=axis, keepdims=True))
    same(forward, jax.jvp(functools.partial(jax.nn.softmax, axis=axis), (x,), (t,))[1])


@each_sampler
def test_the_axis_may_be_the_first(name):
    x = normal_logits(np.float64, (3, 4))
    value, slope, _ = value_and_gradients(name, KEY, x, x[::-1], np.float64(1), axis=0)
    assert np.all(np.asarray(value).sum(axis=0) == 1)
    assert np.all(np.abs(np.asarray(slope).sum(axis=0)) < 1e-14 * np.abs(slope).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64], **by_name)
def test_gradients_are_right_where_one_class_is_nearly_certain(dtype):
    """Also where every class has a weight, so that the largest terms of the gradient cancel."""
    with np.errstate(over="ignore"):
        x = np.concatenate(list(rows.hard_rows(np.dtype(dtype), 20).values()))
    weights = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    p, long = rows.softmax(x), weights.astype(np.longdouble)
    others = p[:, None, :] * (1 - np.eye(p.shape[1]))
    first, second = long[:, :, None], long[:, None, :]
    expected = p * (others * (first - second)).sum(axis=-1)
    size = p * (others * (np.abs(first) + np.abs(second))).sum(axis=-1)
    # The tempered logits are rounded, which costs an ulp for each unit that they, or the rivals of the largest, are
    # below it.
    below = np.abs(x - x.max(axis=-1, keepdims=True))
    budget = 12 + np.where(below == 0, np.partition(below, 1, axis=-1)[:, 1:2], below)
    margin = (2.0**24, 1.0)
    _, slope, _ = value_and_gradients("argmax_ste", KEY, x, weights, dtype(1))
    assert np.all(errors(slope, expected, np.dtype(dtype), size, margin) <= budget)
    usual = jax.jit(lambda x, w: jax.vjp(jax.nn.softmax, x)[1](w)[0])(x, weights)
    assert errors(usual, expected, np.dtype(dtype), size, margin).max() > 1e4


def test_bernoulli_has_the_gradient_of_the_sigmoid_in_both_tails():
    x = np.linspace(-80, 80, 321, dtype=np.float32)
    slope = jax.vjp(functools.partial(jaxact.bernoulli_ste, KEY), x)[1](jnp.ones_like(x))[0]
    u = np.exp(-np.abs(x.astype(np.longdouble)))
    assert errors(slope, u / (1 + u) ** 2, np.dtype(np.float32)).max() <= 4


def test_a_temperature_for_each_row():
    x = normal_logits(np.float64, (3, 4))
    temperature = np.array([[0.5], [1.0], [2.0]])
    value, slope, temperature_slope = value_and_gradients("gumbel_softmax", KEY, x, x, temperature)
    for i in range(3):
        single = value_and_gradients("gumbel_softmax", KEY, x, x, temperature[i, 0])
        np.testing.assert_array_equal(value[i], single[0][i])
        same(slope[i], single[1][i])
    assert temperature_slope.shape == (3, 1)


# transforms


def loss(logits, temperature):
    soft = jaxact.gumbel_softmax(KEY, logits, temperature=temperature)
    hard = [sampler(KEY, logits, temperature=temperature) for sampler in SAMPLERS.values()]
    return jnp.stack([soft, *hard, jaxact.bernoulli_ste(KEY, logits)])[..., 0].sum()


LOGITS = np.float32([[0.5, -INF, 0.1], [40, 0, -3], [-INF, -INF, -INF]])


def test_second_derivatives_are_finite():
    slopes = jax.grad(loss, argnums=(0, 1))
    bends = jax.jit(lambda *x: jax.jvp(slopes, x, tuple(map(jnp.ones_like, x))))(LOGITS, np.float32(0.5))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(bends))


@pytest.mark.slow
def test_checkify_stays_silent():
    check_floats = checkify.checkify(jax.value_and_grad(loss, argnums=(0, 1)), errors=checkify.float_checks)
    jax.jit(check_floats)(LOGITS, np.float32(0.5))[0].throw()


def test_export():
    logits = normal_logits(np.float32, (4, 3))
    old = jax.random.PRNGKey(7)
    exported = export.export(everything, platforms=("cpu", "cuda", "tpu"))(old, logits)
    np.testing.assert_array_equal(export.deserialize(exported.serialize()).call(old, logits), everything(old, logits))


@each_sampler
def test_backward_saves_no_more_than_the_logits(name):
    x = normal_logits(jnp.bfloat16, (8, 16))
    backward = jax.vjp(functools.partial(SAMPLERS[name], KEY), jnp.asarray(x))[1]
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(backward) if leaf.size >= x.size) <= x.nbytes


# errors

X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: jaxact.gumbel_softmax(0, X),
            TypeError,
            "jaxact.gumbel_softmax: key must be a key of jax.random, got int64",
        ),
        (lambda: jaxact.reinmax(X, X), TypeError, "jaxact.reinmax: key must be a key of jax.random, got float32"),
        (lambda: jaxact.bernoulli_ste(None, X), TypeError, "jaxact.bernoulli_ste: key must be an array or a number"),
        (
            lambda: jaxact.bernoulli_ste(jax.random.split(KEY, 3), X),
            ValueError,
            "jaxact.bernoulli_ste: key must be one key of jax.random, got shape (3,)",
        ),
        (
            lambda: jaxact.bernoulli_ste(jax.random.split(jax.random.PRNGKey(0), 3), X),
            ValueError,
            "jaxact.bernoulli_ste: key must be one key of jax.random, got shape (3, 2)",
        ),
        (
            lambda: jaxact.gumbel_softmax(KEY, X.astype(int)),
            TypeError,
            "jaxact.gumbel_softmax: logits must be floating, got int64",
        ),
        (lambda: jaxact.gumbel_softmax(KEY, X, hard=1), TypeError, "hard must be True or False, got 1"),
        (lambda: jaxact.gumbel_softmax(KEY, X, axis=2), ValueError, "jaxact.gumbel_softmax: axis must be an integer"),
        (lambda: jaxact.argmax_ste(1.0), ValueError, "jaxact.argmax_ste: axis must be an integer"),
        (
            lambda: jaxact.argmax_ste(X, temperature=X),
            ValueError,
            "jaxact.argmax_ste: temperature must broadcast to shape (2, 1), got (2, 3)",
        ),
        (
            lambda: jaxact.reinmax(KEY, X, temperature=1j),
            TypeError,
            "jaxact.reinmax: temperature must be floating or integer, got complex",
        ),
    ],
)
def test_message(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
