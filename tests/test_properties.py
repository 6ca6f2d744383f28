"""Properties of elementwise functions that hold for any input: order, symmetry, round trips, bounds, samples.

Whatever is compared with a tolerance is compared in ulp, with the budgets of the contract: a round trip may err by the
error of the first function times the slope of the second, and by that of the second.
"""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from properties import (
    KERNELS,
    LONG,
    ROWS,
    SHAPE,
    TINY,
    assert_each,
    long,
    named,
    on_grid,
    positive,
    probabilities,
    reals,
    stacked,
    ulp,
    with_kernel,
    with_kernels,
)

# All that never decrease, by the interval they are defined on.
STEPS = {name: fun for step in ("heaviside", "sign", "ternary") for name, fun in with_kernels(f"soft_{step}").items()}
STAIRCASES = {name: fun for step in ("round", "floor", "ceil") for name, fun in with_kernels(f"soft_{step}").items()}
INVERSES = {
    **with_kernels("soft_round_inverse"),
    **with_kernels("soft_round_conditional_mean"),
}
HARD = {
    **named("round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "heaviside_ste", "ternary_ste"),
    **{
        name: functools.partial(with_kernel, getattr(jaxact, name), jaxact.Gaussian())
        for name in (
            "surrogate_round",
            "surrogate_floor",
            "surrogate_ceil",
            "surrogate_sign",
            "surrogate_heaviside",
            "surrogate_ternary",
        )
    },
    "fake_quantize": lambda x: jaxact.fake_quantize(x, 0.7, bits=4),
    "finite_scalar_quantize": lambda x: jaxact.finite_scalar_quantize(x[..., None], levels=(8,))[..., 0],
}
KERNEL_FUNCTIONS = {**STEPS, **STAIRCASES, **INVERSES}
INCREASING = {
    "reals": {
        **named("sigmoid", "log_sigmoid", "tanh", "softplus", "log_softplus", "relu", "leaky_relu", "hard_tanh"),
        "softplus-beta": functools.partial(jaxact.softplus, beta=0.7),
        **KERNEL_FUNCTIONS,
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


NAMES = tuple(name for funs in INCREASING.values() for name in funs)
# In ulp, as in the contract; of tanh and of what has a kernel the larger one.
BUDGET, LARGE_BUDGET = 3, 5
# Hard values never fall; what is computed falls by no more than the errors of both values.
FALLS = np.array(
    [
        0 if name in HARD else 2 * (LARGE_BUDGET if name == "tanh" or name in KERNEL_FUNCTIONS else BUDGET)
        for name in NAMES
    ]
)[:, None, None]


# Both take the same way through float32.
HALF = (jnp.float16, jnp.bfloat16) if LONG else (jnp.bfloat16,)


@stacked
def increasing(x, y, p):
    given = {"reals": x, "positive": y, "probabilities": p}
    return {name: fun(given[kind]) for kind, funs in INCREASING.items() for name, fun in funs.items()}


@pytest.mark.slow
@hypothesis.given(reals, positive, probabilities)
def test_order_is_kept_between_neighbours(x, y, p):
    with np.errstate(over="ignore"):
        above = [np.nextafter(v, np.float32(np.inf)) for v in (x, y, np.minimum(p, np.float32(1 - 2**-24)))]
    here, there = np.asarray(increasing(x, y, p)), np.asarray(increasing(*above))
    with np.errstate(invalid="ignore"):
        fall = long(here) - long(there)
    assert_each(NAMES, ~np.isnan(here) & (np.isnan(fall) | (fall <= FALLS * ulp(here))))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALF, ids=lambda dtype: jnp.dtype(dtype).name)
def test_order_is_kept_over_all_numbers_of_half_precision(dtype):
    """Computed in float32 and rounded once, nothing falls; but for numbers so small that corrections to them are 0."""
    numbers = np.arange(2**16, dtype=np.uint16).view(dtype)
    with np.errstate(invalid="ignore"):
        wide = numbers.astype(np.float32)
    numbers = numbers[np.isfinite(wide) & ((np.abs(wide) >= 2**24 * TINY) | (wide == 0))]
    numbers = numbers[np.argsort(numbers.astype(np.float32), kind="stable")]
    size = numbers.astype(np.float32)
    given = (
        numbers,
        np.where(size > 0, numbers, 0),
        np.where((size > 0) & (size < 1), numbers, size >= 1).astype(dtype),
    )
    for name, result in zip(NAMES, np.asarray(increasing(*given)), strict=True):
        value = result.astype(np.float32)
        fallen = np.flatnonzero(value[1:] < value[:-1])
        assert not fallen.size, f"{name} falls at {[(size[i], value[i], value[i + 1]) for i in fallen[:3]]}"


# symmetry


def _slope(fun):
    return lambda x: jax.vjp(fun, x)[1](jnp.ones_like(x))[0]


ODD = {
    **named("tanh", "round_ste", "trunc_ste", "sign_ste", "ternary_ste", "hard_tanh"),
    **{name: fun for name, fun in STEPS.items() if "heaviside" not in name},
    **with_kernels("soft_round"),
    **with_kernels("soft_round_inverse"),
}
EVEN = {
    "integer_penalty": jaxact.integer_penalty,
    **{f"{name}.pdf": kernel.pdf for name, kernel in KERNELS.items()},
    **{f"{name}-slope": _slope(fun) for name, fun in named("sign_ste", "heaviside_ste", "ternary_ste").items()},
}


SIGNS = np.array([-1] * len(ODD) + [1] * len(EVEN))[:, None, None]


@stacked
def symmetric(x):
    return {name: (fun(x), fun(-x)) for name, fun in {**ODD, **EVEN}.items()}


@pytest.mark.slow
@hypothesis.given(reals)
def test_odd_and_even_functions_are_so_exactly(x):
    got = np.asarray(symmetric(x))
    assert_each((*ODD, *EVEN), got[:, 1] == SIGNS * got[:, 0])


@stacked
def mirrored_exactly(x):
    p = 1 / (1 + jnp.maximum(jnp.abs(x), 2.0**-23))
    return {
        "log_sigmoid": (jaxact.log_sigmoid(x), jaxact.softplus(-x)),
        "logit": (jaxact.logit(1 - p), jaxact.logit(1 - (1 - p))),
        **{
            f"ceil-{name}": (jaxact.soft_ceil(x, kernel), jaxact.soft_floor(-x, kernel))
            for name, kernel in KERNELS.items()
        },
    }


@stacked
def mirrored_about_one_half(x):
    return {
        "sigmoid": (jaxact.sigmoid(x), jaxact.sigmoid(-x)),
        **{f"{name}.cdf": (kernel.cdf(x), kernel.cdf(-x)) for name, kernel in KERNELS.items()},
    }


@stacked
def mirrored(x):
    return {
        "softplus": (jaxact.softplus(x), jaxact.softplus(-x)),
        "sigmoid": (_slope(jaxact.sigmoid)(x), _slope(jaxact.sigmoid)(-x)),
        "tanh": (_slope(jaxact.tanh)(x), _slope(jaxact.tanh)(-x)),
    }


@hypothesis.given(reals)
@hypothesis.example(np.full(SHAPE, 21941302, np.float32))  # no fraction, and 1 more is no number
def test_mirror_images(x):
    exact = np.asarray(mirrored_exactly(x))
    assert_each(("log_sigmoid", "logit", *KERNELS), exact[:, 0] == -exact[:, 1])
    halves = np.asarray(mirrored_about_one_half(x))
    error = np.abs(long(halves).sum(axis=1) - 1)
    assert_each(("sigmoid", *KERNELS), error <= 4 * ulp(halves).sum(axis=1))
    softplus, *slopes = np.asarray(mirrored(x))
    above, below = long(softplus)
    assert np.all(np.abs(above - below - long(x)) <= 3 * ulp(softplus).sum(axis=0))
    left, right = long(slopes).swapaxes(0, 1)
    assert_each(("sigmoid", "tanh"), np.abs(left - right) <= 2 * 6 * ulp(left))


@hypothesis.given(on_grid, st.integers(-(2**12), 2**12))
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
            lambda x: jnp.where(jnp.abs(x) < 1e-30, 0, x),
        )
        for name, kernel in KERNELS.items()
        if name not in ("Box", "Sine")  # narrower than a cell, so that they are flat around integers
    },
}


