"""What a launch settles before any program runs: scalars that come from arguments and constants alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import ops
from ..interpreter import Argument, Run, argument
from ..ir.core import Block, Kernel, Op, Value
from ..ir.query import made_by
from ..ir.types import DType
from ..memory import Memory


def divides_by_zero(kernel: Kernel, args: Sequence[Argument]) -> Op | None:
    """The first division of integers by a zero that these arguments settle, where programs are sure to come by."""
    run = Run(Memory([]), (1, 1, 1), (0, 0, 0))
    for parameter, arg in zip(kernel.body.args, args, strict=False):
        if isinstance(parameter.type.elem, DType):
            run.values[parameter] = argument(arg, parameter)
    return _search(kernel.body, run)


def _search(block: Block, run: Run) -> Op | None:
    for op in block.ops:
        if op.spec in (ops.idiv, ops.rem) and _is_zero(_scalar(op.operands[1]), run):
            return op
        if op.spec is ops.for_ and not _is_skipped(op, run):
            found = _search(op.blocks[0], run)
            if found is not None:
                return found
        if _is_settled(op, run):
            run.values[op.result] = np.asarray(run.evaluate(op, [run.values[v] for v in op.operands])[0])
    return None


def _is_settled(op: Op, run: Run) -> bool:
    """Whether the op computes a scalar from what is known."""
    plain = op.spec.effect == "pure" and not op.blocks and "terminator" not in op.spec.traits
    return plain and len(op.results) == 1 and not op.result.type.shape and all(v in run.values for v in op.operands)


def _is_skipped(loop: Op, run: Run) -> bool:
    """Whether the loop is known to run no iteration."""
    lo, hi, step = (run.values.get(v) for v in loop.operands[:3])
    return lo is not None and hi is not None and step is not None and len(range(int(lo), int(hi), int(step) or 1)) == 0


def _scalar(value: Value) -> Value:
    """What a tile of one value everywhere was made from."""
    op = made_by(value, ops.broadcast)
    return value if op is None else _scalar(op.operands[0])


def _is_zero(divisor: Value, run: Run) -> bool:
    known = run.values.get(divisor)
    return known is not None and known.dtype.kind in "iu" and not np.any(known)
