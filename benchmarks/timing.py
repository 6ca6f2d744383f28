"""Time of several programs that take turns, so that what else the machine does meets all of them alike.

On CPU it is the processor's time, on one core: a program that a second core joins now and then has no time of its own.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping

import jax
import numpy as np
from scipy import stats

# A measurement repeats a call until it lasts so long that the clock does not matter.
SHORTEST = 2e-4
FEWEST, MOST = 7, 40


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds a call takes, in each round."""

    seconds: np.ndarray

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, as a share of the median."""
        return float(stats.iqr(self.seconds)) / 2 / self.median

    def ratio(self, other: "Times") -> tuple[float, float, float]:
        """Median of the ratios of each round, and its 95 % confidence interval."""
        ratios = self.seconds / other.seconds
        found = stats.bootstrap((ratios,), np.median, n_resamples=999, method="percentile", rng=0)
        return float(np.median(ratios)), *map(float, found.confidence_interval)


def on_one_core() -> None:
    """Keeps to one core, to be called before JAX starts its threads; programs then run in the calling thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    # The hand-over to another thread takes longer than some of the programs.
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def take_turns(programs: Mapping[str, Callable], budget: float, fewest: int = FEWEST) -> dict[str, Times]:
    """Times of the programs, called without arguments, in about `budget` seconds; the order of each round is random."""
    calls, once = {}, 0.0
    for name, program in programs.items():
        jax.block_until_ready(program())  # compiles, which does not count
        seconds = _seconds(program, 1)
        calls[name] = max(1, int(SHORTEST / seconds))
        once += calls[name] * seconds
    rounds = int(np.clip(budget / once, fewest, MOST))
    random, names = np.random.default_rng(0), list(programs)
    found = {name: [] for name in names}
    for _ in range(rounds):
        for name in random.permutation(names):
            found[name].append(_seconds(programs[name], calls[name]))
    return {name: Times(np.array(seconds)) for name, seconds in found.items()}


def _seconds(program: Callable, calls: int) -> float:
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    began = clock()
    for _ in range(calls):
        result = program()
    jax.block_until_ready(result)
    return (clock() - began) / calls
