"""Functions of scalars applied to every element of tiles."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from . import coerce
from .arrange import pick
from .core import Context, builtin, static_int


@builtin
def map_elementwise(ctx: Context, scalar_fn: Any, *args: Any, pack: int = 1) -> Any:
    """scalar_fn, a jit function with control flow of its own, for every element; one result, or a tuple of several. With
    pack=n it receives n neighbouring elements of each argument at once, and returns n of each result."""
    build = ctx.build
    tiles = coerce.broadcast(build, *(coerce.tensor(build, a) for a in args))
    shape, count = tiles[0].type.shape, static_int(pack)
    if count is None:
        raise TypeRuleError(f"pack is a compile-time int, got {coerce.describe(pack)}")
    if count == 1:
        return _one_or_several(_called(ctx, scalar_fn, list(tiles), shape))
    size = tiles[0].type.size
    require(size % count == 0, f"{size} elements are no multiple of pack={count}")
    split = [column for t in tiles for column in columns(build, t, count)]
    results = _called(ctx, scalar_fn, split, (size // count,))
    require(len(results) % count == 0, f"with pack={count} the function returns {len(results)} values, no multiple of it")
    whole = [woven(build, results[i : i + count]) for i in range(0, len(results), count)]
    return _one_or_several([build.emit(ops.reshape, t, shape=shape) for t in whole])


def _called(ctx: Context, function: Any, tiles: list[Value], shape: tuple[int, ...]) -> list[Value]:
    out = ctx.call_per_lane(function, tiles, shape)
    found = [coerce.tensor(ctx.build, v) for v in (out if isinstance(out, tuple) else (out,))]
    return [coerce.broadcast_to(ctx.build, v, shape) for v in found]


def columns(build: Builder, tile: Value, count: int) -> list[Value]:
    """The first of every `count` neighbouring elements, the second ones, and so on; the tile itself for 1."""
    if count == 1:
        return [tile]
    folded = build.emit(ops.reshape, tile, shape=(tile.type.size // count, count))
    return [pick(build, folded, -1, i) for i in range(count)]


def woven(build: Builder, tiles: list[Value]) -> Value:
    """Tiles of one axis side by side in a new last axis."""
    count = len(tiles)
    shape = (*tiles[0].type.shape, count)
    steps = coerce.broadcast_to(build, build.emit(ops.arange, start=0, stop=count), shape)
    sides = [coerce.broadcast_to(build, build.emit(ops.reshape, t, shape=(*t.type.shape, 1)), shape) for t in tiles]
    total = sides[0]
    for i, column in enumerate(sides[1:], 1):
        here = build.emit(ops.eq, *coerce.broadcast_pair(build, steps, coerce.tensor(build, i)))
        total = build.emit(ops.select, here, column, total)
    return total


def _one_or_several(values: list[Value]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)
