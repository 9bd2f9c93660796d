"""Scans: running combinations along one axis, one element after the other, as the numerics contract says.

Vectors run along the last other axis; where memory runs along the scan, squares are turned in registers before and after. Where
there is no other axis, every element waits for the one before it: so what is to be combined is computed first, in vectors, and
nothing but the combination itself is in the chain. It is computed a little ahead, while the chain waits.
"""

from __future__ import annotations

from tiledsl.ir.core import Op, Value

from .access import read_scratch, write_scratch
from .code import Code, each, spread, width
from .emit import Scalar
from .evaluate import assign, evaluate, vector_axis
from .folds import combine, neutral_of, unless_first
from .points import Index, Lanes, Point, at_constant
from .turn import contiguous_axis, side, squared, transposed
from .types import Kind

UNROLL = 4  # steps of a chain in one turn of its loop
AHEAD = 64  # elements


def scan(code: Code, op: Op) -> None:
    """Combine along an axis; every step is a result."""
    shape, axis = op.operands[0].type.shape, op.attrs["axis"]
    if len(shape) > 1 and axis == len(shape) - 1 and squared(code, shape):
        _by_squares(code, op)
        return
    length = shape[axis]
    pieces = [code.take(result) for result in op.results]
    others = [n for a, n in enumerate(shape) if a != axis]
    along = vector_axis(tuple(others))
    if along is not None and along < axis:
        along = None  # lanes would lie far apart in memory
    chained = along is None and vector_axis(shape) == axis
    ready = {value for value in op.operands if chained and not code.plan.kept(value)}
    part = AHEAD if ready and length % AHEAD == 0 else length
    if part == length:
        for value, piece in zip(op.operands, pieces, strict=True):
            if value in ready:
                assign(code, value, piece)
    b, block = code.b, op.blocks[0]
    neutral = neutral_of(block)
    unroll = UNROLL if along is None and part % UNROLL == 0 and part > UNROLL else 1

    def compute_ahead(place: Point, first: Scalar) -> None:
        lanes = width(code, part)
        for start in range(0, part, lanes):
            index = at_constant(first + start) if isinstance(first, int) else Index(first, start, b.depth)
            point = Point((*place.indices[:axis], index, *place.indices[axis:]), axis, lanes)
            for value, piece in zip(op.operands, pieces, strict=True):
                if value in ready:
                    write_scratch(code, piece, point, evaluate(code, value, point))

    def element(value: Value, k: int, point: Point) -> Lanes:
        return read_scratch(code, pieces[k], point, now=True) if value in ready else evaluate(code, value, point)

    def steps(place: Point, first: Scalar, texts: list[str], kinds: list[Kind]) -> list[str]:
        with b.loop(0, part, unroll, [(kind.text, text) for kind, text in zip(kinds, texts, strict=True)]) as loop:
            texts = loop.carried
            for k in range(unroll):
                step = b.add(b.add(first, loop.index), k)
                position = b.sub(length - 1, step) if op.attrs["reverse"] else step
                index = at_constant(position) if isinstance(position, int) else Index(position, 0, b.depth)
                indices = (*place.indices[:axis], index, *place.indices[axis:])
                point = place.moved(indices, None if place.axis is None else place.axis + (place.axis >= axis))
                new = [element(v, n, point) for n, v in enumerate(op.operands)]
                old = [Lanes(text, place.lanes, b.depth) for text in texts]
                so_far = combine(code, block, [*old, *new])
                if neutral is None:
                    so_far = unless_first(code, step, 1, kinds, new, so_far)
                for piece, x in zip(pieces, so_far, strict=True):
                    write_scratch(code, piece, point, x)
                texts = [spread(code, kind.elem, x, place.lanes) for kind, x in zip(kinds, so_far, strict=True)]
            loop.next = texts
        return loop.carried

    def line(place: Point) -> None:
        kinds = [Kind(v.type.elem, place.lanes) for v in op.operands]
        begin = [(kind.text, kind.constant(0 if neutral is None else neutral)) for kind in kinds]
        with b.loop(0, length, part, begin) as loop:
            if part < length:
                compute_ahead(place, b.sub(length - part, loop.index) if op.attrs["reverse"] else loop.index)
            loop.next = steps(place, loop.index, loop.carried, kinds)

    with code.nest():
        each(code, others, line, along)


def _by_squares(code: Code, op: Op) -> None:
    """Combine along the last axis, in vectors along the one before it, a square of elements at a time."""
    shape, b, block = op.operands[0].type.shape, code.b, op.blocks[0]
    (rows, length), lanes = shape[-2:], side(code, shape)
    pieces, neutral = [code.take(result) for result in op.results], neutral_of(block)
    kinds = [Kind(v.type.elem, lanes) for v in op.operands]

    def columns(value: Value, place: Point, row: Index, column: Index) -> list[str]:
        """What is to be combined: a vector of rows for every column of a square."""
        kind, last = Kind(value.type.elem, lanes), len(shape) - 1
        down = contiguous_axis(code, value) == last - 1
        texts = []
        for k in range(lanes):
            at = (row, column.plus(k)) if down else (row.plus(k), column)
            point = Point((*place.indices, *at), last - down, lanes)
            texts.append(spread(code, kind.elem, evaluate(code, value, point), lanes))
        return texts if down else transposed(code, kind, texts)

    def square(place: Point, row: Index, first: Scalar, texts: list[str]) -> list[str]:
        start = b.sub(length - lanes, first) if op.attrs["reverse"] else first
        column = at_constant(start) if isinstance(start, int) else Index(start, 0, b.depth)
        new = [columns(v, place, row, column) for v in op.operands]
        found: list[list[str]] = [[""] * lanes for _ in op.operands]
        for k in range(lanes):
            here = lanes - 1 - k if op.attrs["reverse"] else k
            given = [Lanes(column[here], lanes, b.depth) for column in new]
            so_far = combine(code, block, [*(Lanes(text, lanes, b.depth) for text in texts), *given])
            if neutral is None:
                so_far = unless_first(code, b.add(first, k), 1, kinds, given, so_far)
            texts = [spread(code, kind.elem, x, lanes) for kind, x in zip(kinds, so_far, strict=True)]
            for results, text in zip(found, texts, strict=True):
                results[here] = text
        for piece, kind, results in zip(pieces, kinds, found, strict=True):
            for k, text in enumerate(transposed(code, kind, results)):
                point = Point((*place.indices, row.plus(k), column), len(shape) - 1, lanes)
                write_scratch(code, piece, point, Lanes(text, lanes, b.depth))
        return texts

    def matrix(place: Point) -> None:
        begin = [(kind.text, kind.constant(0 if neutral is None else neutral)) for kind in kinds]
        with b.loop(0, rows, lanes) as down:
            row = at_constant(down.index) if isinstance(down.index, int) else Index(down.index, 0, b.depth)
            with b.loop(0, length, lanes, begin) as loop:
                loop.next = square(place, row, loop.index, loop.carried)

    with code.nest():
        each(code, shape[:-2], matrix, None)
