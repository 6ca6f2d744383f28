"""Every public function, through every transform, gives what plain calls of it give."""

import pytest

import jaxact
from calls import CALLS, ONLY_IN_LONG_RUNS
from transforms import TABLE, assert_transforms, table

each_call = pytest.mark.parametrize(
    "call",
    [
        pytest.param(call, marks=() if call.thorough else pytest.mark.slow)
        for call in CALLS
        if call.name not in ONLY_IN_LONG_RUNS
    ],
    ids=lambda call: call.name,
)


def test_every_public_function_is_called():
    assert [call.name for call in CALLS] == list(jaxact.__all__)


@each_call
def test_every_transform_gives_what_plain_calls_give(call):
    assert_transforms(call)


def test_the_page_of_the_docs_is_that_of_what_is_tested():
    assert TABLE.read_text() == table()
