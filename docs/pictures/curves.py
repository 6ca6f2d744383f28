"""One row a function: what is drawn of it, with its first and second derivative as JAX computes them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxact
from pictures import style

POINTS, SAMPLES = 800, 250
LOGISTIC = jaxact.Logistic(6.0)
KEY = jax.random.key(4)
LOGITS = "x, the first of the logits (x, 0, -1)"
KERNEL = "x; Logistic(6)"


class Curve(NamedTuple):
    """A function of one number; `mean` where its values are random; `heights` where it has poles."""

    function: Callable[[jax.Array], jax.Array]
    interval: tuple[float, float] = (-4.0, 4.0)
    label: str = "x"
    heights: tuple[float, float] | None = None
    mean: Callable[[jax.Array], jax.Array] | None = None


def logits(x: jax.Array) -> jax.Array:
    """Rows of three logits, of which the first varies."""
    return jnp.stack([x, jnp.zeros_like(x), -jnp.ones_like(x)], axis=-1)


def of_logits(function: Callable[..., jax.Array], *more: jax.Array, label: str = LOGITS) -> Curve:
    """A loss of rows of logits, or the first element of what else is computed from them."""

    def of_first(x):
        result = function(logits(x), *(jnp.broadcast_to(array, (*x.shape, *array.shape)) for array in more))
        return result if result.ndim == x.ndim else result[..., 0]

    return Curve(of_first, (-8.0, 8.0), label)


def of_one_draw(function: Callable[..., jax.Array]) -> Curve:
    """The first element of a sample, with the same noise for every logit."""
    return Curve(
        jax.vmap(lambda x: function(KEY, logits(x))[0]),
        (-6.0, 6.0),
        "x of the logits (x, 0, -1); one draw of the noise",
    )


def of_kernel(function: Callable[..., jax.Array], **options: float) -> Curve:
    return Curve(lambda x: function(x, LOGISTIC, **options), (-2.4, 2.4), KERNEL)


def at_random(name: str) -> Curve:
    """Samples of a stochastic reading, about the soft one."""
    sampled, soft = (getattr(jaxact, f"{reading}_{name}") for reading in ("stochastic", "soft"))
    return Curve(lambda x: sampled(KEY, x, LOGISTIC), (-2.4, 2.4), KERNEL, mean=functools.partial(_with_kernel, soft))


def _with_kernel(function, x):
    return function(x, LOGISTIC)


def _linear(x):
    kernel = jnp.array([[1.0, 0.0, -0.5]])
    labels = jnp.zeros(x.shape, jnp.int32)
    return jaxact.linear_softmax_cross_entropy(x[..., None], kernel, labels, reduction="none")


STEPS = "round", "floor", "ceil", "sign", "heaviside", "ternary"
STRAIGHT_THROUGH = "round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "heaviside_ste", "ternary_ste"

FAMILIES: dict[str, dict[str, Curve]] = {
    "logistic": {
        "sigmoid": Curve(jaxact.sigmoid, (-8.0, 8.0)),
        "log_sigmoid": Curve(jaxact.log_sigmoid, (-8.0, 8.0)),
        "logit": Curve(jaxact.logit, (1e-5, 1 - 1e-5), "p", (-15.0, 15.0)),
        "tanh": Curve(jaxact.tanh),
        "softplus": Curve(jaxact.softplus, (-6.0, 6.0)),
        "softplus_inverse": Curve(jaxact.softplus_inverse, (0.01, 5.0), "y", (-4.0, 5.0)),
        "log_softplus": Curve(jaxact.log_softplus, (-8.0, 8.0)),
        "log1mexp": Curve(jaxact.log1mexp, (0.01, 5.0), "x", (-4.0, 4.0)),
    },
    "piecewise": {
        "relu": Curve(jaxact.relu),
        "leaky_relu": Curve(lambda x: jaxact.leaky_relu(x, negative_slope=0.1), label="x; negative_slope = 0.1"),
        "hard_tanh": Curve(jaxact.hard_tanh),
    },
    "softmax": {
        "softmax": of_logits(jaxact.softmax),
        "log_softmax": of_logits(jaxact.log_softmax),
        "logsumexp": of_logits(jaxact.logsumexp),
    },
    "cross_entropy": {
        "softmax_cross_entropy": of_logits(
            jaxact.softmax_cross_entropy,
            jnp.array([0.7, 0.2, 0.1]),
            label="x; logits (x, 0, -1), labels (0.7, 0.2, 0.1)",
        ),
        "softmax_cross_entropy_with_integer_labels": of_logits(
            jaxact.softmax_cross_entropy_with_integer_labels, jnp.array(0), label="x; logits (x, 0, -1), label 0"
        ),
        "sigmoid_binary_cross_entropy": Curve(
            lambda x: jaxact.sigmoid_binary_cross_entropy(x, jnp.full_like(x, 0.8)), (-8.0, 8.0), "x; label 0.8"
        ),
        "linear_softmax_cross_entropy": Curve(_linear, (-8.0, 8.0), "x, the hidden unit; kernel (1, 0, -1/2), label 0"),
    },
    "counts": {
        "poisson_nll": Curve(lambda x: jaxact.poisson_nll(x, jnp.full_like(x, 3.0)), (-3.0, 2.2), "log rate; count 3"),
        "negative_binomial_nll": Curve(
            lambda x: jaxact.negative_binomial_nll(x, jnp.full_like(x, 3.0), dispersion=0.5),
            (-3.0, 5.0),
            "log mean; count 3, dispersion 1/2",
        ),
    },
    "surrogate": {
        "surrogate": Curve(jaxact.surrogate(jnp.sign, jnp.tanh), label="x; surrogate(sign, tanh)"),
        "straight_through": Curve(
            jaxact.straight_through(lambda x: jnp.round(2 * x) / 2), (-2.4, 2.4), "x; rounded to halves"
        ),
    },
    "soft": {f"soft_{name}": of_kernel(getattr(jaxact, f"soft_{name}")) for name in STEPS}
    | {
        "soft_round_inverse": Curve(
            lambda y: jaxact.soft_round_inverse(y, LOGISTIC), (-2.4, 2.4), "y; Logistic(6)", (-6.0, 6.0)
        ),
        "soft_round_conditional_mean": Curve(
            lambda y: jaxact.soft_round_conditional_mean(y, LOGISTIC), (-2.4, 2.4), "y; Logistic(6)", (-6.0, 6.0)
        ),
    },
    "surrogates": {f"surrogate_{name}": of_kernel(getattr(jaxact, f"surrogate_{name}")) for name in STEPS},
    "stochastic": {f"stochastic_{name}": at_random(name) for name in STEPS},
    "straight": {name: Curve(getattr(jaxact, name), (-2.4, 2.4)) for name in STRAIGHT_THROUGH}
    | {
        "approx_round": Curve(lambda x: jaxact.approx_round(x, steepness=6.0), (-2.4, 2.4), "x; steepness = 6"),
        "approx_round_sin": Curve(lambda x: jaxact.approx_round_sin(x, width=0.8), (-2.4, 2.4), "x; width = 0.8"),
    },
    "quantize": {
        "fake_quantize": Curve(lambda x: jaxact.fake_quantize(x, 0.5, bits=3), (-3.0, 3.0), "x; scale = 1/2, bits = 3"),
        "finite_scalar_quantize": Curve(
            lambda x: jaxact.finite_scalar_quantize(x[..., None], levels=(5,))[..., 0], label="x; levels = (5,)"
        ),
        "integer_penalty": Curve(jaxact.integer_penalty, (-1.6, 1.6), heights=(-5.0, 5.0)),
    },
    "discrete": {
        "gumbel_softmax": of_one_draw(functools.partial(jaxact.gumbel_softmax, temperature=0.5)),
        "argmax_ste": of_logits(jaxact.argmax_ste),
        "bernoulli_ste": Curve(lambda x: jaxact.bernoulli_ste(KEY, x), (-6.0, 6.0), mean=jaxact.sigmoid),
        "reinmax": of_one_draw(jaxact.reinmax),
    },
}

# What activations become when they follow one another.
COMPOSITIONS = {
    "tanh(-2x - 1.5)": Curve(lambda x: jaxact.tanh(-2 * x - 1.5), (-3.0, 2.0)),
    "sigmoid(3 tanh(2x))": Curve(lambda x: jaxact.sigmoid(3 * jaxact.tanh(2 * x)), (-2.5, 2.5)),
    "tanh(softplus(x))": Curve(lambda x: jaxact.tanh(jaxact.softplus(x))),
    "softplus(x) - softplus(x - 1)": Curve(lambda x: jaxact.softplus(x) - jaxact.softplus(x - 1), (-5.0, 6.0)),
    "x sigmoid(x), the swish": Curve(lambda x: x * jaxact.sigmoid(x), (-6.0, 4.0)),
    "x tanh(softplus(x)), the mish": Curve(lambda x: x * jaxact.tanh(jaxact.softplus(x)), (-6.0, 4.0)),
    "softplus_inverse(softplus(x) + 1)": Curve(lambda x: jaxact.softplus_inverse(jaxact.softplus(x) + 1), (-5.0, 5.0)),
    "relu(hard_tanh(x) + tanh(x))": Curve(lambda x: jaxact.relu(jaxact.hard_tanh(x) + jaxact.tanh(x)), (-3.0, 3.0)),
    "round_ste(2 softplus(x))": Curve(lambda x: jaxact.round_ste(2 * jaxact.softplus(x)), (-4.0, 2.5)),
}


def orders(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, ...]:
    """Value and first two derivatives of an elementwise function."""

    def slope(of, x):
        return jax.jvp(of, (x,), (jnp.ones_like(x),))[1]

    first = functools.partial(slope, function)
    return jax.jit(lambda x: (function(x), first(x), slope(first, x)))(x)


def broken(y: np.ndarray) -> np.ndarray:
    """`y` with a gap wherever it jumps, so that no line is drawn there."""
    steps = np.abs(np.diff(y, append=y[-1]))
    jumps = (steps > 0.08) & (steps > 5 * np.abs(np.diff(y, prepend=y[0])))
    return np.where(jumps, np.nan, y)


def draw(curve: Curve) -> Figure:
    """The picture of one row."""
    x = jnp.linspace(*curve.interval, POINTS)
    value, first, second = (np.asarray(y) for y in orders(curve.function, x))
    figure = Figure((4.2, 2.9))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.12, right=0.98, bottom=0.16, top=0.88)
    if curve.mean is None:
        style.line(axes, x, broken(value), 0, "value")
    else:
        few = slice(None, None, POINTS // SAMPLES)
        axes.plot(x[few], value[few], ".", color=style.PURPLE, ms=4, label="samples")
        style.line(axes, x, curve.mean(x), 0, "mean")
    style.line(axes, x, broken(first), 1, "slope")
    style.line(axes, x, broken(second), 2, "2nd derivative" if curve.mean is None else "2nd")
    style.legend(axes, 4)
    axes.set(xlabel=curve.label, xlim=curve.interval)
    if curve.heights:
        axes.set_ylim(*curve.heights)
    return figure
