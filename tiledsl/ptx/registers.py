"""Registers: bits, which an instruction takes for numbers of a type, and writes back as bits."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from .. import ops
from ..errors import UnsupportedSyntax
from ..ir.types import DType, bf16, f16, f32, f64, i1, i8, i16, i32, i64, u8, u16, u32, u64
from ..numerics.term import Term, select
from .text import INSTEAD, Operand

UNSIGNED = {8: u8, 16: u16, 32: u32, 64: u64}
TYPES: dict[str, DType] = {
    **{f"{letter}{bits}": elem for letter in "bu" for bits, elem in UNSIGNED.items()},
    **{"s8": i8, "s16": i16, "s32": i32, "s64": i64},
    **{"f16": f16, "bf16": bf16, "f32": f32, "f64": f64, "pred": i1},
}
PAIRS = {"f16x2": "f16", "bf16x2": "bf16"}  # two in a register of 32 bits, the first in the lower half
WIDE = {"r": 32, "f": 32, "l": 64, "d": 64, "h": 16, "c": 8, "n": 32}  # bits of an operand, by its constraint

FLOAT = re.compile(r"-?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?$")
INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?$")


def bits_of(x: Term) -> Term:
    """Its bits, as an unsigned number; a predicate stays one."""
    return x if x.elem is i1 else as_type(x, UNSIGNED[x.elem.bits])


def as_type(x: Term, elem: DType) -> Term:
    """The same bits, taken for another type."""
    return x if x.elem is elem else x.apply(ops.bitcast, to=elem)


def resized(bits: Term, width: int) -> Term:
    """The low bits, or zeros above them."""
    return bits if bits.elem.bits == width else bits.cast(UNSIGNED[width])


def halves(bits: Term) -> tuple[Term, Term]:
    """The lower and the upper half of 32 bits."""
    return resized(bits, 16), resized(bits >> 16, 16)


def packed(low: Term, high: Term) -> Term:
    """Two numbers of the same width side by side, the first in the lower half."""
    width = 2 * low.elem.bits
    return resized(bits_of(low), width) | (resized(bits_of(high), width) << low.elem.bits)


@dataclass
class Registers:
    """What every register holds: unsigned numbers of its width, and predicates."""

    blank: Term  # zeros of the shape of all
    widths: dict[str, int]
    held: dict[str, Term]

    def declared(self, types: dict[str, str]) -> None:
        """Registers of these types; their first contents are zeros."""
        for name, type in types.items():
            pair = type in PAIRS
            if not pair and type not in TYPES:
                raise UnsupportedSyntax(f"a register of type `.{type}` in inline assembly cannot be had here", help=INSTEAD)
            self.widths[name] = 32 if pair else TYPES[type].bits

    def bits(self, name: str) -> Term:
        """What a register holds."""
        if name not in self.widths:
            raise UnsupportedSyntax(f"`{name}` in inline assembly is no register that it declares, nor an operand", help=INSTEAD)
        if name not in self.held:
            return self.blank.like(0, i1 if self.widths[name] == 1 else UNSIGNED[self.widths[name]])
        return self.held[name]

    def read(self, operand: Operand, elem: DType) -> Term:
        """An operand as a number of a type."""
        if isinstance(operand, tuple):
            return as_type(self._together(operand), elem)
        if operand.startswith("!"):
            return ~self.read(operand[1:], i1)
        if operand in self.widths:
            bits = self.bits(operand)
            if (elem is i1) is not (bits.elem is i1):
                raise UnsupportedSyntax(f"`{operand.split()[0]}` in inline assembly is {'no' if elem is i1 else 'a'} predicate")
            return bits if elem is i1 else as_type(resized(bits, elem.bits), elem)
        return self._number(operand, elem)

    def _together(self, names: tuple[str, ...]) -> Term:
        parts = [self.bits(name) for name in names]
        width = sum(part.elem.bits for part in parts)
        if width not in UNSIGNED:
            raise UnsupportedSyntax(f"{len(parts)} registers in braces have {width} bits in inline assembly")
        total, place = resized(parts[0], width), parts[0].elem.bits
        for part in parts[1:]:
            total, place = total | (resized(part, width) << place), place + part.elem.bits
        return total

    def _number(self, text: str, elem: DType) -> Term:
        if elem is i1:
            raise UnsupportedSyntax(f"`{text}` in inline assembly is no predicate")
        if text[:2].lower() in ("0f", "0d") and elem.is_float:
            layout, digits = (">f", 8) if text[1] in "fF" else (">d", 16)
            return self.blank.like(struct.unpack(layout, bytes.fromhex(text[2:].rjust(digits, "0")))[0], elem)
        if INTEGER.match(text):
            number = int(text.rstrip("U"), 0)
            if elem.is_float:
                return self.blank.like(float(number), elem)
            low = number & ((1 << elem.bits) - 1)
            return self.blank.like(low - (1 << elem.bits) if elem.is_signed and low >> (elem.bits - 1) else low, elem)
        if FLOAT.match(text) and elem.is_float:
            return self.blank.like(float(text), elem)
        raise UnsupportedSyntax(f"`{text}` in inline assembly is not understood", help=INSTEAD)

    def write(self, operand: Operand, value: Term, guard: Term | None) -> None:
        """Put a number into a register: sign bits or zeros above it, or its low bits alone; where a guard holds."""
        if isinstance(operand, tuple):
            bits = bits_of(value)
            for name in operand:
                width = self.widths[name]
                self.write(name, resized(bits, width), guard)
                bits = bits >> width if width < bits.elem.bits else bits
            return
        before = self.bits(operand)
        if value.elem is not i1:
            width = self.widths[operand]
            if value.elem.is_int and value.elem.is_signed and value.elem.bits < width:
                value = value.cast(next(t for t in (i16, i32, i64) if t.bits == width))
            value = resized(bits_of(value), width)
        if (value.elem is i1) is not (before.elem is i1):
            raise UnsupportedSyntax(f"`{operand.split()[0]}` in inline assembly cannot hold what is written to it")
        self.held[operand] = value if guard is None else select(guard, value, before)
