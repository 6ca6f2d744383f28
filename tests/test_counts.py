"""Counts against scipy and in their limits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

import jaxact

LOG_MEANS, COUNTS = map(np.ravel, np.meshgrid(np.linspace(-6, 5, 23), [0.0, 1, 2, 3, 7, 20, 150]))


def relative_error(got, expected):
    return np.max(np.abs(np.asarray(got) - expected) / np.maximum(np.abs(expected), 1))


@pytest.mark.parametrize("log_input", [True, False])
def test_poisson_agrees_with_scipy(log_input):
    rates = np.exp(LOG_MEANS)
    got = jaxact.poisson_nll(LOG_MEANS if log_input else rates, COUNTS, log_input=log_input, full=True)
    assert relative_error(got, -scipy.stats.poisson.logpmf(COUNTS, rates)) < 1e-12


@pytest.mark.parametrize("dispersion", [0.1, 0.5, 1.0, 3.0, 20.0])
def test_negative_binomial_agrees_with_scipy(dispersion):
    got = jaxact.negative_binomial_nll(LOG_MEANS, COUNTS, dispersion=dispersion, full=True)
    expected = -scipy.stats.nbinom.logpmf(COUNTS, 1 / dispersion, 1 / (1 + dispersion * np.exp(LOG_MEANS)))
    assert relative_error(got, expected) < 1e-12


@pytest.mark.parametrize("dispersion", [1e-12, 1e-6, 1e-3])
def test_negative_binomial_agrees_with_mpmath_where_scipy_cancels(dispersion):
    got = jaxact.negative_binomial_nll(LOG_MEANS, COUNTS, dispersion=dispersion, full=True)
    with mpmath.workdps(60):
        pairs = zip(LOG_MEANS, COUNTS, strict=True)
        expected = [_negative_log_pmf(float(z), float(y), mpmath.mpf(dispersion)) for z, y in pairs]
    assert relative_error(got, np.array(expected)) < 1e-12


def _negative_log_pmf(log_mean, count, dispersion):
    size, mean = 1 / dispersion, mpmath.exp(log_mean)
    coefficient = mpmath.loggamma(count + size) - mpmath.loggamma(size) - mpmath.loggamma(count + 1)
    return float(-coefficient + size * mpmath.log1p(mean / size) - count * mpmath.log(mean / (size + mean)))


def test_dispersion_0_is_the_poisson_limit_in_value_and_derivative():
    def total(dispersion):
        return jaxact.negative_binomial_nll(LOG_MEANS, COUNTS, dispersion=dispersion)

    means = np.exp(LOG_MEANS)
    assert relative_error(total(0.0), jaxact.poisson_nll(LOG_MEANS, COUNTS)) < 1e-15
    # The first term of the expansion in the dispersion.
    expected = COUNTS * means - means**2 / 2 - COUNTS * (COUNTS - 1) / 2
    assert relative_error(jax.jacfwd(total)(0.0), expected) < 1e-14


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_finite_down_to_underflow(dtype):
    axes = jnp.meshgrid(jnp.array([-1e4, -200, -90, 0]), jnp.array([0.0, 1, 3]), jnp.array([0, 1e-30, 1]))
    z, counts, dispersion = (axis.ravel().astype(dtype) for axis in axes)

    def poisson(z, _):
        return jaxact.poisson_nll(z, counts, full=True)

    def negative_binomial(z, dispersion):
        return jaxact.negative_binomial_nll(z, counts, dispersion=dispersion, full=True)

    for loss in (poisson, negative_binomial):
        value, backward = jax.vjp(loss, z, dispersion)
        for result in (value, *backward(jnp.ones_like(value))):
            assert jnp.isfinite(result).all()


def test_integer_counts_are_taken():
    for dtype in (np.int32, np.int64, np.uint8):
        assert jaxact.poisson_nll(jnp.float32(1), jnp.asarray(3, dtype)) == jaxact.poisson_nll(
            jnp.float32(1), jnp.float32(3)
        )


def test_full_adds_what_does_not_depend_on_the_rate():
    counts = jnp.array([0.0, 1.0, 2.0, 10.0])
    for loss in (jaxact.poisson_nll, lambda z, y, **o: jaxact.negative_binomial_nll(z, y, dispersion=0.3, **o)):
        z = jnp.ones(4)
        expected = np.log([1, 1, 2, 3628800])
        assert relative_error(loss(z, counts, full=True) - loss(z, counts), expected) < 1e-14