BUDGETS = np.array([row[2] for row in ROUND_TRIPS.values()]).T[:, :, None, None]


@stacked
def round_trips(x):
    return {name: _round_trip(there, back, start(x)) for name, (there, back, _, start) in ROUND_TRIPS.items()}


def _round_trip(there, back, x):
    middle = there(x)
    end, transpose = jax.vjp(back, middle)
    return x, middle, end, transpose(jnp.ones_like(end))[0]


@pytest.mark.slow
@hypothesis.given(reals)
@hypothesis.example(np.full(SHAPE, 1.0515259e-16, np.float32))
def test_round_trips(x):
    start, middle, end, slope = long(round_trips(x)).swapaxes(0, 1)
    with np.errstate(invalid="ignore"):
        of_first = BUDGETS[0] * ulp(middle) * np.abs(slope)
        # To first order; over an error as large as the number itself the slope is another one.
        close = of_first < 1e-2 * np.abs(start)
        right = np.abs(end - start) <= 1.02 * (of_first + BUDGETS[1] * ulp(start))
    assert_each(ROUND_TRIPS, right | ~close)


# bounds

KEY = jax.random.key(3)


def bounds(x, y, p, logits):
    """Values, and the two that they lie between."""
    probabilities = {
        "sigmoid": jaxact.sigmoid(x),
        "softmax": jaxact.softmax(logits),
        "integer_penalty": jaxact.integer_penalty(x),
        "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, temperature=0.5),
        **{name: fun(x) for name, fun in STEPS.items() if "heaviside" in name},
    }
    signed = {
        **{name: HARD[name](x) for name in ("finite_scalar_quantize", "sign_ste", "ternary_ste")},
        "tanh": jaxact.tanh(x),
        "hard_tanh": jaxact.hard_tanh(x),
        **{name: fun(x) for name, fun in STEPS.items()},
    }
    logarithms = {
        "log_sigmoid": jaxact.log_sigmoid(x),
        "log1mexp": jaxact.log1mexp(y),
        "log_softmax": jaxact.log_softmax(logits),
    }
    not_negative = {
        "softplus": jaxact.softplus(x),
        "softplus - x": jaxact.softplus(x) - x,
        "x - softplus_inverse": y - jaxact.softplus_inverse(y),
        "logsumexp - max": jaxact.logsumexp(logits, keepdims=True) - jnp.max(logits, axis=-1, keepdims=True),
        "integer labels": jaxact.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(ROWS))[:, None],
        "soft labels": jaxact.softmax_cross_entropy(logits, jax.nn.softmax(logits[::-1]))[:, None],
        "binary": jaxact.sigmoid_binary_cross_entropy(x, p),
        **{f"{name}.pdf": kernel.pdf(x) for name, kernel in KERNELS.items()},
    }
    in_cell = {
        **{name: fun(x) for name, fun in with_kernels("soft_round").items()},
        **{name: fun(x) for name, fun in with_kernels("soft_round_inverse").items()},
        "approx_round_sin": jaxact.approx_round_sin(x),
    }
    integers, scale = {"fake_quantize": HARD["fake_quantize"](x)}, jnp.float32(0.7)
    return {
        name: tuple(jnp.broadcast_to(v, SHAPE).astype(jnp.float32) for v in (value, low, high))
        for values, low, high in (
            (probabilities, 0, 1),
            (signed, -1, 1),
            (logarithms, -jnp.inf, 0),
            (not_negative, 0, jnp.inf),
            (in_cell, jnp.floor(x), jnp.ceil(x)),
            (integers, -8 * scale, 7 * scale),
        )
        for name, value in values.items()
    }


