"""The largest and the smallest of many floats, where the processor has one instruction that takes the number of two operands
of which one may be NaN, and orders zeros by their signs: vrange of AVX-512. Elsewhere it takes six.

It hands on a signalling NaN as a quiet one instead of the other operand. So elements are made quiet first, off the chain of
operations that a fold waits for; a partial result is never signalling.
"""

from __future__ import annotations

from tiledsl.ir.core import Block

from .code import Code, spread
from .points import Lanes
from .types import Kind

WHICH = {"minimum": 4, "maximum": 5}  # 4: with the sign of the one that is chosen
FEATURE = "+avx512dq"
TEXT = "<16 x float>"


def folded(code: Code, block: Block, kind: Kind, old: Lanes, new: Lanes) -> Lanes | None:
    """A quiet partial result combined with new elements, by a block of one op; None if that or the processor is another."""
    op = block.ops[0]
    which = WHICH.get(op.spec.name)
    if which is None or kind.text != TEXT or FEATURE not in code.machine.features.split(","):
        return None
    quiet = code.b.call(TEXT, "llvm.canonicalize.v16f32", (TEXT, spread(code, kind.elem, new, kind.lanes)))
    operands = [(TEXT, old.text), (TEXT, quiet), ("i32", str(which)), (TEXT, "poison"), ("i16", "-1"), ("i32", "4")]
    return Lanes(code.b.call(TEXT, "llvm.x86.avx512.mask.range.ps.512", *operands, immediate=(2, 5)), kind.lanes, code.b.depth)
