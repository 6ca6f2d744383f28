"""A classifier of handwritten digits in Flax NNX; its softplus has a `beta` that is trained.

Run `python examples/digits_flax_nnx.py` (needs jaxact, flax, optax, scikit-learn). It takes seconds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import jaxact

digits: Any = load_digits()
images, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)
test = np.arange(labels.size) % 5 == 0


class Classifier(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden, self.last = nnx.Linear(64, 64, rngs=rngs), nnx.Linear(64, 10, rngs=rngs)
        self.raw_beta = nnx.Param(jaxact.softplus_inverse(2.0))

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.last(jaxact.softplus(self.hidden(images), beta=jaxact.softplus(self.raw_beta[...])))


def mean_loss(model: Classifier) -> jax.Array:
    return jaxact.softmax_cross_entropy_with_integer_labels(model(images[~test]), labels[~test]).mean()


@nnx.jit
def train_step(model: Classifier, optimizer: nnx.Optimizer) -> None:
    optimizer.update(model, nnx.grad(mean_loss)(model))


model = Classifier(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
for _ in range(200):
    train_step(model, optimizer)

right = jnp.mean(jnp.argmax(model(images[test]), axis=-1) == labels[test])
print(f"{right:.1%} of the test images right, beta {jaxact.softplus(model.raw_beta[...]):.2f}")
