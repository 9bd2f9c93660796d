"""Rewriting by rebuilding: a pass is a function Kernel -> Kernel; nothing is changed in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def __init__(self, block: Block, new_of: dict[Value, Value], visit: Visit, retype: Retype = _unchanged):
        super().__init__(block)
        self.new_of, self.visit, self.retype = new_of, visit, retype

    def copy(self, op: Op, operands: Sequence[Value]) -> Any:
        """The op itself on new operands, with its blocks rebuilt."""
        if not op.blocks and all(new.type is old.type or new.type == old.type for new, old in zip(operands, op.operands, strict=True)):
            return self._same(op, operands)
        return self.emit(op.spec, *operands, blocks=[self.copy_block(b) for b in op.blocks], loc=op.loc, **op.attrs)

    def _same(self, op: Op, operands: Sequence[Value]) -> Any:
        """What emit gives, without asking the typing rule again: types in are as they were, so types out are too."""
        new = Op(op.spec, list(operands), op.attrs, [], [], op.loc)
        new.results = [Value(r.type, r.name, new) for r in op.results]
        self.block.ops.append(new)
        return new.results[0] if len(new.results) == 1 else tuple(new.results)

    def copy_block(self, old: Block) -> Block:
        """A new block with arguments of its own, rebuilt from an old one."""
        new = Block([Value(self.retype(a.type), a.name, divisible=a.divisible) for a in old.args])
        Copier(new, self.new_of, self.visit, self.retype).splice(old, new.args)
        return new

    def splice(self, old: Block, args: Sequence[Value]) -> None:
        """Rebuild all ops of a block here, args standing for its arguments."""
        self.new_of.update(zip(old.args, args, strict=True))
        for op in old.ops:
            self._rebuild(op)

    def inline(self, old: Block, args: Sequence[Value]) -> tuple[Value, ...]:
        """Rebuild a nested block here without its yield; returns what it yields."""
        *body, last = old.ops
        self.new_of.update(zip(old.args, args, strict=True))
        for op in body:
            self._rebuild(op)
        return tuple(self.new_of[v] for v in last.operands)

    def _rebuild(self, op: Op) -> None:
        self.loc = op.loc
        operands = [self.new_of[v] for v in op.operands]
        out = self.visit(self, op, operands)
        if out is None:
            out = self.copy(op, operands)
        results = out if isinstance(out, tuple) else (out,)
        for old, new in zip(op.results, results, strict=True):
            self.new_of[old] = new
            new.name = new.name or old.name


def rebuild(kernel: Kernel, visit: Visit = _copied, retype: Retype = _unchanged) -> Kernel:
    """Copy a kernel op by op. visit(build, op, new operands) returns what stands for the op's results
    (a value, or a tuple of as many as it has: () drops an op without results), or None to copy it.
    retype gives the new types of block arguments; those of results follow from the typing rules."""
    return Kernel(kernel.name, Copier(Block(), {}, visit, retype).copy_block(kernel.body))


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
