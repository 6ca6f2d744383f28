"""How every picture looks: one palette, one set of line styles, a light and a dark variant of one drawing.

The colours are those of Okabe and Ito, which people with any kind of colour vision tell apart; curves differ in their
dashes and marks as well. A picture is drawn once: its dark variant is the same file with other colours.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
INK, FAINT = "#333333", "#dddddd"
DARK = {BLUE: "#56b4e9", INK: "#d0d0d0", FAINT: "#3f4044"}
SOLID, DASHED, DOTTED, MIXED = DASHES = "-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5))

SETTINGS = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.borderaxespad": 0.1,
    "legend.columnspacing": 1.0,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.9,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.9,
    "path.simplify_threshold": 0.2,
    "svg.hashsalt": "jaxact",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def line(axes: Axes, x: ArrayLike, y: ArrayLike, index: int, label: str | None = None) -> None:
    """Draws the curve of that number, whose colour and dashes are the same in all pictures."""
    axes.plot(x, y, color=COLOURS[index], ls=DASHES[index % len(DASHES)], label=label)


def legend(axes: Axes, columns: int) -> None:
    """A legend above the axes, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), ncols=columns)


def save(draw: Callable[[], Figure], folder: Path, name: str) -> None:
    """Writes `name-light.svg` and `name-dark.svg`."""
    text = io.StringIO()
    with mpl.rc_context(SETTINGS):
        draw().savefig(text, format="svg", transparent=True, metadata={"Date": None})
    light = text.getvalue()
    folder.mkdir(exist_ok=True)
    (folder / f"{name}-light.svg").write_text(light)
    colour = re.compile("|".join(DARK))
    (folder / f"{name}-dark.svg").write_text(colour.sub(lambda found: DARK[found[0]], light))
