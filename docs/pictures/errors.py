"""Errors in ulp of usual formulas and of this library, in float32, where the usual ones lose their digits.

One ulp is the spacing of float32 numbers at the true value, which mpmath computes to 60 digits.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from matplotlib.figure import Figure

import jaxact
from pictures import style

LN2 = float(np.log(2.0))
FLOOR = 0.1  # errors below this, exact results among them, are drawn here


class Comparison(NamedTuple):
    """What is compared at which points, and how far along the axis a point stands."""

    truth: Callable
    functions: dict[str, Callable[[jax.Array], jax.Array]]
    points: np.ndarray
    label: str
    position: Callable[[np.ndarray], np.ndarray] | None = None


def slope(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


def around(centre: float, reach: float) -> np.ndarray:
    """Points on both sides of a centre, denser and denser towards it."""
    distances = np.geomspace(1e-8, reach, 150)
    return np.unique(np.concatenate([centre - distances, centre + distances]).astype(np.float32))


def _confident(log_softmax):
    return lambda x: log_softmax(jnp.stack([x, jnp.zeros_like(x), jnp.full_like(x, -3.0)], axis=-1))[..., 0]


def _bump(x):
    return 1 / (2 + mpmath.exp(x) + mpmath.exp(-x))


TAIL = np.linspace(0, 40, 260, dtype=np.float32)
COMPARISONS = {
    "softplus_inverse around ln 2": Comparison(
        lambda y: mpmath.log(mpmath.expm1(y)),
        {
            "y + log(-expm1(-y)), as TFP": lambda y: y + jnp.log(-jnp.expm1(-y)),
            "log(expm1(y))": lambda y: jnp.log(jnp.expm1(y)),
            "jaxact": jaxact.softplus_inverse,
        },
        around(LN2, 0.5),
        "distance of y from ln 2",
        lambda y: np.abs(y.astype(np.float64) - LN2),
    ),
    "logit around 1/2": Comparison(
        lambda p: mpmath.log(p / (1 - p)),
        {"jax.scipy.special.logit": jax.scipy.special.logit, "jaxact": jaxact.logit},
        around(0.5, 0.4),
        "distance of p from 1/2",
        lambda p: np.abs(p.astype(np.float64) - 0.5),
    ),
    "The first derivative of sigmoid": Comparison(
        _bump, {"jax.nn": slope(jax.nn.sigmoid), "jaxact": slope(jaxact.sigmoid)}, TAIL, "x"
    ),
    "The second derivative of softplus": Comparison(
        _bump, {"jax.nn": slope(slope(jax.nn.softplus)), "jaxact": slope(slope(jaxact.softplus))}, TAIL, "x"
    ),
    "The first derivative of tanh": Comparison(
        lambda x: mpmath.sech(x) ** 2, {"jax.numpy": slope(jnp.tanh), "jaxact": slope(jaxact.tanh)}, TAIL / 2, "x"
    ),
    "log_softmax of a confident logit": Comparison(
        lambda x: -mpmath.log1p(mpmath.exp(-x) + mpmath.exp(-3 - x)),
        {"jax.nn": _confident(jax.nn.log_softmax), "jaxact": _confident(jaxact.log_softmax)},
        TAIL,
        "x, the first of the logits (x, 0, -3)",
    ),
}


def draw(comparison: Comparison) -> Figure:
    """The picture of one comparison."""
    points = comparison.points
    with mpmath.workdps(60):
        truth = [comparison.truth(mpmath.mpf(float(point))) for point in points]
        spacing = np.spacing(np.array([abs(float(true)) for true in truth], np.float32))
        computed = jax.jit(lambda x: [function(x) for function in comparison.functions.values()])(points)
        errors = [
            [float(abs(mpmath.mpf(float(y)) - true) / float(ulp)) for y, true, ulp in zip(*row, strict=True)]
            for row in ((np.asarray(values), truth, spacing) for values in computed)
        ]
    figure = Figure((4.2, 2.9))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.14, right=0.98, bottom=0.16, top=0.83)
    x = comparison.position(points) if comparison.position else points
    for index, (name, marker) in enumerate(zip(comparison.functions, "ox^"[3 - len(errors) :], strict=True)):
        last = index == len(errors) - 1
        colour = style.BLUE if last else (style.VERMILLION, style.GREEN)[index]
        heights = np.maximum(errors[index], FLOOR)
        axes.plot(x, heights, marker, color=colour, ms=3.5, mew=0.9, fillstyle="none", label=name)
    axes.set(yscale="log", ylim=(FLOOR / 1.5, 5e8), xlabel=comparison.label, ylabel="error in ulp")
    if comparison.position:
        axes.set_xscale("log")
    style.legend(axes, 2)
    return figure
