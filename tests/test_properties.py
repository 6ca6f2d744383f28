"""Properties that hold for any input: round trips, order, symmetry, bounds, sums, rows with some elements left out.

Hypothesis looks for inputs that break them. A program is compiled once, for arrays of one shape, and evaluates all
functions that share a property. Whatever is compared with a tolerance is compared in ulp, with the budgets of the
contract: a round trip may err by the error of the first function, times the slope of the second, and that of the second.

In the ordinary run every property sees 200 examples; `--hypothesis-profile=long` gives it 20,000.
"""

import functools

import hypothesis
import hypothesis.extra.numpy as arrays_of
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from cases_rounding import PARAMETERS
from ulp import spacing

SIZE, CLASSES, ROWS = 16, 8, 4
KERNELS = {name: getattr(jaxact, name)(parameter) for name, parameter in PARAMETERS.items()}
TINY, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def arrays(low=-LARGEST, high=LARGEST, shape=SIZE):
    """Arrays of normal float32 numbers, and 0, from an interval; some of them of ordinary size, so that they matter."""
    bounds = {"width": 32, "allow_subnormal": False, "allow_nan": False}
    everything = st.floats(low, high, **bounds)
    ordinary = st.floats(max(low, -128.0), min(high, 128.0), **bounds)
    return arrays_of.arrays(np.float32, shape, elements=ordinary | everything)


# Multiples of 1/64 below 2**8: sums and differences with each other and with integers below 2**14 are exact.
grid = st.integers(-(2**14), 2**14).map(lambda k: k / 64)
rows_on_grid = arrays_of.arrays(np.float32, (ROWS, CLASSES), elements=grid)
reals, positive, probabilities = arrays(), arrays(0.0), arrays(0.0, 1.0)
any_rows = arrays(shape=(ROWS, CLASSES))


def long(x):
    return np.asarray(x).astype(np.longdouble)


def ulp(x):
    return spacing(np.abs(long(x)), np.float32)


def with_kernels(name):
    """The function of that name with every kernel."""
    function = getattr(jaxact, name)
    return {f"{name}-{kernel}": functools.partial(_applied, function, KERNELS[kernel]) for kernel in KERNELS}


def _applied(function, kernel, x):
    return function(x, kernel)


def named(*names):
    return {name: getattr(jaxact, name) for name in names}


# All that never decrease, by the interval they are defined on.
STEPS = {name: fun for step in ("heaviside", "sign", "ternary") for name, fun in with_kernels(f"soft_{step}").items()}
STAIRCASES = {name: fun for step in ("round", "floor", "ceil") for name, fun in with_kernels(f"soft_{step}").items()}
INVERSES = {
    **with_kernels("soft_round_inverse"),
    **with_kernels("soft_round_conditional_mean"),
}
HARD = {
    **named("round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "heaviside_ste", "ternary_ste"),
    **{name: functools.partial(_applied, getattr(jaxact, name), jaxact.Gaussian()) for name in (
        "surrogate_round", "surrogate_floor", "surrogate_ceil", "surrogate_sign", "surrogate_heaviside",
        "surrogate_ternary",
    )},
    "fake_quantize": lambda x: jaxact.fake_quantize(x, 0.7, bits=4),
    "finite_scalar_quantize": lambda x: jaxact.finite_scalar_quantize(x[..., None], levels=(8,))[..., 0],
}
INCREASING = {
    "reals": {
        **named("sigmoid", "log_sigmoid", "tanh", "softplus", "log_softplus", "relu", "leaky_relu", "hard_tanh"),
        "softplus-beta": functools.partial(jaxact.softplus, beta=0.7),
        "log_softplus-beta": functools.partial(jaxact.log_softplus, beta=0.7),
        **STEPS,
        **STAIRCASES,
        **INVERSES,
        **HARD,
        "approx_round": functools.partial(jaxact.approx_round, steepness=4.5),
        "approx_round_sin": functools.partial(jaxact.approx_round_sin, width=0.7),
    },
    "positive": {
        **named("softplus_inverse", "log1mexp"),
        "softplus_inverse-beta": functools.partial(jaxact.softplus_inverse, beta=0.7),
    },
    "probabilities": {
        **named("logit"),
        **{f"{name}.quantile": kernel.quantile for name, kernel in KERNELS.items()},
    },
}


@jax.jit
def increasing(x, y, p):
    given = {"reals": x, "positive": y, "probabilities": p}
    return {name: fun(given[kind]) for kind, funs in INCREASING.items() for name, fun in funs.items()}


# How many ulp a float32 value may fall from one number to the next.
STEP_BACK = 3


@hypothesis.given(reals, positive, probabilities)
def test_order_is_kept_between_neighbours(x, y, p):
    """Hard values never fall; what is computed falls by no more than its last bits, which are not promised."""
    here = increasing(x, y, p)
    above = increasing(*(np.nextafter(v, np.float32(np.inf)) for v in (x, y, np.minimum(p, np.float32(1 - 2**-24)))))
    for name in here:
        with np.errstate(invalid="ignore"):
            fall = long(here[name]) - long(above[name])
        allowed = 0 if name in HARD else STEP_BACK
        assert np.all(np.isnan(fall) | (fall <= allowed * ulp(here[name]))), name
        assert not np.any(np.isnan(here[name])), name


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=("float16", "bfloat16"))
def test_order_is_kept_over_all_numbers_of_half_precision(dtype):
    """Computed in float32 and rounded once, nothing falls."""
    numbers = np.arange(2**16, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):
        wide = numbers.astype(np.float32)
    numbers = numbers[np.isfinite(wide) & ((np.abs(wide) >= TINY) | (wide == 0))]
    numbers = numbers[np.argsort(numbers.astype(np.float32), kind="stable")]
    size = numbers.astype(np.float32)
    given = (numbers, np.where(size > 0, numbers, 0), np.where((size > 0) & (size < 1), numbers, size >= 1).astype(dtype))
    for name, value in increasing(*given).items():
        value = np.asarray(value).astype(np.float32)
        assert np.all(value[1:] >= value[:-1]), name


