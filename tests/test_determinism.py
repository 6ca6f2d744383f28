"""The same bits for the same input, from any thread, in any process; nothing global changes, no cache grows."""

import functools
import inspect
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxact
from test_bad_input import FUNCTIONS, KERNELS, call_with

PROGRAM = pathlib.Path(__file__).parent / "many_threads.py"
ROOT = pathlib.Path(__file__).parents[1]


@functools.cache
def a_run(_number):
    command = [sys.executable, str(PROGRAM)]
    run = subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT)
    return json.loads(run.stdout)


def test_many_threads_import_and_call_at_once():
    run = a_run(0)
    assert not run["errors"]
    assert len(run["digests"]) == 16


def test_the_same_bits_from_thread_to_thread_and_when_compiled_anew():
    assert len(set(a_run(0)["digests"] + a_run(0)["again"])) == 1


@pytest.mark.slow
def test_the_same_bits_from_process_to_process():
    assert a_run(0)["digests"] == a_run(1)["digests"]


def test_importing_and_calling_change_no_global_state():
    assert a_run(0)["outside is unchanged"]
    assert a_run(0)["modules are unchanged"]


# What a jitted function is called with first, and then again and again, without another program.
VALUES = (0.5, 0.625, 0.75, 0.875, 0.9375)
# Options that may vary from call to call, and those of the positional arguments that are numbers.
TRACED = {
    *("beta", "negative_slope", "min_value", "max_value", "steepness", "width", "temperature", "threshold", "at_zero"),
    *("gain", "scale", "zero_point", "dispersion", "label_smoothing", "z_loss"),
}
# Behind a wrapper that looks at plain numbers first.
INNER = {
    "hard_tanh": jaxact._piecewise._guarded_hard_tanh,
    "approx_round_sin": jaxact._rounding._approx_round_sin,
    "surrogate_round": jaxact._surrogate_staircases._softened,
}


def programs(name):
    function = INNER.get(name, getattr(jaxact, name))
    # With static options a wrapper around it names those that cannot be hashed.
    return (function if hasattr(function, "_cache_size") else function.__wrapped__)._cache_size()


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in FUNCTIONS
        for option in inspect.signature(getattr(jaxact, name)).parameters
        if option in TRACED
    ],
)
def test_the_cache_does_not_grow_with_a_parameter(name, option):
    call_with(name, option, VALUES[0])
    before = programs(name)
    for value in VALUES[1:]:
        call_with(name, option, value)
    assert programs(name) == before


def test_the_cache_does_not_grow_with_the_parameter_of_a_kernel():
    for kernel in KERNELS:
        call_with("surrogate_round", "kernel", getattr(jaxact, kernel)(VALUES[0]))
        before = programs("surrogate_round")
        for value in VALUES[1:]:
            call_with("surrogate_round", "kernel", getattr(jaxact, kernel)(value))
        assert programs("surrogate_round") == before


def test_a_loop_that_anneals_compiles_once():
    traces = []

    @jax.jit
    def step(x, kernel, temperature):
        traces.append(1)
        return jax.grad(lambda x: jaxact.surrogate_round(jaxact.softmax(x / temperature), kernel).sum())(x)

    for i in range(5):
        step(jnp.asarray(np.ones(4, np.float32)), jaxact.Logistic(1.0 + i), 1.0 / (1 + i))
    assert len(traces) == 1
