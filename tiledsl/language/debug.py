"""What a kernel says while it runs: prints and assertions."""

from __future__ import annotations

import string
from typing import Any

from .. import ops
from ..errors import TypeRuleError
from ..ir.core import Builder, Value
from ..ir.types import DType, Pointer, Tile, f64, i1, i32, i64
from ..messages import CAPACITY, HEADER, RECORD, Message
from ..ops import Atomic
from . import coerce
from .core import Context, beyond, builtin, unwrap
from .reduction import any_of


@builtin
def device_assert(ctx: Context, cond: Any, msg: str = "", mask: Any = None) -> None:
    """Fail the launch unless cond holds in every lane of mask; only compiled with debug=True."""
    if not ctx.debug:
        return
    build = ctx.build
    fails = build.emit(ops.not_, coerce.condition(build, coerce.tensor(build, cond)))
    if unwrap(mask) is not None:
        lanes = coerce.condition(build, coerce.tensor(build, mask))
        fails = build.emit(ops.and_, *coerce.broadcast_pair(build, fails, lanes))
    buffer, number = ctx.message(Message(str(unwrap(msg)), build.loc, is_assertion=True))
    failed = build.nested()
    _put(failed, buffer, failed.emit(ops.constant, value=1, type=Tile(i64)), failed.emit(ops.constant, value=number, type=Tile(i64)))
    failed.emit(ops.yield_)
    passed = build.nested()
    passed.emit(ops.yield_)
    build.emit(ops.if_, any_of(ctx, fails), blocks=[failed.block, passed.block])


@builtin
def expect_zero(ctx: Context, x: Value, mask: Value) -> Value:
    """x, with the promise that it is zero where mask holds; when debugging, the launch fails if it is not."""
    zero = coerce.binary(ctx.build, ops.eq, x, 0, weak=False)
    device_assert.function(ctx, zero, "expected zero", mask)
    return x


OVERFLOWING = {"Add": ops.add, "Sub": ops.sub, "Mult": ops.mul}


def assert_no_overflow(ctx: Context, name: str, x: Any, y: Any) -> None:
    """When debugging, fail the launch if a sum, a difference or a product of integers leaves their type."""
    if name not in OVERFLOWING or not (isinstance(x, Value) or isinstance(y, Value)):
        return
    build = ctx.build
    if any(isinstance(v, Value) and not (isinstance(v.type.elem, DType) and v.type.elem.is_int) for v in (x, y)):
        return
    a, b = coerce.operands(build, x, y)
    elem = a.type.elem
    assert isinstance(elem, DType)
    if not elem.is_int or elem.bits >= 64 or elem is i1:
        return
    exact = build.emit(OVERFLOWING[name], coerce.cast(build, a, i64), coerce.cast(build, b, i64))
    low, high = (-(1 << elem.bits - 1), (1 << elem.bits - 1) - 1) if elem.is_signed else (0, (1 << elem.bits) - 1)
    above = build.emit(ops.ge, exact, coerce.constant(build, low, i64, exact.type.shape))
    below = build.emit(ops.le, exact, coerce.constant(build, high, i64, exact.type.shape))
    device_assert.function(ctx, build.emit(ops.and_, above, below), f"{elem} overflow detected for operation {name.lower()}")


@builtin
def device_print(ctx: Context, prefix: str, *args: Any, hex: bool = False) -> None:
    """Print the elements of tiles when the launch is over: `pid (x, y, z) idx (i, ..) prefix: value`, a line each."""
    text = unwrap(prefix)
    if not isinstance(text, str):
        raise TypeRuleError(f"device_print takes a string first, got {coerce.describe(prefix)}", help='write tl.device_print("x", x)')
    build = ctx.build
    if not all(c in string.printable for c in text):
        beyond(build, f"{text} is not an ascii string", "write it with ASCII letters")
    tiles = [coerce.tensor(build, a) for a in args]
    shapes = tuple((str(t.type.elem), t.type.shape) for t in tiles)
    message = Message(text, build.loc, hex=bool(unwrap(hex)), operands=shapes)
    buffer, number = ctx.message(message)
    length, first = (coerce.constant(build, n, i64) for n in (message.words, 0))
    at = build.emit(ops.atomic_rmw, build.emit(ops.offset, buffer, first), length, kind=Atomic.ADD)
    room = coerce.constant(build, CAPACITY - message.words, i64)
    write, skip = build.nested(), build.nested()
    _record(write, buffer, at, number, tiles)
    write.emit(ops.yield_)
    skip.emit(ops.yield_)
    build.emit(ops.if_, build.emit(ops.le, at, room), blocks=[write.block, skip.block])


def _put(build: Builder, buffer: Value, at: Value, value: Value) -> None:
    build.emit(ops.store, build.emit(ops.offset, buffer, at), value)


def _record(build: Builder, buffer: Value, at: Value, number: int, tiles: list[Value]) -> None:
    """Write one record at a word of the buffer."""

    def later(words: int) -> Value:
        return build.emit(ops.add, at, build.emit(ops.constant, value=HEADER + words, type=Tile(i64)))

    _put(build, buffer, later(0), build.emit(ops.constant, value=number, type=Tile(i64)))
    for axis in range(3):
        _put(build, buffer, later(1 + axis), coerce.cast(build, build.emit(ops.program_id, axis=axis), i64))
    words = RECORD
    for tile in tiles:
        flat = build.emit(ops.reshape, _wide(build, tile), shape=(tile.type.size,))
        steps = coerce.cast(build, build.emit(ops.arange, start=0, stop=tile.type.size), i64)
        places = build.emit(ops.add, *coerce.broadcast_pair(build, later(words), steps))
        build.emit(ops.store, build.emit(ops.offset, *coerce.broadcast_pair(build, buffer, places)), flat)
        words += tile.type.size


def _wide(build: Builder, tile: Value) -> Value:
    """Every element in 64 bits."""
    elem = tile.type.elem
    if isinstance(elem, Pointer):
        return build.emit(ops.address, tile)
    assert isinstance(elem, DType)
    if elem.is_float:
        return build.emit(ops.bitcast, coerce.cast(build, tile, f64), to=i64)
    return coerce.cast(build, coerce.cast(build, tile, i32) if elem is i1 else tile, i64)
