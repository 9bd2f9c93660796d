"""The T1 instruction set: every instruction once, as fields (its signature), meaning (its body) and manual (its docstring).

Word layout T1-128: opcode 0-7, operation 8-15, channel 16-19, flags 20-23, destination 24-31, sources 32-55, shape 56-63,
two waits and a post 64-81, predicate 82-88, dtype 90-94, immediate 96-127. Bits that no field uses are zero, unused register
fields are ones. Units: S scalar and issue, L load DMA, W store DMA, M matrix, V vector, X cross-lane.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from tiledsl import ops
from tiledsl.backend.isa import Field, InstructionSet

from . import alu
from .state import DTYPE_NAMES, DTYPE_OF, SPACES, Core, GlobalDescriptor, TileDescriptor, Trap, to_raw, to_values, wrap

UNITS = ("S", "L", "W", "M", "V", "X")
NO_SEMAPHORE = 63
NO_TILE = 255

T1 = InstructionSet(
    "T1-128",
    bits=128,
    common={
        "channel": (Field("c", 4, 16), 0),
        "wait0": (Field("s", 6, 64, none=NO_SEMAPHORE), NO_SEMAPHORE),
        "wait1": (Field("s", 6, 70, none=NO_SEMAPHORE), NO_SEMAPHORE),
        "post": (Field("s", 6, 76, none=NO_SEMAPHORE), NO_SEMAPHORE),
        "when": (Field("r", 6, 82, count=32), 0),  # skipped, waits and post apart, unless this register is nonzero; r0: always
        "unless": (Field("#", 1, 88), 0),  # turns the sense of `when`
        "early": (Field("#", 1, 89), 0),  # what it reads in DRAM needs no order with what the core wrote there before
    },
    idle=0xFFFF_FFFF << 24,
)

Unary = Annotated[int, Field(bits=8, low=8, names=alu.UNARY)]
Binary = Annotated[int, Field(bits=8, low=8, names=alu.BINARY)]
Ternary = Annotated[int, Field(bits=8, low=8, names=alu.TERNARY)]
Atomic = Annotated[int, Field(bits=8, low=8, names=alu.ATOMIC)]
Unit = Annotated[int, Field(bits=8, low=8, names=UNITS)]
Space = Annotated[int, Field(bits=8, low=8, names=SPACES)]
Flag = Annotated[int, Field("#", 1, 20)]
ScalarTo = Annotated[int, Field("r", 8, 24, count=32, role="write")]
ScalarKeep = Annotated[int, Field("r", 8, 24, count=32, role="update")]
ScalarA = Annotated[int, Field("r", 8, 32, count=32, role="read")]
ScalarB = Annotated[int, Field("r", 8, 40, count=32, role="read")]
ScalarC = Annotated[int, Field("r", 8, 48, count=32, role="read")]
TileTo = Annotated[int, Field("t", 8, 24, count=64, role="write")]
TileA = Annotated[int, Field("t", 8, 32, count=64, role="read")]
TileB = Annotated[int, Field("t", 8, 40, count=64, role="read")]
TileC = Annotated[int, Field("t", 8, 48, count=64, role="read")]
Mask = Annotated[int, Field("t", 8, 48, count=64, none=NO_TILE, role="read")]
Set = Annotated[int, Field("t", 8, 24, count=64, role="set")]
BoxTo = Annotated[int, Field("g", 8, 24, count=32)]
BoxA = Annotated[int, Field("g", 8, 32, count=32)]
Axis = Annotated[int, Field("#", 8, 56)]
ToType = Annotated[int, Field(bits=8, low=56, names=DTYPE_NAMES)]
Type = Annotated[int, Field(bits=5, low=90, names=DTYPE_NAMES)]
Extent = Annotated[int, Field("#", 24, 32)]
Imm = Annotated[int, Field("#", 32, 96, signed=True)]
Target = Annotated[int, Field("#", 32, 96)]

# --- scalar unit ---------------------------------------------------------------------------------------------------------


@T1.instruction(0x01, unit="S")
def movi(core: Core, to: ScalarTo, value: Imm) -> None:
    """to = value, sign extended to 64 bits."""
    core.r[to] = value


@T1.instruction(0x02, unit="S")
def movhi(core: Core, to: ScalarKeep, value: Imm) -> None:
    """Replace the upper 32 bits of to."""
    core.r[to] = wrap((core.r[to] & 0xFFFF_FFFF) | value << 32)


@T1.instruction(0x03, unit="S")
def mov(core: Core, to: ScalarTo, a: ScalarA) -> None:
    """to = a."""
    core.r[to] = core.r[a]


@T1.instruction(0x04, unit="S")
def scalar1(core: Core, op: Unary, dtype: Type, to: ScalarTo, a: ScalarA) -> None:
    """to = op a, on one element of the given type."""
    core.r[to] = _scalar(alu.UNARY[op], dtype, core.r[a])


@T1.instruction(0x05, unit="S")
def scalar2(core: Core, op: Binary, dtype: Type, to: ScalarTo, a: ScalarA, b: ScalarB) -> None:
    """to = a op b, on one element of the given type; comparisons give 0 or 1."""
    core.r[to] = _scalar(alu.BINARY[op], dtype, core.r[a], core.r[b])


@T1.instruction(0x06, unit="S")
def scalar3(core: Core, op: Ternary, dtype: Type, to: ScalarTo, a: ScalarA, b: ScalarB, c: ScalarC) -> None:
    """to = op(a, b, c), on one element of the given type; select takes its condition first."""
    core.r[to] = _scalar(alu.TERNARY[op], dtype, core.r[a], core.r[b], core.r[c])


@T1.instruction(0x07, unit="S")
def scalarcast(core: Core, dtype: Type, to_dtype: ToType, to: ScalarTo, a: ScalarA) -> None:
    """to = a converted from dtype to to_dtype."""
    source, target = DTYPE_OF[dtype], DTYPE_OF[to_dtype]
    core.r[to] = to_raw(alu.cast(to_values(core.r[a], source), target), target)


@T1.instruction(0x08, unit="S")
def scalarbits(core: Core, to_dtype: ToType, to: ScalarTo, a: ScalarA) -> None:
    """to = the low bits of a, extended as to_dtype asks: a bitcast between types of one size."""
    target = DTYPE_OF[to_dtype]
    core.r[to] = to_raw(to_values(core.r[a], target), target)


@T1.instruction(0x09, unit="S")
def addr(core: Core, to: ScalarTo, a: ScalarA, b: ScalarB, scale: Imm) -> None:
    """to = a + b * scale, in 64 bits."""
    core.r[to] = wrap(core.r[a] + core.r[b] * scale)


@T1.instruction(0x10, unit="S")
def jump(core: Core, target: Target) -> None:
    """Continue at the instruction with this number."""
    core.pc = target


@T1.instruction(0x11, unit="S")
def jumpz(core: Core, a: ScalarA, target: Target) -> None:
    """Continue at target if a is 0."""
    if core.r[a] == 0:
        core.pc = target


@T1.instruction(0x12, unit="S")
def jumpnz(core: Core, a: ScalarA, target: Target) -> None:
    """Continue at target if a is not 0."""
    if core.r[a] != 0:
        core.pc = target


@T1.instruction(0x13, unit="S")
def halt(core: Core) -> None:
    """Wait for all engines, then end the program."""
    core.running = False


@T1.instruction(0x14, unit="S")
def barrier(core: Core) -> None:
    """Wait until all engines of this core are idle and their effects visible."""


@T1.instruction(0x15, unit="S")
def nop(core: Core, unit: Unit) -> None:
    """Nothing, in the queue of the given unit: it carries waits and a post."""


@T1.instruction(0x18, unit="S")
def pid(core: Core, to: ScalarTo, axis: Axis) -> None:
    """to = this program's index along an axis of the grid."""
    core.r[to] = core.program[axis] if axis < 3 else 0


