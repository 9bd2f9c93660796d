"""What each instruction of PTX means, said once: a function of the numbers that it reads, in the type that its name ends with.

`_declare("shl", "t u")`: the first operand is read in that type, the second as u32; `p` is a predicate, `i` an integer written out.
Modifiers that change results (`.ftz`, `.sat`, roundings) are seen to for all; `.approx` is computed no worse than asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .. import ops
from ..errors import UnsupportedSyntax
from ..ir.types import DType, f32, f64, i1, i32, i64, u32, u64
from ..numerics import directed, words
from ..numerics.term import Term, fma, select, sqrt
from .conversions import convert
from .registers import PAIRS, TYPES, Registers, as_type, bits_of, halves, packed, resized
from .text import INSTEAD, Instruction

Meaning = Callable[..., Term]  # of the parts of the name, and of what is read

SILENT = {"bar", "barrier", "membar", "fence", "griddepcontrol", "nanosleep"}  # a program here is one thread, and in order
DIRECTED = {"rz": "rz", "rm": "rd", "rp": "ru"}  # roundings other than to nearest, as directed.py calls them
WIDER = {u32: u64, i32: i64}


@dataclass(frozen=True)
class Declared:
    """One instruction: how its operands are read, and what it makes of them."""

    reads: tuple[str, ...]
    meaning: Meaning


INSTRUCTIONS: dict[str, Declared] = {}


def _declare(names: str, reads: str) -> Callable[[Meaning], Meaning]:
    def register(meaning: Meaning) -> Meaning:
        for name in names.split():
            INSTRUCTIONS[name] = Declared(tuple(reads.split()), meaning)
        return meaning

    return register


def perform(step: Instruction, registers: Registers) -> None:
    """Carry out one instruction."""
    if step.name in SILENT:
        return
    guard = registers.read(step.guard, i1) if step.guard else None
    guard = ~guard if guard is not None and step.unless else guard
    if step.name == "cvt":
        registers.write(step.operands[0], convert(step, registers), guard)
        return
    declared = INSTRUCTIONS.get(step.name)
    if declared is None:
        raise UnsupportedSyntax(f"`{step}` in inline assembly cannot run here", help=INSTEAD)
    optional = {"setp": 1}.get(step.name, 0)
    if not 0 <= len(declared.reads) - (len(step.operands) - 1) <= optional:
        raise UnsupportedSyntax(f"`{step}` in inline assembly takes {len(declared.reads) + 1} operands, got {len(step.operands)}")
    registers.write(step.operands[0], _result(step, declared, registers), guard)


def _result(step: Instruction, declared: Declared, registers: Registers) -> Term:
    kind = next((part for part in reversed(step.parts) if part in TYPES or part in PAIRS), "")
    if not kind:
        raise UnsupportedSyntax(f"`{step}` in inline assembly has no type that is known here", help=INSTEAD)
    pair, elem = kind in PAIRS, TYPES[PAIRS.get(kind, kind)]
    kinds = {"t": elem, "p": i1, "w": WIDER.get(elem, elem) if "wide" in step.parts else elem}
    read: list[Term] = []
    for how, operand in zip(declared.reads, step.operands[1:], strict=False):
        read.append(registers.read(operand, u32 if pair else kinds.get(how, u32)))
    if not pair:
        return _rounded(step, declared.meaning, read, elem)
    sides = zip(*map(halves, read), strict=True)
    return packed(*(_rounded(step, declared.meaning, [as_type(x, elem) for x in side], elem) for side in sides))


def _rounded(step: Instruction, meaning: Meaning, read: Sequence[Term], elem: DType) -> Term:
    """The meaning with the modifiers of the name."""
    flushes = "ftz" in step.parts
    if flushes:
        read = [_flushed(x) for x in read]
    modes = [DIRECTED[part] for part in step.parts if part in DIRECTED]
    if modes:
        if step.name not in directed.ARITY or elem not in (f32, f64):
            raise UnsupportedSyntax(f"`{step}` in inline assembly: this rounding cannot be had here", help=INSTEAD)
        found = directed.program(step.name, modes[0])(*read)
    else:
        found = meaning(step.parts, *read)
    found = _flushed(found) if flushes else found
    if "sat" not in step.parts:
        return found
    if not found.elem.is_float:
        raise UnsupportedSyntax(f"`{step}` in inline assembly: integers do not saturate here", help=INSTEAD)
    return select(found > 0.0, select(found < 1.0, found, 1.0), 0.0)  # a NaN becomes 0


def _flushed(x: Term) -> Term:
    """Zeros for subnormal numbers of f32, with their sign."""
    if x.elem is not f32:
        return x
    return select(abs(x) < 2.0**-126, (x.bits & x.format.sign).floating(f32), x)


# --- arithmetic


@_declare("add", "t t")
def add(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x + y


@_declare("sub", "t t")
def sub(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x - y


@_declare("mul", "t t")
def mul(parts: Sequence[str], x: Term, y: Term) -> Term:
    if "wide" in parts:
        return _wide(x, parts) * _wide(y, parts)
    return words.high_product(x, y) if "hi" in parts else x * y


@_declare("mad fma", "t t w")
def mad(parts: Sequence[str], x: Term, y: Term, z: Term) -> Term:
    if x.elem.is_float:
        return fma(x, y, z)
    return mul(parts, x, y) + z


def _wide(x: Term, parts: Sequence[str]) -> Term:
    if x.elem not in WIDER:
        raise UnsupportedSyntax(f"a product `{'.'.join(parts)}` in inline assembly cannot run here", help=INSTEAD)
    return x.cast(WIDER[x.elem])


@_declare("div", "t t")
def div(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x / y if x.elem.is_float else x.apply(ops.idiv, y)


@_declare("rem", "t t")
def rem(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x.apply(ops.rem, y)


@_declare("min", "t t")
def least(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x.apply(ops.minimum_nan if "NaN" in parts else ops.minimum, y)


@_declare("max", "t t")
def most(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x.apply(ops.maximum_nan if "NaN" in parts else ops.maximum, y)


@_declare("neg", "t")
def neg(parts: Sequence[str], x: Term) -> Term:
    return -x


@_declare("abs", "t")
def magnitude(parts: Sequence[str], x: Term) -> Term:
    return abs(x)


@_declare("copysign", "t t")
def copysign(parts: Sequence[str], sign: Term, size: Term) -> Term:
    return (abs(size).bits | (sign.bits & sign.format.sign)).floating(size.elem)


@_declare("rcp", "t")
def rcp(parts: Sequence[str], x: Term) -> Term:
    return 1.0 / x


@_declare("sqrt", "t")
def root(parts: Sequence[str], x: Term) -> Term:
    return sqrt(x)


for _name, _spec in {"rsqrt": ops.rsqrt, "ex2": ops.exp2, "lg2": ops.log2, "sin": ops.sin, "cos": ops.cos, "tanh": ops.tanh}.items():
    _declare(_name, "t")(lambda parts, x, spec=_spec: x.apply(spec))


# --- comparing and choosing

ORDERED = {"eq": "equals", "ne": "differs", "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}
ORDERED |= {"lo": "__lt__", "ls": "__le__", "hi": "__gt__", "hs": "__ge__"}  # of unsigned numbers


@_declare("setp", "t t p")
def setp(parts: Sequence[str], x: Term, y: Term, also: Term | None = None) -> Term:
    found = _compared(parts[0], x, y)
    if also is None:
        return found
    if parts[1] not in ("and", "or", "xor"):
        raise UnsupportedSyntax(f"`setp.{'.'.join(parts)}` in inline assembly is not understood", help=INSTEAD)
    return {"and": found & also, "or": found | also, "xor": found ^ also}[parts[1]]


def _compared(how: str, x: Term, y: Term) -> Term:
    apart = x.differs(x) | y.differs(y) if x.elem.is_float else x.like(0, i1)
    if how in ("num", "nan"):
        return apart if how == "nan" else ~apart
    if how in ORDERED:
        return getattr(x, ORDERED[how])(y) & ~apart if how == "ne" else getattr(x, ORDERED[how])(y)
    if how.endswith("u") and how[:-1] in ORDERED:  # or unordered
        return getattr(x, ORDERED[how[:-1]])(y) | apart
    raise UnsupportedSyntax(f"`setp.{how}` in inline assembly is not understood", help=INSTEAD)


@_declare("selp", "t t p")
def selp(parts: Sequence[str], x: Term, y: Term, condition: Term) -> Term:
    return select(condition, x, y)


# --- bits


@_declare("mov", "t")
def mov(parts: Sequence[str], x: Term) -> Term:
    return x


@_declare("and", "t t")
def both(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x & y


@_declare("or", "t t")
def either(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x | y


@_declare("xor", "t t")
def one(parts: Sequence[str], x: Term, y: Term) -> Term:
    return x ^ y


@_declare("not", "t")
def inverted(parts: Sequence[str], x: Term) -> Term:
    return ~x


@_declare("cnot", "t")
def cnot(parts: Sequence[str], x: Term) -> Term:
    return x.equals(0).cast(x.elem)


@_declare("shl", "t u")
def shl(parts: Sequence[str], x: Term, by: Term) -> Term:
    return select(by < x.elem.bits, x << _count(by, x), 0)


@_declare("shr", "t u")
def shr(parts: Sequence[str], x: Term, by: Term) -> Term:
    """Sign bits come in if the type has a sign."""
    gone = x >> (x.elem.bits - 1) if x.elem.is_signed else x.like(0)
    return select(by < x.elem.bits, x >> _count(by, x), gone)


def _count(by: Term, x: Term) -> Term:
    """A number of places, small enough for the type."""
    return (by & (x.elem.bits - 1)).cast(x.elem)


@_declare("shf", "t t u")
def shf(parts: Sequence[str], low: Term, high: Term, by: Term) -> Term:
    """Two words shifted as one: left, and the upper word is kept; right, and the lower one."""
    places = by & 31 if "wrap" in parts else select(by < 32, by, 32)
    both = packed(low, high)
    count = places.cast(u64)
    return resized((both << count) >> 32 if "l" in parts else both >> count, 32)


@_declare("bfe", "t u u")
def bfe(parts: Sequence[str], x: Term, first: Term, length: Term) -> Term:
    """A field of bits; above it zeros, or copies of its highest bit if the type has a sign."""
    first, length = first & 255, length & 255
    bits = x.elem.bits
    stop = select(first + length < bits, first + length, bits)
    empty = length.equals(0) | (first >= bits) if not x.elem.is_signed else length.equals(0)
    last = select(stop > 0, stop - 1, 0)
    above = (bits - 1 - select(last < bits, last, bits - 1)) & (bits - 1)
    drop = above + select(first < bits, first, bits - 1)
    field = shr(parts, x << above.cast(x.elem), select(drop < bits, drop, bits - 1))
    return select(empty, 0, field)


@_declare("bfi", "t t u u")
def bfi(parts: Sequence[str], x: Term, into: Term, first: Term, length: Term) -> Term:
    """The low bits of one word put into another."""
    first, length = first & 255, length & 255
    ones = shl(parts, x.like(1), length) - 1
    ones = select(length < x.elem.bits, ones, x.like(0) - 1)
    field = shl(parts, ones, first)
    return (shl(parts, x, first) & field) | (into & ~field)


@_declare("popc", "t")
def popc(parts: Sequence[str], x: Term) -> Term:
    return words.count(x)


@_declare("clz", "t")
def clz(parts: Sequence[str], x: Term) -> Term:
    return words.leading_zeros(x)


@_declare("brev", "t")
def brev(parts: Sequence[str], x: Term) -> Term:
    return words.reversed_bits(x)


@_declare("lop3", "t t t u")
def lop3(parts: Sequence[str], x: Term, y: Term, z: Term, table: Term) -> Term:
    """Any function of three bits: bit 4x + 2y + z of the table."""
    total = x.like(0)
    for row in range(8):
        here = (x if row & 4 else ~x) & (y if row & 2 else ~y) & (z if row & 1 else ~z)
        total = total | (here & (x.like(0) - ((table >> row) & 1)))
    return total


@_declare("prmt", "u u u")
def prmt(parts: Sequence[str], low: Term, high: Term, selector: Term) -> Term:
    """Byte i of the result is the one that bits 4i to 4i + 2 of the selector number; with bit 4i + 3, copies of its sign."""
    if len(parts) > 1:
        raise UnsupportedSyntax(f"`prmt.{'.'.join(parts)}` in inline assembly cannot run here", help=INSTEAD)
    total = low.like(0)
    for i in range(4):
        place = (selector >> (4 * i)) & 7
        byte = (select(place < 4, low, high) >> ((place & 3) << 3)) & 255
        signs = select((byte & 128).differs(0), low.like(255), 0)
        byte = select((selector & (8 << (4 * i))).differs(0), signs, byte)
        total = total | (byte << (8 * i))
    return bits_of(total)
