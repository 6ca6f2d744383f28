"""Every public function, through every transform, gives what plain calls of it give."""

import jax
import numpy as np
import pytest

import jaxact
from calls import CALLS
from transforms import TABLE, TRANSFORMS, limits, results, table
from ulp import errors

# Two results of which either may be off by 16 ulp of the largest number, as the README says of gradients.
BUDGET = 32
# A third derivative may cancel, as no rule promises otherwise; half of the digits agree.
BUDGET_OF_THIRD = 2**12
each_call = pytest.mark.parametrize(
    "call",
    [pytest.param(call, marks=() if call.thorough else pytest.mark.slow) for call in CALLS],
    ids=lambda call: call.name,
)


def test_every_public_function_is_called():
    assert [call.name for call in CALLS] == list(jaxact.__all__)


@each_call
def test_every_transform_gives_what_plain_calls_give(call):
    parts, found = results(call, np.float32)
    assert {*found, *limits(call)} == {*TRANSFORMS}
    for name, result in found.items():
        want = TRANSFORMS[name][1](parts)
        assert jax.tree.structure(result) == jax.tree.structure(want), name
        for got, truth in zip(jax.tree.leaves(result), jax.tree.leaves(want), strict=True):
            assert_close(name, got, np.asarray(truth))


def assert_close(name, got, truth):
    """In ulp of the largest number of the array."""
    assert got.shape == truth.shape, name
    assert got.dtype == truth.dtype, name
    assert np.all(np.isfinite(truth)), name
    truth = truth.astype(np.longdouble)
    worst = errors(got, truth, got.dtype, np.max(np.abs(truth))).max()
    assert worst <= (BUDGET_OF_THIRD if name == "third" else BUDGET), f"{name}: {worst:.1f} ulp"


def test_the_page_of_the_docs_is_what_is_tested():
    assert TABLE.read_text() == table()
