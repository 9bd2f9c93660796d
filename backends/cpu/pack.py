"""Operands of a matrix product as the micro-kernel wants them: A in rows, B in panels of columns, in the accumulator's type.

An operand whose memory runs along the other axis (x.T, or q @ k.T) is read along that axis and turned in registers,
a square of vectors at a time; gathering its elements one by one would take longer than multiplying them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from tiledsl.ir.core import Value
from tiledsl.ir.types import DType

from .access import pointer, scratch_pointer, write_scratch
from .buffers import Scratch
from .code import Code, clamped, each, spread
from .edges import Limits, clear_unless_whole, copy_within, limits_of
from .emit import Scalar
from .evaluate import evaluate, vector_axis
from .joint import ZEROS, Joint
from .points import Index, Lanes, Point, at_constant
from .turn import side, turned, turns
from .types import Kind

BESIDE = 8  # rows that are copied side by side


def packed_rows(code: Code, a: Value, piece: Scratch, head: tuple[Index, ...]) -> None:
    """A as a row-major tile; head says which of a batch."""
    shape, elem = a.type.shape[-2:], piece.elem
    assert isinstance(elem, DType)

    def body(point: Point) -> None:
        write_scratch(code, piece, point, _converted(code, a, elem, behind(head, point)))

    def put_row(row: Index, column: Index, lanes: Lanes) -> None:
        write_scratch(code, piece, Point((row, column), 1, lanes.lanes), lanes)

    limits = _limits(code, a)
    start = scratch_pointer(code, piece).text if limits else ""
    if turns(code, a):
        with code.nest():
            clear_unless_whole(code, start, prod(shape) * elem.itemsize, shape, limits)
            turned(code, shape, elem, lambda place: _converted(code, a, elem, behind(head, place)), put_row, limits)
    elif limits:
        copy_within(code, start, prod(shape) * elem.itemsize, shape, vector_axis(shape), limits, body)
    else:
        with code.nest():
            each(code, shape, body, vector_axis(shape))


def _limits(code: Code, value: Value) -> dict[int, Limits]:
    """The bounds of a matrix outside of which it is zero, as far as it is known to be."""
    return (value.type.rank == 2 and limits_of(code, value)) or {}


def behind(head: tuple[Index, ...], point: Point) -> Point:
    """A point of one matrix in the batch."""
    return point.moved((*head, *point.indices), None if point.axis is None else point.axis + len(head))


def packed_columns(code: Code, b: Value, piece: Scratch, slot: tuple[Index, ...], head: tuple[Index, ...], joint: Joint | None) -> None:
    """B as panels, row by row: for each group of columns its K rows, one after the other. slot: of a piece that holds several.
    joint: elements of a row are those of several rows of B, the uppermost in the lowest bits."""
    k, n = b.type.shape[-2:]
    elem, columns = piece.elem, piece.shape[-1]
    assert isinstance(elem, DType)
    group = 1 if joint is None else joint.count
    above: list[Lanes] = []

    def body(point: Point) -> None:
        row, panel, column = point.indices
        across = _across(code, panel, columns, column)
        at = point.moved((*slot, panel, row, column), None if point.axis is None else len(slot) + 2)
        places = [point.moved((r, across), None if point.axis is None else 1) for r in _rows_behind(code, row, group)]
        values = [_converted(code, b, elem, behind(head, place)) for place in places]
        write_scratch(code, piece, at, _joined(code, elem, values, joint))

    def put(row: Index, column: Index, lanes: Lanes) -> None:
        panel, rest = _divided(code, column, columns)
        above.append(lanes)
        if len(above) < group:
            return
        if group > 1:
            row = _divided(code, row, group)[0]
        lanes = _joined(code, elem, above, joint)
        above.clear()
        write_scratch(code, piece, Point((*slot, panel, row, rest), len(slot) + 2, lanes.lanes), lanes)

    def body_across(point: Point) -> None:
        row, column = point.indices
        places = [point.moved((r, column), 1) for r in _rows_behind(code, row, group)]
        values = [_converted(code, b, elem, behind(head, place)) for place in places]
        panel, rest = _divided(code, column, columns)
        at = point.moved((*slot, panel, row, rest), len(slot) + 2)
        write_scratch(code, piece, at, _joined(code, elem, values, joint))

    shape: tuple[int, ...] = (k // group, n // columns, columns)
    axis = 2 if columns > 1 else None
    if n % columns:  # no vector reaches over the end of a panel: it has as many columns
        shape, axis, body = (k // group, n), 1, body_across
    limits, size = _limits(code, b) if group == 1 else {}, prod(piece.shape[-3:])
    with code.nest():
        start = pointer(code, scratch_pointer(code, piece), [(index, size) for index in slot], elem).text if limits else ""
    if turns(code, b) and columns % side(code, b.type.shape) == 0:
        with code.nest():
            clear_unless_whole(code, start, size * elem.itemsize, (k, n), limits)
            turned(code, (k, n), elem, lambda place: _converted(code, b, elem, behind(head, place)), put, limits)
    else:
        down = {0: limits[0]} if 0 in limits else {}
        with code.nest():
            clear_unless_whole(code, start, size * elem.itemsize, shape, down)
            if len(shape) == 2:
                each(code, shape, body, axis, down)
            else:
                _side_by_side(code, shape, body, axis, limits)


def _side_by_side(code: Code, shape: tuple[int, ...], body: Callable[[Point], None], axis: int | None, limits: dict[int, Limits]) -> None:
    """Run body for every point of rows x panels x columns, a few rows of each panel after the other: memory serves several places at
    a time faster than one. Panels that lie within bounds need no masks. limits: of the rows, and of the columns."""
    (rows, panels, columns), b = shape, code.b
    low, high = clamped(code, limits[0], rows) if 0 in limits else (0, rows)
    left, right = clamped(code, limits[1], panels * columns) if 1 in limits else (0, 0)
    whole: Scalar = 0
    if left == 0:
        whole = b.value(f"udiv i64 {right}, {columns}") if isinstance(right, str) else right // columns

    def all_of(first: Scalar, last: Scalar, known: frozenset[Limits]) -> None:
        with b.loop(first, last) as panel:
            group = replace(_index(panel.index, b.depth), within=known)
            with b.loop(piece.index, b.least(b.add(piece.index, BESIDE), high)) as down:
                row = replace(_index(down.index, b.depth), within=frozenset({limits[0]} if 0 in limits else ()))
                each(code, shape, body, axis, head=(row, group))

    with b.loop(low, high, BESIDE) as piece:
        if whole != 0:
            all_of(0, whole, frozenset({limits[1]}))
        if whole != panels:
            all_of(whole, panels, frozenset())


def _rows_behind(code: Code, row: Index, group: int) -> list[Index]:
    """The rows of B in a row of a panel."""
    if group == 1:
        return [row]
    if row.base is None:
        return [at_constant(row.offset * group + i) for i in range(group)]
    with code.b.at(max(row.depth, code.base)):
        start = code.b.mul(row.base, group)
    return [_index(start, row.depth, row.offset * group + i) for i in range(group)]


def _joined(code: Code, elem: DType, values: list[Lanes], joint: Joint | None) -> Lanes:
    """Small integers beside each other in one element, the first in its lowest bits."""
    if joint is None:
        return values[0]
    depth, lanes, b = max(v.depth for v in values), max(v.lanes for v in values), code.b
    kind, bits = Kind(elem, lanes), elem.bits // len(values)
    with b.at(max(depth, code.base)):
        total = ""
        for n, value in enumerate(values):
            part = spread(code, elem, value, lanes)
            if n + 1 < len(values):
                part = b.value(f"and {kind.text} {part}, {kind.constant((1 << bits) - 1)}")
            if n:
                part = b.value(f"shl {kind.text} {part}, {kind.constant(n * bits)}")
            total = b.value(f"or {kind.text} {total}, {part}") if n else part
        if joint.moved:
            total = b.value(f"xor {kind.text} {total}, {kind.constant(ZEROS)}")
    return Lanes(total, lanes, depth)


def _converted(code: Code, value: Value, elem: DType, point: Point) -> Lanes:
    """An operand of the product in the accumulator's type; f16 and bf16 are f32 in registers already."""
    lanes = evaluate(code, value, point)
    if elem.is_float or value.type.elem is elem:
        return lanes
    source, result = Kind(value.type.elem, lanes.lanes), Kind(elem, lanes.lanes)
    with code.b.at(max(lanes.depth, code.base)):
        name = "sext" if value.type.elem.is_signed else "zext"
        return Lanes(code.b.value(f"{name} {source.text} {lanes.text} to {result.text}"), lanes.lanes, lanes.depth)


def _across(code: Code, panel: Index, columns: int, column: Index) -> Index:
    """The column of B that is a column of a panel."""
    depth = max(panel.depth, column.depth)
    with code.b.at(max(depth, code.base)):
        start = code.b.mul(code.b.add(panel.base or 0, panel.offset), columns)
        total = code.b.add(start, column.base or 0)
    return replace(_index(total, depth, column.offset), within=panel.within)


def _divided(code: Code, column: Index, columns: int) -> tuple[Index, Index]:
    """The panel that a column of B is in, and where."""
    if column.base is None:
        return at_constant(column.offset // columns), at_constant(column.offset % columns)
    with code.b.at(column.depth):
        position = code.b.add(column.base, column.offset)
        parts = (code.b.value(f"{name} i64 {position}, {columns}") for name in ("udiv", "urem"))
        panel, rest = (_index(part, column.depth) for part in parts)
    return panel, rest


def _index(position: Scalar, depth: int, offset: int = 0) -> Index:
    return at_constant(position + offset) if isinstance(position, int) else Index(position, offset, depth)
