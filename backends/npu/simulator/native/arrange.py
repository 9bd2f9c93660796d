"""Native functions that move elements to where the data say: permutations and histograms."""

from __future__ import annotations

from tiledsl.ir.types import i1, i32, i64

from .functions import Shape, native
from .layout import WORD, Tile
from .transfers import carrier, elements
from .write import Function, Kind, apply


@native("perm")
def perm(f: Function, shape: Shape) -> None:
    b = f.b
    to, of, by = shape.tiles
    shape.require(to is of, by.is_int, by is not i1)
    kind = Kind(carrier(to), 0)
    f.same_extents("%t0", "%t2")
    f.harmless("%t0", "%t1")
    f.harmless("%t0", "%t2")
    f.spread("%t0", to.itemsize)
    rank, axis = f.word("%t0", Tile.RANK), f.operand(shape.at["axis"])
    f.require(f.both(f.test("ult", axis, rank), f.test("eq", rank, f.word("%t1", Tile.RANK))))
    place = b.sub(b.add(axis, 4), rank)
    chosen = [f.test("eq", place, d) for d in range(4)]
    extents = [f.word("%t0", Tile.EXTENTS + d) for d in range(4)]
    for d in range(4):
        f.require(f.either(chosen[d], f.test("eq", extents[d], f.word("%t1", Tile.EXTENTS + d))))
    source = f.at("%t1", b.mul(place, WORD))
    length, step = f.word(source, Tile.EXTENTS), f.word(source, Tile.STRIDES)
    to_steps, of_steps, by_steps = ([f.word(t, Tile.STRIDES + d) for d in range(4)] for t in ("%t0", "%t1", "%t2"))
    others = [f.choose(c, 0, s) for c, s in zip(chosen, of_steps, strict=True)]
    starts = [f.word(t, Tile.DATA) for t in ("%t0", "%t1", "%t2")]

    def nest(axis: int, at: list[str | int]) -> None:
        if axis == 4:
            index = apply(f, "cast", i64, [by], 0, [f.read(Kind(by, 0), b.value(f"inttoptr i64 {at[2]} to ptr"))])
            inside = f.test("ult", index, length)
            there = b.add(at[1], b.mul(f.choose(inside, index, 0), step))
            value = f.read(kind, b.value(f"inttoptr i64 {there} to ptr"))
            zero = kind.constant(0)
            f.write(kind, b.value(f"inttoptr i64 {at[0]} to ptr"), b.value(f"select i1 {inside}, {kind.text} {value}, {kind.text} {zero}"))
            return
        with b.loop(0, extents[axis]) as loop:
            by_axis = (to_steps[axis], others[axis], by_steps[axis])
            nest(axis + 1, [b.add(x, b.mul(loop.index, s)) for x, s in zip(at, by_axis, strict=True)])

    nest(0, list(starts))


@native("hist")
def hist(f: Function, shape: Shape) -> None:
    b = f.b
    masked = bool(shape.fixed["mask"])
    to, of = shape.tiles[:2]
    shape.require(to is i32, of.is_int, of is not i1, not masked or shape.tiles[2] is i1)
    tiles = ["%t1", *(["%t2"] if masked else [])]
    for t in ("%t0", "%t1"):
        f.require(f.test("eq", f.word(t, Tile.RANK), 1))
    for other in tiles:
        f.same_extents("%t1", other)
        f.harmless("%t0", other)
    f.spread("%t0", 4)
    bins, step = f.word("%t0", Tile.EXTENTS + 3), f.word("%t0", Tile.STRIDES + 3)
    counts = b.value(f"inttoptr i64 {f.word('%t0', Tile.DATA)} to ptr")
    with b.loop(0, bins) as loop:
        f.write(Kind(i32, 0), f.at(counts, b.mul(loop.index, step)), "0")

    def element(at: list[str]) -> None:
        value = apply(f, "cast", i64, [of], 0, [f.read(Kind(of, 0), at[0])])
        inside = f.test("ult", value, bins)
        counted = f.both(inside, f.read(Kind(i1, 0), at[1])) if masked else inside
        there = f.at(counts, b.mul(f.choose(inside, value, 0), step))
        one = b.value(f"zext i1 {counted} to i32")
        f.write(Kind(i32, 0), there, b.value(f"add i32 {f.read(Kind(i32, 0), there)}, {one}"))

    elements(f, tiles, element)
