"""The critical path: from the last effect of a launch back to its beginning, each time to what the one before had to wait for.

    ... issue -> [ work ][ latency ] -> [ work ] -> issue -> issue -> [ work ][ latency ] end

Its links lie end to end without gaps: their lengths add up to the cycles of the launch. Shortening anything else gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .events import Timed
from .tasks import KIND_BARRIER, KIND_SCALAR, Tasks

WORK, BANDWIDTH, LATENCY, ISSUE, UNKNOWN = "work", "bandwidth", "latency", "issue", "not recorded"


class Link(NamedTuple):
    """A stretch of time, and what it went by with."""

    position: int  # of the run, in the order in which cores have them
    task: int  # of the instruction in it; -1: a run whose instructions were not kept
    start: float
    stop: float
    what: str


def critical_path(timed: Timed, classes: Sequence[Tasks]) -> list[Link]:
    """The links, first one first."""
    return list(_backwards(timed, classes))[::-1] if timed.programs else []


def _backwards(timed: Timed, classes: Sequence[Tasks]) -> Iterator[Link]:
    position: int | None = int(np.argmax(timed.ends))
    while position is not None:
        first = position in timed.firsts[:-1].tolist()
        start = 0.0 if first else float(timed.ends[position - 1])
        if timed.recorded[position] < 0:
            yield Link(position, -1, start, float(timed.ends[position]), UNKNOWN)
        else:
            yield from _through(timed, classes[timed.kinds[position]], position, start)
        position = None if first else position - 1


def _through(timed: Timed, tasks: Tasks, position: int, start: float) -> Iterator[Link]:
    """From the end of a program to its start. `at` says what of instruction i has just happened at the time `t`."""
    base = int(timed.recorded[position])
    rows = slice(base, base + len(tasks))
    entered, began, freed, seen = (_quick(getattr(timed, name)[rows]) for name in ("entered", "began", "freed", "seen"))
    cause, held = _quick(timed.cause[rows]), _quick(timed.held[rows])
    kind, before, cost, alone, moved = (_quick(tasks.columns[name]) for name in ("kind", "before", "cost", "own", "moved"))
    i, t, at = int(timed.ender[position]), float(timed.ends[position]), "seen"
    while True:
        if at == "seen":
            if t > freed[i]:
                yield Link(position, i, freed[i], t, LATENCY)
            t, at = freed[i], "freed"
        if at == "freed":
            least = began[i] + cost[i] + alone[i] if moved[i] > 0 else t
            if t - least > 1e-6:
                yield Link(position, i, least, t, BANDWIDTH)
                t = least
            if t > began[i]:
                yield Link(position, i, began[i], t, WORK)
            t, at = began[i], "began"
        if at == "began":
            who = cause[i]
            if who >= 0:
                at = "freed" if who == before[i] and freed[who] == t else "seen"
                i = who
                continue
            at = "entered"
        if held[i] >= 0:  # it entered when that one left the queue
            i, at = held[i], "began"
            continue
        if i == 0:
            if t > start:
                yield Link(position, i, start, t, ISSUE)
            return
        scalar = kind[i - 1] in (KIND_SCALAR, KIND_BARRIER)
        ready = freed[i - 1] if scalar else entered[i - 1]
        if t > ready:
            yield Link(position, i, ready, t, ISSUE)
        i, t, at = i - 1, ready, "freed" if scalar else "entered"


def _quick(column: np.ndarray) -> Any:
    """A column whose single elements are read in a third of the time that NumPy takes."""
    return memoryview(column)  # type: ignore[arg-type]
