"""How much a program has to do, as far as its text tells: a bound for launches too short to let other Python threads run."""

from __future__ import annotations

from math import prod

from tiledsl.ir.core import Block, Kernel, Op, Value

UNKNOWN = -1  # a loop whose end its arguments say, or that waits for something
SCALAR = {"load": 4, "store": 4, "atomic_rmw": 16, "atomic_cas": 16, "histogram": 16, "scan": 4, "sort": 64}  # lane by lane


def work(kernel: Kernel) -> int:
    """About how many elements the ops of one program compute; UNKNOWN where there is no bound."""
    return _of_block(kernel.body, {})


def _of_block(block: Block, known: dict[Value, int]) -> int:
    total = 0
    for op in block.ops:
        if op.spec.name == "constant" and not op.result.type.shape and op.result.type.elem.is_int:
            known[op.result] = int(op.attrs["value"])
        found = _of_op(op, known)
        if found == UNKNOWN:
            return UNKNOWN
        total += found
    return total


def _of_op(op: Op, known: dict[Value, int]) -> int:
    inner = [_of_block(block, known) for block in op.blocks]
    if UNKNOWN in inner or op.spec.name == "while":
        return UNKNOWN
    if op.spec.name == "for":
        first, last, step = (known.get(v) for v in op.operands[:3])
        if first is None or last is None or not step:
            return UNKNOWN
        return max(-(-(last - first) // step), 0) * sum(inner) + 1
    size = max([prod(v.type.shape) for v in (*op.operands, *op.results)], default=1)
    if op.spec.name == "dot":
        a, b, _ = op.operands
        return prod(a.type.shape) * b.type.shape[-1]
    return size * SCALAR.get(op.spec.name, 1) * max(sum(inner), 1)
