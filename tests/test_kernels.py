"""Every kernel in every reading against mpmath: steep and flat, close to roots, edges and integers; what is public."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxact
import references_kernels as kernels
from calls import Hyperbolic
from cases_rounding import BOUNDED, PARAMETERS
from references import MP, MPMATH_BITS
from test_contract import derivative
from ulp import errors, expected_exactly

NAMES = tuple(kernels.DENSITIES)
# All exact in float16. A narrow kernel, a usual one and a wide one.
SEVERAL = {
    "Box": (0.3125, 0.75, 1.7001953125),
    "Triangle": (0.3125, 1.0, 1.7001953125),
    "Sine": (0.1015625, 1.0, 1.7001953125),
    "Logistic": (37.25, 4.0, 0.7001953125),
    "Arctan": (37.25, 2.0, 0.7001953125),
    "FastSigmoid": (100.25, 25.0, 0.7001953125),
    "Gaussian": (0.1001, 0.5, 2.3125),
    "Laplace": (0.0702, 0.25, 3.3125),
}
SEVERAL = {name: tuple(float(np.float16(p)) for p in several) for name, several in SEVERAL.items()}
THRESHOLD = 0.3125
SOFT_TERNARY = functools.partial(jaxact.soft_ternary, threshold=THRESHOLD)
# Value, first and second derivative in ulp, at most; soft round and floor are products of seven rounded factors.
STEP, STAIRCASE = (4, 6, 12), (5, 6, 12)
# What is a product of a large slope and a small exponential ends sooner than the dtype does, and of two steps the
# farther one ends before it stops to count.
MARGIN, MARGIN_OF_TWO = (2.0**14, 1.0), (2.0**60, 1.0)

WIDTHS = ("narrow", "usual", "wide")
each_kernel = pytest.mark.parametrize("name", NAMES)
each_width = pytest.mark.parametrize(
    "which", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)], ids=WIDTHS
)
# The narrow one in float64 too, as its tails are the longest.
each_width_and_dtype = pytest.mark.parametrize(
    ("which", "dtype"),
    [
        pytest.param(0, np.float32, marks=pytest.mark.slow),
        pytest.param(0, np.float64, marks=pytest.mark.slow),
        (1, np.float32),
        pytest.param(2, np.float32, marks=pytest.mark.slow),
    ],
    ids=("narrow", "narrow-float64", "usual", "wide"),
)


@functools.partial(jax.jit, static_argnums=0)
def _all_orders(functions, kernel, x):
    return [[derivative(lambda x, f=f: f(x, kernel), order)(x) for order in range(3)] for f in functions]


def _points(dtype, p, count=150):
    rng = np.random.default_rng(0)
    magnitudes = 2.0 ** rng.uniform(-40, 4, count) * rng.choice([-1, 1], count)
    even = rng.uniform(-2.5, 2.5, count)
    edges = [base + sign * p / 2 for base in (0, 0.5, 1) for sign in (-1, 1)]
    near = [np.nextafter(dtype(edge), dtype(side)) for edge in (*edges, 0.5, 1.0) for side in (-9, 9)]
    points = np.concatenate([magnitudes, even, near]).astype(dtype)
    return points[np.abs(points) > 2.0**-60]


def _assert_right(results, reference, points, budget, scale=(None, None, None), margin=MARGIN):
    for order, got in enumerate(results):
        expected = expected_exactly(reference[order], points)
        size = scale[order] and expected_exactly(scale[order], points)
        error = errors(got, expected, points.dtype, size, margin)
        i = np.argmax(error)
        assert error[i] <= budget[order], (order, points[i], got[i], expected[i], error[i])


@each_kernel
@each_width_and_dtype
def test_steps(name, which, dtype):
    p = SEVERAL[name][which]
    kernel, points = getattr(jaxact, name)(p), _points(dtype, p)
    cdf, sign = _all_orders((jaxact.soft_heaviside, jaxact.soft_sign), kernel, points)
    _assert_right(cdf, kernels.cdf(name, p), points, STEP)
    _assert_right(sign, kernels.sign(name, p), points, STEP)


@each_kernel
@each_width_and_dtype
def test_ternary(name, which, dtype):
    p = SEVERAL[name][which]
    bend = kernels.cdf(name, p)[2]

    def scale(m, x):
        return m.maximum(abs(bend(m, x - THRESHOLD)), abs(bend(m, x + THRESHOLD)))

    reference = kernels.ternary(name, p, THRESHOLD)
    kernel, points = getattr(jaxact, name)(p), _points(dtype, p)
    (results,) = _all_orders((SOFT_TERNARY,), kernel, points)
    _assert_right(results, reference, points, STAIRCASE, (None, None, scale), MARGIN_OF_TWO)


@each_kernel
@each_width_and_dtype
def test_staircases(name, which, dtype):
    p = SEVERAL[name][which]
    kernel, points = getattr(jaxact, name)(p), _points(dtype, p)
    rounded, floored = _all_orders((jaxact.soft_round, jaxact.soft_floor), kernel, points)
    _assert_right(rounded, kernels.staircase(name, p), points, STAIRCASE)
    _assert_right(floored, kernels.staircase(name, p, 0.5, -1), points, STAIRCASE)


@each_kernel
@each_width
def test_quantile(name, which):
    """And its derivatives, against Newton's method in mpmath."""
    p = SEVERAL[name][which]
    kernel = getattr(jaxact, name)(p)
    smallest = 20.0 if name in BOUNDED else 30.0
    probabilities = np.concatenate([2.0 ** -np.arange(1, smallest), np.linspace(0.01, 0.99, 99)]).astype(np.float32)
    results = [np.asarray(v) for v in _quantile_and_derivatives(kernel, probabilities)]
    value, density, bend = kernels.cdf(name, p)
    with mpmath.workprec(MPMATH_BITS):
        for q, u, first, second in zip(probabilities, *results, strict=True):
            exact = mpmath.mpf(float(u))
            for _ in range(9):
                exact -= (value(MP, exact) - mpmath.mpf(float(q))) / density(MP, exact)
            f, df = density(MP, exact), bend(MP, exact)
            assert abs(exact - u) <= 4 * mpmath.mpf(float(np.spacing(np.abs(u))))
            assert abs(first * f - 1) <= 6 * 2.0**-23
            assert abs(second * f**3 + df) <= 12 * 2.0**-23 * abs(df)


