"""Scans: running combinations along one axis, one element after the other, as the numerics contract says.

Vectors run along the last other axis. Where there is none, every element waits for the one before it: so what is to be
combined is computed first, in vectors, and nothing but the combination itself is in the chain. It is computed a little ahead,
while the chain waits.
"""

from __future__ import annotations

from tiledsl.ir.core import Op, Value

from .access import read_scratch, write_scratch
from .code import Code, each, spread, width
from .emit import Scalar
from .evaluate import assign, evaluate, vector_axis
from .folds import combine, neutral_of, unless_first
from .points import Index, Lanes, Point, at_constant
from .types import Kind

UNROLL = 4  # steps of a chain in one turn of its loop
AHEAD = 64  # elements


def scan(code: Code, op: Op) -> None:
    """Combine along an axis; every step is a result."""
    shape, axis = op.operands[0].type.shape, op.attrs["axis"]
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
