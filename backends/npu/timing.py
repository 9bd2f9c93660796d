"""Time: a first honest cycle count, in one pass over the instructions a core issues. Values never depend on it.

Each queue is in order; an instruction starts when it was issued, its queue is free and the tokens it waits for were
posted. The scalar unit issues one instruction per cycle and stalls when a queue is full. Transfers share the core's
part of the DRAM bandwidth. Costs are those of the machine's numbers; what an instruction has to do is read from the
descriptors it names, as they are at issue.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tiledsl.backend.isa import Decoded

from .isa import alu
from .isa.instructions import NO_SEMAPHORE, UNITS
from .isa.state import Core, GlobalDescriptor, TileDescriptor
from .machine import Npu

Queue = tuple[str, int]
Cost = Callable[[Core, Decoded], float]  # cycles a unit is busy


def queue_of(one: Decoded) -> Queue:
    """The queue an instruction goes through."""
    unit = UNITS[one["unit"]] if one.instruction.name == "nop" else one.instruction.unit
    return unit, one.common["channel"]


SLOW = {"div": 4, "idiv": 4, "rem": 4, "sqrt": 4}  # cycles per group of lanes; all else takes one


def _lanes(machine: Npu, t: TileDescriptor) -> int:
    """Lanes are four bytes wide; smaller elements do not go faster, wider ones take two or eight turns."""
    return machine.lanes if t.dtype.itemsize <= 4 else machine.lanes // (8 if t.dtype.is_float else 2)


def _vector(core: Core, one: Decoded) -> float:
    to = core.tile(one["to"])
    table = {"vec1": alu.UNARY, "vec2": alu.BINARY, "vec3": alu.TERNARY}.get(one.instruction.name)
    each = SLOW.get(table[one["op"]], 1) if table else 1
    return core.machine.vector_setup + math.ceil(to.size / _lanes(core.machine, to)) * each


def _copy(core: Core, one: Decoded) -> float:
    to = core.tile(one["to"])
    return core.machine.vector_setup + math.ceil(to.size / _lanes(core.machine, to))


def _matrix(core: Core, one: Decoded) -> float:
    machine, a, b = core.machine, core.tile(one["a"]), core.tile(one["b"])
    (m, k), n = a.extents, b.extents[1]
    rows, columns = machine.matrix_rows, machine.matrix_columns
    folds = math.ceil(k / rows) * math.ceil(n / columns)
    rate = machine.matrix_rate[a.dtype.name]
    return folds * max(m, machine.matrix_min_rows, rows) / rate + rows + columns - 2


def _fold(core: Core, one: Decoded) -> float:
    """Along an axis: the chain of steps that the order of combination leaves, each as wide as it may be."""
    a = core.tile(one["a"])
    length = a.extents[one["axis"]]
    lanes = _lanes(core.machine, a)
    if one.instruction.name == "scan":
        return core.machine.vector_setup + length * math.ceil(a.size // length / lanes)
    width = min(length, 32)
    steps = math.ceil(length / width) - 1
    return core.machine.vector_setup + steps * math.ceil(a.size // length * width / lanes) + math.ceil(math.log2(width or 1))


def _arrange(core: Core, one: Decoded) -> float:
    """Indices through the gather ports one by one; sorting by a network of n log2(n)^2 / 2 comparisons; counting one by one."""
    machine, a = core.machine, core.tile(one["a"])
    if one.instruction.name == "sort":
        length = a.extents[-1]
        depth = math.ceil(math.log2(length)) if length > 1 else 0
        return machine.vector_setup + math.ceil(a.size / _lanes(machine, a)) * depth * (depth + 1) / 2
    moved = a.size if one.instruction.name == "hist" else core.tile(one["to"]).size
    return machine.vector_setup + moved / machine.gather_per_cycle


def _bytes(machine: Npu, g: GlobalDescriptor) -> int:
    """What a box moves, in whole bursts: neighbours share them, elements that lie apart do not; what is invalid is free."""
    run, count, size = 1, 1, g.dtype.itemsize
    axes = [(_valid(extent, box), stride) for extent, box, stride in zip(g.extents, g.valid, g.strides, strict=True)]
    for extent, stride in sorted(axes, key=lambda axis: abs(axis[1])):
        count *= extent
        if abs(stride) == run * size:
            run *= extent
    return count // run * math.ceil(run * size / machine.burst) * machine.burst if count else 0


def _valid(extent: int, box: tuple[int, int] | None) -> int:
    return extent if box is None else max(0, min(box[1], extent) - max(box[0], 0))


@dataclass
class Clock:
    """An observer that adds up the cycles of the programs of one core."""

    machine: Npu
    share: float  # bytes per cycle of DRAM that this core has for itself
    now: float = 0.0  # when the scalar unit is ready to issue
    free: dict[Queue, float] = field(default_factory=lambda: defaultdict(float))
    visible: dict[Queue, float] = field(default_factory=lambda: defaultdict(float))  # last effect of a queue
    waiting: dict[Queue, deque[float]] = field(default_factory=lambda: defaultdict(deque))  # start times, newest last
    posted: dict[int, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    dram_free: float = 0.0
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    dram_bytes: int = 0
    expected: int = 0  # the pc after the last instruction, had it not jumped

    def __call__(self, core: Core, pc: int, one: Decoded) -> None:
        """One instruction, about to be carried out."""
        if pc != self.expected:
            self.now += self.machine.taken_branch
        self.expected = pc + 1
        self.now += 1
        unit, name = queue_of(one), one.instruction.name
        ready = self.now
        for wait in (one.common["wait0"], one.common["wait1"]):
            if wait != NO_SEMAPHORE and self.posted[wait]:
                ready = max(ready, self.posted[wait].popleft())
        if unit[0] == "S":
            self.now = ready + self._scalar(core, one)
            if name in ("halt", "barrier"):
                self.now = max([self.now, *self.visible.values()])
            done = self.now
        else:
            done = self._queued(core, one, unit, ready)
        if one.common["post"] != NO_SEMAPHORE:
            self.posted[one.common["post"]].append(done)

    def _scalar(self, core: Core, one: Decoded) -> float:
        name = one.instruction.name
        if name in ("sload", "sstore"):
            return self.machine.dram_latency if name == "sload" else 0
        if name == "scalar1" and alu.UNARY[one["op"]] in SLOW or name == "scalar2" and alu.BINARY[one["op"]] in SLOW:
            return 16
        return 4 if name == "peek" else 0

    def _queued(self, core: Core, one: Decoded, queue: Queue, ready: float) -> float:
        waiting = self.waiting[queue]
        while waiting and waiting[0] <= self.now:
            waiting.popleft()
        if len(waiting) >= self.machine.queue_depth:
            self.now = max(self.now, waiting[0])
        start = max(ready, self.free[queue], self.now)
        waiting.append(start)
        latency = 0.0
        if one.instruction.name == "nop":
            cost = 0.0
        elif queue[0] in "LW":
            cost = self._transfer(core, one, start)
            latency = self.machine.dram_latency
        else:
            cost = COSTS[one.instruction.name](core, one)
        self.free[queue] = start + cost
        self.busy[queue[0]] += cost
        self.visible[queue] = max(self.visible[queue], start + cost + latency)
        return self.visible[queue]

    def _transfer(self, core: Core, one: Decoded, start: float) -> float:
        """How long a channel is busy: its own rate, the bursts, and the DRAM's bandwidth, whichever is slowest."""
        machine, name = self.machine, one.instruction.name
        if name in ("dld", "dst"):
            moved = _bytes(machine, core.box(one["box"] if name == "dld" else one["to"]))
            own = max(moved / machine.dma_bytes_per_cycle, moved / machine.burst)
        else:
            count = core.tile(one["addresses"]).size
            moved = count * machine.burst
            own = count * (machine.atomic_cycles if name in ("datom", "dcas") else 1 / machine.gather_per_cycle)
        self.dram_bytes += moved
        self.dram_free = max(self.dram_free, start) + moved / self.share
        return machine.dma_setup + max(own, self.dram_free - start)


COSTS: dict[str, Cost] = {
    **dict.fromkeys(("vec1", "vec2", "vec3", "vcast", "vaddr"), _vector),
    **dict.fromkeys(("vcopy", "vfill", "viota", "accwr", "accrd"), _copy),
    **dict.fromkeys(("reduce", "scan"), _fold),
    **dict.fromkeys(("perm", "sort", "hist"), _arrange),
    "mm": _matrix,
}
