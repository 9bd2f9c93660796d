"""What the programs of a launch cost: their traces become tasks, programs that did the same the same ones, which are timed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..timing import Collector, Prices, Tasks, Timed
from ..timing.energy import Counter, Counts, joules
from .trace import Trace

MOST_REMEMBERED = 10_000  # instructions of runs, of one kernel
MOST_LAUNCHES = 16
MOST_PROGRAMS = 1024  # of a launch that is remembered


@dataclass(frozen=True)
class Run:
    """A run of a program: equal keys cost the same."""

    key: bytes
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
    keys: list[bytes] = field(default_factory=list)  # of the classes
    known: dict[bytes, int] = field(default_factory=dict)  # classes by signature, or by what a collector saw
    chosen: dict[int, int] = field(default_factory=dict)  # classes by program
    begun: dict[int, Collector] = field(default_factory=dict)  # programs that came in pieces
    counts: Counts = field(default_factory=Counts)  # of those
    counted: dict[int, Counts] = field(default_factory=dict)  # of the other classes
    whole: list[int] = field(default_factory=list)  # the programs of those

    def __post_init__(self) -> None:
        self.machine = self.prices.machine
        self.counter = Counter(self.prices.program)

    def __call__(self, trace: Trace) -> None:
        key = trace.signature(self.machine.burst) if trace.program not in self.begun else b""
        if not key:
            self.counts.add(self.counter.count(trace))
            self.begun.setdefault(trace.program, Collector(self.prices))(trace)
            return
        if key not in self.known:
            run = self.before.runs.get(key)
            if run is None:
                collector = Collector(self.prices)
                collector(trace)
                run = Run(collector.key, collector.tasks(), self.counter.count(trace))
                self.before.keep(key, run)
            self.known[key] = self._class(run.key, lambda: run.tasks)
            self.counted[self.known[key]] = run.counts
        self.chosen[trace.program] = self.known[key]
        self.whole.append(trace.program)

    def _class(self, key: bytes, tasks: Callable[[], Tasks]) -> int:
        """The class of a run: a new one, unless another cost the same."""
        index = self.known.setdefault(key, len(self.classes))
        if index == len(self.classes):
            self.classes.append(tasks())
            self.keys.append(key)
        return index

    def timed(self, cores: int, record: int = 0) -> Timed:
        """All programs on so many cores; the times of at most `record` instructions are kept."""
        short = not self.begun and not record and self.programs <= MOST_PROGRAMS
        for number, collector in self.begun.items():
            self.chosen[number] = self._class(collector.key, collector.tasks)
        self.begun = {}
        programs = [self.chosen[n] for n in range(self.programs)]
        launch = (cores, *self.keys, *programs)
        known = self.before.launches.get(launch) if short else None
        timed = known or Timed(self.classes, programs, cores, self.machine.dram_bytes_per_cycle, record)
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
