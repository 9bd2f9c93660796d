"""From what users write to operands of one type: literals, promotion, broadcasting; once, for every op."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import NARROW, DType, Pointer, Tile, bf16, dtype_of, f16, f32, f64, i1, i32, i64, u32, u64
from .core import unwrap
from .dtypes import short_name

Number = bool | int | float
LONGEST = 80  # characters of a value in a message
LITERAL_INTS = (i32, u32, i64, u64)
LARGEST_F32, SMALLEST_F32 = 3.4028234663852886e38, 1.1754943508222875e-38


def kind(value: DType | Number) -> int:
    """0 for booleans, 1 for integers, 2 for floats."""
    if isinstance(value, DType):
        return 0 if value is i1 else 2 if value.is_float else 1
    return 0 if isinstance(value, bool) else 2 if isinstance(value, float) else 1


def literal_dtype(number: Number) -> DType:
    """The type of a number that must stand alone: i1; the first of i32, u32, i64, u64 that holds it; f32, or f64 if
    f32 has no normal number for it."""
    if isinstance(number, bool):
        return i1
    if isinstance(number, int):
        for dtype in LITERAL_INTS:
            if fits(number, dtype):
                return dtype
        raise TypeRuleError(f"{number} does not fit any integer type")
    size = abs(number)
    return f32 if size == 0 or not math.isfinite(size) or SMALLEST_F32 <= size <= LARGEST_F32 else f64


def fits(number: int, dtype: DType) -> bool:
    """Whether an integer type holds a number."""
    low = -(1 << dtype.bits - 1) if dtype.is_signed else 0
    return low <= number < 1 << dtype.bits - dtype.is_signed


def constant(build: Builder, number: Number, dtype: DType, shape: Sequence[int] = ()) -> Value:
    """A number as a tile of this type."""
    if not isinstance(number, bool | int | float):
        raise TypeRuleError(f"expected a number, got {describe(number)}")
    value = float(number) if dtype.is_float else int(bool(number)) if dtype is i1 else int(number)
    if isinstance(value, int) and dtype is not i1 and not fits(value, dtype):
        raise TypeRuleError(f"{number} is out of range for type {short_name(dtype)}", help=f"use a wider type than {short_name(dtype)}")
    return build.emit(ops.constant, value=value, type=Tile(dtype, tuple(shape)))


def tensor(build: Builder, value: Any) -> Value:
    """A tile from a tile or from a number, which is typed as if it stood alone."""
    value = unwrap(value)
    if isinstance(value, Value):
        return value
    if isinstance(value, (bool, int, float)):
        return constant(build, value, literal_dtype(value))
    raise TypeRuleError(f"expected a tile or a number, got {describe(value)}")


def describe(value: Any) -> str:
    """What a value is, for a message."""
    value = unwrap(value)
    if isinstance(value, Value):
        return str(value.type)
    shown = " ".join(repr(value).split())
    return "None" if value is None else f"the {type(value).__name__} {shown if len(shown) <= LONGEST else shown[: LONGEST - 4] + ' ...'}"


def no_number(pointer: Value) -> TypeRuleError:
    """That a pointer stands where a number is needed: most often an array was passed for one."""
    name = pointer.name or "p"
    if pointer.type.shape:
        return TypeRuleError(f"a tile of addresses, {pointer.type}, is no tile of numbers", help=f"read what is there: tl.load({name})")
    return TypeRuleError(
        f"`{name}` is an array, {pointer.type}, and stands for the address of its first element: it is no number",
        help=f"pass a number, for example {name}.item(), or read an element: tl.load({name})",
    )


def cast(build: Builder, x: Value, to: DType) -> Value:
    """x in another element type."""
    return x if x.type.elem is to else build.emit(ops.cast, x, to=to)


def promoted(a: DType, b: DType, *, dividing: bool = False) -> DType:
    """The type in which two tiles meet. `dividing` is for / and %, which leave f16 and bf16 for f32."""
    for wide in (f64, f32):
        if wide in (a, b):
            return wide
    if f16 in (a, b):
        return f32 if dividing else f16
    if bf16 in (a, b):
        return bf16 if a is b and not dividing else f32
    if a in NARROW or b in NARROW:
        require(a.is_float and b.is_float, f"{short_name(a)} and {short_name(b)} have no common type", help="convert one with .to(...)")
        return a if a is b else f16
    if a.is_signed == b.is_signed:
        return a if a.bits >= b.bits else b
    unsigned, signed = (b, a) if a.is_signed else (a, b)
    return unsigned if unsigned.bits >= signed.bits else signed


def operands(build: Builder, x: Any, y: Any, *, weak: bool = True, dividing: bool = False) -> tuple[Value, Value]:
    """Two operands as tiles of one type and shape. A number is weak, it takes the type of the tile beside it when its
    kind allows; with weak=False it is typed as if it stood alone."""
    x, y = unwrap(x), unwrap(y)
    a, b = weakened(build, x, y, dividing) if weak else (tensor(build, x), tensor(build, y))
    if isinstance(a.type.elem, Pointer) or isinstance(b.type.elem, Pointer):
        for tile, other in ((a, b), (b, a)):
            if isinstance(tile.type.elem, Pointer) and not isinstance(other.type.elem, Pointer):
                raise no_number(tile)
        require(a.type.elem == b.type.elem, f"operands differ: {a.type}, {b.type}", help="convert one with .to(...)")
        return broadcast_pair(build, a, b)
    to = promoted(dtype_of(a.type), dtype_of(b.type), dividing=dividing)
    return broadcast_pair(build, cast(build, a, to), cast(build, b, to))


def weakened(build: Builder, x: Any, y: Any, dividing: bool = False) -> tuple[Value, Value]:
    """Two operands as tiles, a number beside a tile in that tile's type if its kind is not above it."""

    def beside(number: Any, tile: Value) -> Value:
        elem = tile.type.elem
        if isinstance(number, (bool, int, float)) and isinstance(elem, DType) and kind(number) <= kind(elem):
            to = f32 if dividing and elem in (f16, bf16) else elem
            return constant(build, number, to)
        return tensor(build, number)

    if isinstance(x, Value) == isinstance(y, Value):
        return tensor(build, x), tensor(build, y)
    return (x, beside(y, x)) if isinstance(x, Value) else (beside(x, y), y)


