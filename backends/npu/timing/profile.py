"""A launch explained: what each engine did and waited for, how near it came to the machine's limits, which lines took the time.

profile = kernel.profile(x, y, n, BLOCK=64, grid=(8,))
print(profile); profile.trace("kernel.json.gz"); profile.html("kernel.html")
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from tiledsl.location import Loc

from ..isa.state import DTYPE_NAMES
from ..machine import Npu
from .energy import Counts
from .events import Timed
from .path import UNKNOWN, Link, critical_path
from .perfetto import write_trace
from .slices import Slices, slices
from .tasks import FIRST, KIND_BARRIER, KIND_SCALAR, QUEUE_NAMES, QUEUES, Tasks
from .text import NOWHERE, described
from .timeline import write_timeline

MOST_KEPT = 2_000_000  # instructions whose times are kept: some 100 MB


@dataclass
class Engine:
    """Where the cycles of one queue went, those of all cores together."""

    name: str
    instructions: int
    busy: float  # `bandwidth` and `banks` among them
    bandwidth: float  # of transfers: longer than alone, because others moved bytes as well
    banks: float  # of the vector unit: its lanes wanted several words of one bank
    waited: Mapping[str, float]  # for another queue; for S: to be issued; for itself: transfers under way
    held_up: float  # cycles that S could not issue because this queue was full
    idle: float  # nothing was left to do


@dataclass
class Limits:
    """The least cycles that each part of the machine could do this in, if nothing else took any; and what was done."""

    cycles: float
    launch: float
    matrix: float
    vector: float
    dram: float
    operations: float  # two for a multiply-add, one for each element of another unit, more for wide ones
    moved: float  # bytes of DRAM
    intensity: float  # operations a byte
    ridge: float  # the intensity from which DRAM is no limit
    rate: float  # operations a cycle
    roof: float  # the highest that this mix of operations reaches at this intensity

    @property
    def bound(self) -> str:
        """The part that needs longest."""
        return max(("matrix unit", self.matrix), ("vector unit", self.vector), ("DRAM", self.dram), key=lambda one: one[1])[0]


@dataclass
class Line:
    """What one line of the source took, in all runs whose times were kept."""

    place: str  # file:line
    loc: Loc | None
    instructions: int = 0
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # cycles by unit
    waited: float = 0.0  # cycles between what entered its queue and its start, the unit idle
    moved: float = 0.0  # bytes of DRAM
    critical: float = 0.0  # cycles on the critical path


@dataclass(repr=False)
class Profile:
    """What took place in a launch. Its text explains where the cycles went; `trace` and `html` write it down in full."""

    kernel: str
    machine: Npu
    grid: tuple[int, int, int]
    launch: float  # cycles before the programs
    timed: Timed
    classes: Sequence[Tasks]
    words: Sequence[str]  # the program, an instruction each
    lines: Sequence[Loc | None]
    work: Counts  # of all programs
    energy: Mapping[str, float]  # joules, by what they went into

    def __repr__(self) -> str:
        return described(self)

    @property
    def cycles(self) -> float:
        """Of the launch, which takes some itself."""
        return self.launch + self.timed.cycles

    @property
    def runs(self) -> int:
        """How often a core ran the words: once for each program, or for several together where none can tell."""
        return len(self.timed.programs)

    @cached_property
    def slices(self) -> Slices:
        """Every instruction whose times were kept."""
        return slices(self.timed, self.classes)

    @cached_property
    def path(self) -> list[Link]:
        """What the end of the launch depended on, first link first; `what` says how each stretch was spent."""
        return critical_path(self.timed, self.classes)

    @cached_property
    def runs_of(self) -> np.ndarray:
        """How many runs are of each class."""
        return np.bincount(self.timed.kinds, minlength=len(self.classes))

    @cached_property
    def engines(self) -> list[Engine]:
        """The queues that had anything to do."""
        timed, total = self.timed, self.timed.cycles * self.timed.cores
        counts, banks = np.zeros(QUEUES), np.zeros(QUEUES)
        for times, tasks in zip(self.runs_of, self.classes, strict=True):
            engine = (tasks.columns["kind"] != KIND_SCALAR) & (tasks.columns["kind"] != KIND_BARRIER)
            banks += times * np.bincount(tasks.columns["queue"], tasks.columns["banks"], minlength=QUEUES)
            counts += times * np.bincount(np.where(engine, tasks.columns["queue"], 0), minlength=QUEUES)
        found = []
        for q in np.flatnonzero(counts):
            held_up = float(timed.full[q])
            waited = {QUEUE_NAMES[who]: float(timed.waited[q, who]) for who in np.flatnonzero(timed.waited[q] >= 1)}
            away = float(timed.full.sum()) if q == 0 else 0.0
            idle = max(0.0, total - float(timed.busy[q] + timed.waited[q].sum()) - away)
            busy, bandwidth = float(timed.busy[q]), float(timed.starved[q])
            found.append(Engine(QUEUE_NAMES[q], int(counts[q]), busy, bandwidth, float(banks[q]), waited, held_up, idle))
        return found

    @cached_property
    def limits(self) -> Limits:
        """The roofline."""
        machine, cores = self.machine, self.timed.cores
        macs = {name: count for name, count in zip(DTYPE_NAMES, self.work.macs.tolist(), strict=True) if count}
        each = [tasks.columns["moved"].sum() for tasks in self.classes]
        moved = float((self.runs_of * each).sum())
        matrix = sum(count / (machine.macs * machine.matrix_rate[name]) for name, count in macs.items()) / cores
        vector = self.work.lanes / machine.lanes / cores
        dram = moved / machine.dram_bytes_per_cycle
        operations = 2 * sum(macs.values()) + self.work.lanes
        most = operations / max(matrix, vector, 1e-9)  # a cycle, were DRAM no limit
        intensity = operations / moved if moved else float("inf")
        roof = min(most, intensity * machine.dram_bytes_per_cycle) if operations else 0.0
        ridge = most / machine.dram_bytes_per_cycle
        rate = operations / self.cycles if self.cycles else 0.0
        return Limits(self.cycles, self.launch, matrix, vector, dram, operations, moved, intensity, ridge, rate, roof)

    @cached_property
    def by_line(self) -> list[Line]:
        """The lines of the source, those of the critical path first."""
        rows = self.slices
        places = [f"{loc.file}:{loc.line}" if loc else NOWHERE for loc in self.lines]
        each = [Line(place, loc) for place, loc in dict(zip(places, self.lines, strict=True)).items()]
        index = {line.place: number for number, line in enumerate(each)}
        which = np.array([index[place] for place in places], np.int64)
        if len(rows):
            at, count = which[rows.pc], len(each)
            engine = (rows.kind != KIND_SCALAR) & (rows.kind != KIND_BARRIER)
            opened = np.where(rows.before >= 0, rows.freed[rows.before], 0.0)
            waited = np.where(engine, rows.began - np.maximum(rows.entered, opened), rows.began - rows.entered)
            issued = np.bincount(at, minlength=count)
            for unit, (low, high) in UNIT_QUEUES.items():
                mine = engine & (rows.queue >= low) & (rows.queue < high)
                busy = np.bincount(at[mine], (rows.freed - rows.began)[mine], minlength=count)
                for line, cycles in zip(each, busy.tolist(), strict=True):
                    line.busy[unit] += cycles
            sums = [np.bincount(at, column, minlength=count).tolist() for column in (np.maximum(waited, 0.0), rows.moved)]
            for line, many, wait, moved in zip(each, issued.tolist(), *sums, strict=True):
                line.instructions, line.waited, line.moved = many, wait, moved
        for link in self.path:
            if link.what != UNKNOWN:
                each[which[self.pc_of(link)]].critical += link.stop - link.start
        used = [line for line in each if line.instructions]
        return sorted(used, key=lambda line: (-line.critical, -sum(line.busy.values())))

    def pc_of(self, link: Link) -> int:
        """The instruction of a link."""
        return int(self.classes[self.timed.kinds[link.position]].notes[link.task])

    def queue_of(self, link: Link) -> str:
        """The queue of a link's instruction; what is spent with issuing is spent by S."""
        tasks = self.classes[self.timed.kinds[link.position]]
        return "S" if link.what == "issue" else QUEUE_NAMES[int(tasks.columns["queue"][link.task])]

    def trace(self, path: str | Path) -> Path:
        """Write a trace for Perfetto or chrome://tracing; compressed if the name ends in .gz."""
        return write_trace(self, Path(path))

    def html(self, path: str | Path) -> Path:
        """Write a page with a timeline and this text; it needs nothing else."""
        return write_timeline(self, Path(path))


UNIT_QUEUES = {unit: (FIRST[unit], FIRST[unit] + sum(name[0] == unit for name in QUEUE_NAMES)) for unit in FIRST if unit != "S"}