@T1.instruction(0x19, unit="S")
def npid(core: Core, to: ScalarTo, axis: Axis) -> None:
    """to = the extent of the grid along an axis."""
    core.r[to] = core.grid[axis] if axis < 3 else 1


@T1.instruction(0x1A, unit="S")
def arg(core: Core, to: ScalarTo, index: Target) -> None:
    """to = the launch argument with this number: an address, or a scalar's bits."""
    if index >= len(core.arguments):
        raise Trap("ILLEGAL", f"argument {index} of {len(core.arguments)}")
    core.r[to] = core.arguments[index]


@T1.instruction(0x1C, unit="S", traits={"dram_read"})
def sload(core: Core, dtype: Type, to: ScalarTo, address: ScalarA) -> None:
    """to = the element at a byte address in DRAM; the scalar unit waits for it."""
    kind = DTYPE_OF[dtype]
    core.r[to] = to_raw(core.dram.load(kind, _one(core.r[address])), kind)


@T1.instruction(0x1D, unit="S", traits={"dram_write"})
def sstore(core: Core, dtype: Type, address: ScalarA, value: ScalarB) -> None:
    """The element at a byte address in DRAM = value."""
    kind = DTYPE_OF[dtype]
    core.dram.store(kind, _one(core.r[address]), to_values(core.r[value], kind))


