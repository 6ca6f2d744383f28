"""What the functions should be: textbook formulas, written once and evaluated in mpmath or in numpy's longdouble.

Every formula takes the arithmetic `m` first. mpmath at 400 bits is the reference for float64; longdouble, whose 64
bits leave 40 to spare, is that for float32 and below, where millions of points are wanted. Formulas are chosen for
their relative accuracy in either; a test compares the two.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import scipy.special

MPMATH_BITS = 400


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    number: Callable
    exp: Callable
    expm1: Callable
    log: Callable
    log1p: Callable
    tanh: Callable
    sin: Callable
    cos: Callable
    atan: Callable
    sqrt: Callable
    floor: Callable
    rint: Callable
    erfc: Callable
    maximum: Callable
    where: Callable[[Any, Any, Any], Any]


def _remembered(function):
    """The results of an mpmath function are kept: value, slope and scale of a formula share most of their parts."""

    @functools.lru_cache(maxsize=2**13)
    def at_precision(precision, *arguments):
        return function(*arguments)

    return lambda *arguments: at_precision(mpmath.mp.prec, *arguments)


LONG = Arithmetic(
    np.longdouble,
    np.exp,
    np.expm1,
    np.log,
    np.log1p,
    np.tanh,
    np.sin,
    np.cos,
    np.arctan,
    np.sqrt,
    np.floor,
    np.rint,
    lambda x: scipy.special.erfc(np.asarray(x, np.float64)).astype(np.longdouble),
    np.maximum,
    np.where,
)
MP = Arithmetic(
    mpmath.mpf,
    _remembered(mpmath.exp),
    _remembered(mpmath.expm1),
    _remembered(mpmath.log),
    _remembered(mpmath.log1p),
    _remembered(mpmath.tanh),
    _remembered(mpmath.sin),
    _remembered(mpmath.cos),
    _remembered(mpmath.atan),
    _remembered(mpmath.sqrt),
    mpmath.floor,
    mpmath.nint,
    _remembered(mpmath.erfc),
    max,
    lambda condition, yes, no: yes if condition else no,
)


def sigmoid(m, x):
    return 1 / (1 + m.exp(-x))


def bump(m, x):
    u = m.exp(-abs(x))
    return u / (1 + u) ** 2


def bump_slope(m, x):
    return -bump(m, x) * m.tanh(x / 2)


def softplus(m, x):
    return m.maximum(x, m.number(0)) + m.log1p(m.exp(-abs(x)))


def logit(m, p):
    return m.log(p / (1 - p))


def logit_slope(m, p):
    return 1 / (p * (1 - p))


def logit_bend(m, p):
    return (2 * p - 1) / (p * (1 - p)) ** 2


def tanh(m, x):
    return m.tanh(x)


def tanh_slope(m, x):
    return 4 * bump(m, 2 * x)


def tanh_bend(m, x):
    return -2 * m.tanh(x) * tanh_slope(m, x)


def log1mexp(m, x):
    return m.where(x < 1, m.log(-m.expm1(-x)), m.log1p(-m.exp(-x)))


def log1mexp_slope(m, x):
    return m.exp(-x) / -m.expm1(-x)


def softplus_inverse(m, y):
    return y + log1mexp(m, y)


def softplus_inverse_slope(m, y):
    return 1 / -m.expm1(-y)


def softplus_inverse_bend(m, y):
    return -softplus_inverse_slope(m, y) * log1mexp_slope(m, y)


def log_softplus(m, x):
    # Below -100 the difference from x is e**-100; the logarithm of an underflowing exponential would be -inf.
    return m.where(x < -100, x, m.log(softplus(m, m.maximum(x, m.number(-100)))))


def log_softplus_slope(m, x):
    x = m.maximum(x, m.number(-100))
    return sigmoid(m, x) / softplus(m, x)


def log_softplus_bend(m, x):
    # -r * (r - sigmoid(-x)), whose terms cancel below -15: from there the series of the difference in e = exp(x).
    e = m.exp(m.where(x < -15, x, m.number(0)))
    series = e / 2 - 7 * e**2 / 12 + 5 * e**3 / 8
    high = m.maximum(x, m.number(-15))
    slope = log_softplus_slope(m, x)
    return -slope * m.where(x < -15, series, log_softplus_slope(m, high) - sigmoid(m, -high))


def softplus_deficit(m, z):
    """`softplus(z) - z * sigmoid(z)`."""
    u = m.exp(-abs(z))
    return m.log1p(u) + abs(z) * u / (1 + u)


def softplus_inverse_surplus(m, z):
    """`z / (1 - exp(-z)) - softplus_inverse(z)`."""
    return z * log1mexp_slope(m, z) - log1mexp(m, z)


def log_softplus_deficit(m, z):
    """`1 - z * log_softplus'(z)`, whose terms cancel for positive z."""
    positive = m.maximum(z, m.number(0))
    return m.where(z < 0, 1 - z * log_softplus_slope(m, z), softplus_deficit(m, positive) / softplus(m, positive))


def poisson_nll(m, z, y):
    return m.exp(z) - y * z


def negative_binomial_nll(m, z, y, a):
    return sum(_negative_binomial_terms(m, z, y, a), m.number(0))


def negative_binomial_nll_scale(m, z, y, a):
    """The largest of the terms that make up the loss."""
    return functools.reduce(m.maximum, map(abs, _negative_binomial_terms(m, z, y, a)))


def _negative_binomial_terms(m, z, y, a):
    log1p_q = softplus(m, z + m.log(a))
    return log1p_q / a, y * log1p_q, -y * z, -sum((m.log1p(j * a) for j in range(1, y)), m.number(0))


def negative_binomial_nll_slope(m, z, y, a):
    mean = m.exp(-abs(z))  # that of -z for positive z, where the mean itself may overflow
    return m.where(z > 0, (1 - y * mean) / (mean + a), (mean - y) / (1 + a * mean))


def negative_binomial_nll_slope_scale(m, z, y, a):
    mean = m.exp(-abs(z))
    return m.where(z > 0, m.maximum(m.number(1), y * mean) / (mean + a), m.maximum(m.number(y), mean) / (1 + a * mean))


def negative_binomial_nll_bend(m, z, y, a):
    return (1 + y * a) / a * bump(m, z + m.log(a))


def negative_binomial_nll_dispersion_slope(m, z, y, a):
    return sum(_dispersion_slope_terms(m, z, y, a))


def negative_binomial_nll_dispersion_slope_scale(m, z, y, a):
    return functools.reduce(m.maximum, map(abs, _dispersion_slope_terms(m, z, y, a)))


def _dispersion_slope_terms(m, z, y, a):
    mean = m.exp(z)
    q = a * mean
    return (q / (1 + q) - m.log1p(q)) / a**2, y * mean / (1 + q), -sum(j / (1 + j * a) for j in range(1, y))


def negative_binomial_nll_dispersion_bend(m, z, y, a):
    return sum(_dispersion_bend_terms(m, z, y, a))


def negative_binomial_nll_dispersion_bend_scale(m, z, y, a):
    return functools.reduce(m.maximum, map(abs, _dispersion_bend_terms(m, z, y, a)))


def _dispersion_bend_terms(m, z, y, a):
    mean = m.exp(z)
    q = a * mean
    return (
        (2 * m.log1p(q) - 2 * q / (1 + q) - (q / (1 + q)) ** 2) / a**3,
        -y * (mean / (1 + q)) ** 2,
        sum((j / (1 + j * a)) ** 2 for j in range(1, y)),
    )
