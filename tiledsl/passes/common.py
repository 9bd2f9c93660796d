"""Computes equal things once: an op that repeats an earlier one on the same operands gives way to it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.rebuild import Copier
from ..machine import Machine


def common(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel without repeated computations; a read repeats another only if nothing was written in between."""
    body = _Copier(Block(), {}, _Seen()).copy_block(kernel.body)
    return kernel if body is kernel.body else Kernel(kernel.name, body)


class _Seen:
    """What is computed already, as seen from the point the walk has reached."""

    def __init__(self) -> None:
        self.results: dict[Hashable, tuple[Value, ...]] = {}
        self.epoch = 0  # how many times memory may have changed

    def key(self, op: Op, operands: list[Value]) -> Hashable:
        """Equal for ops that give equal results; None for an op that must stay."""
        spec = op.spec
        if not spec.is_pure and spec.effect != "read":
            return None
        ids = tuple(map(id, operands))
        if "commutative" in spec.traits:
            ids = tuple(sorted(ids))
        attrs = tuple(map(_distinct, op.attrs.values()))
        blocks = tuple(map(_content, op.blocks))
        return (spec, ids, attrs, blocks, self.epoch if spec.effect == "read" else None)


class _Copier(Copier):
    """Copies what is not seen yet; what a block computes is forgotten after it."""

    def __init__(self, block: Block, new_of: dict[Value, Value], seen: _Seen):
        super().__init__(block, new_of, self.once)
        self.seen = seen
        self.added: list[Hashable] = []

    def once(self, build: Copier, op: Op, operands: list[Value]) -> tuple[Value, ...]:
        key = self.seen.key(op, operands)
        out = self.seen.results.get(key) if key is not None else None
        if out is None:
            made = self.copy(op, operands)
            out = made if isinstance(made, tuple) else (made,)
            if key is not None:
                self.seen.results[key] = out
                self.added.append(key)
            if op.spec.effect == "write":
                self.seen.epoch += 1
        return out

    def copy(self, op: Op, operands: Any) -> Any:
        """The op on new operands. A loop that writes or waits changes memory for its own next turn, and for what follows."""
        if op.spec is ops.while_ or op.spec is ops.for_ and writes(op):  # while a program waits, others write
            self.seen.epoch += 1
        if not op.blocks or not op.spec.is_pure:
            return super().copy(op, operands)
        outer, self.seen.results = self.seen.results, {}  # the block of a reduction shares nothing with what is around it
        out = super().copy(op, operands)
        self.seen.results = outer
        return out

    def inside(self, block: Block) -> Copier:
        """A copier for a block of an op."""
        return _Copier(block, self.new_of, self.seen)

    def splice(self, old: Block, args: Sequence[Value]) -> None:
        """A block, in a scope of its own."""
        super().splice(old, args)
        for key in self.added:
            del self.seen.results[key]


def writes(op: Op) -> bool:
    """Whether something in the op's blocks writes."""
    return any(inner.spec.effect == "write" for block in op.blocks for inner in block.walk())


def _distinct(attribute: Any) -> Hashable:
    """Attributes compare equal only if they mean the same: not 0.0 and -0.0, but NaN and NaN."""
    if isinstance(attribute, float):
        return "nan" if math.isnan(attribute) else attribute.hex()
    return attribute


def _content(block: Block) -> Hashable:
    """Equal for blocks that compute the same from the same: ops, with their operands by number or identity."""
    number = {value: n for n, value in enumerate(block.args)}
    lines = []
    for op in block.ops:
        uses = tuple(number.get(v, id(v)) for v in op.operands)
        lines.append((op.spec, uses, tuple(map(_distinct, op.attrs.values())), tuple(map(_content, op.blocks))))
        for result in op.results:
            number[result] = len(number)
    return (tuple(a.type for a in block.args), tuple(lines))
