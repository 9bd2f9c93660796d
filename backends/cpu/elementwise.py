"""Elementwise ops as LLVM code: one rule per op, the same for scalars and for vectors of any width."""

from __future__ import annotations

from collections.abc import Callable

from tiledsl.ir.types import Pointer, bf16, f16, f32, f64, i1, i32, i64

from .emit import Builder
from .types import NARROW, Kind, decoded, encoded, is_float, odd_float, rounded, vector

# a rule: (builder, kind of the result, kinds of the operands, *operands) -> result
Rule = Callable[..., str]
Kinds = tuple[Kind, ...]


def elementwise(b: Builder, name: str, to: Kind, of: Kinds, *operands: str) -> str:
    """One op on registers."""
    return RULES[name](b, to, of, *operands)


def _arithmetic(floats: str | None, ints: str | None) -> Rule:
    """A machine instruction; narrow floats round afterwards."""

    def rule(b: Builder, to: Kind, of: Kinds, *operands: str) -> str:
        name = floats if is_float(to.elem) else ints
        return rounded(b, to, b.value(f"{name} {to.text} {', '.join(operands)}"))

    return rule


def _intrinsic(name: str, rounds: bool = False) -> Rule:
    """An LLVM intrinsic on floats."""

    def rule(b: Builder, to: Kind, of: Kinds, *operands: str) -> str:
        value = b.call(to.text, f"llvm.{name}.{to.suffix}", *((to.text, x) for x in operands))
        return rounded(b, to, value) if rounds else value

    return rule


