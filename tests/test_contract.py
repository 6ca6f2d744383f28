"""The contract: every check on every row of the table of cases."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import export
from jax.experimental import checkify

from cases import CASES
from contract import sample
from marks import most_slow
from references import MP, MPMATH_BITS
from ulp import bit_patterns, errors, expected_exactly, expected_long, neighbours, spacing

DTYPES = ("float16", "bfloat16", "float32", "float64")
ORDERS = (0, 1, 2)
CHUNK = 2**14  # points whose longdouble intermediate results fit the cache
BLOCK = 2**15  # points that one call of a compiled program takes
# The first row of every function is always checked; the others, of parameters, unless slow tests are left out.
FIRST = tuple({case.function: case for case in reversed(CASES)}.values())
THOROUGH = tuple(case for case in FIRST if case.thorough)
# What is the same machinery for every function, where only compatibility is checked for a row of each family alone:
# half precision, which is the float32 core, rounded once; the ways to run a function; flags and shapes.
FAMILIES = "softplus", "relu", "poisson_nll", "sigmoid_binary_cross_entropy", "Gaussian", "soft_round", "fake_quantize"
REPRESENTATIVE = tuple(case for case in THOROUGH if case.function in FAMILIES)


def each(cases, quick):
    """The test for each of the cases; for those that are not among the quick ones only where all is tested."""
    parameters = [pytest.param(case, marks=() if case in quick else pytest.mark.slow) for case in cases]
    return pytest.mark.parametrize("case", parameters, ids=lambda case: case.name)


each_function = each(THOROUGH, REPRESENTATIVE)
each_case = each(CASES, FIRST)
each_case_in_depth = each(CASES, THOROUGH)


def each_case_and(dtypes):
    """The test for each case in each dtype, half precision where only compatibility is checked for a few alone."""
    parameters = [
        pytest.param(
            *(case, dtype),
            marks=() if case in (REPRESENTATIVE if jnp.finfo(dtype).bits == 16 else THOROUGH) else pytest.mark.slow,
            id=f"{dtype}-{case.name}",
        )
        for dtype in dtypes
        for case in CASES
    ]
    return pytest.mark.parametrize(("case", "dtype"), parameters)


def derivative(fun, order):
    """The derivative of an elementwise function, by reverse mode: gradients are what users take."""
    if order == 0:
        return fun
    lower = derivative(fun, order - 1)
    return lambda x: jax.vjp(lower, x)[1](jnp.ones_like(x))[0]


def worst(case, order, points, got, expected_at, dtype):
    assert points.size, "no point is checked"
    found = []
    for start in range(0, points.size, CHUNK):
        part = slice(start, start + CHUNK)
        expected = expected_at(case.reference[order], points[part])
        scale = case.scale[order] and expected_at(case.scale[order], points[part])
        error = errors(got[part], expected, dtype, scale, case.margin)
        i = np.argmax(error)
        found.append((error[i], start + i, expected[i]))
    error, i, expected = max(found)
    return error, f"{case.name} order {order} at {points[i]!r}: got {np.asarray(got)[i]!r}, want {expected!r}"


def assert_within(budget, found):
    error, where = found
    assert error <= budget, f"{error:.3f} ulp > {budget}: {where}"


@functools.partial(jax.jit, static_argnums=0)
def _of_block(case, points):
    return [derivative(case.fun, order)(points) for order in ORDERS]


def value_slope_and_bend(case, points):
    """All three in one program, for blocks of one size, so that it is compiled once for every dtype."""
    blocks = np.resize(points, (-(-points.size // BLOCK), BLOCK))
    results = np.stack([np.stack(_of_block(case, block)) for block in blocks], axis=1)
    return results.reshape(len(ORDERS), -1)[:, : points.size]


def assert_right(case, points, expected):
    """Value, first and second derivative are within the budget."""
    dtype = points.dtype
    for order, got in enumerate(value_slope_and_bend(case, points)):
        budget = getattr(case.budget, dtype.name)[order]
        assert_within(budget, worst(case, order, points, got, expected, dtype))


@each_case_in_depth
def test_float64_is_right(case):
    assert_right(case, sample(case, np.float64, 600), expected_exactly)


@each_case_in_depth
def test_float32_is_right(case):
    assert_right(case, sample(case, np.float32, 10_000), expected_long)


@pytest.mark.slow
@each_case
def test_float32_is_right_at_every_977th_number(case):
    dtype = np.float32
    step, count = (977, 100_000) if case.varies_data and case.thorough else (9770, 10_000)
    special = [neighbours(point, count, np.float32) for point in case.special]
    points = np.concatenate([bit_patterns(step, np.float32), np.array(case.worst, np.float32), *special])
    assert_right(case, points[case.contains(points.astype(np.float64), dtype)], expected_long)


@each_case_and(["float16", "bfloat16"])
def test_half_precision_is_right_at_every_number(case, dtype):
    points = bit_patterns(1, dtype)
    assert_right(case, points[case.contains(points.astype(np.float64), dtype)], expected_long)


@pytest.mark.slow
@each_case
def test_longdouble_references_agree_with_mpmath(case):
    points = sample(case, np.float32, 100)
    for formula, scale in zip(case.reference, case.scale, strict=True):
        exact, long = expected_exactly(formula, points), expected_long(formula, points)
        size = np.abs(exact) if scale is None else np.maximum(np.abs(exact), expected_exactly(scale, points))
        normal = (size >= np.finfo(np.float32).tiny) & (size <= np.finfo(np.float32).max)
        exact, long = exact[normal], long[normal]
        assert np.all(np.abs(long - exact) <= 0.01 * spacing(size[normal], np.float32))


def few(case, dtype):
    """A few points of the domain, spread evenly, whose results are ordinary numbers; as many for every case.

    What is not jitted is compiled for each operation and shape, once for all cases.
    """
    low, high = case.points
    points = np.linspace(low + (high - low) / 100, high, 33).astype(dtype)
    inside = points[case.contains(points.astype(np.float64), dtype)]
    assert inside.size
    return np.resize(inside, points.shape)


def check(case, order, points, got, slack=1):
    """The result is as right as it has to be, or `slack` times worse."""
    dtype = points.dtype
    expected = expected_exactly if dtype == np.float64 else expected_long
    assert_within(slack * getattr(case.budget, dtype.name)[order], worst(case, order, points, got, expected, dtype))


def value_and_slope(case):
    """Both as one array of two columns, so that a transform is compiled once."""
    return lambda x: jnp.stack([case.fun(x), derivative(case.fun, 1)(x)], axis=-1)


def _in_while_loop(fun, x):
    def body(state):
        i, out = state
        return i + 1, out.at[i].set(fun(jnp.asarray(x)[i]))

    return jax.lax.while_loop(lambda state: state[0] < len(x), body, (0, jnp.zeros((len(x), 2), x.dtype)))[1]


def _in_shard_map(fun, x):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    return jax.shard_map(fun, mesh=mesh, in_specs=spec, out_specs=spec)(x)


TRANSFORMS = {
    "jit": lambda fun, x: fun(x),
    "vmap": lambda fun, x: jax.vmap(fun)(x),
    "vmap-of-vmap": lambda fun, x: jax.vmap(jax.vmap(fun))(x[:, None])[:, 0],
    "map": jax.lax.map,
    "scan": lambda fun, x: jax.lax.scan(lambda carry, v: (carry, fun(v)), 0, x)[1],
    "while": _in_while_loop,
    "checkpoint": lambda fun, x: jax.checkpoint(fun)(x),
    "shard_map": _in_shard_map,
}


def _ahead_of_time(fun, x):
    """Every transform, in one program."""
    run = jax.jit(lambda x: {name: transform(fun, x) for name, transform in TRANSFORMS.items()})
    return run.lower(x).compile()(x)


def _without_jit(fun, x):
    with jax.disable_jit():
        return {"": fun(jnp.asarray(x))}


def _exported(fun, x):
    exported = export.export(jax.jit(fun), platforms=("cpu", "cuda", "tpu"))(jax.typeof(jnp.asarray(x)))
    return {"": export.deserialize(exported.serialize()).call(x)}


def _with_x64_off(fun, x):
    jax.config.update("jax_enable_x64", False)
    try:
        return {"": fun(jnp.asarray(x))}
    finally:
        jax.config.update("jax_enable_x64", True)


WAYS_TO_RUN = {
    "eager": lambda fun, x: {"": fun(jnp.asarray(x))},
    "without-jit": _without_jit,
    "transforms": _ahead_of_time,
    "export": _exported,
    "x64-off": _with_x64_off,
}


@each_function
@pytest.mark.parametrize("way", most_slow(WAYS_TO_RUN, {"transforms", "export", "x64-off"}))
def test_value_and_gradient_in_every_way(case, way):
    points = few(case, np.float32)
    for result in WAYS_TO_RUN[way](value_and_slope(case), points).values():
        check(case, 0, points, np.asarray(result)[:, 0])
        check(case, 1, points, np.asarray(result)[:, 1])


def _transposed(fun, x):
    tangent_map = jax.linearize(fun, x)[1]
    return jax.linear_transpose(tangent_map, x)(jnp.ones_like(x))[0]


DERIVATIVES = {
    "grad": (1, lambda fun: jax.vmap(jax.grad(fun))),
    "jvp": (1, lambda fun: lambda x: jax.jvp(fun, (x,), (jnp.ones_like(x),))[1]),
    "vjp": (1, lambda fun: lambda x: jax.vjp(fun, x)[1](jnp.ones_like(x))[0]),
    "jacfwd": (1, lambda fun: lambda x: jnp.diagonal(jax.jacfwd(fun)(x))),
    "jacrev": (1, lambda fun: lambda x: jnp.diagonal(jax.jacrev(fun)(x))),
    "linearize": (1, lambda fun: lambda x: jax.linearize(fun, x)[1](jnp.ones_like(x))),
    "linear_transpose": (1, lambda fun: functools.partial(_transposed, fun)),
    "hessian": (2, lambda fun: jax.vmap(jax.hessian(fun))),
    "grad-of-jvp": (2, lambda fun: jax.vmap(jax.grad(lambda x: jax.jvp(fun, (x,), (jnp.ones_like(x),))[1]))),
    "jvp-of-jvp": (2, lambda fun: jax.vmap(jax.jacfwd(jax.jacfwd(fun)))),
    "grad-of-grad": (2, lambda fun: jax.vmap(jax.grad(jax.grad(fun)))),
}


@each([case for case in CASES if case.thorough], FIRST)
def test_derivative_in_every_mode(case):
    """All modes in one program, which is compiled once."""
    points = few(case, np.float32)
    in_every_mode = jax.jit(lambda x: {mode: transform(case.fun)(x) for mode, (_, transform) in DERIVATIVES.items()})
    for mode, result in in_every_mode(points).items():
        check(case, DERIVATIVES[mode][0], points, result)


@pytest.mark.slow
@each([case for case in CASES if case.thorough], FIRST)
def test_third_derivatives_agree_with_each_other_and_with_differences(case):
    points = few(case, np.float64)[::4]

    def forward_slope(fun):
        return lambda x: jax.jvp(fun, (x,), (jnp.ones_like(x),))[1]

    def run(x):
        return forward_slope(forward_slope(forward_slope(case.fun)))(x), derivative(case.fun, 3)(x)

    forward, reverse = jax.jit(run)(points)
    with mpmath.workprec(MPMATH_BITS):
        third = np.array([float(mpmath.diff(lambda x: case.reference[2](MP, x), mpmath.mpf(float(x)))) for x in points])
        bend = np.array([float(case.reference[2](MP, mpmath.mpf(float(x)))) for x in points])
    # A third derivative may cancel, as no rule promises otherwise; its terms are of the size of the second over x.
    size = np.maximum(np.abs(third), np.abs(bend / np.maximum(np.abs(points), 1)))
    with np.errstate(invalid="ignore"):
        assert np.all(np.nan_to_num(np.abs(forward - third) / size) < 1e-12)
        assert np.all(np.nan_to_num(np.abs(reverse - third) / size) < 1e-12)


@each_case_and(DTYPES)
def test_edges(case, dtype):
    points = np.array([*(x for x, _ in case.edges), np.nan]).astype(dtype)
    for order, result in enumerate(value_slope_and_bend(case, points)):
        expected = np.array([*(numbers[order] for _, numbers in case.edges), case.at_nan[order]]).astype(dtype)
        checked = len(expected) - (not case.varies_data and order > 0)
        got, expected = result[:checked], expected[:checked]
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        assert np.all(same), f"{case.name} order {order} at {points[:checked]}: got {got}, want {expected}"


@each_case
def test_outside_the_domain_value_and_derivatives_are_nan(case):
    low, high = case.domain
    outside = [x for x in (low - 1e-3, low - 1, low - 1e30, high + 1e-3, high + 1, high + 1e30) if np.isfinite(x)]
    if outside:
        results = value_slope_and_bend(case, np.array(outside, np.float32))
        assert np.all(np.isnan(results if case.varies_data else results[:1]))


def has_labels(case):
    return "nll" in case.function or "cross_entropy" in case.function


@each_case_in_depth
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_and_backward_saves_no_more_than_the_inputs(case, dtype):
    """As traced: nothing needs to be compiled to see what is saved."""

    def run(x):
        result, backward = jax.vjp(case.fun, x)
        return result, backward, backward(result)[0]

    x = jax.ShapeDtypeStruct((64,), dtype)
    result, backward, gradient = jax.eval_shape(run, x)
    assert result.dtype == gradient.dtype == x.dtype
    inputs = 1 + has_labels(case) + (not case.varies_data)  # labels, and the data beside a parameter
    saved = [leaf.dtype.itemsize for leaf in jax.tree.leaves(backward) if leaf.size == x.size]
    assert sum(saved) <= inputs * x.dtype.itemsize


@each_function
def test_shape_is_kept(case):
    shapes = [(), (0,), (2, 0, 3), (2, 3, 4)]
    results = jax.jit(lambda *xs: [value_and_slope(case)(x) for x in xs])(
        *(np.full(shape, case.points[1] / 2, np.float32) for shape in shapes)
    )
    assert [result.shape for result in results] == [(*shape, 2) for shape in shapes]


@each_function
def test_python_float_stays_weak(case):
    if not has_labels(case):
        number = case.points[1] / 2
        assert case.fun(number).weak_type
        assert jax.grad(case.fun)(number).weak_type


@each_function
def test_debugging_flags_and_checkify_stay_silent(case):
    points = sample(case, np.float32, 200)
    ordinary = np.isfinite(jax.jit(value_and_slope(case))(points)).all(axis=1)
    points = points[ordinary]
    # Flags do not look at what was compiled before they were set, so every function that is called here is new.
    try:
        jax.config.update("jax_debug_nans", True)
        jax.config.update("jax_debug_infs", True)
        jax.block_until_ready(jax.jit(value_and_slope(case))(points))
        for x in (-1, 0):
            with pytest.raises(FloatingPointError):
                jax.jit(lambda x: 2 * jnp.log(x))(np.float32(x))
    finally:
        jax.config.update("jax_debug_nans", False)
        jax.config.update("jax_debug_infs", False)
    jax.jit(checkify.checkify(value_and_slope(case), errors=checkify.float_checks))(points)[0].throw()
    with pytest.raises(checkify.JaxRuntimeError):
        jax.jit(checkify.checkify(jnp.log, errors=checkify.float_checks))(np.float32(-1))[0].throw()
