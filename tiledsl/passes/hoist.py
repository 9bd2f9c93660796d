"""Moves what a loop computes anew each time, with the same result, to before the loop.

Every value of the new kernel has a level: how many blocks are around it. An op goes to the level of its deepest operand, but
not out of a branch, nor out of the block of a reduction. Reads stay where they are: memory may change, and the loop may
not run.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.query import outer_uses
from ..ir.rebuild import Copier
from ..machine import Machine

LOOPS = (ops.for_, ops.while_)


def hoist(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with what loops do not change before them; itself if it has no loops."""
    if not any(op.spec in LOOPS for op in kernel.body.walk()):
        return kernel
    levels = dict.fromkeys(kernel.body.args, 0)
    copier = _Copier(Block(list(kernel.body.args)), {}, levels, [], 0)
    copier.splice(kernel.body, kernel.body.args)
    return Kernel(kernel.name, copier.block)


class _Copier(Copier):
    """Copies each op into the outermost block that it may stand in."""

    def __init__(self, block: Block, new_of: dict[Value, Value], levels: dict[Value, int], outer: list[_Copier], lowest: int):
        super().__init__(block, new_of, lambda build, op, operands: None)
        self.levels = levels
        self.chain = [*outer, self]  # by level
        self.lowest = lowest  # the level beyond which ops do not leave
        self.inner_lowest = 0  # the same for the blocks of the op being copied

    def copy(self, op: Op, operands: Any) -> Any:
        """The op, where its operands are first known."""
        here = len(self.chain) - 1
        level = here
        if op.spec.is_pure and self.lowest < here:
            uses = [*operands, *(self.new_of[v] for block in op.blocks for v in outer_uses(block))]
            level = max([self.lowest, *(self.levels[v] for v in uses)])
        home = self.chain[level]
        home.inner_lowest = home.lowest if op.spec in LOOPS else level + 1
        out = Copier.copy(home, op, operands)
        self.levels.update(dict.fromkeys(out if isinstance(out, tuple) else (out,), level))
        return out

    def inside(self, block: Block) -> Copier:
        """A copier for a block one level further in."""
        self.levels.update(dict.fromkeys(block.args, len(self.chain)))
        return _Copier(block, self.new_of, self.levels, self.chain, self.inner_lowest)

    def copy_block(self, old: Block) -> Block:
        """A block one level further in."""
        lowest = self.inner_lowest
        new = super().copy_block(old)
        self.inner_lowest = lowest  # for the op's next block
        return new
