"""Grids of equal programs: a round that took as long as the one before is taken many times, instead of simulated again.

A round is one program on every core. If all of them are of one class, the cores stay in step: they share the memory equally, and
begin the next round together. Then a second such round begins as the third does, and all after it:

    time  | first ... | one | two | two | two | ... | the rest
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .events import Timed
from .tasks import Tasks


def timed(classes: list[Tasks], programs: list[int], cores: int, bandwidth: float, record: int = 0) -> Timed:
    """What `Timed` says of all programs; of many equal ones, only some are simulated. `record`: as there, but all are then."""
    first, count = (0, 0) if record else longest(programs, cores)
    if count < 2 * first + 6:  # what is in front is simulated three times
        return Timed(classes, programs, cores, bandwidth, record)
    middle, rest = programs[: (first + 2) * cores], programs[(first + count) * cores :]
    one, two = (Timed(classes, those, cores, bandwidth) for those in (middle[:-cores], middle))
    some = Timed(classes, middle + rest, cores, bandwidth) if rest else two
    return repeated(some, first + 1, count - 2, one, two)


def longest(programs: Sequence[int], cores: int) -> tuple[int, int]:
    """The first and the number of the most rounds of one class in a row, while no round before was of several."""
    rounds = np.array(programs[: len(programs) // cores * cores], np.int64).reshape(-1, cores)
    mixed = np.flatnonzero((rounds != rounds[:, :1]).any(axis=1))
    kinds = rounds[: mixed[0] if len(mixed) else len(rounds), 0]
    if not len(kinds):
        return 0, 0
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(kinds)) + 1, [len(kinds)]])
    where = int(np.argmax(np.diff(bounds)))
    return int(bounds[where]), int(bounds[where + 1] - bounds[where])


def repeated(some: Timed, at: int, times: int, one: Timed, two: Timed) -> Timed:
    """The same with round `at` so many times more. `one` and `two`: without and with that round, and without those after it."""
    each = two.cycles - one.cycles
    sources, later = [], []
    for start, stop in zip(some.firsts[:-1].tolist(), some.firsts[1:].tolist(), strict=True):
        place = np.arange(stop - start + times)
        sources.append(start + np.where(place <= at, place, np.maximum(at, place - times)))
        later.append(each * np.clip(place - at, 0, times))
    source = np.concatenate(sources)
    order = [p for core in range(some.cores) for p in range(core, len(source), some.cores)]
    return some.spread(order, source, np.concatenate(later), times, (one, two))
