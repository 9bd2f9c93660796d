"""Programs, ranges and constant tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.types import DType, Pointer, dtype_of
from . import coerce
from .core import Context, beyond, builtin, is_tensor, static_int, unwrap
from .dtypes import dtype, pointer_type


def element(name: Any) -> DType:
    """The IR's element type for what a user names as a dtype."""
    name = unwrap(name)
    if isinstance(name, dtype):
        return name.elem
    raise TypeRuleError(f"expected a dtype, got {coerce.describe(name)}", help="name one, such as tl.float32")


def extent(build: Builder, value: Any, axis: int = 0) -> int:
    """One extent of a shape: a positive compile-time int."""
    n = static_int(value)
    if n is None:
        raise TypeRuleError(f"the extents of a shape are compile-time ints, got {coerce.describe(value)}", help="declare it `tl.constexpr`")
    require(n > 0, f"the extents of a shape are positive, got {n}")
    if n & (n - 1):
        beyond(build, f"Shape element {axis} must be a power of 2", help=f"it is {n}: use {1 << n.bit_length()} and a mask")
    return n


def shape_of(build: Builder, value: Any) -> tuple[int, ...]:
    """A shape from a tuple, a list or one int."""
    value = unwrap(value)
    items = value if isinstance(value, (tuple, list)) else (value,)
    return tuple(extent(build, v, axis) for axis, v in enumerate(items))


@builtin
def program_id(ctx: Context, axis: int) -> Value:
    """The index of this program along one axis of the grid, an int32."""
    return ctx.build.emit(ops.program_id, axis=_axis("program_id", axis))


@builtin
def num_programs(ctx: Context, axis: int) -> Value:
    """How many programs the grid has along one axis, an int32."""
    return ctx.build.emit(ops.num_programs, axis=_axis("num_programs", axis))


def _axis(name: str, axis: Any) -> int:
    """An axis of the grid."""
    axis = unwrap(axis)
    shown = f"{axis.type}, which is computed when the kernel runs" if is_tensor(axis) else repr(axis)
    require(isinstance(axis, int) and axis in (0, 1, 2), f"{name} axis must be 0, 1, or 2 but got {shown}")
    return int(axis)


@builtin
def arange(ctx: Context, start: int, end: int) -> Value:
    """The int32 tile start, start + 1, ... end - 1; both are compile-time ints."""
    first, last = static_int(start), static_int(end)
    if first is None or last is None:
        unknown = next(unwrap(n) for n in (start, end) if static_int(n) is None)
        help = "declare the parameter `tl.constexpr`" if isinstance(unknown, Value) else f"pass ints, got {coerce.describe(unknown)}"
        raise TypeRuleError("arange's arguments must be of type tl.constexpr", help=help)
    require(last > first, f"arange's end argument must be greater than the start argument, got {first}..{last}")
    count = last - first
    if count & (count - 1):
        beyond(ctx.build, "arange's range must be a power of 2", help=f"it is {count}: use {1 << count.bit_length()} and mask the rest")
    return ctx.build.emit(ops.arange, start=first, stop=last)


@builtin
def full(ctx: Context, shape: Sequence[int], value: Any, dtype: dtype) -> Value:
    """A tile filled with a number, or with a scalar."""
    value, to = unwrap(value), element(dtype)
    if is_tensor(value):
        require(value.type.size == 1, f"full takes one value, got {value.type}")
        scalar = ctx.build.emit(ops.reshape, value, shape=()) if value.type.shape else value
        return coerce.broadcast_to(ctx.build, coerce.cast(ctx.build, scalar, to), shape_of(ctx.build, shape))
    return coerce.constant(ctx.build, value, to, shape_of(ctx.build, shape))


@builtin
def zeros(ctx: Context, shape: Sequence[int], dtype: dtype) -> Value:
    """A tile of zeros."""
    return coerce.constant(ctx.build, 0, element(dtype), shape_of(ctx.build, shape))


@builtin
def zeros_like(ctx: Context, input: Value) -> Value:
    """Zeros in the shape and type of a tile."""
    return coerce.constant(ctx.build, 0, dtype_of(input.type), input.type.shape)


@builtin
def to_tensor(ctx: Context, x: Any) -> Value:
    """A number as a scalar of the kernel."""
    return coerce.tensor(ctx.build, x)


def pointee(x: Value) -> DType:
    """What a tile of pointers points to."""
    if not isinstance(x.type.elem, Pointer):
        raise TypeRuleError(f"expected a pointer, got {x.type}", help="offset a pointer parameter: ptr + offsets")
    return x.type.elem.to


__all__ = ["arange", "full", "num_programs", "pointer_type", "program_id", "to_tensor", "zeros", "zeros_like"]