@T1.instruction(0x1E, unit="S")
def peek(core: Core, to: ScalarTo, a: TileA) -> None:
    """to = the one element of a tile; floats as their bits."""
    core.r[to] = to_raw(core.get(a).reshape(1), core.tile(a).dtype)


@T1.instruction(0x1F, unit="S")
def poke(core: Core, to: TileTo, a: ScalarA) -> None:
    """Every element of a tile = a; floats from their bits."""
    t = core.tile(to)
    core.put(to, np.broadcast_to(to_values(core.r[a], t.dtype), t.extents))


# --- descriptors -----------------------------------------------------------------------------------------------------------


@T1.instruction(0x20, unit="S")
def tset(core: Core, to: Set, space: Space, dtype: Type, base: Imm) -> None:
    """to = the single element at a byte offset of a memory; tdim makes it a tile."""
    core.t[to] = TileDescriptor(space, DTYPE_OF[dtype], base)


@T1.instruction(0x21, unit="S")
def tdim(core: Core, to: Set, extent: Extent, stride: Imm) -> None:
    """Give a tile one more, innermost, dimension: its extent and its stride in bytes."""
    t = core.tile(to)
    _one_more(core, f"t{to}", t.extents, extent)
    core.t[to] = TileDescriptor(t.space, t.dtype, t.base, (*t.extents, extent), (*t.strides, stride))


@T1.instruction(0x22, unit="S")
def tadv(core: Core, to: Set, step: ScalarA) -> None:
    """Move a tile by a number of bytes."""
    t = core.tile(to)
    core.t[to] = TileDescriptor(t.space, t.dtype, t.base + core.r[step], t.extents, t.strides)


@T1.instruction(0x23, unit="S")
def tstep(core: Core, to: Set, by: Imm) -> None:
    """Move a tile by a number of bytes that the word names."""
    t = core.tile(to)
    core.t[to] = TileDescriptor(t.space, t.dtype, t.base + by, t.extents, t.strides)


@T1.instruction(0x24, unit="S")
def gset(core: Core, to: BoxTo, dtype: Type, base: ScalarA) -> None:
    """to = the single element at a byte address in DRAM; gdim makes it a box."""
    core.g[to] = GlobalDescriptor(DTYPE_OF[dtype], core.r[base])


@T1.instruction(0x25, unit="S")
def gdim(core: Core, to: BoxTo, stride: ScalarA, extent: Target) -> None:
    """Give a box one more, innermost, dimension: its extent and its stride in bytes."""
    g = core.box(to)
    _one_more(core, f"g{to}", g.extents, extent)
    extents, strides = (*g.extents, extent), (*g.strides, core.r[stride])
    core.g[to] = GlobalDescriptor(g.dtype, g.base, extents, strides, (*g.valid, None), g.fill)


@T1.instruction(0x26, unit="S")
def gbox(core: Core, to: BoxTo, axis: Axis, low: ScalarA, high: ScalarB) -> None:
    """Only elements low <= i < high along an axis are valid: others are not touched in memory."""
    g = core.box(to)
    if axis >= len(g.extents):
        raise Trap("ILLEGAL", f"g{to} has no dimension {axis}")
    valid = (*g.valid[:axis], (core.r[low], core.r[high]), *g.valid[axis + 1 :])
    core.g[to] = GlobalDescriptor(g.dtype, g.base, g.extents, g.strides, valid, g.fill)


@T1.instruction(0x27, unit="S")
def gfill(core: Core, to: BoxTo, value: ScalarA) -> None:
    """What elements that are not read become; 0 unless set."""
    g = core.box(to)
    core.g[to] = GlobalDescriptor(g.dtype, g.base, g.extents, g.strides, g.valid, core.r[value])


# --- DMA -------------------------------------------------------------------------------------------------------------------


@T1.instruction(0x30, unit="L", traits={"dram_read"})
def dld(core: Core, keep: Flag, to: TileTo, box: BoxA, mask: Mask) -> None:
    """Read a box into a tile; invalid or masked-off elements become the box's fill, or stay as they are with keep."""
    g = core.box(box)
    chosen = g.inside() & _chosen(core, mask, g.extents)
    fill = np.broadcast_to(to_values(g.fill, g.dtype), g.extents)
    core.put(to, core.dram.load(g.dtype, g.addresses(), chosen, fill), chosen if keep else None)


