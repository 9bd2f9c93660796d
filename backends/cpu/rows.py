"""The left operand of a matrix product, as rows that the micro-kernel can walk: in place where that is possible.

Its elements are read one at a time and spread over a vector, so user memory serves as well as a copy: a block of the
right type whose rows are contiguous is read where it is. If some of it may be masked, that is decided when the kernel
runs: a whole block is read in place, one at the edge is copied first.
"""

from __future__ import annotations

from dataclasses import dataclass

from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import DType
from tiledsl.ops.memory import split_block_operands

from .access import number, pointer, scratch_pointer, start_of
from .buffers import Scratch
from .code import Code
from .emit import Scalar
from .offsets import all_of, consecutive, copied, stride_of
from .pack import packed_rows
from .plan import tables
from .points import Index


@dataclass(frozen=True)
class Rows:
    """Where rows begin, and how many bytes lie between them."""

    start: str
    stride: Scalar
    copy: Scratch | None = None  # scratch memory to be given back


def rows_of(code: Code, a: Value, elem: DType, head: tuple[Index, ...]) -> Rows:
    """The rows of A in the accumulator's type; head says which matrix of a batch."""
    m, k = a.type.shape[-2:]
    if code.plan.kept(a) and a.type.elem is elem:
        with code.nest():
            start = pointer(code, scratch_pointer(code, code.scratch[a]), [(i, m * k) for i in head], elem)
        return Rows(start.text, k * elem.itemsize)
    op = a.source
    if op is None or not walkable(code, op, elem):
        return _copied(code, a, elem, head)
    whole = whole_block(code, op)
    if whole is None:
        return in_place(code, op)
    copies: list[Scratch] = []

    def there() -> list[str]:
        rows = in_place(code, op)
        return [rows.start, str(rows.stride)]

    def elsewhere() -> list[str]:
        rows = _copied(code, a, elem, head)
        assert rows.copy is not None
        copies.append(rows.copy)
        return [rows.start, str(rows.stride)]

    first, stride = code.b.branch(whole, ["ptr", "i64"], there, elsewhere)
    return Rows(first, stride, copies[0])


def walkable(code: Code, op: Op, elem: DType) -> bool:
    """Whether a tile is a block of user memory with rows of the right type, contiguous or found to be, masked by bounds at most."""
    if op.spec.name != "load_block" or op.result.type.rank != 2 or op.result.type.elem is not elem or op.attrs["masked"]:
        return False
    down, along = (stride_of(code, way) for way in op.operands[1:3])
    return not code.plan.kept(op.result) and down is not None and (along == 1 or 1 in tables(op) and along is not None)


def in_place(code: Code, op: Op) -> Rows:
    """The rows of a block where they are."""
    with code.nest(), code.knowing(tables(op).values()):
        stride = stride_of(code, op.operands[1])
        assert stride is not None
        return Rows(start_of(code, op).text, code.b.mul(stride, op.result.type.elem.itemsize))


def whole_block(code: Code, op: Op, asked: Scalar | None = None, columns: int = 1) -> str | None:
    """Whether all of a block lies within its bounds, and what offsets it has are those of contiguous rows; None if it is known to.
    asked: how many columns are of use, where whole panels of so many `columns` within the bounds will do."""
    shape = op.result.type.shape
    _, bounds, *_ = split_block_operands(op.operands[1:], len(shape), op.attrs["checked"], False, op.attrs["filled"])
    tests: list[str] = []
    for axis, (lo, hi) in bounds.items():
        low, high = number(code.scalars[lo]), number(code.scalars[hi])
        if not isinstance(low, int) or low > 0:
            tests.append(code.b.value(f"icmp sle i64 {low}, 0"))
        if not isinstance(high, int) or high < shape[axis]:
            test = code.b.value(f"icmp sge i64 {high}, {shape[axis]}")
            if axis == 1 and isinstance(asked, str):
                test = code.b.value(f"or i1 {test}, {_reaches(code, high, asked, columns)}")
            tests.append(test)
    tests += [code.spacing[table].even if axis == 0 else consecutive(code, table) for axis, table in tables(op).items()]
    return all_of(code, tests) if tests else None


def _reaches(code: Code, high: Scalar, asked: str, columns: int) -> str:
    """Whether the columns below a bound are whole panels, and all that is asked for."""
    rest = code.b.value(f"and i64 {high}, {columns - 1}")
    return all_of(code, [code.b.value(f"icmp sge i64 {high}, {asked}"), code.b.value(f"icmp eq i64 {rest}, 0")])


def _copied(code: Code, a: Value, elem: DType, head: tuple[Index, ...]) -> Rows:
    piece = code.arena.take(elem, a.type.shape[-2:])
    copied(code, a, lambda: packed_rows(code, a, piece, head))
    return Rows(scratch_pointer(code, piece).text, piece.shape[-1] * elem.itemsize, piece)
