"""Native functions of the vector unit, and copies: element by element, in whole vectors where elements lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiledsl.ir.types import DType, i1, i64

from ....cpu.host import host
from ....cpu.types import memory, vector
from ...isa import alu
from .functions import Shape, native
from .layout import Tile
from .write import TILE_NAMES, Function, Kind, apply, from_register, raw

Compute = Callable[[int, Sequence[str]], str]  # lanes, values -> value


def lanes_for(dtypes: Sequence[DType]) -> int:
    """How many elements a loop takes at once; narrow floats are computed as f32."""
    return host().vector_bytes // max(4 if d.is_float and d.itemsize < 4 else d.itemsize for d in dtypes)


def each(f: Function, to: DType, of: Sequence[DType], compute: Compute) -> None:
    """to = compute of the other tiles, in row-major order."""
    b = f.b
    tiles = TILE_NAMES[: 1 + len(of)]
    sizes = [d.itemsize for d in (to, *of)]
    for t, dtype in zip(tiles[1:], of, strict=True):
        f.same_extents("%t0", t)
        f.harmless("%t0", t, in_place=dtype.itemsize == to.itemsize)
    f.spread("%t0", to.itemsize)
    lanes = lanes_for([to, *of])
    strides = [f.word(t, Tile.STRIDES + 3) for t in tiles]
    count = f.word("%t0", Tile.EXTENTS + 3)
    repeated = [f.test("eq", s, 0) for s in strides[1:]]
    dense = [f.test("eq", s, size) for s, size in zip(strides, sizes, strict=True)]
    side_by_side = f.both(dense[0], *(f.either(d, r) for d, r in zip(dense[1:], repeated, strict=True)))
    whole = f.choose(side_by_side, b.value(f"and i64 {count}, {-lanes}"), 0)
    slots = [f.slot(memory(d), lanes) for d in of]
    steps = [f.choose(r, 0, size) for r, size in zip(repeated, sizes[1:], strict=True)]

    def row(starts: list[str]) -> None:
        sources = []
        for start, r, slot, dtype in zip(starts[1:], repeated, slots, of, strict=True):
            f.when(f.both(r, f.test("sgt", whole, 0)), lambda start=start, slot=slot, dtype=dtype: _repeat(f, dtype, lanes, start, slot))  # type: ignore[misc]
            sources.append(b.value(f"select i1 {r}, ptr {slot}, ptr {start}"))
        with b.loop(0, whole, lanes) as loop:
            values = [f.read(Kind(d, lanes), f.at(p, b.mul(loop.index, step))) for d, p, step in zip(of, sources, steps, strict=True)]
            f.write(Kind(to, lanes), f.at(starts[0], b.mul(loop.index, sizes[0])), compute(lanes, values))
        with b.loop(whole, count) as loop:
            values = [f.read(Kind(d, 0), f.at(p, b.mul(loop.index, s))) for d, p, s in zip(of, starts[1:], strides[1:], strict=True)]
            f.write(Kind(to, 0), f.at(starts[0], b.mul(loop.index, strides[0])), compute(0, values))

    f.rows(tiles, row)


def _repeat(f: Function, dtype: DType, lanes: int, start: str, slot: str) -> None:
    """One element, so often as a vector has lanes."""
    kind = Kind(raw(dtype), lanes)
    one = f.read(Kind(raw(dtype), 0), start)
    f.write(kind, slot, spread(f, raw(dtype), one, lanes))


def spread(f: Function, dtype: DType, value: str, lanes: int) -> str:
    """A scalar in every lane."""
    if not lanes:
        return value
    scalar, text = Kind(dtype, 0).text, Kind(dtype, lanes).text
    one = f.b.value(f"insertelement {text} poison, {scalar} {value}, i64 0")
    return f.b.value(f"shufflevector {text} {one}, {text} poison, {vector('i32', lanes)} zeroinitializer")


@native("vec1", "vec2", "vec3")
def arithmetic(f: Function, shape: Shape) -> None:
    table = {"vec1": alu.UNARY, "vec2": alu.BINARY, "vec3": alu.TERNARY}[shape.name]
    name = table[shape.fixed["op"]]
    to, *of = shape.tiles
    kind = of[-1]
    kinds = [i1, kind, kind] if name == "select" else [kind] * len(of)
    shape.require(list(of) == kinds, to is alu.result_type(name, kind), alu.defined(name, kind))
    each(f, to, of, lambda lanes, values: apply(f, name, to, of, lanes, values))


@native("vcast")
def vcast(f: Function, shape: Shape) -> None:
    to, of = shape.tiles
    each(f, to, [of], lambda lanes, values: apply(f, "cast", to, [of], lanes, values))


@native("vcopy", "accrd", "accwr")
def copy(f: Function, shape: Shape) -> None:
    to, of = shape.tiles
    shape.require(to.itemsize == of.itemsize, shape.name == "vcopy" or to is of)
    each(f, raw(to), [raw(of)], lambda lanes, values: values[0])


@native("vfill", "poke")
def fill(f: Function, shape: Shape) -> None:
    (to,) = shape.tiles
    value = from_register(f, to, f.register(1))
    each(f, to, [], lambda lanes, values: spread(f, to, value, lanes))


@native("viota")
def viota(f: Function, shape: Shape) -> None:
    """Counted in a slot: rows are visited in order."""
    (to,) = shape.tiles
    shape.require(to.is_int, to is not i1)
    f.spread("%t0", to.itemsize)
    counter = f.slot("i64")
    f.set(counter, 0, f.operand(1))
    stride, count = f.word("%t0", Tile.STRIDES + 3), f.word("%t0", Tile.EXTENTS + 3)

    def row(starts: list[str]) -> None:
        first = f.word(counter, 0)
        with f.b.loop(0, count) as loop:
            number = f.b.add(first, loop.index)
            text = number if to.bits == 64 else f.b.value(f"trunc i64 {number} to i{to.bits}")
            f.write(Kind(to, 0), f.at(starts[0], f.b.mul(loop.index, stride)), str(text))
        f.set(counter, 0, f.b.add(first, count))

    f.rows(["%t0"], row)


@native("vaddr")
def vaddr(f: Function, shape: Shape) -> None:
    to, a, by = shape.tiles
    shape.require(to is i64, a is i64, by.is_int)
    scale = f.operand(shape.at["scale"])

    def compute(lanes: int, values: Sequence[str]) -> str:
        text = Kind(i64, lanes).text
        wide = apply(f, "cast", i64, [by], lanes, [values[1]])
        scaled = f.b.value(f"mul {text} {wide}, {spread(f, i64, scale, lanes)}")
        return f.b.value(f"add {text} {values[0]}, {scaled}")

    each(f, i64, [a, by], compute)
