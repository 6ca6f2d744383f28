"""Staircases of kernels with a known shape, each with its derivatives directly below it.

The one idea: a step smoothed by a density has that density as its slope, whose slope is the shape's `bend`. All
derivatives are written with these two, and with `relative motion`: as everything depends on `u` over the width alone, a
change of the parameter `p` acts as a change of `u` does that is `power * u / p` times as large.

Round has its steps half-way between integers, floor has them on integers; with `r = x - round(x)`, which is exact, both
are written for one cell, over which the density is normalised: a step is at `r = 1/2` or `r = 0`.
"""

import functools
import operator
from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxact._numerics import finite


class Shape(Protocol):
    """An even density with one parameter `p`, as formulas that are accurate in its tails.

    They take the distance `c >= 0` from the centre in two parts, `c + low`, and need no rules for derivatives.
    """

    power: int
    """1 if the width is inversely proportional to the parameter, -1 if it is proportional to it."""

    @staticmethod
    def tail(c, low, p) -> jax.Array:
        """The probability of lying beyond `c`."""
        ...

    @staticmethod
    def mass(c, low, d, p) -> jax.Array:
        """The probability of lying between `c` and `c + d`, right also for small `d`."""
        ...

    @staticmethod
    def part(c, low, d, p) -> jax.Array:
        """`mass` over that of the cell within 1/2 of the centre, for `c + d = 1/2`."""
        ...

    @staticmethod
    def density(c, low, p) -> jax.Array:
        """The density at `c`."""
        ...

    @staticmethod
    def bend(f, u, p) -> jax.Array:
        """The slope at `u`, of either sign, of the density, which is `f` there; differentiable."""
        ...

    @staticmethod
    def quantile(m, t, p) -> jax.Array:
        """The `c` beyond which the probability is `m`; `t = 1 - 2 * m`, which may be more exact than `m`."""
        ...

    @staticmethod
    def quantile_density(m, t, p) -> jax.Array:
        """The density there."""
        ...


Kind = type[Shape]
rule = functools.partial(jax.custom_jvp, nondiff_argnums=(0,))


def tangent_of(out: jax.Array, *terms: tuple[jax.Array | SymbolicZero, Callable[[], jax.Array]]) -> jax.Array:
    """The sum of tangents times slopes; a slope is computed only where the tangent is not known to vanish."""
    products = [slope() * t for t, slope in terms if not isinstance(t, SymbolicZero)]
    return functools.reduce(operator.add, products) if products else jnp.zeros_like(out)


# The density, and the step that it makes


@rule
def density(shape: Kind, u: jax.Array, low: jax.Array, p: jax.Array) -> jax.Array:
    """The density at a distance `abs(u) + low`; it is not differentiated in the rounding error `low`."""
    return shape.density(jnp.abs(u), low, p)


@functools.partial(density.defjvp, symbolic_zeros=True)
def _density_jvp(shape, primals, tangents):
    (u, low, p), (u_dot, _, p_dot) = primals, tangents
    out = density(shape, u, low, p)

    def bend():
        return shape.bend(out, u, p)

    return out, tangent_of(out, (u_dot, bend), (p_dot, lambda: shape.power / p * (finite(u) * bend() + out)))


@rule
def cdf(shape: Kind, u: jax.Array, p: jax.Array) -> jax.Array:
    tail = shape.tail(jnp.abs(u), jnp.zeros_like(u), p)
    return jnp.where(u < 0, tail, 1 - tail)


@functools.partial(cdf.defjvp, symbolic_zeros=True)
def _cdf_jvp(shape, primals, tangents):
    (u, p), (u_dot, p_dot) = primals, tangents
    out = cdf(shape, u, p)

    def slope():
        return density(shape, u, jnp.zeros_like(u), p)

    return out, tangent_of(out, (u_dot, slope), (p_dot, lambda: finite(shape.power / p * u) * slope()))


