"""Reading a tile in memory at places that the data decide."""

from __future__ import annotations

from tiledsl.ir.types import Elem, i64

from .access import load_pointers, pointer, scratch_pointer
from .buffers import Scratch
from .code import Code, splatted, spread
from .elementwise import elementwise
from .points import Lanes, Point
from .types import Kind


def read_gathered(code: Code, piece: Scratch, point: Point, axis: int, where: Lanes, kind_of_index: Elem) -> Lanes:
    """Elements of a tile in memory at an index along one axis; 0 for an index outside."""
    elem = piece.elem
    strides = [n * elem.itemsize for n in piece.strides]
    terms = [(i, n) for d, (i, n) in enumerate(zip(point.indices, piece.strides, strict=True)) if d != axis]
    start = pointer(code, scratch_pointer(code, piece), terms, elem)
    across = point.axis is not None and point.axis != axis  # lanes lie along another axis than the one gathered from
    lanes = point.lanes if where.lanes or across else 0
    depth = max(start.depth, where.depth, code.base)
    b, kind = code.b, Kind(i64, lanes)
    with b.at(depth):
        narrow = Kind(kind_of_index, lanes)
        place = elementwise(b, "cast", kind, (narrow,), spread(code, narrow.elem, where, lanes))
        inside = b.value(f"icmp ult {kind.text} {place}, {kind.constant(piece.shape[axis])}")
        moved = b.value(f"mul {kind.text} {place}, {kind.constant(strides[axis])}")
        first = b.value(f"ptrtoint ptr {start.text} to i64")
        at = b.value(f"add {kind.text} {moved}, {splatted(code, 'i64', first, lanes) if lanes else first}")
        if across and point.axis is not None:
            steps = ", ".join(f"i64 {k * strides[point.axis]}" for k in range(lanes))
            at = b.value(f"add {kind.text} {at}, <{steps}>")
    return load_pointers(code, elem, point, Lanes(at, lanes, depth), Lanes(inside, lanes, depth))
