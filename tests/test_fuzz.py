"""Some of the random bit patterns that `fuzz.py` has millions of."""

import numpy as np
import pytest

import jaxact
from fuzz import fuzz
from fuzz_subjects import SUBJECTS

COUNT = 4096


def test_every_function_is_tried():
    assert {subject.function for subject in SUBJECTS} == set(jaxact.__all__) - {"Kernel"}


def check(subject, dtype):
    (_, inside, nan, infinite), examples = fuzz(subject, dtype, COUNT)
    assert inside > 0
    assert nan == infinite == 0, "\n".join(examples)


# The contract looks at every number of half precision; rows are no part of it.
IN_ROWS = tuple(subject for subject in SUBJECTS if subject.in_rows)


@pytest.mark.parametrize(
    "subject",
    [pytest.param(subject, marks=() if subject.in_rows else pytest.mark.slow) for subject in SUBJECTS],
    ids=lambda subject: subject.name,
)
def test_random_numbers_of_float32(subject):
    check(subject, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("subject", IN_ROWS, ids=lambda subject: subject.name)
def test_random_rows_of_float64(subject):
    check(subject, np.float64)
