"""Shapes whose tails never end: exponential ones, and those that fall like a power.

The one idea: an exponential is taken of a product in two parts, as rounding `p * c` would cost it up to 88 ulp; every
other factor is smooth, so that a product once rounded will do.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import ndtri

from jaxact import _coefficients as coefficients
from jaxact._logistic_core import log, log_odds, one_minus_exp, tanh
from jaxact._numerics import (
    constant_rate,
    decay,
    exp_minus,
    half_square,
    inverse_rate,
    polynomial,
    rate,
    scaled,
)


class Logistic:
    power = 1

    @staticmethod
    def tail(c, low, p):
        e = decay(c, low, rate(p))
        return e / (1 + e)

    @staticmethod
    def mass(c, low, d, p):
        e, z = decay(c, low, rate(p)), p * d
        return e * one_minus_exp(z) / ((1 + e) * (1 + e * jnp.exp(-z)))

    @staticmethod
    def part(c, low, d, p):
        e, (z, _) = decay(c, low, rate(p)), scaled(d, 0, rate(p))
        return e * one_minus_exp(z) / (one_minus_exp(p / 2) * (1 + e))

    @staticmethod
    def density(c, low, p):
        e = decay(c, low, rate(p))
        return decay(c, low, rate(p), p) / (1 + e * (2 + e))

    @staticmethod
    def bend(f, u, p):
        return -p * tanh(p * u / 2) * f

    @staticmethod
    def quantile(m, t, p):
        positive = jnp.where(m == 0, 0.5, m)
        return jnp.where(m == 0, jnp.inf, log_odds(1 - positive, positive, t)) / p

    @staticmethod
    def quantile_density(m, t, p):
        return p * jnp.where(t < 0.5, (1 - t) * (1 + t) / 4, m * (1 - m))


class Laplace:
    power = -1

    @staticmethod
    def tail(c, low, p):
        return decay(c, low, inverse_rate(p)) / 2

    @staticmethod
    def mass(c, low, d, p):
        return decay(c, low, inverse_rate(p)) * one_minus_exp(d / p) / 2

    @staticmethod
    def part(c, low, d, p):
        factor = inverse_rate(p)
        return decay(c, low, factor) * one_minus_exp(scaled(d, 0, factor)[0]) / (2 * one_minus_exp(0.5 / p))

    @staticmethod
    def density(c, low, p):
        return decay(c, low, inverse_rate(p), 0.5 / p)

    @staticmethod
    def bend(f, u, p):
        return -jnp.sign(u) / p * f

    @staticmethod
    def quantile(m, t, p):
        small = jnp.minimum(t, 0.5)
        inner = small + small * (small * polynomial(coefficients.LOG1M, small))
        outer = jnp.where(m == 0, jnp.inf, -log(2 * jnp.where(m == 0, 0.5, m)))
        return p * jnp.where(t < 0.5, inner, outer)

    @staticmethod
    def quantile_density(m, t, p):
        return m / p


class Gaussian:
    power = -1

    @staticmethod
    def _kernel(c, low, p, times=1):
        """`z = c / p`, and `times * exp(-z**2 / 2)`."""
        z, rest = scaled(jnp.where(c > 1000 * p, 1000 * p, c), low, inverse_rate(p))
        return z, exp_minus(*half_square(z, rest), times)

    @staticmethod
    def _tail_ratio(z):
        """The tail over `exp(-z**2 / 2)`."""
        return polynomial(coefficients.GAUSSIAN_TAIL, (z - 4) / (z + 4)) / (1 + z)

    @staticmethod
    def tail(c, low, p):
        z, e = Gaussian._kernel(c, low, p)
        return e * Gaussian._tail_ratio(z)

    @staticmethod
    def mass(c, low, d, p):
        z, e = Gaussian._kernel(c, low, p)
        width = jnp.minimum(d / p, 1000)
        decline = width * (z + width / 2)
        far = Gaussian._tail_ratio(z) - jnp.exp(-decline) * Gaussian._tail_ratio(z + width)
        near_width = jnp.where(decline < 0.5, width, 0)
        near = sum(
            weight * jnp.exp(-near_width * node * (z + near_width * node / 2))
            for node, weight in coefficients.GAUSS_LEGENDRE_SHORT[p.dtype.name]
        )
        return e * jnp.where(decline < 0.5, near_width * near / math.sqrt(2 * math.pi), far)

    @staticmethod
    def part(c, low, d, p):
        cell = 2 * Gaussian.mass(jnp.zeros_like(p), 0, jnp.full_like(p, 0.5), p)
        return Gaussian.mass(c, low, d, p) / cell

    @staticmethod
    def density(c, low, p):
        return Gaussian._kernel(c, low, p, 1 / (math.sqrt(2 * math.pi) * p))[1]

    @staticmethod
    def bend(f, u, p):
        return -jnp.clip(u / p, -1000, 1000) / p * f

    @staticmethod
    def quantile(m, t, p):
        # One step of Newton's method from a first guess, on the mass where the tail is no small number.
        unit = jnp.ones_like(p)
        positive = jnp.where(m == 0, 0.25, m)
        guess = jnp.where(m < 0.25, -ndtri(positive), -ndtri(0.5 - t / 2))
        guess = jnp.maximum(guess, 0)
        inner = t / 2 - Gaussian.mass(jnp.zeros_like(guess), 0, guess, unit)
        outer = Gaussian.tail(guess, 0, unit) - positive
        step = jnp.where(m < 0.25, outer, inner) / Gaussian.density(guess, 0, unit)
        return p * jnp.where(m == 0, jnp.inf, guess + step)

    @staticmethod
    def quantile_density(m, t, p):
        # Where the tail is empty, its ratio is any number.
        ratio = Gaussian._tail_ratio(jnp.minimum(Gaussian.quantile(m, t, p) / p, 1000))
        return m / (math.sqrt(2 * math.pi) * ratio * p)


class FastSigmoid:
    power = 1

    @staticmethod
    def tail(c, low, p):
        return 0.5 / (1 + p * c)

    @staticmethod
    def mass(c, low, d, p):
        limit = float(jnp.finfo(p.dtype).max) / 4
        z, rest = scaled(jnp.minimum(c, limit / p), low, rate(p))
        z, width = (1 + z) + rest, jnp.minimum(p * d, limit)
        return (0.5 / z) * (width / (z + width))

    @staticmethod
    def part(c, low, d, p):
        return d / (1 + p * c)

    @staticmethod
    def density(c, low, p):
        r = 1 / (1 + p * c)
        return (p / 2 * r) * r

    @staticmethod
    def bend(f, u, p):
        return -2 * jnp.sign(u) * (p / (1 + p * jnp.abs(u))) * f

    @staticmethod
    def quantile(m, t, p):
        return t / (2 * m) / p

    @staticmethod
    def quantile_density(m, t, p):
        return 2 * p * m * m


class Arctan:
    power = 1

    @staticmethod
    def _scaled(c, low, p):
        """`pi / 2 * p * c` in two parts, which its square needs, unless that overflows."""
        limit = float(jnp.finfo(p.dtype).max) ** 0.5 / p
        near = c < limit
        z, rest = scaled(jnp.where(near, c, 0), low, constant_rate(coefficients.HALF_PI[p.dtype.name], p))
        return jnp.where(near, z, Arctan._steepness(p) * c), jnp.where(near, rest, 0)

    @staticmethod
    def tail(c, low, p):
        z, _ = Arctan._scaled(c, low, p)
        return _arctan(jnp.ones_like(z), z)

    @staticmethod
    def mass(c, low, d, p):
        (z, rest), (width, _) = Arctan._scaled(c, low, p), Arctan._scaled(d, 0, p)
        width = jnp.minimum(width, float(jnp.finfo(p.dtype).max) ** 0.5)
        return _arctan(width, 1 + (z * (z + width) + rest * (2 * z + width)))

    @staticmethod
    def part(c, low, d, p):
        width, _ = Arctan._scaled(d, 0, p)
        (z, rest), (half, half_rest) = Arctan._scaled(c, low, p), Arctan._scaled(jnp.full_like(p, 0.5), 0, p)
        outer = z * half + (z * half_rest + half * rest)
        return _arctan(width, 1 + outer) / (2 * _arctan(half, jnp.ones_like(p)))

    @staticmethod
    def density(c, low, p):
        z, rest = Arctan._scaled(c, low, p)
        return p / 2 / (1 + (z * z + 2 * jnp.where(rest == 0, 0, z) * rest))

    @staticmethod
    def bend(f, u, p):
        limit = float(jnp.finfo(p.dtype).max) ** 0.5 / 4
        z = jnp.clip(Arctan._steepness(p) * u, -limit, limit)
        return -2 * Arctan._steepness(p) * (z / (1 + z * z)) * f

    @staticmethod
    def _steepness(p):
        return math.pi / 2 * p

    @staticmethod
    def quantile(m, t, p):
        # The cotangent of pi * m, or the tangent of pi * t / 2.
        outer = m < 0.25
        s = jnp.where(outer, m, t / 2)
        sine, cosine = s * polynomial(coefficients.SIN_PI, s * s), polynomial(coefficients.COS_PI, s * s)
        return jnp.where(outer, cosine, sine) / jnp.where(outer, sine, cosine) / Arctan._steepness(p)

    @staticmethod
    def quantile_density(m, t, p):
        outer = m < 0.25
        s = jnp.where(outer, m, t / 2)
        sine, cosine = s * polynomial(coefficients.SIN_PI, s * s), polynomial(coefficients.COS_PI, s * s)
        root = jnp.where(outer, sine, cosine)
        return (p / 2 * root) * root


def _arctan(y, x):
    """The arctangent of `y / x` over pi, both of them positive."""
    ratio = jnp.minimum(y, x) / jnp.maximum(y, x)
    angle = ratio * polynomial(coefficients.ATAN, ratio * ratio)
    return jnp.where(y > x, 0.5 - angle, angle)
