"""The memory accesses of random programs: always in bounds, never racing between programs, of every form users write.

There are three kinds of buffers. Inputs are only read, anywhere. Of a `state` buffer each program reads and writes a
slice of its own, in any order and through the same pointer. A `shared` buffer only sees atomics that commute, whose
old values are dropped. What a program computed goes to `out` buffers, which are only written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from .. import ops
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import NARROW, DType, Pointer, Tile, i1, i32, i64, u32
from .cases import Array
from .values import arrays

if TYPE_CHECKING:  # programs draws from this file
    from .programs import Author, Scope


LARGEST = 640  # elements of a plain buffer, as many as a tile may have


@dataclass
class Pending:
    """An array argument whose contents are drawn when the kernel is written, so that they shrink on their own."""

    name: str
    dtype: DType
    size: int
    aligned: bool
    filled: bool = True

    def contents(self) -> st.SearchStrategy[Array]:
        zeros = st.just(np.zeros(self.size, self.dtype.storage))
        return (arrays(self.dtype, self.size) if self.filled else zeros).map(
            lambda stored: Array(self.name, self.dtype, stored, self.aligned)
        )


@dataclass(frozen=True)
class Place:
    """Elements a scope may touch: `size` of them from element 0 of a scalar pointer."""

    base: Value
    dtype: DType
    size: int


class Buffers:
    """The pointer parameters of a kernel, made when first needed."""

    def __init__(self, author: Author):
        self.author = author
        self.places: dict[tuple[str, DType], Place] = {}
        self.outputs: dict[DType, tuple[Value, Pending]] = {}
        self.number: Value | None = None  # which program this is, counted in one number
        self.entry = 0  # how many ops at the start of the kernel compute that, and slices

    def input(self, dtype: DType) -> Place:
        """A buffer that is only read."""
        return self._place(f"in_{dtype}", dtype, [64, 16, 1, 33, 100, 7, 256], sliced=False)

    def state(self, dtype: DType) -> Place:
        """This program's slice of a buffer that is read and written."""
        return self._place(f"state_{dtype}", dtype, [64, 16, 33, 7], sliced=True)

    def shared(self, dtype: DType) -> Place:
        """A buffer that all programs update."""
        return self._place(f"shared_{dtype}", dtype, [1, 8, 40], sliced=False)

    def _place(self, name: str, dtype: DType, sizes: Sequence[int], sliced: bool) -> Place:
        key = (name, dtype)
        if key not in self.places:
            author = self.author
            size = author.pick(sizes) if author.wild else max(LARGEST, sizes[0])
            pending = Pending(name, dtype, size * (author.programs if sliced else 1), author.chance(2))
            base = self._pointer(pending)
            if sliced and author.programs > 1:
                base = self._slice(base, size)
            self.places[key] = Place(base, dtype, size)
        return self.places[key]

    def _pointer(self, pending: Pending) -> Value:
        return self.author.param(pending.name, Tile(Pointer(pending.dtype)), pending, 16 if pending.aligned else 1)

    def _slice(self, base: Value, size: int) -> Value:
        """Where this program's elements start; computed at the start of the kernel, so that every block sees it."""
        number = self.program()

        def write(build: Builder) -> Value:
            start = build.emit(ops.mul, number, build.emit(ops.constant, value=size, type=Tile(i32)))
            sliced: Value = build.emit(ops.offset, base, start)
            return sliced

        return self._at_entry(write)

    def program(self) -> Value:
        """The number of this program."""
        if self.number is None:
            self.number = self._at_entry(lambda build: program_number(build, self.author.grid))
        return self.number

    def _at_entry(self, write: Callable[[Builder], Value]) -> Value:
        body = self.author.body
        late = body.ops[self.entry :]
        del body.ops[self.entry :]
        made = write(Builder(body))
        self.entry = len(body.ops)
        body.ops += late
        return made

    def output(self, dtype: DType, size: int) -> tuple[Value, int]:
        """A pointer and the element from which all programs together may write `size` elements each."""
        if dtype not in self.outputs:
            pending = Pending(f"out_{dtype}", dtype, 0, self.author.chance(2), filled=False)
            self.outputs[dtype] = self._pointer(pending), pending
        base, pending = self.outputs[dtype]
        start = pending.size
        pending.size += size * self.author.programs
        return base, start


def program_number(build: Builder, grid: tuple[int, int, int]) -> Value:
    """The place of a program in its grid, counted in one number."""
    x: Value = build.emit(ops.program_id, axis=0)
    if grid[1] == grid[2] == 1:
        return x
    y: Value = build.emit(ops.program_id, axis=1)
    if grid[2] > 1:
        z = build.emit(ops.program_id, axis=2)
        y = build.emit(ops.add, y, build.emit(ops.mul, z, build.emit(ops.num_programs, axis=1)))
    out: Value = build.emit(ops.add, x, build.emit(ops.mul, y, build.emit(ops.num_programs, axis=0)))
    return out


