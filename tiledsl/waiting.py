"""Loops that may wait for another program: `while` loops whose end depends on memory that they read again and again.

What decides whether such a loop goes on is its slice: the values that its condition is computed from, through what it carries.
Two iterations that saw the same slice do the same; so a loop that keeps seeing the same waits for somebody else to write. A
loop that stores may come closer to its end by what it stores: then everything it carries counts, and what memory holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import ops
from .ir.core import Kernel, Op, Value
from .location import Loc

READING = ("read", "write")  # effects of ops whose results come from memory: loads, atomics


@dataclass(frozen=True, eq=False)
class Wait:
    """A loop that may wait, and how to see whether it does."""

    loop: Op
    watched: tuple[Value, ...]  # scalars of an iteration that tell whether it saw anything new
    tiles: tuple[Value, ...]  # what it carries from one iteration to the next that tells the same
    address: Value | None  # of what it reads, where that is one element
    stores: bool  # it is no wait while what memory holds changes

    @property
    def place(self) -> Loc | None:
        """Where the condition is written."""
        return self.loop.blocks[0].ops[-1].loc or self.loop.loc


def waits(kernel: Kernel) -> list[Wait]:
    """Every loop of a kernel that may wait, in program order."""
    return [wait for op in kernel.body.walk() if op.spec is ops.while_ and (wait := may_wait(op)) is not None]


def may_wait(loop: Op) -> Wait | None:
    """How a `while` loop may wait; None if it ends by what it computes itself."""
    found = _slice(loop)
    reads = [op for op in _sources(found) if op.spec.effect in READING]
    inside = [inner for op in _sources(found) for block in op.blocks for inner in block.walk() if inner.spec.effect in READING]
    if not reads and not inside:
        return None
    condition, body = loop.blocks
    own = {*condition.ops, *body.ops}
    made = [op for op in own if op.spec.effect in READING or op.blocks]
    stores = any(inner.spec in (ops.store, ops.store_block) for block in loop.blocks for inner in block.walk())
    carried = [arg for arg in condition.args if stores or arg in found]
    watched = carried + [result for op in (*condition.ops, *body.ops) if op in made for result in op.results if result in found]
    single = [op.operands[0] for op in (*condition.ops, *body.ops) if op in reads and not op.operands[0].type.shape]
    scalars, tiles = ([v for v in among if bool(v.type.shape) is shaped] for among, shaped in ((watched, False), (carried, True)))
    return Wait(loop, tuple(scalars), tuple(tiles), single[-1] if single else None, stores)


def _sources(values: set[Value]) -> set[Op]:
    return {v.source for v in values if v.source is not None}


def _slice(loop: Op) -> set[Value]:
    """The values inside a loop that its condition is computed from."""
    condition, body = loop.blocks
    inner = {*condition.walk(), *body.walk()}
    position = {arg: i for block in loop.blocks for i, arg in enumerate(block.args)}
    found: set[Value] = set()
    todo = list(condition.yields)
    while todo:
        value = todo.pop()
        if value in found:
            continue
        if value in position:  # one carried value has a name in each block
            i = position[value]
            found |= {condition.args[i], body.args[i]}
            todo.append(body.yields[i])
        elif value.source is not None and value.source in inner:
            found.add(value)
            todo += value.source.operands
            for block in value.source.blocks:
                todo += [operand for op in block.walk() for operand in op.operands]
    return found
