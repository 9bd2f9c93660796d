"""What instructions cost on a machine: cycles that a unit is busy, bytes that a transfer moves. From shapes, never from values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tiledsl.backend.isa import Decoded

from ..isa import alu
from ..isa.custom import customs
from ..isa.instructions import UNITS
from ..isa.state import GlobalDescriptor, TileDescriptor
from ..machine import Npu
from . import banks

Queue = tuple[str, int]
Cost = Callable[[Any, Decoded], float]  # cycles a unit is busy


def queue_of(one: Decoded) -> Queue:
    """The queue an instruction goes through."""
    unit = UNITS[one["unit"]] if one.instruction.name == "nop" else one.instruction.unit
    return unit, one.common["channel"]


SLOW = {"div": 4, "idiv": 4, "rem": 4, "sqrt": 4}  # cycles per group of lanes; all else takes one


def _lanes(machine: Npu, t: TileDescriptor) -> int:
    """Elements that begin at a time. Lanes are four bytes wide: smaller elements do not go faster, wider ones take two or eight."""
    return max(1, machine.lanes // _width(t))


def _width(t: TileDescriptor) -> int:
    return 1 if t.dtype.itemsize <= 4 else 8 if t.dtype.is_float else 2


def _rounds(machine: Npu, t: TileDescriptor, elements: int) -> int:
    """Times that the lanes are filled for so many elements of a tile's type; several for one that is wider than all of them."""
    return math.ceil(elements / _lanes(machine, t)) * max(1, math.ceil(_width(t) / machine.lanes))


def _vector(core: Any, one: Decoded) -> float:
    groups, each = _groups(core, one)
    return core.machine.vector_setup + groups * each + conflicts(core, one)


def _groups(core: Any, one: Decoded) -> tuple[int, int]:
    """Groups of lanes, and the cycles that each computes."""
    to = core.tile(one["to"])
    table = {"vec1": alu.UNARY, "vec2": alu.BINARY, "vec3": alu.TERNARY}.get(one.instruction.name)
    return _rounds(core.machine, to, to.size), SLOW.get(table[one["op"]], 1) if table else 1


def conflicts(core: Any, one: Decoded) -> int:
    """Cycles in which lanes of the vector unit wait for banks of the scratchpad, besides those in which they compute."""
    if COSTS.get(one.instruction.name) is not _vector:
        return 0
    groups, each = _groups(core, one)
    fields = zip(one.instruction.fields, one.operands, strict=True)
    tiles = [core.tile(number) for (_, where), number in fields if where.prefix == "t" and number != where.none]
    return groups * max(0, banks.cycles(core.machine, tiles, _lanes(core.machine, core.tile(one["to"]))) - each)


def product(machine: Npu, m: int, k: int, n: int, dtype: str) -> tuple[float, float]:
    """Cycles that the matrix unit is busy with m x k times k x n, and those until its last sum is out.

    ws: an array of weights stays, m rows pass. os: an array of sums stays, k terms pass. direct: every step reads one row of
    the one factor and an array of the other.
    """
    rows, columns, rate = machine.matrix_rows, machine.matrix_columns, machine.matrix_rate[dtype]
    held, passing, loaded = (m, k, 0) if machine.matrix_dataflow == "os" else (k, m, rows)
    folds = math.ceil(held / rows) * math.ceil(n / columns) / machine.matrix_units  # units share them, or the rows of one
    fill = rows + columns - 2  # from the first row in at one corner to the last sum out at the other
    steps = passing * machine.matrix_step / rate
    if machine.matrix_dataflow == "direct":
        return folds * steps, fill
    if not machine.matrix_overlap_folds:
        return folds * (loaded + steps + fill), 0
    least = max(machine.matrix_min_rows, loaded) / rate
    return max(folds * steps, math.ceil(folds) * least), fill


def scalar(core: Any, one: Decoded) -> float:
    """Cycles that the scalar unit takes for one of its own instructions, besides the one that issues it."""
    name = one.instruction.name
    if name in ("sload", "sstore"):
        return core.machine.dram_latency if name == "sload" else 0
    if name == "scalar1" and alu.UNARY[one["op"]] in SLOW or name == "scalar2" and alu.BINARY[one["op"]] in SLOW:
        return 16
    return 4 if name == "peek" else 0


def transfer(core: Any, one: Decoded) -> tuple[int, float]:
    """Bytes of DRAM that a transfer moves, and the cycles that its own channel needs for them."""
    machine, name = core.machine, one.instruction.name
    if name in ("dld", "dst"):
        moved = _bytes(machine, core.box(one["box"] if name == "dld" else one["to"]))
        return moved, max(moved / machine.dma_bytes_per_cycle, moved / machine.burst / machine.bursts_per_cycle)
    count = core.tile(one["addresses"]).size
    each = machine.atomic_cycles if name in ("datom", "dcas") else 1 / machine.gather_per_cycle
    return count * machine.burst, count * each


def _fold(core: Any, one: Decoded) -> float:
    """Along an axis: the chain of steps that the order of combination leaves, each as wide as it may be."""
    a = core.tile(one["a"])
    length = a.extents[one["axis"]]
    machine = core.machine
    if one.instruction.name == "scan":
        return machine.vector_setup + length * _rounds(machine, a, a.size // length)
    width = min(length, 32)
    steps = math.ceil(length / width) - 1
    return machine.vector_setup + steps * _rounds(machine, a, a.size // length * width) + math.ceil(math.log2(width or 1))


def _arrange(core: Any, one: Decoded) -> float:
    """Indices through the gather ports one by one; sorting by a network of n log2(n)^2 / 2 comparisons; counting one by one."""
    machine, a = core.machine, core.tile(one["a"])
    if one.instruction.name == "sort":
        length = a.extents[-1]
        depth = math.ceil(math.log2(length)) if length > 1 else 0
        return machine.vector_setup + _rounds(machine, a, a.size) * depth * (depth + 1) / 2
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


def custom(core: Any, one: Decoded) -> float:
    """An instruction that the machine adds to T1: it says itself what it costs."""
    fields = zip(one.instruction.fields, one.operands, strict=True)
    tiles = {label: core.tile(number) for (label, where), number in fields if where.prefix == "t" and number != where.none}
    return customs(core.machine)[one.instruction.name].cost(core.machine, tiles)


COSTS: dict[str, Cost] = {
    **dict.fromkeys(("vec1", "vec2", "vec3", "vcast", "vaddr", "vcopy", "vfill", "viota", "accwr", "accrd"), _vector),
    **dict.fromkeys(("reduce", "scan"), _fold),
    **dict.fromkeys(("perm", "sort", "hist"), _arrange),
}