@T1.instruction(0x31, unit="W", traits={"dram_write"})
def dst(core: Core, to: BoxA, a: TileB, mask: Mask) -> None:
    """Write a tile to a box; invalid or masked-off elements are left alone; of duplicate addresses the last wins."""
    g = core.box(to)
    _same_shape(core.tile(a).extents, g.extents)
    core.dram.store(g.dtype, g.addresses(), core.get(a), g.inside() & _chosen(core, mask, g.extents))


@T1.instruction(0x32, unit="L", traits={"dram_read"})
def dgat(core: Core, keep: Flag, to: TileTo, addresses: TileA, mask: Mask) -> None:
    """Read the elements at a tile of byte addresses; masked-off ones become 0, or stay as they are with keep."""
    where = core.get(addresses)
    chosen = _chosen(core, mask, where.shape)
    core.put(to, core.dram.load(core.tile(to).dtype, where, chosen), chosen if keep else None)


@T1.instruction(0x33, unit="W", traits={"dram_write"})
def dscat(core: Core, addresses: TileA, a: TileB, mask: Mask) -> None:
    """Write elements to a tile of byte addresses, in row-major order: of duplicates the last wins."""
    where = core.get(addresses)
    _same_shape(core.tile(a).extents, where.shape)
    core.dram.store(core.tile(a).dtype, where, core.get(a), _chosen(core, mask, where.shape))


@T1.instruction(0x34, unit="W", traits={"dram_read", "dram_write"})
def datom(core: Core, op: Atomic, to: TileTo, addresses: TileA, a: TileB, mask: Mask) -> None:
    """Update the elements at a tile of byte addresses, in row-major order; to = what stood there, 0 where masked off."""
    where = core.get(addresses)
    _same_shape(core.tile(a).extents, where.shape)
    chosen = _chosen(core, mask, where.shape)
    core.put(to, core.dram.atomic(core.tile(a).dtype, where, core.get(a), chosen, alu.ATOMIC[op]))


@T1.instruction(0x35, unit="W", traits={"dram_read", "dram_write"})
def dcas(core: Core, to: TileTo, addresses: TileA, expected: TileB, a: TileC) -> None:
    """Put a where the bits at an address are those of expected, in row-major order; to = what stood there."""
    where = core.get(addresses)
    _same_shape(core.tile(a).extents, where.shape)
    _same_shape(core.tile(expected).extents, where.shape)
    core.put(to, core.dram.compare_and_swap(core.tile(a).dtype, where, core.get(expected), core.get(a)))


# --- matrix ----------------------------------------------------------------------------------------------------------------


@T1.instruction(0x40, unit="M")
def mm(core: Core, to: TileTo, a: TileA, b: TileB) -> None:
    """to[m,n] = to[m,n] with the products a[m,k] * b[k,n] added, one fused multiply-add per k, k ascending; integers wrap. Where
    the machine has a `sum_chunk`, so many products are added up from zero first."""
    core.put(to, alu.dot(core.get(a), core.get(b), core.get(to), core.machine.sum_chunk))


@T1.instruction(0x41, unit="M")
def accwr(core: Core, to: TileTo, a: TileA) -> None:
    """Copy a tile into the accumulators."""
    core.window(to)[...] = core.window(a)


@T1.instruction(0x42, unit="M")
def accrd(core: Core, to: TileTo, a: TileA) -> None:
    """Copy accumulators into a tile."""
    core.window(to)[...] = core.window(a)


# --- vector ----------------------------------------------------------------------------------------------------------------


@T1.instruction(0x50, unit="V")
def vec1(core: Core, op: Unary, to: TileTo, a: TileA) -> None:
    """to = op a, element by element."""
    core.put(to, alu.apply(alu.UNARY[op], core.tile(to).dtype, core.get(a)))


@T1.instruction(0x51, unit="V")
def vec2(core: Core, op: Binary, to: TileTo, a: TileA, b: TileB) -> None:
    """to = a op b, element by element; comparisons give i1."""
    core.put(to, alu.apply(alu.BINARY[op], core.tile(to).dtype, core.get(a), core.get(b)))


@T1.instruction(0x52, unit="V")
def vec3(core: Core, op: Ternary, to: TileTo, a: TileA, b: TileB, c: TileC) -> None:
    """to = op(a, b, c), element by element; select takes its i1 condition first."""
    core.put(to, alu.apply(alu.TERNARY[op], core.tile(to).dtype, core.get(a), core.get(b), core.get(c)))


@T1.instruction(0x53, unit="V")
def vcast(core: Core, to: TileTo, a: TileA) -> None:
    """to = a converted to the type of to."""
    core.put(to, alu.cast(core.get(a), core.tile(to).dtype))


