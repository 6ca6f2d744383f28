"""Hard values at every number, slopes that stay finite, samples with the right frequencies, and the peers' formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from marks import most_slow
from ulp import neighbours

INF, NAN = np.inf, np.nan
each_half = pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=("float16", "bfloat16"))
KERNELS = {
    "steep": jaxact.Logistic(60.0),
    "flat": jaxact.Logistic(0.5),
    "box": jaxact.Box(),
    "narrow": jaxact.Box(0.125),
    "triangle": jaxact.Triangle(),
    "sine": jaxact.Sine(),
    "arctan": jaxact.Arctan(),
    "fast": jaxact.FastSigmoid(),
    "gaussian": jaxact.Gaussian(0.1),
    "laplace": jaxact.Laplace(0.02),
}
each_kernel = pytest.mark.parametrize("kernel", most_slow(KERNELS, {"box", "steep"}))


def all_numbers(dtype):
    bits = jnp.arange(2**16, dtype=jnp.uint16)
    return jax.lax.bitcast_convert_type(bits, dtype)


def many_numbers():
    """Of float32: every 977th number, all neighbours of ties and integers, the largest."""
    numbers = np.arange(0, 2**32, 977, dtype=np.uint64).astype(np.uint32).view(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    near = [neighbours(v, 50, np.float32) for v in (0.5, 1.5, 2.5, 1.0, 2.0**22, 2.0**23, 2.0**24)]
    x = np.concatenate([numbers, *near, np.array([np.finfo(np.float32).max, INF, 0, NAN], np.float32)])
    return np.concatenate([x, -x])


def wide(x):
    """In float64; numpy warns of NaN that signals."""
    with np.errstate(invalid="ignore"):
        return np.asarray(x).astype(np.float64)


def same(got, expected):
    """Equal, also in the sign of zero; NaN where NaN is expected."""
    got, expected = wide(got), wide(expected)
    return (np.isnan(got) & np.isnan(expected)) | ((got == expected) & (np.signbit(got) == np.signbit(expected)))


HARD = {
    "round": np.round,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "sign": lambda x: np.where(x == 0, x, np.sign(x)),
    "heaviside": lambda x: np.heaviside(x, 0),
    "ternary": lambda x: np.where(np.abs(x) <= 0.5, 0, np.sign(x)),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32], ids=("float16", "bfloat16", "float32"))
def test_hard_values_are_exact_at_every_number(name, dtype):
    """Eager and inside value_and_grad under jit; halves to even, -0.0 and infinities kept."""
    x = jnp.asarray(many_numbers()) if dtype == jnp.float32 else all_numbers(dtype)
    # What XLA on CPU flushes to 0, before any function sees it, is left out.
    flushed = (wide(x) != 0) & (np.abs(wide(x)) < float(jnp.finfo(jnp.float32).tiny))
    x = x[~flushed]
    with np.errstate(invalid="ignore"):
        expected = HARD[name](wide(x))
    functions = [getattr(jaxact, f"{name}_ste")]
    if name != "trunc":
        functions.append(functools.partial(lambda f, x: f(x, KERNELS["steep"]), getattr(jaxact, f"surrogate_{name}")))
    for function in functions:
        assert np.all(same(function(x), expected))
        value, backward = jax.jit(functools.partial(jax.vjp, function))(x)
        assert np.all(same(value, expected))
        (slope,) = backward(jnp.ones_like(x))
        assert np.all(np.isfinite(wide(slope)) | np.isnan(wide(x)))


@each_kernel
def test_slopes_are_finite_and_alive_at_every_number(kernel):
    """Close to integers as well, wherever the true slope is a normal number: here it never is less than 1e-13."""
    x = jnp.asarray(many_numbers())
    x = x[jnp.isfinite(x)]
    for function in (jaxact.surrogate_round, jaxact.surrogate_floor):
        slope = jax.jit(lambda x, f=function: jax.vjp(lambda x: f(x, KERNELS[kernel]), x)[1](jnp.ones_like(x))[0])(x)
        assert jnp.all(jnp.isfinite(slope))
        assert jnp.all(slope >= 0)
        assert kernel in ("narrow", "triangle", "sine") or jnp.all(slope > 1e-14)


def test_soft_round_by_tanh_dies_at_integers_where_ours_does_not():
    def usual(x, alpha):
        m = jnp.floor(x) + 0.5
        return m + jnp.tanh(alpha * (x - m)) / (2 * jnp.tanh(alpha / 2))

    x, alpha = jnp.float32(2.0), jnp.float32(20)
    true = 20 / np.cosh(10.0) ** 2 / (2 * np.tanh(10.0))
    assert jax.grad(usual)(x, alpha) == 0
    ours = jax.grad(jaxact.surrogate_round)(x, jaxact.Logistic(2 * alpha))
    np.testing.assert_allclose(ours, true, rtol=6 * 2.0**-23, atol=0)


def test_half_shifted_floor_rounds_wrongly():
    x = jnp.array([0.49999997, 8388609.0], jnp.float32)
    assert jnp.array_equal(jnp.floor(x + 0.5), jnp.array([1.0, 8388610], jnp.float32))
    assert jnp.array_equal(jaxact.round_ste(x), jnp.array([0.0, 8388609], jnp.float32))


def test_a_mean_of_integers_plus_its_difference_from_one_is_no_integer_in_bfloat16():
    """As softjax writes its rounding: the compiler keeps more digits in the one than in the other."""

    def usual(x):
        candidates = jnp.floor(x)[:, None] + jnp.arange(2, dtype=x.dtype)[None, :]
        soft = jnp.sum(jax.nn.softmax(-10 * jnp.abs(x[:, None] - candidates), axis=-1) * candidates, axis=-1)
        return soft + jax.lax.stop_gradient(jnp.round(x) - soft)

    x = all_numbers(jnp.bfloat16)
    x = x[jnp.abs(x) < 100]
    theirs, ours = jax.jit(usual)(x), jax.jit(jaxact.surrogate_round)(x, jaxact.Logistic(20.0))
    assert jax.__version_info__ < (0, 10) or jnp.mean(theirs != jnp.round(theirs)) > 0.1
    assert jnp.array_equal(ours, jnp.round(x))


def test_gradients_far_from_0_and_at_infinity():
    """`x - floor(x)` by autodiff of a rounded sum gives slopes of -4.2e7 at 2**24, and NaN at infinity."""
    x = jnp.array([2.0**24, -(2.0**30), 3e38, INF, -INF], jnp.float32)
    for function in (jaxact.surrogate_round, jaxact.soft_round, jaxact.surrogate_floor):
        slope = jax.vmap(jax.grad(function), (0, None))(x, jaxact.Logistic(4.0))
        assert jnp.all((slope > 0) & (slope < 2))


def test_values_at_zero_and_gain():
    x = jnp.array([-1.0, -0.0, 0.0, 2.0, NAN])
    kernel = jaxact.Triangle(2.0)
    spikes = jaxact.surrogate_heaviside(x, kernel, at_zero=0.5)
    np.testing.assert_array_equal(spikes, [0, 0.5, 0.5, 1, NAN])
    np.testing.assert_array_equal(jaxact.surrogate_sign(x, kernel, at_zero=1.0), [-1, 1, 1, 1, NAN])
    np.testing.assert_array_equal(np.signbit(jaxact.surrogate_sign(x, kernel)), [True, True, False, False, False])
    for function in (jaxact.surrogate_heaviside, jaxact.surrogate_sign):
        plain = jax.grad(function)(0.25, kernel)
        assert jax.grad(functools.partial(function, gain=3.0))(0.25, kernel) == 3 * plain
        assert jax.grad(lambda z, f=function: f(0.0, kernel, at_zero=z))(0.5) == 0


def test_ternary_with_boxes_that_touch():
    """At 0 both steps end; the slope there is 1, as it is on both sides."""
    x = jnp.array([-1.0, -0.5, -1e-9, -0.0, 0.0, 1e-9, 0.5, 1.0, 1.5])
    for function in (jaxact.soft_ternary, jaxact.surrogate_ternary):
        np.testing.assert_array_equal(jax.vmap(jax.grad(function), (0, None))(x, jaxact.Box()), [1] * 8 + [0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jaxact.ternary_ste))(x), [1] * 8 + [0])
    assert jnp.isnan(jaxact.surrogate_ternary(0.3, jaxact.Box(), threshold=-1.0))
    assert jnp.isnan(jaxact.soft_ternary(0.3, jaxact.Box(), threshold=-1.0))


@pytest.mark.parametrize(
    ("name", "width"), [("round", 1), ("floor", 1), ("ceil", 1), ("sign", 2), ("heaviside", 1), ("ternary", 1)]
)
def test_straight_through_rounding_is_the_box(name, width):
    surrogate, ste = getattr(jaxact, f"surrogate_{name}"), getattr(jaxact, f"{name}_ste")

    @jax.jit
    def run(x, box):
        def value_and_slope(function):
            value, backward = jax.vjp(function, x)
            return value, backward(jnp.ones_like(x))[0]

        return [value_and_slope(function) for function in (ste, lambda x: surrogate(x, box))]

    x = np.linspace(-3, 3, 61)
    for box in (jaxact.Box(width), jaxact.Box(jnp.float64(width))):
        expected, got = run(x, box)
        np.testing.assert_array_equal(got, expected)


def test_published_formulas():
    x = np.linspace(-2.2, 2.2, 111)
    sign_slope = jax.vmap(jax.grad(jaxact.surrogate_sign), (0, None))
    spike_slope = jax.vmap(jax.grad(jaxact.surrogate_heaviside), (0, None))
    inside = np.abs(x) <= 1
    close = functools.partial(np.testing.assert_allclose, rtol=1e-13, atol=0)
    close(sign_slope(x, jaxact.Box(2.0)), inside)  # Binarized Neural Networks
    close(sign_slope(x, jaxact.Triangle(2.0)), np.where(inside, 2 - 2 * np.abs(x), 0))  # Larq's approx_sign
    close(spike_slope(x, jaxact.Arctan(2.0)), 1 / (1 + (np.pi * x) ** 2))  # Fang 2021, SpikingJelly, snnTorch
    fast = jax.vmap(jax.grad(functools.partial(jaxact.surrogate_heaviside, gain=2 / 25)), (0, None))
    close(fast(x, jaxact.FastSigmoid(25.0)), 1 / (1 + 25 * np.abs(x)) ** 2)  # SuperSpike, snnTorch
    close(spike_slope(x, jaxact.Logistic(25.0)), 25 * np.exp(-25 * np.abs(x)) / (1 + np.exp(-25 * np.abs(x))) ** 2)
    alpha, r = 3.0, x - np.floor(x) - 0.5
    kernel = jaxact.Logistic(2 * alpha)
    tfc = np.floor(x) + 0.5 + np.tanh(alpha * r) / (2 * np.tanh(alpha / 2))  # Agustsson and Theis, TFC
    # The published formula cancels close to an integer: it is right to the last bits of a cell.
    assert np.all(np.abs(jaxact.soft_round(x, kernel) - tfc) <= 2.0**-50)
    mean = jaxact.soft_round_inverse(x - 0.5, kernel) + 0.5
    assert np.all(np.abs(jaxact.soft_round_conditional_mean(x, kernel) - mean) <= 2.0**-50)


def test_rounding_as_an_activation():
    x = np.array([-1.25, 0.25, 0.5, 1.0, 1.9])
    f = x - np.floor(x)
    sigmoid = 1 / (1 + np.exp(-3 * (f - 0.5)))
    got = functools.partial(jaxact.approx_round, steepness=3.0)
    np.testing.assert_allclose(got(x), np.floor(x) + sigmoid, rtol=1e-15, atol=0)
    published = sigmoid * (1 - sigmoid)  # which lacks the factor
    np.testing.assert_allclose(jax.vmap(jax.grad(got))(x), 3 * published, rtol=1e-14, atol=0)
    jump = got(1.0) - got(np.nextafter(1.0, 0))
    np.testing.assert_allclose(jump, 2 / (1 + np.exp(1.5)), rtol=1e-14, atol=0)
    width = 0.4
    sine = functools.partial(jaxact.approx_round_sin, width=width)
    expected = np.where(np.abs(f - 0.5) < width / 2, np.pi / (2 * width) * np.cos(np.pi * (f - 0.5) / width), 0)
    np.testing.assert_allclose(jax.vmap(jax.grad(sine))(x), expected, rtol=1e-13, atol=0)
    for bad in (0, -0.1, 1.5, NAN):
        with pytest.raises(ValueError, match=r"approx_round_sin: width must be in \(0, 1\], got"):
            jaxact.approx_round_sin(0.3, width=bad)
        assert jnp.isnan(jaxact.approx_round_sin(0.3, width=jnp.array(bad)))
    assert jnp.isnan(jaxact.approx_round(0.3, steepness=-1.0))


DRAWS = 1_000_000


@pytest.mark.parametrize("name", ["round", "floor", "ceil", "heaviside", "sign", "ternary"])
@pytest.mark.parametrize("kernel", most_slow(("box", "steep", "gaussian"), {"steep"}))
def test_samples_have_the_expectation_and_the_slope_of_the_soft_reading(name, kernel):
    function, soft = getattr(jaxact, f"stochastic_{name}"), getattr(jaxact, f"soft_{name}")

    @jax.jit
    def run(key, x, kernel):
        draws = function(key, jnp.repeat(x, DRAWS // 10), kernel)
        slopes = jax.grad(lambda x: function(key, x, kernel))(0.45), jax.grad(soft)(0.45, kernel)
        return draws.reshape(x.size, -1), soft(x, kernel), slopes

    draws, expected, slopes = run(jax.random.key(0), np.array([-1.3, -0.55, 0.02, 0.45, 2.5]), KERNELS[kernel])
    draws = np.asarray(draws)
    error = np.maximum(draws.std(axis=1), 1e-3) / draws.shape[1] ** 0.5
    assert np.all(np.abs(draws.mean(axis=1) - np.asarray(expected)) < 4.5 * error)
    assert np.all(draws == np.round(draws))
    assert slopes[0] == slopes[1]


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64], ids=str)
def test_stochastic_rounding_is_unbiased_and_exact(dtype):
    x = jnp.asarray(2.2998046875, dtype)
    draws = jaxact.stochastic_round(jax.random.key(1), jnp.full(DRAWS, x), jaxact.Box())
    assert draws.dtype == dtype
    draws = np.asarray(draws, np.float64)
    assert set(np.unique(draws)) == {2, 3}
    fraction = float(x) - 2
    assert abs(draws.mean() - 2 - fraction) < 4.5 * (fraction * (1 - fraction) / DRAWS) ** 0.5


@each_half
def test_stochastic_rounding_of_every_number_is_one_of_its_neighbours(dtype):
    x = all_numbers(dtype)
    draws = jaxact.stochastic_round(jax.random.key(2), x, KERNELS["flat"])
    x, draws = wide(x), wide(draws)
    finite = np.isfinite(x)
    assert np.all(same(draws[~finite], x[~finite]))
    draws, x = draws[finite], x[finite]
    assert np.all((draws == np.floor(x)) | (draws == np.ceil(x)))


@pytest.mark.parametrize("n", [2.0**23, 2.0**23 + 1, -(2.0**23), -(2.0**23) - 1, 2.0**24 - 1])
def test_samples_of_the_largest_integers_that_have_neighbours(n):
    x = jnp.full(64, n, jnp.float32)
    kernel = jaxact.Box(1.0)
    assert set(np.unique(jaxact.stochastic_round(jax.random.key(0), x, kernel))) == {n}
    assert set(np.unique(jaxact.stochastic_floor(jax.random.key(0), x, kernel))) == {n - 1, n}
    assert set(np.unique(jaxact.stochastic_ceil(jax.random.key(0), x, kernel))) == {n, n + 1}


def test_rare_steps_are_taken_as_often_as_they_should():
    """Noise of 23 bits would take a step of probability 2**-26 never, or 8 times too often."""
    x = jnp.full(2**26, 2.0**-26, jnp.float32)
    count = int(jnp.sum(jax.jit(jaxact.stochastic_round)(jax.random.key(0), x, jaxact.Box(jnp.float32(1)))))
    assert count <= 8


@pytest.mark.parametrize("key", [jax.random.key(0), jax.random.PRNGKey(0)], ids=("typed", "legacy"))
def test_keys_of_either_form(key):
    draws = jax.vmap(lambda key: jaxact.stochastic_round(key, 0.5, jaxact.Box()))(jax.random.split(key, 64))
    assert set(np.unique(draws)) == {0, 1}


def test_a_bad_key():
    with pytest.raises(TypeError, match=r"jaxact.stochastic_round: key must be a key of jax.random, got float64"):
        jaxact.stochastic_round(jnp.ones(2), 0.5, jaxact.Box())
    with pytest.raises(
        ValueError, match=r"jaxact.stochastic_sign: key must be one key of jax.random, got shape \(3,\)"
    ):
        jaxact.stochastic_sign(jax.random.split(jax.random.key(0), 3), 0.5, jaxact.Box())
