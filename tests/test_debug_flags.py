"""JAX's debugging flags and checkify stay silent wherever the result is a number, over a wide grid, for every function.

The flags look at what is compiled while they are on, so everything compiled before is forgotten first, once for all
functions; and an error that must be raised follows. Checkify looks at every operation, also at those not selected.
"""

import contextlib
import io
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

from calls import CALLS
from cases import CASES
from contract import sample
from rows import hard_rows
from transforms import COMPILER_OPTIONS, TABLE
from ulp import expected_long, normal_range

CLASSES = 4
# Rows that are hard, cut to a few classes, the leader among them.
ROWS = np.concatenate([rows[:, 5 : 5 + CLASSES] for rows in hard_rows(np.float32, 8).values()])
CALLS_OF_ROWS = [call for call in CALLS if call.name not in {case.function for case in CASES}]
FLAGS = ("jax_debug_nans", "jax_debug_infs")


def value_and_gradients(fun):
    def both(*arguments):
        value, backward = jax.vjp(fun, *arguments)
        return value, backward(jnp.ones_like(value))

    return both


def grid(case):
    """Points of all magnitudes and around everything special, where true value and slope are numbers of the dtype."""
    points = sample(case, np.float32, 400)
    largest = normal_range(np.float32, case.margin)[1]
    for formula in (*case.reference[:2], *filter(None, case.scale[:2])):
        points = points[np.abs(expected_long(formula, points)) < largest]
    return (jnp.asarray(points),)


def rows(call):
    """Hard rows; for the methods of a kernel in (0, 1/2), where all of them are numbers."""
    numbers = 0.5 / (1 + np.abs(ROWS)) if call.name == "Kernel" else ROWS
    return jnp.asarray(numbers), call.arguments(np.float32)[1]


def subjects(cases):
    """Name, function of the data and arguments: of cases, and of all functions that have none."""
    yield from ((case.name, case.fun, grid(case)) for case in cases)
    yield from ((call.name, jax.vmap(call.fun, (0, None)), rows(call)) for call in CALLS_OF_ROWS)


@contextlib.contextmanager
def flags():
    """Both flags set, and nothing compiled without them left."""
    jax.clear_caches()
    for flag in FLAGS:
        jax.config.update(flag, True)
    try:
        yield
    finally:
        for flag in FLAGS:
            jax.config.update(flag, False)
        jax.clear_caches()


def checked(fun):
    return jax.jit(checkify.checkify(fun, errors=checkify.float_checks), compiler_options=COMPILER_OPTIONS)


def complaint(fun, *arguments):
    """What flags and checkify have to say."""
    try:
        error, _ = checked(fun)(*arguments)
        error.throw()
    except (FloatingPointError, checkify.JaxRuntimeError) as raised:
        return str(raised)
    return None


@pytest.mark.slow
def test_nothing_complains_of_any_operation():
    """Of the cases, rows of parameters and what is not thorough: the contract does this for the others."""
    with flags():
        found = {
            name: (points.size, complaint(value_and_gradients(fun), points, *parameters))
            for name, fun, (points, *parameters) in subjects(
                [case for case in CASES if not (case.varies_data and case.thorough)]
            )
        }
        for x in (-1, 0):
            assert complaint(jnp.log, jnp.float32(x))
    assert all(size > 100 for size, _ in found.values())
    assert not {name: text for name, (_, text) in found.items() if text}


@pytest.mark.slow
def test_nothing_complains_of_plain_calls():
    """Which are compiled piece by piece: the flags also see what the backward pass is given."""
    with flags():
        for _, fun, arguments in subjects([case for case in CASES if case.varies_data and case.thorough]):
            jax.block_until_ready(value_and_gradients(fun)(*arguments))
        for x in (-1, 0):
            with pytest.raises(FloatingPointError):
                jnp.log(jnp.float32(x))
    with pytest.raises(checkify.JaxRuntimeError):
        checked(jnp.log)(jnp.float32(-1))[0].throw()


@pytest.mark.slow
def test_nothing_complains_of_functions_of_rows_without_jit():
    """Where the flags look at what every single operation gives: at rows with a leader, with ties, and with neither."""
    logits = jnp.float32([[1, 2, 0.5, 0], [3, 3, -1, 2], [40, 0, 1, -40], [0, 0, 0, 0]])
    with flags(), jax.disable_jit():
        for call in (call for call in CALLS if not call.elementwise):
            _, parameters = call.arguments(jnp.float32)
            for row in logits:
                value_and_gradients(call.fun)(row, parameters)


def test_the_example_of_the_page_makes_an_error_of_a_value():
    (example,) = re.findall(r"```python\n(.*?)```", TABLE.read_text(), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(example, {})
    assert printed.getvalue().startswith("y must be positive, got -0.5")
