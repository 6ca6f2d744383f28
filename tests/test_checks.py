"""Bad input: every error has its type, and names function, argument and what was got."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact

X = jnp.ones((2, 3))
POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
ONE_ARGUMENT = [
    name
    for name in jaxact.__all__
    if [p.kind for p in inspect.signature(getattr(jaxact, name)).parameters.values()].count(POSITIONAL_ONLY) == 1
    and name != "finite_scalar_quantize"  # which also needs its levels, and is checked with its family
]
NOT_FLOATING = {
    "int32": jnp.ones(3, jnp.int32),
    "bool": jnp.ones(3, bool),
    "complex64": jnp.ones(3, jnp.complex64),
    "uint8": np.ones(3, np.uint8),
}


def message_of(function, *args, **options):
    with pytest.raises((TypeError, ValueError)) as caught:
        function(*args, **options)
    return caught.type, str(caught.value)


@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("dtype", NOT_FLOATING)
def test_data_must_be_floating(name, dtype):
    kind, message = message_of(getattr(jaxact, name), NOT_FLOATING[dtype])
    assert kind is TypeError
    assert f"jaxact.{name}: " in message
    assert f"must be floating, got {dtype}" in message


@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("value", [1, True], ids=str)
def test_python_integers_are_not_floating(name, value):
    assert message_of(getattr(jaxact, name), value)[0] is TypeError


@pytest.mark.parametrize("name", ONE_ARGUMENT)
@pytest.mark.parametrize("value", [None, [1.0, 2.0], {"a": 1.0}], ids=("None", "list", "dict"))
def test_data_must_be_an_array(name, value):
    kind, message = message_of(getattr(jaxact, name), value)
    assert kind is TypeError
    assert message.startswith(f"jaxact.{name}: ")
    assert message.endswith(f"must be an array or a number, got {type(value).__name__}")


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_a_string_is_refused(name):
    assert message_of(getattr(jaxact, name), "1.0")[0] is TypeError


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: jaxact.softplus(X, beta=1j),
            TypeError,
            "jaxact.softplus: beta must be floating or integer, got complex",
        ),
        (
            lambda: jaxact.softplus(X, beta=None),
            TypeError,
            "jaxact.softplus: beta must be an array or a number, got NoneType",
        ),
        (
            lambda: jaxact.softplus(X, beta=jnp.ones(2)),
            ValueError,
            "jaxact.softplus: beta must broadcast to shape (2, 3), got (2,)",
        ),
        (
            lambda: jaxact.softplus_inverse(X, beta=jnp.ones(2)),
            ValueError,
            "jaxact.softplus_inverse: beta must broadcast",
        ),
        (
            lambda: jaxact.log_softplus(X, beta=jnp.ones((1, 2, 3))),
            ValueError,
            "jaxact.log_softplus: beta must broadcast",
        ),
        (
            lambda: jaxact.leaky_relu(X, negative_slope=True),
            TypeError,
            "jaxact.leaky_relu: negative_slope must be floating or integer, got bool",
        ),
        (
            lambda: jaxact.leaky_relu(X, negative_slope=jnp.ones(2)),
            ValueError,
            "jaxact.leaky_relu: negative_slope must broadcast",
        ),
        (
            lambda: jaxact.hard_tanh(X, min_value=2.0),
            ValueError,
            "jaxact.hard_tanh: min_value must be below max_value, got 2.0 and 1.0",
        ),
        (
            lambda: jaxact.hard_tanh(X, min_value=0, max_value=0),
            ValueError,
            "jaxact.hard_tanh: min_value must be below max_value, got 0 and 0",
        ),
        (lambda: jaxact.hard_tanh(X, max_value=jnp.ones(2)), ValueError, "jaxact.hard_tanh: max_value must broadcast"),
        (
            lambda: jaxact.poisson_nll(X, X[0]),
            ValueError,
            "jaxact.poisson_nll: shapes must be equal, got log_rate (2, 3), counts (3,)",
        ),
        (lambda: jaxact.poisson_nll(X[0], jnp.ones((3, 1))), ValueError, "jaxact.poisson_nll: shapes must be equal"),
        (
            lambda: jaxact.poisson_nll(NOT_FLOATING["int32"], X[0]),
            TypeError,
            "jaxact.poisson_nll: log_rate must be floating, got int32",
        ),
        (
            lambda: jaxact.poisson_nll(X[0], NOT_FLOATING["bool"]),
            TypeError,
            "jaxact.poisson_nll: counts must be floating or integer, got bool",
        ),
        (
            lambda: jaxact.negative_binomial_nll(X, X[0], dispersion=1.0),
            ValueError,
            "jaxact.negative_binomial_nll: shapes must be equal, got log_mean (2, 3)",
        ),
        (
            lambda: jaxact.negative_binomial_nll(X, X, dispersion=jnp.ones(2)),
            ValueError,
            "jaxact.negative_binomial_nll: dispersion must broadcast",
        ),
        (
            lambda: jaxact.negative_binomial_nll(X, X, dispersion=1j),
            TypeError,
            "jaxact.negative_binomial_nll: dispersion must be floating or integer",
        ),
        (lambda: jaxact.negative_binomial_nll(X, X), TypeError, "dispersion"),
        (lambda: jaxact.softplus(X, 2.0), TypeError, "positional"),
        (lambda: jaxact.softplus(x=X), TypeError, "positional"),
    ],
)
def test_message(call, kind, message):
    got_kind, got = message_of(call)
    assert got_kind is kind
    assert message in got


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
