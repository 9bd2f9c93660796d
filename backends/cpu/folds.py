"""Reductions: folds along one axis in the order that the numerics contract fixes.

A reduction keeps P = min(L, 32) partial results; partial j takes elements j, j + P, j + 2P ... Along the last axis they
are the lanes of a few vector registers; along another axis, or for an odd number of them, they are rows of a scratch tile.
Then the upper half is combined into the lower until one is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tiledsl import ops
from tiledsl.ir.core import Block, Op, Value
from tiledsl.ir.rebuild import Copier
from tiledsl.ir.types import Tile, i1
from tiledsl.ops.contract import PARTIALS
from tiledsl.passes.simplify import visit as simplified

from .access import read_scratch, write_scratch
from .buffers import Scratch
from .code import Code, clamped, each, floored, lanes_below, spread, width
from .emit import Scalar
from .evaluate import apply, common_bounds, evaluate, vector_axis
from .extremes import both, folded, last_of, quieted
from .inside import note_choices
from .points import Index, Lanes, Point, at_constant
from .trees import combined_lanes, several
from .types import Kind, literal, register, vector


def reduce(code: Code, op: Op) -> None:
    """Combine the elements along one axis."""
    homes = [value for value, home in code.plan.home.items() if home is op]
    for value in homes:
        code.take(value)
    code.filling.update(homes)
    for result in op.results:
        if result.type.shape:
            code.take(result)
    with code.nest():
        if _in_registers(code, op):
            _reduce_lanes(code, op)
        else:
            _reduce_rows(code, op)
    code.filling.difference_update(homes)


def combine(code: Code, block: Block, operands: Sequence[Lanes]) -> list[Lanes]:
    """The combining block, declared on scalars, on values of any number of lanes."""
    known = dict(zip(block.args, operands, strict=True))

    def of(value: Value) -> Lanes:
        return known[value] if value in known else Lanes(code.scalars[value], 0, code.base)

    for inner in block.ops:
        if "terminator" in inner.spec.traits:
            return [of(v) for v in inner.operands]
        if inner.spec.name == "constant":
            known[inner.result] = Lanes(literal(inner.result.type.elem, inner.attrs["value"]), 0, code.base)
        elif inner.spec.effect == "grid":
            known[inner.result] = Lanes(f"%{inner.spec.name}.{inner.attrs['axis']}", 0, code.base)
        else:
            known[inner.result] = apply(code, inner, [of(v) for v in inner.operands])
    raise AssertionError("a combining block ends in yield")


# --- partial results in registers


def _in_registers(code: Code, op: Op) -> bool:
    """Whether vectors run along the reduced axis and the partial results fill whole vectors."""
    shape = op.operands[0].type.shape
    length = shape[op.attrs["axis"]]
    partials = min(length, PARTIALS)
    return op.attrs["axis"] == (vector_axis(shape) or 0) and partials & (partials - 1) == 0


def _reduce_lanes(code: Code, op: Op) -> None:
    shape, axis = op.operands[0].type.shape, op.attrs["axis"]
    outer = shape[:axis] + shape[axis + 1 :]
    lanes = width(code, min(shape[axis], PARTIALS))
    if axis == len(shape) - 1 and outer and several(lanes, outer[-1]):
        _reduce_several(code, op, lanes)
        return

    def row(place: Point) -> None:
        head = place.indices[:axis]
        results = _reduce_row(code, op, head, place.indices[axis:])
        for result, lanes in zip(op.results, results, strict=True):
            if result.type.shape:
                write_scratch(code, code.scratch[result], place, lanes)
            else:
                code.scalars[result] = lanes.text

    each(code, outer, row, None)


def _reduce_several(code: Code, op: Op, lanes: int) -> None:
    """Rows one after the other into a vector each; then several of these into a vector of results (trees.py)."""
    outer, b = op.operands[0].type.shape[:-1], code.b
    count = several(lanes, outer[-1])
    pieces = [code.arena.take(v.type.elem, (count, lanes)) for v in op.operands]

    def rows(head: Point) -> None:
        with b.loop(0, outer[-1], count) as group:
            with b.loop(0, count) as one:
                row = _place(b.add(group.index, one.index), b.depth)
                for piece, x in zip(pieces, _folded_row(code, op, (*head.indices, row), ()), strict=True):
                    write_scratch(code, piece, Point((_place(one.index, b.depth), at_constant(0)), 1, lanes), x)
            points = [Point((at_constant(k), at_constant(0)), 1, lanes) for k in range(count)]
            vectors = [[read_scratch(code, piece, point, now=True) for piece in pieces] for point in points]
            found = combined_lanes(code, partial(_joined, code, op), [v.type.elem for v in op.operands], vectors)
            for result, x in zip(op.results, found, strict=True):
                where = Point((*head.indices, _place(group.index, b.depth)), len(outer) - 1, count)
                write_scratch(code, code.scratch[result], where, x)

    each(code, outer[:-1], rows, None)
    for piece in pieces:
        code.arena.give(piece)


def _joined(code: Code, op: Op, pair: Sequence[Lanes]) -> list[Lanes]:
    """Partial results that are known to be quiet, combined."""
    block = op.blocks[0]
    quick = both(code, block, op.operands[0].type.elem, pair) if neutral_of(block) is not None else None
    return combine(code, block, pair) if quick is None else quick


def _place(position: Scalar, depth: int) -> Index:
    return at_constant(position) if isinstance(position, int) else Index(position, 0, depth)


def _reduce_row(code: Code, op: Op, before: tuple[Index, ...], after: tuple[Index, ...]) -> list[Lanes]:
    """One element of each result."""
    total = _folded_row(code, op, before, after, to_the_end=True)
    lanes = total[0].lanes
    while lanes > 1:
        lanes //= 2
        low, high = ([_part(code, v, x, lanes, start) for v, x in zip(op.operands, total, strict=True)] for start in (0, lanes))
        total = combine(code, op.blocks[0], [*low, *high])
    return total


def _folded_row(code: Code, op: Op, before: tuple[Index, ...], after: tuple[Index, ...], to_the_end: bool = False) -> list[Lanes]:
    """A row's partial results, halved until they are one vector; single elements if it goes faster to the end in one step."""
    shape, axis = op.operands[0].type.shape, op.attrs["axis"]
    length = shape[axis]
    partials = min(length, PARTIALS)
    lanes = width(code, partials)
    count = partials // lanes
    vectors = lanes if length > 1 else 0

    def elements(index: Index, active: str | None = None) -> list[Lanes]:
        point = Point((*before, index, *after), axis if vectors else None, vectors, active)
        return [Lanes(spread(code, v.type.elem, evaluate(code, v, point), vectors), vectors, code.b.depth) for v in op.operands]

    if length == partials:
        accumulators = [elements(at_constant(k * lanes)) for k in range(count)]
    else:
        whole = length // partials * partials
        accumulators = _accumulate(code, op, whole, lanes, count, elements)
        accumulators = _rest(code, op, accumulators, whole, lanes, elements)
    block = op.blocks[0]
    kind, quiet = Kind(op.operands[0].type.elem, vectors), length > partials and not length % partials  # what has been folded is
    extreme = neutral_of(block) is not None and bool(vectors)
    if extreme and to_the_end:
        last = last_of(code, block, kind, [only for (only,) in accumulators], quiet)
        if last is not None:
            return [last]
    elif extreme and not quiet:
        accumulators = [[only] for only in quieted(code, block, kind, [only for (only,) in accumulators])]
    join = partial(combine, code, block) if to_the_end else partial(_joined, code, op)
    while len(accumulators) > 1:
        half = len(accumulators) // 2
        accumulators = [join([*accumulators[k], *accumulators[k + half]]) for k in range(half)]
    return accumulators[0]


