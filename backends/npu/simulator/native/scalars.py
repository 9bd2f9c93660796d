"""Native functions of the scalar unit: arithmetic, jumps, descriptors, single elements of DRAM."""

from __future__ import annotations

from tiledsl.ir.types import i1

from ...isa import alu
from ...isa.state import DTYPE_OF
from . import layout
from .functions import Shape, native
from .layout import WORD, Box, Head, Tile
from .memory import located, marked
from .write import Function, Kind, apply, from_register, to_register


@native("movi")
def movi(f: Function, shape: Shape) -> None:
    f.set_register(0, f.operand(1))


@native("movhi")
def movhi(f: Function, shape: Shape) -> None:
    low = f.b.value(f"and i64 {f.register(0)}, {(1 << 32) - 1}")
    f.set_register(0, f.b.value(f"or i64 {low}, {f.b.value(f'shl i64 {f.operand(1)}, 32')}"))


@native("mov")
def mov(f: Function, shape: Shape) -> None:
    f.set_register(0, f.register(1))


@native("addr")
def addr(f: Function, shape: Shape) -> None:
    f.set_register(0, f.b.add(f.register(1), f.b.mul(f.register(2), f.operand(3))))


@native("scalar1", "scalar2", "scalar3")
def scalar(f: Function, shape: Shape) -> None:
    table = {"scalar1": alu.UNARY, "scalar2": alu.BINARY, "scalar3": alu.TERNARY}[shape.name]
    name, kind = table[shape.fixed["op"]], DTYPE_OF[shape.fixed["dtype"]]
    count = int(shape.name[-1])
    kinds = [i1, kind, kind] if name == "select" else [kind] * count
    shape.require(alu.defined(name, kind))
    values = [from_register(f, k, f.register(3 + j)) for j, k in enumerate(kinds)]
    to = alu.result_type(name, kind)
    f.set_register(2, to_register(f, to, apply(f, name, to, kinds, 0, values)))


@native("scalarcast")
def scalarcast(f: Function, shape: Shape) -> None:
    source, target = DTYPE_OF[shape.fixed["dtype"]], DTYPE_OF[shape.fixed["to_dtype"]]
    value = from_register(f, source, f.register(3))
    f.set_register(2, to_register(f, target, apply(f, "cast", target, [source], 0, [value])))


@native("scalarbits")
def scalarbits(f: Function, shape: Shape) -> None:
    target = DTYPE_OF[shape.fixed["to_dtype"]]
    f.set_register(1, to_register(f, target, from_register(f, target, f.register(2))))


# --- where to go on ------------------------------------------------------------------------------------------------------


@native("jump")
def jump(f: Function, shape: Shape) -> str:
    f.set("%core", Head.PC, f.operand(0))
    waits = f.operand(1)  # 1 where it closes a loop that may wait
    left = f.b.sub(f.word("%core", Head.POLL_LEFT), waits)
    due = f.both(f.test("eq", waits, 1), f.test("sle", left, 0))
    f.set("%core", Head.POLL_LEFT, f.choose(due, f.word("%core", Head.POLL_EVERY), left))
    return f.choose(due, layout.POLL, layout.GO)


@native("jumpz", "jumpnz")
def jump_if(f: Function, shape: Shape) -> None:
    taken = f.test("eq" if shape.name == "jumpz" else "ne", f.register(0), 0)
    f.set("%core", Head.PC, f.choose(taken, f.operand(1), f.word("%core", Head.PC)))


@native("halt")
def halt(f: Function, shape: Shape) -> int:
    return layout.HALTED


@native("barrier", "nop")
def nothing(f: Function, shape: Shape) -> None:
    pass


# --- the launch ------------------------------------------------------------------------------------------------------------


@native("pid", "npid")
def place(f: Function, shape: Shape) -> None:
    axis = f.operand(1)
    f.require(f.test("ult", axis, 3))
    first = f.at("%core", (Head.PID if shape.name == "pid" else Head.NPID) * WORD)
    f.set_register(0, f.b.effect(f"load i64, ptr {f.at(first, f.b.mul(axis, WORD))}"))


@native("arg")
def arg(f: Function, shape: Shape) -> None:
    index = f.operand(1)
    f.require(f.test("ult", index, f.word("%core", Head.ARGUMENT_COUNT)))
    table = f.b.value(f"inttoptr i64 {f.word('%core', Head.ARGUMENTS)} to ptr")
    f.set_register(0, f.b.effect(f"load i64, ptr {f.at(table, f.b.mul(index, WORD))}"))


# --- descriptors -------------------------------------------------------------------------------------------------------------


@native("tset")
def tset(f: Function, shape: Shape) -> None:
    t = f.at("%core", f.operand(0))
    for word, value in ((Tile.SPACE, f.operand(1)), (Tile.DTYPE, f.operand(2)), (Tile.BASE, f.operand(3)), (Tile.RANK, 0)):
        f.set(t, word, value)
    for axis in range(4):
        f.set(t, Tile.EXTENTS + axis, 1)
        f.set(t, Tile.STRIDES + axis, 0)
    f.set(t, Tile.STATE, layout.SET)


