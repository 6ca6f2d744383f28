"""The documentation site has an entry for every public function, and its first page tells the truth."""

import doctest
import pathlib
import re

import jax

import jaxact

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def test_every_function_is_documented_once():
    pages = [page.read_text() for page in sorted((DOCS / "api").glob("*.rst"))]
    documented = [
        name for page in pages for name in re.findall(r"^\.\. auto(?:function|class):: (\w+)$", page, re.MULTILINE)
    ]
    assert sorted(documented) == sorted(jaxact.__all__)


def test_the_first_page_tells_the_truth():
    jax.config.update("jax_enable_x64", False)  # as it is by default, and is again after the test
    failed, run = doctest.testfile(str(DOCS / "index.md"), module_relative=False)
    assert run
    assert not failed