@jax.jit
def _quantile_and_derivatives(kernel, p):
    return [derivative(kernel.quantile, order)(p) for order in range(3)]


@each_kernel
def test_ends_of_the_quantile(name):
    kernel = getattr(jaxact, name)(PARAMETERS[name])
    end = PARAMETERS[name] / 2 if name in BOUNDED else np.inf
    got = kernel.quantile(jnp.array([0, 1, 0.5, -0.1, 1.1, np.nan]))
    np.testing.assert_array_equal(got, [-end, end, 0, np.nan, np.nan, np.nan])
    if name not in BOUNDED:
        np.testing.assert_array_equal(jax.vmap(jax.grad(kernel.quantile))(jnp.array([0.0, 1.0])), [np.inf, np.inf])


@jax.jit
def _slopes_far_away(kernel, far, farther):
    """In data and parameter, where the soft staircase is flat."""
    slopes = [
        jax.grad(function, (0, 1))(x, kernel)
        for function in (jaxact.soft_heaviside, jaxact.soft_sign, jaxact.soft_ternary)
        for x in (far, -far, farther, -farther)
    ]
    return jax.tree.leaves(slopes), jax.tree.leaves(jax.grad(jaxact.soft_round_inverse, 1)(jnp.float32(7), kernel))


@pytest.mark.slow
@each_kernel
def test_slopes_of_narrow_kernels_far_from_their_steps(name):
    """Neither what overflows times what underflows, nor a rounding error of the distance times a steepness, is NaN."""
    steep = {"Logistic", "Arctan", "FastSigmoid"}
    kernel = getattr(jaxact, name)(jnp.float32(2e5 if name in steep else 1e-5))
    far, inverse = _slopes_far_away(kernel, jnp.float32(1.7e9), jnp.float32(2e38))
    assert np.all(np.isfinite(far))
    np.testing.assert_array_equal(inverse, 0)
    wide = getattr(jaxact, name)(jnp.float32(1e-5))
    assert np.all(np.isfinite(_slopes_far_away(wide, jnp.float32(1.7e9), jnp.float32(2e38))[0]))


