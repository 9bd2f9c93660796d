"""Native reductions and scans: the order is the language's; what lies side by side across the order goes in vectors."""

from __future__ import annotations

from tiledsl import ops
from tiledsl.ir.types import DType

from ....cpu.types import memory
from ...isa import alu
from .functions import Shape, native
from .layout import WORD, Tile
from .tiles import lanes_for
from .write import Function, Kind, apply


class Lines:
    """Two tiles seen as lines along one axis: the extents and strides of the others, and of it."""

    def __init__(self, f: Function, axis: str):
        """`axis` counts from the first of the tile's own."""
        b = f.b
        rank = f.word("%t0", Tile.RANK)
        f.require(f.both(f.test("ult", axis, rank), f.test("eq", rank, f.word("%t1", Tile.RANK))))
        place = b.sub(b.add(axis, 4), rank)
        self.extents: list[str] = []
        self.to: list[str] = []
        self.of: list[str] = []
        for other in range(3):
            index = f.choose(f.test("slt", other, place), other, other + 1)
            to, of = (f.at(t, b.mul(index, WORD)) for t in ("%t0", "%t1"))
            self.extents.append(f.word(to, Tile.EXTENTS))
            f.require(f.test("eq", self.extents[-1], f.word(of, Tile.EXTENTS)))
            self.to.append(f.word(to, Tile.STRIDES))
            self.of.append(f.word(of, Tile.STRIDES))
        to, of = (f.at(t, b.mul(place, WORD)) for t in ("%t0", "%t1"))
        self.length, self.step = f.word(of, Tile.EXTENTS), f.word(of, Tile.STRIDES)
        self.to_length, self.to_step = f.word(to, Tile.EXTENTS), f.word(to, Tile.STRIDES)


def across(f: Function, lines: Lines, kind: DType, line: object) -> None:
    """line(lanes, to, of) for every line; for several at once where they lie side by side."""
    b = f.b
    lanes = lanes_for([kind])
    count = lines.extents[2]
    dense = f.both(*(f.test("eq", s[2], kind.itemsize) for s in (lines.to, lines.of)))
    whole = f.choose(dense, b.value(f"and i64 {count}, {-lanes}"), 0)
    starts = [f.word(t, Tile.DATA) for t in ("%t0", "%t1")]
    with b.loop(0, lines.extents[0]) as one, b.loop(0, lines.extents[1]) as two:
        rows = []
        for start, strides in zip(starts, (lines.to, lines.of), strict=True):
            moved = b.add(start, b.add(b.mul(one.index, strides[0]), b.mul(two.index, strides[1])))
            rows.append(b.value(f"inttoptr i64 {moved} to ptr"))
        with b.loop(0, whole, lanes) as loop:
            line(lanes, *(f.at(p, b.mul(loop.index, kind.itemsize)) for p in rows))  # type: ignore[operator]
        with b.loop(whole, count) as loop:
            line(0, *(f.at(p, b.mul(loop.index, s[2])) for p, s in zip(rows, (lines.to, lines.of), strict=True)))  # type: ignore[operator]


def _operation(shape: Shape) -> tuple[str, DType]:
    to, of = shape.tiles
    name = alu.BINARY[shape.fixed["op"]]
    shape.require(to is of, alu.result_type(name, of) is of, alu.defined(name, of))
    return name, of


@native("reduce")
def reduce(f: Function, shape: Shape) -> None:
    name, kind = _operation(shape)
    b, size = f.b, kind.itemsize
    lines = Lines(f, f.operand(shape.at["axis"]))
    f.require(f.test("eq", lines.to_length, 1))
    f.harmless("%t0", "%t1")
    f.spread("%t0", size)
    width = lanes_for([kind])
    partials = f.slot(memory(kind), ops.PARTIALS * width)
    count = b.least(lines.length, ops.PARTIALS)
    in_line = f.both(f.test("eq", lines.step, size), f.test("sge", lines.length, ops.PARTIALS))
    rounds = f.choose(in_line, b.value(f"sdiv i64 {lines.length}, {ops.PARTIALS}"), 0)

    def combine(lanes: int, into: str, *pointers: str) -> None:
        k = Kind(kind, lanes)
        f.write(k, into, apply(f, name, kind, [kind, kind], lanes, [f.read(k, p) for p in pointers]))

    def line(lanes: int, to: str, of: str) -> None:
        step = max(lanes, 1) * size

        def at(j: object) -> str:
            return f.at(partials, b.mul(j, step))  # type: ignore[arg-type]

        def element(j: object) -> str:
            return f.at(of, b.mul(j, lines.step))  # type: ignore[arg-type]

        if not lanes:
            # along a line of neighbours the partials are a vector, or a few
            with b.loop(0, f.choose(f.test("sgt", rounds, 0), ops.PARTIALS, 0), width) as part:
                k = Kind(kind, width)
                first = f.read(k, f.at(of, b.mul(part.index, size)))
                with b.loop(1, b.most(rounds, 1), carried=[(k.text, first)]) as chunk:
                    here = f.read(k, f.at(of, b.mul(b.add(b.mul(chunk.index, ops.PARTIALS), part.index), size)))
                    chunk.next = [apply(f, name, kind, [kind, kind], width, [chunk.carried[0], here])]
                f.write(k, f.at(partials, b.mul(part.index, size)), chunk.carried[0])
            begun = b.mul(rounds, ops.PARTIALS)
        else:
            begun = 0
        with b.loop(begun, b.most(count, begun)) as loop:
            f.write(Kind(kind, lanes), at(loop.index), f.read(Kind(kind, lanes), element(loop.index)))
        with b.loop(b.most(begun, count), lines.length) as loop:
            place = b.value(f"srem i64 {loop.index}, {count}")
            combine(lanes, at(place), at(place), element(loop.index))

        def halve(left: str) -> tuple[str, str]:
            upper = b.value(f"ashr i64 {b.add(left, 1)}, 1")
            with b.loop(0, b.value(f"ashr i64 {left}, 1")) as loop:
                combine(lanes, at(loop.index), at(loop.index), at(b.add(loop.index, upper)))
            return upper, f.test("sle", upper, 1)

        b.until("i64", str(count), halve)
        f.write(Kind(kind, lanes), to, f.read(Kind(kind, lanes), at(0)))

    across(f, lines, kind, line)


@native("scan")
def scan(f: Function, shape: Shape) -> None:
    name, kind = _operation(shape)
    b = f.b
    lines = Lines(f, f.operand(shape.at["axis"]))
    f.require(f.test("eq", lines.length, lines.to_length))
    f.harmless("%t0", "%t1", in_place=True)
    f.spread("%t0", kind.itemsize)

    def line(lanes: int, to: str, of: str) -> None:
        k = Kind(kind, lanes)
        last = b.sub(lines.length, 1)

        def place(i: object, step: str) -> object:
            return b.mul(b.sub(last, i) if shape.fixed["reverse"] else i, step)  # type: ignore[arg-type]

        first = f.read(k, f.at(of, place(0, lines.step)))  # type: ignore[arg-type]
        f.write(k, f.at(to, place(0, lines.to_step)), first)  # type: ignore[arg-type]
        with b.loop(1, lines.length, carried=[(k.text, first)]) as loop:
            here = f.read(k, f.at(of, place(loop.index, lines.step)))  # type: ignore[arg-type]
            made = apply(f, name, kind, [kind, kind], lanes, [loop.carried[0], here])
            f.write(k, f.at(to, place(loop.index, lines.to_step)), made)  # type: ignore[arg-type]
            loop.next = [made]

    across(f, lines, kind, line)
