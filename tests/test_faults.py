"""Measured faults of the usual formulas: each test shows that the usual formula fails, and that ours does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logit as jax_logit

import jaxact
import references as ref
from ulp import errors, expected_exactly, expected_long


def ulp(got, formula, x):
    """Error of `got` at the array `x`, in ulp of its dtype."""
    expected = expected_exactly if x.dtype == np.float64 else expected_long
    return errors(got, expected(formula, x), x.dtype).max()


def slope(fun):
    return jax.vmap(jax.grad(fun))


def bend(fun):
    return slope(jax.grad(fun))


def usual_softplus_inverse(y):
    return y + jnp.log(-jnp.expm1(-y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_inverse_has_no_correct_digit_at_ln_2(dtype):
    y = np.array([np.log(2)], dtype)
    assert ulp(usual_softplus_inverse(y), ref.softplus_inverse, y) > 1e6
    assert ulp(jaxact.softplus_inverse(y), ref.softplus_inverse, y) <= 1


def test_softplus_inverse_as_the_logarithm_of_expm1_overflows():
    assert jnp.isinf(jnp.log(jnp.expm1(jnp.float32(100))))
    assert jaxact.softplus_inverse(jnp.float32(100)) == 100


def test_softplus_inverse_slope_is_finite_where_the_value_is_nan():
    assert jnp.isfinite(jax.grad(usual_softplus_inverse)(-1.0))
    assert jnp.isnan(jax.grad(jaxact.softplus_inverse)(-1.0))
    assert jnp.isnan(jaxact.softplus_inverse(-1.0))


def test_softplus_inverse_second_derivative_overflows_in_an_intermediate_square():
    y = np.array([5.5e-20, 1e-19, 1e-15], np.float32)

    def quotient(y):
        return -jnp.exp(-y) / jnp.expm1(-y) ** 2

    assert jnp.isinf(quotient(y)).any()
    assert ulp(bend(jaxact.softplus_inverse)(y), ref.softplus_inverse_bend, y) <= 6


def test_softplus_inverse_takes_bfloat16():
    y = jnp.array([0.5, 0.69140625, 3.0], jnp.bfloat16)
    assert jaxact.softplus_inverse(y).dtype == jnp.bfloat16
    assert ulp(jaxact.softplus_inverse(y), ref.softplus_inverse, np.asarray(y)) <= 0.51


@pytest.mark.parametrize(("dtype", "x"), [(np.float32, 27.7), (np.float64, 37.4)])
def test_softplus_second_derivative_vanishes(dtype, x):
    x = np.array([x], dtype)
    assert bend(jax.nn.softplus)(x) == 0
    assert ulp(bend(jaxact.softplus)(x), ref.bump, x) <= 6


@pytest.mark.parametrize(("dtype", "x"), [(np.float32, 27.7), (jnp.bfloat16, 15.25), (np.float16, 7.6)])
def test_sigmoid_and_tanh_derivatives_lose_their_tail(dtype, x):
    x = np.array([x], dtype)
    assert ulp(slope(jax.nn.sigmoid)(x), ref.bump, x) > 1e2
    assert ulp(slope(jaxact.sigmoid)(x), ref.bump, x) <= 6
    assert slope(jnp.tanh)(x) == 0
    assert ulp(slope(jaxact.tanh)(x), ref.tanh_slope, x) <= 6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logit_loses_digits_around_one_half(dtype):
    p = np.linspace(0.4999, 0.5001, 1000).astype(dtype)
    assert ulp(jax_logit(p), ref.logit, p) > 1e3
    assert ulp(jaxact.logit(p), ref.logit, p) <= 1


def test_log1mexp_slope_is_finite_where_the_value_is_nan():
    def usual(x):  # jax.nn.log1mexp, which JAX 0.7 does not have yet
        return jnp.where(x < np.log(2), jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))

    assert jnp.isnan(usual(-1.0))
    assert jnp.isfinite(jax.grad(usual)(-1.0))
    assert jnp.isnan(jaxact.log1mexp(-1.0))
    assert jnp.isnan(jax.grad(jaxact.log1mexp)(-1.0))


def test_log1mexp_slope_near_0_by_a_quotient_is_nan():
    def usual(x):  # both branches of one where are differentiated: the unused one gives inf * 0
        return jnp.where(x < 0.7, jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))

    x = np.array([1e-30], np.float32)
    assert jnp.isnan(slope(usual)(x)).all()
    assert ulp(slope(jaxact.log1mexp)(x), ref.log1mexp_slope, x) <= 4


def test_log_of_an_underflowing_softplus_rate_makes_a_poisson_loss_nan():
    def usual(x):
        rate = jax.nn.softplus(x)
        return rate - 0.0 * jnp.log(rate)

    def ours(x, count):
        return jaxact.poisson_nll(jaxact.log_softplus(x), count)

    x = jnp.float32(-200)
    assert jnp.isnan(usual(x))
    assert ours(x, 0.0 * x) == 0
    assert ours(x, jnp.float32(2)) == 400
    assert jax.grad(ours)(x, jnp.float32(2)) == -2
    assert jax.grad(jaxact.log_softplus)(x) == 1


def test_the_product_with_beta_is_not_rounded():
    """At the root and in the tail, half an ulp of `beta * x` would be many ulp of the result."""
    beta, root = np.float32(0.7), np.array([np.log(2) / np.float32(0.7)], np.float32)
    tail = np.array([-100.0], np.float32)

    def inverse(m, y):
        return ref.softplus_inverse(m, m.number(beta) * y) / m.number(beta)

    def forward(m, x):
        return ref.softplus(m, m.number(beta) * x) / m.number(beta)

    assert ulp(jaxact.softplus_inverse(beta * root) / beta, inverse, root) > 1e4
    assert ulp(jaxact.softplus_inverse(root, beta=beta), inverse, root) <= 3
    assert ulp(jaxact.softplus(beta * tail) / beta, forward, tail) > 10
    assert ulp(jaxact.softplus(tail, beta=beta), forward, tail) <= 3


def test_published_values():
    softplus = np.asarray(jaxact.softplus(jnp.array([-2.0, 0.0, 2.0])))
    assert [f"{value:.4f}" for value in softplus] == ["0.1269", "0.6931", "2.1269"]