def _accumulate(code: Code, op: Op, length: int, lanes: int, count: int, elements: Callable[..., list[Lanes]]) -> list[list[Lanes]]:
    """Fold a long axis into `count` vectors per operand. Without a neutral element, the first ones are what folding begins with."""
    block, b = in_order(op), code.b
    neutral = neutral_of(block)
    kinds = [Kind(v.type.elem, lanes) for v in op.operands]
    step = lanes * count
    begin = 0 if neutral is not None else step
    if neutral is not None:
        first = [kind.constant(neutral) for _ in range(count) for kind in kinds]
    else:
        first = [spread(code, k.elem, x, lanes) for n in range(count) for k, x in zip(kinds, elements(at_constant(n * lanes)), strict=True)]
    carried = list(zip([kind.text for _ in range(count) for kind in kinds], first, strict=True))
    split = next((s for s in (common_bounds(code, v) for v in op.operands) if s is not None), None)
    pieces: list[tuple[Scalar, Scalar, frozenset[tuple[str, str]]]] = [(begin, length, frozenset())]
    if split is not None:
        for value in op.operands:
            note_choices(code, value)
        _, top = clamped(code, split, length)
        middle = b.most(floored(code, top, step), begin)
        pieces = [(begin, middle, frozenset([split])), (middle, length, frozenset())]
    for lo, hi, within in pieces:
        if isinstance(lo, int) and isinstance(hi, int) and lo >= hi:
            continue
        with b.loop(lo, hi, step, carried) as loop:
            old = [Lanes(text, lanes, b.depth) for text in loop.carried]
            for k in range(count):
                index = (
                    Index(None, loop.index + k * lanes, 0, within)
                    if isinstance(loop.index, int)
                    else Index(loop.index, k * lanes, b.depth, within)
                )
                here = old[k * len(kinds) : (k + 1) * len(kinds)]
                new = elements(index)
                quick = folded(code, block, kinds[0], here[0], new[0]) if neutral is not None else None
                now = [quick] if quick is not None else combine(code, block, [*here, *new])
                loop.next += [spread(code, kind.elem, x, lanes) for kind, x in zip(kinds, now, strict=True)]
        carried = [(kind, text) for (kind, _), text in zip(carried, loop.carried, strict=True)]
    texts = [text for _, text in carried]
    return [[Lanes(t, lanes, b.depth) for t in texts[k * len(kinds) : (k + 1) * len(kinds)]] for k in range(count)]


