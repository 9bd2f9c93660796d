"""Drops what nothing depends on: ops, values that loops carry in vain, results of branches that nobody reads.

Needed are writes and what they are made from. A carried value is one thing in four places (what a loop starts with,
the argument of its block, what the block yields, the result): a use of any of them needs the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..machine import Machine
from ..waiting import may_wait


def dead(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel without dead ops; itself if there are none. Writes stay, and loops that may wait; other reads and loops
    without use do not."""
    needs = _Needs(kernel.body)
    if needs.all():
        return kernel
    return Kernel(kernel.name, _Trim(needs).block(kernel.body, kernel.body.args, {}))


def fixed(op: Op) -> int:
    """How many operands a loop has before those it carries."""
    return 3 if op.spec is ops.for_ else 0


class _Needs:
    """Which ops and values of a block are needed."""

    def __init__(self, body: Block):
        self.body = body
        self.owner: dict[Value, tuple[Op, int]] = {}  # of a carried block argument: the loop, and which one
        self.around: dict[Op, Op] = {}  # the op in whose block an op stands
        self.ops: set[Op] = set()
        self.values: set[Value] = set()
        self.slots: set[tuple[Op, int]] = set()  # carried values and results of branches
        self.todo: list[Value] = []
        self.survey(body, None)
        for op in body.walk():
            if op.spec.effect == "write" or op.spec is ops.while_ and may_wait(op) is not None:
                self.op(op)
        while self.todo:
            self.value(self.todo.pop())

    def survey(self, block: Block, around: Op | None) -> None:
        for op in block.ops:
            if around is not None:
                self.around[op] = around
            for inner in op.blocks:
                if op.spec in (ops.for_, ops.while_):
                    carried = inner.args[1:] if op.spec is ops.for_ else inner.args
                    self.owner.update((arg, (op, i)) for i, arg in enumerate(carried))
                self.survey(inner, op)

    def op(self, op: Op) -> None:
        """The op must run: so must what is around it, and what decides whether it runs."""
        if op in self.ops:
            return
        self.ops.add(op)
        if op.spec is ops.for_:
            self.todo += op.operands[:3]
        elif op.spec is ops.while_:
            self.todo += op.blocks[0].yields
        elif op.spec.blocks and op.spec.is_pure:  # reductions and scans
            self.todo += op.operands
            self.todo += [v for block in op.blocks for v in block.yields]
        elif "terminator" not in op.spec.traits:
            self.todo += op.operands
        for block in op.blocks:
            self.ops.add(block.ops[-1])
        if op in self.around:
            self.op(self.around[op])

    def value(self, value: Value) -> None:
        if value in self.values:
            return
        self.values.add(value)
        source = value.source
        if source is None:
            if value in self.owner:
                self.slot(*self.owner[value])
        elif source.spec in (ops.for_, ops.while_, ops.if_):
            self.op(source)
            self.slot(source, source.results.index(value))
        else:
            self.op(source)

    def slot(self, op: Op, i: int) -> None:
        """One carried value of a loop, or one result of a branch."""
        if (op, i) in self.slots:
            return
        self.slots.add((op, i))
        self.op(op)
        if op.spec is ops.if_:
            self.todo += [block.yields[i] for block in op.blocks]
        else:
            self.todo += [op.operands[fixed(op) + i], op.blocks[-1].yields[i]]

    def all(self) -> bool:
        """Whether everything is needed."""
        control = (ops.for_, ops.while_, ops.if_)
        return all(op in self.ops and (op.spec not in control or len(self.kept(op)) == len(op.results)) for op in self.body.walk())

    def kept(self, op: Op) -> list[int]:
        """Which results of a control op stay."""
        return [i for i in range(len(op.results)) if (op, i) in self.slots]


class _Trim:
    """Rebuilds what is needed. Ops that keep all their operands are shared with the old kernel: ops never change."""

    def __init__(self, needs: _Needs):
        self.needs = needs

    def block(self, old: Block, args: list[Value], new_of: dict[Value, Value], yields: list[Value] | None = None) -> Block:
        return Block(args, list(self.trimmed(old, new_of, yields)))

    def trimmed(self, old: Block, new_of: dict[Value, Value], yields: list[Value] | None) -> Iterator[Op]:
        for op in old.ops:
            if op not in self.needs.ops:
                continue
            if "terminator" in op.spec.traits and yields is not None:
                yield Op(op.spec, [new_of.get(v, v) for v in yields], {}, [], [], op.loc)
            elif op.spec in (ops.for_, ops.while_, ops.if_):
                yield self.control(op, new_of)
            else:
                yield self.other(op, new_of)

    def other(self, op: Op, new_of: dict[Value, Value]) -> Op:
        inside = [self.block(b, b.args, new_of) for b in op.blocks]
        same = all(a.ops == b.ops for a, b in zip(inside, op.blocks, strict=True))
        if same and not any(v in new_of for v in op.operands):
            return op
        return self.made(op, [new_of.get(v, v) for v in op.operands], inside, op.results, new_of)

    def control(self, op: Op, new_of: dict[Value, Value]) -> Op:
        kept, first = self.needs.kept(op), fixed(op)
        operands = op.operands
        if op.spec is not ops.if_:
            operands = [*op.operands[:first], *(op.operands[first + i] for i in kept)]
        inside = []
        for n, block in enumerate(op.blocks):
            lead = 1 if op.spec is ops.for_ else 0
            args = [] if op.spec is ops.if_ else [*block.args[:lead], *(block.args[lead + i] for i in kept)]
            condition = op.spec is ops.while_ and n == 0
            inside.append(self.block(block, args, new_of, None if condition else [block.yields[i] for i in kept]))
        return self.made(op, [new_of.get(v, v) for v in operands], inside, [op.results[i] for i in kept], new_of)

    def made(self, op: Op, operands: list[Value], blocks: list[Block], results: list[Value], new_of: dict[Value, Value]) -> Op:
        new = Op(op.spec, operands, op.attrs, [], blocks, op.loc)
        new.results = [Value(r.type, r.name, new) for r in results]
        new_of.update(zip(results, new.results, strict=True))
        return new
