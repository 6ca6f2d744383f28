"""Quantising: values on their grid, the published gradients, measured faults of the usual formulas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxact
from ulp import bit_patterns

INF, NAN = np.inf, np.nan
DTYPES = (np.float16, jnp.bfloat16, np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: jnp.dtype(dtype).name)


def value_and_slopes(x, scale, zero_point, cotangent, **options):
    """Value, and the gradients of its product with the cotangent in x, scale and zero point."""

    def fun(x, scale, zero_point):
        return jaxact.fake_quantize(x, scale, zero_point=zero_point, **options)

    value, backward = jax.vjp(fun, x, scale, zero_point)
    return value, *backward(cotangent)


jitted_value_and_slopes = jax.jit(value_and_slopes, static_argnames=("bits", "signed", "narrow"))


def lsq(x, scale, zero_point, cotangent, low, high):
    """Learned step size quantisation as published, with a zero point, in numpy; gradients summed as numpy sums."""
    v = x / scale
    inside, below = (v >= low - zero_point) & (v <= high - zero_point), v < low - zero_point
    rounded = np.round(v)
    value = (np.clip(rounded + zero_point, low, high) - zero_point) * scale
    scale_slope = np.where(inside, rounded - v, np.where(below, low - zero_point, high - zero_point))
    return value, inside * cotangent, scale_slope * cotangent, np.where(inside, 0, -scale) * cotangent


RANGES = [
    ({"bits": 8}, -128, 127),
    ({"bits": 4, "narrow": True}, -7, 7),
    ({"bits": 2, "signed": False}, 0, 3),
    ({"bits": 3, "signed": False, "narrow": True}, 1, 7),
    ({"bits": 1}, -1, 0),
    ({"bits": 24}, -(2**23), 2**23 - 1),
]


@pytest.mark.parametrize(("options", "low", "high"), RANGES, ids=str)
def test_value_and_gradients_are_those_of_lsq(options, low, high):
    """Exactly, also in the last bit of each quotient: one scale for each channel, in float32."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(500, 8)) * (high - low) / 3).astype(np.float32)
    scale = rng.uniform(0.3, 1.5, 8).astype(np.float32)[None]
    zero_point = rng.integers(0, 3, (1, 8)).astype(np.float32)
    cotangent = rng.choice([-1, 1], x.shape).astype(np.float32)
    value, x_slope, scale_slope, zero_slope = jitted_value_and_slopes(x, scale, zero_point, cotangent, **options)
    expected = lsq(x, scale, zero_point, cotangent, low, high)
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_array_equal(x_slope, expected[1])
    for got, terms in ((scale_slope, expected[2]), (zero_slope, expected[3])):
        total, size = terms.astype(np.float64).sum(axis=0), np.abs(terms.astype(np.float64)).sum(axis=0)
        assert np.all(np.abs(np.asarray(got)[0] - total) <= 10 * np.spacing(np.float32(1)) * size)


def test_one_scale_divides_like_many():
    """A compiler multiplies by the reciprocal of a scalar, which turns exact halves into something else."""
    scale = np.float32(3 / 128)
    x = scale * (np.arange(-128, 128, dtype=np.float32) + 0.5)
    expected = np.clip(np.round(x / scale), -128, 127) * scale
    np.testing.assert_array_equal(jaxact.fake_quantize(x, scale), expected)
    np.testing.assert_array_equal(jaxact.fake_quantize(x, np.full_like(x, scale)), expected)
    np.testing.assert_array_equal(jaxact.fake_quantize(x[:, None], np.full_like(x, scale)[:, None])[:, 0], expected)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16], ids=("float16", "bfloat16"))
def test_half_precision_is_computed_in_float32_and_rounded_once(dtype):
    x = bit_patterns(1, dtype)
    for number in (0.1, 1.0, 3 / 128):
        scale = np.asarray(number, dtype)
        wide = scale.astype(np.float32)
        with np.errstate(over="ignore"):
            expected = (np.clip(np.round(x.astype(np.float32) / wide), -128, 127) * wide).astype(dtype)
        np.testing.assert_array_equal(jaxact.fake_quantize(x, scale), expected)


@each_dtype
def test_never_outside_its_range(dtype):
    x = jnp.array([-INF, -1e8, -300, 300, 1e8, INF, NAN], jnp.float64).astype(dtype)
    got = jaxact.fake_quantize(x, np.ones((), dtype), zero_point=np.full((), 3, np.int32))
    np.testing.assert_array_equal(np.asarray(got, np.float64), [-131, -131, -131, 124, 124, 124, NAN])


def test_the_usual_int8_clip_gives_128():
    def usual(x):
        return x + lax.stop_gradient(jnp.clip(jnp.round(x), -128, 127) - x)

    x = jnp.array([1e9, INF], jnp.float32)
    got = jax.jit(usual)(x)
    assert got[0] == 128
    assert jnp.isnan(got[1])
    np.testing.assert_array_equal(jaxact.fake_quantize(x, 1.0), [127, 127])