def in_order(op: Op) -> Block:
    """The combining block for a partial result and an element behind it: which of two places comes first is known then."""
    block, count = op.blocks[0], len(op.operands)
    known = {(block.args[k], block.args[count + k]) for k, value in enumerate(op.operands) if ascending(value, op.attrs["axis"])}

    def visit(build: Copier, inner: Op, operands: list[Value]) -> Any:
        if inner.spec is ops.lt and tuple(inner.operands) in known:
            return build.emit(ops.constant, value=True, type=Tile(i1, ()))
        return simplified(build, inner, operands)

    return Copier(Block(), {}, visit).copy_block(block) if known else block


def ascending(value: Value, axis: int) -> bool:
    """Whether every element along an axis is more than the one before."""
    op, shape = value.source, value.type.shape
    if op is not None and op.spec is ops.reshape and op.operands[0].type.rank == 1:
        return shape[axis] == op.operands[0].type.size and ascending(op.operands[0], 0)
    if op is not None and op.spec is ops.broadcast and op.operands[0].type.rank == len(shape):
        return shape[axis] == op.operands[0].type.shape[axis] and ascending(op.operands[0], axis)
    return op is not None and op.spec is ops.arange


def _rest(
    code: Code, op: Op, accumulators: list[list[Lanes]], start: int, lanes: int, elements: Callable[..., list[Lanes]]
) -> list[list[Lanes]]:
    """The last elements, too few for every partial result, folded into those they belong to."""
    length, block = op.operands[0].type.shape[op.attrs["axis"]], op.blocks[0]
    out = []
    for k, old in enumerate(accumulators):
        left = length - start - k * lanes
        if left <= 0:
            out.append(old)
            continue
        active = None if left >= lanes else lanes_below(code, left, lanes)
        both = combine(code, block, [*old, *elements(at_constant(start + k * lanes), active)])
        if active is not None:
            both = [_chosen(code, active, Kind(v.type.elem, lanes), x, y) for v, x, y in zip(op.operands, both, old, strict=True)]
        out.append(both)
    return out


def _chosen(code: Code, where: str, kind: Kind, x: Lanes, y: Lanes) -> Lanes:
    texts = spread(code, kind.elem, x, kind.lanes), spread(code, kind.elem, y, kind.lanes)
    mask = f"<{kind.lanes} x i1>"
    return Lanes(code.b.value(f"select {mask} {where}, {kind.text} {texts[0]}, {kind.text} {texts[1]}"), kind.lanes, code.b.depth)


def unless_first(code: Code, index: Scalar, first: int, kinds: list[Kind], new: list[Lanes], combined: list[Lanes]) -> list[Lanes]:
    """The elements themselves while index is below `first`, because there is nothing yet to combine them with."""
    if isinstance(index, int):
        return new if index < first else combined
    early = code.b.value(f"icmp slt i64 {index}, {first}")
    chosen = []
    for kind, x, y in zip(kinds, new, combined, strict=True):
        texts = spread(code, kind.elem, x, kind.lanes), spread(code, kind.elem, y, kind.lanes)
        chosen.append(Lanes(code.b.value(f"select i1 {early}, {kind.text} {texts[0]}, {kind.text} {texts[1]}"), kind.lanes, code.b.depth))
    return chosen


def neutral_of(block: Block) -> int | float | None:
    """What a combining block of one op leaves every operand as it is, bit for bit."""
    if len(block.ops) != 2 or len(block.args) != 2:
        return None
    op = block.ops[0]
    if set(op.operands) != set(block.args) or block.yields != op.results:
        return None
    elem = op.result.type.elem
    if elem.is_float:
        nan, infinity = float("nan"), float("inf")
        # -0 + x is x, also for -0; maximum returns the operand that is not NaN
        return {"add": -0.0, "mul": 1.0, "maximum": nan, "minimum": nan, "maximum_nan": -infinity, "minimum_nan": infinity}.get(
            op.spec.name
        )
    top = (1 << elem.bits - elem.is_signed) - 1
    low = -(top + 1) if elem.is_signed else 0
    return {"add": 0, "mul": 1, "maximum": low, "minimum": top, "or": 0, "xor": 0, "and": -1 if elem.is_signed else top}.get(op.spec.name)


