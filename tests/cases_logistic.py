"""Rows of the logistic family."""

import functools

import jaxact
import references as ref
from contract import BETA, INF, PARAMETERS, POSITIVE, SCALED, UNIT, Budget, Case, in_option

LN2 = 0.6931471805599453
LOG_E_MINUS_1 = 0.5413248546129181


def _scaled(beta, fun):
    """References in x of `fun(beta * x) / beta`, from value, slope and bend of `fun`."""
    value, slope, bend = fun
    return (
        lambda m, x: value(m, m.number(beta) * x) / m.number(beta),
        lambda m, x: slope(m, m.number(beta) * x),
        lambda m, x: m.number(beta) * bend(m, m.number(beta) * x),
    )


SIGMOID = (ref.sigmoid, ref.bump, ref.bump_slope)
SOFTPLUS = (ref.softplus, ref.sigmoid, ref.bump)
INVERSE = (ref.softplus_inverse, ref.softplus_inverse_slope, ref.softplus_inverse_bend)
LOG_SOFTPLUS = (ref.log_softplus, ref.log_softplus_slope, ref.log_softplus_bend)


def _softplus_in_beta(x):
    return (
        lambda m, b: ref.softplus(m, b * x) / b,
        lambda m, b: -ref.softplus_deficit(m, b * x) / b**2,
        lambda m, b: (x**2 * ref.bump(m, b * x) + 2 * ref.softplus_deficit(m, b * x) / b**2) / b,
    )


def _softplus_inverse_in_beta(y):
    def bend(m, b):
        z = b * y
        slope_of_surplus = -z * ref.softplus_inverse_slope(m, z) * ref.log1mexp_slope(m, z)
        return (z * slope_of_surplus - 2 * ref.softplus_inverse_surplus(m, z)) / b**3

    return (
        lambda m, b: ref.softplus_inverse(m, b * y) / b,
        lambda m, b: ref.softplus_inverse_surplus(m, b * y) / b**2,
        bend,
    )


def _log_softplus_in_beta(x):
    return (
        lambda m, b: ref.log_softplus(m, b * x) - m.log(b),
        lambda m, b: -ref.log_softplus_deficit(m, b * x) / b,
        lambda m, b: x**2 * ref.log_softplus_bend(m, b * x) + 1 / b**2,
    )


def _log_softplus_scale(x):
    return (
        lambda m, b: m.maximum(abs(ref.log_softplus(m, b * x)), abs(m.log(b))),
        None,
        lambda m, b: m.maximum(1 / b**2, abs(x**2 * ref.log_softplus_bend(m, b * x))),
    )