@rule
def sign(shape: Kind, u: jax.Array, p: jax.Array) -> jax.Array:
    """`2 * cdf - 1`, right also close to 0."""
    zero = jnp.zeros_like(u)
    return jnp.sign(u) * 2 * shape.mass(zero, zero, jnp.abs(u), p)


@functools.partial(sign.defjvp, symbolic_zeros=True)
def _sign_jvp(shape, primals, tangents):
    (u, p), (u_dot, p_dot) = primals, tangents
    out = sign(shape, u, p)

    def slope():
        return 2 * density(shape, u, jnp.zeros_like(u), p)

    return out, tangent_of(out, (u_dot, slope), (p_dot, lambda: finite(shape.power / p * u) * slope()))


# Two steps, at -threshold and at threshold


@rule
def ternary(shape: Kind, x: jax.Array, threshold: jax.Array, p: jax.Array) -> jax.Array:
    """`cdf(x - threshold) - cdf(-x - threshold)`, right also close to 0."""
    magnitude = jnp.abs(finite(x))
    near, near_low = _sum(magnitude, -threshold)
    zero = jnp.zeros_like(x)
    below = shape.mass(jnp.abs(near), -near_low, 2 * jnp.where(near < 0, magnitude, 0), p)
    above = shape.mass(zero, zero, jnp.maximum(near, 0), p) + shape.mass(zero, zero, magnitude + threshold, p)
    return jnp.where(threshold >= 0, jnp.sign(x) * jnp.where(near < 0, below, above), jnp.nan)


@functools.partial(ternary.defjvp, symbolic_zeros=True)
def _ternary_jvp(shape, primals, tangents):
    (x, threshold, p), (x_dot, threshold_dot, p_dot) = primals, tangents
    out = ternary(shape, x, threshold, p)
    upper, upper_low = _sum(finite(x), -threshold)
    lower, lower_low = _sum(finite(x), threshold)
    # Of two boxes that touch, the farther one counts as touching just not, so that not both count there.
    beyond = jnp.where(x < 0, float(jnp.finfo(x.dtype).tiny), 0)
    upper_low = jnp.where(upper < 0, -upper_low, upper_low) + beyond
    lower_low = jnp.where(lower < 0, -lower_low, lower_low) + (float(jnp.finfo(x.dtype).tiny) - beyond)

    def slope_of_upper():
        return density(shape, upper, upper_low, p)

    def slope_of_lower():
        return density(shape, lower, lower_low, p)

    return out, tangent_of(
        out,
        (x_dot, lambda: slope_of_upper() + slope_of_lower()),
        (threshold_dot, lambda: slope_of_lower() - slope_of_upper()),
        (p_dot, lambda: shape.power / p * (upper * slope_of_upper() + lower * slope_of_lower())),
    )


def _sum(x, y):
    """`x + y` and its rounding error."""
    total = x + y
    y_part = total - x
    return total, (x - (total - y_part)) + (y - y_part)


# A cell around an integer, over which the density is normalised


@rule
def cell_mass(shape: Kind, p: jax.Array) -> jax.Array:
    """The probability of lying within 1/2 of the centre."""
    zero = jnp.zeros_like(p)
    return 2 * shape.mass(zero, zero, jnp.full_like(p, 0.5), p)


@cell_mass.defjvp
def _cell_mass_jvp(shape, primals, tangents):
    (p,), (p_dot,) = primals, tangents
    return cell_mass(shape, p), shape.power / p * _density_at_end(shape, p) * p_dot


def _density_at_end(shape, p):
    half = jnp.full_like(p, 0.5)
    return density(shape, half, jnp.zeros_like(p), p)


