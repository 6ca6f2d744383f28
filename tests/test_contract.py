"""The contract: every check on every row of the table of cases."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from contract import CASES
from ulp import bit_patterns, errors, expected_exactly, expected_long, neighbours, spacing

DTYPES = ("float16", "bfloat16", "float32", "float64")
ORDERS = (0, 1, 2)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def derivative(fun, order):
    """The derivative of an elementwise function, by reverse mode: gradients are what users take."""
    if order == 0:
        return fun
    lower = derivative(fun, order - 1)
    return lambda x: jax.vjp(lower, x)[1](jnp.ones_like(x))[0]


def worst(case, order, points, got, expected_at, dtype):
    expected = expected_at(case.reference[order], points)
    scale = case.scale[order] and expected_at(case.scale[order], points)
    error = errors(got, expected, dtype, scale, case.margin)
    i = np.argmax(error)
    return error[i], f"{case.name} order {order} at {points[i]!r}: got {np.asarray(got)[i]!r}, want {expected[i]!r}"


def assert_within(budget, found):
    error, where = found
    assert error <= budget, f"{error:.3f} ulp > {budget}: {where}"


def sample(case, dtype, count):
    """Points of all magnitudes, evenly spread ones, and the neighbours of every special point, inside the domain."""
    rng = np.random.default_rng(0)
    info = jnp.finfo(dtype)
    magnitudes = 2.0 ** rng.uniform(info.minexp, info.maxexp, count) * rng.choice([-1, 1], count)
    even = rng.uniform(*case.points, count)
    near = [neighbours(point, count // 20, dtype) for point in case.special]
    with np.errstate(over="ignore"):
        points = np.concatenate([magnitudes.astype(dtype), even.astype(dtype), *near])
    wide = points.astype(np.float64)
    normal = np.isfinite(wide) & (np.abs(wide) >= float(info.tiny))
    return points[normal & case.contains(wide, dtype)]


@each_case
@pytest.mark.parametrize("order", ORDERS)
def test_float64_is_right(case, order):
    points = sample(case, np.float64, 600)
    got = jax.jit(derivative(case.fun, order))(points)
    assert_within(case.budget.float64[order], worst(case, order, points, got, expected_exactly, np.float64))


@each_case
@pytest.mark.parametrize("order", ORDERS)
def test_float32_is_right_at_every_977th_number(case, order):
    dtype = np.float32
    special = [neighbours(point, 100_000, np.float32) for point in case.special]
    points = np.concatenate([bit_patterns(977, np.float32), *special])
    points = points[case.contains(points.astype(np.float64), dtype)]
    got = jax.jit(derivative(case.fun, order))(points)
    assert_within(case.budget.float32[order], worst(case, order, points, got, expected_long, np.float32))


@each_case
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=("float16", "bfloat16"))
def test_half_precision_is_right_at_every_number(case, order, dtype):
    points = bit_patterns(1, dtype)
    points = points[case.contains(points.astype(np.float64), dtype)]
    got = jax.jit(derivative(case.fun, order))(points)
    budget = getattr(case.budget, jnp.dtype(dtype).name)[order]
    assert_within(budget, worst(case, order, points, got, expected_long, dtype))


@each_case
def test_longdouble_references_agree_with_mpmath(case):
    points = sample(case, np.float32, 100)
    for formula, scale in zip(case.reference, case.scale, strict=True):
        exact, long = expected_exactly(formula, points), expected_long(formula, points)
        size = np.abs(exact) if scale is None else np.maximum(np.abs(exact), expected_exactly(scale, points))
        normal = (size >= np.finfo(np.float32).tiny) & (size <= np.finfo(np.float32).max)
        assert np.all(np.abs(long - exact)[normal] <= 0.01 * spacing(size[normal], np.float32))
