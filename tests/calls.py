"""Every public function as a function of one row of data and of a tree of parameters, which all are differentiable.

The rows hold to what is true of every function, whatever it computes: that it goes through all transforms, platforms,
flags and devices. What it should compute, the cases and the tests of its family say.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxact

# Away from all kinks and steps: transforms are compared with each other, and there rounding decides.
REALS = ((-1.7, -0.3, 0.4, 2.1), (0.8, -2.2, 1.3, -0.6))
POSITIVE = ((0.3, 2.6, 1.1, 0.05), (4.5, 0.7, 1.9, 0.2))
UNIT = ((0.1, 0.35, 0.6, 0.9), (0.8, 0.45, 0.2, 0.7))
HALF = ((0.1, 0.35, 0.3, 0.45), (0.4, 0.15, 0.2, 0.25))
COUNTS = np.array([3.0, 0.0, 1.0, 7.0])
LABEL = 2


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a public function.

    Attributes:
      name: name of the public function.
      fun: `fun(row, parameters)`, an array of one axis.
      parameters: numbers, arrays and kernels, all of them differentiable.
      data: two rows.
      elementwise: whether each number of the result is that of one number of the row.
      thorough: whether it is tried also where only compatibility is checked.
    """

    name: str
    fun: Callable[[jax.Array, Any], jax.Array]
    parameters: Any = ()
    data: tuple[tuple[float, ...], ...] = REALS
    elementwise: bool = True
    thorough: bool = False

    def arguments(self, dtype):
        """The rows and the parameters, as arrays of the dtype."""
        return jnp.asarray(self.data, dtype), jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), self.parameters)


class Hyperbolic(jaxact.Kernel):
    """A kernel as a user writes it."""

    scale: float = 0.7

    def cdf(self, u):
        return 0.5 + 0.5 * u / jnp.sqrt(self.scale**2 + u**2)

    def pdf(self, u):
        return 0.5 * self.scale**2 * (self.scale**2 + u**2) ** -1.5

    def quantile(self, p):
        return self.scale * (p - 0.5) / jnp.sqrt(p * (1 - p))


def _key():
    return jax.random.key(7)


def plain(name, data=REALS, thorough=False):
    return Call(name, lambda x, _: getattr(jaxact, name)(x), (), data, thorough=thorough)


def with_options(name, data=REALS, thorough=False, **options):
    return Call(name, lambda x, options: getattr(jaxact, name)(x, **options), options, data, thorough=thorough)


def with_kernel(name, kernel, data=REALS, thorough=False, **options):
    def fun(x, parameters):
        kernel, options = parameters
        return getattr(jaxact, name)(x, kernel, **options)

    return Call(name, fun, (kernel, options), data, thorough=thorough)


def sampled_with_kernel(name, kernel, thorough=False, **options):
    def fun(x, parameters):
        kernel, options = parameters
        return getattr(jaxact, name)(_key(), x, kernel, **options)

    return Call(name, fun, (kernel, options), thorough=thorough)


def of_classes(name, *arguments, thorough=False, **options):
    """A function of logits, its result on one axis."""
    fun = functools.partial(_of_classes, getattr(jaxact, name))
    return Call(name, fun, (arguments, options), elementwise=False, thorough=thorough)


def _of_classes(function, x, parameters):
    arguments, options = parameters
    return jnp.atleast_1d(function(x, *arguments, **options))


def _kernel(x, kernel):
    """The methods of a kernel; a row of numbers below 1/2 suits all of them."""
    return jnp.concatenate([kernel.cdf(x), kernel.pdf(x), kernel.quantile(x)], axis=-1)


def _kernel_of_a_user(x, kernel):
    staircases = jaxact.soft_round(x, kernel), jaxact.surrogate_ternary(x, kernel)
    return jnp.concatenate([_kernel(x, kernel), *staircases], axis=-1)


def _integer_labels(x, options):
    label = jnp.asarray(LABEL)
    return jaxact.softmax_cross_entropy_with_integer_labels(x, label, **options)[None]


def _linear(x, parameters):
    """Two tokens of two features in a row, in two chunks."""
    kernel, options = parameters
    hidden, labels = x.reshape(2, 2), jnp.array([LABEL, 0])
    return jaxact.linear_softmax_cross_entropy(hidden, kernel, labels, chunk_size=1, **options)[None]


def _negative_binomial(x, dispersion):
    return jaxact.negative_binomial_nll(
        x, jnp.broadcast_to(jnp.asarray(COUNTS, x.dtype), x.shape), dispersion=dispersion
    )


def _surrogate(x, steepness):
    return jaxact.surrogate(lambda x, s: jnp.sign(x), lambda x, s: jnp.tanh(s * x))(x, steepness)


def _straight_through(x, _):
    return jaxact.straight_through(jnp.round)(x)


def _gumbel_softmax(x, temperature):
    return jaxact.gumbel_softmax(_key(), x, temperature=temperature)


def _reinmax(x, temperature):
    return jaxact.reinmax(_key(), x, temperature=temperature)


LAYER = np.linspace(-0.9, 1.1, 6).reshape(2, 3)