def nearest(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The nearest integer `n`, halves to even, and `x - n`, which is exact; 0 where `x` has no fraction."""
    small = jnp.where(jnp.abs(x) == jnp.inf, 0, x)
    return jnp.round(x), small - jnp.round(small)


class Cell(NamedTuple):
    """Where in a staircase something lies."""

    tread: jax.Array
    """The nearest tread."""
    direction: jax.Array
    """Of the tread beyond the nearest step: 1 or -1."""
    distance: jax.Array
    """How far the middle of the nearest tread is, at most 1/2."""
    u: jax.Array
    """How far the nearest step is, with a negative sign."""
    low: jax.Array
    """What `-u` lacks of that by rounding."""


def cell(x: jax.Array, name: str) -> Cell:
    """The cell of `x` in a `round`, a `floor`, a `ceil`, or in a floor plus 1/2, the `middle`."""
    n, r = nearest(x)
    # On a step, floor counts as beyond it and ceil as before, so that both are their tread plus or minus 1/2.
    sign = jnp.where((r <= 0) if name == "ceil" else (r < 0), -1.0, 1.0).astype(x.dtype)
    if name == "round":
        distance = sign * r
        c = 0.5 - distance
        return Cell(n, sign, distance, -c, (0.5 - c) - distance)
    # At a kink, too, derivatives are those from above.
    upper = r == 0.5
    n, r, sign = jnp.where(upper, n + 1, n), jnp.where(upper, r - 1, r), jnp.where(upper, -1, sign)
    # The offset is a whole number: added in halves, they would round where n is so large that it has no fraction.
    tread = n + ({"floor": -0.5, "middle": 0.0, "ceil": 0.5}[name] + sign / 2)
    return Cell(tread, -sign, 0.5 - sign * r, -sign * r, jnp.zeros_like(r))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def staircase(shape: Kind, name: str, x: jax.Array, p: jax.Array) -> jax.Array:
    """The soft `round`, `floor` or `ceil`."""
    at = cell(x, name)
    return at.tread + at.direction * part_of_step(shape, at, p)


def part_of_step(shape: Kind, at: Cell, p: jax.Array) -> jax.Array:
    """How far the staircase has left its nearest tread for the one beyond the step: 0 to 1/2."""
    size, zero = jnp.abs(at.u), jnp.zeros_like(at.u)
    # Close to the step, what is missing from 1/2 is small, and so is its error.
    missing = shape.mass(zero, zero, size, p) / cell_mass(shape, p)
    return jnp.where(missing < 0.125, 0.5 - missing, shape.part(size, at.low, at.distance, p))


def staircase_slope(shape: Kind, name: str, x: jax.Array, p: jax.Array) -> jax.Array:
    at = cell(x, name)
    return density(shape, at.u, at.low, p) / cell_mass(shape, p)


@functools.partial(staircase.defjvp, symbolic_zeros=True)
def _staircase_jvp(shape, name, primals, tangents):
    (x, p), (x_dot, p_dot) = primals, tangents

    def slope_in_p():
        at = cell(x, name)
        end = (0.5 - part_of_step(shape, at, p)) * _density_at_end(shape, p)
        motion = end + at.u * density(shape, at.u, at.low, p)
        return shape.power / p * at.direction * motion / cell_mass(shape, p)

    slope = functools.partial(staircase_slope, shape, name, x, p)
    return staircase(shape, name, x, p), tangent_of(x, (x_dot, slope), (p_dot, slope_in_p))


@rule
def jumping_round(shape: Kind, x: jax.Array, p: jax.Array) -> jax.Array:
    """`floor(x)` plus the step at 1/2 of the density as it is, which so jumps at integers."""
    at = cell(x, "round")
    return at.tread + at.direction * shape.tail(jnp.abs(at.u), at.low, p)


@functools.partial(jumping_round.defjvp, symbolic_zeros=True)
def _jumping_round_jvp(shape, primals, tangents):
    (x, p), (x_dot, p_dot) = primals, tangents
    at = cell(x, "round")

    def slope():
        return density(shape, at.u, at.low, p)

    tangent = tangent_of(x, (x_dot, slope), (p_dot, lambda: shape.power / p * at.direction * at.u * slope()))
    return jumping_round(shape, x, p), tangent
