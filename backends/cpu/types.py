"""How element types look in registers and in memory.

f16 and bf16 are float in registers, always holding a value they can represent: their arithmetic is defined as f32
arithmetic with one rounding at the end. i1 is a byte in memory. A pointer is an i64 until it is dereferenced.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from tiledsl.ir.types import DType, Elem, Pointer, bf16, f16, f32, f64, i1

from .emit import Builder

REGISTER = {i1: "i1", f16: "float", bf16: "float", f32: "float", f64: "double"}
MEMORY = {i1: "i8", f16: "half", bf16: "i16"}
NARROW = (f16, bf16)  # floats that compute as f32


def register(elem: Elem) -> str:
    """The LLVM type of one element in a register."""
    if isinstance(elem, Pointer):
        return "i64"
    return REGISTER.get(elem) or f"i{elem.bits}"


def memory(elem: Elem) -> str:
    """The LLVM type of one element in memory."""
    return register(elem) if isinstance(elem, Pointer) else MEMORY.get(elem) or register(elem)


def vector(scalar: str, lanes: int) -> str:
    """The type of so many lanes; 0 lanes mean a scalar."""
    return f"<{lanes} x {scalar}>" if lanes else scalar


def suffix(scalar: str, lanes: int) -> str:
    """What an overloaded intrinsic's name ends in for this type."""
    short = {"float": "f32", "double": "f64", "half": "f16", "ptr": "p0"}.get(scalar, scalar)
    return f"v{lanes}{short}" if lanes else short


def literal(elem: Elem, number: int | float) -> str:
    """A number as an LLVM constant of an element's register type."""
    kind = register(elem)
    if kind == "float" or kind == "double":
        # LLVM writes float constants as the double of the same value
        rounded = number if elem is f64 else float(_round(elem, number))
        return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"
    if kind == "i1":
        return "true" if number else "false"
    return str(int(number))


def _round(elem: Elem, number: float) -> np.floating:
    if elem is f32:
        return np.float32(number)
    assert isinstance(elem, DType)
    return np.float64(elem.round(np.asarray(number, np.float64)))


def splat(elem: Elem, number: int | float, lanes: int) -> str:
    """The same constant in every lane."""
    text = literal(elem, number)
    return f"splat ({register(elem)} {text})" if lanes else text


@dataclass(frozen=True)
class Kind:
    """What an elementwise rule needs to know of a type: its element and its lanes."""

    elem: Elem
    lanes: int  # 0: a scalar

    @property
    def text(self) -> str:
        return vector(register(self.elem), self.lanes)

    @property
    def suffix(self) -> str:
        return suffix(register(self.elem), self.lanes)

    def of(self, elem: Elem) -> Kind:
        return Kind(elem, self.lanes)

    def bits(self) -> str:
        """The integer type of the same width and lanes."""
        size = {"float": 32, "double": 64}.get(register(self.elem))
        return vector(f"i{size}" if size else register(self.elem), self.lanes)

    def integer(self, number: int) -> str:
        """An integer constant of `bits()`."""
        size = {"float": 32, "double": 64}.get(register(self.elem))
        scalar = f"i{size}" if size else register(self.elem)
        return f"splat ({scalar} {number})" if self.lanes else str(number)

    def constant(self, number: int | float) -> str:
        return splat(self.elem, number, self.lanes)

    @property
    def mask(self) -> str:
        return vector("i1", self.lanes)


def decoded(b: Builder, kind: Kind, stored: str) -> str:
    """A value as registers hold it, from its form in memory."""
    if kind.elem is i1:
        return b.value(f"icmp ne {vector('i8', kind.lanes)} {stored}, {'zeroinitializer' if kind.lanes else '0'}")
    if kind.elem is f16:
        return b.value(f"fpext {vector('half', kind.lanes)} {stored} to {kind.text}")
    if kind.elem is bf16:
        wide = b.value(f"zext {vector('i16', kind.lanes)} {stored} to {kind.bits()}")
        return b.value(f"bitcast {kind.bits()} {b.value(f'shl {kind.bits()} {wide}, {kind.integer(16)}')} to {kind.text}")
    return stored


def encoded(b: Builder, kind: Kind, value: str) -> str:
    """A value as memory holds it."""
    if kind.elem is i1:
        return b.value(f"zext {kind.text} {value} to {vector('i8', kind.lanes)}")
    if kind.elem is f16:
        return b.value(f"fptrunc {kind.text} {value} to {vector('half', kind.lanes)}")
    if kind.elem is bf16:
        bits = b.value(f"bitcast {kind.text} {value} to {kind.bits()}")
        high = b.value(f"lshr {kind.bits()} {bits}, {kind.integer(16)}")
        return b.value(f"trunc {kind.bits()} {high} to {vector('i16', kind.lanes)}")
    return value


def rounded(b: Builder, kind: Kind, value: str) -> str:
    """A float register rounded to what its element type can represent, ties to even."""
    if kind.elem is f16:
        half = b.value(f"fptrunc {kind.text} {value} to {vector('half', kind.lanes)}")
        return b.value(f"fpext {vector('half', kind.lanes)} {half} to {kind.text}")
    if kind.elem is bf16:
        t = kind.bits()
        bits = b.value(f"bitcast {kind.text} {value} to {t}")
        odd = b.value(f"and {t} {b.value(f'lshr {t} {bits}, {kind.integer(16)}')}, {kind.integer(1)}")
        up = b.value(f"add {t} {b.value(f'add {t} {bits}, {kind.integer(0x7FFF)}')}, {odd}")
        cut = b.value(f"and {t} {up}, {kind.integer(-65536)}")
        near = b.value(f"bitcast {t} {cut} to {kind.text}")
        nan = b.value(f"fcmp uno {kind.text} {value}, {value}")
        # the carry of the rounding must not turn a NaN into a number
        quiet = "splat (float 0x7FF8000000000000)" if kind.lanes else "0x7FF8000000000000"
        return b.value(f"select {kind.mask} {nan}, {kind.text} {quiet}, {kind.text} {near}")
    return value


def odd_float(b: Builder, kind: Kind, value: str) -> str:
    """A double rounded to float so that a second rounding to f16 or bf16 is correct: inexact results get an odd last bit."""
    narrow = kind.of(f32)
    near = b.value(f"fptrunc {kind.text} {value} to {narrow.text}")
    back = b.value(f"fpext {narrow.text} {near} to {kind.text}")
    t = narrow.bits()
    bits = b.value(f"bitcast {narrow.text} {near} to {t}")
    inexact = b.value(f"fcmp one {kind.text} {back}, {value}")
    even = b.value(f"icmp eq {t} {b.value(f'and {t} {bits}, {narrow.integer(1)}')}, {narrow.integer(0)}")
    fix = b.value(f"and {kind.mask} {inexact}, {even}")
    size, magnitude = (b.call(kind.text, f"llvm.fabs.{kind.suffix}", (kind.text, x)) for x in (value, back))
    down = b.value(f"fcmp ogt {kind.text} {magnitude}, {size}")
    step = b.value(f"select {kind.mask} {down}, {t} {narrow.integer(-1)}, {t} {narrow.integer(1)}")
    moved = b.value(f"add {t} {bits}, {step}")
    return b.value(f"bitcast {t} {b.value(f'select {kind.mask} {fix}, {t} {moved}, {t} {bits}')} to {narrow.text}")


def is_float(elem: Elem) -> bool:
    return isinstance(elem, DType) and elem.is_float


def is_double(elem: Elem) -> bool:
    return elem is f64
