"""What a T1 core holds: scalar registers, descriptors, scratchpad and accumulators; DRAM is the memory of the launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiledsl.backend.isa import Decoded
from tiledsl.ir.types import DTYPES, DType
from tiledsl.memory import Memory

from ..machine import Npu

SPM, ACC = 0, 1
SPACES = ("spm", "acc")
DTYPE_NAMES = ("i1", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64")
DTYPE_OF = tuple(DTYPES[name] for name in DTYPE_NAMES)
MASK = (1 << 64) - 1
POISON = 0xCD  # what the memories of a core hold before a program has written them


class Trap(Exception):
    """The core stopped: the reason by name, and what there is to say about it."""

    def __init__(self, reason: str, detail: str, at: int | None = None):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.at = reason, detail, at  # `at`: the instruction, where no core tells


@dataclass(frozen=True)
class TileDescriptor:
    """Where a tile lies in scratchpad or accumulators; strides are in bytes, 0 repeats."""

    space: int
    dtype: DType
    base: int
    extents: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.extents)} at byte {self.base} of {SPACES[self.space]}, strides {list(self.strides)}"

    @property
    def size(self) -> int:
        count = 1
        for extent in self.extents:
            count *= extent
        return count

    def span(self) -> tuple[int, int]:
        """The bytes it may touch, from the first to the one after the last."""
        low = high = self.base
        for extent, stride in zip(self.extents, self.strides, strict=True):
            reach = (extent - 1) * stride
            low, high = low + min(reach, 0), high + max(reach, 0)
        return low, high + self.dtype.itemsize


@dataclass(frozen=True)
class GlobalDescriptor:
    """A box of elements in DRAM: byte address and strides, the valid range of every dimension, and the fill."""

    dtype: DType
    base: int
    extents: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    valid: tuple[tuple[int, int] | None, ...] = ()
    fill: int = 0

    def __str__(self) -> str:
        inside = ", ".join("all" if v is None else f"{v[0]} to {v[1]}" for v in self.valid)
        return f"{self.dtype}{list(self.extents)} at address {self.base:#x}, strides {list(self.strides)}, valid: {inside or 'all'}"

    def addresses(self) -> np.ndarray:
        """The byte address of every element."""
        where = np.full((1,) * len(self.extents), self.base, np.int64)
        for axis, (extent, stride) in enumerate(zip(self.extents, self.strides, strict=True)):
            where = where + _along(np.arange(extent, dtype=np.int64) * stride, axis, len(self.extents))
        return np.broadcast_to(where, self.extents)

    def inside(self) -> np.ndarray:
        """Which elements are inside the valid ranges."""
        keep = np.ones((1,) * len(self.extents), bool)
        for axis, (extent, box) in enumerate(zip(self.extents, self.valid, strict=True)):
            if box is not None:
                i = np.arange(extent)
                keep = keep & _along((i >= box[0]) & (i < box[1]), axis, len(self.extents))
        return np.broadcast_to(keep, self.extents)


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def wrap(value: int) -> int:
    """A value as a register holds it: 64 bits, read as signed."""
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def to_values(raw: int, dtype: DType) -> np.ndarray:
    """The one value that the low bits of a register stand for, as an array without axes."""
    size = dtype.itemsize
    stored = np.frombuffer((raw & MASK).to_bytes(8, "little")[:size], dtype.storage).reshape(())
    return dtype.decode(stored)


def to_raw(values: np.ndarray, dtype: DType) -> int:
    """A register's bits for an array of one: signed types extend their sign, all others zeros."""
    stored = np.ascontiguousarray(dtype.encode(values)).tobytes()
    return int.from_bytes(stored, "little", signed=dtype.is_signed) if dtype.itemsize < 8 else wrap(int.from_bytes(stored, "little"))


class Core:
    """One core running one program of the grid."""

    def __init__(
        self,
        machine: Npu,
        dram: Memory,
        arguments: Sequence[int],
        program: Sequence[int],
        grid: Sequence[int],
        memories: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self.machine, self.dram = machine, dram
        self.arguments, self.program, self.grid = list(arguments), list(program), list(grid)
        sizes = (machine.spm_bytes, machine.acc_bytes)
        self.memories = memories or (np.full(sizes[0], POISON, np.uint8), np.full(sizes[1], POISON, np.uint8))
        self.r = [0] * machine.scalar_registers
        self.t: list[TileDescriptor | None] = [None] * machine.tile_descriptors
        self.g: list[GlobalDescriptor | None] = [None] * machine.global_descriptors
        self.windows: dict[TileDescriptor, np.ndarray] = {}
        self.pc = 0
        self.running = True

    def chooses(self, one: Decoded) -> bool:
        """Whether an instruction's predicate lets it be carried out."""
        when = one.common["when"]
        return when == 0 or (self.r[when] != 0) != bool(one.common["unless"])

    def shown(self, one: Decoded) -> list[str]:
        """What the registers and descriptors that an instruction names hold, for people."""
        lines: list[str] = []
        tables: dict[str, Sequence[object]] = {"r": self.r, "t": self.t, "g": self.g}
        for (_, where), number in zip(one.instruction.fields, one.operands, strict=True):
            table = tables.get(where.prefix, ())
            if number < len(table) and table[number] is not None and f"{where.prefix}{number} is" not in " ".join(lines):
                lines.append(f"{where.prefix}{number} is {table[number]}")
        return lines

    def tile(self, index: int) -> TileDescriptor:
        found = self.t[index]
        if found is None:
            raise Trap("ILLEGAL", f"t{index} is not set")
        return found

    def box(self, index: int) -> GlobalDescriptor:
        found = self.g[index]
        if found is None:
            raise Trap("ILLEGAL", f"g{index} is not set")
        return found

    def window(self, index: int) -> np.ndarray:
        """The bytes a descriptor names, as stored elements; no copy."""
        t = self.tile(index)
        found = self.windows.get(t)
        if found is None:
            memory = self.memories[t.space]
            low, high = t.span()
            if low < 0 or high > memory.size:
                raise Trap(f"{SPACES[t.space].upper()}_RANGE", f"t{index} covers bytes {low} to {high} of {memory.size}")
            found = self.windows[t] = np.ndarray(t.extents, t.dtype.storage, memory, t.base, t.strides)
        return found

    def get(self, index: int) -> np.ndarray:
        """The values of a tile."""
        t = self.tile(index)
        return t.dtype.decode(self.window(index))

    def put(self, index: int, values: np.ndarray, chosen: np.ndarray | None = None) -> None:
        """Write the values of a tile, or only the chosen ones."""
        t, window = self.tile(index), self.window(index)
        if values.shape != window.shape:
            raise Trap("ILLEGAL", f"extents {values.shape} do not match those of t{index}, {window.shape}")
        if chosen is None:
            window[...] = t.dtype.encode(values)
        else:
            window[chosen] = t.dtype.encode(values)[chosen]
