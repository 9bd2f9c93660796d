"""Lowering of memory ops: blocks to DMA boxes, tiles of pointers to gather and scatter, scalars to the scalar unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tiledsl import ops
from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import DType, Pointer, i1, i64

from ..isa import alu
from ..isa.state import DTYPE_OF
from .emit import Emitter, lowers
from .layout import Box, View
from .names import Reg
from .write import NONE, ZERO, Operand, code_of


def pointee(value: Value) -> DType:
    """The type that a pointer points to."""
    assert isinstance(value.type.elem, Pointer)
    return DTYPE_OF[code_of(value.type.elem.to)]


@lowers(ops.load)
def load(emit: Emitter, op: Op) -> None:
    pointer, *rest = op.operands
    if not op.result.type.shape:
        emit.regs[op.result] = load_scalar(emit, emit.scalar(pointer), pointee(pointer), [emit.scalar(v) for v in rest])
        return
    mask: list[int | View] = [emit.view(rest[0])] if rest else [NONE]
    result = emit.views[op.result] = emit.define(op.result)
    if len(rest) > 1:
        emit.move(result, emit.view(rest[1]))
    emit.vector("dgat", int(len(rest) > 1), result, emit.view(pointer), *mask)


def load_scalar(emit: Emitter, address: Reg, dtype: DType, rest: list[Reg]) -> Reg:
    """One element; rest: the mask and what stands for the element where it does not hold."""
    result = Reg()
    if rest:
        emit("mov", result, rest[1] if len(rest) > 1 else ZERO)
    emit("sload", code_of(dtype), result, address, when=rest[0] if rest else None)
    return result


def store_scalar(emit: Emitter, address: Reg, value: Value, dtype: DType, mask: Reg | None) -> None:
    """One element, from where it is."""
    if emit.stays_in_tiles([value]):
        emit("dst", Box(dtype, address, (), (), ()), emit.view(value), NONE, when=mask)
    else:
        emit("sstore", code_of(dtype), address, emit.scalar(value), when=mask)


@lowers(ops.store)
def store(emit: Emitter, op: Op) -> None:
    pointer, value, *rest = op.operands
    if not value.type.shape:
        store_scalar(emit, emit.scalar(pointer), value, pointee(pointer), emit.scalar(rest[0]) if rest else None)
        return
    masked: list[int | View] = [emit.view(rest[0])] if rest else [NONE]
    emit.vector("dscat", emit.view(pointer), emit.view(value), *masked)


@lowers(ops.atomic_rmw)
def atomic_rmw(emit: Emitter, op: Op) -> None:
    pointer, value, *rest = op.operands
    mask: list[int | View] = [emit.view(rest[0])] if rest else [NONE]
    result = emit.define(op.result)
    kind = alu.ATOMIC.index(op.attrs["kind"].value)
    emit.vector("datom", kind, result, emit.view(pointer), emit.view(value), *mask)
    emit.set_tile(op.result, result)


@lowers(ops.atomic_cas)
def atomic_cas(emit: Emitter, op: Op) -> None:
    result = emit.define(op.result)
    emit.vector("dcas", result, *(emit.view(v) for v in op.operands))
    emit.set_tile(op.result, result)


# --- blocks --------------------------------------------------------------------------------------------------------------


@lowers(ops.load_block)
def load_block(emit: Emitter, op: Op) -> None:
    base, *rest = op.operands
    shape = op.attrs["shape"]
    block = Access(emit, op, base, rest, shape)
    if not shape:
        extra = [emit.scalar(v) for v in (block.mask, block.other) if v is not None]
        if block.other is not None and block.mask is None:
            extra = []
        emit.regs[op.result] = load_scalar(emit, emit.scalar(base), block.dtype, extra)
        return
    result = emit.views[op.result] = emit.define(op.result)
    for box, part, mask in block.boxes(result):
        emit("dld", 0, part, box, mask)


@lowers(ops.store_block)
def store_block(emit: Emitter, op: Op) -> None:
    base, value, *rest = op.operands
    shape = value.type.shape
    block = Access(emit, op, base, rest, shape)
    if not shape:
        store_scalar(emit, emit.scalar(base), value, block.dtype, None if block.mask is None else emit.scalar(block.mask))
        return
    for box, part, masked in block.boxes(emit.view(value)):
        emit("dst", box, part, masked)


class Access:
    """A block access: from operands of the op to boxes that the DMA understands."""

    def __init__(self, emit: Emitter, op: Op, base: Value, rest: list[Value], shape: tuple[int, ...]):
        self.emit, self.base, self.shape = emit, base, shape
        self.dtype = pointee(base)
        attrs = op.attrs
        split = ops.split_block_operands(rest, len(shape), attrs["checked"], attrs["masked"], attrs.get("filled", False))
        self.strides, self.bounds, self.mask, self.other = split

    def boxes(self, tile: View) -> Iterator[tuple[Box, View, Operand]]:
        """(box, part of the tile, mask or none) for each transfer: one, unless the block has too many axes."""
        emit = self.emit
        axes = [d for d, extent in enumerate(self.shape) if extent > 1 or d in self.bounds]
        spare = max(0, len(axes) - emit.machine.descriptor_rank)
        repeated = sorted(axes, key=lambda d: (d in self.bounds, d))[:spare]
        kept = [d for d in axes if d not in repeated]
        steps = {d: self._bytes(self.strides[d]) for d in axes}
        bounds = {d: (emit.scalar(low), emit.scalar(high)) for d, (low, high) in self.bounds.items()}
        fill = None if self.other is None else emit.scalar(self.other)
        mask = None if self.mask is None else emit.view(self.mask)
        for index in itertools.product(*(range(self.shape[d]) for d in repeated)):
            at = dict(zip(repeated, index, strict=True))
            start = emit.scalar(self.base)
            valid = dict(bounds)
            for d, i in at.items():
                start = emit.fresh("addr", start, steps[d], i)
                if d in bounds:  # then all that are kept have bounds, too: outside of this one, make the first empty
                    low, high = valid[kept[0]]
                    inside = emit.alu("and", i1, *(emit.alu("le", i64, *pair) for pair in self._around(i, bounds[d])))
                    valid[kept[0]] = low, emit.alu("select", i64, inside, high, low)
            box = Box(
                self.dtype,
                start,
                tuple(self.shape[d] for d in kept),
                tuple(steps[d] for d in kept),
                tuple(valid.get(d) for d in kept),
                fill,
            )
            yield box, _only(tile, kept, at), NONE if mask is None else _only(mask, kept, at)

    def _around(self, index: int, bounds: tuple[Reg, Reg]) -> tuple[tuple[Reg, Reg], tuple[Reg, Reg]]:
        """low <= index < high as two times a <= b."""
        return (bounds[0], self.emit.literal(index)), (self.emit.literal(index + 1), bounds[1])

    def _bytes(self, stride: Value) -> Reg:
        """A stride in bytes."""
        known = self.emit.known(stride)
        if known is not None:
            return self.emit.literal(known * self.dtype.itemsize)
        return self.emit.fresh("addr", ZERO, self.emit.scalar(stride), self.dtype.itemsize)


def _only(view: View, kept: list[int], at: dict[int, int]) -> View:
    """A view with only some axes; the others at an index, 0 where they have but one."""
    offset = view.offset + sum(i * view.strides[d] for d, i in at.items())
    return View(view.buffer, view.dtype, offset, tuple(view.shape[d] for d in kept), tuple(view.strides[d] for d in kept))
