"""Lowering of ops that make, compute or arrange: scalars on registers, tiles on the vector unit, shapes as views."""

from __future__ import annotations

from collections.abc import Sequence

from tiledsl import ops
from tiledsl.ir.core import Op
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import Pointer

from ..isa import alu
from ..isa.state import to_raw
from .emit import Emitter, lowers
from .layout import View, dense, element
from .names import Reg
from .write import code_of


@lowers(ops.constant)
def constant(emit: Emitter, op: Op) -> None:
    kind = op.result.type
    dtype = element(kind)
    size = dtype.itemsize if dtype.is_float else 8  # unsigned numbers are zero extended in registers
    number = emit.literal(to_raw(ops.constant.evaluate(value=op.attrs["value"], type=kind.scalar()), dtype), size)
    if not kind.shape:
        emit.regs[op.result] = number
        return
    cell = dense((), dtype)
    emit("vfill", cell, number)
    emit.views[op.result] = cell.broadcast(kind.shape)


@lowers(ops.arange)
def arange(emit: Emitter, op: Op) -> None:
    emit.views[op.result] = emit.define(op.result)
    emit("viota", emit.views[op.result], op.attrs["start"])


@lowers(ops.program_id)
def program_id(emit: Emitter, op: Op) -> None:
    emit.regs[op.result] = emit.position[op.attrs["axis"]] if emit.position else emit.fresh("pid", op.attrs["axis"])


@lowers(ops.num_programs)
def num_programs(emit: Emitter, op: Op) -> None:
    emit.regs[op.result] = emit.extents[op.attrs["axis"]] if emit.extents else emit.fresh("npid", op.attrs["axis"])


# --- elementwise -----------------------------------------------------------------------------------------------------------


@lowers(*(SPECS[name] for name in (*alu.UNARY, *alu.BINARY, *alu.TERNARY, "cast", "bitcast", "offset", "address", "pointer")))
def elementwise(emit: Emitter, op: Op) -> None:
    shape = op.result.type.shape
    if shape or emit.stays_in_tiles(op.operands):
        emit.views[op.result] = on_tiles(emit, op, [emit.view(v) for v in op.operands], shape)
    else:
        emit.regs[op.result] = on_scalars(emit, op, [emit.scalar(v) for v in op.operands])


def on_scalars(emit: Emitter, op: Op, operands: Sequence[Reg]) -> Reg:
    """An elementwise op on registers."""
    name, target, source = op.spec.name, element(op.result.type), element(op.operands[-1].type)
    result = Reg()
    if name in ("address", "pointer"):
        return operands[0]
    if name == "offset":
        emit("addr", result, *operands, _step(op))
    elif name == "cast":
        emit("scalarcast", code_of(source), code_of(target), result, *operands)
    elif name == "bitcast":
        emit("scalarbits", code_of(target), result, *operands)
    else:
        return emit.alu(name, source, *operands)
    return result


def on_tiles(emit: Emitter, op: Op, operands: Sequence[View], shape: tuple[int, ...]) -> View:
    """An elementwise op on views of one shape."""
    name, target = op.spec.name, element(op.result.type)
    if name in ("address", "pointer"):
        return operands[0]
    if name == "bitcast":
        return operands[0].retyped(target)
    result = dense(shape, target)
    if name == "offset":
        emit.vector("vaddr", result, *operands, _step(op))
    elif name == "cast":
        emit.vector("vcast", result, *operands)
    else:
        emit.apply(name, result, *operands)
    return result


def _step(op: Op) -> int:
    pointer = op.operands[0].type.elem
    assert isinstance(pointer, Pointer)
    return pointer.to.itemsize


# --- shapes ----------------------------------------------------------------------------------------------------------------


@lowers(ops.reshape)
def reshape(emit: Emitter, op: Op) -> None:
    source, shape = emit.view(op.operands[0]), op.attrs["shape"]
    seen = source.reshape(shape) or emit.copied(source).reshape(shape)
    assert seen is not None
    emit.set_tile(op.result, seen)


@lowers(ops.broadcast)
def broadcast(emit: Emitter, op: Op) -> None:
    emit.set_tile(op.result, emit.view(op.operands[0]).broadcast(op.attrs["shape"]))


@lowers(ops.slice_)
def slice_(emit: Emitter, op: Op) -> None:
    view = emit.view(op.operands[0])
    for axis, (start, stop) in enumerate(zip(op.attrs["starts"], op.attrs["stops"], strict=True)):
        view = view.part(axis, start, stop)
    emit.set_tile(op.result, view)


@lowers(ops.transpose)
def transpose(emit: Emitter, op: Op) -> None:
    emit.set_tile(op.result, emit.view(op.operands[0]).transpose(op.attrs["order"]))
