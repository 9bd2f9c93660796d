"""Kernels that check their own accesses: for debugging, on machines that read and write wherever a pointer leads.

The lanes of an access are compared with the spans of memory that a launch writes behind its messages. Those outside take no part,
and the first of them is noted, so that the launch can raise what the interpreter raises. An address from nowhere, read
from memory or passed as an integer, may point to what the launch does not know of; it is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from operator import or_
from typing import Any

from .. import ops
from ..ir import query
from ..ir.core import Block, Builder, Kernel, Op, Value
from ..ir.rebuild import Copier
from ..ir.spec import OpSpec
from ..ir.types import Pointer, Tile, i32, i64
from ..machine import Machine
from ..messages import OUTSIDE, SPANS, SPARE, Message
from ..numerics.term import Term, select

ACCESSES = {ops.load: "read", ops.store: "write", ops.atomic_rmw: "write", ops.atomic_cas: "write"}


def bounds(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with a check before every access that may leave the arrays it is given."""
    speaks = bool(kernel.messages)
    arrays = [a for a in kernel.body.args if isinstance(a.type.elem, Pointer)][: -1 if speaks else None]
    origins = query.origins(kernel.body)
    checked = {op: query.array_behind(kernel.body, origins, op.operands[0]) for op in _within(kernel, set(arrays), origins)}
    if not checked:
        return kernel
    buffer = kernel.body.args[-1] if speaks else Value(Tile(Pointer(i64)), "messages")
    body = Block([*kernel.body.args, *([] if speaks else [buffer])])
    check = _Check(checked, buffer, list(kernel.messages))
    copier = Copier(body, {}, check.visit)
    ends = [copier.emit(ops.load, check.word(copier, SPANS + i)) for i in range(2 * len(arrays))]
    check.spans = list(zip(ends[::2], ends[1::2], strict=True))
    copier.splice(kernel.body, kernel.body.args)
    return Kernel(kernel.name, body, tuple(check.messages), kernel.notes)


def _within(kernel: Kernel, arrays: set[Value], origins: Mapping[Value, Sequence[Value]]) -> set[Op]:
    """The accesses whose addresses are made from arrays of the launch, and from nothing else that is an address."""

    def is_known(pointer: Value) -> bool:
        if pointer in arrays:
            return True
        if pointer.source is not None and pointer.source.spec is ops.pointer:
            return bool(query.behind(origins, pointer.source.operands[0]) & arrays)
        return pointer in origins  # then it is made of others, if it is not null

    def are_known(start: Value) -> bool:
        return all(is_known(v) for v in query.behind(origins, start) if isinstance(v.type.elem, Pointer))

    return {op for op in kernel.body.walk() if op.spec in ACCESSES and are_known(op.operands[0])}


