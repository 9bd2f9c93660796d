"""Matrix products: a register-tiled micro-kernel that walks rows of A and panels of B, the sum in a memory tile.

    A: M x K, row-major            B: panels of NR columns, K x NR each          C: M x N, row-major, accumulated in place

The micro-kernel keeps MR x NR sums in registers and adds one outer product per k, so that every sum is one chain of
fused multiply-adds over k ascending. Where rows and panels lie, and whether they are copied, say rows.py and panels.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tiledsl.ir.core import Op
from tiledsl.ir.types import DType, dtype_of

from .access import pointer, scratch_pointer
from .buffers import Scratch
from .code import Code, width
from .demand import end_of
from .edges import steps
from .emit import Scalar
from .evaluate import assign
from .joint import ZEROS, Joint, joint_of
from .micro import Micro
from .panels import Panels, panels_of
from .points import Index, Lanes, at_constant
from .rows import Rows, rows_of
from .types import Kind, register

WIDEST = 4  # vectors of a panel: of rows in user memory, longer pieces at a time make the processor fetch ahead too little
UNROLL = 4  # most steps of k per iteration of the micro-kernel
ENOUGH = 32  # multiply-adds per iteration: beside so many, counting and branching cost nothing


def dot(code: Code, op: Op) -> None:
    """acc + a @ b into the memory of the result."""
    a, b, acc = op.operands
    elem = dtype_of(acc.type)
    carried = code.plan.in_place.get(op.result)
    target = code.scratch[op.result] = code.scratch[carried] if carried is not None else code.arena.take(elem, acc.type.shape)
    if acc is not carried:
        assign(code, acc, target)
    if a.type.rank == 2:
        _one(code, op, target, ())
        return
    with code.nest(), code.b.loop(0, a.type.shape[0]) as batch:
        _one(code, op, target, (_index(code, batch.index),))


def _one(code: Code, op: Op, target: Scratch, head: tuple[Index, ...]) -> None:
    """One matrix product; head says which of a batch."""
    (a, b, _), elem = op.operands, target.elem
    assert isinstance(elem, DType)
    m, k, n = *a.type.shape[-2:], b.type.shape[-1]
    columns = _columns(code, elem, m, n)
    joint = joint_of(code.machine, op)
    if joint is not None and min(code.machine.lanes(elem.bits), columns) not in joint.names:
        joint = None  # too few columns
    group = 1 if joint is None else joint.count
    down_to, across_to = (end_of(code, op.result, op.result.type.rank + axis) for axis in (-2, -1))
    right = panels_of(code, b, elem, columns, head, m, across_to, joint)
    into = pointer(code, scratch_pointer(code, target), [(i, m * n) for i in head], elem)
    left = rows_of(code, a, elem if joint is None else joint.left, head)
    less = None if joint is None or not joint.moved else _of_zeros(code, left, (m, k), elem, joint)
    sums = panels(m, code.machine.rows)[0][0] * -(-columns // code.machine.lanes(elem.bits))
    unroll = _unrolled(k // group, sums)
    depth = steps(code, a, b, unroll) if joint is None else k // group
    micro = Micro(elem, right.elem, columns, n, unroll, bool(n % columns), joint)
    _multiply(code, left, right, into, (m, n), (down_to, across_to, depth), micro, less)
    for copy in (left.copy, right.copy, less):
        if copy is not None:
            code.arena.give(copy)


def _of_zeros(code: Code, left: Rows, sizes: tuple[int, int], elem: DType, joint: Joint) -> Scratch:
    """What each row of A gives with a B of zeros, which is moved."""
    (m, k), b, sums = sizes, code.b, code.arena.take(elem, (sizes[0],))
    kind = Kind(elem, joint.lanes(k // joint.count))
    with code.nest(), b.loop(0, m) as down:
        row = b.value(f"getelementptr i8, ptr {left.start}, i64 {b.mul(down.index, left.stride)}")
        with b.loop(0, k, kind.lanes * elem.itemsize, [(kind.text, "zeroinitializer")]) as along:
            at = b.value(f"getelementptr i8, ptr {row}, i64 {along.index}")
            here = b.effect(f"load {kind.text}, ptr {at}, align 1")
            along.next = [joint.add(b, kind, here, kind.constant(ZEROS), along.carried[0])]
        total = b.call(register(elem), f"llvm.vector.reduce.add.{kind.suffix}", (kind.text, along.carried[0]))
        to = pointer(code, scratch_pointer(code, sums), [(_index(code, down.index), 1)], elem).text
        b.line(f"store {register(elem)} {total}, ptr {to}, align 4")
    return sums


def _columns(code: Code, elem: DType, m: int, n: int) -> int:
    """NR: a power of two, up to as many vectors as there are sums for; few rows leave room for some more. The last panel may be
    cut, but computes whole vectors all the same; single ones keep the units less busy."""
    sums, lanes = code.machine.rows * code.machine.columns, code.machine.lanes(elem.bits)
    vectors = max(code.machine.columns, 1 << (sums // max(rows for rows, _ in panels(m, code.machine.rows))).bit_length() - 1)
    vectors = min(vectors, max(code.machine.columns, WIDEST))

    def cost(columns: int) -> tuple[float, int, int]:
        count = -(-n // columns)
        return count * max(columns, lanes) * (1.25 if columns <= lanes else 1), count * columns, -columns

    sizes = [1 << k for k in range((lanes * vectors).bit_length())]
    return min((size for size in sizes if n % size == 0 or size >= width(code, n)), key=cost)


def panels(m: int, most: int) -> list[tuple[int, int]]:
    """(rows, count): m rows as panels of at most `most`, in as few and as equal sizes as possible."""
    for rows in range(min(m, most), most * 5 // 6 - 1, -1):
        if rows and m % rows == 0:
            return [(rows, m // rows)]
    count = -(-m // most)
    small, more = divmod(m, count)
    return [(rows, number) for rows, number in ((small + 1, more), (small, count - more)) if number]


def _multiply(
    code: Code,
    left: Rows,
    right: Panels,
    target: Lanes,
    sizes: tuple[int, int],
    asked: tuple[Scalar, ...],
    micro: Micro,
    less: Scratch | None,
) -> None:
    """Call the micro-kernel for every panel of rows and of columns. asked: of the rows, columns and steps, those that count.
    less: what to take from the sums of each row."""
    m, n = sizes
    down_to, across_to, depth = asked
    b, size, columns = code.b, micro.elem.itemsize, micro.columns
    with (
        code.nest(),
        _pieces(code, left, right, b.mul(depth, size), size) as (from_left, from_right, end),
        b.loop(0, _groups(code, across_to, -(-n // columns) * columns, columns)) as panel,
    ):
        across = _index(code, panel.index)
        with b.at(max(across.depth, code.base)):
            place = b.mul(b.add(across.base or 0, across.offset), right.across)
            packed = b.value(f"getelementptr i8, ptr {from_right}, i64 {place}")
            cut = n % columns and b.least(b.sub(n, b.mul(b.add(across.base or 0, across.offset), columns)), columns)
        first = 0
        for rows, count in panels(m, code.machine.rows):
            name = micro.function(code, rows)
            with b.loop(0, _groups(code, down_to, rows * count, rows, first)) as group:
                down = _index(code, group.index)
                with b.at(max(down.depth, code.base)):
                    row = b.add(b.mul(down.base or 0, rows), down.offset * rows + first)
                    a = b.value(f"getelementptr i8, ptr {from_left}, i64 {b.mul(row, left.stride)}")
                c = pointer(code, target, [(at_constant(first), n), (across, columns), (down, rows * n)], micro.elem).text
                given = f"ptr {a}, i64 {left.stride}, ptr {packed}, i64 {right.step}, ptr {c}, i64 {end}, i64 {cut}"
                if less is not None:
                    given += f", ptr {pointer(code, scratch_pointer(code, less), [(at_constant(first), 1), (down, rows)], less.elem).text}"
                b.line(f"call void @{name}({given})")
            first += rows * count


def _groups(code: Code, asked: Scalar, extent: int, size: int, first: int = 0) -> Scalar:
    """In how many groups of a size, from the first on, lie the first so many of an extent; one is taken in any case."""
    count, b = extent // size, code.b
    if isinstance(asked, int):
        asked -= first
    if count == 1 or isinstance(asked, int):
        return count if isinstance(asked, str) else max(min(-(-asked // size), count), 1)
    with b.at(code.base):
        return b.most(b.least(b.value(f"sdiv i64 {b.add(asked, size - 1 - first)}, {size}"), count), 0)


@contextmanager
def _pieces(code: Code, left: Rows, right: Panels, whole: Scalar, size: int) -> Iterator[tuple[str, str, Scalar]]:
    """A loop over pieces of k: where A and B begin in each, and how many bytes of a row of A it takes."""
    if right.pieces == 1:
        yield left.start, right.start, whole
        return
    b = code.b
    end = b.value(f"udiv i64 {whole}, {right.pieces}")
    taken = b.value(f"udiv i64 {end}, {size}")
    with b.loop(0, right.pieces) as piece:
        a = b.value(f"getelementptr i8, ptr {left.start}, i64 {b.mul(piece.index, end)}")
        there = b.mul(b.mul(piece.index, taken), right.step)
        code.base = b.depth
        yield a, b.value(f"getelementptr i8, ptr {right.start}, i64 {there}"), end


def _unrolled(k: int, sums: int) -> int:
    """How many steps of k an iteration of the micro-kernel takes, that has so many vectors of sums: as few as keep it busy,
    for LLVM takes its time over each."""
    most = min(UNROLL, -(-ENOUGH // sums))
    return next(steps for steps in (UNROLL, 2, 1) if steps <= most and k % steps == 0)


def _index(code: Code, index: int | str) -> Index:
    return at_constant(index) if isinstance(index, int) else Index(index, 0, code.b.depth)
