"""Counting the values of a tile.

Where each value belongs is computed in vectors, some hundred ahead of the counting, which leaves room for it; what falls into no
bin goes behind the last. Neighbours often fall into the
same bin, and an increment waits for the one before it to the same place: so there are several tables, added up in the end.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tiledsl.ir.core import Op
from tiledsl.ir.types import i1, i32, i64

from .access import read_scratch, scratch_pointer, write_scratch
from .code import Code, each, spread
from .elementwise import elementwise
from .emit import Scalar
from .evaluate import evaluate, vector_axis
from .points import Index, Lanes, Point, at_constant
from .types import Kind

TABLES = 4
AHEAD = 512  # values
ROOM = 1 << 15  # bytes that all tables may take: what the nearest cache holds


def histogram(code: Code, op: Op) -> None:
    """Count the values of a tile."""
    (length,), bins, b = op.operands[0].type.shape, op.attrs["bins"], code.b
    tables = TABLES if length % TABLES == 0 and length > TABLES and 4 * TABLES * (bins + 1) <= ROOM else 1
    ahead = AHEAD if length % AHEAD == 0 else length
    piece = code.take(op.result)
    places, counts = code.arena.take(i32, (ahead,)), code.arena.take(i32, (tables, bins + 1))

    def increment(place: Point, table: int) -> None:
        row = b.effect(f"getelementptr i32, ptr {scratch_pointer(code, counts).text}, i64 {table * (bins + 1)}")
        where = b.effect(f"zext i32 {read_scratch(code, places, place, now=True).text} to i64")
        at = b.effect(f"getelementptr i32, ptr {row}, i64 {where}")
        more = b.effect(f"add i32 {b.effect(f'load i32, ptr {at}, align 4')}, 1")
        b.line(f"store i32 {more}, ptr {at}, align 4")

    def place(start: Scalar, point: Point) -> None:
        (index,) = point.indices
        write_scratch(code, places, point, _place(code, op, replace(point, indices=(_further(code, index, start),))))

    def total(point: Point) -> None:
        kind, text = Kind(i32, point.lanes), ""
        for table in range(tables):
            place = point.moved((at_constant(table), *point.indices), None if point.axis is None else 1)
            one = spread(code, i32, read_scratch(code, counts, place, now=True), point.lanes)
            text = b.value(f"add {kind.text} {text}, {one}") if text else one
        write_scratch(code, piece, point, Lanes(text, point.lanes, b.depth))

    with code.nest():
        each(code, counts.shape, lambda point: write_scratch(code, counts, point, Lanes("0", 0, code.base)), 1)
        with b.loop(0, length, ahead) as start:
            each(code, (ahead,), partial(place, start.index), vector_axis((ahead,)))
            with b.loop(0, ahead, tables) as loop:
                for table in range(tables):
                    index = Index(loop.index, table, b.depth) if isinstance(loop.index, str) else at_constant(loop.index + table)
                    increment(Point((index,)), table)
        each(code, (bins,), total, vector_axis((bins,)))
    code.arena.give(places)
    code.arena.give(counts)


def _further(code: Code, index: Index, start: Scalar) -> Index:
    """An index counted from a start."""
    if isinstance(start, int):
        return index.plus(start)
    return Index(start if index.base is None else str(code.b.add(start, index.base)), index.offset, code.b.depth)


def _place(code: Code, op: Op, point: Point) -> Lanes:
    """The bin of a value, as an i32; the one behind the last for what is not counted."""
    values, *mask = op.operands
    bins, b = op.attrs["bins"], code.b
    operands = [evaluate(code, v, point) for v in op.operands]
    lanes = max(v.lanes for v in operands)
    of, wide, result = Kind(values.type.elem, lanes), Kind(i64 if values.type.elem.bits > 32 else i32, lanes), Kind(i32, lanes)
    value = elementwise(b, "cast", wide, (of,), spread(code, of.elem, operands[0], lanes))
    inside = b.value(f"icmp ult {wide.text} {value}, {wide.constant(bins)}")  # a negative one is very large
    if mask:
        inside = b.value(f"and {wide.mask} {inside}, {spread(code, i1, operands[1], lanes)}")
    place = elementwise(b, "cast", result, (wide,), value)
    return Lanes(b.value(f"select {wide.mask} {inside}, {result.text} {place}, {result.text} {result.constant(bins)}"), lanes, b.depth)
