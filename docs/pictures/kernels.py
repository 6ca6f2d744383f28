"""Every kernel: its density, its cdf, and the three readings of round that it gives."""

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxact
from pictures import curves, style


class Hyperbolic(jaxact.Kernel):
    """The kernel of the user's own in the documentation of `jaxact.Kernel`."""

    scale: float = 0.25

    def cdf(self, u: jax.Array) -> jax.Array:
        return 0.5 + 0.5 * u / jnp.sqrt(self.scale**2 + u**2)

    def pdf(self, u: jax.Array) -> jax.Array:
        return 0.5 * self.scale**2 * (self.scale**2 + u**2) ** -1.5

    def quantile(self, p: jax.Array) -> jax.Array:
        return self.scale * (2 * p - 1) / jnp.sqrt(4 * p * (1 - p))


KERNELS = {
    "Kernel": Hyperbolic(),
    "Box": jaxact.Box(),
    "Triangle": jaxact.Triangle(),
    "Sine": jaxact.Sine(),
    "Logistic": jaxact.Logistic(),
    "Arctan": jaxact.Arctan(),
    "FastSigmoid": jaxact.FastSigmoid(),
    "Gaussian": jaxact.Gaussian(),
    "Laplace": jaxact.Laplace(),
}


def draw(kernel: jaxact.Kernel) -> Figure:
    """The picture of one kernel."""
    u, x = jnp.linspace(-1.5, 1.5, 1501), jnp.linspace(-1.6, 1.6, 1601)  # peaks are among the points
    density, cdf, soft, slope, hard, sampled = jax.jit(_evaluate)(kernel, u, x)
    figure = Figure((6.6, 4.6))
    ((left, right), (values, slopes)) = figure.subplots(2, 2)
    figure.subplots_adjust(left=0.07, right=0.99, bottom=0.1, top=0.93, hspace=0.5, wspace=0.18)
    left.set_title(f"density of {_written(kernel)}")
    left.plot(u, curves.broken(np.asarray(density)), color=style.VERMILLION)
    left.set(xlabel="u", ylim=(-0.04 * density.max(), None))
    right.set_title("cdf")
    right.plot(u, cdf, color=style.BLUE)
    right.set(xlabel="u", ylim=(-0.05, 1.05))
    few = slice(None, None, len(x) // curves.SAMPLES)
    values.plot(x, curves.broken(np.asarray(hard)), color=style.ORANGE, lw=6, alpha=0.55, label="surrogate")
    values.plot(x[few], sampled[few], ".", color=style.PURPLE, ms=3.5, label="stochastic")
    values.plot(x, soft, color=style.BLUE, label="soft")
    values.legend(loc="upper left")
    values.set_title("three readings of round")
    values.set(xlabel="x", yticks=range(-2, 3))
    slopes.plot(x, slope, color=style.VERMILLION)
    slopes.set_title("their one derivative")
    slopes.set(xlabel="x", ylim=(0, None))
    return figure


def _evaluate(kernel, u, x):
    soft, slope = jax.jvp(lambda x: jaxact.soft_round(x, kernel), (x,), (jnp.ones_like(x),))
    sampled = jaxact.stochastic_round(curves.KEY, x, kernel)
    return kernel.pdf(u), kernel.cdf(u), soft, slope, jaxact.surrogate_round(x, kernel), sampled


def _written(kernel):
    ((path, parameter),) = jax.tree_util.tree_leaves_with_path(kernel)
    return f"{type(kernel).__name__}({path[0].name}={parameter:g})"
