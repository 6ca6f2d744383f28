"""The documentation site has an entry for every public function, and its first page tells the truth."""

import doctest
import pathlib
import re

import jax

import jaxact

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def test_every_function_is_documented_once():
    pages = "".join(page.read_text() for page in sorted((DOCS / "api").glob("*.rst")))
    documented = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", pages, re.MULTILINE)
    assert sorted(documented) == sorted(jaxact.__all__)


def test_the_summary_lists_every_function_once():
    listed = re.findall(r"^   (\w+)$", (DOCS / "api" / "index.rst").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted([*jaxact.__all__, *(page.stem for page in (DOCS / "api").glob("[!i]*.rst"))])


def test_the_first_page_tells_the_truth():
    jax.config.update("jax_enable_x64", False)  # as it is by default, and is again after the test
    (code,) = re.findall(r"^```pycon\n(.*?)^```$", (DOCS / "index.md").read_text(), re.MULTILINE | re.DOTALL)
    failed, run = doctest.DocTestRunner().run(doctest.DocTestParser().get_doctest(code, {}, "index.md", None, 0))
    assert run
    assert not failed