def _negative(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    return b.value(f"fneg {to.text} {x}" if is_float(to.elem) else f"sub {to.text} {to.constant(0)}, {x}")


def _absolute(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    if is_float(to.elem):
        return b.call(to.text, f"llvm.fabs.{to.suffix}", (to.text, x))
    return b.call(to.text, f"llvm.abs.{to.suffix}", (to.text, x), ("i1", "false")) if to.elem.is_signed else x


def _extreme(floats: str, ints: str) -> Rule:
    """maximum and minimum: of floats an intrinsic with the right NaN and zero, of integers by signedness."""

    def rule(b: Builder, to: Kind, of: Kinds, *operands: str) -> str:
        if is_float(to.elem):
            name = floats
        elif to.elem is i1:
            return b.value(f"{'or' if ints == 'max' else 'and'} {to.text} {', '.join(operands)}")
        else:
            name = ("s" if to.elem.is_signed else "u") + ints
        return b.call(to.text, f"llvm.{name}.{to.suffix}", *((to.text, x) for x in operands))

    return rule


# --- integer division, defined for all operands


def _divide(b: Builder, to: Kind, of: Kinds, x: str, y: str) -> str:
    if to.elem is i1:
        return _without(b, to, x, y, "or")
    zero, quotient = _safe_division(b, to, x, y, "div")
    if not zero:
        return quotient
    ones = to.constant(-1 if to.elem.is_signed else (1 << to.elem.bits) - 1)
    return b.value(f"select {to.mask} {zero}, {to.text} {ones}, {to.text} {quotient}")


def _remainder(b: Builder, to: Kind, of: Kinds, x: str, y: str) -> str:
    if is_float(to.elem):
        return b.value(f"frem {to.text} {x}, {y}")  # exact, so narrow floats need no rounding
    if to.elem is i1:
        return _without(b, to, x, y, "and")
    zero, left = _safe_division(b, to, x, y, "rem")
    return left if not zero else b.value(f"select {to.mask} {zero}, {to.text} {x}, {to.text} {left}")


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
    if kind.lanes and kind.elem.bits <= 32:
        return zero, _divided_as_doubles(b, kind, x, divisor, name)
    return zero, b.value(f"{'s' if kind.elem.is_signed else 'u'}{name} {kind.text} {x}, {divisor}")


def _divided_as_doubles(b: Builder, kind: Kind, x: str, y: str, name: str) -> str:
    """Quotient or remainder of vectors: no processor divides vectors of integers, but the quotient of two 32-bit integers
    as doubles is nearer to the true one than any other integer is, so cutting it off is exact."""
    wide, sign = kind.of(f64), "s" if kind.elem.is_signed else "u"
    over, under = (b.value(f"{sign}itofp {kind.text} {v} to {wide.text}") for v in (x, y))
    quotient = b.value(f"fpto{sign}i {wide.text} {b.value(f'fdiv {wide.text} {over}, {under}')} to {kind.text}")
    if name == "div":
        return quotient
    return b.value(f"sub {kind.text} {x}, {b.value(f'mul {kind.text} {quotient}, {y}')}")


# --- bits


def _not(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    return b.value(f"xor {to.text} {x}, {to.constant(1 if to.elem is i1 else -1)}")


def _shift_left(b: Builder, to: Kind, of: Kinds, x: str, y: str) -> str:
    return _shift(b, to, x, y, "shl")


def _shift_right(b: Builder, to: Kind, of: Kinds, x: str, y: str) -> str:
    if not to.elem.is_signed:
        return _shift(b, to, x, y, "lshr")
    if _in_range(y, to.elem.bits):
        return b.value(f"ashr {to.text} {x}, {y}")
    most = to.constant(to.elem.bits - 1)
    amount = b.call(to.text, f"llvm.umin.{to.suffix}", (to.text, y), (to.text, most))
    return b.value(f"ashr {to.text} {x}, {amount}")


def _shift(b: Builder, kind: Kind, x: str, y: str, name: str) -> str:
    """Shift by an amount taken as unsigned; past the width everything is gone."""
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


def _multiply_high(b: Builder, to: Kind, of: Kinds, x: str, y: str) -> str:
    bits = to.elem.bits
    wide = vector(f"i{2 * bits}", to.lanes)
    x, y = (b.value(f"zext {to.text} {v} to {wide}") for v in (x, y))
    amount = f"splat (i{2 * bits} {bits})" if to.lanes else str(bits)
    high = b.value(f"lshr {wide} {b.value(f'mul {wide} {x}, {y}')}, {amount}")
    return b.value(f"trunc {wide} {high} to {to.text}")


# --- comparison and choice

COMPARE = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


def _compare(name: str) -> Rule:
    def rule(b: Builder, to: Kind, of: Kinds, *operands: str) -> str:
        kind, (x, y) = of[0], operands
        if is_float(kind.elem):
            return b.value(f"fcmp {COMPARE[name]} {kind.text} {x}, {y}")
        # addresses compare as the signed integers that carry them
        sign = "" if name in ("eq", "ne") else "s" if kind.elem.is_signed or isinstance(kind.elem, Pointer) else "u"
        return b.value(f"icmp {sign}{name} {kind.text} {x}, {y}")

    return rule


def _select(b: Builder, to: Kind, of: Kinds, c: str, x: str, y: str) -> str:
    return b.value(f"select {of[0].text} {c}, {to.text} {x}, {to.text} {y}")


# --- conversions


def _cast(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    (source,) = of
    if source.elem is to.elem:
        return x
    if to.elem is i1:
        return _not_zero(b, source, x)
    if is_float(source.elem):
        return _resized(b, source, to, x) if is_float(to.elem) else _saturated(b, source, to, x)
    if is_float(to.elem):
        name = "sitofp" if source.elem.is_signed else "uitofp"
        return rounded(b, to, b.value(f"{name} {source.text} {x} to {to.text}"))
    if to.elem.bits == source.elem.bits:
        return x
    name = "trunc" if to.elem.bits < source.elem.bits else "sext" if source.elem.is_signed else "zext"
    return b.value(f"{name} {source.text} {x} to {to.text}")


def _not_zero(b: Builder, kind: Kind, x: str) -> str:
    if is_float(kind.elem):
        return b.value(f"fcmp une {kind.text} {x}, {kind.constant(0.0)}")
    return b.value(f"icmp ne {kind.text} {x}, {kind.constant(0)}")


def _resized(b: Builder, source: Kind, to: Kind, x: str) -> str:
    """From float to float."""
    if source.elem is f64:
        if to.elem in NARROW:
            return rounded(b, to, odd_float(b, source, x))
        return b.value(f"fptrunc {source.text} {x} to {to.text}")
    if to.elem is f64:
        return b.value(f"fpext {source.text} {x} to {to.text}")
    return rounded(b, to, x)


def _saturated(b: Builder, source: Kind, to: Kind, x: str) -> str:
    """From float to integer, towards zero: compare first, convert only what fits."""
    source = source.of(f32) if source.elem in NARROW else source  # f16 lacks some of the bounds
    bits, signed = to.elem.bits, to.elem.is_signed
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    floor, ceiling = source.constant(float(low)), source.constant(float(high + 1))
    above = b.value(f"fcmp oge {source.text} {x}, {floor}")
    below = b.value(f"fcmp olt {source.text} {x}, {ceiling}")
    inside = b.value(f"and {source.mask} {above}, {below}")
    safe = b.value(f"select {source.mask} {inside}, {source.text} {x}, {source.text} {source.constant(0.0)}")
    wide = to if bits >= 32 else Kind(i64 if source.elem is f64 else i32, to.lanes)
    value = b.value(f"{'fptosi' if signed or bits < 32 else 'fptoui'} {source.text} {safe} to {wide.text}")
    if wide is not to:
        value = b.value(f"trunc {wide.text} {value} to {to.text}")
    over = b.value(f"fcmp oge {source.text} {x}, {ceiling}")
    value = b.value(f"select {source.mask} {over}, {to.text} {to.constant(high)}, {to.text} {value}")
    if not signed:
        return value
    under = b.value(f"fcmp olt {source.text} {x}, {floor}")
    return b.value(f"select {source.mask} {under}, {to.text} {to.constant(low)}, {to.text} {value}")


def _bitcast(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    return from_bits(b, to, to_bits(b, of[0], x))


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


def _offset(b: Builder, to: Kind, of: Kinds, ptr: str, by: str) -> str:
    count = _cast(b, to.of(i64), of[1:], by)
    assert isinstance(to.elem, Pointer)
    size = to.elem.to.itemsize
    return b.value(f"add {to.text} {ptr}, {b.value(f'mul {to.text} {count}, {to.of(i64).constant(size)}') if size > 1 else count}")


def _scale(b: Builder, to: Kind, of: Kinds, x: str, n: str) -> str:
    """An instruction of AVX-512, which alone keeps this op; fewer lanes than a register has go through one."""
    if to.lanes in (4, 8, 16):
        text = to.text
        more = [("i32", "4")] * (to.lanes == 16)  # only the widest says how to round
        operands = [(text, x), (text, n), (text, "zeroinitializer"), (f"i{max(to.lanes, 8)}", "-1"), *more]
        return b.call(text, f"llvm.x86.avx512.mask.scalef.ps.{32 * to.lanes}", *operands, immediate=(4,) if more else ())
    full = Kind(to.elem, 4)
    if not to.lanes:
        wide = (b.value(f"insertelement {full.text} zeroinitializer, {to.text} {v}, i64 0") for v in (x, n))
        return b.value(f"extractelement {full.text} {_scale(b, full, of, *wide)}, i64 0")
    spread = ", ".join(f"i32 {k % to.lanes}" for k in range(4))
    wide = (b.value(f"shufflevector {to.text} {v}, {to.text} poison, <4 x i32> <{spread}>") for v in (x, n))
    kept = ", ".join(f"i32 {k}" for k in range(to.lanes))
    return b.value(f"shufflevector {full.text} {_scale(b, full, of, *wide)}, {full.text} poison, <{to.lanes} x i32> <{kept}>")


def _same(b: Builder, to: Kind, of: Kinds, x: str) -> str:
    return x


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
    "scale": _scale,
    "offset": _offset,
    "address": _same,
    "pointer": _same,
}
