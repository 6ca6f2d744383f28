"""Properties of rows of logits: shifts, the order of classes, sums, and rows with some classes left out."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

import jaxact
from properties import CLASSES, SHAPE, TINY, long, on_grid, reals, ulp

# As `test_softmax.py` and `test_cross_entropy.py` hold them to.
IN_ROWS = {"softmax": 7, "log_softmax": 4, "logsumexp": 3, "loss": 4, "slope": 6}


@jax.jit
def in_rows(logits, mask=None):
    """What is made of rows, the first class being the label."""

    def loss(x):
        return jaxact.softmax_cross_entropy_with_integer_labels(x, jnp.zeros(len(x), jnp.int32), where=mask)

    return {
        **{name: getattr(jaxact, name)(logits, where=mask) for name in ("softmax", "log_softmax", "logsumexp")},
        "loss": loss(logits),
        "slope": jax.grad(lambda x: loss(x).sum())(logits),
    }


def assert_close(name, got, expected, logits):
    """Both are within the budget of the truth; a logsumexp that cancels, to the last bits of the largest logit."""
    size = np.maximum(np.abs(expected), np.abs(logits).max(axis=-1)) if name == "logsumexp" else expected
    assert np.all(np.abs(long(got) - long(expected)) <= 2 * IN_ROWS[name] * ulp(size)), name


@hypothesis.given(on_grid, st.integers(-(2**12), 2**12))
@hypothesis.example(np.eye(*SHAPE, dtype=np.float32) / 2, 1)
def test_a_shift_that_is_exact_changes_nothing(logits, shift):
    here, there = in_rows(logits), in_rows(logits + np.float32(shift))
    for name in ("softmax", "log_softmax", "loss", "slope"):
        np.testing.assert_array_equal(here[name], there[name], name)
    size = np.maximum(np.abs(logits), np.abs(logits + np.float32(shift))).max(axis=-1)
    assert np.all(np.abs(long(there["logsumexp"]) - long(here["logsumexp"]) - shift) <= 6 * ulp(size))


@hypothesis.given(reals, st.permutations(range(1, CLASSES)))
def test_the_order_of_classes_does_not_matter(logits, order):
    """The label is the first class, which stays."""
    order = [0, *order]
    logits = np.clip(logits, -1e30, 1e30)
    here, there = in_rows(logits), in_rows(logits[:, order])
    for name in IN_ROWS:
        expected = np.asarray(here[name])
        assert_close(name, there[name], expected[:, order] if expected.ndim == 2 else expected, logits)


@hypothesis.given(reals)
def test_rows_sum_to_one(logits):
    got = in_rows(logits)
    assert np.all(np.abs(long(got["softmax"]).sum(axis=-1) - 1) <= 7 * 2.0**-24 * CLASSES)
    # The gradient of a loss sums to 0, to the last bits of its largest term; what is below the normal numbers is 0.
    slope = long(got["slope"])
    assert np.all(np.abs(slope.sum(axis=-1)) <= 6 * CLASSES * ulp(np.abs(slope).max(axis=-1)) + CLASSES * TINY)


@hypothesis.given(reals, st.permutations(range(CLASSES)), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e38]))
def test_masked_rows_are_rows_without_what_is_masked(logits, order, filling):
    """Half of the classes count, the label, class 0, among them."""
    chosen = np.sort([0, *[i for i in order if i][: CLASSES // 2 - 1]])
    logits = np.clip(logits, -1e30, 1e30)
    mask = np.isin(np.arange(CLASSES), chosen)
    masked = in_rows(np.where(mask, logits, np.float32(filling)), mask[None])
    subset = in_rows(logits[:, chosen])
    for name in IN_ROWS:
        got = np.asarray(masked[name])
        if got.ndim == 2:
            assert np.all(got[:, ~mask] == (-np.inf if name == "log_softmax" else 0)), name
            got = got[:, chosen]
        assert_close(name, got, np.asarray(subset[name]), logits[:, chosen])
