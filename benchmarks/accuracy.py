"""Errors of jaxact and of what people use instead, in ulp: value, first and second derivative, in four dtypes.

`python -m benchmarks.accuracy` takes less than three minutes; `--exhaustive` is every float32 number, see
`exhaustive.py`. Derivatives are by reverse mode, as gradients are what users take. In float16 and bfloat16 every number
is tried; in float32 random ones of all magnitudes and the neighbours of every root, threshold and tie; in float64
fewer. Functions of rows are tried on rows of 64 logits that are hard: offsets, ties, gaps of 4 to 80; their derivatives
are those in the logit of one class.
"""

import functools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import rows as logits_rows
from benchmarks import exhaustive, reasons, report
from benchmarks.row import OURS, Row
from benchmarks.table import ROWS
from contract import sample
from references import LONG
from ulp import bit_patterns, errors, expected_exactly, expected_long

ORDERS = ("value", "first derivative", "second derivative")
DTYPES = ("float32", "float64", "bfloat16", "float16")
POINTS = {"float32": 50_000, "float64": 200}
ROWS_OF_A_KIND, QUICK = 100, 20
CORRECTLY_ROUNDED, VISIBLE = 0.5, 0.01


def derivatives(row: Row, fun, order: int):
    """The derivative of `fun` as a function of its first argument; for rows of logits in that of the label."""

    def pick(result, x):
        return result if row.case or result.ndim < x.ndim else jnp.take_along_axis(result, row.label(x), -1)[:, 0]

    if order == 0:
        return lambda x: pick(fun(x, *row.more(x)), x)
    lower = derivatives(row, fun, order - 1)

    def derivative(x):
        value, backward = jax.vjp(lower, x)
        return pick(backward(jnp.ones_like(value))[0], x)

    return derivative


@functools.partial(jax.jit, static_argnums=(0, 1))
def all_orders(row: Row, label: str, x):
    return [derivatives(row, row.exact[label], order)(x) for order in range(len(ORDERS))]


