"""Every guide is one program, which runs from top to bottom and prints what the comments beside its prints say."""

import contextlib
import io
import pathlib
import re

import pytest

PAGES = (pathlib.Path(__file__).parents[1] / "docs" / "guides").glob("*.md")
GUIDES = sorted(page for page in PAGES if page.stem != "index")


@pytest.fixture(autouse=True)
def strict():
    """Readers have the settings that JAX comes with, so a guide runs with those, not with the strict ones."""


@pytest.mark.slow  # needs the frameworks, which are installed beside one JAX only
@pytest.mark.filterwarnings("default")  # what the frameworks warn of is theirs
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_guide(path, tmp_path, monkeypatch):
    text = path.read_text()
    assert text.startswith("# ")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    program = "\n".join(blocks)
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, path.name, "exec"), {"__name__": "__main__"})
    assert printed.getvalue().splitlines() == re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)