CALLS = (
    plain("sigmoid", thorough=True),
    plain("log_sigmoid"),
    plain("logit", UNIT),
    plain("tanh"),
    with_options("softplus", beta=0.7, thorough=True),
    with_options("softplus_inverse", POSITIVE, beta=1.3),
    with_options("log_softplus", beta=0.7),
    plain("log1mexp", POSITIVE),
    plain("relu"),
    with_options("leaky_relu", negative_slope=0.1),
    with_options("hard_tanh", min_value=-0.9, max_value=1.2),
    of_classes("softmax"),
    of_classes("log_softmax", thorough=True),
    of_classes("logsumexp"),
    of_classes("softmax_cross_entropy", np.array([0.1, 0.4, 0.2, 0.3])),
    Call(
        "softmax_cross_entropy_with_integer_labels",
        _integer_labels,
        {"label_smoothing": 0.1},
        elementwise=False,
    ),
    Call(
        "sigmoid_binary_cross_entropy",
        jaxact.sigmoid_binary_cross_entropy,
        np.array([1.0, 0.0, 0.25, 0.6]),
    ),
    Call(
        "linear_softmax_cross_entropy",
        _linear,
        (LAYER, {"bias": np.array([0.1, -0.2, 0.3]), "label_smoothing": 0.1}),
        elementwise=False,
    ),
    Call("poisson_nll", jaxact.poisson_nll, COUNTS),
    Call("negative_binomial_nll", _negative_binomial, 0.75),
    Call("surrogate", _surrogate, 1.3),
    Call("straight_through", _straight_through),
    Call("Kernel", _kernel_of_a_user, Hyperbolic(0.7), HALF),
    *(
        Call(name, _kernel, getattr(jaxact, name)(parameter), HALF)
        for name, parameter in {
            "Box": 1.2,
            "Triangle": 1.2,
            "Sine": 1.2,
            "Logistic": 4.0,
            "Arctan": 2.0,
            "FastSigmoid": 3.0,
            "Gaussian": 0.5,
            "Laplace": 0.3,
        }.items()
    ),
    with_kernel("soft_round", jaxact.Logistic(4.0), thorough=True),
    with_kernel("soft_floor", jaxact.Triangle(0.9)),
    with_kernel("soft_ceil", jaxact.Laplace(0.3)),
    with_kernel("soft_sign", jaxact.FastSigmoid(3.0)),
    with_kernel("soft_heaviside", jaxact.Arctan(2.0)),
    with_kernel("soft_ternary", jaxact.Gaussian(0.5), threshold=0.45),
    with_kernel("soft_round_inverse", jaxact.Gaussian(0.5)),
    with_kernel("soft_round_conditional_mean", jaxact.Logistic(4.0)),
    with_kernel("surrogate_round", jaxact.Gaussian(0.5)),
    with_kernel("surrogate_floor", jaxact.Sine(0.9)),
    with_kernel("surrogate_ceil", jaxact.Box(0.9)),
    with_kernel("surrogate_sign", jaxact.Triangle(5.0), at_zero=0.5, gain=2.0),
    with_kernel("surrogate_heaviside", jaxact.FastSigmoid(3.0), at_zero=0.5, gain=2.0, thorough=True),
    with_kernel("surrogate_ternary", jaxact.Logistic(4.0), threshold=0.45),
    sampled_with_kernel("stochastic_round", jaxact.Laplace(0.3)),
    sampled_with_kernel("stochastic_floor", jaxact.Box(0.9)),
    sampled_with_kernel("stochastic_ceil", jaxact.Arctan(2.0)),
    sampled_with_kernel("stochastic_sign", jaxact.Gaussian(0.5)),
    sampled_with_kernel("stochastic_heaviside", jaxact.Logistic(4.0)),
    sampled_with_kernel("stochastic_ternary", jaxact.Sine(5.0), threshold=0.45),
    *map(plain, ("round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "heaviside_ste", "ternary_ste")),
    with_options("approx_round", steepness=4.0),
    with_options("approx_round_sin", width=0.5),
    Call(
        "fake_quantize",
        lambda x, grid: jaxact.fake_quantize(x, grid["scale"], zero_point=grid["zero_point"]),
        {"scale": 0.23, "zero_point": 3.0},
        thorough=True,
    ),
    Call("finite_scalar_quantize", lambda x, _: jaxact.finite_scalar_quantize(x, levels=(8, 5, 3, 4))),
    plain("integer_penalty"),
    Call("gumbel_softmax", _gumbel_softmax, 0.8, elementwise=False),
    of_classes("argmax_ste", temperature=0.8, thorough=True),
    Call("bernoulli_ste", lambda x, _: jaxact.bernoulli_ste(_key(), x)),
    Call("reinmax", _reinmax, 0.8, elementwise=False),
)

# Whose code is that of others, and takes long to compile with all its derivatives: tried when the page is written.
ONLY_IN_LONG_RUNS = {
    *("softplus_inverse", "log_softplus", "negative_binomial_nll", "linear_softmax_cross_entropy"),
    *("Box", "Triangle", "Sine", "Logistic", "Arctan", "FastSigmoid", "Gaussian", "Laplace"),
    *("soft_floor", "soft_ceil", "soft_sign", "soft_ternary", "soft_round_inverse", "soft_round_conditional_mean"),
    *("surrogate_round", "surrogate_floor", "surrogate_sign", "surrogate_ternary"),
    *(
        "stochastic_round",
        "stochastic_floor",
        "stochastic_ceil",
        "stochastic_sign",
        "stochastic_heaviside",
        "stochastic_ternary",
    ),
    *("approx_round_sin", "reinmax"),
}
