"""What tests of properties share: arrays that Hypothesis draws, programs of many functions, errors in ulp.

A program is compiled once, for arrays of one shape, and evaluates all functions that share a property. In the ordinary
run every property sees 200 examples; `--hypothesis-profile=long` gives it 20,000.
"""

import functools

import hypothesis
import hypothesis.extra.numpy as arrays_of
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

import jaxact
from cases_rounding import PARAMETERS
from ulp import spacing

SHAPE = ROWS, CLASSES = 2, 8
LONG = hypothesis.settings.default.max_examples > 1000
# A box with edges, a normal and a heavy tail; all of them where there is time to compile.
FEW = ("Triangle", "Gaussian", "FastSigmoid")
KERNELS = {name: getattr(jaxact, name)(p) for name, p in PARAMETERS.items() if LONG or name in FEW}
TINY, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def arrays(low=-LARGEST, high=LARGEST, shape=SHAPE):
    """Arrays of normal float32 numbers, and 0, from an interval; some of them of ordinary size, so that they matter."""
    bounds = {"width": 32, "allow_subnormal": False, "allow_nan": False}
    everything = st.floats(low, high, **bounds)
    ordinary = st.floats(max(low, -128.0), min(high, 128.0), **bounds)
    return arrays_of.arrays(np.float32, shape, elements=ordinary | everything)


# Multiples of 1/64 below 2**8: sums and differences with each other and with integers below 2**14 are exact.
grid = st.integers(-(2**14), 2**14).map(lambda k: k / 64)
on_grid = arrays_of.arrays(np.float32, SHAPE, elements=grid)
reals, positive, probabilities = arrays(), arrays(0.0), arrays(0.0, 1.0)


def long(x):
    """In longdouble."""
    return np.asarray(x).astype(np.longdouble)


def ulp(x):
    """The unit in the last place of float32 at `x`."""
    return spacing(np.abs(long(x)), np.float32)


def stacked(results):
    """The program of a function that returns arrays of one shape by name, or tuples of them, as one array."""

    def stack(*arrays):
        return jnp.stack([jnp.stack(v) if isinstance(v, tuple) else v for v in results(*arrays).values()])

    return jax.jit(stack)


def assert_each(names, right):
    """What the first axis goes over is right."""
    names = list(names)
    right = np.asarray(right).reshape(len(names), -1).all(axis=-1)
    assert right.all(), [name for name, one in zip(names, right, strict=True) if not one]


def with_kernels(name):
    """The function of that name with every kernel."""
    function = getattr(jaxact, name)
    return {f"{name}-{kernel}": functools.partial(with_kernel, function, KERNELS[kernel]) for kernel in KERNELS}


def with_kernel(function, kernel, x):
    """The function of an argument and a kernel, as one of a kernel and an argument."""
    return function(x, kernel)


def named(*names):
    """The functions of these names."""
    return {name: getattr(jaxact, name) for name in names}
