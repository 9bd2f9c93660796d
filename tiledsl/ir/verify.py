"""Is a kernel well formed? Typing rules once more, definition before use, blocks that end in yield."""

from __future__ import annotations

from ..errors import TileError, VerifyError
from .core import Block, Kernel, Op, Value
from .printer import show_types
from .spec import infer_results


def verify(kernel: Kernel) -> None:
    """Raise VerifyError where a kernel breaks a rule of the IR."""
    _check_block(kernel.body, set())


def _check_block(block: Block, outer: set[Value]) -> None:
    visible = outer | set(block.args)
    for op in block.ops:
        for value in op.operands:
            if value not in visible:
                raise VerifyError(f"{op.spec.name}: operand {value!r} is used before it is defined", op.loc)
        _check_op(op)
        for inner in op.blocks:
            _check_block(inner, visible)
            if not inner.ops or "terminator" not in inner.ops[-1].spec.traits:
                raise VerifyError(f"a block of {op.spec.name} does not end in yield", op.loc)
        visible |= set(op.results)


def _check_op(op: Op) -> None:
    try:
        expected = infer_results(op.spec, [v.type for v in op.operands], op.attrs, op.blocks)
    except TileError as error:
        raise VerifyError(error.message, op.loc) from error
    found = tuple(r.type for r in op.results)
    if expected != found:
        raise VerifyError(f"{op.spec.name}: results {show_types(found)}, typing rule says {show_types(expected)}", op.loc)
    for result in op.results:
        if result.source is not op:
            raise VerifyError(f"{op.spec.name}: result {result!r} names another source", op.loc)
