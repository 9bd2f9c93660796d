"""What the programs of a launch cost: their traces become tasks, programs that did the same the same ones, which are timed together."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..timing import Collector, Prices, Tasks, Timed
from ..timing.energy import Counter, Counts, joules
from .trace import Trace


@dataclass
class Account:
    """A sink that collects the programs of a launch; `timed` then lets them run on the cores of the machine."""

    prices: Prices
    programs: int
    classes: list[Tasks] = field(default_factory=list)
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
            collector = Collector(self.prices)
            collector(trace)
            self.known[key] = self._class(collector)
            self.counted[self.known[key]] = self.counter.count(trace)
        self.chosen[trace.program] = self.known[key]
        self.whole.append(trace.program)

    def _class(self, collector: Collector) -> int:
        """The class of a run: a new one, unless another cost the same."""
        index = self.known.setdefault(collector.key, len(self.classes))
        if index == len(self.classes):
            self.classes.append(collector.tasks())
        return index

    def timed(self, cores: int, record: int = 0) -> Timed:
        """All programs on so many cores; the times of at most `record` instructions are kept."""
        for number, collector in self.begun.items():
            self.chosen[number] = self._class(collector)
        self.begun = {}
        programs = [self.chosen[n] for n in range(self.programs)]
        return Timed(self.classes, programs, cores, self.machine.dram_bytes_per_cycle, record)

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
