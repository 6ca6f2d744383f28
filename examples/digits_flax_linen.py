"""A classifier of handwritten digits in Flax linen; its softplus has a `beta` that is trained.

Run `python examples/digits_flax_linen.py` (needs jaxact, flax, optax, scikit-learn). It takes seconds.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import jaxact

digits: Any = load_digits()
images, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)
test = np.arange(labels.size) % 5 == 0


class Classifier(nn.Module):
    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        start = nn.initializers.constant(jaxact.softplus_inverse(2.0))
        beta = jaxact.softplus(self.param("raw_beta", start, ()))
        return nn.Dense(10)(jaxact.softplus(nn.Dense(64)(images), beta=beta))


def mean_loss(params: Any) -> jax.Array:
    logits = jnp.asarray(Classifier().apply(params, images[~test]))
    return jaxact.softmax_cross_entropy_with_integer_labels(logits, labels[~test]).mean()


optimizer = optax.adam(1e-2)


@jax.jit
def train_step(params: Any, state: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(jax.grad(mean_loss)(params), state)
    return optax.apply_updates(params, updates), state


params: Any = Classifier().init(jax.random.key(0), images[:1])
state = optimizer.init(params)
for _ in range(200):
    params, state = train_step(params, state)

right = jnp.mean(jnp.argmax(jnp.asarray(Classifier().apply(params, images[test])), axis=-1) == labels[test])
print(f"{right:.1%} of the test images right, beta {jaxact.softplus(params['params']['raw_beta']):.2f}")
