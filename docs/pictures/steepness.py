"""Smooth roundings from next to none to next to hard."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxact
from pictures import curves, style

ROUNDINGS: dict[str, tuple[Callable[[jax.Array, float], jax.Array], str, tuple[float, ...]]] = {
    "soft_round": (lambda x, s: jaxact.soft_round(x, jaxact.Logistic(s)), "steepness", (1.0, 6.0, 12.0, 30.0)),
    "approx_round": (lambda x, s: jaxact.approx_round(x, steepness=s), "steepness", (1.0, 6.0, 12.0, 30.0)),
    "approx_round_sin": (lambda x, w: jaxact.approx_round_sin(x, width=w), "width", (1.0, 0.6, 0.3, 0.1)),
}


def draw(name: str) -> Figure:
    """Values and slopes of one rounding side by side."""
    function, parameter, settings = ROUNDINGS[name]
    x = jnp.linspace(-1.4, 2.4, curves.POINTS)
    figure = Figure((6.6, 3.1))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.15, top=0.82, wspace=0.15)
    both = jax.jit(lambda x, setting: jax.jvp(lambda x: function(x, setting), (x,), (jnp.ones_like(x),)))
    for index, setting in enumerate(settings):
        value, slope = (np.asarray(y) for y in both(x, setting))
        style.line(left, x, curves.broken(value), index, f"{parameter} {setting:g}")
        style.line(right, x, slope, index)
    left.set(xlabel="x")
    right.set(xlabel="x")
    left.set_title(name)
    right.set_title("slope")
    figure.legend(loc="upper center", ncols=len(settings))
    return figure