# --- which elements: a tile of indices, and the range they are known to lie in


@dataclass(frozen=True)
class Index:
    """Element numbers and what bounds them; `start` is added to the pointer, `rest` is a tile of the access's shape."""

    whole: Value  # all of it as one tile
    rest: Value | None  # without the start, if there is one
    start: Value | None
    low: int
    high: int


def affine(scope: Scope, shape: tuple[int, ...]) -> Index:
    """A start plus a stride along each axis, written as users write it."""
    if not scope.author.wild:
        return _plain(scope, shape)
    dtype = scope.pick([i32, i64])
    rest, low, high = _ramp(scope, shape, dtype)
    start, first, last = _start(scope, dtype)
    if start is None:
        return Index(rest, None, None, low, high)
    spread = scope.emit(ops.broadcast, start, shape=shape) if shape else start
    whole = scope.emit(ops.add, spread, rest) if scope.chance(2) else scope.emit(ops.add, rest, spread)
    return Index(whole, rest, start, *_reached(dtype, low + first, high + last))


def _reached(dtype: DType, low: int, high: int) -> tuple[int, int]:
    """What a sum may be that would lie between these: anything, if it can wrap around."""
    info = np.iinfo(dtype.numpy)
    least, most = int(info.min), int(info.max)
    return (low, high) if least <= low and high <= most else (least, most)


def _plain(scope: Scope, shape: tuple[int, ...]) -> Index:
    """The first elements, in order."""
    if not shape:
        return Index(scope.constant(Tile(i32), 0), None, None, 0, 0)
    size = int(np.prod(shape))
    lanes = _arange(scope, size, i32)
    return Index(lanes if len(shape) == 1 else scope.emit(ops.reshape, lanes, shape=shape), None, None, 0, size - 1)


def _ramp(scope: Scope, shape: tuple[int, ...], dtype: DType) -> tuple[Value, int, int]:
    if not shape:
        return scope.constant(Tile(dtype), 0), 0, 0
    size = int(np.prod(shape))
    if len(shape) == 1 or scope.chance(2):  # row-major, all at once
        flat = _arange(scope, size, dtype)
        return (flat if len(shape) == 1 else scope.emit(ops.reshape, flat, shape=shape)), 0, size - 1
    total, low, high = None, 0, 0
    stride = 1
    for axis in reversed(range(len(shape))):
        step = scope.pick([stride, 1, 0, stride + 1, -1])
        along = tuple(n if d == axis else 1 for d, n in enumerate(shape))
        lanes = _arange(scope, shape[axis], dtype)
        if scope.chance(2):  # scaled before it is spread
            lanes = scope.emit(ops.mul, lanes, scope.emit(ops.broadcast, scope.integer(step, dtype), shape=(shape[axis],)))
            term = scope.emit(ops.broadcast, scope.emit(ops.reshape, lanes, shape=along), shape=shape)
        else:
            term = scope.emit(ops.broadcast, scope.emit(ops.reshape, lanes, shape=along), shape=shape)
            term = scope.emit(ops.mul, term, scope.emit(ops.broadcast, scope.integer(step, dtype), shape=shape))
        total = term if total is None else scope.emit(ops.add, total, term)
        low, high = low + min(0, step * (shape[axis] - 1)), high + max(0, step * (shape[axis] - 1))
        stride *= shape[axis]
    assert total is not None
    return total, low, high


def _arange(scope: Scope, count: int, dtype: DType) -> Value:
    lanes: Value = scope.emit(ops.arange, start=0, stop=count)
    return lanes if dtype is i32 else scope.emit(ops.cast, lanes, to=dtype)


def _start(scope: Scope, dtype: DType) -> tuple[Value | None, int, int]:
    """Nothing, a known number, the program's number, a loop index or any integer; each perhaps times a step."""
    known = [v for v in scope.ranges if v.type == Tile(dtype)]
    unknown = [v for v in scope.pool if v.type == Tile(dtype) and v not in scope.ranges]
    kind = scope.pick(["none", "number", "program", *["known"] * bool(known), *["any"] * bool(unknown)])
    if kind == "none":
        return None, 0, 0
    if kind == "number":
        number = scope.pick([1, 4, 16, -1])
        return scope.integer(number, dtype), number, number
    if kind == "any":
        info = np.iinfo(dtype.numpy)
        return scope.pick(unknown[::-1]), int(info.min), int(info.max)
    if kind == "program":
        base, low, high = scope.emit(ops.program_id, axis=0), 0, scope.author.grid[0] - 1
        base = base if dtype is i32 else scope.emit(ops.cast, base, to=dtype)
    else:
        base = scope.pick(known[::-1])
        low, high = scope.ranges[base]
    step = scope.pick([1, 4, 16, 7])
    if step == 1 or max(-low, high) > 1000:
        return base, low, high
    return scope.emit(ops.mul, base, scope.integer(step, dtype)), low * step, high * step


