"""Strictest settings for every test here: float64 available, no implicit promotion of dtypes or ranks.

Tests that share compiled programs stand together, in one process.
"""

import hypothesis
import jax
import pytest

SETTINGS = {"jax_enable_x64": True, "jax_numpy_dtype_promotion": "strict", "jax_numpy_rank_promotion": "raise"}


# Compiling takes longer than any deadline. The ordinary run takes the same examples every time.
hypothesis.settings.register_profile("ordinary", max_examples=200, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None, database=None)
hypothesis.settings.load_profile("ordinary")


def group_of(item):
    """Tests of one case, or of one kernel or function, or else of one file, share what is compiled and measured."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    which = values["case"].name if "case" in values else values.get("name", "")
    return item.path, which


def pytest_collection_modifyitems(items):
    """Tests of a group stand together, so that with several processes nearly every group has one of its own."""
    groups = {}
    for position, item in enumerate(items):
        groups.setdefault(group_of(item), position)
    items.sort(key=lambda item: groups[group_of(item)])


@pytest.fixture(autouse=True)
def strict():
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
