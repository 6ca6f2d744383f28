"""Some of the random bit patterns that `fuzz.py` has millions of."""

import numpy as np
import pytest

import jaxact
from fuzz import DTYPES, dtype_name, fuzz
from fuzz_subjects import SUBJECTS

COUNT = 4096


def test_every_function_is_tried():
    assert {subject.function for subject in SUBJECTS} == set(jaxact.__all__) - {"Kernel"}


def check(subject, dtype):
    (_, inside, nan, infinite), examples = fuzz(subject, dtype, COUNT)
    assert inside > 0
    assert nan == infinite == 0, "\n".join(examples)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_random_numbers_of_float32(subject):
    check(subject, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype is not np.float32], ids=dtype_name)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_random_numbers_of_other_dtypes(subject, dtype):
    check(subject, dtype)
