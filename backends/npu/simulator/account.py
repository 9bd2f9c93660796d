"""What the programs of a launch cost: their traces become tasks, programs that did the same the same ones, which are timed together."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..timing import Listener, Tasks, Timed
from ..timing.energy import Counter, Counts, joules
from .trace import Player, Trace


@dataclass
class Account:
    """A sink that collects the programs of a launch; `timed` then lets them run on the cores of the machine."""

    player: Player
    programs: int
    classes: list[Tasks] = field(default_factory=list)
    known: dict[bytes, int] = field(default_factory=dict)  # classes by signature
    chosen: dict[int, int] = field(default_factory=dict)  # classes by program
    begun: dict[int, Listener] = field(default_factory=dict)  # programs that came in pieces
    counts: Counts = field(default_factory=Counts)  # of those
    counted: dict[int, Counts] = field(default_factory=dict)  # of the other classes

    def __post_init__(self) -> None:
        self.counter = Counter(self.player.program)

    def __call__(self, trace: Trace) -> None:
        machine = self.player.machine
        key = trace.signature(machine.burst) if trace.program not in self.begun else b""
        if not key:
            self.counts.add(self.counter.count(trace))
            self.player.play(trace, self.begun.setdefault(trace.program, Listener(machine)))
            return
        if key not in self.known:
            listener = Listener(machine)
            self.player.play(trace, listener)
            self.known[key] = self._add(listener)
            self.counted[self.known[key]] = self.counter.count(trace)
        self.chosen[trace.program] = self.known[key]

    def _add(self, listener: Listener) -> int:
        self.classes.append(listener.tasks.finish())
        return len(self.classes) - 1

    def timed(self, cores: int, record: int = 0) -> Timed:
        """All programs on so many cores; the times of at most `record` instructions are kept."""
        for number, listener in self.begun.items():
            self.chosen[number] = self._add(listener)
        self.begun = {}
        programs = [self.chosen[n] for n in range(self.programs)]
        return Timed(self.classes, programs, cores, self.player.machine.dram_bytes_per_cycle, record)

    def energy(self, seconds: float) -> dict[str, float]:
        """Joules of all programs, by what they go into, in so many seconds."""
        return joules(self.player.machine, self.total(), self.moved(), seconds)

    def total(self) -> Counts:
        """What all programs did."""
        total = Counts()
        total.add(self.counts)
        for index in self.chosen.values():
            if index in self.counted:
                total.add(self.counted[index])
        return total

    def moved(self) -> int:
        """Bytes of DRAM that all programs moved."""
        each = [int(tasks.columns["moved"].sum()) for tasks in self.classes]
        return sum(each[index] for index in self.chosen.values())
