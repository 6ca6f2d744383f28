"""What the kernels and staircases should be: textbook formulas of the densities, and the readings made of them.

Like those in `references.py`, each is evaluated in mpmath or in longdouble; but staircases cancel close to
an integer, so that they are evaluated in mpmath wherever that counts.
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Density:
    """An even density with a parameter `p`.

    Attributes:
      tail: probability of lying beyond `c >= 0`, as a function of (arithmetic, c, p).
      density: at `c >= 0`.
      bend: slope of the density at `c >= 0`; 0 at a kink in the centre.
      power: 1 if the width is inversely proportional to the parameter, -1 if it is proportional to it.
    """

    tail: Callable
    density: Callable
    bend: Callable
    power: int


def pi(m):
    return 4 * m.atan(m.number(1))


def _inside(formula):
    """A formula of the distance to the edge, relative to the width, 0 beyond the edge."""

    def inside(m, c, p):
        h = m.maximum((p - 2 * c) / (2 * p), m.number(0))
        return m.where(2 * c > p, 0 * h, formula(m, h, p))

    return inside


def _e(m, x):
    return m.exp(-x)


def _sign(m, c):
    return m.where(c > 0, m.number(1), m.number(0))


DENSITIES = {
    "Box": Density(
        _inside(lambda m, h, p: h),
        _inside(lambda m, h, p: 1 / p + 0 * h),
        lambda m, c, p: 0 * c,
        -1,
    ),
    "Triangle": Density(
        _inside(lambda m, h, p: 2 * h**2),
        _inside(lambda m, h, p: 4 * h / p),
        lambda m, c, p: m.where(2 * c <= p, -_sign(m, c) * 4 / p**2, 0 * c),
        -1,
    ),
    "Sine": Density(
        _inside(lambda m, h, p: m.sin(pi(m) * h / 2) ** 2),
        _inside(lambda m, h, p: pi(m) / 2 * m.sin(pi(m) * h) / p),
        lambda m, c, p: m.where(2 * c <= p, -((pi(m) / p) ** 2) / 2 * m.sin(pi(m) * c / p), 0 * c),
        -1,
    ),
    "Logistic": Density(
        lambda m, c, p: _e(m, p * c) / (1 + _e(m, p * c)),
        lambda m, c, p: p * _e(m, p * c) / (1 + _e(m, p * c)) ** 2,
        lambda m, c, p: -(p**2) * m.tanh(p * c / 2) * _e(m, p * c) / (1 + _e(m, p * c)) ** 2,
        1,
    ),
    "Arctan": Density(
        lambda m, c, p: m.where(
            c * p > 1,
            m.atan(2 / (pi(m) * p * m.maximum(c, 1 / p))) / pi(m),
            m.number(1) / 2 - m.atan(pi(m) / 2 * p * c) / pi(m),
        ),
        lambda m, c, p: p / 2 / (1 + (pi(m) / 2 * p * c) ** 2),
        lambda m, c, p: -(p**3) * pi(m) ** 2 / 4 * c / (1 + (pi(m) / 2 * p * c) ** 2) ** 2,
        1,
    ),
    "FastSigmoid": Density(
        lambda m, c, p: 1 / (2 * (1 + p * c)),
        lambda m, c, p: p / 2 / (1 + p * c) ** 2,
        lambda m, c, p: -_sign(m, c) * p**2 / (1 + p * c) ** 3,
        1,
    ),
    "Gaussian": Density(
        lambda m, c, p: m.erfc(-m.maximum(-c / p / m.sqrt(m.number(2)), m.number(-100))) / 2,
        lambda m, c, p: _e(m, (c / p) ** 2 / 2) / (m.sqrt(2 * pi(m)) * p),
        lambda m, c, p: -c / p**2 * _e(m, (c / p) ** 2 / 2) / (m.sqrt(2 * pi(m)) * p),
        -1,
    ),
    "Laplace": Density(
        lambda m, c, p: _e(m, c / p) / 2,
        lambda m, c, p: _e(m, c / p) / (2 * p),
        lambda m, c, p: -_sign(m, c) * _e(m, c / p) / (2 * p**2),
        -1,
    ),
}


def _signed(m, u):
    return m.where(u < 0, m.number(-1), m.number(1))


def cdf(name, p):
    """Value, slope and bend of the distribution function."""
    kernel = DENSITIES[name]

    def value(m, u):
        tail = kernel.tail(m, abs(u), m.number(p))
        return m.where(u < 0, tail, 1 - tail)

    return (
        value,
        lambda m, u: kernel.density(m, abs(u), m.number(p)),
        lambda m, u: _signed(m, u) * kernel.bend(m, abs(u), m.number(p)),
    )


def cdf_in_parameter(name, u):
    """Value and slope of the distribution function at `u` in the parameter."""
    kernel = DENSITIES[name]

    def value(m, p):
        tail = kernel.tail(m, m.number(abs(u)), p)
        return tail if u < 0 else 1 - tail

    return value, lambda m, p: kernel.power * m.number(u) / p * kernel.density(m, m.number(abs(u)), p)


def sign(name, p):
    value, slope, bend = cdf(name, p)
    return (
        lambda m, u: value(m, u) - value(m, -u),
        lambda m, u: 2 * slope(m, u),
        lambda m, u: 2 * bend(m, u),
    )


def ternary(name, p, threshold):
    value, slope, bend = cdf(name, p)

    def t(m):
        return m.number(threshold)

    return (
        lambda m, x: value(m, x - t(m)) - value(m, -x - t(m)),
        lambda m, x: slope(m, x - t(m)) + slope(m, x + t(m)),
        lambda m, x: bend(m, x - t(m)) + bend(m, x + t(m)),
    )


def staircase(name, p, shift=0.0, level=0):
    """Value, slope and bend of the soft staircase with steps at the integers plus 1/2 minus `shift`, raised by `level`.

    A shift of 1/2 and a level of -1 make it the soft floor, and a level of 0 the soft ceil.
    """
    value, slope, bend = cdf(name, p)

    def offset(m, x):
        base = m.floor(x + m.number(shift))
        return base, x + m.number(shift) - base - m.number(0.5)

    def end(m):
        return value(m, m.number(-0.5))

    def mass(m):
        return value(m, m.number(0.5)) - end(m)

    return (
        lambda m, x: offset(m, x)[0] + level + (value(m, offset(m, x)[1]) - end(m)) / mass(m),
        lambda m, x: slope(m, offset(m, x)[1]) / mass(m),
        lambda m, x: bend(m, offset(m, x)[1]) / mass(m),
    )


def logistic_round_inverse(steepness):
    """Value, slope and bend of the inverse of the soft round, by the formula of Agustsson and Theis."""
    return _from_middle(steepness, lambda m, y: m.floor(y) + m.number(0.5))


def logistic_conditional_mean(steepness):
    """The same about integers, where the uniform noise has its middle."""
    return _from_middle(steepness, lambda m, y: m.rint(y))


def _from_middle(steepness, middle):
    def parts(m, y):
        alpha = m.number(steepness) / 2
        twice = 2 * m.tanh(alpha / 2)
        w = twice * (y - middle(m, y))
        return alpha, twice, w, (1 - w) * (1 + w)

    def value(m, y):
        alpha, _, w, _ = parts(m, y)
        return middle(m, y) + (m.log1p(w) - m.log1p(-w)) / (2 * alpha)

    def slope(m, y):
        alpha, twice, _, rest = parts(m, y)
        return twice / (alpha * rest)

    def bend(m, y):
        alpha, twice, w, rest = parts(m, y)
        return 2 * twice**2 * w / (alpha * rest**2)

    return value, slope, bend
