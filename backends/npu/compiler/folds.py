"""Instructions of the cross-lane unit on tiles that do not fit: row by row, and what is longer than a row fits, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tiledsl import ops
from tiledsl.ir.types import i1, i64

from ..isa import alu
from .layout import View, dense
from .names import DRAM, Reg
from .resident import Piece, Resident, replace_operands
from .write import NONE, Line, Operand


def _rows(write: Resident, things: Sequence[View], one: Callable[[Sequence[View]], None], axes: Sequence[int]) -> bool:
    """Go along one of some axes with as much at a time as fits; False if none of them has more than one element."""
    needed = sum(v.size * v.dtype.itemsize for v in things if v.buffer.space == DRAM)
    for axis in axes:
        extent = things[0].shape[axis]
        if extent > 1:
            count = max(1, min(extent // 2, extent * write.plan.budget // max(needed, 1)))
            write.over(axis, things, count, lambda parts: one([p for p in parts if isinstance(p, View)]))
            return True
    return False


def _fits(write: Resident, *things: View) -> bool:
    return sum(v.size * v.dtype.itemsize for v in things if v.buffer.space == DRAM) <= write.plan.budget


def reduce(write: Resident, line: Line) -> None:
    """A reduction; along a row that does not fit, the partial results are kept and combined with what comes next."""
    code, to, a, axis = line.operands
    assert isinstance(code, int) and isinstance(to, View) and isinstance(a, View) and axis == 1
    if _fits(write, to, a):
        made = write.room(to)
        write("reduce", code, made, write.fetched(a), 1)
        write.put(to, made)
    elif not _rows(write, [to, a], lambda x: reduce(write, replace_operands(line, (code, *x, 1))), (0, 2)):
        name, count, length = alu.BINARY[code], ops.PARTIALS, a.shape[1]
        partial = dense((1, count, 1), a.dtype)
        write.move(partial, write.fetched(a.part(1, 0, count)))

        def some(parts: Sequence[Piece]) -> None:
            assert isinstance(parts[0], View)
            here = write.fetched(parts[0])
            for start in range(0, here.shape[1], count):
                width = min(count, here.shape[1] - start)
                so_far = partial.part(1, 0, width)
                write.apply(name, so_far, so_far, here.part(1, start, start + width))

        step = max(1, min(16, write.plan.budget // (count * a.dtype.itemsize))) * count
        write.over(1, [a.part(1, count, length)], step, some)
        made = write.room(to)
        write("reduce", code, made, partial, 1)
        write.put(to, made)


def scan(write: Resident, line: Line) -> None:
    """Running results; along a row that does not fit, the last one is put before what comes next."""
    code, reverse, to, a, axis = line.operands
    assert isinstance(code, int) and isinstance(to, View) and isinstance(a, View) and axis == 1
    if _fits(write, to, a):
        made = write.room(to)
        write("scan", code, reverse, made, write.fetched(a), 1)
        write.put(to, made)
    elif not _rows(write, [to, a], lambda x: scan(write, replace_operands(line, (code, reverse, *x, 1))), (0, 2)):
        length = a.shape[1]
        step = max(1, write.plan.budget // (4 * a.dtype.itemsize))
        last = dense((1, 1, 1), a.dtype)

        def some(parts: Sequence[Piece], first: bool = False) -> None:
            out, source = parts
            assert isinstance(out, View) and isinstance(source, View)
            extent = source.shape[1] + (not first)
            row, made = dense((1, extent, 1), a.dtype), dense((1, extent, 1), a.dtype)
            low, high = (0, extent - (not first)) if reverse else (int(not first), extent)
            write.move(row.part(1, low, high), write.fetched(source))
            if not first:
                end = extent - 1 if reverse else 0
                write.move(row.part(1, end, end + 1), last)
            write("scan", code, reverse, made, row, 1)
            edge = 0 if reverse else extent - 1
            write.move(last, made.part(1, edge, edge + 1))
            write.put(out, made.part(1, low, high))

        both = [to, a]
        count = length // step
        rest = length - count * step
        edges = [(length - rest, length)] if rest else []
        blocks = [(i * step, (i + 1) * step) for i in range(count)]
        order = [*blocks, *edges]
        for i, (start, stop) in enumerate(reversed(order) if reverse else order):
            some([x.part(1, start, stop) for x in both], first=i == 0)


def perm(write: Resident, line: Line) -> None:
    """Elements by index; from a row that does not fit, DRAM gathers them."""
    to, a, index, axis = line.operands
    assert isinstance(to, View) and isinstance(a, View) and isinstance(index, View) and axis == 1
    if a.shape[0] > 1 and not _fits(write, a, index, to):
        _rows(write, [to, a, index], lambda x: perm(write, replace_operands(line, (*x, 1))), (0,))
    elif not _fits(write, a):
        _gathered(write, to, a, index)
    elif not _fits(write, a, index, to):
        _rows(write, [to, index], lambda x: perm(write, replace_operands(line, (x[0], a, x[1], 1))), (1,))
    else:
        made = write.room(to)
        write("perm", made, write.fetched(a), write.fetched(index), 1)
        write.put(to, made)


def _gathered(write: Resident, to: View, a: View, index: View) -> None:
    needed = to.size * (16 + to.dtype.itemsize + index.dtype.itemsize)
    if needed > write.plan.budget and to.shape[1] > 1:
        _rows(write, [to, index], lambda x: _gathered(write, x[0], a, x[1]), (1,))
        return
    start = write.fresh("addr", write.fresh("arg", write.plan.argument), write.literal(1), a.buffer.offset + a.offset)
    if a.moved is not None:
        start = write.fresh("addr", start, a.moved, 1)
    shape = to.shape
    where, indices = dense(shape, i64), write.fetched(index)
    columns = dense((shape[2],), i64)
    write("viota", columns, 0)
    base = _cell(write, start, shape)
    along = replace(columns, shape=shape, strides=(0, 0, columns.strides[0]))
    write.vector("vaddr", where, base, along, a.strides[2] or 0)
    write.vector("vaddr", where, where, indices, a.strides[1])
    wide, inside, below = dense(shape, i64), dense(shape, i1), dense(shape, i1)
    write.vector("vcast", wide, indices)
    write.apply("ge", inside, wide, _cell(write, write.literal(0), shape))
    write.apply("lt", below, wide, _cell(write, write.literal(a.shape[1]), shape))
    write.apply("and", inside, inside, below)
    made = write.room(to)
    write.vector("dgat", 0, made, where, inside)
    write.put(to, made)


def _cell(write: Resident, value: Reg, shape: tuple[int, ...]) -> View:
    cell = dense((), i64)
    write("vfill", cell, value)
    return cell.broadcast(shape)


def sort(write: Resident, line: Line) -> None:
    """Rows in order; a row that does not fit is sorted in blocks, neighbours merged as often as there are blocks."""
    descending, to, a = line.operands
    assert isinstance(to, View) and isinstance(a, View)
    if _fits(write, to, a):
        made = write.room(to)
        write("sort", descending, made, write.fetched(a))
        write.put(to, made)
    elif not _rows(write, [to, a], lambda x: sort(write, replace_operands(line, (descending, *x))), (0,)):
        _merged(write, line, to, a)


def _merged(write: Resident, line: Line, to: View, a: View) -> None:
    """Odd-even transposition of blocks: in every round neighbours are sorted together, in pairs that begin at 0 or at 1."""
    length = a.shape[1]
    block = 1
    while block * 2 * 2 * 2 * a.dtype.itemsize <= write.plan.budget:
        block *= 2
    blocks = -(-length // block)

    def copy(parts: Sequence[Piece]) -> None:
        out, source = parts
        assert isinstance(out, View) and isinstance(source, View)
        write.put(out, write.fetched(source))

    write.over(1, [to, a], block, copy)

    def pair(parts: Sequence[Piece]) -> None:
        (here,) = parts
        assert isinstance(here, View)
        made = dense(here.shape, here.dtype)
        write("sort", line.operands[0], made, write.fetched(here))
        write.put(here, made)

    def two_rounds(_: Operand) -> None:
        write.over(1, [to], 2 * block, pair)
        write.over(1, [to.part(1, block, length)], 2 * block, pair)

    write.repeat(-(-blocks // 2) + 1, two_rounds)


def hist(write: Resident, line: Line) -> None:
    """Counts; those of parts are added."""
    to, a, *mask = line.operands
    assert isinstance(to, View) and isinstance(a, View)
    total = dense(to.shape, to.dtype)
    write("vfill", total, 0)

    def some(parts: Sequence[Piece]) -> None:
        found = [write.fetched(x) for x in parts if isinstance(x, View)]
        more = dense(to.shape, to.dtype)
        write("hist", more, found[0], found[1] if len(found) > 1 else NONE)
        write.apply("add", total, total, more)

    things = [a, *(x for x in mask if isinstance(x, View))]
    each = max(1, a.size // a.shape[0]) * sum(v.dtype.itemsize for v in things)
    write.over(0, things, max(1, min(a.shape[0], write.plan.budget // each)), some)
    write.put(to, total)


RULES: dict[str, Callable[[Resident, Line], None]] = {"reduce": reduce, "scan": scan, "perm": perm, "sort": sort, "hist": hist}
