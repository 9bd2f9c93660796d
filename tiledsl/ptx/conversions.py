"""`cvt`: from one type to another, with rounding, saturation, and pairs of narrow numbers in one register."""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import ops
from ..errors import UnsupportedSyntax
from ..ir.types import DType, f8e4nv, f8e5, f32, i64
from ..numerics.term import Term, select
from .registers import PAIRS, TYPES, Registers, as_type, bits_of, halves, packed, resized
from .text import INSTEAD, Instruction

NARROW: dict[str, DType] = {"e4m3x2": f8e4nv, "e5m2x2": f8e5}
WHOLE: dict[str, Callable[[Term], Term]] = {
    "rni": lambda x: x.apply(ops.round_),
    "rzi": lambda x: x.apply(ops.trunc),
    "rmi": lambda x: x.apply(ops.floor),
    "rpi": lambda x: x.apply(ops.ceil),
}


def convert(step: Instruction, registers: Registers) -> Term:
    """What a `cvt` writes."""
    kinds = [part for part in step.parts if part in TYPES or part in PAIRS or part in NARROW]
    if len(kinds) != 2:
        raise _refused(step)
    to, given = kinds
    if to in PAIRS or to in NARROW:
        return _pair(step, to, given, registers)
    if given in PAIRS or given in NARROW:
        raise _refused(step)
    return _one(step, registers.read(step.operands[1], TYPES[given]), TYPES[to])


def _refused(step: Instruction) -> UnsupportedSyntax:
    return UnsupportedSyntax(f"`{step}` in inline assembly cannot run here", help=INSTEAD)


def _pair(step: Instruction, to: str, given: str, registers: Registers) -> Term:
    """Two numbers at once: of one register, or of two of which the first goes into the upper half."""
    elem = NARROW.get(to) or TYPES[PAIRS[to]]
    if given == "f32":
        high, low = (registers.read(operand, f32) for operand in step.operands[1:])
    elif given in PAIRS:
        low, high = (as_type(x, TYPES[PAIRS[given]]) for x in halves(registers.read(step.operands[1], TYPES["b32"])))
    elif given in NARROW:
        both = registers.read(step.operands[1], TYPES["b16"])
        low, high = (as_type(resized(x, 8), NARROW[given]) for x in (both, both >> 8))
    else:
        raise _refused(step)
    return packed(bits_of(_one(step, low, elem)), bits_of(_one(step, high, elem)))


def _one(step: Instruction, x: Term, to: DType) -> Term:
    parts = step.parts
    whole = next((WHOLE[part] for part in parts if part in WHOLE), None)
    if {"rz", "rm", "rp"} & set(parts) or "relu" in parts:
        raise _refused(step)
    if x.elem.is_float and "ftz" in parts and x.elem is f32:
        x = select(abs(x) < 2.0**-126, (x.bits & x.format.sign).floating(f32), x)
    if x.elem.is_float:
        x = whole(x) if whole else x
        if not to.is_float:
            return select(x.equals(x), x.cast(to), 0)  # beyond its range, the largest or smallest; NaN is 0
        if "sat" in parts:
            x = select(x > 0.0, select(x < 1.0, x, 1.0), 0.0)
        if "satfinite" in parts:
            assert to.format is not None
            x = _bounded(x, to.format.largest)
        return x if x.elem is to else x.cast(to)
    if "sat" in parts and not to.is_float:
        return _saturated(x, to)
    return x if x.elem is to else x.cast(to)


def _bounded(x: Term, limit: float) -> Term:
    return select(x > limit, limit, select(x < -limit, -limit, x))


def _saturated(x: Term, to: DType) -> Term:
    """An integer cut to the range of a type."""
    lowest, highest = (-(1 << (to.bits - 1)), (1 << (to.bits - 1)) - 1) if to.is_signed else (0, (1 << to.bits) - 1)
    if x.elem.is_signed:
        x = x.cast(i64)
        x = select(x < lowest, lowest, x)
    if highest < math.inf and highest < (1 << (x.elem.bits - x.elem.is_signed)):
        x = select(x > highest, x.like(highest), x)
    return x.cast(to)