def test_the_usual_clip_of_a_rounded_number_halves_the_gradient_at_the_end_of_its_range():
    def usual(x):
        return jnp.clip(x + lax.stop_gradient(jnp.round(x) - x), -128, 127)

    assert jax.grad(usual)(jnp.float32(127)) == 0.5
    assert jax.grad(jaxact.fake_quantize)(jnp.float32(127), jnp.float32(1)) == 1


def test_slopes_at_the_edges():
    x = jnp.array([-128, np.nextafter(-128, -INF), 127, np.nextafter(127, INF), -INF, INF, NAN], np.float64)
    jacobian = jax.vmap(jax.grad(jaxact.fake_quantize, argnums=(0, 1)), in_axes=(0, None))
    x_slope, scale_slope = jacobian(x, jnp.float64(1))
    np.testing.assert_array_equal(x_slope, [1, 0, 1, 0, 0, 0, NAN])
    np.testing.assert_array_equal(scale_slope, [0, -128, 0, 127, -128, 127, NAN])


def test_second_derivatives_are_those_of_a_rounding_passed_straight_through():
    def fun(x, scale, zero_point):
        return jaxact.fake_quantize(x, scale, zero_point=zero_point)

    hessian = jax.jit(jax.hessian(fun, argnums=(0, 1, 2)))
    assert np.all(np.array(hessian(2.3, 0.7, 0.0)) == 0)
    np.testing.assert_array_equal(np.array(hessian(1e3, 0.7, 0.0)), [[0, 0, 0], [0, 0, -1], [0, -1, 0]])


@pytest.mark.parametrize("scale", [0.0, -0.0, -1.0, NAN])
def test_without_a_positive_scale_all_is_nan(scale):
    results = jitted_value_and_slopes(*map(jnp.float32, (0.3, scale, 0.0, 1.0)), bits=8)
    assert np.all(np.isnan(results))


def test_each_gradient_has_the_dtype_and_shape_of_its_argument():
    x, scale = jnp.ones((2, 3), jnp.bfloat16), jnp.ones((3,), jnp.float32)
    value, backward = jax.vjp(lambda x, s: jaxact.fake_quantize(x, s[None]), x, scale)
    x_bar, scale_bar = backward(value)
    assert (x_bar.dtype, x_bar.shape) == (x.dtype, x.shape)
    assert (scale_bar.dtype, scale_bar.shape) == (scale.dtype, scale.shape)
    saved = [leaf for leaf in jax.tree.leaves(backward) if leaf.size >= x.size]
    assert sum(leaf.nbytes for leaf in saved) <= x.nbytes


# finite_scalar_quantize

LEVELS = (8, 5, 2, 3, 1000, 1001)


