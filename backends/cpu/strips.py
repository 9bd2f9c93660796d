"""Packed right operands kept from program to program.

Programs that follow each other on one thread often multiply by the same block: those of one block column of a matrix
product, or all queries of one attention head. So the packed block stays in the worker's scratch memory, one slot per
iteration of the loop around the product, with the scalars that it was packed from: base, strides, bounds. If a later
program comes with equal ones, it need not pack. No knowledge of how programs are numbered is needed.

This is right if the memory does not change in between, so only for arguments that the kernel does not write, in code
that assumes that written arguments overlap no others; and slots are emptied when a worker begins its part of a launch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiledsl.ir.core import Kernel, Op, Value
from tiledsl.ir.types import DType, Pointer, i64

from .access import scratch_pointer
from .alias import WRITES, Aliases
from .buffers import Scratch
from .code import Code
from .edges import clear
from .emit import Scalar
from .entry import AGAIN
from .machine import LINE
from .plan import READS, Plan
from .points import Index, at_constant
from .types import register

BYTES = 4 << 20  # of slots per product, at most
SLOTS = 64  # the same
SEEN, FULL = 1, 2  # states of a slot, besides 0
MOVES = ("constant", "arange", "broadcast", "reshape", "transpose")


def steady(kernel: Kernel, plan: Plan, distinct: bool) -> dict[Value, tuple[Value, ...]]:
    """The right operands of products that follow from scalars and from memory that the kernel leaves alone: those scalars."""
    if not distinct:
        return {}
    aliases = Aliases(kernel, distinct)
    writes = [op for op in kernel.body.walk() if op.spec.name in WRITES]
    found = {}
    for op in kernel.body.walk():
        if op.spec.name == "dot" and op.operands[1].type.rank == 2:
            keys: dict[Value, None] = {}
            if _follows(op.operands[1], plan, aliases, writes, keys) and plan.leaves(op.operands[1]):
                found[op.operands[1]] = tuple(keys)
    return found


def _follows(value: Value, plan: Plan, aliases: Aliases, writes: list[Op], keys: dict[Value, None]) -> bool:
    op = value.source
    if not value.type.shape:
        if op is None or op.spec.name != "constant":
            keys[value] = None
        return isinstance(value.type.elem, Pointer) or value.type.elem.is_int
    if op is None or (plan.kept(value) and value not in plan.memory):
        return False
    if op.spec.name in READS and any(aliases.conflict(op, write) for write in writes):
        return False
    known = op.spec.name in (*READS, *MOVES) or "elementwise" in op.spec.traits
    return known and all(_follows(v, plan, aliases, writes, keys) for v in op.operands)


@dataclass(frozen=True)
class Slot:
    """A place for a packed block, and what is known of it: whether it holds the block, or has never seen it."""

    pieces: Scratch
    number: Index
    full: str
    new: str
    tags: tuple[str, ...]  # addresses: of the state, of the scalars
    scalars: tuple[Scalar, ...]

    def fill(self, code: Code) -> None:
        """The block is there now."""
        self._put(code, FULL)

    def note(self, code: Code) -> None:
        """The block has been asked for, but is not there."""
        self._put(code, SEEN)

    def _put(self, code: Code, state: int) -> None:
        for at, x in zip(self.tags, (state, *self.scalars), strict=True):
            code.b.line(f"store i64 {x}, ptr {at}, align 8")


def slot_of(code: Code, b: Value, elem: DType, shape: tuple[int, ...]) -> Slot:
    """The slot of this iteration for a block of a shape."""
    size = math.prod(shape) * elem.itemsize
    count = 1 << max(0, min(SLOTS, BYTES // size).bit_length() - 1)
    pieces = code.arena.keep(elem, (count, *shape))
    scalars = [_bits(code, v) for v in code.steady[b]]
    tags = code.arena.keep(i64, (1 + len(scalars), count))
    _empty(code, tags)
    number = _slot(code, count)
    with code.nest():
        places = [_tag(code, tags, row, number) for row in range(1 + len(scalars))]
        state, *known = (code.b.effect(f"load i64, ptr {at}, align 8") for at in places)
        same = "true"
        for old, x in zip(known, scalars, strict=True):
            equal = code.b.value(f"icmp eq i64 {old}, {x}")
            same = equal if same == "true" else code.b.value(f"and i1 {same}, {equal}")
        full = code.b.value(f"and i1 {same}, {code.b.value(f'icmp eq i64 {state}, {FULL}')}")
        seen = code.b.value(f"and i1 {same}, {code.b.value(f'icmp ne i64 {state}, 0')}")
        new = code.b.value(f"xor i1 {seen}, true")
    return Slot(pieces, number, full, new, tuple(places), tuple(scalars))


def _slot(code: Code, count: int) -> Index:
    """Which slot this iteration uses. Where there are more iterations than slots, none would hold its block until that comes up
    again: then all use one, which stays in the caches."""
    turn, b = code.turn, code.b
    if isinstance(turn, int):
        return at_constant(turn % count)
    last: Scalar = count - 1
    if not isinstance(code.turns, int):
        last = b.value(f"select i1 {b.value(f'icmp sle i64 {code.turns}, {count}')}, i64 {count - 1}, i64 0")
    elif code.turns > count:
        last = 0
    return Index(b.value(f"and i64 {turn}, {last}"), 0, b.depth)


def _bits(code: Code, value: Value) -> Scalar:
    """A scalar of an integer type as an i64."""
    text, kind = code.scalars[value], register(value.type.elem)
    return text if kind == "i64" or text.lstrip("-").isdigit() else code.b.value(f"zext {kind} {text} to i64")


def _tag(code: Code, tags: Scratch, row: int, slot: Index) -> str:
    start = scratch_pointer(code, tags).text
    position = code.b.add(slot.base or 0, slot.offset + row * tags.shape[1])
    return code.b.value(f"getelementptr i64, ptr {start}, i64 {position}")


def _empty(code: Code, tags: Scratch) -> None:
    """No slot holds anything when a worker's part of a launch begins."""
    start, b = scratch_pointer(code, tags).text, code.b
    size = -(-tags.shape[1] * 8 // LINE) * LINE  # the first row of tags; tiles are padded to whole lines
    with b.at(0):
        again = b.value(f"icmp uge i64 %from, {AGAIN}")
        clear(code, start, b.value(f"select i1 {again}, i64 0, i64 {size}"), LINE)
