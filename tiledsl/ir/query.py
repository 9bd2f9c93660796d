"""Questions about kernels, answered when asked: who uses a value, what is live, what has effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .core import Block, Kernel, Op, Value
from .spec import OpSpec
from .types import Pointer


def users(block: Block) -> dict[Value, list[Op]]:
    """For every value used in a block or below it, the ops that use it, in order."""
    found: dict[Value, list[Op]] = {}
    for op in block.walk():
        for value in op.operands:
            found.setdefault(value, []).append(op)
    return found


def made_by(value: Value, spec: OpSpec) -> Op | None:
    """The op that made a value, if it is of this kind."""
    return value.source if value.source is not None and value.source.spec is spec else None


def effects(op: Op) -> frozenset[str]:
    """The effects of an op and of everything in its blocks, control aside."""
    found = {op.spec.effect} if op.spec.effect in ("read", "write") else set()
    for block in op.blocks:
        for inner in block.walk():
            if inner.spec.effect in ("read", "write"):
                found.add(inner.spec.effect)
    return frozenset(found)


def outer_uses(block: Block) -> list[Value]:
    """Values a block uses but does not define, each once, in order of first use."""
    defined: set[Value] = set(block.args)
    for op in block.walk():
        defined.update(op.results)
        for inner in op.blocks:
            defined.update(inner.args)
    return list(dict.fromkeys(v for op in block.walk() for v in op.operands if v not in defined))


def needed(kernel: Kernel) -> set[Op]:
    """Ops that have an effect or on whose results one depends."""
    live: set[Value] = set()
    keep: set[Op] = set()

    def scan(block: Block) -> None:
        for op in reversed(block.ops):
            # a loop is kept whole: whether it ends is part of its meaning only if something in it matters
            inside = any(o.spec.effect == "write" for b in op.blocks for o in b.walk())
            if op.spec.effect == "write" or "terminator" in op.spec.traits or inside or live & set(op.results):
                keep.add(op)
                live.update(op.operands)
                for inner in op.blocks:
                    scan(inner)

    scan(kernel.body)
    return keep


def origins(block: Block) -> dict[Value, Sequence[Value]]:
    """For every value, those that an address in it may come from: pointers come from pointers, or else from any operand."""
    found: dict[Value, Sequence[Value]] = {}

    def link(op: Op) -> None:
        carried = op.operands[len(op.operands) - len(op.results) :]
        yields = [inner.yields for inner in op.blocks if len(inner.yields) == len(op.results)]
        for i, result in enumerate(op.results):
            initial = [carried[i]] if op.blocks[0].args else []
            found[result] = [*initial, *(y[i] for y in yields)]
        for inner in op.blocks:
            arguments = inner.args[len(inner.args) - len(op.results) :]
            for i, argument in enumerate(arguments):
                found[argument] = [carried[i], *(y[i] for y in yields)]

    for op in block.walk():
        if op.blocks and op.spec.effect == "control":
            link(op)
            continue
        if op.spec.effect in ("read", "write"):
            continue  # what comes from memory is no parameter
        pointers = [v for v in op.operands if isinstance(v.type.elem, Pointer)]
        for result in op.results:
            found[result] = pointers if isinstance(result.type.elem, Pointer) and pointers else op.operands
    return found


def behind(origins: Mapping[Value, Sequence[Value]], start: Value) -> set[Value]:
    """Every value that an address in this one may come from, itself included."""
    found: set[Value] = set()
    todo = [start]
    while todo:
        value = todo.pop()
        if value not in found:
            found.add(value)
            todo.extend(origins.get(value, ()))
    return found


def array_behind(body: Block, origins: Mapping[Value, Sequence[Value]], pointer: Value) -> int | None:
    """Which of a kernel's arrays, counted from 0, a pointer is made from; None if that depends."""
    arrays = [a for a in body.args if isinstance(a.type.elem, Pointer)]
    found = [i for i, array in enumerate(arrays) if array in behind(origins, pointer)]
    return found[0] if len(found) == 1 else None
