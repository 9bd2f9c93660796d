"""How long candidates take, measured in turns: one run of each, a pause between, again and again.

Turns let a machine that slows down or speeds up do so to all alike. The pause lets threads of one candidate go to sleep,
so that they do not spin while the next one runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PAUSE = 0.01
SPINNING = 0.05  # seconds that threads of peers may spin for after a call: OpenBLAS's for 2**26 cycles, OpenMP's for milliseconds
LEAST = 3e-3  # a sample shorter than this, in seconds, is made of several calls
WARM = 3  # calls before the first sample


@dataclass(frozen=True)
class Timing:
    """Seconds per call over all samples."""

    best: float
    median: float
    samples: int


def compare(
    candidates: Mapping[str, Callable[[], object]], seconds: float = 2.0, pause: float = PAUSE, fewest: int = 5
) -> dict[str, Timing]:
    """The timing of each candidate; all together take about so many seconds, and at least `fewest` turns."""
    calls = {name: _calls(run) for name, run in candidates.items()}
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or any(len(taken) < fewest for taken in samples.values()):
        for name, run in candidates.items():
            time.sleep(pause)
            samples[name].append(_sample(run, calls[name]))
    return {name: Timing(min(taken), statistics.median(taken), len(taken)) for name, taken in samples.items()}


def _calls(run: Callable[[], object]) -> int:
    """How many calls make a sample long enough to be measured, by the fastest of some: the first call of a sample finds caches
    cold, and who was slow by accident would make its samples of few calls, and stay slow."""
    for _ in range(WARM):
        run()
    return max(1, round(LEAST / min(_sample(run, 1) for _ in range(WARM))))


def _sample(run: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls
