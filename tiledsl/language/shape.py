"""Arranging elements: axes, shapes, order."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Value
from . import coerce
from .core import Context, builtin, method, static_int, unwrap
from .creation import shape_of


def axis_of(axis: Any, rank: int, what: str = "axis") -> int:
    """A compile-time axis, counted from the end if negative."""
    n = static_int(axis)
    if n is None:
        raise TypeRuleError(f"{what} is a compile-time int, got {coerce.describe(axis)}")
    require(-rank <= n < rank, f"invalid {what} {n}. Expected {-rank} <= {what} < {rank}")
    return n % rank


def _varargs(given: tuple[Any, ...]) -> Any:
    """A shape written as one tuple or as several ints."""
    first = unwrap(given[0]) if given else ()
    return first if len(given) == 1 and isinstance(first, (tuple, list)) else given


@method
@builtin
def expand_dims(ctx: Context, input: Any, axis: Any) -> Value:
    """Insert axes of extent one; axes count in the result."""
    tile = coerce.tensor(ctx.build, input)
    axis = unwrap(axis)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = tile.type.rank + len(axes)
    normalized = [axis_of(a, rank) for a in axes]
    new = set(normalized)
    require(len(new) == len(axes), f"expand_dims received duplicate axes, normalized axes = {normalized}")
    old = iter(tile.type.shape)
    return ctx.build.emit(ops.reshape, tile, shape=tuple(1 if d in new else next(old) for d in range(rank)))


@method
@builtin
def broadcast_to(ctx: Context, input: Any, *shape: Any) -> Value:
    """Repeat axes of extent one to reach a shape of the same rank; a scalar fills it."""
    tile, target = coerce.tensor(ctx.build, input), shape_of(ctx.build, _varargs(shape))
    if tile.type.shape and tile.type.rank != len(target):
        raise TypeRuleError(f"cannot broadcast {tile.type} to {list(target)}: the ranks differ", help="add axes first: x[:, None]")
    return coerce.broadcast_to(ctx.build, tile, target)


@builtin
def broadcast(ctx: Context, input: Any, other: Any) -> tuple[Value, Value]:
    """Two tiles in the shape in which they meet."""
    return coerce.broadcast_pair(ctx.build, coerce.tensor(ctx.build, input), coerce.tensor(ctx.build, other))


@method
@builtin
def reshape(ctx: Context, input: Value, *shape: Any, can_reorder: bool = False) -> Value:
    """The same elements in row-major order in another shape."""
    return ctx.build.emit(ops.reshape, input, shape=shape_of(ctx.build, _varargs(shape)))


@method
@builtin
def view(ctx: Context, input: Value, *shape: Any) -> Value:
    """Old name of reshape."""
    return ctx.build.emit(ops.reshape, input, shape=shape_of(ctx.build, _varargs(shape)))


@method
@builtin
def ravel(ctx: Context, x: Value, can_reorder: bool = False) -> Value:
    """All elements in one axis, in row-major order."""
    return ctx.build.emit(ops.reshape, x, shape=(x.type.size,))


@method
@builtin
def trans(ctx: Context, input: Value, *dims: Any) -> Value:
    """Reorder the axes; without an order the last two change places."""
    rank = input.type.rank
    given = _varargs(dims)
    if not given:
        require(rank >= 2, f"trans needs two axes, got {input.type}")
        given = (*range(rank - 2), rank - 1, rank - 2)
    require(len(given) == rank, f"permute dims must have the same length as input shape, got {len(given)} for {input.type}")
    return ctx.build.emit(ops.transpose, input, order=tuple(axis_of(d, rank) for d in given))


@method
@builtin
def permute(ctx: Context, input: Value, *dims: Any) -> Value:
    """Reorder the axes."""
    return trans.function(ctx, input, *dims)


@method
@builtin
def unsqueeze(ctx: Context, x: Value, dim: int) -> Value:
    """Insert an axis of extent one."""
    return expand_dims.function(ctx, x, dim)


@method
@builtin
def squeeze(ctx: Context, x: Value, dim: int) -> Value:
    """Drop an axis of extent one."""
    axis = axis_of(dim, x.type.rank, "dim")
    require(x.type.shape[axis] == 1, f"squeeze of axis {axis} of {x.type}: its extent is not one")
    return ctx.build.emit(ops.reshape, x, shape=x.type.shape[:axis] + x.type.shape[axis + 1 :])


@method
@builtin
def item(ctx: Context, x: Value) -> Value:
    """The one element of a tile, as a scalar."""
    require(x.type.size == 1, f"item takes one element, got {x.type}")
    return ctx.build.emit(ops.reshape, x, shape=()) if x.type.shape else x
