"""Block pointers: a window of fixed shape over a tensor in memory, moved with `advance`."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import ops
from ..errors import require
from ..ir.core import Builder, Value
from ..ir.types import i64
from . import coerce
from .core import Context, builtin, is_tensor, static_int, unwrap
from .creation import pointee, shape_of
from .dtypes import dtype
from .functions import must_use_result


class BlockPointer(NamedTuple):
    """A window: where the tensor starts, its extents and strides (int64), the window's offsets and its shape. It passes
    through loops, calls and branches like any named tuple."""

    base: Value
    shape: tuple[Value, ...]
    strides: tuple[Value, ...]
    offsets: tuple[Value, ...]
    block_shape: tuple[int, ...]

    @property
    def dtype(self) -> Any:
        """A pointer's dtype is the pointer type, of a block pointer as of a scalar one."""
        return dtype.of(self.base.type.elem)

    @property
    def type(self) -> Any:
        return self.dtype


def wide(build: Builder, value: Any) -> Value:
    """A scalar int64."""
    value = unwrap(value)
    if not is_tensor(value):
        require(isinstance(value, int) or hasattr(value, "__index__"), f"expected an integer, got {coerce.describe(value)}")
        return coerce.constant(build, value, i64)
    require(value.type.elem.is_int and not value.type.shape, f"expected an integer scalar, got {value.type}")
    return coerce.cast(build, value, i64)


def wides(build: Builder, values: Any) -> tuple[Value, ...]:
    """Scalars of int64, from a tuple or a list."""
    items = unwrap(values)
    require(isinstance(items, (tuple, list)), f"expected a tuple of integers, got {coerce.describe(items)}", help="write (m, n)")
    return tuple(wide(build, v) for v in items)


@builtin
def make_block_ptr(ctx: Context, base: Value, shape: Any, strides: Any, offsets: Any, block_shape: Any, order: Any = ()) -> BlockPointer:
    """A window of block_shape at offsets into the tensor at base. `order` is a hint."""
    pointee(base)
    require(not base.type.shape, f"the base of a block pointer is a scalar pointer, got {base.type}")
    build = ctx.build
    window = BlockPointer(base, wides(build, shape), wides(build, strides), wides(build, offsets), shape_of(build, block_shape))
    ranks = {len(window.shape), len(window.strides), len(window.offsets), len(window.block_shape)}
    require(len(ranks) == 1, "Expected shape, strides, offsets and block_shape to have the same length")
    return window


@must_use_result("Note that tl.advance does not have any side effects. To move the block pointer, assign its result to a variable.")
@builtin
def advance(ctx: Context, base: BlockPointer, offsets: Any) -> BlockPointer:
    """The window moved; the old one stays where it is."""
    moves = wides(ctx.build, offsets)
    require(len(moves) == len(base.offsets), f"advance by {len(moves)} offsets, the block pointer has {len(base.offsets)}")
    return base._replace(offsets=tuple(ctx.build.emit(ops.add, o, m) for o, m in zip(base.offsets, moves, strict=True)))


BlockPointer.advance = advance  # type: ignore[attr-defined]  # kernels write either


def window(
    build: Builder, base: Value, strides: Any, offsets: Any, shape: tuple[int, ...], bounds: dict[int, Value]
) -> tuple[Value, Value | None]:
    """The pointers of a window, and which of its lanes lie inside the bounded axes (0 <= index < bound)."""
    pointers, mask = base, None
    for axis, (stride, offset, extent) in enumerate(zip(strides, offsets, shape, strict=True)):
        steps = coerce.cast(build, build.emit(ops.arange, start=0, stop=extent), i64)
        index = build.emit(ops.add, *coerce.broadcast_pair(build, offset, steps))
        along = build.emit(ops.reshape, index, shape=tuple(extent if d == axis else 1 for d in range(len(shape))))
        jump = build.emit(ops.mul, *coerce.broadcast_pair(build, along, stride))
        pointers = build.emit(ops.offset, *coerce.broadcast_pair(build, pointers, jump))
        if axis in bounds:
            zero = coerce.broadcast_to(build, coerce.constant(build, 0, i64), along.type.shape)
            above = build.emit(ops.ge, along, zero)
            below = build.emit(ops.lt, *coerce.broadcast_pair(build, along, bounds[axis]))
            inside = build.emit(ops.and_, above, below)
            mask = inside if mask is None else build.emit(ops.and_, *coerce.broadcast_pair(build, mask, inside))
    pointers = coerce.broadcast_to(build, pointers, shape)
    return pointers, None if mask is None else coerce.broadcast_to(build, mask, shape)


def checked(pointer: BlockPointer, boundary_check: Any) -> dict[int, Value]:
    """The axes to check, with their extents."""
    axes = unwrap(boundary_check)
    axes = axes if isinstance(axes, (tuple, list)) else (axes,)
    found = {}
    for given in axes:
        axis = static_int(given)
        require(axis is not None and 0 <= axis < len(pointer.shape), f"boundary_check names axis {given!r} of {len(pointer.shape)}")
        assert axis is not None
        found[axis] = pointer.shape[axis]
    return found


def load_window(build: Builder, pointer: BlockPointer, boundary_check: Any, padding_option: Any) -> Value:
    """What tl.load does with a block pointer: checked axes are padded with zero, or NaN."""
    elem, padding = pointee(pointer.base), unwrap(padding_option)
    require(padding in ("", None, "zero", "nan"), f"padding_option {padding!r} is not one of '', 'zero', 'nan'")
    require(padding != "nan" or elem.is_float, "padding_option 'nan' is not supported for integer block pointers")
    pointers, mask = window(build, pointer.base, pointer.strides, pointer.offsets, pointer.block_shape, checked(pointer, boundary_check))
    if mask is None:
        return build.emit(ops.load, pointers)
    if padding != "nan":
        return build.emit(ops.load, pointers, mask)
    return build.emit(ops.load, pointers, mask, coerce.constant(build, float("nan"), elem, pointer.block_shape))


def store_window(build: Builder, pointer: BlockPointer, value: Any, boundary_check: Any) -> None:
    """What tl.store does with a block pointer."""
    tile = coerce.cast(build, coerce.tensor(build, value), pointee(pointer.base))
    spoken = f"Block shape {list(pointer.block_shape)} and value shape {list(tile.type.shape)} mismatch"
    require(tile.type.shape in ((), pointer.block_shape), spoken)
    tile = coerce.broadcast_to(build, tile, pointer.block_shape)
    pointers, mask = window(build, pointer.base, pointer.strides, pointer.offsets, pointer.block_shape, checked(pointer, boundary_check))
    build.emit(ops.store, pointers, tile, *(() if mask is None else (mask,)))
