"""What the programs of a launch cost: their traces become tasks, programs that did the same the same ones, which are timed together."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from ..timing import Piece, Prices, Tasks, Timed, priced, tasks_of
from ..timing.energy import Counter, Counts, joules
from ..timing.rounds import timed as timed_by_rounds
from .trace import Trace, digest

MOST_REMEMBERED = 40_000  # instructions of runs, of one kernel
MOST_LAUNCHES = 16
MOST_COMPARED = 64 << 20  # bytes of traces in pieces that are kept while a launch runs
MOST_PROGRAMS = 1024  # of a launch that is remembered


@dataclass(frozen=True)
class Run:
    """A run of a program: equal keys cost the same."""

    key: Hashable
    tasks: Tasks
    counts: Counts


@dataclass
class Remembered:
    """What launches of a kernel have shown, for those after them: most are short and much alike, so that their runs are known by their
    signatures, and the time of all by the classes of their programs."""

    runs: dict[bytes, Run] = field(default_factory=dict)
    launches: dict[tuple[object, ...], Timed] = field(default_factory=dict)
    size: int = 0  # instructions of the runs

    def keep(self, signature: bytes, run: Run) -> None:
        """Remember a run, as long as there is room."""
        if self.size + len(run.tasks) <= MOST_REMEMBERED:
            self.size += len(run.tasks)
            self.runs[signature] = run


@dataclass
class Account:
    """A sink that collects the programs of a launch; `timed` then lets them run on the cores of the machine."""

    prices: Prices
    programs: int
    before: Remembered = field(default_factory=Remembered)
    classes: list[Tasks] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)  # of the classes
    known: dict[Hashable, int] = field(default_factory=dict)  # classes by signature, or by what their steps cost
    chosen: dict[int, int] = field(default_factory=dict)  # classes by program
    begun: dict[int, list[int]] = field(default_factory=dict)  # programs that came in pieces, by the numbers of these
    pieces: list[Piece] = field(default_factory=list)
    alike: dict[bytes, tuple[int, Counts]] = field(default_factory=dict)  # the pieces of traces, by digest
    former: list[tuple[list[np.ndarray], tuple[int, Counts]]] = field(default_factory=list)  # of one program, in order, to compare with
    compared: int = 0  # bytes of those
    priced: dict[bytes, int] = field(default_factory=dict)  # by what they cost
    counts: Counts = field(default_factory=Counts)  # of programs in pieces
    counted: dict[int, Counts] = field(default_factory=dict)  # of the other classes
    whole: list[int] = field(default_factory=list)  # the programs of those
    last: tuple[bytes, int] = (b"", -1)  # the latest signature, and its class

    def __post_init__(self) -> None:
        self.machine = self.prices.machine
        self.counter = Counter(self.prices.program)

    def __call__(self, trace: Trace) -> None:
        key = trace.signature(self.machine.burst) if trace.program not in self.begun else b""
        if not key:
            pieces = self.begun.setdefault(trace.program, [])
            number, counts = self._piece(trace, len(pieces))
            self.counts.add(counts)
            pieces.append(number)
            return
        if key == self.last[0]:  # a program is often like the one before, and to compare long signatures is quicker than to hash them
            self.chosen[trace.program] = self.last[1]
            self.whole.append(trace.program)
            return
        if key not in self.known:
            run = self.before.runs.get(key)
            if run is None:
                piece = priced(self.prices, trace)
                run = Run(piece.key, tasks_of(self.prices, [piece]), self.counter.count(trace))
                self.before.keep(key, run)
            self.known[key] = self._class(run.key, lambda: run.tasks)
            self.counted[self.known[key]] = run.counts
        self.last = key, self.known[key]
        self.chosen[trace.program] = self.known[key]
        self.whole.append(trace.program)

    def _piece(self, trace: Trace, at: int) -> tuple[int, Counts]:
        """The number of a piece, the same as of one before if they cost the same; and what it did. `at`: how many came before it."""
        image = trace.image(self.machine.burst)
        if at < len(self.former) and all(map(np.array_equal, image, self.former[at][0])):
            return self.former[at][1]
        name = digest(image)
        if name not in self.alike:
            piece = priced(self.prices, trace)
            number = self.priced.setdefault(piece.key, len(self.pieces))
            if number == len(self.pieces):
                self.pieces.append(piece)
            self.alike[name] = number, self.counter.count(trace)
        if at == len(self.former) and self.compared < MOST_COMPARED:
            self.compared += sum(table.nbytes for table in image)
            self.former.append(([table.copy() for table in image], self.alike[name]))
        return self.alike[name]

    def _class(self, key: Hashable, tasks: Callable[[], Tasks]) -> int:
        """The class of a run: a new one, unless another cost the same."""
        index = self.known.setdefault(key, len(self.classes))
        if index == len(self.classes):
            self.classes.append(tasks())
            self.keys.append(key)
        return index

    def timed(self, cores: int, record: int = 0) -> Timed:
        """All programs on so many cores; the times of at most `record` instructions are kept."""
        short = not self.begun and not record and self.programs <= MOST_PROGRAMS
        for program, numbers in self.begun.items():
            self.chosen[program] = self._class(tuple(numbers), lambda these=numbers: tasks_of(self.prices, [self.pieces[n] for n in these]))  # type: ignore[misc]
        self.begun = {}
        programs = [self.chosen[n] for n in range(self.programs)]
        launch = (cores, *self.keys, *programs)
        known = self.before.launches.get(launch) if short else None
        timed = known or timed_by_rounds(self.classes, programs, cores, self.machine.dram_bytes_per_cycle, record)
        if short and len(self.before.launches) < MOST_LAUNCHES:
            self.before.launches[launch] = timed
        return timed

    def energy(self, seconds: float) -> dict[str, float]:
        """Joules of all programs, by what they go into, in so many seconds."""
        return joules(self.machine, self.total(), self.moved(), seconds)

    def total(self) -> Counts:
        """What all programs did."""
        total = Counts()
        total.add(self.counts)
        for number in self.whole:
            total.add(self.counted[self.chosen[number]])
        return total

    def moved(self) -> int:
        """Bytes of DRAM that all programs moved."""
        each = [int(tasks.columns["moved"].sum()) for tasks in self.classes]
        return sum(each[index] for index in self.chosen.values())
