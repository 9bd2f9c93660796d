"""Elementwise ops as LLVM code: one rule per op, the same for scalars and for vectors of any width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiledsl.ir.types import Pointer, bf16, f16, f64, i1, i32, i64

from .emit import Builder
from .types import NARROW, Kind, decoded, encoded, is_float, odd_float, rounded, vector

# a rule: (builder, kinds of the operands, kind of the result, operands, attributes) -> result
Rule = Callable[[Builder, "tuple[Kind, ...]", Kind, "tuple[str, ...]", Mapping[str, Any]], str]


def elementwise(b: Builder, name: str, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    """One op on registers."""
    return RULES[name](b, kinds, result, operands, attrs)


def _arithmetic(floats: str | None, ints: str | None) -> Rule:
    """A machine instruction; narrow floats round afterwards."""

    def rule(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
        name = floats if is_float(result.elem) else ints
        return rounded(b, result, b.value(f"{name} {result.text} {', '.join(operands)}"))

    return rule


def _intrinsic(name: str, rounds: bool = False) -> Rule:
    """An LLVM intrinsic on floats."""

    def rule(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
        value = b.call(result.text, f"llvm.{name}.{result.suffix}", *((result.text, x) for x in operands))
        return rounded(b, result, value) if rounds else value

    return rule


def _negative(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    (x,) = operands
    return b.value(f"fneg {result.text} {x}" if is_float(result.elem) else f"sub {result.text} {result.constant(0)}, {x}")


def _absolute(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    (x,) = operands
    if is_float(result.elem):
        return b.call(result.text, f"llvm.fabs.{result.suffix}", (result.text, x))
    return b.call(result.text, f"llvm.abs.{result.suffix}", (result.text, x), ("i1", "false")) if result.elem.is_signed else x


def _extreme(floats: str, ints: str) -> Rule:
    """maximum and minimum: of floats an intrinsic with the right NaN and zero, of integers by signedness."""

    def rule(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
        if is_float(result.elem):
            name = floats
        elif result.elem is i1:
            return b.value(f"{'or' if ints == 'max' else 'and'} {result.text} {', '.join(operands)}")
        else:
            name = ("s" if result.elem.is_signed else "u") + ints
        return b.call(result.text, f"llvm.{name}.{result.suffix}", *((result.text, x) for x in operands))

    return rule


# --- integer division, defined for all operands


def _divide(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    x, y = operands
    if result.elem is i1:
        return _without(b, result, x, y, "or")
    zero, quotient = _safe_division(b, result, x, y, "div")
    if not zero:
        return quotient
    ones = result.constant(-1 if result.elem.is_signed else (1 << result.elem.bits) - 1)
    return b.value(f"select {result.mask} {zero}, {result.text} {ones}, {result.text} {quotient}")


def _remainder(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    x, y = operands
    if is_float(result.elem):
        return b.value(f"frem {result.text} {x}, {y}")  # exact, so narrow floats need no rounding
    if result.elem is i1:
        return _without(b, result, x, y, "and")
    zero, left = _safe_division(b, result, x, y, "rem")
    return left if not zero else b.value(f"select {result.mask} {zero}, {result.text} {x}, {result.text} {left}")


def _without(b: Builder, kind: Kind, x: str, y: str, name: str) -> str:
    """x or not y, x and not y: what division and shifts are for one bit."""
    return b.value(f"{name} {kind.text} {x}, {b.value(f'xor {kind.text} {y}, {kind.constant(1)}')}")


def _safe_division(b: Builder, kind: Kind, x: str, y: str, name: str) -> tuple[str, str]:
    """(y == 0, x op y), dividing by 1 where the processor would trap; no condition for a constant that is positive."""
    if not y.startswith("%") and _in_range(y, 1 << 63) and y != kind.constant(0):
        return "", b.value(f"{'s' if kind.elem.is_signed else 'u'}{name} {kind.text} {x}, {y}")
    one = kind.constant(1)
    zero = b.value(f"icmp eq {kind.text} {y}, {kind.constant(0)}")
    bad = zero
    if kind.elem.is_signed:
        lowest = b.value(f"icmp eq {kind.text} {x}, {kind.constant(-(1 << kind.elem.bits - 1))}")
        minus = b.value(f"icmp eq {kind.text} {y}, {kind.constant(-1)}")
        bad = b.value(f"or {kind.mask} {zero}, {b.value(f'and {kind.mask} {lowest}, {minus}')}")
    divisor = b.value(f"select {kind.mask} {bad}, {kind.text} {one}, {kind.text} {y}")
    return zero, b.value(f"{'s' if kind.elem.is_signed else 'u'}{name} {kind.text} {x}, {divisor}")


# --- bits


def _not(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    return b.value(f"xor {result.text} {operands[0]}, {result.constant(1 if result.elem is i1 else -1)}")


def _shift_left(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    return _shift(b, result, operands, "shl")


def _shift_right(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    x, y = operands
    if not result.elem.is_signed:
        return _shift(b, result, operands, "lshr")
    if _in_range(y, result.elem.bits):
        return b.value(f"ashr {result.text} {x}, {y}")
    most = result.constant(result.elem.bits - 1)
    amount = b.call(result.text, f"llvm.umin.{result.suffix}", (result.text, y), (result.text, most))
    return b.value(f"ashr {result.text} {x}, {amount}")


def _shift(b: Builder, kind: Kind, operands: tuple[str, ...], name: str) -> str:
    """Shift by an amount taken as unsigned; past the width everything is gone."""
    x, y = operands
    if kind.elem is i1:
        return _without(b, kind, x, y, "and")
    if _in_range(y, kind.elem.bits):
        return b.value(f"{name} {kind.text} {x}, {y}")
    inside = b.value(f"icmp ult {kind.text} {y}, {kind.constant(kind.elem.bits)}")
    # shifting by too much is poison, which a select that does not choose it keeps away
    return b.value(f"select {kind.mask} {inside}, {kind.text} {b.value(f'{name} {kind.text} {x}, {y}')}, {kind.text} {kind.constant(0)}")


def _in_range(amount: str, bits: int) -> bool:
    """Whether an operand is a constant from 0 up to a number of bits."""
    number = amount.rpartition(" ")[2].rstrip(")")
    return not amount.startswith("%") and number.isdigit() and int(number) < bits


def _multiply_high(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    bits = result.elem.bits
    wide = vector(f"i{2 * bits}", result.lanes)
    x, y = (b.value(f"zext {result.text} {v} to {wide}") for v in operands)
    amount = f"splat (i{2 * bits} {bits})" if result.lanes else str(bits)
    high = b.value(f"lshr {wide} {b.value(f'mul {wide} {x}, {y}')}, {amount}")
    return b.value(f"trunc {wide} {high} to {result.text}")


# --- comparison and choice

COMPARE = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


def _compare(name: str) -> Rule:
    def rule(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
        kind = kinds[0]
        x, y = operands
        if is_float(kind.elem):
            return b.value(f"fcmp {COMPARE[name]} {kind.text} {x}, {y}")
        # addresses compare as the signed integers that carry them
        sign = "" if name in ("eq", "ne") else "s" if kind.elem.is_signed or isinstance(kind.elem, Pointer) else "u"
        return b.value(f"icmp {sign}{name} {kind.text} {x}, {y}")

    return rule


def _select(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    c, x, y = operands
    return b.value(f"select {kinds[0].text} {c}, {result.text} {x}, {result.text} {y}")


# --- conversions


def _cast(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    (source,), (x,) = kinds, operands
    if source.elem is result.elem:
        return x
    if result.elem is i1:
        return _not_zero(b, source, x)
    if is_float(source.elem):
        return _resized(b, source, result, x) if is_float(result.elem) else _saturated(b, source, result, x)
    if is_float(result.elem):
        name = "sitofp" if source.elem.is_signed else "uitofp"
        return rounded(b, result, b.value(f"{name} {source.text} {x} to {result.text}"))
    if result.elem.bits == source.elem.bits:
        return x
    name = "trunc" if result.elem.bits < source.elem.bits else "sext" if source.elem.is_signed else "zext"
    return b.value(f"{name} {source.text} {x} to {result.text}")


def _not_zero(b: Builder, kind: Kind, x: str) -> str:
    if is_float(kind.elem):
        return b.value(f"fcmp une {kind.text} {x}, {kind.constant(0.0)}")
    return b.value(f"icmp ne {kind.text} {x}, {kind.constant(0)}")


def _resized(b: Builder, source: Kind, result: Kind, x: str) -> str:
    """From float to float."""
    if source.elem is f64:
        if result.elem in NARROW:
            return rounded(b, result, odd_float(b, source, x))
        return b.value(f"fptrunc {source.text} {x} to {result.text}")
    if result.elem is f64:
        return b.value(f"fpext {source.text} {x} to {result.text}")
    return rounded(b, result, x)


def _saturated(b: Builder, source: Kind, result: Kind, x: str) -> str:
    """From float to integer, towards zero: compare first, convert only what fits."""
    bits, signed = result.elem.bits, result.elem.is_signed
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    floor, ceiling = source.constant(float(low)), source.constant(float(high + 1))
    above = b.value(f"fcmp oge {source.text} {x}, {floor}")
    below = b.value(f"fcmp olt {source.text} {x}, {ceiling}")
    inside = b.value(f"and {source.mask} {above}, {below}")
    safe = b.value(f"select {source.mask} {inside}, {source.text} {x}, {source.text} {source.constant(0.0)}")
    wide = result if bits >= 32 else Kind(i64 if source.elem is f64 else i32, result.lanes)
    value = b.value(f"{'fptosi' if signed or bits < 32 else 'fptoui'} {source.text} {safe} to {wide.text}")
    if wide is not result:
        value = b.value(f"trunc {wide.text} {value} to {result.text}")
    over = b.value(f"fcmp oge {source.text} {x}, {ceiling}")
    value = b.value(f"select {source.mask} {over}, {result.text} {result.constant(high)}, {result.text} {value}")
    if not signed:
        return value
    under = b.value(f"fcmp olt {source.text} {x}, {floor}")
    return b.value(f"select {source.mask} {under}, {result.text} {result.constant(low)}, {result.text} {value}")


def _bitcast(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    return from_bits(b, result, to_bits(b, kinds[0], operands[0]))


def to_bits(b: Builder, kind: Kind, value: str) -> str:
    """The representation of a value as an integer of the element's width."""
    text = vector(f"i{kind.elem.bits}", kind.lanes)
    if kind.elem is f16:
        return b.value(f"bitcast {vector('half', kind.lanes)} {encoded(b, kind, value)} to {text}")
    if kind.elem is bf16:
        return encoded(b, kind, value)
    return b.value(f"bitcast {kind.text} {value} to {text}") if is_float(kind.elem) else value