@pytest.mark.slow
@each_kernel
def test_derivatives_in_the_parameter(name):
    """In float64, against differences, as right as these are."""
    p = PARAMETERS[name]
    points = np.array([-1.3, -0.45, -0.2, -0.07, 0.1, 0.3, 0.49, 0.8, 1.7])

    def smooth(parameter):
        kernel = getattr(jaxact, name)(parameter)
        return jnp.stack(
            [
                kernel.cdf(points),
                kernel.pdf(points),
                jaxact.soft_sign(points, kernel),
                jaxact.soft_ternary(points, kernel, threshold=THRESHOLD),
                jaxact.soft_round(points, kernel),
                jaxact.soft_floor(points, kernel),
            ]
        )

    def inverse(parameter):
        kernel = getattr(jaxact, name)(parameter)
        return jnp.stack(
            [
                kernel.quantile(points / 8 + 0.5),
                jaxact.soft_round_inverse(points, kernel),
                jaxact.soft_round_conditional_mean(points, kernel),
            ]
        )

    def both(parameter):
        return jnp.concatenate([smooth(parameter), inverse(parameter)])

    @jax.jit
    def run(p, around):
        return jax.vmap(both)(around), jax.jacfwd(both)(p), jax.jacfwd(jax.jacfwd(smooth))(p)

    step = 1e-3 * p
    values, first, second = run(p, p + step * np.arange(-3, 4))
    slope = np.tensordot([-1, 9, -45, 0, 45, -9, 1], values, 1) / (60 * step)
    bend = np.tensordot([2, -27, 270, -490, 270, -27, 2], values, 1) / (180 * step**2)
    size = np.abs(values[3]) + 1
    assert np.all(np.abs(first - slope) <= 1e-10 * size / p)
    assert np.all(np.abs(second - bend[:6]) <= 1e-7 * size[:6] / p**2)


@pytest.mark.slow
@each_kernel
def test_inverses_undo_the_soft_round(name):
    """Wherever it is not flat."""

    @jax.jit
    def run(kernel, x):
        def value_and_steep(function):
            value, backward = jax.vjp(lambda x: function(x, kernel), x)
            return value, backward(jnp.ones_like(x))[0] > 1e-3

        y, steep = value_and_steep(jaxact.soft_round)
        z, steep_floor = value_and_steep(jaxact.soft_floor)
        inverse, mean = jaxact.soft_round_inverse(y, kernel), jaxact.soft_round_conditional_mean(z + 0.5, kernel)
        return jnp.where(steep, inverse, x), jnp.where(steep_floor, mean, x)

    x = np.linspace(-2, 2, 1001)
    for back in run(getattr(jaxact, name)(PARAMETERS[name]), x):
        np.testing.assert_allclose(back, x, rtol=1e-11, atol=0)


@each_kernel
def test_the_inverse_close_to_an_integer(name):
    """Down to the smallest numbers, against float64, which has all digits of it."""
    y = np.geomspace(np.finfo(np.float32).tiny, 0.5, 2001, dtype=np.float32)
    y = np.append(y[:-1], [1.675226e-38, 3e-38, 3.8498627e-17, 0.5]).astype(np.float32)
    inverse = jax.jit(lambda ys, kernel: [jaxact.soft_round_inverse(y, kernel) for y in ys])
    got, exact = inverse((y, y.astype(np.float64)), getattr(jaxact, name)(PARAMETERS[name]))
    assert errors(got, np.asarray(exact, np.longdouble), jnp.dtype(jnp.float32)).max() <= 5