class _Check:
    """What stands in place of accesses."""

    def __init__(self, checked: Mapping[Op, int | None], buffer: Value, messages: list[Message]):
        self.checked, self.buffer, self.messages = checked, buffer, messages
        self.spans: list[tuple[Value, Value]] = []

    def visit(self, build: Copier, op: Op, operands: list[Value]) -> Any:
        if op not in self.checked:
            return None
        place = op.spec.operands.index("mask") if op.spec is not ops.atomic_cas else len(operands)
        mask = operands[place] if len(operands) > place else None
        inside = self.inside(build, op, operands[0], mask)
        if op.spec is ops.atomic_cas:  # it takes no mask: outside it meets a word that nobody reads, and is told that it succeeded
            ptr, expected, value = operands
            found = build.emit(op.spec, build.emit(ops.select, inside, ptr, self.spare(build, ptr)), expected, value)
            return build.emit(ops.select, inside, found, expected)
        both = inside if mask is None else build.emit(ops.and_, mask, inside)
        return build.emit(op.spec, *operands[:place], both, *operands[place + 1 :], **op.attrs)

    def inside(self, build: Copier, op: Op, ptr: Value, mask: Value | None) -> Value:
        """Which lanes lie inside of a span. If others take part, the first of them is noted."""
        assert isinstance(ptr.type.elem, Pointer)
        elem, shape = ptr.type.elem.to, ptr.type.shape
        through = self.checked[op]  # the number of an array stands where others have words
        self.messages.append(
            Message("" if through is None else str(through), op.loc, operands=((str(elem), shape),), access=ACCESSES[op.spec])
        )
        address = Term(build, build.emit(ops.address, ptr))
        last = address + (elem.itemsize - 1)
        spans = [tuple(Term(build, _filled(build, end, shape)) for end in span) for span in self.spans]
        inside = reduce(or_, ((address >= start) & (last < stop) for start, stop in spans))
        fails = ~inside if mask is None else ~inside & Term(build, mask)
        lanes = Term(build, _lanes(build, shape))
        first = Term(build, _over_lanes(build, select(fails, lanes, ptr.type.size).value, ops.minimum))
        here = lanes.equals(Term(build, _filled(build, first.value, shape)))
        outside, nothing = build.nested(), build.nested()
        self.note(outside, first.value, here.value, address.value)
        for branch in (outside, nothing):
            branch.emit(ops.yield_)
        build.emit(ops.if_, (first < ptr.type.size).value, blocks=[outside.block, nothing.block])
        return inside.value

    def note(self, build: Builder, lane: Value, here: Value, address: Value) -> None:
        """Write down a lane, and the address that stands there, unless another access was first."""
        none, number = (build.emit(ops.constant, value=n, type=Tile(i64)) for n in (0, len(self.messages)))
        before = build.emit(ops.atomic_cas, self.word(build, OUTSIDE), none, number)
        is_first = build.emit(ops.eq, before, none)
        build.emit(ops.store, self.word(build, OUTSIDE + 1), build.emit(ops.cast, lane, to=i64), is_first)
        # not as a tile: a loop that stores tiles is taken for one that works, and not for one that waits
        nowhere = build.emit(ops.constant, value=0, type=address.type)
        at = _over_lanes(build, build.emit(ops.select, here, address, nowhere), ops.or_)
        build.emit(ops.store, self.word(build, OUTSIDE + 2), at, is_first)
        for axis in range(3):
            place = build.emit(ops.cast, build.emit(ops.program_id, axis=axis), to=i64)
            build.emit(ops.store, self.word(build, OUTSIDE + 3 + axis), place, is_first)

    def word(self, build: Builder, number: int) -> Value:
        """A pointer to a word of the buffer."""
        return build.emit(ops.offset, self.buffer, build.emit(ops.constant, value=number, type=Tile(i32)))

    def spare(self, build: Builder, like: Value) -> Value:
        """As many pointers of the same type to a word that nobody reads."""
        assert isinstance(like.type.elem, Pointer)
        place = build.emit(ops.pointer, build.emit(ops.address, self.word(build, SPARE)), to=like.type.elem.to)
        return _filled(build, place, like.type.shape)


def _filled(build: Builder, scalar: Value, shape: tuple[int, ...]) -> Value:
    """A scalar in every lane."""
    return build.emit(ops.broadcast, scalar, shape=shape) if shape else scalar


def _lanes(build: Builder, shape: tuple[int, ...]) -> Value:
    """The number of each lane, in row-major order."""
    if not shape:
        return build.emit(ops.constant, value=0, type=Tile(i32))
    made = build.emit(ops.arange, start=0, stop=prod(shape))
    return made if len(shape) == 1 else build.emit(ops.reshape, made, shape=shape)


def _over_lanes(build: Builder, x: Value, combine: OpSpec) -> Value:
    """All lanes combined."""
    if not x.type.shape:
        return x
    flat = x if x.type.rank == 1 else build.emit(ops.reshape, x, shape=(x.type.size,))
    inner = build.nested([Value(x.type.scalar()), Value(x.type.scalar())])
    inner.emit(ops.yield_, inner.emit(combine, *inner.block.args))
    return build.emit(ops.reduce, flat, axis=0, blocks=[inner.block])
