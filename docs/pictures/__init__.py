"""All pictures of the site, by section of the gallery, made by code when the site is built.

Every public function has a picture of its own name; the page of a function shows it, and so does the gallery.
"""

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.figure import Figure

import jaxact
from pictures import curves, errors, kernels, steepness, style

Pictures = dict[str, tuple[str, Callable[[], Figure]]]


def _described(draw: Callable, rows: Iterable[tuple[str, object]], description: str, prefix: str = "") -> Pictures:
    return {
        prefix + re.sub(r"\W+", "-", name).strip("-"): (description.format(name), functools.partial(draw, row))
        for name, row in rows
    }


SECTIONS: dict[str, Pictures] = {
    family: _described(curves.draw, rows.items(), "{} with its first and second derivative")
    for family, rows in curves.FAMILIES.items()
}
SECTIONS["kernels"] = _described(
    kernels.draw, kernels.KERNELS.items(), "{}: density, cdf and the three readings of round"
)
SECTIONS["steepness"] = _described(
    steepness.draw, ((name, name) for name in steepness.ROUNDINGS), "{} from soft to hard", "steepness-"
)
SECTIONS["compositions"] = _described(
    curves.draw, curves.COMPOSITIONS.items(), "{} with its first and second derivative", "composition-"
)
SECTIONS["errors"] = _described(errors.draw, ((name, name) for name in errors.COMPARISONS), "Errors of {}", "error-")

PICTURES: Pictures = {name: picture for section in SECTIONS.values() for name, picture in section.items()}


def draw_all(folder: Path) -> None:
    """Draws what is missing in the folder or older than the code behind it."""
    sources = (Path(module).parent.glob("*.py") for module in (__file__, jaxact.__file__))
    changed = max(source.stat().st_mtime for group in sources for source in group)
    for name, (_, draw) in PICTURES.items():
        drawn = folder / f"{name}-dark.svg"
        if not drawn.exists() or drawn.stat().st_mtime < changed:
            style.save(draw, folder, name)
