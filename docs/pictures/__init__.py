"""All pictures of the site, by section of the gallery, made by code when the site is built.

Every public function has a picture of its own name; the page of a function shows it, and so does the gallery.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

import jaxact
from pictures import curves, errors, kernels, steepness, style


class Picture(NamedTuple):
    """What stands below a picture, what it shows in words, and how it is drawn."""

    caption: str
    description: str
    draw: Callable[[], Figure]


def _section(
    draw: Callable, rows: Iterable[tuple[str, object]], description: str, prefix: str = ""
) -> dict[str, Picture]:
    return {
        prefix + re.sub(r"\W+", "-", name).strip("-"): Picture(name, description.format(name), partial(draw, row))
        for name, row in rows
    }


DERIVATIVES, READINGS = "{} with its first and second derivative", "{}: density, cdf, the three readings of round"
SECTIONS: dict[str, dict[str, Picture]] = {
    family: _section(curves.draw, rows.items(), DERIVATIVES) for family, rows in curves.FAMILIES.items()
} | {
    "kernels": _section(kernels.draw, kernels.KERNELS.items(), READINGS),
    "steepness": _section(
        steepness.draw, ((name, name) for name in steepness.ROUNDINGS), "{} from soft to hard", "to-hard-"
    ),
    "compositions": _section(curves.draw, curves.COMPOSITIONS.items(), DERIVATIVES, "composition-"),
    "errors": _section(errors.draw, errors.COMPARISONS.items(), "Errors in ulp: {}", "error-"),
}
PICTURES: dict[str, Picture] = {name: picture for section in SECTIONS.values() for name, picture in section.items()}


def draw_all(folder: Path) -> None:
    """Draws what is missing in the folder or older than the code behind it."""
    sources = (Path(module).parent.glob("*.py") for module in (__file__, jaxact.__file__))
    changed = max(source.stat().st_mtime for group in sources for source in group)
    for name, picture in PICTURES.items():
        drawn = folder / f"{name}-dark.svg"
        if not drawn.exists() or drawn.stat().st_mtime < changed:
            style.save(picture.draw, folder, name)
