"""The short examples, one a framework, run as they stand and learn what they should."""

import pathlib
import re
import runpy

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def strict():
    """Users have the settings that JAX comes with, so an example runs with those, not with the strict ones."""


@pytest.mark.slow  # needs the frameworks, which are installed beside one JAX only
@pytest.mark.filterwarnings("default")  # what the frameworks warn of is theirs
@pytest.mark.parametrize("framework", ["flax_linen", "flax_nnx", "haiku", "equinox"])
def test_digits(framework, capsys):
    runpy.run_path(str(EXAMPLES / f"digits_{framework}.py"), run_name="__main__")
    right, beta = re.fullmatch(r"(.*)% of the test images right, beta (.*)\n", capsys.readouterr().out).groups()
    assert float(right) > 93
    assert float(beta) != 2