@T1.instruction(0x54, unit="V")
def vcopy(core: Core, to: TileTo, a: TileA) -> None:
    """to = the bits of a; both types have one size."""
    window, source = core.window(to), core.window(a)
    _same_shape(window.shape, source.shape)
    window[...] = source.view(window.dtype) if source.dtype != window.dtype else source


@T1.instruction(0x55, unit="V")
def vfill(core: Core, to: TileTo, a: ScalarA) -> None:
    """Every element of to = the register a, captured at issue."""
    t = core.tile(to)
    core.put(to, np.broadcast_to(to_values(core.r[a], t.dtype), t.extents))


@T1.instruction(0x56, unit="V")
def viota(core: Core, to: TileTo, start: Imm) -> None:
    """to = start, start + 1, ... in row-major order."""
    t = core.tile(to)
    core.put(to, np.arange(start, start + t.size).astype(t.dtype.numpy).reshape(t.extents))


@T1.instruction(0x57, unit="V")
def vaddr(core: Core, to: TileTo, a: TileA, b: TileB, scale: Imm) -> None:
    """to = a + b * scale, in 64 bits, from a tile of addresses and a tile of integers of any type."""
    with np.errstate(all="ignore"):
        core.put(to, core.get(a) + core.get(b).astype(np.int64) * np.int64(scale))


# --- cross-lane --------------------------------------------------------------------------------------------------------------


@T1.instruction(0x60, unit="X")
def reduce(core: Core, op: Binary, to: TileTo, a: TileA, axis: Axis) -> None:
    """Combine a along an axis, whose extent in to is 1: min(L, 32) strided partial results in order, then by halves."""
    core.put(to, alu.reduce(alu.BINARY[op], core.get(a), axis, core.tile(to).dtype))


@T1.instruction(0x61, unit="X")
def scan(core: Core, op: Binary, reverse: Flag, to: TileTo, a: TileA, axis: Axis) -> None:
    """Running combination of a along an axis, one element after the other; from the end with reverse."""
    core.put(to, alu.scan(alu.BINARY[op], core.get(a), axis, bool(reverse), core.tile(to).dtype))


@T1.instruction(0x62, unit="X")
def perm(core: Core, to: TileTo, a: TileA, index: TileB, axis: Axis) -> None:
    """to = a at an index along an axis; 0 for an index outside."""
    core.put(to, ops.gather.evaluate(core.get(a), core.get(index), axis=axis))


@T1.instruction(0x63, unit="X")
def sort(core: Core, descending: Flag, to: TileTo, a: TileA) -> None:
    """to = the elements of a in order along the last axis; -0 before +0, NaN after everything."""
    core.put(to, ops.sort.evaluate(core.get(a), descending=bool(descending)))


@T1.instruction(0x64, unit="X")
def hist(core: Core, to: TileTo, a: TileA, mask: Mask) -> None:
    """to[i] = how often i is in a, where the mask holds."""
    values = core.get(a)
    chosen = _chosen(core, mask, values.shape)
    core.put(to, ops.histogram.evaluate(values, chosen, bins=core.tile(to).size))


def _scalar(name: str, dtype: int, *raw: int) -> int:
    kind = DTYPE_OF[dtype]
    kinds = [DTYPE_OF[0], kind, kind] if name == "select" else [kind] * len(raw)
    result = alu.result_type(name, kind)
    return to_raw(alu.apply(name, result, *(to_values(x, k) for x, k in zip(raw, kinds, strict=True))), result)


def _one_more(core: Core, name: str, extents: tuple[int, ...], extent: int) -> None:
    """Whether a descriptor can take another dimension."""
    if len(extents) == core.machine.descriptor_rank:
        raise Trap("ILLEGAL", f"{name} has {core.machine.descriptor_rank} dimensions already")
    if extent == 0 or math.prod(extents) * extent > core.machine.descriptor_elements:
        raise Trap("ILLEGAL", f"{name} cannot name {math.prod(extents) * extent} elements")


def _same_shape(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    if one != other:
        raise Trap("ILLEGAL", f"extents differ: {one}, {other}")


def _one(address: int) -> np.ndarray:
    return np.array(address, np.int64)


def _chosen(core: Core, mask: int, shape: tuple[int, ...]) -> np.ndarray:
    """The elements that a transfer touches: those where the mask holds, all without one."""
    if mask == NO_TILE:
        return np.ones(shape, bool)
    _same_shape(core.tile(mask).extents, shape)
    return core.get(mask)
