"""A classifier of handwritten digits in Haiku; its softplus has a `beta` that is trained.

Run `python examples/digits_haiku.py` (needs jaxact, dm-haiku, optax, scikit-learn). It takes seconds.
"""

from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import jaxact

digits: Any = load_digits()
images, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)
test = np.arange(labels.size) % 5 == 0


@hk.without_apply_rng
@hk.transform
def classifier(images: jax.Array) -> jax.Array:
    start = hk.initializers.Constant(jaxact.softplus_inverse(2.0))
    beta = jaxact.softplus(hk.get_parameter("raw_beta", (), init=start))
    return hk.Linear(10)(jaxact.softplus(hk.Linear(64)(images), beta=beta))


def mean_loss(params: Any) -> jax.Array:
    logits = classifier.apply(params, images[~test])
    return jaxact.softmax_cross_entropy_with_integer_labels(logits, labels[~test]).mean()


optimizer = optax.adam(1e-2)


@jax.jit
def train_step(params: Any, state: Any) -> tuple[Any, Any]:
    updates, state = optimizer.update(jax.grad(mean_loss)(params), state)
    return optax.apply_updates(params, updates), state


params: Any = classifier.init(jax.random.key(0), images[:1])
state = optimizer.init(params)
for _ in range(200):
    params, state = train_step(params, state)

right = jnp.mean(jnp.argmax(classifier.apply(params, images[test]), axis=-1) == labels[test])
print(f"{right:.1%} of the test images right, beta {jaxact.softplus(params['~']['raw_beta']):.2f}")
