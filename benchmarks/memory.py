"""Memory of jaxact and of what people use instead: what a compiled value and gradient needs, what backward waits for.

`python -m benchmarks.memory` runs nothing: the temporary bytes are what the compiler sets aside beside arguments and
results; the saved bytes are the arrays that `jax.vjp` keeps for its backward pass, without jit, each counted once.
"""

import functools
import math
from pathlib import Path

import jax
from tqdm import tqdm

from benchmarks import report
from benchmarks.row import OURS, Row
from benchmarks.table import ROWS

DTYPES = ("float32", "bfloat16")


def temporary(row: Row, fun, specified) -> int:
    compiled = jax.jit(row.value_and_gradient(fun)).lower(*specified).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def saved(row: Row, fun, specified) -> int:
    def backward(*arguments):
        return jax.vjp(row.in_differentiated(fun, arguments), *(arguments[i] for i in row.argnums))[1]

    return bytes_of(jax.eval_shape(backward, *specified[1:]))


def bytes_of(tree) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def measure(row: Row, shape, dtype: str):
    arguments = row.specified(shape, dtype)
    specified = jax.eval_shape(row.ours, *arguments), *arguments
    for label, fun in row.all.items():
        identity = {"function": row.name, "family": row.family, "by": label, "dtype": dtype, "shape": shape}
        try:
            yield identity | {
                "arguments": bytes_of([specified[1 + i] for i in row.argnums]),
                "temporary": temporary(row, fun, specified),
                "saved": saved(row, fun, specified),
            }
        except (TypeError, ValueError) as error:
            if label == OURS:
                raise
            yield identity | {"refuses": type(error).__name__}


def table(records) -> str:
    header = ("function", "shape", "by", "arguments", "temporary", "saved for backward", "saved over arguments")
    lines = []
    for r in records:
        start = r["function"], "x".join(map(str, r["shape"])), r["by"]
        if "refuses" in r:
            lines.append((*start, f"refuses: {r['refuses']}", "", "", ""))
        else:
            sizes = (megabytes(r[what]) for what in ("arguments", "temporary", "saved"))
            lines.append((*start, *sizes, f"{r['saved'] / r['arguments']:.2f}"))
    return report.table(header, lines)


def megabytes(size: int) -> str:
    return f"{size / 2**20:.3f} MiB"


def draw(figure, records) -> None:
    """What is saved and what is temporary, over the size of the arguments, in the largest shape, float32."""
    names = list(dict.fromkeys(r["function"] for r in records))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (what, title) in zip(panels, (("saved", "saved for backward"), ("temporary", "temporary")), strict=True):
        for y, name in enumerate(names):
            found = [r for r in records if r["function"] == name]
            largest = [r for r in found if r["shape"] == found[-1]["shape"]]
            for i, r in reversed(list(enumerate(largest))):
                if "refuses" not in r:
                    axes.plot(r[what] / r["arguments"], y, **report.style(i))
        axes.set(title=f"{title}, float32", xlabel="bytes over those of the differentiated arguments")
        axes.set_xscale("symlog", linthresh=0.5)
        axes.xaxis.set_major_formatter("{x:g}")
        report.tidy(axes)
    report.name_lines(panels[0], names)
    report.legend(figure, (OURS, "first other", "second other", "third other"))


def run(only=(), quick=False, output: Path = report.RESULTS) -> list[dict]:
    rows = report.chosen(ROWS, only)
    shapes = {row: row.sizes(quick) + ([] if quick else list(row.compiled_shapes)) for row in rows}
    tasks = [(row, shape, dtype) for row in rows for shape in shapes[row] for dtype in DTYPES]
    records = []
    for row, shape, dtype in (progress := tqdm(tasks, unit="row")):
        progress.set_description(f"{row.name}, {dtype}")
        records += measure(row, shape, dtype)
    parts = {dtype: [r for r in records if r["dtype"] == dtype] for dtype in DTYPES}
    size = (12, 2 + 0.24 * len({r["function"] for r in records}))
    shown = report.picture("memory", size, functools.partial(draw, records=parts[DTYPES[0]]), output)
    sections = [("In a picture", shown), *((dtype, table(part)) for dtype, part in parts.items())]
    report.write("memory", "Memory", records, sections, output)
    return records


def main() -> None:
    options = report.parser(__doc__).parse_args()
    run(options.only, options.quick, options.output)


if __name__ == "__main__":
    main()
