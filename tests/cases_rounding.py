"""Rows of the kernels and of the staircases made with them.

Close to an integer a soft staircase is the difference of numbers close to each other, which longdouble has no digits
for; `test_kernels.py` looks there, with mpmath.
"""

import functools

import jaxact
import references as ref
import references_kernels as kernels
from contract import INF, NAN, Budget, Case, constant

# Exact in float16 and wider, so that all dtypes see the same kernel; most are no powers of two.
PARAMETERS = {
    "Box": 0.75,
    "Triangle": 1.25,
    "Sine": 0.7001953125,
    "Logistic": 4.5,
    "Arctan": 2.5,
    "FastSigmoid": 25.0,
    "Gaussian": 0.2998046875,
    "Laplace": 0.2001953125,
}
BOUNDED = ("Box", "Triangle", "Sine")
SOFT = Budget(float32=(4, 6, 12))
# A product of seven rounded factors: the exponential, the part of the cell, its normaliser; or the inverse of that.
STAIRCASE = Budget(float32=(5, 6, 12), float64=(5, 6, 12))
# Some cells, with no kink at the end.
CELLS = (-4.0, 3.9)
# A slope may be as many times as large as what it is the product of.
STEEP = (64.0, 1.0)


def _kernel(name):
    return getattr(jaxact, name)(PARAMETERS[name])


def _heaviside(m, x):
    return m.where(x > 0, 1 + 0 * x, 0 * x)


def _sign(m, x):
    return m.where(x > 0, 1 + 0 * x, m.where(x < 0, -1 + 0 * x, 0 * x))


def _ternary(m, x):
    return m.where(abs(x) > 0.5, _sign(m, x), 0 * x)


def _round(m, x):
    return m.rint(x)


def _floor(m, x):
    return m.floor(x)


def _ceil(m, x):
    return -m.floor(-x)


def _trunc(m, x):
    return _sign(m, x) * m.floor(abs(x))


def _within(bound):
    return lambda m, x: m.where(abs(x) <= bound, 1 + 0 * x, 0 * x)


def _in_cell(m, x):
    return x - m.floor(x) - m.number(0.5)


def _kernel_row(name):
    edge = (PARAMETERS[name] / 2,) if name in BOUNDED else ()
    return Case(
        name,
        _kernel(name).cdf,
        kernels.cdf(name, PARAMETERS[name]),
        special=(0.0, *edge, *(-u for u in edge)),
        edges=((-INF, (0, 0, 0)), (INF, (1, 0, 0))),
        budget=SOFT,
        margin=STEEP,
        points=CELLS,
        thorough=name in ("Logistic", "Gaussian"),
    )


def _straight_through_row(function, hard):
    return Case(
        function,
        getattr(jaxact, function),
        (hard, constant(1), constant(0)),
        special=(0.5, -0.5, 1.5, 2.5, 1.0, -1.0, 2.0**22, 2.0**23, 2.0**24),
        edges=((-INF, (-INF, 1, 0)), (INF, (INF, 1, 0)), (0.5, (float(hard(ref.MP, ref.MP.number(0.5))), 1, 0))),
        thorough=function == "round_ste",
        at_nan=(NAN, 1, 0),
    )


def _clipped_row(function, hard, bound, low=-1):
    return Case(
        function,
        getattr(jaxact, function),
        (hard, _within(bound), constant(0)),
        special=(0.5, -0.5, 1.0, -1.0),
        edges=((-INF, (low, 0, 0)), (0.0, (0, 1, 0)), (INF, (1, 0, 0))),
        thorough=False,
    )


def _rows(name, soft, hard, kernel, **fields):
    """The soft and the surrogate reading of a staircase."""
    functions = f"soft_{name}", f"surrogate_{name}"
    references = soft, (hard, *soft[1:])
    common = {"budget": SOFT, "margin": STEEP, "points": CELLS, **fields}
    return tuple(
        Case(
            function,
            functools.partial(_applied, getattr(jaxact, function), _kernel(kernel)),
            reference,
            thorough=function in ("soft_round", "surrogate_heaviside"),
            **common,
        )
        for function, reference in zip(functions, references, strict=True)
    )


