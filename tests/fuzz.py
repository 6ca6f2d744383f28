"""Random bit patterns through every public function and its gradient.

    python tests/fuzz.py --patterns 10000000 --report report.md

For numbers of the domain nothing may be NaN, and infinite only what truly is, or what is beyond the dtype. Numbers that
are denormal in the dtype of the computation count as 0, as XLA on CPU makes them.
"""

import argparse
import functools
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

from fuzz_subjects import CLASSES, PAIRS, SUBJECTS
from ulp import normal_range

DTYPES = (np.float16, jnp.bfloat16, np.float32, np.float64)
# How many numbers go through a program at a time.
LARGEST_CHUNK = 2**20


def random_numbers(rng, dtype, count, magnitudes):
    """Bit patterns, of which half have an exponent within 32 of that of 1, or magnitudes from a narrower range."""
    dtype = jnp.dtype(dtype)
    unsigned = jnp.dtype(f"uint{8 * dtype.itemsize}")
    bits = rng.integers(0, np.iinfo(unsigned).max, count, unsigned, endpoint=True)
    smallest, largest = (float(np.clip(size, *normal_range(dtype, (1.0, 1.0)))) for size in magnitudes)
    lowest, highest = np.log2(smallest), np.log2(largest)
    wide = magnitudes == (0.0, np.inf)
    if wide:
        lowest, highest = max(lowest, -32), min(highest, 32)
    moderate = (2.0 ** rng.uniform(lowest, highest, count) * rng.choice([-1, 1], count)).astype(dtype)
    return np.where(rng.random(count) < 0.5 if wide else np.zeros(count, bool), bits.view(dtype), moderate)


@functools.partial(jax.jit, static_argnums=0)
def value_and_gradients(subject, *arrays):
    value, backward = jax.vjp(subject.fun, *arrays)
    weights = jnp.ones_like(value)
    if subject.in_rows:  # equal weights would make the gradient of softmax 0
        shape = value.shape[1:]
        weights = jnp.broadcast_to(jnp.cos(jnp.arange(1.0, 1 + max(shape, default=1))).astype(value.dtype), value.shape)
    return value, *backward(weights)


def _as_computed(x):
    """In longdouble, with 0 for numbers that are denormal in the dtype of the computation."""
    with np.errstate(invalid="ignore"):
        wide = np.asarray(x).astype(np.longdouble)
    compute = np.float64 if x.dtype == np.float64 else np.float32
    return np.where(np.abs(wide) < float(jnp.finfo(compute).tiny), 0, wide)


def _may_be_infinite(subject, arrays, index):
    """For each result whether it may be, at the numbers or rows of the index."""
    chosen = [_as_computed(x[index]) for x in arrays]
    with np.errstate(all="ignore"):
        truths = subject.truth(*chosen)
    info = jnp.finfo(arrays[0].dtype)
    largest = float(info.max) * (1 - 4 * np.longdouble(float(info.eps))) / subject.margin
    infinite = [np.abs(truth) >= largest for truth in truths]
    if not subject.edges:
        return infinite
    at_edge = np.isin(chosen[0], subject.edges)
    return [right | at_edge for right in infinite]


def faults(subject, arrays):
    """Masks of the numbers, or rows, that are in the domain, that give NaN, and that give a wrong infinity."""
    inside = functools.reduce(
        np.logical_and, (a.contains(_as_computed(x)) for a, x in zip(subject.arguments, arrays, strict=True))
    )
    if subject.in_rows:
        inside = inside.all(axis=-1)
    results = [np.asarray(result) for result in value_and_gradients(subject, *arrays)]

    def anywhere(condition):
        return condition.reshape(len(inside), -1).any(axis=-1)

    nan = inside & functools.reduce(np.logical_or, (anywhere(np.isnan(result)) for result in results))
    infinite = np.zeros_like(inside)
    found = inside & functools.reduce(np.logical_or, (anywhere(np.isinf(result)) for result in results))
    if subject.truth is not None and found.any():
        index = np.flatnonzero(found)
        for result, right in zip(results, _may_be_infinite(subject, arrays, index), strict=True):
            infinite[index] |= np.any((np.isinf(result[index]) & ~right).reshape(len(index), -1), axis=-1)
    return inside, nan, infinite, results


def fuzz(subject, dtype, count, seed=0):
    """Counts of patterns, those in the domain, NaN and wrong infinities, and some inputs that are at fault."""
    rng = np.random.default_rng(seed)
    chunk = min(count, LARGEST_CHUNK)
    shape = (chunk // CLASSES, CLASSES) if subject.in_rows else (chunk,)
    totals, examples = np.zeros(4, int), []
    for _ in range(-(-count // chunk)):
        arrays = [random_numbers(rng, dtype, chunk, a.magnitudes).reshape(shape) for a in subject.arguments]
        inside, nan, infinite, results = faults(subject, arrays)
        size = CLASSES if subject.in_rows else 1
        totals += [chunk, inside.sum() * size, nan.sum(), infinite.sum()]
        examples += [
            f"{dtype_name(dtype)} {[x[i] for x in arrays]} -> {[r[i] if r.ndim else r for r in results]}"
            for i in np.flatnonzero(nan | infinite)[: 3 - len(examples)]
        ]
    return totals, examples


def dtype_name(dtype):
    return jnp.dtype(dtype).name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--patterns", type=int, default=10_000_000, help="patterns of each function, all dtypes together"
    )
    parser.add_argument("--pairs", type=int, default=1_000_000, help="likewise for data and parameter together")
    parser.add_argument("--only", default="", help="part of the names of those that are tried")
    parser.add_argument("--report", type=pathlib.Path, help="file to write the table to")
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    lines = ["| function | patterns | in the domain | NaN | wrong infinities | seconds |", "|---|--:|--:|--:|--:|--:|"]
    notes = []
    for subjects, patterns in ((SUBJECTS, given.patterns), (PAIRS, given.pairs)):
        for subject in subjects:
            if given.only not in subject.name:
                continue
            began, totals = time.perf_counter(), np.zeros(4, int)
            for dtype in DTYPES:
                # All bits of 16 are found with a tenth of the patterns.
                part = patterns // 10 if jnp.dtype(dtype).itemsize == 2 else patterns * 2 // 5
                counts, examples = fuzz(subject, dtype, part)
                totals += counts
                notes += [f"- {subject.name}: {example}" for example in examples]
            infinities = "not counted" if subject.truth is None else totals[3]
            seconds = time.perf_counter() - began
            row = f"| {subject.name} | {totals[0]} | {totals[1]} | {totals[2]} | {infinities} | {seconds:.0f} |"
            print(row, flush=True)
            lines.append(row)
    report = "\n".join([*lines, "", *(notes or ["No fault."]), ""])
    print("\n".join(notes))
    if given.report:
        given.report.write_text(report)


if __name__ == "__main__":
    main()
