"""The public face: names, signatures and documents agree, and importing changes nothing."""

import doctest
import inspect
import json
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest

import jaxact
from cases import CASES

ROOT = pathlib.Path(__file__).parents[1]
each_function = pytest.mark.parametrize("name", jaxact.__all__)


def test_all_lists_the_public_definitions():
    defined = {
        name
        for module in pkgutil.iter_modules(jaxact.__path__)
        if module.name
        not in (
            *("_checks", "_numerics", "_random", "_coefficients", "_jit"),
            *("_logistic_core", "_row_sums", "_softmax_core", "_cross_entropy_core"),
            *("_kernel_rules", "_kernel_inverses", "_bounded_shapes", "_tailed_shapes"),
        )
        for name, value in vars(__import__(f"jaxact.{module.name}", fromlist=["_"])).items()
        if callable(value) and not name.startswith("_") and value.__module__ == f"jaxact.{module.name}"
    }
    shared = {"check_kernel", "evaluated", "pin", "ternary"}
    assert defined - shared == set(jaxact.__all__)
    assert len(jaxact.__all__) == len(set(jaxact.__all__))


# What has an axis of classes, or a key, is not elementwise: its tests hold it to its own contract.
NOT_ELEMENTWISE = {
    *("surrogate", "straight_through", "Kernel"),
    *("stochastic_round", "stochastic_floor", "stochastic_ceil"),
    *("stochastic_sign", "stochastic_heaviside", "stochastic_ternary"),
    *("gumbel_softmax", "argmax_ste", "bernoulli_ste", "reinmax"),
    *("softmax", "log_softmax", "logsumexp"),
    *("softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels", "linear_softmax_cross_entropy"),
}


def test_every_elementwise_function_has_a_case():
    assert {case.function for case in CASES} == set(jaxact.__all__) - NOT_ELEMENTWISE


def test_the_table_of_the_readme_agrees():
    """The first cell of a row begins with a signature; functions of the same signature may follow by name."""
    cells = re.findall(r"^\| (`\w+\([^|]*) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)[(`]", cell)]
    assert sorted(names) == sorted(jaxact.__all__)


def test_the_readme_can_be_read_on_a_package_index():
    """There no file of the repository is at hand, so that links and pictures must be addresses."""
    targets = re.findall(r"\]\(([^)\s]*)", (ROOT / "README.md").read_text())
    assert targets
    assert all(target.startswith(("https://", "#")) for target in targets)


def test_the_readme_lists_the_guides():
    pages = re.findall(r"^\| .* \| `([a-z-]+\.md)` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(pages) == sorted({path.name for path in (ROOT / "docs" / "guides").glob("*.md")} - {"index.md"})


@each_function
def test_signature(name):
    """Data is positional-only and options are keyword-only, with a default except where none makes sense."""
    if isinstance(getattr(jaxact, name), type) or name in ("surrogate", "straight_through"):
        return
    for parameter in inspect.signature(getattr(jaxact, name)).parameters.values():
        assert parameter.kind in (parameter.POSITIONAL_ONLY, parameter.KEYWORD_ONLY)
        if parameter.kind == parameter.KEYWORD_ONLY and parameter.name not in ("dispersion", "levels"):
            assert parameter.default is not parameter.empty
    assert "key" not in list(inspect.signature(getattr(jaxact, name)).parameters)[1:]


@each_function
def test_docstring(name):
    function = getattr(jaxact, name)
    documentation = inspect.getdoc(function)
    assert function.__name__ == name
    for part in (".. math::", "Args:", "Returns:", "Raises:", ">>> "):
        assert part in documentation
    for parameter in inspect.signature(function).parameters:
        assert f"{parameter}: " in documentation
    assert doctest.DocTestFinder(recurse=False).find(function, name)[0].examples


PROBE = """
import gc, json, sys, time
import jax, jax.numpy, chex
gc.disable()  # a collection of what jax has made may fall into the import, and takes as long
settings = dict(jax.config.values)
modules = set(sys.modules)
began = time.process_time()
import jaxact
elapsed = time.process_time() - began
from jax.extend import backend
import jax._src.xla_bridge as bridge
print(json.dumps({
    "seconds": elapsed,
    "unchanged": settings == dict(jax.config.values),
    "backends": len(bridge._backends),
    "new": sorted({name.partition(".")[0] for name in set(sys.modules) - modules}),
}))
"""


def test_import_is_light_and_changes_nothing():
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert runs[0]["unchanged"]
    assert runs[0]["backends"] == 0
    assert not set(runs[0]["new"]) & {"flax", "haiku", "optax", "equinox", "torch", "tensorflow", "mpmath"}
    assert min(run["seconds"] for run in runs) < 0.1
