"""Which ops of a kernel become instructions that the machine adds to T1, and which of them nobody else needs then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tiledsl import ops
from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.types import DType, Tile

from ..isa.custom import Custom, Operands, constant, customs
from ..machine import Npu


@dataclass
class Chosen:
    """What a machine's own instructions make: by the op whose result it is, and the ops that are part of others."""

    made: dict[Op, tuple[Custom, Operands]] = field(default_factory=dict)
    covered: set[Op] = field(default_factory=set)


def choose(kernel: Kernel, machine: Npu) -> Chosen:
    """From the last op to the first, so that the largest match wins; of several instructions, the first that is declared."""
    chosen = Chosen()
    known = customs(machine).values()
    needed: set[Value] = set()  # by all that comes later

    def see(block: Block) -> None:
        for op in reversed(block.ops):
            if op.spec.is_pure and not op.blocks and needed.isdisjoint(op.results):
                chosen.covered.add(op)
                continue
            for inner in op.blocks:
                see(inner)
            made = _matched(op, known, machine)
            if made is None:
                needed.update(op.operands)
            else:
                chosen.made[op] = made
                needed.update(_needed(*made))

    if known:
        see(kernel.body)
    return chosen


def _matched(op: Op, known: Iterable[Custom], machine: Npu) -> tuple[Custom, Operands] | None:
    """The instruction that makes the result of an op, and what it takes."""
    for custom in known if len(op.results) == 1 and op.result.type.shape else ():
        found = custom.match(op)
        if found is not None and _fits(custom, machine, op, found):
            return custom, found
    return None


def _fits(custom: Custom, machine: Npu, op: Op, found: Operands) -> bool:
    """Whether operands are what the fields take, and the machine does it for such types."""
    types: dict[str, Tile] = {"to": op.result.type} | {label: value.type for label, value in found.items()}
    for label, where in custom.instruction.fields:
        if where.role == "write":
            continue
        value, number = found[label], constant(found[label])
        if where.prefix == "t" and custom.elementwise and value.type.shape != op.result.type.shape:
            return False
        if where.prefix == "r" and number is None and scalar(value) is None:
            return False
        if where.prefix == "#" and not (type(number) is int and where.legal(number)):
            return False
    ranks = [len(x.shape) for x in types.values()]
    narrow = custom.elementwise or max(ranks) <= machine.descriptor_rank
    return narrow and all(isinstance(x.elem, DType) for x in types.values()) and custom.legal(machine, types)


def _needed(custom: Custom, found: Operands) -> Iterator[Value]:
    """What has to be made for an instruction; numbers go into words and registers."""
    for label, where in custom.instruction.fields:
        if where.prefix == "t" and where.role != "write":
            yield found[label]
        elif where.prefix == "r" and (one := scalar(found[label])) is not None:
            yield one


def scalar(value: Value) -> Value | None:
    """The scalar that every element of a value is, if it is one."""
    while value.type.shape and value.source is not None and value.source.spec is ops.broadcast:
        value = value.source.operands[0]
    return None if value.type.shape else value
