"""Rows of the piecewise linear activations."""

import functools

import numpy as np

import jaxact
from contract import BETA, INF, Case, constant, in_option


def _steps(*pieces):
    """A piecewise linear formula: `(upper end, slope, offset)` of each piece, a kink belonging to the piece below."""

    def value(m, x):
        result = 0 * x
        for end, slope, offset in reversed(pieces):
            result = m.where(x <= end, m.number(slope) * x + m.number(offset), result)
        return result

    def first(m, x):
        result = 0 * x
        for end, slope, _ in reversed(pieces):
            result = m.where(x <= end, m.number(slope), result)
        return result

    return value, first, constant(0)


CASES = (
    Case(
        "relu",
        jaxact.relu,
        _steps((0, 0, 0), (INF, 1, 0)),
        special=(0.0,),
        edges=(
            (-INF, (0, 0, 0)),
            (-0.0, (0, 0, 0)),
            (0.0, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "leaky_relu",
        functools.partial(jaxact.leaky_relu, negative_slope=BETA),
        _steps((-5e-324, BETA, 0), (INF, 1, 0)),
        special=(0.0,),
        edges=(
            (-INF, (-INF, BETA, 0)),
            (-0.0, (0, 1, 0)),
            (0.0, (0, 1, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "leaky_relu",
        in_option(jaxact.leaky_relu, "negative_slope", -3.0),
        (lambda m, a: -3 * a, constant(-3), constant(0)),
        argument="negative_slope",
        varies_data=False,
    ),
    Case(
        "hard_tanh",
        jaxact.hard_tanh,
        _steps((np.nextafter(-1, -2), 0, -1), (1, 1, 0), (INF, 0, 1)),
        special=(-1.0, 1.0),
        edges=(
            (-INF, (-1, 0, 0)),
            (-1.0, (-1, 1, 0)),
            (1.0, (1, 1, 0)),
            (INF, (1, 0, 0)),
        ),
    ),
    Case(
        "hard_tanh",
        in_option(jaxact.hard_tanh, "max_value", 2.0),
        _steps((np.nextafter(2, 1), 1, 0), (INF, 0, 2)),
        domain=(-1.0, INF),
        special=(2.0,),
        edges=(
            (2.0, (2, 0, 0)),
            (INF, (2, 0, 0)),
        ),
        argument="max_value",
        varies_data=False,
    ),
)