def _part(code: Code, value: Value, lanes: Lanes, count: int, start: int) -> Lanes:
    """Some neighbouring lanes of a vector."""
    if not lanes.lanes:
        return lanes
    kind = vector(register(value.type.elem), lanes.lanes)
    if count == 1:
        return Lanes(code.b.value(f"extractelement {kind} {lanes.text}, i64 {start}"), 0, lanes.depth)
    picks = ", ".join(f"i32 {start + k}" for k in range(count))
    text = code.b.value(f"shufflevector {kind} {lanes.text}, {kind} poison, <{count} x i32> <{picks}>")
    return Lanes(text, count, lanes.depth)


# --- partial results in memory


def _reduce_rows(code: Code, op: Op) -> None:
    """Row by row into P rows of partial results, then halving those."""
    shape, axis = op.operands[0].type.shape, op.attrs["axis"]
    length, outer, inner = shape[axis], shape[:axis], shape[axis + 1 :]
    partials = min(length, PARTIALS)
    rows = [code.arena.take(v.type.elem, (partials, *inner)) for v in op.operands]
    along = vector_axis(inner)
    block = op.blocks[0]

    def fold(head: Point) -> None:
        def element(point: Point) -> None:
            index = point.indices[0]
            full = point.moved((*head.indices, *point.indices), None if point.axis is None else point.axis + axis)
            new = [evaluate(code, v, full) for v in op.operands]
            position = code.b.add(index.base or 0, index.offset)
            where = point.moved((_wrapped(code, position, partials), *point.indices[1:]), point.axis)
            if length > partials:
                old = [read_scratch(code, r, where, now=True) for r in rows]
                both = combine(code, block, [*old, *new])
                kinds = [Kind(v.type.elem, point.lanes) for v in op.operands]
                new = unless_first(code, position, partials, kinds, new, both)
            for r, x in zip(rows, new, strict=True):
                write_scratch(code, r, where, x)

        each(code, (length, *inner), element, None if along is None else along + 1)
        _halve(code, op, rows, partials, inner, along)

        def deliver(point: Point) -> None:
            for result, r in zip(op.results, rows, strict=True):
                lanes = read_scratch(code, r, _under(point, at_constant(0)), now=True)
                if result.type.shape:
                    where = point.moved((*head.indices, *point.indices), None if point.axis is None else point.axis + axis)
                    write_scratch(code, code.scratch[result], where, lanes)
                else:
                    code.scalars[result] = lanes.text

        each(code, inner, deliver, along)

    each(code, outer, fold, None)
    for r in rows:
        code.arena.give(r)


def _under(point: Point, row: Index) -> Point:
    """A point of the inner axes in one row of partial results."""
    return point.moved((row, *point.indices), None if point.axis is None else point.axis + 1)


def _wrapped(code: Code, position: Scalar, partials: int) -> Index:
    """A position modulo the number of partial results."""
    if isinstance(position, int):
        return at_constant(position % partials)
    return Index(code.b.value(f"urem i64 {position}, {partials}"), 0, code.b.depth)


def _halve(code: Code, op: Op, rows: list[Scratch], partials: int, inner: tuple[int, ...], along: int | None) -> None:
    """Combine row j + ceil(n/2) into row j, with n rows left, until one is."""
    b, block = code.b, op.blocks[0]
    if partials == 1:
        return
    with b.loop(0, (partials - 1).bit_length(), 1, [("i64", str(partials))]) as halving:
        left = halving.carried[0] if isinstance(halving.index, str) else str(partials)
        upper = b.value(f"lshr i64 {b.value(f'add i64 {left}, 1')}, 1")
        pairs = b.value(f"lshr i64 {left}, 1")
        with b.loop(0, pairs) as pair:
            assert isinstance(pair.index, str)
            low = Index(pair.index, 0, b.depth)
            high = Index(b.value(f"add i64 {pair.index}, {upper}"), 0, b.depth)

            def element(point: Point) -> None:
                places = [_under(point, row) for row in (low, high)]
                values = [read_scratch(code, r, place, now=True) for place in places for r in rows]
                for r, x in zip(rows, combine(code, block, values), strict=True):
                    write_scratch(code, r, places[0], x)

            each(code, inner, element, along)
        halving.next = [upper]