def points_of(row: Row, dtype: str, quick: bool):
    """Numbers, or rows of logits, and what to call each of them."""
    divisor = QUICK if quick else 1
    if row.truth:
        with np.errstate(over="ignore"):
            kinds = logits_rows.hard_rows(jnp.dtype(dtype), ROWS_OF_A_KIND // divisor)
        x = np.concatenate(list(kinds.values()))
        return x, np.repeat(list(kinds), len(x) // len(kinds)).tolist()
    if dtype in POINTS:
        x = sample(row.case, np.dtype(dtype), POINTS[dtype] // divisor)
    else:
        x = bit_patterns(divisor, jnp.dtype(dtype))
        x = x[row.case.contains(x.astype(np.float64), jnp.dtype(dtype))]
    return x, x.astype(np.float64)


def truth_of_numbers(row: Row, x):
    """The truth of every order, and the size that its errors are counted against."""
    expected = expected_exactly if x.dtype == np.float64 else expected_long
    return [[formula and expected(formula, x) for formula in part] for part in (row.case.reference, row.case.scale)]


def truth_of_logits(row: Row, x):
    """The same for rows of logits: a formula of the label's logit less that of all others together."""
    label = np.asarray(row.label(jnp.asarray(x)))
    wide = x.astype(np.longdouble)
    apart = np.take_along_axis(wide, label, -1)[:, 0] - logits_rows.logsumexp(
        np.where(np.arange(x.shape[-1]) == label, -np.inf, wide)
    )
    with np.errstate(all="ignore"):
        truth = [formula and formula(LONG, apart) for formula in row.truth]
    if row.truth[0] is not None:
        return truth, [None] * len(ORDERS)
    value = logits_rows.logsumexp(x)
    return [value, *truth[1:]], [np.maximum(np.abs(value), np.abs(wide.max(axis=-1))), None, None]


def measure(row: Row, dtype: str, quick: bool, pool: ThreadPoolExecutor):
    """A record for each function and order; the functions are compiled and run while the truth is worked out."""
    points, names = points_of(row, dtype, quick)
    pending = {label: pool.submit(all_orders, row, label, jnp.asarray(points)) for label in row.exact}
    truth, scales = (truth_of_logits if row.truth else truth_of_numbers)(row, points)
    margin = row.case.margin if row.case else (1.0, 1.0)
    for label, future in pending.items():
        identity = {"function": row.name, "family": row.family, "dtype": dtype, "by": label}
        try:
            results = future.result()
        except (TypeError, ValueError) as error:
            if label == OURS:
                raise
            yield identity | {"refuses": type(error).__name__}
            continue
        for order, got, want, scale in zip(ORDERS, results, truth, scales, strict=True):
            yield identity | {"order": order} | tally(errors(got, want, points.dtype, scale, margin), names, got, want)


def tally(error, names, got, want):
    worst, finite = np.argmax(error), np.isfinite(error)
    return {
        "points": error.size,
        "worst": float(error[worst]),
        "mean": float(error[finite].mean()) if finite.any() else math.inf,
        "correctly rounded": float(np.mean(error <= CORRECTLY_ROUNDED)),
        "not finite": int(error.size - finite.sum()),
        "at": names[worst],
        "got": float(np.asarray(got)[worst]),
        "want": float(want[worst]),
    }


def by_function(records):
    """Records of one function by one implementation, by order."""
    groups = {}
    for record in records:
        groups.setdefault((record["function"], record["by"]), {})[record.get("order")] = record
    return groups


def table(records) -> str:
    lines = []
    for (function, by), orders in by_function(records).items():
        if None in orders:
            lines.append((function, by, f"refuses: {orders[None]['refuses']}", "", "", ""))
            continue
        places = "; ".join(report.place(orders[order]["at"]) if orders[order]["worst"] else "-" for order in ORDERS)
        lines.append((function, by, *(cell(orders[order]) for order in ORDERS), places))
    return report.table(("function", "by", *ORDERS, "worst at"), lines)


def behind_table(records) -> str:
    """Where another function's worst error is the smaller one, by more than a hundredth of an ulp."""
    ours = {_where(r): r["worst"] for r in records if r["by"] == OURS}
    lines = [
        (*_where(r), report.number(ours[_where(r)]), r["by"], report.number(r["worst"]))
        for r in records
        if "order" in r and r["worst"] < ours[_where(r)] - VISIBLE
    ]
    shown = report.table(("function", "dtype", "order", OURS, "by", "worst error"), lines)
    return f"{reasons.listed((line[0] for line in lines), reasons.MORE_EXACT)}\n\n{shown}"


def _where(record) -> tuple:
    return record["function"], record["dtype"], record.get("order")


def cell(record) -> str:
    share = 100 * record["correctly rounded"]
    return f"{report.number(record['worst'])} / {report.number(record['mean'])} / {share:.3g} %"


def draw(figure, records) -> None:
    names = list(dict.fromkeys(record["function"] for record in records))
    edge = 100 * 2.0 ** jnp.finfo(records[0]["dtype"]).nmant  # stands for results that are infinite, or NaN
    panels = figure.subplots(1, len(ORDERS), sharey=True)
    for axes, order in zip(panels, ORDERS, strict=True):
        for y, name in enumerate(names):
            found = [r for r in records if r["function"] == name and r.get("order") == order]
            for i, record in reversed(list(enumerate(found))):
                axes.plot(min(max(record["worst"], 0.1), edge), y, **report.style(i))
        axes.set(title=order, xscale="log", xlim=(0.07, 2 * edge), xlabel="worst error in ulp; right edge: NaN, inf")
        report.tidy(axes)
    report.name_lines(panels[0], names)
    report.legend(figure, (OURS, "first peer", "second peer", "third peer"))


def run(only=(), quick=False, output: Path = report.RESULTS) -> list[dict]:
    jax.config.update("jax_enable_x64", True)
    measured = [row for row in report.chosen(ROWS, only) if row.truth or row.case]
    tasks = [(row, dtype) for row in measured if len(row.exact) > 1 for dtype in DTYPES]
    records = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, dtype in (progress := tqdm(tasks, unit="row")):
            progress.set_description(f"{row.name}, {dtype}")
            records += measure(row, dtype, quick, pool)
    sections = [("How to read it", "Each cell: worst error / mean error / share correctly rounded; errors in ulp.")]
    sections.append(("Where another is more exact", behind_table(records)))
    for dtype in DTYPES:
        part = [record for record in records if record["dtype"] == dtype]
        size = (13, 2 + 0.24 * len({record["function"] for record in part}))
        shown = report.picture(f"accuracy_{dtype}", size, functools.partial(draw, records=part), output)
        sections.append((dtype, f"{shown}\n\n{table(part)}"))
    report.write("accuracy", "Accuracy", records, sections, output)
    return records


def main() -> None:
    parser = report.parser(__doc__)
    parser.add_argument(
        "--exhaustive",
        nargs="*",
        metavar="FUNCTION",
        help="every float32 number instead; of all of these if none is named: " + ", ".join(exhaustive.TRUTH),
    )
    options = parser.parse_args()
    if options.exhaustive is None:
        run(options.only, options.quick, options.output)
    else:
        exhaustive.run(options.exhaustive or list(exhaustive.TRUTH), options.quick, options.output)


if __name__ == "__main__":
    main()
