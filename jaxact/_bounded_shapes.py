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
        return jnp.maximum((p / 2 - c) - low, 0) / p

    @staticmethod
    def mass(c, low, d, p):
        inner, outer = (p / 2 - c) - low, (p / 2 - (c + d)) - low
        return jnp.where(outer > 0, d, jnp.maximum(inner, 0)) / p

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
    def _to_edge(c, low, p):
        """The distance to the edge, in units of half the width."""
        return remaining(*scaled(c, low, inverse_rate(p, 2.0)), 1)

    @staticmethod
    def tail(c, low, p):
        h, rest = Triangle._to_edge(c, low, p)
        return (h * h + 2 * h * rest) / 2

    @staticmethod
    def mass(c, low, d, p):
        h, rest = Triangle._to_edge(c, low, p)
        z, z_rest = scaled(d, 0, inverse_rate(p, 2.0))
        outer = jnp.maximum((h - z) + (rest - z_rest), 0)
        difference = jnp.where(outer > 0, z, h + rest)
        return difference * (((h + outer) + rest) / 2)

    @staticmethod
    def density(c, low, p):
        h, rest = Triangle._to_edge(c, low, p)
        return 2 * (h + rest) / p

    @staticmethod
    def bend(f, u, p):
        return jnp.where(jnp.abs(u) < p / 2, -jnp.sign(u) * (2 / p) * (2 / p), 0 * f)

    @staticmethod
    def quantile(m, t, p):
        return t / (1 + jnp.sqrt(2 * m)) * (p / 2)

    @staticmethod
    def quantile_density(m, t, p):
        return 2 * jnp.sqrt(2 * m) / p


class Sine:
    power = -1

    @staticmethod
    def _to_edge(c, low, p):
        """The distance to the edge, in units of twice the width: at most 1/4."""
        h, rest = remaining(*scaled(c, low, inverse_rate(p)), 0.5)
        return h / 2, rest / 2

    @staticmethod
    def tail(c, low, p):
        h, rest = Sine._to_edge(c, low, p)
        square = h * h + 2 * h * rest
        return square * polynomial(coefficients.SIN_PI_SQUARED, square)

    @staticmethod
    def mass(c, low, d, p):
        # sin(a)**2 - sin(b)**2 = sin(a - b) * sin(a + b)
        h, rest = Sine._to_edge(c, low, p)
        z, z_rest = scaled(d, 0, inverse_rate(p, 0.5))
        outer = jnp.maximum((h - z) + (rest - z_rest), 0)
        difference = jnp.where(outer > 0, z, h + rest)
        return _sin_pi(difference) * _sin_pi((h + outer) + rest)

    @staticmethod
    def density(c, low, p):
        h, rest = Sine._to_edge(c, low, p)
        return (math.pi / 2) * _sin_pi(2 * (h + rest)) / p

    @staticmethod
    def bend(f, u, p):
        inside = jnp.abs(u) < p / 2
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
