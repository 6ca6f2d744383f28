"""Imports and calls the library from many threads at once, and says what came out; `test_determinism.py` runs it.

The results are told by their bits, once by each thread and once more after everything was compiled anew. Beside them
stands whether anything has changed: settings of JAX and of numpy, the state of random numbers, what the modules hold.
"""

import hashlib
import importlib
import json
import random
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np

THREADS = 16


def calls(jaxact, x):
    """What is computed: functions of several modules."""
    labels = jnp.arange(len(x)) % x.shape[1]
    return {
        "softplus": jaxact.softplus(x, beta=0.7),
        "cross entropy": jaxact.softmax_cross_entropy_with_integer_labels(x, labels),
        "surrogate": jaxact.surrogate_round(x, jaxact.Triangle(0.3)),
        "stochastic": jaxact.stochastic_sign(jax.random.key(0), x, jaxact.Box(0.3)),
    }


def bits(jaxact):
    """A digest of all values and gradients."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, 9)).astype(np.float32))
    values, backward = jax.vjp(lambda x: calls(jaxact, x), x)
    (gradient,) = backward(jax.tree.map(jnp.cos, values))
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((values, gradient)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def in_threads(count):
    """The digests of threads that start together, each importing the library for itself."""
    barrier, digests, errors = threading.Barrier(count), [], []

    def run():
        try:
            barrier.wait()
            digests.append(bits(importlib.import_module("jaxact")))
        except Exception as error:
            errors.append(repr(error))
            raise

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return digests, errors


def outside_state():
    return {
        "settings": dict(jax.config.values),
        "random": random.getstate(),
        "errors": np.geterr(),
    }


def module_state():
    """What the modules hold: which objects, and what those that could change say of themselves."""
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "jaxact"}
    return {
        f"{module_name}.{name}": repr(value) if isinstance(value, list | dict | set) else id(value)
        for module_name, module in modules.items()
        for name, value in vars(module).items()
        if not name.startswith("__")
    }


def main():
    before = outside_state()
    digests, errors = in_threads(THREADS)
    modules = module_state()
    jax.clear_caches()
    again, more_errors = in_threads(1)
    print(
        json.dumps(
            {
                "digests": digests,
                "again": again,
                "errors": errors + more_errors,
                "outside is unchanged": outside_state() == before,
                "modules are unchanged": module_state() == modules,
            }
        )
    )


if __name__ == "__main__":
    main()
