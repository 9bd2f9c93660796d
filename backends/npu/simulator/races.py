"""What a run shows that values do not: accesses that nothing orders, tokens that do not pair up, bytes read before they are written.

Both readers see a program in its order, whatever order its queues really took: a race is a race if some run could show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tiledsl.backend.isa import Decoded

from ..isa.instructions import NO_TILE
from ..isa.state import SPACES, Core, GlobalDescriptor, TileDescriptor, Trap
from ..machine import Npu
from ..order import DRAM, EVERYWHERE, Access, Order, queue_of, queues_of, tokens_of
from .trace import Trace, box_operand, tile_fields


@dataclass
class Races:
    """A sink that follows the executed trace of a core and raises a trap RACE or SEM_... where order is missing.

    It knows where each tile and box was, so it says less than `check`, which must hold for all runs, and never more.
    """

    program: Sequence[Decoded]
    machine: Npu
    order: Order = field(init=False)
    pc: int = 0  # of the instruction it looked at last

    def __post_init__(self) -> None:
        self.order = Order(queues_of(self.machine))

    def __call__(self, trace: Trace) -> None:
        tiles = [trace.tile(row) for row in range(len(trace.tiles))]
        boxes = [trace.box(row) for row in range(len(trace.boxes))]
        for step in trace.steps.tolist():
            pc, done, rows, box, _ = step
            named = [tiles[row] for row in rows if row >= 0]
            self.see(pc, named if done else (), boxes[box] if box >= 0 else None, bool(done))

    def see(self, pc: int, tiles: Sequence[TileDescriptor], box: GlobalDescriptor | None, done: bool = True) -> None:
        """One instruction with the descriptors that it names."""
        self.pc, one = pc, self.program[pc]
        waits, post = tokens_of(one)
        self.order.issue(pc, queue_of(one), accesses(one, tiles, box) if done else (), waits, post)
        if one.instruction.name in ("barrier", "halt"):
            self.order.settle()
        if one.instruction.name == "halt":
            self.order.end()
            self.order = Order(self.order.queues)


def accesses(one: Decoded, tiles: Sequence[TileDescriptor], box: GlobalDescriptor | None) -> list[Access]:
    """The bytes that an instruction touches."""
    used = zip(tiles, tile_fields(one), strict=True)
    found = [Access(t.space, *t.span(), role == "write") for t, (_, role, _) in used]
    low, high = (0, EVERYWHERE) if box is None else _reach(box)
    if low < high:
        for trait in sorted(one.instruction.traits):
            found.append(Access(DRAM, low, high, trait == "dram_write", trait == "dram_read" and bool(one.common["early"])))
    return found


def _reach(box: GlobalDescriptor) -> tuple[int, int]:
    """The addresses that a box may touch, from the first to the one after the last."""
    low = high = box.base
    for extent, stride, valid in zip(box.extents, box.strides, box.valid, strict=True):
        first, after = (0, extent) if valid is None else (max(valid[0], 0), min(valid[1], extent))
        if first >= after:
            return 0, 0
        low += min(first * stride, (after - 1) * stride)
        high += max(first * stride, (after - 1) * stride)
    return low, high + box.dtype.itemsize


@dataclass
class Written:
    """An observer that knows which bytes of the memories have been written, and raises a trap UNINIT where others are read."""

    core: Core
    marks: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.marks = [np.zeros(memory.size, bool) for memory in self.core.memories]

    def __call__(self, core: Core, pc: int, one: Decoded) -> None:
        """One instruction, about to be carried out."""
        if not core.chooses(one):
            return
        fields = tile_fields(one)
        for label, role, number in fields:
            if role == "read" or role == "write" and one.instruction.name == "mm":
                chosen = _stored(core, one) if label == "a" and one.instruction.name in ("dst", "dscat") else None
                self._require(core, label, number, chosen)
        for _, role, number in fields:
            if role == "write":
                window = self._window(core, number)
                if window is not None:
                    window[_loaded(core, one) if _keeps(one) else ...] = True

    def _window(self, core: Core, number: int) -> np.ndarray | None:
        """The marks of a tile's bytes; none if the tile is no good, which the instruction itself will say."""
        t = core.t[number]
        marks = None if t is None else self.marks[t.space]
        if t is None or marks is None or t.span()[0] < 0 or t.span()[1] > marks.size:
            return None
        return np.ndarray((*t.extents, t.dtype.itemsize), bool, marks, t.base, (*t.strides, 1))

    def _require(self, core: Core, label: str, number: int, chosen: np.ndarray | None) -> None:
        window = self._window(core, number)
        if window is None:
            return
        fresh = ~window.all(-1)
        if chosen is not None and chosen.shape == fresh.shape:
            fresh &= chosen
        if fresh.any():
            t = core.tile(number)
            first = [int(i) for i in np.argwhere(fresh)[0]] if fresh.shape else []
            byte = t.base + sum(i * s for i, s in zip(first, t.strides, strict=True))
            where = f"element {first} of t{number}, at byte {byte} of {SPACES[t.space]}"
            raise Trap("UNINIT", f"{label} reads {where}, which nothing has written")


def _keeps(one: Decoded) -> bool:
    return one.instruction.name in ("dld", "dgat") and bool(one["keep"])


def _loaded(core: Core, one: Decoded) -> np.ndarray:
    """The elements that a load which keeps the others brings."""
    box = box_operand(one)
    inside = core.box(box).inside() if box is not None else np.ones(core.tile(one["addresses"]).extents, bool)
    return inside & core.get(one["mask"]) if one["mask"] != NO_TILE else inside


_stored = _loaded  # the elements that a store takes
