"""A classifier of handwritten digits in Equinox; its softplus has a `beta` that is trained.

Run `python examples/digits_equinox.py` (needs jaxact, equinox, optax, scikit-learn). It takes seconds.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import jaxact

digits: Any = load_digits()
images, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)
test = np.arange(labels.size) % 5 == 0


class Classifier(eqx.Module):
    hidden: eqx.nn.Linear
    last: eqx.nn.Linear
    raw_beta: jax.Array

    def __init__(self, key: jax.Array) -> None:
        hidden_key, last_key = jax.random.split(key)
        self.hidden, self.last = eqx.nn.Linear(64, 64, key=hidden_key), eqx.nn.Linear(64, 10, key=last_key)
        self.raw_beta = jaxact.softplus_inverse(2.0)

    def __call__(self, image: jax.Array) -> jax.Array:
        return self.last(jaxact.softplus(self.hidden(image), beta=jaxact.softplus(self.raw_beta)))


def mean_loss(model: Classifier) -> jax.Array:
    logits = jax.vmap(model)(images[~test])
    return jaxact.softmax_cross_entropy_with_integer_labels(logits, labels[~test]).mean()


optimizer = optax.adam(1e-2)


@eqx.filter_jit
def train_step(model: Classifier, state: Any) -> tuple[Classifier, Any]:
    updates, state = optimizer.update(eqx.filter_grad(mean_loss)(model), state)
    return eqx.apply_updates(model, updates), state


model = Classifier(jax.random.key(0))
state = optimizer.init(eqx.filter(model, eqx.is_array))
for _ in range(200):
    model, state = train_step(model, state)

right = jnp.mean(jnp.argmax(jax.vmap(model)(images[test]), axis=-1) == labels[test])
print(f"{right:.1%} of the test images right, beta {jaxact.softplus(model.raw_beta):.2f}")
