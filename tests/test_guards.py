"""Guards cost a compiled program nothing: it is the same, to the letter, when they are taken away."""

import jax
import numpy as np
import pytest

from calls import CALLS
from jaxact import _checks


class Unchecked:
    """Stands in for chex, and counts the assertions that are not made."""

    def __init__(self):
        self.left_out = 0

    def __getattr__(self, assertion):
        def leave_out(*args, **kwargs):
            self.left_out += 1

        return leave_out


def programs():
    """The program of every function's value, as it goes to the compiler; nothing of it is remembered from before."""
    jax.clear_caches()
    return {call.name: jax.jit(call.fun).lower(*row_and_parameters(call)).as_text() for call in CALLS}


def row_and_parameters(call):
    x, parameters = call.arguments(np.float32)
    return x[0], parameters


@pytest.mark.slow
def test_programs_are_those_without_guards(monkeypatch):
    guarded = programs()
    unchecked = Unchecked()
    monkeypatch.setattr(_checks, "chex", unchecked)
    for name, program in programs().items():
        assert program == guarded[name], name
        assert "callback" not in program
    assert unchecked.left_out > len(CALLS)
    monkeypatch.undo()
    jax.clear_caches()
