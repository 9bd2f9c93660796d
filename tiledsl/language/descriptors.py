"""Tensor descriptors: a tensor in memory, and the block that one access moves. Whatever lies outside is padding."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import ops
from ..errors import require
from ..ir.core import Value
from ..ir.types import Tile, bf16, f16, f32, i32, i64, u32, u64
from ..ops import Atomic
from . import coerce
from .block_pointers import wide, wides, window
from .core import Builtin, Context, builtin, static_int, unwrap
from .creation import pointee, shape_of
from .dtypes import dtype as element_type

SMALLEST_ROW = 16  # bytes of a block's last axis: what transfer engines move at a time; Triton refuses less, too


class TensorDescriptor(NamedTuple):
    """Base pointer, extents and strides in elements, the shape of a block, and "zero" or "nan" for what lies outside.
    The last stride is 1. It passes through loops, calls and branches like any named tuple."""

    base: Any
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    block_shape: tuple[int, ...]
    padding: str = "zero"

    @property
    def dtype(self) -> Any:
        """The element type of the tensor."""
        return element_type.of(pointee(self.base))


@builtin
def make_tensor_descriptor(
    ctx: Context, base: Value, shape: Any, strides: Any, block_shape: Any, padding_option: str = "zero"
) -> TensorDescriptor:
    """Describe the tensor at base: 1 to 5 axes, the last one contiguous."""
    block, padding = shape_of(ctx.build, block_shape), unwrap(padding_option) or "zero"
    extents, steps = unwrap(shape), unwrap(strides)
    elem = pointee(base)
    for given in (extents, steps):
        require(isinstance(given, (tuple, list)), f"expected a tuple of integers, got {coerce.describe(given)}", help="write (m, n)")
    require(1 <= len(block) <= 5, f"Expected 1 <= ndim <= 5 but got {len(block)} dimensions")
    require(len(extents) == len(block), f"Expected {len(block)} shape elements but got {len(extents)}")
    require(len(steps) == len(block), f"Expected {len(block)} strides but got {len(steps)}")
    last, row = steps[-1], block[-1] * elem.itemsize
    spoken = f"{block[-1]} * {elem.itemsize} = {row} bytes"
    require(
        row >= SMALLEST_ROW,
        f"Descriptor block shape must have at least {SMALLEST_ROW} bytes in the last dimension, but got {spoken}",
        help="use a wider block, or tl.load with pointers",
    )
    require(static_int(last) == 1, f"Tensor descriptor last dim must be 1 but got {coerce.describe(last)}")
    require(padding in ("zero", "nan"), f"padding_option {padding!r} is not one of 'zero', 'nan'")
    require(padding == "zero" or elem.is_float, "padding_option 'nan' is not supported for integer tensors")
    return TensorDescriptor(base, wides(ctx.build, extents), wides(ctx.build, steps), block, padding)


def _inside(ctx: Context, desc: TensorDescriptor, offsets: Any, shape: tuple[int, ...]) -> tuple[Value, Value]:
    """The pointers of a block at offsets, and which of them lie inside the tensor."""
    at, build = wides(ctx.build, offsets), ctx.build
    shape_of(build, shape)  # which the host may have chosen
    require(len(at) == len(desc.block_shape), f"Expected {len(desc.block_shape)} offsets, but got {len(at)}")
    bounds = dict(enumerate(wides(build, desc.shape)))
    pointers, mask = window(build, desc.base, wides(build, desc.strides), at, shape, bounds)
    assert mask is not None
    return pointers, mask


def _padded_load(ctx: Context, desc: TensorDescriptor, pointers: Value, mask: Value) -> Value:
    if desc.padding != "nan":
        return ctx.build.emit(ops.load, pointers, mask)
    fill = coerce.constant(ctx.build, float("nan"), pointee(desc.base), pointers.type.shape)
    return ctx.build.emit(ops.load, pointers, mask, fill)


@builtin
def load_tensor_descriptor(ctx: Context, desc: TensorDescriptor, offsets: Any) -> Value:
    """The block at offsets."""
    return _padded_load(ctx, desc, *_inside(ctx, desc, offsets, desc.block_shape))


def _value(ctx: Context, desc: TensorDescriptor, value: Any, shape: tuple[int, ...]) -> Value:
    tile = coerce.cast(ctx.build, coerce.tensor(ctx.build, value), pointee(desc.base))
    require(tile.type.size == Tile(tile.type.elem, shape).size or not tile.type.shape, f"a block of {list(shape)} takes no {tile.type}")
    return ctx.build.emit(ops.reshape, tile, shape=shape) if tile.type.shape else coerce.broadcast_to(ctx.build, tile, shape)


@builtin
def store_tensor_descriptor(ctx: Context, desc: TensorDescriptor, offsets: Any, value: Any) -> None:
    """Write a block at offsets; what lies outside is dropped."""
    pointers, mask = _inside(ctx, desc, offsets, desc.block_shape)
    ctx.build.emit(ops.store, pointers, _value(ctx, desc, value, desc.block_shape), mask)


def _rows(ctx: Context, desc: TensorDescriptor, x_offsets: Value, y_offset: Any) -> tuple[Value, Value]:
    """The pointers of single rows, each from a column on, and which lie inside."""
    one_row = len(desc.block_shape) == 2 and desc.block_shape[0] == 1
    require(one_row, f"descriptor must have a block of one row, got {list(desc.block_shape)}")
    require(x_offsets.type.rank == 1, f"x offsets must be 1D, got {x_offsets.type}")
    build, rows, columns = ctx.build, x_offsets.type.shape[0], desc.block_shape[1]
    height, width = wides(build, desc.shape)
    step, _ = wides(build, desc.strides)
    row = build.emit(ops.reshape, coerce.cast(build, x_offsets, i64), shape=(rows, 1))
    steps = coerce.cast(build, build.emit(ops.arange, start=0, stop=columns), i64)
    column = build.emit(ops.reshape, build.emit(ops.add, *coerce.broadcast_pair(build, wide(build, y_offset), steps)), shape=(1, columns))
    jump = build.emit(ops.mul, *coerce.broadcast_pair(build, row, step))
    pointers = build.emit(ops.offset, *coerce.broadcast_pair(build, desc.base, jump))
    pointers = build.emit(ops.offset, *coerce.broadcast_pair(build, pointers, column))
    mask = None
    for index, bound in ((row, height), (column, width)):
        zero = coerce.broadcast_to(build, coerce.constant(build, 0, i64), index.type.shape)
        below = build.emit(ops.lt, *coerce.broadcast_pair(build, index, bound))
        inside = build.emit(ops.and_, build.emit(ops.ge, index, zero), below)
        mask = inside if mask is None else build.emit(ops.and_, *coerce.broadcast_pair(build, mask, inside))
    assert mask is not None
    return pointers, mask


@builtin
def _gather(ctx: Context, desc: TensorDescriptor, x_offsets: Value, y_offset: Any) -> Value:
    """The rows named by x_offsets, each from column y_offset on."""
    return _padded_load(ctx, desc, *_rows(ctx, desc, x_offsets, y_offset))


@builtin
def _scatter(ctx: Context, desc: TensorDescriptor, value: Value, x_offsets: Value, y_offset: Any) -> None:
    """Write rows to those named by x_offsets, each from column y_offset on."""
    pointers, mask = _rows(ctx, desc, x_offsets, y_offset)
    ctx.build.emit(ops.store, pointers, _value(ctx, desc, value, pointers.type.shape), mask)


@builtin
def _store(ctx: Context, desc: TensorDescriptor, offsets: Any, value: Any) -> None:
    """Write a block at offsets; what lies outside is dropped."""
    store_tensor_descriptor.function(ctx, desc, offsets, value)


@builtin
def _load(ctx: Context, desc: TensorDescriptor, offsets: Any) -> Value:
    """The block at offsets."""
    return load_tensor_descriptor.function(ctx, desc, offsets)


# as in Triton, where no engine for transfers helps out
SUMS, WORDS = (u32, i32, u64, f16, bf16, f32), (u32, i32, u64, i64)


def _atomic(kind: Atomic) -> Builtin:
    def apply(ctx: Context, desc: TensorDescriptor, offsets: Any, value: Any) -> None:
        elem = pointee(desc.base)
        takes = SUMS if kind is Atomic.ADD else WORDS
        require(
            elem in takes, f"atomic_{kind.value} of a descriptor does not support {element_type.of(elem)}", help="use pointers and a mask"
        )
        pointers, mask = _inside(ctx, desc, offsets, desc.block_shape)
        ctx.build.emit(ops.atomic_rmw, pointers, _value(ctx, desc, value, desc.block_shape), mask, kind=kind)

    apply.__name__, apply.__doc__ = f"atomic_{kind.value}", f"Atomic {kind.value} of a block at offsets."
    return builtin(apply)


METHODS: dict[str, Builtin] = {
    "load": _load,
    "store": _store,
    "gather": _gather,
    "scatter": _scatter,
    **{f"atomic_{kind.value}": _atomic(kind) for kind in (Atomic.ADD, Atomic.MIN, Atomic.MAX, Atomic.AND, Atomic.OR, Atomic.XOR)},
}
for _name, _method in METHODS.items():
    setattr(TensorDescriptor, _name, _method)
