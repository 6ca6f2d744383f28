"""Inverses: of the distribution function of a kernel, and of its soft staircases.

The one idea: an inverse is known by the tail beyond it and the mass within, both sums of nothing negative; and its
slope is 1 over the density there, which is a simple function of these two, so that no digits are lost on the way.
"""

import functools

import jax
import jax.numpy as jnp

from jaxact._kernel_rules import Kind, cell_mass, nearest, rule, staircase, staircase_slope, tangent_of
from jaxact._numerics import finite


@rule
def quantile(shape: Kind, q: jax.Array, p: jax.Array) -> jax.Array:
    """The inverse of `cdf`, NaN outside [0, 1]."""
    m, t = _tail_and_mass(q)
    return jnp.where(q < 0.5, -1, 1) * shape.quantile(m, t, p)


@functools.partial(quantile.defjvp, symbolic_zeros=True)
def _quantile_jvp(shape, primals, tangents):
    (q, p), (q_dot, p_dot) = primals, tangents
    out = quantile(shape, q, p)
    slope = (q_dot, lambda: 1 / quantile_density(shape, q, p))
    return out, tangent_of(out, slope, (p_dot, lambda: -shape.power / p * out))


@rule
def quantile_density(shape: Kind, q: jax.Array, p: jax.Array) -> jax.Array:
    """The density at the quantile."""
    return shape.quantile_density(*_tail_and_mass(q), p)


@functools.partial(quantile_density.defjvp, symbolic_zeros=True)
def _quantile_density_jvp(shape, primals, tangents):
    (q, p), (q_dot, p_dot) = primals, tangents
    out = quantile_density(shape, q, p)
    slope = (q_dot, lambda: shape.bend(out, quantile(shape, q, p), p) / out)
    return out, tangent_of(out, slope, (p_dot, lambda: shape.power / p * out))


def _tail_and_mass(q):
    m = jnp.where(q < 0.5, q, 1 - q)
    m = jnp.where(m >= 0, m, jnp.nan)
    return m, 1 - 2 * m


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def inverse(shape: Kind, name: str, y: jax.Array, p: jax.Array) -> jax.Array:
    """The inverse of the soft `round`, or of the soft floor plus 1/2, the `middle` of its steps."""
    n, s = nearest(y)
    u = shape.quantile(*_level(shape, name, s, p), p)
    if name == "middle":
        return n + jnp.sign(s) * u
    # Close to an integer, 1/2 - u has few digits left, or none, where 0 is closer. Two steps of Newton's method bring
    # all back; one, where what there is to be compared would be flushed to 0.
    level = jnp.abs(s)
    d = 0.5 - u
    d = jnp.where(d < 8 * float(jnp.finfo(d.dtype).eps), 0, d)
    tiny = level < float(jnp.finfo(d.dtype).tiny / jnp.finfo(d.dtype).eps)
    for _ in range(2):
        c = 0.5 - d
        low = (0.5 - c) - d
        slope = shape.density(c, low, p) / cell_mass(shape, p)
        step = (level - shape.part(c, low, d, p)) / jnp.where(slope > 0, slope, 1)
        d = jnp.where((d < 0.25) & (slope > 0) & ((d == 0) | ~tiny), jnp.maximum(d + step, 0), d)
    return n + jnp.sign(s) * d


def _level(shape, name, s, p):
    """Tail and mass of the offset from the nearest step, where the staircase lies `s` from the nearest integer."""
    mass, level = cell_mass(shape, p), jnp.abs(s)
    half = jnp.full_like(p, 0.5)
    end = shape.tail(half, jnp.zeros_like(p), p)
    risen, left = (0.5 - level, 2 * level) if name == "middle" else (level, 1 - 2 * level)
    return end + risen * mass, left * mass


@functools.partial(inverse.defjvp, symbolic_zeros=True)
def _inverse_jvp(shape, name, primals, tangents):
    (y, p), (y_dot, p_dot) = primals, tangents
    out = inverse(shape, name, y, p)

    def slope_in_p():
        # Where the value stays, the staircase's change with the parameter is made up for by the argument.
        staircase_dot = jax.jvp(lambda p: staircase(shape, name, out, p), (p,), (jnp.ones_like(p),))[1]
        return -finite(inverse_slope(shape, name, y, p)) * staircase_dot

    slope = functools.partial(inverse_slope, shape, name, y, p)
    return out, tangent_of(y, (y_dot, slope), (p_dot, slope_in_p))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def inverse_slope(shape: Kind, name: str, y: jax.Array, p: jax.Array) -> jax.Array:
    _, s = nearest(y)
    return cell_mass(shape, p) / shape.quantile_density(*_level(shape, name, s, p), p)


@functools.partial(inverse_slope.defjvp, symbolic_zeros=True)
def _inverse_slope_jvp(shape, name, primals, tangents):
    (y, p), (y_dot, p_dot) = primals, tangents
    out = inverse_slope(shape, name, y, p)

    def slope():
        # By way of the offset from the step, which is right also where it is small.
        _, s = nearest(y)
        level = _level(shape, name, s, p)
        side = jnp.where(s < 0, -1, 1) if name == "middle" else jnp.where(s < 0, 1, -1)
        f, u = shape.quantile_density(*level, p), side * shape.quantile(*level, p)
        return -out * out * (shape.bend(f, u, p) / f)

    def slope_in_p():
        x, x_dot = jax.jvp(lambda p: inverse(shape, name, y, p), (p,), (jnp.ones_like(p),))
        slope_at = functools.partial(staircase_slope, shape, name)
        return -out * out * jax.jvp(slope_at, (x, p), (x_dot, jnp.ones_like(p)))[1]

    return out, tangent_of(out, (y_dot, slope), (p_dot, slope_in_p))