def fsq(x, levels=LEVELS):
    """Finite scalar quantisation as published, with its straight-through rounding."""
    levels = np.array(levels)
    half = (levels - 1) * (1 + 1e-3) / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    shift = np.arctanh(offset / half)
    bounded = jnp.tanh(x + shift[None]) * half[None] - offset[None]
    rounded = bounded + lax.stop_gradient(jnp.round(bounded) - bounded)
    return rounded / (levels // 2)[None].astype(np.float64)


def test_value_and_gradient_are_those_of_fsq():
    x = np.random.default_rng(0).normal(size=(400, len(LEVELS))) * 2
    fun = functools.partial(jaxact.finite_scalar_quantize, levels=LEVELS)
    value, backward = jax.vjp(fun, x)
    expected, expected_backward = jax.vjp(fsq, x)
    np.testing.assert_allclose(value, expected, rtol=2e-15, atol=0)
    got, expected = backward(jnp.ones_like(x))[0], expected_backward(jnp.ones_like(x))[0]
    # The published gradient is 1 - tanh**2, from a tanh that XLA on CPU computes to 6 ulp.
    assert np.all(np.abs(got - expected) <= 16 * np.spacing(np.max(expected, axis=0)))


@each_dtype
def test_results_are_exactly_the_levels(dtype):
    levels = (2, 3, 4, 7, 99)
    x = np.linspace(-12, 12, 4001)[:, None].repeat(len(levels), axis=1).astype(dtype)
    got = np.asarray(jaxact.finite_scalar_quantize(x, levels=list(levels)))
    for column, count in zip(got.T, levels, strict=True):
        grid = (np.arange(count) - count // 2).astype(np.float64) / (count // 2)
        assert set(column.tolist()) == set(grid.astype(np.float32).astype(dtype).tolist()) or dtype == np.float64
        assert (column.min(), column.max()) == (-1, np.asarray(grid.max()).astype(dtype))
        assert len(set(column.tolist())) == count


def test_published_fsq_of_many_levels_leaves_its_range():
    x = np.full((1, 1), 50.0)
    assert fsq(x, (2001,)) > 1
    assert jaxact.finite_scalar_quantize(x, levels=(2001,)) == 1


def test_published_fsq_has_no_gradient_in_the_tail():
    x = jnp.full((1, 1), 12, jnp.float32)
    assert jax.grad(lambda x: jnp.tanh(x)[0, 0])(x) == 0
    got = jax.grad(lambda x: jaxact.finite_scalar_quantize(x, levels=(5,))[0, 0])(x)
    np.testing.assert_allclose(got, 4 * np.exp(-24.0) * 2 * 1.001 / 2, rtol=1e-6)


# integer_penalty


@each_dtype
def test_penalty_is_exact_at_integers_and_halves(dtype):
    digits = jnp.finfo(dtype).nmant
    whole = np.array([0, 1, -3, 2.0**digits - 1, 2.0 ** (digits + 1) - 1, float(jnp.finfo(dtype).max)]).astype(dtype)
    halves = np.array([0.5, -1.5, 2.0 ** (digits - 1) - 0.5, 0.5 - 2.0 ** (digits - 1)]).astype(dtype)
    x = np.concatenate([whole, halves])
    value, backward = jax.vjp(jaxact.integer_penalty, x)
    np.testing.assert_array_equal(np.asarray(value, np.float32), [0] * 6 + [1] * 4)
    np.testing.assert_array_equal(np.asarray(backward(jnp.ones_like(x))[0], np.float32), 0)


def test_usual_penalty_is_not_0_at_integers():
    x = jnp.float32(1e6)
    assert jnp.sin(np.float32(np.pi) * x) ** 2 > 1e-4
    assert jaxact.integer_penalty(x) == 0


# errors

X = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: jaxact.fake_quantize(X.astype(int), 1.0), TypeError, "fake_quantize: x must be floating, got int64"),
        (lambda: jaxact.fake_quantize(X, None), TypeError, "scale must be an array or a number, got NoneType"),
        (lambda: jaxact.fake_quantize(X, X[:, :2]), ValueError, "scale must broadcast to shape (2, 3), got (2, 2)"),
        (lambda: jaxact.fake_quantize(X, 1.0, zero_point=X[:, 0]), ValueError, "fake_quantize: zero_point must broadc"),
        (lambda: jaxact.fake_quantize(X, 1.0, zero_point=1j), TypeError, "zero_point must be floating or integer"),
        (lambda: jaxact.fake_quantize(X, 1.0, bits=0), ValueError, "fake_quantize: bits must be from 1 to 24, got 0"),
        (lambda: jaxact.fake_quantize(X, 1.0, bits=25), ValueError, "fake_quantize: bits must be from 1 to 24, got 25"),
        (lambda: jaxact.fake_quantize(X, 1.0, bits=1, narrow=True), ValueError, "bits must be from 2 to 24, got 1"),
        (lambda: jaxact.fake_quantize(X, 1.0, bits=8.0), TypeError, "fake_quantize: bits must be an integer, got 8.0"),
        (
            lambda: jaxact.fake_quantize(X, 1.0, bits=True),
            TypeError,
            "fake_quantize: bits must be an integer, got True",
        ),
        (
            lambda: jaxact.fake_quantize(X, 1.0, signed=1),
            TypeError,
            "fake_quantize: signed must be True or False, got 1",
        ),
        (lambda: jaxact.fake_quantize(X, 1.0, narrow=None), TypeError, "narrow must be True or False, got None"),
        (
            lambda: jaxact.finite_scalar_quantize(X.astype(int), levels=(8, 5, 5)),
            TypeError,
            "jaxact.finite_scalar_quantize: x must be floating, got int64",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(None, levels=(8, 5, 5)),
            TypeError,
            "jaxact.finite_scalar_quantize: x must be an array or a number, got NoneType",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(X, levels=8),
            TypeError,
            "jaxact.finite_scalar_quantize: levels must be a tuple of integers, got int",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(X, levels=(8, 5, 1)),
            ValueError,
            "jaxact.finite_scalar_quantize: levels must be from 2 to 16777216, got 1",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(X, levels=(8, 5, 4.0)),
            TypeError,
            "jaxact.finite_scalar_quantize: levels must be an integer, got 4.0",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(X, levels=(8, 5)),
            ValueError,
            "jaxact.finite_scalar_quantize: levels must be one for each channel of shape (2, 3), got 2",
        ),
        (
            lambda: jaxact.finite_scalar_quantize(1.0, levels=(8,)),
            ValueError,
            "jaxact.finite_scalar_quantize: levels must be one for each channel of shape (), got 1",
        ),
    ],
)
def test_message(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
