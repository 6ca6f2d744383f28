"""Shapes of bounded support, `p` wide: their tails are powers and sines of the distance to the edge.

The one idea: that distance is taken in two parts, so that what is close to the edge keeps its digits.
"""

import math

import jax
import jax.numpy as jnp

from jaxact import _coefficients as coefficients
from jaxact._numerics import inverse_rate, polynomial, remaining, scaled


class Box:
    power = -1

    @staticmethod
    def tail(c, low, p):
        return remaining(p / 2, c, low)[0] / p

    @staticmethod
    def mass(c, low, d, p):
        return _overlap(c, low, d, p)[0] / p

    @staticmethod
    def part(c, low, d, p):
        return _overlap(c, low, d, p)[0] / jnp.minimum(p, 1)

    @staticmethod
    def density(c, low, p):
        inside = (p / 2 - c) - low
        return jnp.where(inside < 0, 0, jnp.where(inside >= 0, 1, inside) / p)

    @staticmethod
    def bend(f, u, p):
        return 0 * f

    @staticmethod
    def quantile(m, t, p):
        return t * (p / 2)

    @staticmethod
    def quantile_density(m, t, p):
        return 1 / p + 0 * m


class Triangle:
    power = -1

    @staticmethod
    def tail(c, low, p):
        h, rest = scaled(*remaining(p / 2, c, low), inverse_rate(p, 2.0))
        return (h * h + 2 * h * rest) / 2

    @staticmethod
    def mass(c, low, d, p):
        difference, total = _overlap(c, low, d, p)
        factor = inverse_rate(p, 2.0)
        return scaled(difference, 0, factor)[0] * (scaled(total, 0, factor)[0] / 2)

    @staticmethod
    def part(c, low, d, p):
        difference, total = _overlap(c, low, d, p)
        return jnp.where(p <= 1, Triangle.tail(c, low, p), 2 * difference * (total / (2 * p - 1)))

    @staticmethod
    def density(c, low, p):
        return 4 * (remaining(p / 2, c, low)[0] / p) / p

    @staticmethod
    def bend(f, u, p):
        return jnp.where(jnp.abs(u) <= p / 2, -jnp.sign(u) * (2 / p) * (2 / p), 0 * f)

    @staticmethod
    def quantile(m, t, p):
        return t / (1 + jnp.sqrt(2 * m)) * (p / 2)

    @staticmethod
    def quantile_density(m, t, p):
        return 2 * jnp.sqrt(2 * m) / p


class Sine:
    power = -1

    @staticmethod
    def tail(c, low, p):
        h, rest = scaled(*remaining(p / 2, c, low), inverse_rate(p, 0.5))
        square = h * h + 2 * h * rest
        return square * polynomial(coefficients.SIN_PI_SQUARED, square)

    @staticmethod
    def mass(c, low, d, p):
        # sin(a)**2 - sin(b)**2 = sin(a - b) * sin(a + b)
        difference, total = _overlap(c, low, d, p)
        factor = inverse_rate(p, 0.5)
        mass = _sin_pi(scaled(difference, 0, factor)[0]) * _sin_pi(scaled(total, 0, factor)[0])
        return jnp.where(c + d < p / 2, mass, Sine.tail(c, low, p))

    @staticmethod
    def part(c, low, d, p):
        mass = _sin_pi(1 / (2 * jnp.maximum(p, 1)))
        return jnp.where(p <= 1, Sine.tail(c, low, p), Sine.mass(c, low, d, p) / mass)

    @staticmethod
    def density(c, low, p):
        h, _ = scaled(*remaining(p / 2, c, low), inverse_rate(p))
        return (math.pi / 2) * _sin_pi(h) / p

    @staticmethod
    def bend(f, u, p):
        inside = jnp.abs(u) <= p / 2
        ratio = jnp.where(inside, u, 0) / p
        return jnp.where(inside, -(math.pi / p) * (math.pi / p) / 2 * sin_pi(ratio), 0 * f)

    @staticmethod
    def quantile(m, t, p):
        outer = m < 0.25
        s = jnp.where(outer, jnp.sqrt(m), t)
        angle = s * polynomial(coefficients.ASIN, s * s)
        return p * jnp.where(outer, 0.5 - 2 * angle, angle)

    @staticmethod
    def quantile_density(m, t, p):
        return math.pi * jnp.sqrt(m * (1 - m)) / p


def _overlap(c, low, d, p):
    """Of the distances from the edge to `c` and to `c + d`, 0 beyond the edge, the difference and the sum."""
    inner, rest = remaining(p / 2, c, low)
    outer = jnp.maximum((inner - d) + rest, 0)
    return jnp.where(outer > 0, d, inner), (inner + outer) + rest


def _sin_pi(t):
    """`sin(pi * t)` for `t` in [0, 1/2]."""
    small = jnp.minimum(t, 0.25)
    rest = 0.5 - jnp.maximum(t, 0.25)
    sine = small * polynomial(coefficients.SIN_PI, small * small)
    return jnp.where(t < 0.25, sine, polynomial(coefficients.COS_PI, rest * rest))


@jax.custom_jvp
def sin_pi(t: jax.Array) -> jax.Array:
    """`sin(pi * t)` for `t` in [-1/2, 1/2]."""
    return jnp.copysign(_sin_pi(jnp.abs(t)), t)


@sin_pi.defjvp
def _sin_pi_jvp(primals, tangents):
    (t,), (t_dot,) = primals, tangents
    return sin_pi(t), math.pi * cos_pi(t) * t_dot


@jax.custom_jvp
def cos_pi(t: jax.Array) -> jax.Array:
    """`cos(pi * t)` for `t` in [-1/2, 1/2]."""
    return _sin_pi(0.5 - jnp.abs(t))


@cos_pi.defjvp
def _cos_pi_jvp(primals, tangents):
    (t,), (t_dot,) = primals, tangents
    return cos_pi(t), -math.pi * sin_pi(t) * t_dot