bounded = stacked(bounds)


@stacked
def one_hots(logits):
    return {
        "argmax_ste": jaxact.argmax_ste(logits),
        "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, hard=True),
        "reinmax": jaxact.reinmax(KEY, logits),
    }


@pytest.mark.slow
@hypothesis.given(reals, positive, probabilities, reals)
def test_bounds(x, y, p, logits):
    value, low, high = np.asarray(bounded(x, y, p, logits)).swapaxes(0, 1)
    inside = (low <= value) & (value <= high)
    if not inside.all():
        assert_each(bounds(x, y, p, logits), inside)
    chosen = np.asarray(one_hots(logits))
    assert np.all((chosen == 0) | (chosen == 1))
    assert np.all(chosen.sum(axis=-1) == 1)


QUANTIZED = ("round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "fake_quantize")


@stacked
def quantized_again(x):
    return {name: (HARD[name](x), HARD[name](HARD[name](x))) for name in QUANTIZED}


@hypothesis.given(reals)
def test_quantising_twice_changes_nothing(x):
    got = np.asarray(quantized_again(x))
    assert_each(QUANTIZED, got[:, 0] == got[:, 1])


# samples


SAMPLED = ("round", "floor", "ceil", "sign", "heaviside", "ternary")


@stacked
def samples(seed, x, kernel):
    key = jax.random.key(seed)
    return {name: getattr(jaxact, f"stochastic_{name}")(key, x, kernel) for name in SAMPLED}


@hypothesis.given(st.integers(0, 2**32 - 1), reals, st.floats(0.125, 64.0, width=32))
def test_samples_are_the_neighbouring_treads(seed, x, steepness):
    got = np.asarray(samples(np.uint32(seed), x, jaxact.Logistic(np.float32(steepness))))
    nearest = np.round(x)
    treads = {
        "round": (np.floor(x), np.ceil(x)),
        "floor": (nearest - 1, nearest),
        "ceil": (nearest, nearest + 1),
        "sign": (-1, 1),
        "heaviside": (0, 1),
        "ternary": (-1, 0, 1),
    }
    for name, values in zip(SAMPLED, got, strict=True):
        assert np.all(np.any([values == tread for tread in treads[name]], axis=0)), name