def from_bits(b: Builder, kind: Kind, bits: str) -> str:
    """The value whose representation is an integer of the element's width."""
    text = vector(f"i{kind.elem.bits}", kind.lanes)
    if kind.elem is f16:
        return decoded(b, kind, b.value(f"bitcast {text} {bits} to {vector('half', kind.lanes)}"))
    if kind.elem is bf16:
        return decoded(b, kind, bits)
    return b.value(f"bitcast {text} {bits} to {kind.text}") if is_float(kind.elem) else bits


def _offset(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    ptr, by = operands
    count = _cast(b, (kinds[1],), result.of(i64), (by,), attrs)
    assert isinstance(result.elem, Pointer)
    size = result.elem.to.itemsize
    return b.value(f"add {result.text} {ptr}, {b.value(f'mul {result.text} {count}, {result.of(i64).constant(size)}') if size > 1 else count}")


def _same(b: Builder, kinds: tuple[Kind, ...], result: Kind, operands: tuple[str, ...], attrs: Mapping[str, Any]) -> str:
    return operands[0]


RULES: dict[str, Rule] = {
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": _arithmetic("fdiv", None),
    "idiv": _divide,
    "rem": _remainder,
    "neg": _negative,
    "abs": _absolute,
    "fma": _intrinsic("fma", rounds=True),
    "umulhi": _multiply_high,
    "sqrt": _intrinsic("sqrt", rounds=True),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "trunc": _intrinsic("trunc"),
    "round": _intrinsic("roundeven"),
    "maximum": _extreme("maximumnum", "max"),
    "minimum": _extreme("minimumnum", "min"),
    "maximum_nan": _extreme("maximum", "max"),
    "minimum_nan": _extreme("minimum", "min"),
    "and": _arithmetic(None, "and"),
    "or": _arithmetic(None, "or"),
    "xor": _arithmetic(None, "xor"),
    "not": _not,
    "shl": _shift_left,
    "shr": _shift_right,
    **{name: _compare(name) for name in COMPARE},
    "select": _select,
    "cast": _cast,
    "bitcast": _bitcast,
    "offset": _offset,
    "address": _same,
    "pointer": _same,
}