@pytest.mark.slow
@each_kernel
def test_the_inverse_in_half_precision_is_rounded_once(name):
    """At all numbers."""
    kernel = getattr(jaxact, name)(PARAMETERS[name])
    bits = np.arange(2**16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):  # numpy warns of NaN that signals
        several = [numbers[np.isfinite(numbers)] for numbers in (bits.view(np.float16), bits.view(jnp.bfloat16))]
    inverse = jax.jit(lambda xs, kernel: [jaxact.soft_round_inverse(x, kernel) for x in xs])
    wide = inverse([half.astype(np.float32) for half in several], kernel)
    for half, got, exact in zip(several, inverse(several, kernel), wide, strict=True):
        np.testing.assert_array_equal(got, np.asarray(exact).astype(half.dtype))


@each_kernel
def test_special_values(name):
    @jax.jit
    def run(x, kernel):
        names = ("heaviside", "sign", "ternary", "round", "floor", "ceil", "round_inverse")
        return {name: getattr(jaxact, f"soft_{name}")(x, kernel) for name in names}

    got = run(jnp.array([-np.inf, 0.0, np.inf, np.nan, 0.5, 1.0, 1.5]), getattr(jaxact, name)(PARAMETERS[name]))
    expected = {
        "heaviside": [0, 0.5, 1, np.nan],
        "sign": [-1, 0, 1, np.nan],
        "ternary": [-1, 0, 1, np.nan],
        "round": [-np.inf, 0, np.inf, np.nan, 0.5, 1, 1.5],
        "round_inverse": [-np.inf, 0, np.inf, np.nan],
        "floor": [-np.inf, -0.5, np.inf, np.nan],
        "ceil": [-np.inf, 0.5, np.inf, np.nan],
    }
    for reading, values in expected.items():
        np.testing.assert_array_equal(got[reading][: len(values)], values)


@each_kernel
def test_a_kernel_is_a_pytree_with_one_traced_parameter(name):
    kernel = getattr(jaxact, name)(PARAMETERS[name])
    (leaf,), tree = jax.tree.flatten(kernel)
    assert leaf == PARAMETERS[name]
    assert isinstance(jax.tree.unflatten(tree, [object()]), getattr(jaxact, name))
    traces = []

    @jax.jit
    def slope(x, kernel):
        traces.append(1)
        return jax.grad(jaxact.surrogate_round)(x, kernel)

    slopes = [float(slope(0.4, jax.tree.map(lambda p, i=i: p * (1 + i / 8), kernel))) for i in range(4)]
    assert len(traces) == 1
    assert name == "Box" or len(set(slopes)) == 4
    assert isinstance(jax.grad(lambda k: jaxact.surrogate_round(0.4, k))(kernel), getattr(jaxact, name))


@each_kernel
def test_one_parameter_for_each_channel(name):
    several = jnp.array(SEVERAL[name])
    x = jnp.linspace(-1, 1, 12).reshape(4, 3)
    together = jaxact.soft_round(x, getattr(jaxact, name)(several))
    for channel, p in enumerate(SEVERAL[name]):
        # A constant is folded at compile time, and may then be off by a last bit.
        alone = jaxact.soft_round(x[:, channel], getattr(jaxact, name)(p))
        np.testing.assert_allclose(together[:, channel], alone, rtol=1e-14, atol=0)
    by_map = jax.vmap(jaxact.soft_round, (1, 0), 1)(x, getattr(jaxact, name)(several))
    np.testing.assert_allclose(by_map, together, rtol=1e-14, atol=0)


@each_kernel
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan], ids=str)
def test_a_parameter_that_is_not_positive(name, value):
    with pytest.raises(ValueError, match=rf"jaxact.{name}: \w+ must be positive, got {value}"):
        getattr(jaxact, name)(value)
    assert np.all(np.isnan(_values_and_slope(getattr(jaxact, name)(jnp.array(value)))))


@jax.jit
def _values_and_slope(kernel):
    functions = (jaxact.soft_round, jaxact.soft_heaviside, jaxact.soft_sign, jaxact.soft_ternary)
    return [*(function(0.3, kernel) for function in functions), jax.grad(jaxact.surrogate_round)(0.3, kernel)]


