"""The page of the speed results: tables and pictures."""

import functools
import math
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import report
from benchmarks.row import OURS

NOTE = (
    "Medians, with half the distance of the quartiles in percent. `over jaxact`: how many times the time of jaxact's "
    "function it takes, with a 95 % confidence interval; above 1 jaxact is faster. The floor: how many times a copy of "
    "the argument, and one exponential of it, fit into that time."
)
UNITS = ((1, "s"), (1e3, "ms"), (1e6, "µs"))


def duration(record: dict, what: str = "") -> str:
    seconds = record[what + "seconds"]
    scale, unit = next((scale, unit) for scale, unit in UNITS if seconds * scale >= 1 or unit == "µs")
    return f"{report.number(scale * seconds)} {unit} ± {100 * record[what + 'spread']:.0f} %"


def ratio(record: dict) -> str:
    low, high = record["over ours, 95 %"]
    return "1" if record["by"] == OURS else f"{record['over ours']:.2f} ({low:.2f} to {high:.2f})"


def time_table(records) -> str:
    header = ("function", "shape", "mode", "by", "time", "over jaxact", "over a copy", "over one exp", "GB/s")
    lines = [
        (
            r["function"],
            "x".join(map(str, r["shape"])),
            r["mode"],
            r["by"],
            duration(r),
            ratio(r),
            f"{r['over a copy']:.2f}",
            f"{r['over one exp']:.2f}",
            report.number(r["bytes"] / r["seconds"] / 1e9),
        )
        for r in records
    ]
    return report.table(header, lines)


def compile_table(records) -> str:
    header = ("function", "by", "compile value and gradient", "equations", "call outside jit, 8 numbers an axis")
    lines = [(r["function"], r["by"], duration(r, "compile "), r["equations"], duration(r, "call ")) for r in records]
    return report.table(header, lines)


def training_table(records) -> str:
    lines = [(r["model"], r["by"], duration(r), ratio(r)) for r in records]
    return report.table(("model", "by", "step", "over jaxact"), lines)


def _sizes_of(records) -> dict[str, list[dict]]:
    """Records of the smallest and of the largest shape of each function."""
    found = {"smallest": [], "largest": []}
    for name in dict.fromkeys(r["function"] for r in records):
        of_name = [r for r in records if r["function"] == name]
        sizes = [math.prod(r["shape"]) for r in of_name]
        for which, size in zip(found, (min(sizes), max(sizes)), strict=True):
            found[which].append([r for r in of_name if math.prod(r["shape"]) == size])
    return found


def draw_ratios(figure: Figure, records) -> None:
    """Time over that of ours, value and gradient."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (which, groups) in zip(panels, _sizes_of(records).items(), strict=True):
        for y, group in enumerate(groups):
            for i, r in enumerate(record for record in group if record["mode"] == "value and gradient"):
                axes.plot(r["over ours"], y, **report.style(i))
                if i:
                    axes.plot(r["over ours, 95 %"], (y, y), color=report.STYLES[i][0], lw=2)
        axes.axvline(1, color=report.STYLES[0][0], lw=1)
        axes.set(title=f"value and gradient, {which} array", xlabel="time over that of jaxact")
        report.ratios(axes)
    names = [group[0]["function"] for group in groups]
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    report.legend(figure, (OURS, "first other", "second other", "third other"))


def draw_floor(figure: Figure, records) -> None:
    """Time of the value over that of a copy and of one exponential, in the largest array."""
    groups = _sizes_of(records)["largest"]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, unit in zip(panels, ("a copy", "one exp"), strict=True):
        for y, group in enumerate(groups):
            for i, r in reversed(list(enumerate(record for record in group if record["mode"] == "value"))):
                axes.plot(r[f"over {unit}"], y, **report.style(i))
        axes.axvline(1, color=report.QUIET, lw=1)
        axes.set(title="value, largest array", xlabel=f"time over that of {unit}")
        report.ratios(axes)
    panels[0].set_yticks(range(len(groups)), [group[0]["function"] for group in groups])
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    report.legend(figure, (OURS, "first other", "second other", "third other"))


def draw_growth(figure: Figure, records) -> None:
    """Time of value and gradient by size, a panel a family."""
    families = list(dict.fromkeys(r["family"] for r in records))
    columns = 3
    panels = figure.subplots(math.ceil(len(families) / columns), columns, squeeze=False).flat
    for family, axes in zip(families, panels, strict=False):
        found = [r for r in records if r["family"] == family]
        labels = list(dict.fromkeys(r["by"] for r in found))
        for i, label in enumerate(labels):
            points = [(r["size"], 1e6 * r["seconds"]) for r in found if r["by"] == label]
            look = {"color": report.QUIET, "ls": "--" if label == "a copy" else ":"}
            if label not in ("a copy", "one exp"):
                look = report.style(i) | {"markersize": 4}
            axes.plot(*zip(*points, strict=True), label=label, **look)
        axes.set(title=f"{family}: {found[0]['function']}", xscale="log", yscale="log", xlabel="numbers", ylabel="µs")
        axes.legend(frameon=False, fontsize="small")
        report.tidy(axes)
    for axes in panels:
        axes.set_visible(False)


def sections(records: dict[str, list[dict]], output: Path) -> list[tuple[str, str]]:
    """What stands on the page, pictures drawn."""
    time = records["time"]
    height = 2 + 0.24 * len({r["function"] for r in time})
    rows = math.ceil(len({r["family"] for r in records["growth"]}) / 3)
    pictures = (
        report.picture("speed", (11, height), functools.partial(draw_ratios, records=time), output),
        report.picture("floor", (11, height), functools.partial(draw_floor, records=time), output),
        report.picture("growth", (13, 4 * rows), functools.partial(draw_growth, records=records["growth"]), output),
    )
    by_family = [
        (f"Time: {family}", time_table([r for r in time if r["family"] == family]))
        for family in dict.fromkeys(r["family"] for r in time)
    ]
    return [
        ("How to read it", NOTE),
        ("In pictures", "\n\n".join(pictures)),
        ("A training step", training_table(records["training"])),
        *by_family,
        ("Compiling, and calls outside jit", compile_table(records["compile and call"])),
    ]
