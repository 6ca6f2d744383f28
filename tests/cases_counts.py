"""Rows of the losses of counts."""

import functools

import jax.numpy as jnp
import numpy as np

import jaxact
import references as ref
from contract import INF, POSITIVE, Budget, Case


def _counts(function, count, **options):
    return lambda z: function(z, jnp.full(jnp.shape(z), count, z.dtype), **options)


COUNT = 4
DISPERSION = 0.75
LOG_MEAN = 1.5


def _loss_of_dispersion(a):
    log_mean, counts = jnp.full(jnp.shape(a), LOG_MEAN, a.dtype), jnp.full(jnp.shape(a), COUNT, a.dtype)
    return jaxact.negative_binomial_nll(log_mean, counts, dispersion=a)


def _in_log_mean(*formulas):
    return tuple(functools.partial(_at_dispersion, formula) for formula in formulas)


def _at_dispersion(formula, m, z):
    return formula(m, z, COUNT, m.number(DISPERSION))


def _in_dispersion(*formulas):
    return tuple(functools.partial(_at_log_mean, formula) for formula in formulas)


def _at_log_mean(formula, m, a):
    return formula(m, m.number(LOG_MEAN), COUNT, a)


CASES = (
    Case(
        "poisson_nll",
        _counts(jaxact.poisson_nll, COUNT),
        (
            lambda m, z: ref.poisson_nll(m, z, COUNT),
            lambda m, z: m.exp(z) - COUNT,
            lambda m, z: m.exp(z),
        ),
        scale=(
            lambda m, z: m.maximum(m.exp(z), abs(COUNT * z)),
            lambda m, z: m.maximum(m.exp(z), m.number(COUNT)),
            None,
        ),
        special=(np.log(COUNT),),
        edges=(
            (-INF, (INF, -COUNT, 0)),
            (INF, (INF, INF, INF)),
        ),
        margin=(1.0, 2.0),  # XLA on CPU: exp is 4.6 ulp off where it nears the largest number
    ),
    Case(
        "poisson_nll",
        _counts(jaxact.poisson_nll, COUNT, log_input=False),
        (
            lambda m, r: r - COUNT * m.log(r),
            lambda m, r: (r - COUNT) / r,
            lambda m, r: COUNT / r**2,
        ),
        domain=POSITIVE,
        scale=(lambda m, r: m.maximum(r, abs(COUNT * m.log(r))), None, None),
        special=(COUNT, 1.0),
        edges=((0.0, (INF, -INF, INF)),),
        points=(0.0, 40.0),
        argument="rate",
    ),
    Case(
        "negative_binomial_nll",
        _counts(jaxact.negative_binomial_nll, COUNT, dispersion=DISPERSION),
        _in_log_mean(ref.negative_binomial_nll, ref.negative_binomial_nll_slope, ref.negative_binomial_nll_bend),
        scale=(*_in_log_mean(ref.negative_binomial_nll_scale, ref.negative_binomial_nll_slope_scale), None),
        special=(np.log(COUNT),),
        edges=(
            (-INF, (INF, -COUNT, 0)),
            (INF, (INF, 1 / DISPERSION, 0)),
        ),
        points=(-100.0, 100.0),
        margin=(2.0**3, 1.0),
        budget=Budget(float32=(4, 4, 6)),  # a sum of four terms
        argument="log_mean",
    ),
    Case(
        "negative_binomial_nll",
        _loss_of_dispersion,
        _in_dispersion(
            ref.negative_binomial_nll,
            ref.negative_binomial_nll_dispersion_slope,
            ref.negative_binomial_nll_dispersion_bend,
        ),
        scale=_in_dispersion(
            ref.negative_binomial_nll_scale,
            ref.negative_binomial_nll_dispersion_slope_scale,
            ref.negative_binomial_nll_dispersion_bend_scale,
        ),
        domain=POSITIVE,
        points=(0.01, 40.0),
        magnitudes=(1e-3, 1e6),  # below, the reference cancels; the Poisson limit has a test of its own
        # Between Stirling's series and the recurrence that shifts it, terms larger than these cancel.
        budget=Budget(float32=(4, 8, 26), float64=(4, 8, 12)),
        worst=(0.29076132,),
        argument="dispersion",
        varies_data=False,
    ),
)
