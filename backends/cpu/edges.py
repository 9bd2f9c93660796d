"""Blocks at the edge of memory, as operands of a matrix product: what lies within bounds is copied, the rest is zero.

Bounds are trip counts here, too, but along vectors. Steps of k at which both operands are zero are not taken, but
for one at least: adding 0 * 0 makes +0 of a sum that is -0, and a second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import gcd

from tiledsl.ir.core import Value
from tiledsl.ops.memory import split_block_operands

from .access import number
from .code import Code, clamped, each
from .emit import Builder, Scalar
from .machine import LINE
from .points import Point

Limits = tuple[str, str]  # lo and hi of an axis


def limits_of(code: Code, value: Value) -> dict[int, Limits] | None:
    """The bounds outside of which a tile is zero, by axis, if it is a block of memory, or one converted or transposed; else None."""
    op = value.source
    if op is None or not value.type.shape or code.plan.kept(value):
        return None
    if op.spec.name == "cast":
        return limits_of(code, op.operands[0])
    if op.spec.name == "transpose":
        found = limits_of(code, op.operands[0])
        return None if found is None else {op.attrs["order"].index(axis): limits for axis, limits in found.items()}
    if op.spec.name != "load_block" or op.attrs["masked"] or op.attrs["filled"]:
        return None
    _, bounds, *_ = split_block_operands(op.operands[1:], value.type.rank, op.attrs["checked"], False, False)
    return {axis: (code.scalars[lo], code.scalars[hi]) for axis, (lo, hi) in bounds.items()}


def copy_within(
    code: Code, start: str, size: int, shape: tuple[int, ...], axis: int | None, limits: dict[int, Limits], body: Callable[[Point], None]
) -> None:
    """Run body, which writes a tile of so many bytes, where the tile is within bounds, after clearing it if it is not all within.
    Vectors that reach over an edge are masked."""
    down = {d: bounds for d, bounds in limits.items() if d != axis}
    with code.nest():
        clear_unless_whole(code, start, size, shape, down)
        each(code, shape, body, axis, down)


def clear_unless_whole(code: Code, start: str, size: int, shape: tuple[int, ...], limits: dict[int, Limits]) -> None:
    """Fill a tile of so many bytes with zeros if some of it lies outside of these bounds."""
    if limits:
        all_ = whole(code, [(bounds, shape[axis]) for axis, bounds in limits.items()])
        bytes_ = code.b.value(f"select i1 {all_}, i64 0, i64 {size}")
        clear(code, start, bytes_, gcd(size, LINE))


def whole(code: Code, limits: Iterable[tuple[Limits, int]]) -> str:
    """Whether all extents lie within their bounds."""
    total = "true"
    for bounds, extent in limits:
        lo, hi = clamped(code, bounds, extent)
        for test in (f"icmp eq i64 {lo}, 0", f"icmp eq i64 {hi}, {extent}"):
            total = code.b.value(f"and i1 {total}, {code.b.value(test)}")
    return total


def clear(code: Code, start: str, size: str, chunk: int) -> None:
    """Fill so many bytes, a multiple of a chunk, with zeros; by a function that is written once per kernel."""
    name = f"clear.{chunk}"
    if name not in code.functions:
        b = Builder(code.b.declared)
        with b.loop(0, "%size", chunk) as loop:
            b.line(f"store <{chunk} x i8> zeroinitializer, ptr {b.value(f'getelementptr i8, ptr %p, i64 {loop.index}')}, align {chunk}")
        code.functions[name] = [
            f"define internal void @{name}(ptr %p, i64 %size) nounwind noinline {{",
            "entry:",
            *b.finish(),
            "ret void",
            "}",
        ]
    code.b.line(f"call void @{name}(ptr {start}, i64 {size})")


def steps(code: Code, a: Value, b: Value, unroll: int) -> Scalar:
    """How many steps of k a product has to take, a multiple of `unroll`."""
    k = a.type.shape[-1]
    along, down = (limits_of(code, a) or {}).get(a.type.rank - 1), (limits_of(code, b) or {}).get(b.type.rank - 2)
    if along is None or along != down:
        return k
    lo, hi = map(number, along)
    if not isinstance(lo, int) or lo > 0:
        return k
    with code.nest():
        inside = code.b.most(code.b.least(hi, k), 0)
        if isinstance(inside, int):
            return min(k, (inside + unroll) // unroll * unroll)
        return code.b.least(code.b.value(f"and i64 {code.b.add(inside, unroll)}, {-unroll}"), k)
