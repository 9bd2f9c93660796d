"""What took place, instruction by instruction: the rows that a timed launch kept, with what their tasks say beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .events import Timed
from .tasks import Tasks

FROM_TASKS = ("kind", "queue", "cost", "own", "moved", "before", "first", "second")


@dataclass(frozen=True)
class Slices:
    """One row per instruction; those of a run stand together, in program order. Neighbours are rows, -1 for none."""

    position: np.ndarray  # of the run, in the order in which cores have them
    run: np.ndarray  # its number, see `Profile.runs`
    core: np.ndarray
    pc: np.ndarray
    kind: np.ndarray
    queue: np.ndarray
    cost: np.ndarray
    own: np.ndarray
    moved: np.ndarray
    before: np.ndarray
    first: np.ndarray
    second: np.ndarray
    entered: np.ndarray
    began: np.ndarray
    freed: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.pc)

    @property
    def starved(self) -> np.ndarray:
        """Cycles that each transfer took longer than alone."""
        longer = self.freed - self.began - self.cost - self.own
        return np.where(self.moved > 0, np.maximum(longer, 0.0), 0.0)


def slices(timed: Timed, classes: Sequence[Tasks]) -> Slices:
    """The rows of a launch."""
    kept = np.flatnonzero(timed.recorded >= 0)
    kept = kept[np.argsort(timed.recorded[kept])]
    sizes = [len(classes[timed.kinds[p]]) for p in kept] if timed.programs else []
    bases = np.repeat(timed.recorded[kept], sizes) if sizes else np.empty(0, np.int64)
    count = len(bases)

    def gathered(name: str) -> np.ndarray:
        return np.concatenate([classes[timed.kinds[p]].columns[name] for p in kept]) if count else np.empty(0)

    told = {name: gathered(name) for name in FROM_TASKS}
    for name in ("before", "first", "second"):
        told[name] = np.where(told[name] >= 0, told[name] + bases, -1).astype(np.int64)
    position = np.repeat(kept, sizes) if count else np.empty(0, np.int64)
    notes = np.concatenate([_pcs(classes[timed.kinds[p]]) for p in kept]) if count else position
    core = np.searchsorted(timed.firsts, position, side="right") - 1
    numbers = np.array(timed.programs, np.int64)[position] if count else position
    times = {name: getattr(timed, name)[:count] for name in ("entered", "began", "freed", "seen")}
    return Slices(position=position, run=numbers, core=core, pc=notes, **told, **times)


def _pcs(tasks: Tasks) -> np.ndarray:
    """The instruction of each task; -1 for one that is none."""
    if isinstance(tasks.notes, np.ndarray):
        return tasks.notes
    return np.array([-1 if note is None else note for note in tasks.notes], np.int64)