@each_kernel
@pytest.mark.parametrize("value", [None, "1", True, [1.0]], ids=str)
def test_a_parameter_of_a_wrong_type(name, value):
    with pytest.raises(
        TypeError, match=rf"jaxact.{name}: \w+ must be an array or a number, got {type(value).__name__}"
    ):
        getattr(jaxact, name)(value)


class Flat(jaxact.Kernel):
    """A box written by a user, to compare with."""

    width: float = 2.0

    def cdf(self, u):
        return jnp.clip(u / self.width + 0.5, 0, 1)

    def pdf(self, u):
        return jnp.where(jnp.abs(u) <= self.width / 2, 1 / self.width, 0)

    def quantile(self, p):
        return self.width * (p - 0.5)


@pytest.mark.slow
def test_a_kernel_of_a_user():
    kernel = Hyperbolic(scale=0.25)
    x = jnp.linspace(-2.2, 2.2, 45)
    for name in ("round", "floor", "ceil", "heaviside", "sign", "ternary"):
        soft, hard = getattr(jaxact, f"soft_{name}"), getattr(jaxact, f"surrogate_{name}")
        slope = jax.vmap(jax.grad(soft), (0, None))(x, kernel)
        assert jnp.all(slope > 0)
        np.testing.assert_array_equal(jax.vmap(jax.grad(hard), (0, None))(x, kernel), slope)
        draws = getattr(jaxact, f"stochastic_{name}")(jax.random.key(0), jnp.full(20_000, 0.3), kernel)
        assert abs(draws.mean() - soft(0.3, kernel)) < 5 * draws.std() / 20_000**0.5
    # The plain formulas of a user's kernel are differences of numbers of the size of a cell, and so are its errors.
    assert np.all(np.abs(jaxact.soft_round_inverse(jaxact.soft_round(x, kernel), kernel) - x) <= 1e-13)
    np.testing.assert_array_equal(jaxact.surrogate_round(x, kernel), jnp.round(x))
    gradient = jax.grad(lambda k: jaxact.soft_round(0.3, k))(kernel)
    assert isinstance(gradient, Hyperbolic)
    assert gradient.scale > 0


def test_a_users_box_is_the_box():
    """To the last bits of a cell, as its plain formulas are differences of numbers of that size."""
    x = jnp.linspace(-2.2, 2.2, 45)
    for name in ("round", "floor", "ceil", "heaviside", "sign", "ternary"):
        soft = getattr(jaxact, f"soft_{name}")
        assert np.all(np.abs(soft(x, Flat()) - soft(x, jaxact.Box(2.0))) <= 2.0**-50)
    mean = jaxact.soft_round_conditional_mean
    assert np.all(np.abs(mean(x, Flat()) - mean(x, jaxact.Box(2.0))) <= 2.0**-50)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: jaxact.soft_round(0.3, 1.0),
            TypeError,
            "soft_round: kernel must be a jaxact.Kernel, got an array or a",
        ),
        (lambda: jaxact.surrogate_sign(1, jaxact.Box()), TypeError, "surrogate_sign: x must be floating, got int"),
        (lambda: jaxact.Box().cdf(jnp.ones(3, int)), TypeError, "Box.cdf: u must be floating, got int64"),
        (
            lambda: jaxact.soft_floor(jnp.ones(3), jaxact.Sine(jnp.ones(2))),
            ValueError,
            "soft_floor: kernel parameter Sine.width must broadcast to shape (3,), got (2,)",
        ),
        (
            lambda: jaxact.soft_ternary(jnp.ones(3), jaxact.Sine(), threshold=jnp.ones(2)),
            ValueError,
            "soft_ternary: threshold must broadcast to shape (3,), got (2,)",
        ),
        (lambda: jaxact.surrogate_heaviside(0.5, jaxact.Box(), gain="1"), TypeError, "gain"),
        (lambda: jaxact.soft_round_inverse(0.5, None), TypeError, "soft_round_inverse: kernel must be a jaxact.Kernel"),
    ],
)
def test_bad_input(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
