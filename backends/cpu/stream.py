"""Stores that go past the caches, for launches that write more than would stay there.

An ordinary store first fetches the line it writes to; a non-temporal one need not, if it writes whole lines. That saves a
third of the traffic of x + y, but a reader that comes soon waits for memory. So both kinds are written down, and a
branch decides that goes the same way throughout a launch. Non-temporal stores are aligned, so what a row holds before its
first whole line is stored under a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.types import Elem

from .access import Way, number
from .code import Code, spread, width
from .emit import Scalar
from .points import Lanes, Point
from .types import Kind, encoded, memory, vector

LEAST = 2048  # bytes of a row: shorter ones end in too many half lines
MOST_OPS = 24  # on an element while it is written: as long as memory takes
TEMPORAL = "!nontemporal !0"  # defined by METADATA
METADATA = "!0 = !{i32 1}"
STORES = ("store", "store_block")


def large(code: Code, kernel: Kernel) -> str:
    """Whether a launch writes enough to go past the caches, if masks hold and, outside of `again`, loops run once."""
    return _enough(code, [op for op in kernel.body.walk() if op.spec.name in STORES])


@contextmanager
def again(code: Code, body: Block, count: str) -> Iterator[None]:
    """Code of a loop's body: what it writes elsewhere each time adds up. What it writes to one place over and over should stay."""
    moving = [op for op in body.walk() if op.spec.name in STORES and _depends(op.operands[0], set(body.args))]
    before = code.runs, code.large
    if moving:
        code.runs = code.b.mul(code.runs, number(count))
        code.large = code.b.value(f"or i1 {code.large}, {_enough(code, moving)}")
    yield
    code.runs, code.large = before


def _enough(code: Code, stores: Sequence[Op]) -> str:
    """Whether these write so much, run as often as what is being written now."""
    each = sum(op.operands[1].type.size * op.operands[1].type.elem.itemsize for op in stores)
    return code.b.value(f"icmp sge i64 {code.runs}, {-(-code.machine.streams // max(each, 1))}")


def _depends(value: Value, given: set[Value]) -> bool:
    """Whether a value is computed from one of these."""
    seen: set[Value] = set()
    todo = [value]
    while todo:
        here = todo.pop()
        if here in given:
            return True
        if here not in seen and here.source is not None:
            seen.add(here)
            todo += here.source.operands
    return False


def worth_streaming(elem: Elem, shape: tuple[int, ...], axis: int | None, steps: Sequence[Way]) -> bool:
    """Whether a block has long contiguous rows."""
    return axis is not None and axis == len(shape) - 1 and steps[axis] == 1 and shape[axis] * elem.itemsize >= LEAST


def light(code: Code, value: Value) -> bool:
    """Whether memory, and not arithmetic, is what a store of this tile waits for: only then is less traffic worth anything."""
    seen: set[Value] = set()
    todo = [value]
    while todo:
        tile = todo.pop()
        if tile not in seen and tile.type.shape == value.type.shape and tile.source is not None and not code.plan.kept(tile):
            seen.add(tile)
            todo += tile.source.operands if "elementwise" in tile.source.spec.traits else ()
    return len(seen) <= MOST_OPS


def goes_past(code: Code, elem: Elem, start: str) -> str:
    """Whether a block that begins at this address is to be stored past the caches: its elements must be able to be aligned."""
    odd = code.b.value(f"and i64 {start}, {elem.itemsize - 1}")
    return code.b.value(f"and i1 {code.large}, {code.b.value(f'icmp eq i64 {odd}, 0')}")


def until_aligned(code: Code, elem: Elem, past: str, row: Lanes, extent: int, start: Scalar) -> Scalar:
    """How many elements of a row, from index `start` on, lie before the first aligned vector; 0 if nothing goes past the caches."""
    b, size = code.b, elem.itemsize
    here = b.add(b.value(f"ptrtoint ptr {row.text} to i64"), b.mul(start, size))
    gap = b.value(f"and i64 {b.value(f'sub i64 0, {here}')}, {width(code, extent) * size - 1}")
    return b.value(f"select i1 {past}, i64 {b.value(f'udiv i64 {gap}, {size}')}, i64 0")


def write_whole(code: Code, elem: Elem, past: str, at: Lanes, point: Point, value: Lanes) -> None:
    """A whole vector, one way or the other."""
    b, kind, stored = code.b, Kind(elem, point.lanes), vector(memory(elem), point.lanes)
    text = encoded(b, kind, spread(code, elem, value, point.lanes))

    def store(how: str) -> list[str]:
        b.line(f"store {stored} {text}, ptr {at.text}, align {how}")
        return []

    b.branch(past, [], lambda: store(f"{point.lanes * elem.itemsize}, {TEMPORAL}"), lambda: store("1"))


def order(code: Code) -> None:
    """Make stores past the caches visible before anything that comes later."""
    if "+sse" in code.machine.features:
        code.b.call("void", "llvm.x86.sse.sfence")
    else:
        code.b.line("fence release")
