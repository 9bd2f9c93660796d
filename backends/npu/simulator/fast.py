"""The fast simulator: native functions on a core's raw bytes, called by a native loop. It must equal the reference interpreter.

What the native code does not know, or finds wrong, it leaves untouched: the reference interpreter then carries out that
one instruction on the same memories, or raises the trap. So every message has one origin, and an instruction
without a native function is slow, not missing. A program's records are made once for all programs of a grid.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tiledsl.backend.isa import Decoded
from tiledsl.memory import Memory

from ..isa.instructions import NO_TILE
from ..isa.state import POISON, Core, GlobalDescriptor, TileDescriptor
from ..machine import Npu
from .native import layout
from .native.checks import CHECKS
from .native.functions import key_of
from .native.layout import FIRST_BOX, FIRST_TILE, Box, Head, Record, Region, Tile
from .native.library import PATIENCE, base, function
from .run import Poll, execute, exhausted, lost
from .slices import Slice, slices
from .trace import BOX, STEP, TILE, Shown, Sink, Trace, box_operand, box_row, shown, tile_operands, tile_row, touched

STEPS, ROWS = 1 << 14, 1 << 12  # of the trace's tables, before they are handed on
SCRATCH = 32 << 20  # bytes in which the matrix unit lays out its operands


@dataclass
class Loaded:
    """A program ready to run: its instructions, a record for each, and its loops that may wait."""

    instructions: list[Decoded]
    records: np.ndarray  # (instructions, Record.WORDS) of int64; launches fill in functions as types become known
    shown: list[Shown]  # for readers of traces
    slices: Mapping[int, Slice]


def load(instructions: list[Decoded], machine: Npu) -> Loaded:
    """Records for a program."""
    records = np.zeros((len(instructions), Record.WORDS), np.int64)
    for row, one in zip(records, instructions, strict=True):
        _record(row, one, machine)
    waits = slices(instructions)
    records[list(waits), Record.OPERANDS + 1] = 1  # of a jump
    return Loaded(instructions, records, shown(instructions), waits)


def _record(row: np.ndarray, one: Decoded, machine: Npu) -> None:
    tiles, box = tile_operands(one), box_operand(one)
    row[Record.WHEN], row[Record.UNLESS] = layout.register(one.common["when"]), one.common["unless"]
    row[Record.TILE_COUNT] = len(tiles)
    row[Record.TILE : Record.TILE + 4] = [layout.tile(t) for t in (*tiles, *[layout.ABSENT] * (4 - len(tiles)))]
    row[Record.BOX] = -1 if box is None else layout.box(box)
    fields = [where for _, where in one.instruction.fields]
    for i, (where, value) in enumerate(zip(fields, one.operands, strict=True)):
        place = PLACES.get(where.prefix)
        row[Record.OPERANDS + i] = value if place is None or value == NO_TILE and where.prefix == "t" else place(value)
    row[Record.TYPES] = -1
    limits = {"r": machine.scalar_registers, "t": machine.tile_descriptors, "g": machine.global_descriptors}
    named = [*zip((w.prefix for w in fields), one.operands, strict=True), ("r", one.common["when"])]
    beyond = any(number != NO_TILE and number >= limits.get(prefix, number + 1) for prefix, number in named)
    if beyond:
        row[Record.TILE_COUNT] = 0
    row[Record.FUNCTION] = base().address("fall_back" if beyond else "unresolved")


PLACES: dict[str, Callable[[int], int]] = {"r": layout.register, "t": layout.tile, "g": layout.box}


@cache
def _entry() -> Callable[[int], int]:
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(base().address("run"))


class FastCore:
    """A core's memories and registers where native code can reach them. It runs one program after the other."""

    def __init__(self, machine: Npu, patience: int = PATIENCE):
        self.machine, self.patience = machine, patience
        self.memories = (np.full(machine.spm_bytes, POISON, np.uint8), np.full(machine.acc_bytes, POISON, np.uint8))
        self.words = np.zeros(Head.WORDS, np.int64)
        self.tiles = self.words[FIRST_TILE:FIRST_BOX].reshape(-1, Tile.WORDS)
        self.boxes = self.words[FIRST_BOX : layout.HEAD].reshape(-1, Box.WORDS)
        self.steps, self.tile_rows, self.box_rows = np.empty(STEPS, STEP), np.empty(ROWS, TILE), np.empty(ROWS, BOX)
        self.scratch = np.empty(SCRATCH, np.uint8)
        for start, memory in zip((Head.MEMORY, Head.ACC), self.memories, strict=True):
            self._set(start, memory.ctypes.data, memory.ctypes.data + memory.size, memory.ctypes.data)
        self._set(Head.STEPS, self.steps.ctypes.data, 0, STEPS)
        self._set(Head.TILE_ROWS, self.tile_rows.ctypes.data, 0, ROWS - 4)
        self._set(Head.BOX_ROWS, self.box_rows.ctypes.data, 0, ROWS - 1)
        self._set(Head.RANK, machine.descriptor_rank, machine.descriptor_elements)
        self._set(Head.SCRATCH, self.scratch.ctypes.data, SCRATCH)
        for word, check in CHECKS.items():
            self.words[word] = base().address(check.__name__)
        self._address = self.words.ctypes.data

    def _set(self, first: int, *values: int) -> None:
        self.words[first : first + len(values)] = values

    def attach(self, loaded: Loaded, dram: Memory, arguments: Sequence[int], grid: Sequence[int], poll_every: int = 1) -> None:
        """Get ready for the programs of a launch; a loop that may wait polls at every so many of its jumps back."""
        self._set(Head.POLL_EVERY, poll_every, poll_every)
        self.loaded, self.dram, self.grid = loaded, dram, tuple(grid)
        self.arguments = np.array([*arguments, 0], np.int64)
        self.regions = np.array([_region(r) for r in dram.regions] or [[0] * Region.WORDS], np.int64)
        self._set(Head.REGIONS, self.regions.ctypes.data, len(dram.regions))
        self._set(Head.NPID, *self.grid)
        self._set(Head.ARGUMENTS, self.arguments.ctypes.data, len(arguments))
        self.records = loaded.records.copy()  # another launch may be under way
        self._set(Head.PROGRAM, self.records.ctypes.data, len(loaded.instructions))

    def detach(self) -> None:
        """The launch is over; the next one need not look for the same functions again."""
        self.loaded.records[...] = self.records

    @property
    def pc(self) -> int:
        return int(self.words[Head.PC])

    def run(self, number: int, place: Sequence[int], sink: Sink | None = None, poll: Poll | None = None) -> int:
        """Run one program of the grid until it halts; returns how many instructions were issued."""
        self.program = tuple(place)
        self._forget()
        self._set(Head.PID, *place)
        words, go = self.words, _entry()
        self._core: Core | None = None
        whole = True
        with np.errstate(all="ignore"):
            while True:
                status = go(self._address)
                if status == layout.HALTED:
                    break
                if status == layout.FULL:
                    self._hand_on(number, sink, whole=False)
                    self._begin_piece()
                    whole = False
                elif status == layout.RESOLVE:
                    self._resolve()
                elif status == layout.LOST:
                    words[Head.PC] += 1
                    raise lost(self.pc - 1, len(self.loaded.instructions))
                elif status == layout.EXHAUSTED:
                    words[Head.PC] += 1
                    raise exhausted(self.machine.watchdog)
                elif status == layout.FALL_BACK:
                    self._fall_back()
                elif poll is not None:
                    core = self._reference()
                    self.dram.latest = int(words[Head.LATEST])
                    poll(core, int(self.steps["pc"][words[Head.STEP_COUNT] - 1]))
        self._hand_on(number, sink, whole)
        return int(words[Head.ISSUED])

    def _forget(self) -> None:
        """Nothing of the program before is left: memories are poisoned as far as it came."""
        words = self.words
        for start, memory in zip((Head.MEMORY, Head.ACC), self.memories, strict=True):
            memory[: words[start + 2] - words[start]] = POISON
            words[start + 2] = words[start]
        words[: layout.REGISTERS] = 0
        self.tiles[:, Tile.STATE] = self.boxes[:, Box.STATE] = layout.UNSET
        self.tiles[:, Tile.TRACED] = self.boxes[:, Box.TRACED] = -1
        self.tiles[layout.ABSENT, Tile.STATE] = layout.CHECKED
        self._set(Head.PC, 0, 0, self.machine.watchdog)
        words[Head.STEP_COUNT] = words[Head.TILE_COUNT] = words[Head.BOX_COUNT] = 0

    def _hand_on(self, number: int, sink: Sink | None, whole: bool) -> None:
        """Give the trace so far to who wants it."""
        words = self.words
        steps, tiles, boxes = (int(words[i]) for i in (Head.STEP_COUNT, Head.TILE_COUNT, Head.BOX_COUNT))
        if sink is not None and steps:
            sink(Trace(number, self.steps[:steps], self.tile_rows[:tiles], self.box_rows[:boxes], whole))

    def _begin_piece(self) -> None:
        """An empty trace, in which no descriptor has a row yet."""
        words = self.words
        words[Head.STEP_COUNT] = words[Head.TILE_COUNT] = words[Head.BOX_COUNT] = 0
        for table, state, traced in ((self.tiles[: layout.TILES], Tile.STATE, Tile.TRACED), (self.boxes, Box.STATE, Box.TRACED)):
            table[:, traced] = -1
            table[table[:, state] == layout.CHECKED, state] = layout.SET

    def _resolve(self) -> None:
        """Find the function of the instruction at hand, now that its types are known."""
        one = self.loaded.instructions[self.pc]
        types = tuple(int(self.tiles[t, Tile.DTYPE]) for t in tile_operands(one))
        box = box_operand(one)
        boxed = -1 if box is None else int(self.boxes[box, Box.DTYPE])
        chunked = one.instruction.name == "mm" and self.machine.sum_chunk  # native code adds up as the language says
        found = base().address("fall_back") if chunked else function(key_of(one, types, boxed), self.patience)
        if found is None:
            self._fall_back()
            return
        row = self.records[self.pc]
        row[Record.FUNCTION] = found
        row[Record.TYPES] = sum(code << 8 * i for i, code in enumerate(types)) | max(boxed, 0) << 32

    def shown(self, one: Decoded) -> list[str]:
        """What the registers and descriptors that an instruction names hold, for people."""
        core = self._reference()
        self._bring(core, one)
        return core.shown(one)

    def _reference(self) -> Core:
        """A core for the reference interpreter, on the same memories, with the same registers."""
        if self._core is None:
            self._core = Core(self.machine, self.dram, self.arguments[:-1].tolist(), self.program, self.grid, self.memories)
        self._core.r = self.words[: layout.REGISTERS].tolist()
        return self._core

    def _fall_back(self) -> None:
        """Let the reference interpreter carry out one instruction."""
        words, pc, core = self.words, self.pc, self._reference()
        one = self.loaded.instructions[pc]
        core.pc = pc + 1
        words[Head.PC] = pc + 1  # where faults look
        named = self._bring(core, one)
        count = touched(core, one)
        execute(core, one)
        words[: layout.REGISTERS] = core.r
        words[Head.PC] = core.pc
        if one.instruction.unit == "S":
            for prefix, number in named:
                self._write_back(core, prefix, number)
        self.steps["touched"][words[Head.STEP_COUNT]] = count
        words[Head.STEP_COUNT] += 1
        words[Head.ISSUED] += 1

    def _bring(self, core: Core, one: Decoded) -> list[tuple[str, int]]:
        """Give the reference interpreter the descriptors that an instruction names; which ones those are."""
        fields = zip(one.instruction.fields, one.operands, strict=True)
        named = [(w.prefix, n) for (_, w), n in fields if w.prefix in "tg" and n != NO_TILE]
        for prefix, number in named:
            if prefix == "t" and number < len(core.t):
                core.t[number] = _tile(self.tiles[number])
            elif prefix == "g" and number < len(core.g):
                core.g[number] = _box(self.boxes[number])
        return named

    def _write_back(self, core: Core, prefix: str, number: int) -> None:
        """A descriptor that the reference interpreter may have set."""
        if prefix == "t" and (t := core.t[number]) is not None and t != _tile(self.tiles[number]):
            self.tiles[number, : Tile.ROW] = np.array([tile_row(t)], TILE).view(np.int64)
            self.tiles[number, Tile.STATE] = layout.SET
        if prefix == "g" and (g := core.g[number]) is not None and g != _box(self.boxes[number]):
            self.boxes[number, : Box.ROW] = np.array([box_row(g)], BOX).view(np.int64)
            self.boxes[number, Box.STATE] = layout.SET


def _region(region: object) -> list[int]:
    start, stop, writable, written = (getattr(region, name) for name in ("start", "stop", "writable", "written"))
    return [start, stop, int(writable), 0 if written is None else written.ctypes.data]


def _tile(words: np.ndarray) -> TileDescriptor | None:
    if words[Tile.STATE] == layout.UNSET:
        return None
    return Trace(0, EMPTY, words[: Tile.ROW].view(TILE), EMPTY).tile(0)


def _box(words: np.ndarray) -> GlobalDescriptor | None:
    if words[Box.STATE] == layout.UNSET:
        return None
    return Trace(0, EMPTY, EMPTY, words[: Box.ROW].view(BOX)).box(0)


EMPTY = np.empty(0)
