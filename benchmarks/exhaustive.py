"""Every one of the 2**32 float32 numbers: worst, mean and place of the errors of value and first derivative.

The truth is evaluated in float64, which has 29 bits to spare, by the formulas of the tests; where a root takes those
bits away, by one that has none there. It is itself held against mpmath before anything is measured. Numbers are taken
in chunks, one process a core; finished chunks are kept in a file, so that a run that was stopped goes on where it was.
"""

import functools
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from jax import lax
from tqdm import tqdm

import references as ref
from benchmarks import report
from benchmarks.row import OURS, Row
from benchmarks.table import ROWS
from contract import sample
from ulp import expected_exactly, normal_range, spacing

CHUNK = 2**22
CHUNKS = 2**32 // CHUNK
QUICK_CHUNKS, SAVE_EVERY = 8, 16
ORDERS = ("value", "first derivative")
FLOAT64 = ref.Arithmetic(
    jnp.float64,
    jnp.exp,
    jnp.expm1,
    jnp.log,
    jnp.log1p,
    jnp.tanh,
    jnp.sin,
    jnp.cos,
    jnp.arctan,
    jnp.sqrt,
    jnp.floor,
    jnp.rint,
    jax.scipy.special.erfc,
    jnp.maximum,
    jnp.where,
)
# What the truth may be off by, in ulp of float32.
SLACK = 1e-5


def _from_root(root: mpmath.mpf, x):
    """`x - root` for `x` close to it, without loss; written so that no compiler adds the two parts of the root up."""
    high = float(root)
    return -(high - x) - float(root - high)


def _softplus_inverse(m, y):
    with mpmath.workprec(ref.MPMATH_BITS):
        root = mpmath.log(2)
    near = m.log1p(2 * m.expm1(_from_root(root, jnp.clip(y, 0.5, 1.0))))
    return m.where(abs(y - 0.75) < 0.25, near, ref.softplus_inverse(m, y))


def _log_softplus(m, x):
    with mpmath.workprec(ref.MPMATH_BITS):
        root = mpmath.log(mpmath.e - 1)
        factor = float(1 - 1 / mpmath.e)
    near = m.log1p(m.log1p(factor * m.expm1(_from_root(root, jnp.clip(x, 0.25, 0.75)))))
    return m.where(abs(x - 0.5) < 0.25, near, ref.log_softplus(m, x))


def _logit(m, p):
    return m.where(abs(p - 0.5) < 0.25, m.log1p((2 * p - 1) / (1 - p)), m.log(p) - m.log1p(-p))


def _log_sigmoid(m, x):
    return -ref.softplus(m, -x)


TRUTH: dict[str, tuple[Callable, Callable]] = {
    "softplus": (ref.softplus, ref.sigmoid),
    "softplus_inverse": (_softplus_inverse, ref.softplus_inverse_slope),
    "log_sigmoid": (_log_sigmoid, lambda m, x: ref.sigmoid(m, -x)),
    "log_softplus": (_log_softplus, ref.log_softplus_slope),
    "log1mexp": (ref.log1mexp, ref.log1mexp_slope),
    "logit": (_logit, ref.logit_slope),
    "sigmoid": (ref.sigmoid, ref.bump),
    "tanh": (ref.tanh, ref.tanh_slope),
}


