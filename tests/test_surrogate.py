"""The two transforms: exact values, derivatives of every order, trees, options, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact


def usual(hard, soft):
    """The idiom: soft + stop_gradient(hard - soft)."""
    return lambda x: soft(x) + jax.lax.stop_gradient(hard(x) - soft(x))


def hard(x, *, scale):
    """Doc of hard."""
    return jnp.sign(scale * x)


def soft(x, *, scale):
    return jnp.tanh(scale * x)


def test_value_of_one_and_derivatives_of_every_order_of_the_other():
    function = jaxact.surrogate(hard, soft)
    expected, got = soft, function
    assert function(0.3, scale=2.0) == 1
    for _ in range(3):
        expected, got = jax.grad(expected), jax.grad(got)
        np.testing.assert_array_equal(got(0.3, scale=2.0), expected(0.3, scale=2.0))
    forward = jax.jacfwd(jax.jacfwd(function))(0.3, scale=2.0)
    np.testing.assert_array_equal(forward, jax.jacfwd(jax.jacfwd(soft))(0.3, scale=2.0))
    assert function.__name__ == "hard"
    assert function.__doc__ == "Doc of hard."


def test_options_and_what_is_captured_keep_their_gradient():
    function = jaxact.surrogate(hard, soft)
    by_option = jax.grad(lambda scale: function(0.3, scale=scale))(2.0)
    captured = jax.grad(lambda scale: jaxact.surrogate(jnp.sign, functools.partial(soft, scale=scale))(0.3))(2.0)
    assert by_option == captured == jax.grad(lambda scale: soft(0.3, scale=scale))(2.0)


def test_trees_in_and_out():
    function = jaxact.surrogate(
        lambda tree, shift: {"a": jnp.round(tree["a"] + shift), "b": (jnp.sign(tree["b"]),)},
        lambda tree, shift: {"a": tree["a"] + 3 * shift, "b": (tree["b"] ** 2,)},
    )
    tree = {"a": jnp.array([0.6, 1.5]), "b": jnp.array(-2.0)}
    out, backward = jax.vjp(function, tree, 0.25)
    assert out["b"][0] == -1
    np.testing.assert_array_equal(out["a"], [1, 2])
    tree_bar, shift_bar = backward(jax.tree.map(jnp.ones_like, out))
    assert shift_bar == 6
    assert tree_bar["b"] == -4


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.checkpoint], ids=("jit", "vmap", "checkpoint"))
def test_under_transforms(transform):
    function = jaxact.straight_through(lambda x: jnp.round(4 * x) / 4)
    x = jnp.linspace(-2, 2, 11)
    np.testing.assert_array_equal(transform(function)(x), np.round(4 * x) / 4)
    np.testing.assert_array_equal(jax.grad(lambda x: transform(function)(x).sum())(x), 1)


def test_vmap_over_the_parameter_of_the_soft_function_alone():
    slope = jax.grad(lambda x, k: jaxact.surrogate(jnp.sign, lambda x: jnp.tanh(k * x))(x))
    scales = jnp.arange(1.0, 4.0)
    np.testing.assert_allclose(jax.vmap(slope, (None, 0))(0.0, scales), scales, rtol=1e-15, atol=0)


def test_hard_need_not_be_differentiable_and_soft_vanishes_from_the_value():
    function = jaxact.surrogate(lambda x: jax.lax.while_loop(lambda v: v > 1, lambda v: v - 1, x), jnp.sin)
    assert function(3.25) == 0.25
    assert jax.grad(function)(3.25) == jnp.cos(3.25)
    program = jax.jit(jaxact.surrogate(jnp.round, jnp.sin)).lower(1.0).compile().as_text()
    assert "sin" not in program.replace("single", "").lower()


def test_integers_pass():
    function = jaxact.surrogate(lambda x: (x > 0).astype(jnp.int32), lambda x: x.astype(jnp.int32))
    assert jax.jit(function)(jnp.float32(2)) == 1


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_the_usual_idiom_is_not_exact_for_the_sign(dtype):
    bits = jnp.arange(2**16, dtype=jnp.uint16)
    x = jax.lax.bitcast_convert_type(bits, dtype)
    finite = jnp.isfinite(x)
    ours = jax.jit(jaxact.surrogate(jnp.sign, lambda x: x))(x)
    theirs = usual(jnp.sign, lambda x: x)(x)
    exact = jnp.sign(x)
    assert jnp.all((ours == exact) | ~finite)
    assert jnp.sum((theirs != exact) & finite) > 1000


def test_the_usual_idiom_loses_infinity_and_the_sign_of_zero():
    ours, theirs = jaxact.straight_through(jnp.round), usual(jnp.round, lambda x: x)
    assert ours(jnp.inf) == jnp.inf
    assert jnp.isnan(theirs(jnp.inf))
    assert jnp.signbit(ours(-0.0))
    assert not jnp.signbit(theirs(-0.0))


def test_a_slope_caught_in_a_closure_of_custom_jvp_gets_no_gradient():
    def caught(x, slope):
        @jax.custom_jvp
        def step(x):
            return jnp.sign(x)

        step.defjvp(lambda primals, tangents: (step(*primals), jax.lax.stop_gradient(slope) * tangents[0]))
        return step(x)

    bend = jax.grad(jax.grad(caught), 1)
    assert bend(0.5, 2.0) == 0
    ours = jax.grad(jax.grad(lambda x, slope: jaxact.surrogate(jnp.sign, lambda x: slope * x)(x)), 1)
    assert ours(0.5, 2.0) == 1


def test_a_custom_gradient_has_no_forward_mode():
    """As Spyx writes its surrogates."""

    @jax.custom_gradient
    def spike(x):
        return jnp.heaviside(x, 0.0), lambda g: g / (1 + 25 * jnp.abs(x)) ** 2

    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(spike, (0.1,), (1.0,))
    ours = functools.partial(
        lambda kernel, x: jaxact.surrogate_heaviside(x, kernel, gain=0.08), jaxact.FastSigmoid(25.0)
    )
    np.testing.assert_allclose(jax.jvp(ours, (0.1,), (1.0,))[1], jax.grad(spike)(0.1), rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: jaxact.surrogate(1.0, jnp.sin), TypeError, "surrogate: hard must be a function, got float"),
        (lambda: jaxact.surrogate(jnp.sin, None), TypeError, "surrogate: soft must be a function, got NoneType"),
        (lambda: jaxact.straight_through(2), TypeError, "straight_through: fun must be a function, got int"),
        (
            lambda: jaxact.surrogate(jnp.sum, jnp.sin)(jnp.ones(3)),
            ValueError,
            "surrogate: shapes must be the same, got value (), derivative (3,)",
        ),
        (
            lambda: jaxact.straight_through(lambda x: x > 0)(jnp.ones(3)),
            TypeError,
            "straight_through: dtypes must be the same, got value bool, derivative float64",
        ),
        (
            lambda: jaxact.surrogate(lambda x: (x, x), lambda x: x)(1.0),
            TypeError,
            "surrogate: trees must be the same",
        ),
        (
            lambda: jaxact.straight_through(lambda x: x)(x=1.0),
            TypeError,
            "straight_through: the first argument must be positional",
        ),
    ],
)
def test_bad_input(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert f"jaxact.{message}" in str(caught.value)
