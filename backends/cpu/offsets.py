"""Blocks of memory that have an offset for every index of an axis: whether these happen to be evenly spaced.

Rows of a matrix modulo their number, pages of a cache or the tokens of an expert often do follow each other. Matrix products
ask once, when the offsets are computed, and then read such blocks like any others; where they lie in disorder, they are packed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from tiledsl.ir.core import Kernel, Op, Value

from .access import number, scratch_pointer, ways
from .code import Code, Spacing, splatted, width
from .emit import Scalar
from .plan import Plan, tables
from .types import vector


def worth_asking(kernel: Kernel, plan: Plan) -> set[Value]:
    """The offsets in blocks that a matrix product reads."""
    dots = (op for op in kernel.body.walk() if op.spec.name == "dot")
    return {table for dot in dots for v in dot.operands[:2] for load in blocks_behind(plan, v) for table in tables(load).values()}


def blocks_behind(plan: Plan, value: Value) -> list[Op]:
    """The blocks of memory that a tile is computed from, each time that it is read."""
    leaves = [leaf.source for leaf in plan.leaves(value) if not plan.kept(leaf)]
    return [op for op in leaves if op is not None and op.spec.name == "load_block"]


def spacing(code: Code, table: Value) -> Spacing:
    """How offsets that have just been written down follow each other."""
    b, (extent,) = code.b, table.type.shape
    lanes = next(n for n in (8, 4, 2, 1) if extent % n == 0 and n <= width(code, extent))
    kind = vector("i64", lanes)
    with code.nest():
        start = scratch_pointer(code, code.scratch[table]).text
        first, second = (b.effect(f"load i64, ptr {b.value(f'getelementptr i64, ptr {start}, i64 {k}')}, align 8") for k in (0, 1))
        step = str(b.sub(second, first))
        iota = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">"
        begin, stride = (splatted(code, "i64", v, lanes) for v in (first, step))
        expected = b.value(f"add {kind} {begin}, {b.value(f'mul {kind} {stride}, {iota}')}")
        further = splatted(code, "i64", str(b.mul(step, lanes)), lanes)
        with b.loop(0, extent, lanes, [(kind, expected), (kind, "zeroinitializer")]) as loop:
            here, wrong = loop.carried
            found = b.effect(f"load {kind}, ptr {b.value(f'getelementptr i64, ptr {start}, i64 {loop.index}')}, align 8")
            other = b.value(f"xor {kind} {found}, {here}")
            loop.next = [b.value(f"add {kind} {here}, {further}"), b.value(f"or {kind} {wrong}, {other}")]
        total = b.call("i64", f"llvm.vector.reduce.or.v{lanes}i64", (kind, loop.carried[1]))
    return Spacing(b.value(f"icmp eq i64 {total}, 0"), first, step)


def stride_of(code: Code, value: Value) -> Scalar | None:
    """What lies between the indices of an axis, given its stride, or evenly spaced offsets; None for others."""
    if not value.type.shape:
        return number(code.scalars[value])
    return code.spacing[value].step if value in code.spacing else None


def consecutive(code: Code, table: Value) -> str:
    """Whether offsets are consecutive numbers."""
    known = code.spacing[table]
    return code.b.value(f"and i1 {known.even}, {code.b.value(f'icmp eq i64 {known.step}, 1')}")


def closing(code: Code, value: Value) -> list[Value]:
    """The offsets in blocks behind a tile that, if they were consecutive, would make these contiguous along some axis."""
    found: dict[Value, None] = {}
    for load in blocks_behind(code.plan, value):
        if 1 not in ways(code, load):
            found |= dict.fromkeys(table for table in tables(load).values() if table in code.spacing)
    return list(found)


def copied(code: Code, value: Value, copy: Callable[[], None]) -> None:
    """Run the code that copies a tile, written twice where offsets may turn out to be consecutive: then they are known to be."""
    found = closing(code, value)
    if not found:
        copy()
        return

    def knowing(tables: list[Value]) -> list[str]:
        with code.knowing(tables):
            copy()
        return []

    with code.nest():
        contiguous = all_of(code, [consecutive(code, table) for table in found])
    code.b.branch(contiguous, [], lambda: knowing(found), lambda: knowing([]))


def all_of(code: Code, conditions: list[str]) -> str:
    """Whether some conditions hold together."""
    return reduce(lambda x, y: code.b.value(f"and i1 {x}, {y}"), conditions)