# symmetry

ODD = {
    **named("tanh", "round_ste", "trunc_ste", "sign_ste", "ternary_ste", "hard_tanh"),
    **{name: fun for name, fun in STEPS.items() if "heaviside" not in name},
    **with_kernels("soft_round"),
    **with_kernels("soft_round_inverse"),
}
EVEN = {
    "integer_penalty": jaxact.integer_penalty,
    **{f"{name}.pdf": kernel.pdf for name, kernel in KERNELS.items()},
    **{
        f"{name}-slope": lambda x, fun=fun: jax.vjp(fun, x)[1](jnp.ones_like(x))[0]
        for name, fun in named("sigmoid", "tanh", "sign_ste", "heaviside_ste", "round_ste").items()
    },
}


@jax.jit
def symmetric(x):
    return {name: (fun(x), fun(-x)) for name, fun in {**ODD, **EVEN}.items()}


@hypothesis.given(reals)
def test_odd_and_even_functions_are_so_exactly(x):
    for name, (at_x, at_minus_x) in symmetric(x).items():
        np.testing.assert_array_equal(at_minus_x, -at_x if name in ODD else at_x, name)


@jax.jit
def mirrored(x):
    log_odds = jnp.maximum(jnp.abs(x), 2.0**-23)
    p = 1 / (1 + log_odds)
    return {
        "softplus": (jaxact.softplus(x), jaxact.softplus(-x), x),
        "log_sigmoid": (jaxact.log_sigmoid(x), -jaxact.softplus(-x)),
        "sigmoid": (jaxact.sigmoid(x), jaxact.sigmoid(-x)),
        "logit": (jaxact.logit(1 - p), jaxact.logit(1 - (1 - p))),
        "cdf": {name: (kernel.cdf(x), kernel.cdf(-x)) for name, kernel in KERNELS.items()},
        "ceil": {name: (jaxact.soft_ceil(x, kernel), jaxact.soft_floor(-x, kernel)) for name, kernel in KERNELS.items()},
    }


@hypothesis.given(reals)
def test_mirror_images(x):
    got = mirrored(x)
    above, below, difference = got["softplus"]
    assert np.all(np.abs(long(above) - long(below) - long(difference)) <= 3 * (ulp(above) + ulp(below)))
    np.testing.assert_array_equal(*got["log_sigmoid"])
    np.testing.assert_array_equal(got["logit"][0], -got["logit"][1])
    for at_x, at_minus_x in (got["sigmoid"], *got["cdf"].values()):
        assert np.all(np.abs(long(at_x) + long(at_minus_x) - 1) <= 4 * (ulp(at_x) + ulp(at_minus_x)))
    for ceil, floor in got["ceil"].values():
        np.testing.assert_array_equal(ceil, -floor)


@hypothesis.given(rows_on_grid, st.integers(-(2**12), 2**12))
def test_integer_penalty_has_the_period_1_exactly(x, shift):
    np.testing.assert_array_equal(penalty(x), penalty(x + np.float32(shift)))


penalty = jax.jit(jaxact.integer_penalty)


# round trips: `there`, `back`, their budgets in ulp, and what they start from

ROUND_TRIPS = {
    "softplus": (jaxact.softplus, jaxact.softplus_inverse, (3, 3), lambda x: jnp.clip(x, -80, 1e30)),
    "softplus_inverse": (jaxact.softplus_inverse, jaxact.softplus, (3, 3), lambda x: jnp.clip(jnp.abs(x), 1e-35, 1e30)),
    "softplus-beta": (
        functools.partial(jaxact.softplus, beta=0.7),
        functools.partial(jaxact.softplus_inverse, beta=0.7),
        (3, 3),
        lambda x: jnp.clip(x, -100, 1e30),
    ),
    "sigmoid": (jaxact.sigmoid, jaxact.logit, (3, 3), lambda x: jnp.clip(x, -80, 80)),
    "logit": (jaxact.logit, jaxact.sigmoid, (3, 3), lambda x: 1 / (1 + jnp.abs(x))),
    "log1mexp": (
        lambda x: -jaxact.log1mexp(x),
        lambda x: -jaxact.log1mexp(x),
        (3, 3),
        lambda x: jnp.clip(jnp.abs(x), 1e-35, 80),
    ),
    **{
        f"soft_round-{name}": (
            lambda x, k=kernel: jaxact.soft_round(x, k),
            lambda y, k=kernel: jaxact.soft_round_inverse(y, k),
            (5, 5),
            lambda x: x,
        )
        for name, kernel in KERNELS.items()
        if name not in ("Box", "Sine")  # narrower than a cell, so that they are flat around integers
    },
}


