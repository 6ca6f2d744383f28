"""Accuracy and speed on an accelerator, and how much of the device's memory bandwidth each function reaches.

`python -m benchmarks.gpu` says so and does nothing where there is none. `exp` and `log` of an accelerator are not those
of a CPU, so errors are measured there too.
"""

import math

import jax

from benchmarks import accuracy, report, speed
from benchmarks.row import OURS

FEWEST_NUMBERS = 2**20  # below, a call is over before it is under way


def bandwidth_table(records) -> str:
    """Bytes a second in the largest array of each function, over those of a copy."""
    largest = {}
    for r in records:
        size = math.prod(r["shape"])
        if size >= max(FEWEST_NUMBERS, largest.get(r["function"], 0)):
            largest[r["function"]] = size
    lines = []
    for r in records:
        if math.prod(r["shape"]) == largest.get(r["function"]):
            achieved = r["bytes"] / r["seconds"]
            copied = r["copy bytes"] / (r["seconds"] / r["over a copy"])
            share = f"{100 * achieved / copied:.0f} %"
            by = f"**{OURS}**" if r["by"] == OURS else r["by"]
            lines.append((r["function"], r["mode"], by, f"{achieved / 1e9:.0f}", f"{copied / 1e9:.0f}", share))
    return report.table(("function", "mode", "by", "GB/s", "GB/s of a copy", "share"), lines)


def main() -> None:
    options = report.parser(__doc__).parse_args()
    device = jax.devices()[0]
    if device.platform == "cpu":
        print("No accelerator here: JAX sees only the CPU, so there is nothing to measure.")
        return
    output = options.output / device.device_kind.replace(" ", "_")
    arguments = options.only, options.quick, output
    records = speed.run(*arguments)["time"]
    report.write("bandwidth", "Bandwidth", records, [(device.device_kind, bandwidth_table(records))], output)
    accuracy.run(*arguments)


if __name__ == "__main__":
    main()
