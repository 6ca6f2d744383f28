"""Time of jaxact and of what people use instead: value, gradient, both at once; compilation; calls outside jit.

`python -m benchmarks.speed` measures every row of the table with an array that fits a cache and with one that does not.
Within a row all programs take turns in one process; figures are medians, with half the distance of the quartiles beside
them. Gradients take a cotangent array, as in the middle of a network. The floor is what no program for as many numbers
beats: a copy of them, and one exponential of each.
"""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
from tqdm import tqdm

from benchmarks import report, speed_pictures
from benchmarks.row import OURS, SMALL, Row, library
from benchmarks.table import FAMILIES, ROWS
from benchmarks.timing import on_one_core, take_turns
from benchmarks.training import MODELS

MODES = ("value", "gradient", "value and gradient")
COPY, EXP = "a copy", "one exp"
SECONDS, QUICK_SECONDS = 0.5, 0.05
# For the growth of time with size; rows of logits grow in number, at 128 classes.
SIZES, CLASSES = tuple(2**k for k in range(8, 25, 2)), 128
CALLED_WITH = 8
COMPILED = 3


def modes(row: Row, fun):
    """The program of each mode, `(cotangent, *arguments)`."""
    both = row.value_and_gradient(fun)
    return {
        "value": jax.jit(lambda _, *arguments: fun(*arguments)),
        "gradient": jax.jit(lambda *arguments: both(*arguments)[1]),
        "value and gradient": jax.jit(both),
    }


def with_cotangent(row: Row, shape):
    """Arguments of the programs of a row, a cotangent first."""
    arguments = row.arguments(shape)
    result = jax.eval_shape(row.ours, *arguments)
    return jnp.full(result.shape, 0.5, result.dtype), *arguments


def floor(x):
    """What the time of a row is compared to."""
    copy, exp = jax.jit(jnp.copy), jax.jit(jnp.exp)
    return {COPY: functools.partial(copy, x), EXP: functools.partial(exp, x)}


def measure(row: Row, shape, seconds: float):
    """A record for each program in each mode at one size."""
    arguments = with_cotangent(row, shape)
    programs = {label: modes(row, fun) for label, fun in row.all.items()}
    for mode in MODES:
        turns = {label: functools.partial(program[mode], *arguments) for label, program in programs.items()}
        times = take_turns(turns | floor(arguments[1]), seconds)
        for label in row.all:
            ratio, low, high = times[label].ratio(times[OURS])
            yield {
                "function": row.name,
                "family": row.family,
                "by": label,
                "mode": mode,
                "shape": shape,
                "seconds": times[label].median,
                "spread": times[label].spread,
                "over ours": ratio,
                "over ours, 95 %": (low, high),
                "over a copy": times[label].ratio(times[COPY])[0],
                "over one exp": times[label].ratio(times[EXP])[0],
                "bytes": traffic(row, label, mode, arguments),
                "copy bytes": 2 * arguments[1].nbytes,
            }


def traffic(row: Row, label: str, mode: str, arguments) -> int:
    """Bytes that a program must at least read and write."""
    read = arguments[1:] if mode == "value" else arguments
    written = jax.eval_shape(modes(row, row.all[label])[mode], *arguments)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((read, written)))


def equations(jaxpr) -> int:
    """Equations of a program, those of its inner programs included."""
    inner = [
        sub for equation in jaxpr.eqns for sub in jax.tree.leaves(tuple(equation.params.values()), is_leaf=_is_program)
    ]
    return len(jaxpr.eqns) + sum(equations(getattr(sub, "jaxpr", sub)) for sub in inner if _is_program(sub))


def _is_program(parameter) -> bool:
    return hasattr(parameter, "eqns")


def compile_and_call(row: Row, seconds: float):
    """Time to trace and compile value and gradient anew, the equations compiled, and the time of a call outside jit."""
    shape = (CALLED_WITH,) * len(row.shapes[0])
    arguments = with_cotangent(row, shape)

    def compiling(fun):
        def compile_anew():
            jax.clear_caches()
            return jax.jit(row.value_and_gradient(fun)).lower(*arguments).compile() and None

        return compile_anew

    compiled = take_turns({label: compiling(fun) for label, fun in row.all.items()}, 0, COMPILED)
    called = take_turns({label: functools.partial(fun, *arguments[1:]) for label, fun in row.all.items()}, seconds)
    for label, fun in row.all.items():
        yield {
            "function": row.name,
            "family": row.family,
            "by": label,
            "compile seconds": compiled[label].median,
            "compile spread": compiled[label].spread,
            "equations": equations(jax.make_jaxpr(row.value_and_gradient(fun))(*arguments).jaxpr),
            "call seconds": called[label].median,
            "call spread": called[label].spread,
        }


def growth(row: Row, seconds: float, sizes):
    """Time of value and gradient by size, the floor included."""
    for size in sizes:
        rows = max(1, size // CLASSES)
        shape = (size,) if len(row.shapes[0]) == 1 else (rows, size // rows)
        arguments = with_cotangent(row, shape)
        programs = {label: functools.partial(modes(row, f)[MODES[-1]], *arguments) for label, f in row.all.items()}
        for label, times in take_turns(programs | floor(arguments[1]), seconds).items():
            yield {
                "function": row.name,
                "family": row.family,
                "by": label,
                "size": math.prod(shape),
                "seconds": times.median,
                "spread": times.spread,
            }


def training(seconds: float):
    """Time of a training step, the usual functions over ours; needs the optimiser of optax."""
    for model in MODELS if library("optax") else ():
        times = take_turns(model.programs(), 4 * seconds)
        for label, found in times.items():
            ratio, low, high = found.ratio(times[OURS])
            yield {
                "model": model.name,
                "by": label,
                "seconds": found.median,
                "spread": found.spread,
                "over ours": ratio,
                "over ours, 95 %": (low, high),
            }


def run(only=(), quick=False, output: Path = report.RESULTS) -> dict[str, list[dict]]:
    seconds = QUICK_SECONDS if quick else SECONDS
    rows = [row for row in report.chosen(ROWS, only) if row.shapes]
    records = {"time": [], "compile and call": [], "growth": [], "training": list(training(seconds))}
    # Compiling clears all caches, so it comes first.
    for row in tqdm(rows, desc="compile and call", unit="row"):
        records["compile and call"] += compile_and_call(row, seconds)
    for row in (progress := tqdm(rows, unit="row")):
        progress.set_description(row.name)
        for shape in row.sizes(quick):
            records["time"] += measure(row, shape, seconds)
    first = [next((row for row in rows if row.family == family), None) for family in FAMILIES]
    for row in tqdm([row for row in first if row], desc="growth", unit="family"):
        records["growth"] += growth(row, seconds / 2, [size for size in SIZES if not quick or size <= SMALL])
    report.write("speed", "Speed", records, speed_pictures.sections(records, output), output)
    return records


def main() -> None:
    options = report.parser(__doc__).parse_args()
    on_one_core()
    run(options.only, options.quick, options.output)


if __name__ == "__main__":
    main()
