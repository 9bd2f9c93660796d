"""The executed trace: what the programs of a grid did, as arrays. Time, races and statistics are read from it, and only from it.

A simulator hands every program's trace to a `Sink`, in the order in which programs run, perhaps in several pieces (a long
program, or one that takes turns). One row of `steps` per issued instruction:

    pc        its number in the program; opcode, fields, waits and post are looked up there, once per program
    done      1, or 0 where its predicate skipped it: then only its waits and its post took place
    tiles     for each of its operands that is a tile, in the order of its fields, the row of `tiles`; -1: no operand
    box       the row of `boxes` that it names; -1: none
    touched   how many elements a transfer moved, those inside its box and mask; -1: no transfer

A skipped instruction names nothing. `tiles` and `boxes` hold the descriptors as they were at issue, each register's content
once until it changes. Extents and strides are right-aligned: the innermost axis is the last of four, what stands before the
first axis is 1 and 0. So equal rows cost the same, and costs can be computed once per distinct row. A jump was taken where
the next pc is not pc + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, NamedTuple

import numpy as np

from tiledsl.backend.isa import Decoded

from ..isa.instructions import NO_TILE, T1, UNITS
from ..isa.state import DTYPE_NAMES, DTYPE_OF, Core, GlobalDescriptor, TileDescriptor
from ..machine import Npu

AXES = 4  # of a descriptor's row
OPERANDS = 4  # tiles that one instruction names

STEP = np.dtype([("pc", "<i4"), ("done", "<i4"), ("tiles", "<i4", OPERANDS), ("box", "<i4"), ("touched", "<i4")])
TILE = np.dtype([("space", "<i8"), ("dtype", "<i8"), ("base", "<i8"), ("rank", "<i8"), ("extents", "<i8", AXES), ("strides", "<i8", AXES)])
BOX = np.dtype(
    [
        *[("dtype", "<i8"), ("base", "<i8"), ("rank", "<i8"), ("fill", "<i8"), ("extents", "<i8", AXES), ("strides", "<i8", AXES)],
        *[("low", "<i8", AXES), ("high", "<i8", AXES)],  # the valid range, which may reach outside the extents
    ]
)


@dataclass(frozen=True)
class Trace:
    """What one program of the grid did, or a piece of it."""

    program: int  # its number in the grid, x fastest
    steps: np.ndarray  # of STEP
    tiles: np.ndarray  # of TILE
    boxes: np.ndarray  # of BOX
    whole: bool = True  # or a piece

    def tile(self, row: int) -> TileDescriptor:
        """A row of `tiles` as the descriptor that it was."""
        t = self.tiles[row]
        first = AXES - int(t["rank"])
        extents, strides = (tuple(t[name][first:].tolist()) for name in ("extents", "strides"))
        return TileDescriptor(int(t["space"]), DTYPE_OF[t["dtype"]], int(t["base"]), extents, strides)

    def box(self, row: int) -> GlobalDescriptor:
        """A row of `boxes` as the descriptor that it was."""
        g = self.boxes[row]
        first = AXES - int(g["rank"])
        extents, strides, low, high = (g[name][first:].tolist() for name in ("extents", "strides", "low", "high"))
        valid = tuple(None if lo <= 0 and hi >= extent else (lo, hi) for lo, hi, extent in zip(low, high, extents, strict=True))
        return GlobalDescriptor(DTYPE_OF[g["dtype"]], int(g["base"]), tuple(extents), tuple(strides), valid, int(g["fill"]))

    def signature(self, burst: int) -> bytes:
        """Equal for programs that have equal images. Empty for a piece of a program."""
        return b"".join(table.tobytes() for table in self.image(burst)) if self.whole else b""

    def image(self, burst: int) -> tuple[np.ndarray, ...]:
        """Numbers that are the same for programs that did the same, on tiles in the same places and boxes alike: where in DRAM these
        are counts as far as bursts do."""
        boxes = self.boxes.copy()
        low, high = boxes["low"], boxes["high"]
        boxes["base"] %= burst
        boxes["fill"] = 0
        np.maximum(low, 0, out=low)
        np.minimum(high, boxes["extents"], out=high)
        np.maximum(high, low, out=high)
        return self.steps.view(np.int64), self.tiles.view(np.int64), boxes.view(np.int64)


def digest(image: Sequence[np.ndarray]) -> bytes:
    """A short name of an image."""
    found = sha1(usedforsecurity=False)
    for table in image:
        found.update(len(table).to_bytes(8, "little"))
        if len(table):
            found.update(table.data)
    return found.digest()


Sink = Callable[[Trace], None]  # a trace may be overwritten when it returns


def tile_fields(one: Decoded) -> list[tuple[str, str, int]]:
    """Label, role and register of each operand whose tile an instruction uses, in the order of its fields."""
    fields = zip(one.instruction.fields, one.operands, strict=True)
    return [(label, w.role, n) for (label, w), n in fields if w.prefix == "t" and w.role in ("read", "write") and n != NO_TILE]


def tile_operands(one: Decoded) -> tuple[int, ...]:
    """The tile registers whose contents an instruction uses, in the order of its fields."""
    return tuple(number for _, _, number in tile_fields(one))


def box_operand(one: Decoded) -> int | None:
    """The box register that a transfer uses."""
    if one.instruction.name not in ("dld", "dst"):
        return None
    return one["box"] if one.instruction.name == "dld" else one["to"]


def tile_row(t: TileDescriptor) -> tuple[object, ...]:
    """A descriptor as a row of `tiles`."""
    pad = AXES - len(t.extents)
    return t.space, DTYPE_NAMES.index(t.dtype.name), t.base, len(t.extents), (1,) * pad + t.extents, (0,) * pad + t.strides


def box_row(g: GlobalDescriptor) -> tuple[object, ...]:
    """A box as a row of `boxes`."""
    pad = AXES - len(g.extents)
    valid = [(0, extent) if box is None else box for extent, box in zip(g.extents, g.valid, strict=True)]
    low, high = ((edge,) * pad + tuple(v[edge] for v in valid) for edge in (0, 1))
    kind = DTYPE_NAMES.index(g.dtype.name)
    return kind, g.base, len(g.extents), g.fill, (1,) * pad + g.extents, (0,) * pad + g.strides, low, high


@dataclass
class Recorder:
    """An observer of the reference interpreter that writes the trace of one program."""

    program: int = 0
    rows: list[tuple[object, ...]] = field(default_factory=list)
    tiles: dict[TileDescriptor, int] = field(default_factory=dict)
    boxes: dict[GlobalDescriptor, int] = field(default_factory=dict)

    def __call__(self, core: Core, pc: int, one: Decoded) -> None:
        """One instruction, about to be carried out."""
        if not core.chooses(one):
            self.rows.append((pc, 0, (-1,) * OPERANDS, -1, -1))
            return
        numbers = [self.tiles.setdefault(t, len(self.tiles)) for t in (core.t[i] for i in tile_operands(one)) if t is not None]
        numbers += [-1] * (OPERANDS - len(numbers))
        name = box_operand(one)
        g = None if name is None else core.g[name]
        box = -1 if g is None else self.boxes.setdefault(g, len(self.boxes))
        self.rows.append((pc, 1, tuple(numbers), box, touched(core, one)))

    def trace(self) -> Trace:
        """What has been recorded."""
        return Trace(
            self.program,
            np.array(self.rows, STEP),
            np.array([tile_row(t) for t in self.tiles], TILE),
            np.array([box_row(g) for g in self.boxes], BOX),
        )


def touched(core: Core, one: Decoded) -> int:
    """How many elements a transfer will move; -1 for other instructions."""
    if one.instruction.unit not in ("L", "W") or one.instruction.name == "nop":
        return -1
    try:
        box = box_operand(one)
        inside = core.box(box).inside() if box is not None else np.ones(core.tile(one["addresses"]).extents, bool)
        has_mask = any(label == "mask" for label, _ in one.instruction.fields) and one["mask"] != NO_TILE
        return int(np.count_nonzero(inside & core.get(one["mask"]) if has_mask else inside))
    except Exception:  # what is wrong with it, the instruction itself will say
        return -1


class Shown(NamedTuple):
    """What is shown of an instruction: itself, or only its tokens where it was skipped; the tiles and the box that it uses."""

    one: Decoded
    idle: Decoded
    tiles: tuple[int, ...]
    box: int | None


def shown(program: Sequence[Decoded]) -> list[Shown]:
    """What to show of a program; it does not change."""
    return [Shown(one, _idle(one), tile_operands(one), box_operand(one)) for one in program]


class Player:
    """Shows traces of a program to observers, as the reference interpreter would have. Observers see it as the core."""

    def __init__(self, program: Sequence[Shown], machine: Npu):
        self.machine, self.program = machine, program
        self._tiles: dict[int, TileDescriptor] = {}
        self._boxes: dict[int, GlobalDescriptor] = {}

    def tile(self, index: int) -> TileDescriptor:
        """The tile that a register held."""
        return self._tiles[index]

    def box(self, index: int) -> GlobalDescriptor:
        """The box that a register held."""
        return self._boxes[index]

    def play(self, trace: Trace, observe: Callable[[Any, int, Decoded], None]) -> None:
        """Show a trace, instruction by instruction; what was skipped, as doing nothing in its queue."""
        tiles = [trace.tile(row) for row in range(len(trace.tiles))]
        boxes = [trace.box(row) for row in range(len(trace.boxes))]
        for pc, done, rows, row, _ in trace.steps.tolist():
            one, idle, registers, box = self.program[pc]
            if not done:
                observe(self, pc, idle)
                continue
            for register, index in zip(registers, rows, strict=False):
                self._tiles[register] = tiles[index]
            if box is not None:
                self._boxes[box] = boxes[row]
            observe(self, pc, one)


def _idle(one: Decoded) -> Decoded:
    """An instruction's waits and post, without the instruction."""
    return T1.decoded("nop", UNITS.index(one.instruction.unit), **one.common) if one.instruction.name != "nop" else one


def replay(trace: Trace, program: Sequence[Decoded], machine: Npu, observe: Callable[[Any, int, Decoded], None]) -> None:
    """Show one trace to an observer."""
    Player(shown(program), machine).play(trace, observe)