def gathered(scope: Scope, shape: tuple[int, ...], size: int) -> Value:
    """Any integers, brought into bounds."""
    wild = scope.value(Tile(i32, shape))
    bound = scope.constant(Tile(u32, shape), size)
    within: Value = scope.emit(ops.rem, scope.emit(ops.cast, wild, to=u32), bound)
    return scope.emit(ops.cast, within, to=scope.pick([i64, i32])) if scope.chance(2) else within


# --- pointers and masks


def access(scope: Scope, place: Place, shape: tuple[int, ...], scattered: bool) -> tuple[Value, Value | None]:
    """Pointers into a place, and a mask that keeps them there if one is needed."""
    if scattered:
        pointers = scope.emit(ops.offset, _spread(scope, place.base, shape), gathered(scope, shape, place.size))
        return pointers, _any_mask(scope, shape) if scope.chance(2) else None
    index = affine(scope, shape)
    base = place.base
    if index.start is not None and index.rest is not None and scope.chance(2):
        base = scope.emit(ops.offset, base, index.start)
        pointers = scope.emit(ops.offset, _spread(scope, base, shape), index.rest)
    else:
        pointers = scope.emit(ops.offset, _spread(scope, base, shape), index.whole)
    return pointers, bounds(scope, index.whole, index.low, index.high, place.size)


def _spread(scope: Scope, base: Value, shape: tuple[int, ...]) -> Value:
    return scope.emit(ops.broadcast, base, shape=shape) if shape else base


def bounds(scope: Scope, index: Value, low: int, high: int, size: int) -> Value | None:
    """A mask where it is needed, or where one is drawn for no need."""
    elem = index.type.elem
    assert isinstance(elem, DType)
    mask: Value | None = None
    if not scope.author.wild and low >= 0 and high < size:
        return _any_mask(scope, index.type.shape) if scope.chance(6) else None
    if low < 0 or scope.chance(6):
        mask = scope.emit(ops.ge, index, _filled(scope, index.type, 0))
    if high >= size or scope.chance(4):
        limit = size if high >= size else scope.pick([size, max(high, 0), 5, 0])
        below = scope.emit(ops.lt, index, _filled(scope, index.type, limit))
        mask = below if mask is None else scope.emit(ops.and_, mask, below)
    if scope.chance(5):
        wild = _any_mask(scope, index.type.shape)
        mask = wild if mask is None else scope.emit(ops.and_, wild, mask)
    return mask


def _filled(scope: Scope, tile: Tile, value: int) -> Value:
    elem = tile.elem
    assert isinstance(elem, DType)
    if not tile.shape or scope.chance(2):
        return scope.constant(tile, value)
    filled: Value = scope.emit(ops.broadcast, scope.integer(value, elem), shape=tile.shape)
    return filled


def _any_mask(scope: Scope, shape: tuple[int, ...]) -> Value:
    return scope.value(Tile(i1, shape))


# --- statements


def load(scope: Scope, tile: Tile, scattered: bool = False) -> Value:
    """A value of this type, from an input or from the program's state."""
    buffers = scope.author.buffers
    assert isinstance(tile.elem, DType)
    place = buffers.state(tile.elem) if scope.chance(4) else buffers.input(tile.elem)
    return load_from(scope, place, tile.shape, scattered)


def load_from(scope: Scope, place: Place, shape: tuple[int, ...], scattered: bool) -> Value:
    pointers, mask = access(scope, place, shape, scattered)
    return read(scope, place.dtype, pointers, mask)


def read(scope: Scope, dtype: DType, pointers: Value, mask: Value | None) -> Value:
    """A load, with a value for masked lanes if one is drawn."""
    operands = [pointers]
    if mask is not None:
        operands.append(mask)
        if scope.chance(2):
            tile = pointers.type.like(dtype)
            alike = [v for v in scope.pool if v.type == tile]
            operands.append(scope.pick(alike) if alike and scope.chance(2) else scope.constant(tile, scope.pick([0, 1])))
    loaded: Value = scope.emit(ops.load, *operands)
    return loaded


def _scattered_load(scope: Scope) -> list[Value]:
    return [load(scope, scope.pick(scope.author.palette), scattered=True)]


def _affine_load(scope: Scope) -> list[Value]:
    return [load(scope, scope.pick(scope.author.palette))]


def _state(scope: Scope) -> tuple[Place, Tile]:
    tile = scope.pick(scope.author.palette)
    assert isinstance(tile.elem, DType)
    return scope.author.buffers.state(tile.elem), tile


