"""Whole training steps, jitted, with the usual functions and with those of jaxact; all else is the same: optax's Adam.

Two small perceptrons: one for counts with a softplus rate, as in `examples/doctor_visits.py`, and a classifier, in
float32 and in bfloat16, as in `examples/digits_bfloat16.py`.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import jaxact
from benchmarks.row import OURS, from_library, library


@dataclasses.dataclass(frozen=True)
class Model:
    """A perceptron, its losses by who wrote them, and a batch."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    losses: Mapping[str, Callable]
    make_labels: Callable
    dtype: type = jnp.float32

    def programs(self) -> dict[str, Callable]:
        """A step of training for each loss, from the same start and batch."""
        random = np.random.default_rng(0)
        images = jnp.asarray(random.uniform(size=(self.batch, self.sizes[0])), self.dtype)
        labels = self.make_labels(random, self.batch)
        layers = [
            (jnp.asarray(random.normal(size=pair) / np.sqrt(pair[0]), self.dtype), jnp.zeros(pair[1], self.dtype))
            for pair in zip(self.sizes[:-1], self.sizes[1:], strict=True)
        ]
        optax = library("optax")
        optimizer = optax.adam(1e-3)
        state = optimizer.init(layers)

        def program(loss):
            @jax.jit
            def step(layers, state, images, labels):
                def mean_loss(layers):
                    return jnp.mean(loss(_outputs(layers, images), labels))

                value, gradients = jax.value_and_grad(mean_loss)(layers)
                updates, state = optimizer.update(gradients, state)
                return optax.apply_updates(layers, updates), state, value

            return lambda: step(layers, state, images, labels)

        return {name: program(loss) for name, loss in self.losses.items()}


def _outputs(layers, x):
    for weights, offset in layers[:-1]:
        x = jax.nn.relu(x @ weights + offset)
    weights, offset = layers[-1]
    return x @ weights + offset


def _usual_poisson(outputs, counts):
    rate = jax.nn.softplus(outputs[:, 0])
    return rate - counts * jnp.log(rate)


def _our_poisson(outputs, counts):
    return jaxact.poisson_nll(jaxact.log_softplus(outputs[:, 0]), counts)


def _counts(random, batch):
    return jnp.asarray(random.poisson(3.0, batch), jnp.float32)


def _classes(random, batch):
    return jnp.asarray(random.integers(0, 10, batch), jnp.int32)


VISITS = {OURS: _our_poisson, "jax.nn": _usual_poisson}
DIGITS = {
    OURS: jaxact.softmax_cross_entropy_with_integer_labels,
    "optax": from_library("optax", "softmax_cross_entropy_with_integer_labels"),
}
MODELS = (
    Model("doctor visits", (12, 64, 64, 1), 256, VISITS, _counts),
    Model("digits", (64, 128, 10), 128, DIGITS, _classes),
    Model("digits, bfloat16", (64, 128, 10), 128, DIGITS, _classes, jnp.bfloat16),
)
