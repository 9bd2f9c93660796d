"""Rewriting by rebuilding: a pass is a function Kernel -> Kernel; nothing is changed in place.

What a pass leaves alone, old and new kernel share: an op on the same operands is the same op, and a block of the same ops
is the same block. An op therefore stands at most once in a kernel, but may stand in several kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

from .core import Block, Builder, Kernel, Op, Value
from .spec import OpSpec
from .types import Tile

Visit = Callable[["Copier", Op, "list[Value]"], Any]
Retype = Callable[[Tile], Tile]


def _copied(build: Copier, op: Op, operands: list[Value]) -> None:
    return None


def _unchanged(tile: Tile) -> Tile:
    return tile


class Copier(Builder):
    """A builder that knows what values of the old kernel are called in the new one."""

    def __init__(self, block: Block, new_of: dict[Value, Value], visit: Visit, retype: Retype = _unchanged, shares: bool = True):
        super().__init__(block)
        self.new_of, self.visit, self.retype = new_of, visit, retype
        self.shares = shares  # whether an op on the same operands may be the same op

    def copy(self, op: Op, operands: Sequence[Value]) -> Any:
        """The op on new operands, with its blocks rebuilt; the op itself if nothing changed."""
        blocks = [self.copy_block(b) for b in op.blocks]
        if self.shares and _alike(operands, op.operands) and _alike(blocks, op.blocks):
            self.block.ops.append(op)
            return op.results[0] if len(op.results) == 1 else tuple(op.results)
        if not blocks and all(new.type is old.type or new.type == old.type for new, old in zip(operands, op.operands, strict=True)):
            return self._same(op, operands)
        return self.emit(op.spec, *operands, blocks=blocks, loc=op.loc, **op.attrs)

    def _same(self, op: Op, operands: Sequence[Value]) -> Any:
        """What emit gives, without asking the typing rule again: types in are as they were, so types out are too."""
        new = Op(op.spec, list(operands), op.attrs, [], [], op.loc)
        new.results = [Value(r.type, r.name, new) for r in op.results]
        self.block.ops.append(new)
        return new.results[0] if len(new.results) == 1 else tuple(new.results)

    def copy_block(self, old: Block) -> Block:
        """A block rebuilt from an old one; the old one if nothing changed."""
        new = self.inside(Block([self._argument(a) for a in old.args]))
        new.splice(old, new.block.args)
        return old if _alike(new.block.args, old.args) and _alike(new.block.ops, old.ops) else new.block

    def _argument(self, old: Value) -> Value:
        type = self.retype(old.type)
        return old if self.shares and type == old.type else Value(type, old.name, divisible=old.divisible)

    def inside(self, block: Block) -> Copier:
        """A copier for a block of an op."""
        return Copier(block, self.new_of, self.visit, self.retype, self.shares)

    def splice(self, old: Block, args: Sequence[Value]) -> None:
        """Rebuild all ops of a block here, args standing for its arguments."""
        self.new_of.update(zip(old.args, args, strict=True))
        for op in old.ops:
            self.rebuild(op)

    def inline(self, old: Block, args: Sequence[Value]) -> tuple[Value, ...]:
        """Rebuild a nested block here without its yield, with ops of its own; returns what it yields."""
        *body, last = old.ops
        self.new_of.update(zip(old.args, args, strict=True))
        shares, self.shares = self.shares, False  # a block may be inlined more than once
        for op in body:
            self.rebuild(op)
        self.shares = shares
        return tuple(self.new_of[v] for v in last.operands)

    def rebuild(self, op: Op) -> None:
        """Put here what stands for an op of the old kernel."""
        self.loc = op.loc
        operands = [self.new_of[v] for v in op.operands]
        out = self.visit(self, op, operands)
        if out is None:
            out = self.copy(op, operands)
        results = out if isinstance(out, tuple) else (out,)
        for old, new in zip(op.results, results, strict=True):
            if not new.name and new not in self.new_of:  # those of the old kernel stay as they are
                new.name = old.name
            self.new_of[old] = new


def rebuild(kernel: Kernel, visit: Visit = _copied, retype: Retype = _unchanged) -> Kernel:
    """Copy a kernel op by op. visit(build, op, new operands) returns what stands for the op's results
    (a value, or a tuple of as many as it has: () drops an op without results), or None to keep it.
    retype gives the new types of block arguments; those of results follow from the typing rules."""
    body = Copier(Block(), {}, visit, retype).copy_block(kernel.body)
    return kernel if body is kernel.body else Kernel(kernel.name, body)


def _alike(xs: Sequence[object], ys: Sequence[object]) -> bool:
    """Whether two sequences hold the same objects."""
    return len(xs) == len(ys) and all(map(is_, xs, ys))


Rule = Callable[..., Any]
Rules = dict[OpSpec, list[Rule]]


def rule(table: Rules, spec: OpSpec) -> Callable[[Rule], Rule]:
    """Register fn(build, *operands, **attributes) -> Value | None; None means that the rule does not apply."""

    def register(fn: Rule) -> Rule:
        table.setdefault(spec, []).append(fn)
        return fn

    return register


def apply_rules(kernel: Kernel, table: Rules) -> Kernel:
    """Rebuild, letting each op be replaced by what the first matching rule returns."""

    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        for fn in table.get(op.spec, ()):
            if (value := fn(build, *operands, **op.attrs)) is not None:
                return value
        return None

    return rebuild(kernel, visit)
