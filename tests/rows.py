"""Rows of logits that are hard to get right, and what softmax, its logarithm and their losses should make of them.

References are in longdouble, with the largest term left out of the sums; `test_softmax.py` compares them with mpmath.
"""

import numpy as np

CLASSES = 64


def hard_rows(dtype, count=100):
    """Rows of `CLASSES` logits by name: offsets, gaps, ties, magnitudes; `count` of each."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(count, CLASSES))
    rows = {
        "normal": 3 * normal,
        "wide": 30 * normal,
        "tiny": 1e-3 * normal,
        "equal": np.full_like(normal, 0.3),
        "ties": np.round(normal),
        "mixed": np.where(np.arange(CLASSES) < 32, 1e-3 * normal, 30 * normal),
    }
    for offset in (1e4, -1e4, 37.3):
        rows[f"offset {offset}"] = offset + 3 * normal
    for gap in (4, 8, 16, 40, 80):
        leader = normal.copy()
        leader[:, 5] = leader.max(axis=1) + gap * rng.uniform(0.9, 1.05, count)
        rows[f"gap {gap}"] = leader
        rows[f"gap {gap} at an offset"] = leader + 1e3
    return {name: row.astype(dtype) for name, row in rows.items()}


def _apart(x):
    """Differences from the maximum, exponentials but the leader's, their sum, and where the leader is."""
    x = np.asarray(x).astype(np.longdouble)
    shifted = x - x.max(axis=-1, keepdims=True)
    leader = np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]
    rest = np.where(leader, 0, np.exp(shifted))
    return shifted, rest, rest.sum(axis=-1, keepdims=True), leader


def log_softmax(x):
    shifted, _, total, _ = _apart(x)
    return shifted - np.log1p(total)


def softmax(x):
    _, rest, total, leader = _apart(x)
    return np.where(leader, 1, rest) / (1 + total)


def centred_softmax(x, centre):
    """`softmax(x)`, less 1 where `centre` is true, once in each row."""
    _, rest, total, leader = _apart(x)
    others = np.where(centre, 0, np.where(leader, 1, rest))
    return np.where(centre, -others.sum(axis=-1, keepdims=True), others) / (1 + total)


def logsumexp(x):
    _, _, total, _ = _apart(x)
    return np.asarray(x).astype(np.longdouble).max(axis=-1) + np.log1p(total)[..., 0]