CASES = (
    Case(
        "sigmoid",
        jaxact.sigmoid,
        SIGMOID,
        special=(0.0,),
        worst=(-16.635704, 3.41616368),
        edges=(
            (-INF, (0, 0, 0)),
            (0.0, (0.5, 0.25, 0)),
            (INF, (1, 0, 0)),
        ),
        budget=Budget(float32=(3, 6, 12)),
    ),
    Case(
        "log_sigmoid",
        jaxact.log_sigmoid,
        (
            lambda m, x: -ref.softplus(m, -x),
            lambda m, x: ref.sigmoid(m, -x),
            lambda m, x: -ref.bump(m, x),
        ),
        special=(0.0,),
        worst=(-0.00343945646, 4.1572938),
        edges=(
            (-INF, (-INF, 1, 0)),
            (INF, (0, 0, 0)),
        ),
    ),
    Case(
        "logit",
        jaxact.logit,
        (ref.logit, ref.logit_slope, ref.logit_bend),
        domain=UNIT,
        special=(0.5, 0.25, 0.75, 1 / 3, 2 / 3, 1.0),
        worst=(0.269200772,),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (0.5, (0, 4, 0)),
            (1.0, (INF, INF, INF)),
        ),
        points=UNIT,
    ),
    Case(
        "tanh",
        jaxact.tanh,
        (ref.tanh, ref.tanh_slope, ref.tanh_bend),
        special=(0.0, 0.345, 20.0),
        worst=(5.12603903, 2.07316279),
        edges=(
            (-INF, (-1, 0, 0)),
            (0.0, (0, 1, 0)),
            (INF, (1, 0, 0)),
        ),
        budget=Budget(float32=(5, 6, 12)),
    ),
    Case(
        "softplus",
        jaxact.softplus,
        SOFTPLUS,
        special=(0.0, 27.7, 37.4),
        worst=(0.00343945646, -4.1572938),
        edges=(
            (-INF, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
    ),
    Case(
        "softplus",
        functools.partial(jaxact.softplus, beta=BETA),
        _scaled(BETA, SOFTPLUS),
        special=(0.0,),
        edges=(
            (-INF, (0, 0, 0)),
            (INF, (INF, 1, 0)),
        ),
        margin=SCALED,
        argument="x-at-beta",
    ),
    Case(
        "softplus",
        in_option(jaxact.softplus, "beta", 1.25),
        _softplus_in_beta(1.25),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-positive",
        varies_data=False,
    ),
    Case(
        "softplus",
        in_option(jaxact.softplus, "beta", -1.25),
        _softplus_in_beta(-1.25),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-negative",
        varies_data=False,
    ),
    Case(
        "softplus_inverse",
        jaxact.softplus_inverse,
        INVERSE,
        domain=POSITIVE,
        special=(LN2, 0.47, 0.69, 0.94, 1.86, 1.88),
        worst=(0.940185249, 0.695878565),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (-0.0, (-INF, INF, -INF)),
            (INF, (INF, 1, 0)),
        ),
        points=(0.0, 40.0),
    ),
    Case(
        "softplus_inverse",
        functools.partial(jaxact.softplus_inverse, beta=BETA),
        _scaled(BETA, INVERSE),
        domain=POSITIVE,
        special=(LN2 / BETA, 0.69 / BETA, 1.86 / BETA),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (INF, (INF, 1, 0)),
        ),
        points=(0.0, 40.0),
        margin=(1.0, SCALED[1]),
        argument="x-at-beta",
    ),
    Case(
        "softplus_inverse",
        in_option(jaxact.softplus_inverse, "beta", 1.25),
        _softplus_inverse_in_beta(1.25),
        domain=POSITIVE,
        special=(LN2 / 1.25,),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta",
        varies_data=False,
    ),
    Case(
        "log_softplus",
        jaxact.log_softplus,
        LOG_SOFTPLUS,
        special=(LOG_E_MINUS_1, 0.0, 1.6, -15.0, 1e30, -1e30),
        worst=(0.165054813, 0.0239886343),
        edges=(
            (-INF, (-INF, 1, 0)),
            (INF, (INF, 0, 0)),
        ),
    ),
    Case(
        "log_softplus",
        functools.partial(jaxact.log_softplus, beta=BETA),
        (
            lambda m, x: ref.log_softplus(m, m.number(BETA) * x) - m.log(m.number(BETA)),
            lambda m, x: m.number(BETA) * ref.log_softplus_slope(m, m.number(BETA) * x),
            lambda m, x: m.number(BETA) ** 2 * ref.log_softplus_bend(m, m.number(BETA) * x),
        ),
        edges=(
            (-INF, (-INF, BETA, 0)),
            (INF, (INF, 0, 0)),
        ),
        scale=(
            lambda m, x: m.maximum(abs(ref.log_softplus(m, m.number(BETA) * x)), abs(m.log(m.number(BETA)))),
            None,
            None,
        ),
        margin=SCALED,
        argument="x-at-beta",
    ),
    Case(
        "log_softplus",
        in_option(jaxact.log_softplus, "beta", 1.25),
        _log_softplus_in_beta(1.25),
        domain=POSITIVE,
        scale=_log_softplus_scale(1.25),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-positive",
        varies_data=False,
    ),
    Case(
        "log_softplus",
        in_option(jaxact.log_softplus, "beta", -1.25),
        _log_softplus_in_beta(-1.25),
        domain=POSITIVE,
        scale=_log_softplus_scale(-1.25),
        points=(0.01, 40.0),
        magnitudes=PARAMETERS,
        margin=SCALED,
        argument="beta-at-negative",
        varies_data=False,
    ),
    Case(
        "log1mexp",
        jaxact.log1mexp,
        (ref.log1mexp, ref.log1mexp_slope, ref.softplus_inverse_bend),
        domain=POSITIVE,
        special=(LN2, 0.69, 1.0),
        worst=(0.981123567, 0.700573862),
        edges=(
            (0.0, (-INF, INF, -INF)),
            (-0.0, (-INF, INF, -INF)),
            (INF, (0, 0, 0)),
        ),
        points=(0.0, 40.0),
    ),
)
