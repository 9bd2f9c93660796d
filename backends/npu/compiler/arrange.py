"""Lowering of ops that move elements to places which the data decide."""

from __future__ import annotations

from tiledsl import ops
from tiledsl.ir.core import Op

from ..isa.instructions import NO_TILE
from .contract import folded
from .emit import Emitter, lowers
from .layout import dense, element


@lowers(ops.gather)
def gather(emit: Emitter, op: Op) -> None:
    source, index = (folded(emit, emit.view(v), op.attrs["axis"]) for v in op.operands)
    made = dense(index.shape, source.dtype)
    emit("perm", made, source, index, 1)
    shaped = made.reshape(op.result.type.shape)
    assert shaped is not None
    emit.set_tile(op.result, shaped)


@lowers(ops.sort)
def sort(emit: Emitter, op: Op) -> None:
    view = emit.view(op.operands[0])
    rows = folded(emit, view, op.operands[0].type.rank - 1)
    made = dense((rows.shape[0], rows.shape[1]), rows.dtype)
    flat = rows.reshape(made.shape)
    assert flat is not None
    emit("sort", int(op.attrs["descending"]), made, flat)
    shaped = made.reshape(op.result.type.shape)
    assert shaped is not None
    emit.set_tile(op.result, shaped)


@lowers(ops.histogram)
def histogram(emit: Emitter, op: Op) -> None:
    values, *mask = (emit.view(v) for v in op.operands)
    made = dense(op.result.type.shape, element(op.result.type))
    emit("hist", made, values, mask[0] if mask else NO_TILE)
    emit.set_tile(op.result, made)
