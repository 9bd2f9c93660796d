"""Computes equal things once: an op that repeats an earlier one on the same operands gives way to it."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.rebuild import Copier
from ..machine import Machine


def common(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel without repeated computations; a read repeats another only if nothing was written in between."""
    return Kernel(kernel.name, _Scopes().block(kernel.body))


class _Scopes:
    """What is computed already, as seen from the point the walk has reached."""

    def __init__(self) -> None:
        self.seen: dict[Hashable, Any] = {}
        self.epoch = 0  # how many times memory may have changed
        self.new_of: dict[Value, Value] = {}

    def block(self, old: Block) -> Block:
        """A block rebuilt; what it computes is forgotten after it."""
        new = Block([Value(a.type, a.name, divisible=a.divisible) for a in old.args])
        copier = _Copier(new, self)
        added: list[Hashable] = []
        self.new_of.update(zip(old.args, new.args, strict=True))
        for op in old.ops:
            self.op(copier, op, added)
        for key in added:
            del self.seen[key]
        return new

    def op(self, copier: _Copier, op: Op, added: list[Hashable]) -> None:
        operands = [self.new_of[v] for v in op.operands]
        key = self.key(op, operands)
        out = self.seen.get(key) if key is not None else None
        if out is None:
            made = copier.copy(op, operands)
            out = made if isinstance(made, tuple) else (made,)
            if key is not None:
                self.seen[key] = out
                added.append(key)
            if op.spec.effect == "write":
                self.epoch += 1
        for before, after in zip(op.results, out, strict=True):
            self.new_of[before] = after
            after.name = after.name or before.name

    def key(self, op: Op, operands: list[Value]) -> Hashable:
        """Equal for ops that give equal results; None for an op that must stay."""
        spec = op.spec
        if not spec.is_pure and spec.effect != "read":
            return None
        ids = tuple(map(id, operands))
        if "commutative" in spec.traits:
            ids = tuple(sorted(ids))
        attrs = tuple(_distinct(a) for a in op.attrs.values())
        blocks = tuple(map(_shape_of, op.blocks))
        return (spec, ids, attrs, blocks, self.epoch if spec.effect == "read" else -1)


class _Copier(Copier):
    """Copies blocks so that scopes see them."""

    def __init__(self, block: Block, scopes: _Scopes):
        super().__init__(block, scopes.new_of, lambda build, op, operands: None)
        self.scopes = scopes

    def copy(self, op: Op, operands: Any) -> Any:
        """The op on new operands. A loop that writes changes memory for its own next turn, and for what follows."""
        if op.spec in (ops.for_, ops.while_) and writes(op):
            self.scopes.epoch += 1
        if op.blocks and op.spec.is_pure:  # the block of a reduction shares nothing with what is around it
            outer, self.scopes.seen = self.scopes.seen, {}
            out = super().copy(op, operands)
            self.scopes.seen = outer
            return out
        return super().copy(op, operands)

    def copy_block(self, old: Block) -> Block:
        """A block in a scope of its own."""
        return self.scopes.block(old)


def writes(op: Op) -> bool:
    """Whether something in the op's blocks writes."""
    return any(inner.spec.effect == "write" for block in op.blocks for inner in block.walk())


def _distinct(attribute: Any) -> Hashable:
    """Attributes compare equal only if they mean the same: not 0.0 and -0.0, but NaN and NaN."""
    if isinstance(attribute, float):
        return "nan" if math.isnan(attribute) else attribute.hex()
    return attribute


def _shape_of(block: Block) -> Hashable:
    """Equal for blocks that compute the same from the same: ops, with their operands by number or identity."""
    number = {value: n for n, value in enumerate(block.args)}
    lines = []
    for op in block.ops:
        uses = tuple(number.get(v, id(v)) for v in op.operands)
        lines.append((op.spec, uses, tuple(_distinct(a) for a in op.attrs.values()), tuple(map(_shape_of, op.blocks))))
        number.update((r, len(number) + i) for i, r in enumerate(op.results))
    return (tuple(a.type for a in block.args), tuple(lines))
