"""Properties that hold for any input: round trips, order, symmetry, bounds, sums, rows with some elements left out.

Hypothesis looks for inputs that break them. A program is compiled once, for arrays of one shape, and evaluates all
functions that share a property. Whatever is compared with a tolerance is compared in ulp, with the budgets of the
contract: a round trip may err by the error of the first function times the slope of the second, and by that of the
second.

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

SIZE, CLASSES, ROWS = 8, 8, 2
LONG = hypothesis.settings.default.max_examples > 1000
# A box with edges, a normal and a heavy tail; all of them where there is time to compile.
FEW = ("Triangle", "Gaussian", "FastSigmoid")
KERNELS = {name: getattr(jaxact, name)(p) for name, p in PARAMETERS.items() if LONG or name in FEW}
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
    **{
        name: functools.partial(_applied, getattr(jaxact, name), jaxact.Gaussian())
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


@jax.jit
def increasing(x, y, p):
    given = {"reals": x, "positive": y, "probabilities": p}
    return {name: fun(given[kind]) for kind, funs in INCREASING.items() for name, fun in funs.items()}


# In ulp, as in the contract; of tanh and of what has a kernel the larger one.
BUDGET, LARGE_BUDGET = 3, 5


@pytest.mark.slow
@hypothesis.given(reals, positive, probabilities)
def test_order_is_kept_between_neighbours(x, y, p):
    """Hard values never fall; what is computed falls by no more than the errors of both values."""
    here = increasing(x, y, p)
    with np.errstate(over="ignore"):
        above = [np.nextafter(v, np.float32(np.inf)) for v in (x, y, np.minimum(p, np.float32(1 - 2**-24)))]
    above = increasing(*above)
    for name in here:
        with np.errstate(invalid="ignore"):
            fall = long(here[name]) - long(above[name])
        budget = LARGE_BUDGET if name == "tanh" or name in KERNEL_FUNCTIONS else BUDGET
        allowed = 0 if name in HARD else 2 * budget
        assert np.all(np.isnan(fall) | (fall <= allowed * ulp(here[name]))), name
        assert not np.any(np.isnan(here[name])), name


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=("float16", "bfloat16"))
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
    for name, result in increasing(*given).items():
        value = np.asarray(result).astype(np.float32)
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


@jax.jit
def symmetric(x):
    return {name: (fun(x), fun(-x)) for name, fun in {**ODD, **EVEN}.items()}


@pytest.mark.slow
@hypothesis.given(reals)
def test_odd_and_even_functions_are_so_exactly(x):
    for name, (at_x, at_minus_x) in symmetric(x).items():
        np.testing.assert_array_equal(at_minus_x, -at_x if name in ODD else at_x, name)


@jax.jit
def mirrored(x):
    log_odds = jnp.maximum(jnp.abs(x), 2.0**-23)
    p = 1 / (1 + log_odds)
    return {
        "slopes": [(_slope(fun)(x), _slope(fun)(-x)) for fun in (jaxact.sigmoid, jaxact.tanh)],
        "softplus": (jaxact.softplus(x), jaxact.softplus(-x), x),
        "log_sigmoid": (jaxact.log_sigmoid(x), -jaxact.softplus(-x)),
        "sigmoid": (jaxact.sigmoid(x), jaxact.sigmoid(-x)),
        "logit": (jaxact.logit(1 - p), jaxact.logit(1 - (1 - p))),
        "cdf": {name: (kernel.cdf(x), kernel.cdf(-x)) for name, kernel in KERNELS.items()},
        "ceil": {
            name: (jaxact.soft_ceil(x, kernel), jaxact.soft_floor(-x, kernel)) for name, kernel in KERNELS.items()
        },
    }


@hypothesis.given(reals)
def test_mirror_images(x):
    got = mirrored(x)
    above, below, difference = got["softplus"]
    assert np.all(np.abs(long(above) - long(below) - long(difference)) <= 3 * (ulp(above) + ulp(below)))
    np.testing.assert_array_equal(*got["log_sigmoid"])
    np.testing.assert_array_equal(got["logit"][0], -got["logit"][1])
    for at_x, at_minus_x in got["slopes"]:
        assert np.all(np.abs(long(at_x) - long(at_minus_x)) <= 2 * 6 * ulp(at_x))
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
            lambda x: jnp.where(jnp.abs(x) < 1e-30, 0, x),
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


@pytest.mark.slow
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

KEY = jax.random.key(3)
BETWEEN = {
    "0 and 1": (0, 1),
    "-1 and 1": (-1, 1),
    "-inf and 0": (-np.inf, 0),
    "0 and inf": (0, np.inf),
    "the ends of fake_quantize": (np.float32(-8) * np.float32(0.7), np.float32(7) * np.float32(0.7)),
}


@jax.jit
def bounded(x, y, p, logits):
    labels = jax.nn.softmax(logits[::-1])
    return {
        "0 and 1": {
            "sigmoid": jaxact.sigmoid(x),
            "softmax": jaxact.softmax(logits),
            "integer_penalty": jaxact.integer_penalty(x),
            "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, temperature=0.5),
            **{name: fun(x) for name, fun in STEPS.items() if "heaviside" in name},
        },
        "-1 and 1": {
            "tanh": jaxact.tanh(x),
            "hard_tanh": jaxact.hard_tanh(x),
            "finite_scalar_quantize": HARD["finite_scalar_quantize"](x),
            **{name: fun(x) for name, fun in STEPS.items()},
        },
        "-inf and 0": {
            "log_sigmoid": jaxact.log_sigmoid(x),
            "log1mexp": jaxact.log1mexp(y),
            "log_softmax": jaxact.log_softmax(logits),
        },
        "0 and inf": {
            "softplus": jaxact.softplus(x),
            "softplus - x": jaxact.softplus(x) - x,
            "x - softplus_inverse": y - jaxact.softplus_inverse(y),
            "logsumexp - max": jaxact.logsumexp(logits) - jnp.max(logits, axis=-1),
            "integer labels": jaxact.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(ROWS)),
            "soft labels": jaxact.softmax_cross_entropy(logits, labels),
            "binary": jaxact.sigmoid_binary_cross_entropy(x, p),
            **{f"{name}.pdf": kernel.pdf(x) for name, kernel in KERNELS.items()},
        },
        "the ends of fake_quantize": {"fake_quantize": HARD["fake_quantize"](x)},
        "the integers around": {
            **with_kernels_of(x, "soft_round"),
            **with_kernels_of(x, "soft_round_inverse"),
            "approx_round_sin": jaxact.approx_round_sin(x),
        },
        "0 or 1": {
            "argmax_ste": jaxact.argmax_ste(logits),
            "gumbel_softmax": jaxact.gumbel_softmax(KEY, logits, hard=True),
            "reinmax": jaxact.reinmax(KEY, logits),
        },
    }


def with_kernels_of(x, name):
    return {label: fun(x) for label, fun in with_kernels(name).items()}


@pytest.mark.slow
@hypothesis.given(reals, positive, probabilities, any_rows)
def test_bounds(x, y, p, logits):
    got = bounded(x, y, p, logits)
    for between, (low, high) in BETWEEN.items():
        for name, value in got[between].items():
            assert np.all((low <= value) & (value <= high)), f"{name} between {between}"
    for name, value in got["the integers around"].items():
        assert np.all((np.floor(x) <= value) & (value <= np.ceil(x))), name
    for name, value in got["0 or 1"].items():
        assert np.all((value == 0) | (value == 1)), name
        assert np.all(value.sum(axis=-1) == 1), name


@jax.jit
def quantized_again(x):
    funs = {
        name: HARD[name] for name in ("round_ste", "floor_ste", "ceil_ste", "trunc_ste", "sign_ste", "fake_quantize")
    }
    return {name: (fun(x), fun(fun(x))) for name, fun in funs.items()}


@hypothesis.given(reals)
def test_quantising_twice_changes_nothing(x):
    for name, (once, twice) in quantized_again(x).items():
        np.testing.assert_array_equal(once, twice, name)


# samples


@jax.jit
def samples(seed, x, kernel):
    key = jax.random.key(seed)
    names = ("round", "floor", "ceil", "sign", "heaviside", "ternary")
    return {name: getattr(jaxact, f"stochastic_{name}")(key, x, kernel) for name in names}


@hypothesis.given(st.integers(0, 2**32 - 1), reals, st.floats(0.125, 64.0, width=32))
def test_samples_are_the_neighbouring_treads(seed, x, steepness):
    got = samples(np.uint32(seed), x, jaxact.Logistic(np.float32(steepness)))
    nearest = np.round(x)
    for name, treads in {
        "round": (np.floor(x), np.ceil(x)),
        "floor": (nearest - 1, nearest),
        "ceil": (nearest, nearest + 1),
        "sign": (-1, 1),
        "heaviside": (0, 1),
        "ternary": (-1, 0, 1),
    }.items():
        assert np.all(np.any([got[name] == tread for tread in treads], axis=0)), name


# rows of logits

# As `test_softmax.py` and `test_cross_entropy.py` hold them to.
IN_ROWS = {"softmax": 7, "log_softmax": 4, "logsumexp": 3, "loss": 4, "slope": 6}


@jax.jit
def in_rows(logits, mask=None):
    """What is made of rows, the first class being the label."""

    def loss(x):
        return jaxact.softmax_cross_entropy_with_integer_labels(x, jnp.zeros(len(x), jnp.int32), where=mask)

    return {
        **{name: getattr(jaxact, name)(logits, where=mask) for name in ("softmax", "log_softmax", "logsumexp")},
        "loss": loss(logits),
        "slope": jax.grad(lambda x: loss(x).sum())(logits),
    }


def assert_close(name, got, expected, logits):
    """Both are within the budget of the truth; a logsumexp that cancels, to the last bits of the largest logit."""
    size = np.maximum(np.abs(expected), np.abs(logits).max(axis=-1)) if name == "logsumexp" else expected
    assert np.all(np.abs(long(got) - long(expected)) <= 2 * IN_ROWS[name] * ulp(size)), name


@hypothesis.given(rows_on_grid, st.integers(-(2**12), 2**12))
def test_a_shift_that_is_exact_changes_nothing(logits, shift):
    here, there = in_rows(logits), in_rows(logits + np.float32(shift))
    for name in ("softmax", "log_softmax", "loss", "slope"):
        np.testing.assert_array_equal(here[name], there[name], name)
    size = np.maximum(np.abs(logits), np.abs(logits + np.float32(shift))).max(axis=-1)
    assert np.all(np.abs(long(there["logsumexp"]) - long(here["logsumexp"]) - shift) <= 6 * ulp(size))


@hypothesis.given(any_rows, st.permutations(range(1, CLASSES)))
def test_the_order_of_classes_does_not_matter(logits, order):
    """The label is the first class, which stays."""
    order = [0, *order]
    logits = np.clip(logits, -1e30, 1e30)
    here, there = in_rows(logits), in_rows(logits[:, order])
    for name in IN_ROWS:
        expected = np.asarray(here[name])
        assert_close(name, there[name], expected[:, order] if expected.ndim == 2 else expected, logits)


@hypothesis.given(any_rows)
def test_rows_sum_to_one(logits):
    got = in_rows(logits)
    assert np.all(np.abs(long(got["softmax"]).sum(axis=-1) - 1) <= 7 * 2.0**-24 * CLASSES)
    # The gradient of a loss sums to 0, to the last bits of its largest term; what is below the normal numbers is 0.
    slope = long(got["slope"])
    assert np.all(np.abs(slope.sum(axis=-1)) <= 6 * CLASSES * ulp(np.abs(slope).max(axis=-1)) + CLASSES * TINY)


@hypothesis.given(any_rows, st.permutations(range(CLASSES)), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e38]))
def test_masked_rows_are_rows_without_what_is_masked(logits, order, filling):
    """Half of the classes count, the label, class 0, among them."""
    chosen = np.sort([0, *[i for i in order if i][: CLASSES // 2 - 1]])
    logits = np.clip(logits, -1e30, 1e30)
    mask = np.isin(np.arange(CLASSES), chosen)
    masked = in_rows(np.where(mask, logits, np.float32(filling)), mask[None])
    subset = in_rows(logits[:, chosen])
    for name in IN_ROWS:
        got = np.asarray(masked[name])
        if got.ndim == 2:
            assert np.all(got[:, ~mask] == (-np.inf if name == "log_softmax" else 0)), name
            got = got[:, chosen]
        assert_close(name, got, np.asarray(subset[name]), logits[:, chosen])
