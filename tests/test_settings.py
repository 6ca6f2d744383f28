"""Settings of JAX that are not those of the other tests: float64 disabled, keys of every form, each dtype."""

import contextlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from calls import CALLS, ONLY_IN_LONG_RUNS
from transforms import COMPILER_OPTIONS, value_and_gradient
from ulp import errors

X = np.linspace(-2, 2, 64, dtype=np.float32)
KERNEL = jaxact.Logistic(4.0)
SAMPLERS = {
    "gumbel_softmax": lambda key: jaxact.gumbel_softmax(key, jnp.asarray(X)),
    "bernoulli_ste": lambda key: jaxact.bernoulli_ste(key, jnp.asarray(X)),
    "reinmax": lambda key: jaxact.reinmax(key, jnp.asarray(X)),
    "stochastic_round": lambda key: jaxact.stochastic_round(key, jnp.asarray(X), KERNEL),
    "stochastic_floor": lambda key: jaxact.stochastic_floor(key, jnp.asarray(X), KERNEL),
    "stochastic_ceil": lambda key: jaxact.stochastic_ceil(key, jnp.asarray(X), KERNEL),
    "stochastic_sign": lambda key: jaxact.stochastic_sign(key, jnp.asarray(X), KERNEL),
    "stochastic_heaviside": lambda key: jaxact.stochastic_heaviside(key, jnp.asarray(X), KERNEL),
    "stochastic_ternary": lambda key: jaxact.stochastic_ternary(key, jnp.asarray(X), KERNEL),
}


@contextlib.contextmanager
def setting(**values):
    before = {name: getattr(jax.config, name) for name in values}
    for name, value in values.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.parametrize("thorough", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_without_float64_value_and_gradients_keep_the_dtype(thorough):
    """Of every function; and nothing warns of a dtype that is not to be had."""
    with setting(jax_enable_x64=False):
        for call in (call for call in CALLS if call.thorough == thorough):
            x, parameters = call.arguments(jnp.float32)
            found = jax.eval_shape(value_and_gradient(call.fun), x[0], parameters)
            assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype(jnp.float32)}, call.name


@pytest.mark.parametrize("thorough", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_without_float64_the_numbers_are_the_same(thorough):
    """To the bit, but for what compilers contract on JAX 0.7: 2 ulp of a row. Of all but what compiles for long."""
    calls = [call for call in CALLS if call.thorough == thorough and call.name not in ONLY_IN_LONG_RUNS]

    def found():
        arguments = [call.arguments(jnp.float32) for call in calls]
        program = jax.jit(
            lambda arguments: {
                call.name: value_and_gradient(call.fun)(x[0], parameters)
                for call, (x, parameters) in zip(calls, arguments, strict=True)
            },
            compiler_options=COMPILER_OPTIONS,
        )
        return jax.tree.map(np.asarray, program(arguments))

    expected = found()
    with setting(jax_enable_x64=False):
        got = found()
    for number, truth in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        wide = truth.astype(np.longdouble)
        assert errors(number, wide, jnp.dtype(np.float32), np.max(np.abs(wide), initial=0)).max(initial=0) <= 2


QUICK = ("reinmax", "stochastic_round")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SAMPLERS]
)
def test_keys_of_every_form(name):
    """The raw numbers of a legacy key, a legacy key that is typed by the setting, and a key of each implementation."""
    sampler = jax.jit(SAMPLERS[name])
    expected = sampler(jax.random.key(7, impl="threefry2x32"))
    np.testing.assert_array_equal(sampler(jnp.array([0, 7], jnp.uint32)), expected)
    np.testing.assert_array_equal(sampler(jax.random.PRNGKey(7)), expected)
    with setting(jax_enable_custom_prng=True):
        typed = jax.random.PRNGKey(7)
        assert jnp.issubdtype(typed.dtype, jax.dtypes.prng_key)
        np.testing.assert_array_equal(sampler(typed), expected)
        np.testing.assert_array_equal(SAMPLERS[name](jnp.array([0, 7], jnp.uint32)), expected)
    with setting(jax_legacy_prng_key="error"):
        np.testing.assert_array_equal(SAMPLERS[name](jax.random.key(7)), expected)
    for implementation in ("rbg", "unsafe_rbg"):
        with setting(jax_default_prng_impl=implementation):
            other = sampler(jax.random.key(7))
            np.testing.assert_array_equal(sampler(jax.random.PRNGKey(7)), other)
        assert np.any(other != expected)
        assert np.all(np.isfinite(other))


def test_every_sampler_is_tested():
    samplers = {name for name in jaxact.__all__ if "key" in inspect.signature(getattr(jaxact, name)).parameters}
    assert samplers == {*SAMPLERS}
