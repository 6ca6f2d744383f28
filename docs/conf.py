"""Settings of the documentation site, and the pictures in it; the README has the command that builds it."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ConfigError
from sphinx.util.docutils import SphinxDirective

import jaxact

sys.path.insert(0, str(Path(__file__).parent))

import pictures

project = "jaxact"
project_copyright = "the authors of jaxact"
version = release = jaxact.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "_pictures", "pictures"]

# In docstrings `softplus` is a link, where it names something public, and `x` is not.
default_role = "autolink"
nitpick_ignore_regex = [("py:obj", r"[a-z_]+|(jax|jnp|optax|scipy)\..*")]  # parameters; names of others
autodoc_typehints = "none"
autosummary_generate = False
napoleon_numpy_docstring = False
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"jaxact {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
pygments_style, pygments_dark_style = "friendly", "github-dark"
copybutton_exclude = ".linenos, .gp, .go"


def picture(name: str) -> list[str]:
    """The lines that show a picture in the variant that suits the page."""
    return [
        line
        for variant in ("light", "dark")
        for line in (
            "",
            f".. image:: /_pictures/{name}-{variant}.svg",
            f"   :class: only-{variant}",
            f"   :alt: {pictures.PICTURES[name].description}",
            "   :loading: lazy",
            "",
        )
    ]


class Pictures(SphinxDirective):
    """All pictures of one section of the gallery; those of functions lead to their pages."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Makes a grid of pictures, each with what it shows."""
        grid = nodes.container(classes=["pictures", f"pictures-{self.arguments[0]}"])
        for name, (caption, *_) in pictures.SECTIONS[self.arguments[0]].items():
            text = f":py:obj:`{caption} <jaxact.{caption}>`" if caption in jaxact.__all__ else caption
            cell = nodes.container()
            cell += self.parse_text_to_nodes("\n".join([*picture(name), text]))
            grid += cell
        return [grid]


def draw_pictures(_app: Sphinx) -> None:
    """Draws before anything is read; a public function without a picture is an error."""
    missing = set(jaxact.__all__) - set(pictures.PICTURES)
    if missing:
        raise ConfigError(f"docs/pictures has no picture of {', '.join(sorted(missing))}")
    pictures.draw_all(Path(__file__).parent / "_pictures")


def add_picture(_app: Sphinx, _what: str, name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Ends the documentation of a function or kernel with its picture."""
    _, _, short = name.rpartition(".")
    if name == f"jaxact.{short}":
        lines += picture(short)


def setup(app: Sphinx) -> None:
    """Registers the pictures; they come after napoleon has read the docstring."""
    app.add_directive("pictures", Pictures)
    app.connect("builder-inited", draw_pictures)
    app.connect("autodoc-process-docstring", add_picture, priority=600)
