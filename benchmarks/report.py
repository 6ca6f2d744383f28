"""What every command writes: numbers as JSON, a page of tables, pictures, and what they were made with."""

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.row import Row, absent

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "numpy", "optax", "tfp-nightly", "softjax", "distrax", "jax-codex", "numpyro")
# The colours of Okabe and Ito, which remain apart for the colour-blind; shapes, and what is filled, tell the same.
STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
QUIET = "#777777"


def style(index: int) -> dict[str, Any]:
    """How to plot the n-th function of a row, of which ours is the first."""
    colour, marker = STYLES[index % len(STYLES)]
    return {"color": colour, "marker": marker, "markersize": 6, "markerfacecolor": "none" if index else colour}


def parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", nargs="+", metavar="FUNCTION", default=(), help="only rows whose name begins so")
    parser.add_argument("--quick", action="store_true", help="a trial run: small and few")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results (default: %(default)s)")
    return parser


def chosen(rows: Iterable[Row], only: Sequence[str]) -> list[Row]:
    rows = [row for row in rows if not only or row.name.startswith(tuple(only))]
    if not rows:
        raise SystemExit(f"no row begins with {' or '.join(only)}")
    return rows


def environment() -> dict[str, Any]:
    versions = {}
    for name in ("jaxact", *PACKAGES):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    device = jax.devices()[0]
    return {
        "versions": versions,
        "python": platform.python_version(),
        "processor": _processor(),
        "device": f"{device.platform}: {device.device_kind}",
        "absent": absent(),
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} cores" if models else platform.processor()


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def number(x: float) -> str:
    """Three digits; an infinite error is that of a result without any correct digit, NaN for instance."""
    if x is None or x != x:
        return ""
    if x in (float("inf"), float("-inf")):
        return "inf"
    return f"{x:.2g}" if abs(x) < 10 else f"{x:.0f}" if abs(x) < 1e5 else f"{x:.1e}"


def place(x: float | str) -> str:
    return x if isinstance(x, str) else f"{x:.9g}"


def write(name: str, title: str, records: Any, sections: Sequence[tuple[str, str]], output: Path) -> None:
    """`name.json` with the records, `name.md` with the sections `(heading, text)`."""
    output.mkdir(parents=True, exist_ok=True)
    made_with = environment()
    content = json.dumps({"environment": made_with, "records": records})
    strict = json.loads(content, parse_constant=str)  # JSON has no infinity and no NaN
    (output / f"{name}.json").write_text(json.dumps(strict, indent=1, allow_nan=False) + "\n")
    present = ", ".join(f"{k} {v}" for k, v in made_with["versions"].items() if v != "absent")
    missing = ", ".join(made_with["absent"]) or "none"
    head = (
        f"{made_with['device']}; {made_with['processor']}; Python {made_with['python']}; {present}. Absent: {missing}."
    )
    page = [f"# {title}", head, *(f"## {heading}\n\n{text}" for heading, text in sections)]
    (output / f"{name}.md").write_text("\n\n".join(page) + "\n")
    print(f"\nWritten: {output / name}.json, {name}.md")


def picture(name: str, size: tuple[float, float], draw: Callable[[Figure], None], output: Path) -> str:
    """Draws into `name.png`; returns what shows it on a page."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    output.mkdir(parents=True, exist_ok=True)
    figure.savefig(output / f"{name}.png", dpi=110)
    return f"![{name}]({name}.png)"


def legend(figure: Figure, labels: Sequence[str]) -> None:
    """Below all panels, in the styles of the functions of a row."""
    lines = [Line2D([], [], linestyle="none", label=label, **style(i)) for i, label in enumerate(labels)]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(labels), frameon=False)


def name_lines(axes: Axes, names: Sequence[str]) -> None:
    """One horizontal line a function, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)


def ratios(axes: Axes) -> None:
    """The horizontal axis shows ratios."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    tidy(axes)
