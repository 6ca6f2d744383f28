"""Guards: what they cannot see gives NaN, and a compiled program holds nothing of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

X = jnp.ones((2, 3))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min_value": 2.0}, "min_value must be below max_value, got 2.0 and 1.0"),
        ({"min_value": 0, "max_value": 0}, "min_value must be below max_value, got 0 and 0"),
        ({"max_value": -1.5}, "min_value must be below max_value, got -1.0 and -1.5"),
    ],
)
def test_bounds_out_of_order(bounds, message):
    with pytest.raises(ValueError, match=f"jaxact.hard_tanh: {message}"):
        jaxact.hard_tanh(X, **bounds)


@pytest.mark.parametrize(
    "call",
    [
        lambda v: jaxact.softplus(X, beta=v),
        lambda v: jaxact.softplus_inverse(X, beta=v),
        lambda v: jaxact.log_softplus(X, beta=v),
        lambda v: jaxact.negative_binomial_nll(X, X, dispersion=v - 1),
        lambda v: jaxact.poisson_nll(X, v * X),
        lambda v: jaxact.poisson_nll(v * X, X, log_input=False),
        lambda v: jaxact.hard_tanh(X, min_value=1 - v, max_value=1 + v),
    ],
)
def test_values_out_of_range_inside_jit_give_nan(call):
    assert np.isnan(jax.jit(call)(-1.0)).all()


def test_the_compiled_program_holds_nothing_of_the_guards():
    jaxpr = str(jax.make_jaxpr(jaxact.softplus)(X))
    assert "callback" not in jaxpr
    assert "check" not in jaxpr.replace("checkpoint", "")