def row_of(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def expected(name: str, x):
    """Value and first derivative in float64."""
    return [formula(FLOAT64, x.astype(jnp.float64)) for formula in TRUTH[name]]


def check_truth(name: str) -> float:
    """The largest error of the truth that is found, in ulp of float32, against mpmath at points of every kind."""
    case, worst = row_of(name).case, 0.0
    points = sample(case, np.dtype(np.float32), 1000)
    for formula, got in zip(case.reference, jax.jit(expected, static_argnums=0)(name, points), strict=False):
        exact = expected_exactly(formula, points)
        smallest, largest = normal_range(np.dtype(np.float32), (1.0, 1.0))
        usual = (np.abs(exact) >= smallest) & (np.abs(exact) <= largest)
        worst = max(
            worst, float(np.max(np.abs(np.asarray(got) - exact)[usual] / spacing(np.abs(exact[usual]), np.float32)))
        )
    if worst > SLACK:
        raise SystemExit(f"{name}: the truth is {worst:.1e} ulp of float32 off, more than {SLACK}")
    return worst


def ulp_errors(got, want):
    """As `errors` of the tests, for results in float32 and the truth in float64, compiled."""
    info = jnp.finfo(jnp.float32)
    magnitude, largest, tiny = jnp.abs(want), float(info.max), float(info.tiny)
    exponent = (lax.bitcast_convert_type(jnp.minimum(magnitude, largest), jnp.int64) >> 52) - 1023
    last_place = lax.bitcast_convert_type((jnp.maximum(exponent, info.minexp) - info.nmant + 1023) << 52, jnp.float64)
    got = got.astype(jnp.float64)
    overflows = (magnitude > largest * (1 - 4 * float(info.eps))) & (jnp.abs(got) >= largest * 0.99)
    vanishes = (magnitude < tiny) & (jnp.abs(got) <= 1.01 * tiny)
    right = (overflows & (jnp.sign(got) == jnp.sign(want))) | vanishes
    error = jnp.where(right, 0, jnp.abs(got - want) / last_place)
    return jnp.where(jnp.isnan(error), jnp.inf, error)


@functools.partial(jax.jit, static_argnums=0)
def points_and_truth(name: str, start):
    """The numbers of a chunk, which of them count, and what is right there."""
    bits = start + lax.iota(jnp.uint32, CHUNK)
    x = lax.bitcast_convert_type(bits, jnp.float32)
    low, high = row_of(name).case.domain
    counts = (jnp.abs(x) >= jnp.finfo(jnp.float32).tiny) & jnp.isfinite(x) & (x > low) & (x < high)
    return x, counts, expected(name, jnp.where(counts, x, 0.625).astype(jnp.float32))


@functools.partial(jax.jit, static_argnums=(0, 1))
def results(name: str, label: str, x):
    """Value and first derivative in a program of their own, as users compile them."""
    value, backward = jax.vjp(row_of(name).exact[label], x)
    return value, backward(jnp.ones_like(value))[0]


@jax.jit
def counted_errors(got, want, counts):
    return jnp.where(counts, ulp_errors(got, want), 0)


def tally(got, want, counts):
    """What a chunk adds to the table; NumPy adds up faster than the compiled sums of JAX on CPU do."""
    error = np.asarray(counted_errors(got, want, counts))
    worst = int(np.argmax(error))
    finite = np.isfinite(error)
    total = float(error.sum()) if finite.all() else float(error[finite].sum())
    missed = int(np.count_nonzero(error > 0.5))
    return {
        "points": int(np.count_nonzero(counts)),
        "worst": float(error[worst]),
        "index": worst,
        "got": float(got[worst]),
        "want": float(want[worst]),
        "sum": total,
        "right": int(np.count_nonzero(counts)) - missed,
        "not finite": error.size - int(np.count_nonzero(finite)),
    }


def run_chunk(task: tuple[str, int]) -> dict:
    name, chunk = task
    start = chunk * CHUNK
    x, counts, truth = points_and_truth(name, jnp.uint32(start))
    tallies = {}
    if counts.any():
        for label in row_of(name).exact:
            for order, got, want in zip(ORDERS, results(name, label, x), truth, strict=True):
                found = tally(got, want, counts)
                tallies[f"{label}, {order}"] = found | {"bits": start + found.pop("index")}
    return {"chunk": chunk, "tallies": tallies}


def merge(finished: list[dict]) -> dict[str, dict]:
    """The tallies of all chunks as one."""
    total = {}
    for chunk in finished:
        for key, part in chunk["tallies"].items():
            so_far = total.setdefault(key, part | {"points": 0, "sum": 0.0, "right": 0, "not finite": 0, "worst": -1.0})
            if part["worst"] > so_far["worst"]:
                so_far.update({field: part[field] for field in ("worst", "bits", "got", "want")})
            for field in ("points", "sum", "right", "not finite"):
                so_far[field] += part[field]
    return total


def fingerprint() -> dict[str, str]:
    """What the results depend on: chunks of another version must not be mixed in."""
    sources = sorted(Path(report.__file__).parent.parent.glob("jaxact/*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    return {"jax": jax.__version__, "jaxact": digest, "chunk": str(CHUNK)}


def finished_chunks(path: Path) -> list[dict]:
    """The chunks in the file; none if it was made by another version."""
    lines = path.read_text().splitlines() if path.exists() else []
    if not lines or json.loads(lines[0]) != fingerprint():
        return []
    return [json.loads(line) for line in lines[1:]]


def save(path: Path, finished: list[dict]) -> None:
    """Writes all chunks to a new file and puts it in place at once, so that no line is ever half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(line) + "\n" for line in (fingerprint(), *finished)))
    new.replace(path)


def start_worker(cores) -> None:
    """Each worker has one core to itself, so that they do not compete for all of them."""
    core = cores.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    jax.config.update("jax_enable_x64", True)


def sweep(name: str, quick: bool, path: Path) -> None:
    """Does the chunks that are not finished, and saves now and then."""
    finished = finished_chunks(path)
    done = {chunk["chunk"] for chunk in finished}
    every = range(0, CHUNKS, CHUNKS // QUICK_CHUNKS) if quick else range(CHUNKS)
    tasks = [(name, chunk) for chunk in every if chunk not in done]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    for core in cores:
        queue.put(core)
    with context.Pool(len(cores), start_worker, (queue,)) as pool:
        chunks = pool.imap_unordered(run_chunk, tasks)
        for chunk in tqdm(chunks, desc=name, initial=len(finished), total=len(every), unit="chunk"):
            finished.append(chunk)
            if len(finished) % SAVE_EVERY == 0:
                save(path, finished)
    save(path, finished)


def records_of(name: str, total: dict[str, dict]) -> Iterator[dict]:
    for key, part in total.items():
        by, _, order = key.rpartition(", ")
        yield {
            "function": name,
            "by": by,
            "order": order,
            "points": part["points"],
            "worst": part["worst"],
            "mean": part["sum"] / max(part["points"] - part["not finite"], 1),
            "correctly rounded": part["right"] / part["points"],
            "not finite": part["not finite"],
            "at": float(np.uint32(part["bits"]).view(np.float32)),
            "got": part["got"],
            "want": part["want"],
        }


def run(names: list[str], quick: bool, output: Path) -> None:
    jax.config.update("jax_enable_x64", True)
    unknown = set(names) - set(TRUTH)
    if unknown:
        raise SystemExit(f"no exhaustive truth of {', '.join(sorted(unknown))}; there is one of {', '.join(TRUTH)}")
    state = output / ("state-quick" if quick else "state")
    for name in names:
        check_truth(name)
        sweep(name, quick, state / f"{name}.jsonl")
    write([name for name in TRUTH if (state / f"{name}.jsonl").exists()], state, output)


def write(names: list[str], state: Path, output: Path) -> None:
    """The page of all functions that have been swept, in this run or before."""
    records = [r for name in names for r in records_of(name, merge(finished_chunks(state / f"{name}.jsonl")))]
    header = ("function", "order", "by", "points", "worst, ulp", "at", "got", "mean", "correctly rounded", "NaN or inf")
    lines = [
        (
            r["function"],
            r["order"],
            f"**{OURS}**" if r["by"] == OURS else r["by"],
            f"{r['points']:,}",
            report.number(r["worst"]),
            report.place(r["at"]),
            report.place(r["got"]),
            report.number(r["mean"]),
            f"{100 * r['correctly rounded']:.4g} %",
            f"{r['not finite']:,}",
        )
        for r in records
    ]
    note = "All normal ones inside the domain of the function, value and first derivative. The truth is in float64."
    sections = [("How to read it", note), ("Errors", report.table(header, lines))]
    report.write("exhaustive", "Every float32 number", records, sections, output)
