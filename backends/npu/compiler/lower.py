"""A kernel to T1 code on virtual registers and buffers; the lowerings of the ops stand beside this file, by family."""

from __future__ import annotations

from tiledsl import ops
from tiledsl.ir.core import Block, Kernel, Op, Value

from ..machine import Npu
from . import arithmetic, arrange, contract, control, transfer
from .emit import Accumulators, Emitter
from .layout import element
from .names import Label
from .together import programs
from .write import Code, multiplies

FAMILIES = (arithmetic, arrange, contract, control, transfer)  # importing them fills the table of lowerings


def lower(
    kernel: Kernel, machine: Npu, *, keep_accumulators: bool = True, stages: int = 0, together: bool = False
) -> tuple[Code, list[Label]]:
    """The code of a kernel, and the loops in it that overlap their iterations, by their labels. `together`: of many programs."""
    made = Emitter(kernel, machine, accumulators(kernel, machine) if keep_accumulators else Accumulators(), stages)
    if together:
        programs(made, kernel)
    else:
        made.block(kernel.body)
    made("halt")
    return made.code, made.overlapping


def accumulators(kernel: Kernel, machine: Npu) -> Accumulators:
    """The results of dots, and what loops carry of them while nothing but dots uses it."""
    uses: dict[Value, list[tuple[Op, Op | None]]] = {}
    kept: set[Value] = set()

    def find_uses(block: Block, owner: Op | None) -> None:
        for op in block.ops:
            for value in set(op.operands):
                uses.setdefault(value, []).append((op, owner))
            for inner in op.blocks:
                find_uses(inner, op)

    def stays(value: Value) -> bool:
        return all(_only_accumulates(value, user, owner, kept) for user, owner in uses.get(value, ()))

    def keep(block: Block) -> None:
        for op in block.ops:
            for inner in op.blocks:
                keep(inner)
            if op.spec is ops.dot and op.result.type.rank == 2 and multiplies(machine, element(op.operands[0].type)):
                kept.add(op.result)
            elif op.spec is ops.for_:
                body = op.blocks[0]
                for arg, handed, result in zip(body.args[1:], body.yields, op.results, strict=True):
                    if handed in kept and stays(arg):
                        kept.update((arg, result))

    find_uses(kernel.body, None)
    keep(kernel.body)
    return Accumulators(frozenset(kept), frozenset(v for v in kept if not stays(v)))


def _only_accumulates(value: Value, user: Op, owner: Op | None, kept: set[Value]) -> bool:
    """Whether an op uses a value only as the accumulator of a dot, or as what a loop carries for one."""
    if user.spec is ops.dot:
        return value not in user.operands[:2]
    if user.spec is ops.for_:
        loop, values = user, user.operands[3:]
    elif user.spec is ops.yield_ and owner is not None and owner.spec is ops.for_:
        loop, values = owner, user.operands
    else:
        return False
    carried = zip(values, loop.blocks[0].args[1:], strict=True)
    return value not in user.operands[: len(user.operands) - len(values)] and all(arg in kept for v, arg in carried if v is value)