def _store(scope: Scope) -> list[Value]:
    """Write to the program's state, perhaps several lanes to one element."""
    place, tile = _state(scope)
    value = scope.value(tile)
    pointers, mask = access(scope, place, tile.shape, scattered=scope.chance(3))
    scope.emit(ops.store, pointers, value, *([] if mask is None else [mask]))
    return []


def _update(scope: Scope) -> list[Value]:
    """Read, compute, write back through the same pointers, and read again."""
    place, tile = _state(scope)
    pointers, mask = access(scope, place, tile.shape, scattered=scope.chance(3))
    old = read(scope, place.dtype, pointers, mask)
    scope.keep([old])
    scope.statement()
    scope.emit(ops.store, pointers, scope.value(tile), *([] if mask is None else [mask]))
    again = scope.pick(["no", "same", "other"])
    if again == "same":
        return [read(scope, place.dtype, pointers, mask)]
    return [load_from(scope, place, tile.shape, False)] if again == "other" else []


ATOMIC = [ops.Atomic.ADD, ops.Atomic.MAX, ops.Atomic.MIN, ops.Atomic.XOR, ops.Atomic.OR, ops.Atomic.AND]


def _atomic(scope: Scope) -> list[Value]:
    """An atomic on the program's own state, where the old value is known, or on what all programs share."""
    place, tile = _state(scope)
    assert isinstance(tile.elem, DType)
    if tile.elem in NARROW:
        return []
    if tile.elem.is_int and scope.chance(2):
        place = scope.author.buffers.shared(tile.elem)
        kinds = ATOMIC
    else:
        kinds = ([*ATOMIC] if tile.elem.is_int else ATOMIC[:3]) + [ops.Atomic.XCHG]
    value = scope.value(tile)
    pointers, mask = access(scope, place, tile.shape, scattered=scope.chance(2))
    old = scope.emit(ops.atomic_rmw, pointers, value, *([] if mask is None else [mask]), kind=scope.pick(kinds))
    return [] if place.base.name.startswith("shared") else [old]


def _compare_and_swap(scope: Scope) -> list[Value]:
    """Bits that are compared are never those of a NaN, which are not defined."""
    tile = scope.pick([t for t in scope.author.palette if t.elem is not i1] or [Tile(i32, scope.pick(scope.author.shapes))])
    assert isinstance(tile.elem, DType)
    place = scope.author.buffers.state(tile.elem)
    pointers = scope.emit(ops.offset, _spread(scope, place.base, tile.shape), gathered(scope, tile.shape, place.size))
    return [scope.emit(ops.atomic_cas, pointers, scope.defined(scope.value(tile)), scope.value(tile))]


def _by_address(scope: Scope) -> list[Value]:
    """How far pointers lie from the start, in bytes, and a load through pointers made from that."""
    tile = scope.pick(scope.author.palette)
    assert isinstance(tile.elem, DType)
    place = scope.author.buffers.input(tile.elem)
    pointers, mask = access(scope, place, tile.shape, scattered=scope.chance(2))
    start = _spread(scope, scope.emit(ops.address, place.base), tile.shape)
    distance = scope.emit(ops.sub, scope.emit(ops.address, pointers), start)
    again = scope.emit(ops.pointer, scope.emit(ops.add, start, distance), to=tile.elem)
    return [distance, read(scope, tile.elem, again, mask)]


def store_out(scope: Scope, value: Value) -> None:
    """Make a value visible: write it where nothing else is written."""
    dtype, shape, size = value.type.elem, value.type.shape, value.type.size
    assert isinstance(dtype, DType)
    base, start = scope.author.buffers.output(dtype, size)
    where: Any = None
    if scope.author.programs > 1:
        where = scope.author.buffers.program()
        if size > 1:
            where = scope.emit(ops.mul, where, scope.constant(Tile(i32), size))
    if start:
        first = scope.constant(Tile(i32), start)
        where = first if where is None else scope.emit(ops.add, where, first)
    at = base if where is None else scope.emit(ops.offset, base, where)
    if shape:
        lanes = _arange(scope, size, i32)
        lanes = lanes if len(shape) == 1 else scope.emit(ops.reshape, lanes, shape=shape)
        at = scope.emit(ops.offset, scope.emit(ops.broadcast, at, shape=shape), lanes)
    scope.emit(ops.store, at, value)


ACTIONS: list[tuple[OpSpec, Callable[[Any], list[Value]]]] = [
    (ops.load, _affine_load),
    (ops.store, _store),
    (ops.store, _update),
    (ops.load, _scattered_load),
    (ops.atomic_rmw, _atomic),
    (ops.atomic_cas, _compare_and_swap),
    (ops.address, _by_address),
    (ops.pointer, _by_address),
]
