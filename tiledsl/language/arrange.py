"""Elements in other places: join and split, flip, gather, sort, histogram."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.types import Tile, i1
from . import coerce
from .core import Context, beyond, builtin, method, static_int, unwrap
from .creation import extent
from .shape import axis_of


@builtin
def join(ctx: Context, a: Any, b: Any) -> Value:
    """Two tiles side by side in a new last axis of extent two."""
    build = ctx.build
    x, y = coerce.tensor(build, a), coerce.tensor(build, b)
    if x.type.elem != y.type.elem:
        beyond(build, f"join takes tiles of one type, got {x.type} and {y.type}", "convert one with .to(...)")
    x, y = coerce.operands(build, x, y, weak=False)
    shape = (*x.type.shape, 2)
    pair = build.emit(ops.reshape, build.emit(ops.arange, start=0, stop=2), shape=(1,) * x.type.rank + (2,))
    zero = coerce.broadcast_to(build, coerce.tensor(build, 0), pair.type.shape)
    first = coerce.broadcast_to(build, build.emit(ops.eq, pair, zero), shape)
    sides = [coerce.broadcast_to(build, build.emit(ops.reshape, t, shape=(*t.type.shape, 1)), shape) for t in (x, y)]
    return build.emit(ops.select, first, *sides)


@method
@builtin
def split(ctx: Context, a: Value) -> tuple[Value, Value]:
    """The two halves of a last axis of extent two."""
    require(a.type.rank > 0 and a.type.shape[-1] == 2, f"split takes a last axis of extent 2, got {a.type}")
    return pick(ctx.build, a, -1, 0), pick(ctx.build, a, -1, 1)


def pick(build: Builder, x: Value, axis: int, index: int | Value) -> Value:
    """One position of an axis; the axis disappears."""
    axis %= x.type.rank
    shape = x.type.shape
    at = coerce.broadcast_to(build, coerce.tensor(build, index), (*shape[:axis], 1, *shape[axis + 1 :]))
    return build.emit(ops.reshape, build.emit(ops.gather, x, at, axis=axis), shape=shape[:axis] + shape[axis + 1 :])


@builtin
def interleave(ctx: Context, a: Any, b: Any) -> Value:
    """The elements of two tiles in turn along the last axis."""
    joined = join.function(ctx, a, b)
    shape = joined.type.shape
    return ctx.build.emit(ops.reshape, joined, shape=(*shape[:-2], shape[-2] * 2)) if len(shape) > 1 else joined


@builtin
def cat(ctx: Context, input: Value, other: Value, can_reorder: bool = False, dim: int = 0) -> Value:
    """Two tiles one after the other along an axis."""
    build = ctx.build
    if input.type.elem != other.type.elem:
        beyond(build, f"cat takes tiles of one type, got {input.type} and {other.type}", "convert one with .to(...)")
    a, b = coerce.operands(build, input, other)
    axis = axis_of(dim, a.type.rank)
    joined = join.function(ctx, a, b)
    rank = a.type.rank
    order = (*range(axis), rank, *range(axis, rank))
    front = build.emit(ops.transpose, joined, order=order)
    shape = (*a.type.shape[:axis], 2 * a.type.shape[axis], *a.type.shape[axis + 1 :])
    return build.emit(ops.reshape, front, shape=shape)


@method
@builtin
def flip(ctx: Context, x: Value, dim: Any = None) -> Value:
    """The elements of an axis, the last if none is named, in the other order."""
    axis = axis_of(-1 if unwrap(dim) is None else dim, x.type.rank)
    build, extent = ctx.build, x.type.shape[axis]
    last = coerce.broadcast_to(build, coerce.tensor(build, extent - 1), (extent,))
    backwards = build.emit(ops.sub, last, build.emit(ops.arange, start=0, stop=extent))
    shaped = build.emit(ops.reshape, backwards, shape=tuple(extent if d == axis else 1 for d in range(x.type.rank)))
    return build.emit(ops.gather, x, coerce.broadcast_to(build, shaped, x.type.shape), axis=axis)


@method
@builtin
def gather(ctx: Context, src: Value, index: Value, axis: int) -> Value:
    """The elements of src at index along an axis; the other extents are equal."""
    require(index.type.elem.is_int and index.type.elem is not i1, f"index must be integer, got {index.type}")
    require(src.type.rank == index.type.rank, f"source and index must have the same rank, got {src.type} and {index.type}")
    return ctx.build.emit(ops.gather, src, index, axis=axis_of(axis, src.type.rank))


@method
@builtin
def sort(ctx: Context, x: Value, dim: Any = None, descending: bool = False) -> Value:
    """The elements along the last axis in order; NaN after everything."""
    _last_axis(x.type, dim, "sort")
    return ctx.build.emit(ops.sort, x, descending=bool(unwrap(descending)))


@method
@builtin
def bitonic_merge(ctx: Context, x: Value, dim: Any = None, descending: bool = False) -> Value:
    """The last axis in order, if it rises and then falls, or falls and then rises; sorted like any other here."""
    _last_axis(x.type, dim, "bitonic_merge")
    return ctx.build.emit(ops.sort, x, descending=bool(unwrap(descending)))


def _last_axis(tile: Tile, dim: Any, what: str) -> None:
    last = unwrap(dim) is None or axis_of(dim, tile.rank) == tile.rank - 1
    require(last, f"{what}: only the last axis is currently supported", help="bring the axis to the end with tl.trans")


@method
@builtin
def topk(ctx: Context, x: Value, k: int, dim: Any = None, descending: bool = True) -> Value:
    """The k largest elements along the last axis in descending order; the smallest ascending with descending=False."""
    _last_axis(x.type, dim, "topk")
    count = static_int(k)
    if count is None or count <= 0:
        raise TypeRuleError(f"topk takes a compile-time number of elements, got {coerce.describe(k)}")
    if count & (count - 1):
        beyond(ctx.build, "k must be a power of 2", help=f"it is {count}: take {1 << count.bit_length()} and drop the rest")
    require(count <= x.type.shape[-1], f"topk of {count} among {x.type.shape[-1]} elements")
    ordered = ctx.build.emit(ops.sort, x, descending=bool(unwrap(descending)))
    return leading(ctx.build, ordered, count)


def leading(build: Builder, x: Value, count: int) -> Value:
    """The first elements of the last axis."""
    if count == x.type.shape[-1]:
        return x
    steps = build.emit(ops.reshape, build.emit(ops.arange, start=0, stop=count), shape=(1,) * (x.type.rank - 1) + (count,))
    return build.emit(ops.gather, x, coerce.broadcast_to(build, steps, (*x.type.shape[:-1], count)), axis=x.type.rank - 1)


@method
@builtin
def histogram(ctx: Context, input: Value, num_bins: int, mask: Any = None) -> Value:
    """How many elements have each value from 0 up to num_bins, an int32 tile; others are not counted."""
    require(input.type.rank == 1, f"histogram only supports 1D input, got {input.type}")
    require(input.type.elem.is_int, f"histogram only supports integer input, got {input.type}")
    bins = static_int(num_bins)
    if bins is None:
        raise TypeRuleError(f"num_bins is a compile-time int, got {coerce.describe(num_bins)}")
    extent(ctx.build, bins)
    if unwrap(mask) is None:
        return ctx.build.emit(ops.histogram, input, bins=bins)
    lanes = coerce.broadcast_to(ctx.build, coerce.condition(ctx.build, coerce.tensor(ctx.build, mask)), input.type.shape)
    return ctx.build.emit(ops.histogram, input, lanes, bins=bins)