@native("tdim")
def tdim(f: Function, shape: Shape) -> None:
    t = f.at("%core", f.operand(0))
    f.require(f.test("ne", f.word(t, Tile.STATE), layout.UNSET))
    _one_more(f, t, Tile.RANK, f.operand(1), {Tile.EXTENTS: f.operand(1), Tile.STRIDES: f.operand(2)})
    f.set(t, Tile.STATE, layout.SET)


def _one_more(f: Function, t: str, rank_at: int, extent: str, tables: dict[int, str | int]) -> None:
    """Give a descriptor a dimension, if it can take one: its axes move to the left."""
    rank = f.word(t, rank_at)
    count: str | int = extent
    for axis in range(4):
        count = f.b.mul(count, f.word(t, Tile.EXTENTS + axis))
    small = f.both(f.test("ne", extent, 0), f.test("sle", count, f.word("%core", Head.ELEMENTS)))
    f.require(f.both(f.test("slt", rank, f.word("%core", Head.RANK)), f.test("slt", rank, 4), small))
    for table, value in tables.items():
        for axis in range(3):
            f.set(t, table + axis, f.word(t, table + axis + 1))
        f.set(t, table + 3, value)
    f.set(t, rank_at, f.b.add(rank, 1))


@native("tadv", "tstep")
def tadv(f: Function, shape: Shape) -> None:
    t = f.at("%core", f.operand(0))
    f.require(f.test("ne", f.word(t, Tile.STATE), layout.UNSET))
    f.set(t, Tile.BASE, f.b.add(f.word(t, Tile.BASE), f.register(1) if shape.name == "tadv" else f.operand(1)))
    f.set(t, Tile.STATE, layout.SET)


@native("gset")
def gset(f: Function, shape: Shape) -> None:
    g = f.at("%core", f.operand(0))
    for word, value in ((Box.DTYPE, f.operand(1)), (Box.BASE, f.register(2)), (Box.RANK, 0), (Box.FILL, 0)):
        f.set(g, word, value)
    for axis in range(4):
        for table, value in ((Box.EXTENTS, 1), (Box.STRIDES, 0), (Box.LOW, 0), (Box.HIGH, 1)):
            f.set(g, table + axis, value)
    f.set(g, Box.STATE, layout.SET)


@native("gdim")
def gdim(f: Function, shape: Shape) -> None:
    g = _box(f)
    extent = f.operand(2)
    _one_more(f, g, Box.RANK, extent, {Box.EXTENTS: extent, Box.STRIDES: f.register(1), Box.LOW: 0, Box.HIGH: extent})


@native("gbox")
def gbox(f: Function, shape: Shape) -> None:
    g = _box(f)
    axis, rank = f.operand(1), f.word(g, Box.RANK)
    f.require(f.test("ult", axis, rank))
    at = f.at(g, f.b.mul(f.b.sub(f.b.add(axis, 4), rank), WORD))
    f.set(at, Box.LOW, f.register(2))
    f.set(at, Box.HIGH, f.register(3))


@native("gfill")
def gfill(f: Function, shape: Shape) -> None:
    f.set(_box(f), Box.FILL, f.register(1))


def _box(f: Function) -> str:
    """The box that an instruction changes."""
    g = f.at("%core", f.operand(0))
    f.require(f.test("ne", f.word(g, Box.STATE), layout.UNSET))
    f.set(g, Box.STATE, layout.SET)
    return g


# --- single elements ---------------------------------------------------------------------------------------------------------


@native("sload")
def sload(f: Function, shape: Shape) -> None:
    dtype, address = DTYPE_OF[shape.fixed["dtype"]], f.register(2)
    located(f, address, dtype.itemsize, writes=False)
    f.set("%core", Head.LATEST, address)
    f.set_register(1, to_register(f, dtype, f.read(Kind(dtype, 0), f.b.value(f"inttoptr i64 {address} to ptr"))))


@native("sstore")
def sstore(f: Function, shape: Shape) -> None:
    dtype, address = DTYPE_OF[shape.fixed["dtype"]], f.register(1)
    region = located(f, address, dtype.itemsize, writes=True)
    f.write(Kind(dtype, 0), f.b.value(f"inttoptr i64 {address} to ptr"), from_register(f, dtype, f.register(2)))
    marked(f, region, address, dtype.itemsize)


@native("peek")
def peek(f: Function, shape: Shape) -> None:
    (dtype,) = shape.tiles
    f.require(f.test("eq", f.word("%t0", Tile.SIZE), 1))
    value = f.read(Kind(dtype, 0), f.b.value(f"inttoptr i64 {f.word('%t0', Tile.DATA)} to ptr"))
    f.set_register(0, to_register(f, dtype, value))