@jax.jit
def round_trips(x):
    return {name: _round_trip(*row[:2], row[3](x)) for name, row in ROUND_TRIPS.items()}


def _round_trip(there, back, x):
    middle = there(x)
    end, transpose = jax.vjp(back, middle)
    return x, middle, end, transpose(jnp.ones_like(end))[0]


@hypothesis.given(reals)
def test_round_trips(x):
    for name, (start, middle, end, slope) in round_trips(x).items():
        first, second = ROUND_TRIPS[name][2]
        with np.errstate(invalid="ignore"):
            allowed = first * ulp(middle) * np.abs(long(slope)) + second * ulp(start)
            # To first order; over an error as large as the number itself the slope is another one.
            close = first * ulp(middle) * np.abs(long(slope)) < 1e-2 * np.abs(long(start))
            error = np.abs(long(end) - long(start))
        assert np.all((error <= 1.02 * allowed) | ~close), name


# bounds


@jax.jit
def bounded(x, y, p, logits):
    labels = jax.nn.softmax(logits[::-1])
    cells = {**STAIRCASES, **with_kernels("soft_round_inverse")}
    between_integers = {name: fun(x) for name, fun in cells.items() if "floor" not in name and "ceil" not in name}
    return {
        (0, 1): {
            "sigmoid": jaxact.sigmoid(x),
            "softmax": jaxact.softmax(logits),
            "integer_penalty": jaxact.integer_penalty(x),
            "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, temperature=0.5),
            **{name: fun(x) for name, fun in STEPS.items() if "heaviside" in name},
        },
        (-1, 1): {
            "tanh": jaxact.tanh(x),
            "hard_tanh": jaxact.hard_tanh(x),
            "finite_scalar_quantize": HARD["finite_scalar_quantize"](x),
            **{name: fun(x) for name, fun in STEPS.items()},
        },
        (-np.inf, 0): {
            "log_sigmoid": jaxact.log_sigmoid(x),
            "log1mexp": jaxact.log1mexp(y),
            "log_softmax": jaxact.log_softmax(logits),
        },
        (0, np.inf): {
            "softplus": jaxact.softplus(x),
            "softplus - x": jaxact.softplus(x) - x,
            "x - softplus_inverse": y - jaxact.softplus_inverse(y),
            "logsumexp - max": jaxact.logsumexp(logits) - jnp.max(logits, axis=-1),
            "integer labels": jaxact.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(ROWS)),
            "soft labels": jaxact.softmax_cross_entropy(logits, labels),
            "binary": jaxact.sigmoid_binary_cross_entropy(x, p),
            **{f"{name}.pdf": kernel.pdf(x) for name, kernel in KERNELS.items()},
        },
        (-8 * 0.7, 7 * 0.7): {"fake_quantize": jaxact.fake_quantize(x, 0.7, bits=4)},
        (0, 15 * 0.7): {"unsigned": jaxact.fake_quantize(x, 0.7, zero_point=0, bits=4, signed=False)},
        "cells": {
            **between_integers,
            "approx_round_sin": jaxact.approx_round_sin(x),
            "approx_round": jaxact.approx_round(x),
        },
        "one-hot": {
            "argmax_ste": jaxact.argmax_ste(logits),
            "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, hard=True),
            "reinmax": jaxact.reinmax(KEY, logits),
        },
    }


KEY = jax.random.key(3)


@hypothesis.given(reals, positive, probabilities, any_rows)
def test_bounds(x, y, p, logits):
    got = compiled_bounds(x, y, p, logits)
    for name, value in got["cells"]:
        assert np.all((np.floor(x) <= value) & (value <= np.ceil(x))), name
    for name, value in got["one-hot"]:
        assert np.all((value == 0) | (value == 1)), name
        assert np.all(value.sum(axis=-1) == 1), name
    for (low, high), results in got["intervals"]:
        for name, value in results:
            value = np.asarray(value)
            assert np.all((np.float32(low) <= value) & (value <= np.float32(high))), name


# rows


@jax.jit
def of_rows(logits, labels):
    def integer_loss(logits):
        return jaxact.softmax_cross_entropy_with_integer_labels(logits, labels)

    slope = jax.vjp(integer_loss, logits)[1](jnp.ones(len(logits), logits.dtype))[0]
    return {
        "softmax": jaxact.softmax(logits),
        "log_softmax": jaxact.log_softmax(logits),
        "loss": integer_loss(logits),
        "slope": slope,
        "logsumexp": jaxact.logsumexp(logits),
    }
