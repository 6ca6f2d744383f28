"""The page of the speed results: tables and pictures."""

import functools
import math
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks import reasons, report
from benchmarks.row import OURS

NOTE = (
    "Processor time on one core; on an accelerator, elapsed time. Medians, with half the distance of the quartiles in "
    "percent. `over jaxact`: how many times the time of jaxact's function it takes, with a 95 % confidence interval; "
    "above 1 jaxact is faster. The floor: how many times a copy of the argument, and one exponential of it, fit into "
    "that time."
)
NOISE = 0.05
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


def behind_table(records) -> str:
    """Where another function is faster by more than noise."""
    slower = [r for r in records if r["by"] != OURS and r["over ours, 95 %"][1] < 1 - NOISE]
    slower.sort(key=lambda r: r["over ours"])
    header = ("function", "shape", "mode", "by", "over jaxact")
    lines = [(r["function"], "x".join(map(str, r["shape"])), r["mode"], r["by"], ratio(r)) for r in slower]
    return f"{reasons.listed((r['function'] for r in slower), reasons.FASTER)}\n\n{report.table(header, lines)}"


def compile_table(records) -> str:
    header = ("function", "by", "compile value and gradient", "equations", "call outside jit, 8 numbers an axis")
    lines = [(r["function"], r["by"], duration(r, "compile "), r["equations"], duration(r, "call ")) for r in records]
    return report.table(header, lines)


def training_table(records) -> str:
    lines = [(r["model"], r["by"], duration(r), ratio(r)) for r in records]
    return report.table(("model", "by", "step", "over jaxact"), lines)


def _first_and_last(records) -> dict[str, list[list[dict]]]:
    """Records of each function in its smallest array, and in its largest."""
    of_function = {name: [r for r in records if r["function"] == name] for name in _names(records)}
    return {
        title: [[r for r in found if r["shape"] == found[i]["shape"]] for found in of_function.values()]
        for title, i in (("small array", 0), ("large array", -1))
    }


def _names(records) -> list[str]:
    return list(dict.fromkeys(r["function"] for r in records))


def _of_mode(group, mode: str) -> list[tuple[int, dict]]:
    """Number and record of each program, ours last so that it is drawn on top."""
    return list(enumerate(r for r in group if r["mode"] == mode))[::-1]


def draw_ratios(figure: Figure, records) -> None:
    """Time over that of ours, value and gradient."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (title, groups) in zip(panels, _first_and_last(records).items(), strict=True):
        for y, group in enumerate(groups):
            for i, r in _of_mode(group, "value and gradient"):
                axes.plot(r["over ours, 95 %"], (y, y), color=report.STYLES[i][0], lw=2)
                axes.plot(r["over ours"], y, **report.style(i))
        axes.axvline(1, color=report.STYLES[0][0], lw=1)
        axes.set(title=f"value and gradient, {title}", xlabel="time over that of jaxact")
    _finish(figure, panels, _names(records))


def draw_floor(figure: Figure, records) -> None:
    """Time of the value over that of a copy and of one exponential, in the largest array."""
    panels = figure.subplots(1, 2, sharey=True)
    for axes, unit in zip(panels, ("a copy", "one exp"), strict=True):
        for y, group in enumerate(_first_and_last(records)["large array"]):
            for i, r in _of_mode(group, "value"):
                axes.plot(r[f"over {unit}"], y, **report.style(i))
        axes.axvline(1, color=report.QUIET, lw=1)
        axes.set(title="value, large array", xlabel=f"time over that of {unit}")
    _finish(figure, panels, _names(records))


def _finish(figure: Figure, panels, names: list[str]) -> None:
    for axes in panels:
        report.ratios(axes)
    report.name_lines(panels[0], names)
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
    height = 2 + 0.24 * len(_names(time))
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
        (f"Where another is faster by more than {NOISE:.0%}", behind_table(time)),
        ("A training step", training_table(records["training"])),
        *by_family,
        ("Compiling, and calls outside jit", compile_table(records["compile and call"])),
    ]