def _applied(function, kernel, x):
    return function(x, kernel)


def _staircase(name, shift, level):
    return kernels.staircase(name, PARAMETERS[name], shift, level)


def _ternary_soft(name):
    return kernels.ternary(name, PARAMETERS[name], 0.5)


def _ternary_bend_scale(name):
    bend = kernels.cdf(name, PARAMETERS[name])[2]
    half = 0.5
    return lambda m, x: m.maximum(abs(bend(m, x - half)), abs(bend(m, x + half)))


FROM_0, FROM_MINUS_1 = (
    {"edges": ((-INF, (low, 0, 0)), (INF, (1, 0, 0))), "special": (0.0, 0.5, -0.5), "magnitudes": (smallest, INF)}
    for low, smallest in ((0, 0.0), (-1, 2.0**-30))
)
# Far enough from 0 for longdouble to tell the soft value from it.
IN_CELLS = {"special": (0.5, -0.5, 1.5, 2.0**22), "magnitudes": (2.0**-30, 2.0**40), "budget": STAIRCASE}

CASES = (
    *map(_kernel_row, PARAMETERS),
    *_rows("round", _staircase("Logistic", 0.0, 0), _round, "Logistic", **IN_CELLS),
    *_rows("floor", _staircase("Triangle", 0.5, -1), _floor, "Triangle", **IN_CELLS),
    *_rows("ceil", _staircase("Laplace", 0.5, 0), _ceil, "Laplace", **IN_CELLS),
    *_rows("heaviside", kernels.cdf("Arctan", PARAMETERS["Arctan"]), _heaviside, "Arctan", **FROM_0),
    *_rows("sign", kernels.sign("FastSigmoid", PARAMETERS["FastSigmoid"]), _sign, "FastSigmoid", **FROM_MINUS_1),
    *_rows(
        "ternary",
        _ternary_soft("Sine"),
        _ternary,
        "Sine",
        scale=(None, None, _ternary_bend_scale("Sine")),
        **FROM_MINUS_1,
    ),
    _straight_through_row("round_ste", _round),
    _straight_through_row("floor_ste", _floor),
    _straight_through_row("ceil_ste", _ceil),
    _straight_through_row("trunc_ste", _trunc),
    _clipped_row("sign_ste", _sign, 1.0),
    _clipped_row("heaviside_ste", _heaviside, 0.5, low=0),
    _clipped_row("ternary_ste", _ternary, 1.0),
    Case(
        "approx_round",
        functools.partial(jaxact.approx_round, steepness=PARAMETERS["Logistic"]),
        (
            lambda m, x: m.floor(x) + kernels.cdf("Logistic", PARAMETERS["Logistic"])[0](m, _in_cell(m, x)),
            *(
                functools.partial(
                    lambda f, m, x: f(m, _in_cell(m, x)), kernels.cdf("Logistic", PARAMETERS["Logistic"])[i]
                )
                for i in (1, 2)
            ),
        ),
        points=CELLS,
        thorough=False,
        **IN_CELLS,
    ),
    Case(
        "approx_round_sin",
        functools.partial(jaxact.approx_round_sin, width=PARAMETERS["Sine"]),
        _staircase("Sine", 0.0, 0),
        points=CELLS,
        thorough=False,
        **IN_CELLS,
    ),
    Case(
        "soft_round_inverse",
        functools.partial(_applied, jaxact.soft_round_inverse, _kernel("Logistic")),
        kernels.logistic_round_inverse(PARAMETERS["Logistic"]),
        points=CELLS,
        thorough=False,
        **IN_CELLS,
    ),
    Case(
        "soft_round_conditional_mean",
        functools.partial(_applied, jaxact.soft_round_conditional_mean, _kernel("Logistic")),
        kernels.logistic_conditional_mean(PARAMETERS["Logistic"]),
        budget=STAIRCASE,
        worst=(0.29765746,),
        points=CELLS,
        thorough=False,
        special=(0.5, -0.5, 1.5, 1.0),
        margin=STEEP,
    ),
)
