"""The rows of kernels, of rounding that can be trained, of quantising and of discrete samples."""

import functools
import math

import jax
import jax.numpy as jnp
import jax.scipy.stats
from jax.lax import stop_gradient

import jaxact
from benchmarks.row import CACHE_SIZED, Row, elementwise, library
from cases_rounding import PARAMETERS
from contract import BETA

KERNELS, STAIRCASES, STRAIGHT_THROUGH = "kernels", "staircases", "straight through"
QUANTIZING, SAMPLES = "quantising", "samples"
# Numbers one by one, but a sample of each row of them.
SAMPLED = ((2**14 // 64, 64), (2**22 // 64, 64))


def _straight(hard, soft):
    """The usual idiom: the value of `hard`, or nearly so, and the derivative of `soft`."""
    return soft + stop_gradient(hard - soft)


def _idiom(hard, soft=lambda x: x):
    return lambda x: _straight(hard(x), soft(x))


def _kernel(name):
    return getattr(jaxact, name)(PARAMETERS[name])


CDFS = {
    "Logistic": lambda u, s: jax.scipy.stats.logistic.cdf(u, scale=1 / s),
    "Arctan": lambda u, a: jax.scipy.stats.cauchy.cdf(u, scale=2 / (math.pi * a)),
    "Gaussian": lambda u, sigma: jax.scipy.stats.norm.cdf(u, scale=sigma),
    "Laplace": lambda u, c: jax.scipy.stats.laplace.cdf(u, scale=c),
}
FORMULAS = {
    "Box": lambda u, w: jnp.clip(u / w + 0.5, 0, 1),
    "Triangle": lambda u, w: jnp.where(
        u < 0, 2 * jnp.clip(u / w + 0.5, 0, 1) ** 2, 1 - 2 * jnp.clip(0.5 - u / w, 0, 1) ** 2
    ),
    "Sine": lambda u, w: (1 + jnp.sin(jnp.pi * jnp.clip(u / w, -0.5, 0.5))) / 2,
    "FastSigmoid": lambda u, b: (1 + b * u / (1 + b * jnp.abs(u))) / 2,
}


def _kernel_row(name):
    label, cdf = ("jax.scipy", CDFS[name]) if name in CDFS else ("formula", FORMULAS[name])
    return elementwise(name, KERNELS, _kernel(name).cdf, {label: lambda u: cdf(u, PARAMETERS[name])})


STEEPNESS = PARAMETERS["Logistic"]


def _codex(name):
    """One of codex, whose temperature is the reciprocal of half the steepness."""
    return lambda x: getattr(library("codex"), name)(x, 2 / STEEPNESS)


def _softjax(name, **options):
    return {"softjax": lambda x: getattr(library("softjax"), name)(x, **options)}


def _staircase_row(name, kernel, peers, **fields):
    function = getattr(jaxact, name)
    return elementwise(name, STAIRCASES, lambda x: function(x, _kernel(kernel)), peers, **fields)


def _heaviside(x):
    return jnp.heaviside(x, jnp.zeros((), x.dtype))


def _ternary(x):
    return jnp.where(jnp.abs(x) > 0.5, jnp.sign(x), 0)


def _soft_sign(x):
    return 2 * FORMULAS["FastSigmoid"](x, PARAMETERS["FastSigmoid"]) - 1


def _arctan_step(x):
    return CDFS["Arctan"](x, PARAMETERS["Arctan"])


def _soft_round(x):
    middle = jnp.floor(x) + 0.5
    return middle + jnp.tanh(STEEPNESS / 2 * (x - middle)) / (2 * math.tanh(STEEPNESS / 4))


def _approx_round(x):
    base = jnp.floor(x)
    return base + jax.nn.sigmoid(STEEPNESS * (x - base - 0.5))


def _approx_round_sin(x):
    base = jnp.floor(x)
    return base + FORMULAS["Sine"](x - base - 0.5, PARAMETERS["Sine"])


STAIRCASE_ROWS = (
    _staircase_row("soft_round", "Logistic", {"codex": _codex("soft_round")}, alternatives=_softjax("round")),
    _staircase_row("soft_heaviside", "Arctan", {"jax.scipy": _arctan_step}, alternatives=_softjax("heaviside")),
    _staircase_row("soft_sign", "FastSigmoid", {"formula": _soft_sign}, alternatives=_softjax("sign")),
    _staircase_row("soft_round_inverse", "Logistic", {"codex": _codex("soft_round_inverse")}),
    _staircase_row("soft_round_conditional_mean", "Logistic", {"codex": _codex("soft_round_conditional_mean")}),
    _staircase_row(
        "surrogate_round",
        "Logistic",
        {"idiom": _idiom(jnp.round, _soft_round)},
        alternatives=_softjax("round_st"),
    ),
    _staircase_row(
        "surrogate_heaviside",
        "Arctan",
        {"idiom": _idiom(_heaviside, _arctan_step)},
        alternatives=_softjax("heaviside_st"),
    ),
    _staircase_row(
        "surrogate_sign", "FastSigmoid", {"idiom": _idiom(jnp.sign, _soft_sign)}, alternatives=_softjax("sign_st")
    ),
    elementwise(
        "approx_round", STAIRCASES, lambda x: jaxact.approx_round(x, steepness=STEEPNESS), {"formula": _approx_round}
    ),
    elementwise(
        "approx_round_sin",
        STAIRCASES,
        lambda x: jaxact.approx_round_sin(x, width=PARAMETERS["Sine"]),
        {"formula": _approx_round_sin},
    ),
)


def _clip(bound):
    return lambda x: jnp.clip(x, -bound, bound)


def _straight_through_row(name, peer):
    return elementwise(name, STRAIGHT_THROUGH, getattr(jaxact, name), {"idiom": peer})


STRAIGHT_THROUGH_ROWS = (
    _straight_through_row("round_ste", _idiom(jnp.round)),
    _straight_through_row("floor_ste", _idiom(jnp.floor)),
    _straight_through_row("ceil_ste", _idiom(jnp.ceil)),
    _straight_through_row("trunc_ste", _idiom(jnp.trunc)),
    _straight_through_row("sign_ste", _idiom(jnp.sign, _clip(1))),
    _straight_through_row("heaviside_ste", _idiom(_heaviside, _clip(0.5))),
    _straight_through_row("ternary_ste", _idiom(_ternary, _clip(1))),
)


def _fake_quantize(x):
    return jnp.clip(_straight(jnp.round(x / BETA), x / BETA), -128, 127) * BETA


def _finite_scalar_quantize(x, levels=8):
    half, offset = (levels - 1) * 1.001 / 2, 0.5
    bounded = jnp.tanh(x + math.atanh(offset / half)) * half - offset
    return _straight(jnp.round(bounded), bounded) / (levels // 2)


QUANTIZING_ROWS = (
    elementwise("fake_quantize", QUANTIZING, lambda x: jaxact.fake_quantize(x, BETA), {"formula": _fake_quantize}),
    elementwise(
        "finite_scalar_quantize",
        QUANTIZING,
        lambda x: jaxact.finite_scalar_quantize(x[..., None], levels=(8,))[..., 0],
        {"formula": _finite_scalar_quantize},
        argument="8-levels",
    ),
    elementwise("integer_penalty", QUANTIZING, jaxact.integer_penalty, {"formula": lambda x: jnp.sin(jnp.pi * x) ** 2}),
)


def _with_key(function):
    return lambda x: function(jax.random.key(0), x)


def _one_hot(index, x):
    return jax.nn.one_hot(index, x.shape[-1], dtype=x.dtype)


def _gumbel_softmax(key, x):
    return jax.nn.softmax(x + jax.random.gumbel(key, x.shape, x.dtype))


def _hard_gumbel_softmax(key, x):
    soft = _gumbel_softmax(key, x)
    return _straight(_one_hot(jnp.argmax(soft, axis=-1), x), soft)


def _reinmax(key, x):
    p = jax.nn.softmax(x)
    sample = _one_hot(jax.random.categorical(key, x), x)
    q = (p + sample) / 2
    closer = jax.nn.softmax(stop_gradient(jnp.log(q) - x) + x)
    surrogate = 2 * closer - p / 2
    return _straight(sample, surrogate)


def _bernoulli(key, x):
    p = jax.nn.sigmoid(x)
    return _straight(jax.random.bernoulli(key, p).astype(x.dtype), p)


def _argmax(x):
    return _straight(_one_hot(jnp.argmax(x, axis=-1), x), jax.nn.softmax(x))


def _stochastic_round(key, x):
    return _straight(jnp.floor(x + jax.random.uniform(key, x.shape, x.dtype)), x)


def _sample_row(name, ours, peer, **fields):
    """A row of a random function, which is compared in time and memory only."""
    return Row(name, SAMPLES, ours, alternatives={"idiom": peer} | fields.pop("alternatives", {}), **fields)


SAMPLE_ROWS = (
    _sample_row("gumbel_softmax", _with_key(jaxact.gumbel_softmax), _with_key(_gumbel_softmax), shapes=SAMPLED),
    _sample_row(
        "gumbel_softmax, hard",
        _with_key(functools.partial(jaxact.gumbel_softmax, hard=True)),
        _with_key(_hard_gumbel_softmax),
        shapes=SAMPLED,
    ),
    _sample_row("argmax_ste", jaxact.argmax_ste, _argmax, shapes=SAMPLED, alternatives=_softjax("argmax_st", axis=-1)),
    _sample_row("bernoulli_ste", _with_key(jaxact.bernoulli_ste), _with_key(_bernoulli)),
    _sample_row("reinmax", _with_key(jaxact.reinmax), _with_key(_reinmax), shapes=SAMPLED),
    _sample_row(
        "stochastic_round",
        _with_key(lambda key, x: jaxact.stochastic_round(key, x, jaxact.Box(1.0))),
        _with_key(_stochastic_round),
        shapes=((CACHE_SIZED,), (2**22,)),
    ),
)

ROWS = (
    *map(_kernel_row, PARAMETERS),
    *STAIRCASE_ROWS,
    *STRAIGHT_THROUGH_ROWS,
    *QUANTIZING_ROWS,
    *SAMPLE_ROWS,
)
