"""Lowering of dots, reductions and scans, each in the order the language fixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tiledsl import ops
from tiledsl.ir.core import Block, Op, Value

from ..isa import alu
from ..isa.state import ACC
from .arithmetic import on_tiles
from .emit import Emitter, lowers
from .layout import View, dense, element
from .names import Reg
from .write import ZERO


@lowers(ops.dot)
def dot(emit: Emitter, op: Op) -> None:
    a, b = (emit.view(v) for v in op.operands[:2])
    start, result = op.operands[2], op.result
    if result in emit.accumulators.kept:
        place = dense(result.type.shape, element(result.type), ACC)
        emit.move(place, emit.views[start])
        emit("mm", place, a, b)
        emit.views[result] = place
        emit.drain(result)
        return
    source, target = emit.view(start), emit.define(result)
    batches = [[target, source, a, b]]
    if result.type.rank == 3:
        batches = [[v.at(0, i) for v in batches[0]] for i in range(result.type.shape[0])]
    for to, start_at, left, right in batches:
        emit.move(to, start_at)
        emit("product", to, left, right)
    emit.views[result] = target


@lowers(ops.reduce)
def reduce(emit: Emitter, op: Op) -> None:
    axis, block = op.attrs["axis"], op.blocks[0]
    rows = [folded(emit, emit.view(x), axis) for x in op.operands]
    outer, length, inner = rows[0].shape
    if single := only_op(block):
        made = [dense((outer, 1, inner), rows[0].dtype)]
        emit("reduce", alu.BINARY.index(single), made[0], rows[0], 1)
    else:
        prepare(emit, block)
        made = _fold_by_halves(emit, block, rows)
    for result, view in zip(op.results, made, strict=True):
        shaped = view.reshape(result.type.shape) or emit.copied(view).reshape(result.type.shape)
        assert shaped is not None
        emit.set_tile(result, shaped)


UNROLLED = 256  # ops of combining blocks that may stand in a row; more make a loop


def _fold_by_halves(emit: Emitter, block: Block, rows: Sequence[View]) -> list[View]:
    """Partials over strided elements, then the upper half into the lower until one is left."""
    length = rows[0].shape[1]
    count = min(length, ops.PARTIALS)
    partial = [x.part(1, 0, count) for x in rows]
    done, chunks = count, length // count - 1
    if chunks * len(block.ops) > UNROLLED:
        partial = [emit.copied(x) for x in partial]
        emit.repeat(chunks, lambda i: _step(emit, block, partial, [_moved(emit, x.part(1, count, 2 * count), i, count) for x in rows]))
        done = length // count * count
    for start in range(done, length, count):
        width = min(count, length - start)
        partial = _combine(emit, block, partial, [x.part(1, start, start + width) for x in rows], width)
    while count > 1:
        upper, pairs = (count + 1) // 2, count // 2
        partial = _combine(emit, block, [p.part(1, 0, upper) for p in partial], [p.part(1, upper, count) for p in partial], pairs)
        count = upper
    return partial


def _moved(emit: Emitter, view: View, index: Reg, step: int) -> View:
    """A view that a loop moves along its middle axis."""
    return replace(view, moved=emit.fresh("addr", ZERO, index, step * view.strides[1]))


def _step(emit: Emitter, block: Block, so_far: Sequence[View], here: Sequence[View]) -> None:
    """Combine what a loop carries, in place, with other tiles."""
    mine = {view.buffer for view in so_far}
    made = lifted(emit, block, [*so_far, *here])
    saved = [emit.copied(new) if new.buffer in mine and new != old else new for old, new in zip(so_far, made, strict=True)]
    for old, new in zip(so_far, saved, strict=True):
        if new != old:
            emit.move(old, new)


def _combine(emit: Emitter, block: Block, into: Sequence[View], others: Sequence[View], width: int) -> list[View]:
    """The first `width` of one lot combined with another lot; the rest of it as it is."""
    combined = lifted(emit, block, [*(p.part(1, 0, width) for p in into), *others])
    if width == into[0].shape[1]:
        return combined
    joined = [dense(p.shape, p.dtype) for p in into]
    for whole, old, new in zip(joined, into, combined, strict=True):
        emit.move(whole.part(1, 0, width), new)
        emit.move(whole.part(1, width, old.shape[1]), old.part(1, width, old.shape[1]))
    return joined


@lowers(ops.scan)
def scan(emit: Emitter, op: Op) -> None:
    axis, reverse, block = op.attrs["axis"], op.attrs["reverse"], op.blocks[0]
    rows = [folded(emit, emit.view(x), axis) for x in op.operands]
    made = [dense(x.shape, x.dtype) for x in rows]
    if single := only_op(block):
        emit("scan", alu.BINARY.index(single), int(reverse), made[0], rows[0], 1)
    else:
        prepare(emit, block)
        _scan_in_order(emit, block, rows, made, reverse)
    for result, view in zip(op.results, made, strict=True):
        shaped = view.reshape(result.type.shape)
        assert shaped is not None
        emit.set_tile(result, shaped)


def _scan_in_order(emit: Emitter, block: Block, rows: Sequence[View], made: Sequence[View], reverse: bool) -> None:
    """One element after the other; unrolled, or as a loop if that is long."""
    length = rows[0].shape[1]
    order = range(length)[:: -1 if reverse else 1]
    if (length - 1) * len(block.ops) <= UNROLLED:
        so_far: list[View] = []
        for i in order:
            here = [x.part(1, i, i + 1) for x in rows]
            so_far = lifted(emit, block, [*so_far, *here]) if so_far else here
            for out, value in zip(made, so_far, strict=True):
                emit.move(out.part(1, i, i + 1), value)
        return
    first, second = order[:2]
    carried = [emit.copied(x.part(1, first, first + 1)) for x in rows]
    for out, value in zip(made, carried, strict=True):
        emit.move(out.part(1, first, first + 1), value)

    def step(index: Reg) -> None:
        _step(emit, block, carried, [_moved(emit, x.part(1, second, second + 1), index, order.step) for x in rows])
        for out, value in zip(made, carried, strict=True):
            emit.move(_moved(emit, out.part(1, second, second + 1), index, order.step), value)

    emit.repeat(length - 1, step)


def folded(emit: Emitter, view: View, axis: int) -> View:
    """A tile as (outer, along the axis, inner)."""
    outer, inner = 1, 1
    for extent in view.shape[:axis]:
        outer *= extent
    for extent in view.shape[axis + 1 :]:
        inner *= extent
    shape = (outer, view.shape[axis], inner)
    seen = view.reshape(shape) or emit.copied(view).reshape(shape)
    assert seen is not None
    return seen


def only_op(block: Block) -> str:
    """The name of the binary operation that is all a combining block does with its two arguments; else empty."""
    if len(block.ops) != 2 or len(block.args) != 2:
        return ""
    first, last = block.ops
    simple = first.operands == block.args and last.operands == first.results and first.spec.name in alu.BINARY
    return first.spec.name if simple else ""


def prepare(emit: Emitter, block: Block) -> None:
    """The numbers in a combining block, once for all the times it is lifted."""
    emit.block(Block([], [op for op in block.ops if not op.operands and op.results]))


def lifted(emit: Emitter, block: Block, args: Sequence[View]) -> list[View]:
    """A block of elementwise ops, declared on scalars, carried out on whole tiles."""
    shape = args[0].shape
    made: dict[Value, View] = dict(zip(block.args, args, strict=True))

    def tile(value: Value) -> View:
        return made[value] if value in made else emit.view(value).broadcast(shape)

    for op in block.ops:
        emit.loc = op.loc or emit.loc
        if op.spec is ops.yield_:
            return [tile(v) for v in op.operands]
        if "elementwise" in op.spec.traits:
            made[op.result] = on_tiles(emit, op, [tile(v) for v in op.operands], shape)
        elif op.operands:  # shapes of scalars: nothing to do
            made[op.result] = tile(op.operands[0])
    raise AssertionError("a combining block ends in yield")
