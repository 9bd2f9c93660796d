"""What a program asks of its machine, as arrays: one task per executed instruction, its cost, and which others it waits for.

Waits are paired with posts here, once per program: the k-th wait on a semaphore belongs to its k-th post in program order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, ClassVar

import numpy as np

from ..machine import Npu

NO_TASK = -1
KIND_UNIT, KIND_TRANSFER, KIND_SCALAR, KIND_BARRIER = range(4)
UNITS = (("S", 1), ("L", 16), ("W", 16), ("M", 1), ("V", 1), ("X", 1))  # and their channels
FIRST = {unit: sum(n for _, n in UNITS[:i]) for i, (unit, _) in enumerate(UNITS)}
QUEUES = sum(n for _, n in UNITS)
QUEUE_NAMES = tuple(unit if n == 1 else f"{unit}{i}" for unit, n in UNITS for i in range(n))


class Tasks:
    """The tasks of one program: complete, and fit for any number of programs that do the same."""

    NAMES: ClassVar[tuple[str, ...]] = (
        *("kind", "queue", "cost", "own", "moved", "latency", "stall"),
        *("first", "second", "before", "after", "room", "window"),
    )

    def __init__(self, machine: Npu):
        self.machine = machine
        self.rows: list[tuple[Any, ...]] = []
        self.notes: Any = []  # per task, what people want to know: a pc, or a name
        self.posted: dict[int, deque[int]] = defaultdict(deque)
        self.columns: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.notes)

    def add(
        self,
        unit: str,
        cost: float = 0.0,
        *,
        channel: int = 0,
        kind: int = KIND_UNIT,
        own: float = 0.0,
        moved: float = 0.0,
        latency: float = 0.0,
        stall: float = 0.0,
        after: tuple[int, ...] = (),
        note: Any = None,
        banks: float = 0.0,
    ) -> int:
        """Append a task that waits for at most two others, by number; gives its own number."""
        first, second = (*after, -1, -1)[:2]
        queue = FIRST[unit] + channel
        self.rows.append((kind, queue, cost, own, moved, latency, stall, first, second, banks))
        self.notes.append(note)
        return len(self.rows) - 1

    def waits(self, semaphores: tuple[int, ...]) -> tuple[int, ...]:
        """The posts that waits on these semaphores are paired with."""
        return tuple(self.posted[s].popleft() for s in semaphores if self.posted[s])

    def finish(self) -> Tasks:
        """Find every task's neighbours in its queue; nothing can be added any more."""
        rows = np.array(self.rows, np.float64).reshape(len(self.rows), 10)
        whole = ("kind", "queue", "first", "second")
        for i, name in enumerate((*self.NAMES[:9], "banks")):
            self.columns[name] = np.ascontiguousarray(rows[:, i].astype(np.int64 if name in whole else np.float64))
        self._link()
        return self

    @classmethod
    def of(cls, machine: Npu, columns: dict[str, np.ndarray], notes: np.ndarray) -> Tasks:
        """Tasks whose columns are known, all but those of neighbours."""
        made = cls(machine)
        made.columns, made.notes = columns, notes
        made._link()
        return made

    def _link(self) -> None:
        """Neighbours, queue by queue."""
        kind, queue = self.columns["kind"], self.columns["queue"]
        self.heads = np.full(QUEUES, NO_TASK, np.int64)
        for name in ("before", "after", "room", "window"):
            self.columns[name] = np.full(len(kind), NO_TASK, np.int64)
        engines = np.flatnonzero((kind == KIND_UNIT) | (kind == KIND_TRANSFER))
        each = queue[engines].astype(np.uint8)
        engines = engines[np.argsort(each, kind="stable")]
        bounds = np.cumsum(np.bincount(each, minlength=QUEUES))
        for number in np.unique(each).tolist():
            own = engines[bounds[number - 1] : bounds[number]] if number else engines[: bounds[0]]
            self.heads[number] = own[0]
            self.columns["after"][own[:-1]] = own[1:]
            distances = {"before": 1, "room": self.machine.queue_depth}
            if FIRST["L"] <= number < FIRST["M"]:
                distances["window"] = self.machine.inflight
            for name, distance in distances.items():
                self.columns[name][own[distance:]] = own[:-distance]