MEETING = "extents meet if they are equal or one of them is 1: x[:, None] adds an axis of 1"


def broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which tiles meet: aligned at the last axis, extents equal or one."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    out = []
    for axis, extents in enumerate(zip(*padded, strict=True)):
        largest = max(extents)
        if any(n not in (1, largest) for n in extents):
            spoken = " and ".join(str(list(s)) for s in dict.fromkeys(shapes))
            raise TypeRuleError(f"cannot broadcast {spoken}: axis {axis} has extents {', '.join(map(str, extents))}", help=MEETING)
        out.append(largest)
    return tuple(out)


def broadcast_to(build: Builder, x: Value, shape: tuple[int, ...]) -> Value:
    """x repeated to a shape, new axes in front."""
    if x.type.shape == shape:
        return x
    if x.type.shape and x.type.rank < len(shape):
        x = build.emit(ops.reshape, x, shape=(1,) * (len(shape) - x.type.rank) + x.type.shape)
    return x if x.type.shape == shape else build.emit(ops.broadcast, x, shape=shape)


def broadcast(build: Builder, *tiles: Value) -> tuple[Value, ...]:
    """Tiles of one shape."""
    shape = broadcast_shape(*(t.type.shape for t in tiles))
    return tuple(broadcast_to(build, t, shape) for t in tiles)


def broadcast_pair(build: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """Two tiles of one shape."""
    a, b = broadcast(build, a, b)
    return a, b


def binary(build: Builder, spec: OpSpec, x: Any, y: Any, *, weak: bool = True) -> Value:
    """An op on two operands that meet in one type."""
    return build.emit(spec, *operands(build, x, y, weak=weak))


def together(build: Builder, values: Sequence[Any], *, weak: bool = True) -> tuple[Value, ...]:
    """Any number of operands as tiles of one type and shape, which meet as two do."""
    met = [unwrap(v) for v in values]
    place = next((i for i, v in enumerate(met) if isinstance(v, Value)), 0)  # a tile, in whose type numbers may be
    met[place] = tensor(build, met[place])
    for _ in range(2):  # the second time, all are of the widest type
        for i in range(len(met)):
            if i != place:
                met[place], met[i] = operands(build, met[place], met[i], weak=weak)
    return broadcast(build, *met)


def condition(build: Builder, x: Value) -> Value:
    """x as i1: whether it is not zero."""
    if isinstance(x.type.elem, Pointer):
        x = build.emit(ops.address, x)
    return cast(build, x, i1)
