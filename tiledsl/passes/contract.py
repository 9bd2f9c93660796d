"""Fuses a product into the sum that alone uses it: one rounding less, and everywhere the same one.

    add(mul(a, b), c) -> fma(a, b, c)            add(c, mul(a, b)) -> fma(a, b, c)
    sub(mul(a, b), c) -> fma(a, b, neg c)        sub(c, mul(a, b)) -> fma(neg a, b, c)
    add(acc, dot(a, b, 0)) -> dot(a, b, acc)     add(dot(a, b, 0), acc) -> dot(a, b, acc)

The left operand is tried first. Product and sum stand in one block, so that no product moves into a loop.
"""

from __future__ import annotations

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.query import made_by, users
from ..ir.rebuild import Copier, rebuild
from ..ir.types import f32, f64
from ..machine import Machine


def contract(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with fma for products that only feed a sum, and dots that start from what they were added to."""
    uses = users(kernel.body)
    home = {op: block for block in blocks(kernel.body) for op in block.ops}

    def product(value: Value, op: Op) -> Op | None:
        """The mul or dot that makes a value for this op alone, beside it."""
        source = value.source
        if source is None or len(uses[value]) != 1 or home[source] is not home[op]:
            return None
        if source.spec is ops.mul and value.type.elem in (f32, f64):
            return source
        return source if source.spec is ops.dot and op.spec is ops.add and is_zero(source.operands[2]) else None

    def visit(build: Copier, op: Op, operands: list[Value]) -> Value | None:
        if op.spec not in (ops.add, ops.sub):
            return None
        for place, value in enumerate(op.operands):
            source = product(value, op)
            if source is not None:
                x, y = (build.new_of[v] for v in source.operands[:2])
                return fused(build, op, source, place, x, y, operands[1 - place])
        return None

    return rebuild(kernel, visit)


def fused(build: Copier, op: Op, source: Op, place: int, x: Value, y: Value, other: Value) -> Value:
    """The sum or difference of x times y, in this place, and another value."""
    spec = ops.dot if source.spec is ops.dot else ops.fma
    if op.spec is ops.sub and place == 0:
        other = build.emit(ops.neg, other)
    elif op.spec is ops.sub:
        x = build.emit(ops.neg, x)
    made: Value = build.emit(spec, x, y, other)
    return made


def blocks(block: Block) -> list[Block]:
    """A block and all blocks within."""
    return [block, *(inner for op in block.walk() for inner in op.blocks)]


def is_zero(value: Value) -> bool:
    """Whether a value is the constant +0 (or integer 0)."""
    source = made_by(value, ops.constant)
    return source is not None and str(source.attrs["value"]) in ("0", "0.0")
