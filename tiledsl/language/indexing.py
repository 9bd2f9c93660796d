"""x[...]: new axes, slices and single positions of a tile. Bounds of slices are known when compiling, positions need not be."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Value
from ..ir.types import DType, Pointer, dtype_of, i1, i32
from . import coerce
from .arrange import pick
from .core import Context, beyond, static_int
from .debug import device_assert

WHOLE = slice(None)


def index(ctx: Context, x: Value, items: tuple[Any, ...]) -> Value:
    """x[items], as NumPy reads it. A position outside gives 0, and with debug=True fails the launch."""
    if any(item is not None and not _is_whole(item) for item in items):
        beyond(ctx.build, "unsupported tensor index", help="Triton takes `:` and `None`; elsewhere use tl.gather, or a mask and tl.sum")
    items = _complete(x, items)
    axis = 0
    shape: list[int] = []  # of the result: x loses axes while others are still to come
    for item in items:
        if item is None:
            shape.append(1)
        elif isinstance(item, slice):
            x = _sliced(ctx, x, axis, item)
            shape.append(x.type.shape[axis])
            axis += 1
        else:
            x = _picked(ctx, x, axis, item)
    return x if x.type.shape == tuple(shape) else ctx.build.emit(ops.reshape, x, shape=tuple(shape))


def _is_whole(item: Any) -> bool:
    return isinstance(item, slice) and item == WHOLE


def _complete(x: Value, items: tuple[Any, ...]) -> tuple[Any, ...]:
    """One item per axis, and None per new one: what is left out, or stands for `...`, is a colon."""
    places = [i for i, item in enumerate(items) if item is Ellipsis]
    require(len(places) <= 1, "an index has at most one `...`")
    used = sum(item is not None and item is not Ellipsis for item in items)
    plain = all(item is None or _is_whole(item) for item in items)
    while used > x.type.rank and (plain or _is_whole(items[-1])):  # colons past the last axis mean nothing, as in Triton
        last = max(i for i, item in enumerate(items) if _is_whole(item))
        items, used = items[:last] + items[last + 1 :], used - 1
    if used > x.type.rank:
        refusal = f"unsupported tensor index: {used} axes are indexed, but {x.type} has {x.type.rank}"
        if isinstance(x.type.elem, Pointer):
            raise TypeRuleError(refusal, help=f"read memory with tl.load({x.name or 'p'} + index), write it with tl.store")
        raise TypeRuleError(refusal, help="a scalar has no elements to choose from" if not x.type.shape else f"give at most {x.type.rank}")
    at = places[0] if places else len(items)
    return (*items[:at], *[WHOLE] * (x.type.rank - used), *items[at + 1 :])


def _sliced(ctx: Context, x: Value, axis: int, item: slice) -> Value:
    extent = x.type.shape[axis]
    require(item.step != 0, "the step of a slice is not 0")
    kept = range(*item.indices(extent))
    if not kept:
        spoken = ":".join("" if part is None else str(part) for part in (item.start, item.stop, item.step))
        raise TypeRuleError(f"the slice {spoken} of axis {axis} of {x.type} is empty", help="a tile has at least one element")
    low, high = min(kept[0], kept[-1]), max(kept[0], kept[-1])
    x = _part(ctx, x, axis, low, high + 1)
    if kept.step == 1 or len(kept) == 1:
        return x
    build, count = ctx.build, len(kept)
    start, step = (coerce.broadcast_to(build, coerce.tensor(build, n), (count,)) for n in (kept[0] - low, kept.step))
    places = build.emit(ops.add, start, build.emit(ops.mul, build.emit(ops.arange, start=0, stop=count), step))
    along = build.emit(ops.reshape, places, shape=tuple(count if d == axis else 1 for d in range(x.type.rank)))
    shape = (*x.type.shape[:axis], count, *x.type.shape[axis + 1 :])
    return build.emit(ops.gather, x, coerce.broadcast_to(build, along, shape), axis=axis)


def _part(ctx: Context, x: Value, axis: int, start: int, stop: int) -> Value:
    """The elements from start up to stop along one axis."""
    shape = x.type.shape
    if (start, stop) == (0, shape[axis]):
        return x
    starts = tuple(start if d == axis else 0 for d in range(len(shape)))
    stops = tuple(stop if d == axis else extent for d, extent in enumerate(shape))
    return ctx.build.emit(ops.slice_, x, starts=starts, stops=stops)


def _picked(ctx: Context, x: Value, axis: int, item: Any) -> Value:
    """One position of an axis, which goes away."""
    shape = x.type.shape
    extent = shape[axis]
    known = static_int(item)
    if known is not None and not isinstance(item, bool):
        if not -extent <= known < extent:
            raise TypeRuleError(f"index {known} is out of range for axis {axis} of {x.type}, which has extent {extent}")
        one = _part(ctx, x, axis, known % extent, known % extent + 1)
        return ctx.build.emit(ops.reshape, one, shape=shape[:axis] + shape[axis + 1 :])
    scalar = isinstance(item, Value) and not item.type.shape
    if not scalar or not item.type.elem.is_int or item.type.elem is i1:
        raise TypeRuleError(
            f"a tile is indexed by ints, slices, None and `...`, got {coerce.describe(item)}", help="for a tile of indices use tl.gather"
        )
    return pick(ctx.build, x, axis, _counted_from_the_front(ctx, item, extent))


def _counted_from_the_front(ctx: Context, at: Value, extent: int) -> Value:
    """A position of the running kernel: a negative one counts from the end."""
    build = ctx.build
    elem = at.type.elem
    assert isinstance(elem, DType)
    wide = coerce.cast(build, at, elem if elem.bits >= 32 else i32)
    if elem.is_signed:
        zero, count = (coerce.constant(build, n, dtype_of(wide.type)) for n in (0, extent))
        wide = build.emit(ops.select, build.emit(ops.lt, wide, zero), build.emit(ops.add, wide, count), wide)
    if ctx.debug:
        limit = coerce.constant(build, extent, dtype_of(wide.type))
        inside = build.emit(ops.lt, wide, limit)
        if elem.is_signed:
            inside = build.emit(ops.and_, inside, build.emit(ops.ge, wide, coerce.constant(build, 0, dtype_of(wide.type))))
        device_assert.function(ctx, inside, f"an index is out of range for an axis of extent {extent}")
    return wide
