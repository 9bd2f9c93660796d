"""Python's operators on tiles, with Triton's types and C's integer rules."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import DType, Pointer, dtype_of, f32, i1, i8, i16, i32, i64
from .coerce import binary, broadcast_pair, cast, describe, no_number, operands, promoted, tensor, weakened
from .core import is_tensor, unwrap
from .dtypes import short_name


def _plus(build: Builder, x: Any, y: Any) -> Value:
    for pointer, by in ((x, y), (y, x)):
        if _is_pointer(pointer):
            return _offset(build, pointer, by, "+")
    return binary(build, ops.add, x, y)


def _minus(build: Builder, x: Any, y: Any) -> Value:
    if _is_pointer(x):
        by = tensor(build, y)
        require(by.type.elem.is_int, f"cannot subtract {by.type} from {x.type}")
        return _offset(build, x, build.emit(ops.neg, by), "-")
    require(not _is_pointer(y), "a pointer cannot be subtracted")
    return binary(build, ops.sub, x, y)


def _is_pointer(value: Any) -> bool:
    return is_tensor(value) and isinstance(value.type.elem, Pointer)


def _offset(build: Builder, pointer: Value, by: Any, sign: str) -> Value:
    number = tensor(build, by)
    require(number.type.elem.is_int, f"cannot compute {pointer.type} {sign} {number.type}", help="offset a pointer by an integer")
    return build.emit(ops.offset, *broadcast_pair(build, pointer, number))


def _times(build: Builder, x: Any, y: Any) -> Value:
    return binary(build, ops.mul, x, y)


def _divide(build: Builder, x: Any, y: Any) -> Value:
    a, b = weakened(build, unwrap(x), unwrap(y), dividing=True)
    if a.type.elem.is_int and b.type.elem.is_int and i1 not in (a.type.elem, b.type.elem):
        _require_one_signedness("/", a, b)
    to = promoted(dtype_of(a.type), dtype_of(b.type), dividing=True)
    to = to if to.is_float else f32
    return build.emit(ops.div, *broadcast_pair(build, cast(build, a, to), cast(build, b, to)))


def _require_one_signedness(symbol: str, a: Value, b: Value) -> None:
    mixed = f"Cannot use {symbol} on {a.type} and {b.type} because they have different signedness"
    require(a.type.elem.is_signed == b.type.elem.is_signed, mixed, help="convert one of them with .to(...)")


def _integers(symbol: str, spec: OpSpec, *, floats: bool = False) -> Callable[..., Value]:
    """An operator on integers; % also takes floats. Mixed signedness has no quotient."""

    def apply(build: Builder, x: Any, y: Any) -> Value:
        x, y = unwrap(x), unwrap(y)
        a, b = weakened(build, x, y, dividing=True)
        for tile in (a, b):
            if isinstance(tile.type.elem, Pointer):
                raise no_number(tile)
        if (a.type.elem.is_float or b.type.elem.is_float) and not floats:
            raise TypeRuleError(f"`{symbol}` takes integers, got {a.type} and {b.type}", help="use `/`, or convert with .to(tl.int32)")
        if a.type.elem.is_int and b.type.elem.is_int:
            _require_one_signedness(symbol, a, b)
        return build.emit(spec, *operands(build, x, y, dividing=True))

    return apply


INTEGERS = "convert with x.to(tl.int32); the bits of a float are x.to(tl.int32, bitcast=True)"


def _bits(symbol: str, spec: OpSpec) -> Callable[..., Value]:
    def apply(build: Builder, x: Any, y: Any) -> Value:
        a, b = operands(build, x, y)
        for tile in (a, b):
            require(tile.type.elem.is_int, f"invalid operands of type {a.type} and {b.type}: `{symbol}` takes integers", help=INTEGERS)
        return build.emit(spec, a, b)

    return apply


def _shift_right(build: Builder, x: Any, y: Any) -> Value:
    """Copies the sign if the left operand is signed, whatever type it meets the other in."""
    left = unwrap(x)
    signed = isinstance(left, int) or isinstance(left, Value) and left.type.elem.is_signed
    a, b = operands(build, x, y)
    require(a.type.elem.is_int, f"invalid operands of type {a.type} and {b.type}: `>>` takes integers", help=INTEGERS)
    elem = dtype_of(a.type)
    if not signed or elem.is_signed or elem is i1:
        return build.emit(ops.shr, a, b)
    same_bits = SIGNED[elem.bits]
    shifted = build.emit(ops.shr, *(build.emit(ops.cast, v, to=same_bits) for v in (a, b)))
    return build.emit(ops.cast, shifted, to=elem)


SIGNED = {8: i8, 16: i16, 32: i32, 64: i64}


def _compare(spec: OpSpec) -> Callable[..., Value]:
    def apply(build: Builder, x: Any, y: Any) -> Value:
        return binary(build, spec, x, y, weak=False)

    return apply


BINARY: dict[str, tuple[Callable[..., Value] | None, Callable[[Any, Any], Any]]] = {
    # AST class: on tiles, on compile-time values
    "Add": (_plus, operator.add),
    "Sub": (_minus, operator.sub),
    "Mult": (_times, operator.mul),
    "Div": (_divide, operator.truediv),
    "FloorDiv": (_integers("//", ops.idiv), operator.floordiv),
    "Mod": (_integers("%", ops.rem, floats=True), operator.mod),
    "BitAnd": (_bits("&", ops.and_), operator.and_),
    "BitOr": (_bits("|", ops.or_), operator.or_),
    "BitXor": (_bits("^", ops.xor), operator.xor),
    "LShift": (_bits("<<", ops.shl), operator.lshift),
    "RShift": (_shift_right, operator.rshift),
    "Eq": (_compare(ops.eq), operator.eq),
    "NotEq": (_compare(ops.ne), operator.ne),
    "Lt": (_compare(ops.lt), operator.lt),
    "LtE": (_compare(ops.le), operator.le),
    "Gt": (_compare(ops.gt), operator.gt),
    "GtE": (_compare(ops.ge), operator.ge),
}


SYMBOLS = dict(zip(BINARY, "+ - * / // % & | ^ << >> == != < <= > >=".split(), strict=True))
TAKEN = "look at what the names stand for: tl.static_print(...) shows it while compiling"


def apply_binary(build: Builder, name: str, x: Any, y: Any) -> Any:
    """An operator by its AST class name; computed by Python when no operand is a tile."""
    on_tiles, on_values = BINARY.get(name, (None, operator.pow))
    x, y = unwrap(x), unwrap(y)
    if not is_tensor(x) and not is_tensor(y):
        try:
            return on_values(x, y)
        except TypeError:
            help = (
                "ask first: `if x is not None:` on a tl.constexpr, or on an argument that may be None" if x is None or y is None else TAKEN
            )
            spoken = f"`{SYMBOLS.get(name, '**')}` takes numbers and tiles, got {describe(x)} and {describe(y)}"
            raise TypeRuleError(spoken, help=help) from None
    if on_tiles is None:
        raise TypeRuleError("`**` takes compile-time numbers", help="use libdevice.pow, or multiply")
    return on_tiles(build, x, y)


ON_VALUES: dict[str, Callable[[Any], Any]] = {
    "USub": operator.neg,
    "UAdd": operator.pos,
    "Invert": operator.invert,
    "Not": operator.not_,
}


def apply_unary(build: Builder, name: str, x: Any) -> Any:
    """A unary operator by its AST class name."""
    x = unwrap(x)
    if not is_tensor(x):
        try:
            return ON_VALUES[name](x)
        except TypeError as error:
            raise TypeRuleError(str(error)) from None
    if isinstance(x.type.elem, Pointer):
        raise no_number(x)
    if name == "USub":
        return build.emit(ops.neg, x)
    if name == "Invert":
        require(x.type.elem.is_int, f"`~` takes integers, got {x.type}", help=INTEGERS)
        return build.emit(ops.not_, x)
    if name == "Not":
        return build.emit(ops.not_, logical(x, "not"))
    return x


def logical(x: Value, symbol: str) -> Value:
    """An operand of and, or, not: it must be int1."""
    spoken = short_name(x.type.elem) if isinstance(x.type.elem, DType) else str(x.type)
    require(x.type.elem is i1, f"`{symbol}` takes int1, got {spoken}", help="compare it first: x != 0")
    return x


def apply_logical(build: Builder, symbol: str, x: Value, y: Value) -> Value:
    """`and` or `or` of two tiles, both computed."""
    pair = broadcast_pair(build, logical(x, symbol), logical(y, symbol))
    return build.emit(ops.and_ if symbol == "and" else ops.or_, *pair)
