"""Arithmetic rounded up, down or towards zero: the nearest result, and one step to its neighbour where it lies wrong.

What rounding took away is known, of which only the sign is used. f32 is exact everywhere; f64 except for quotients, roots
and fused products below 2**-960.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ir.types import DType
from .term import Term, f32, f64, fma, select, sqrt

MODES = {"rn": "to nearest", "rz": "towards zero", "rd": "down", "ru": "up"}
ARITY = {"add": 2, "sub": 2, "mul": 2, "div": 2, "fma": 3, "sqrt": 1, "rcp": 1}


def program(name: str, mode: str) -> Callable[..., Term]:
    """An operation in a rounding mode."""

    def apply(*terms: Term) -> Term:
        result, rest = PROGRAMS[name](*terms)
        return result if mode == "rn" else stepped(result, rest, mode, terms)

    return apply


def stepped(result: Term, rest: Term, mode: str, inputs: tuple[Term, ...]) -> Term:
    """The result, moved to its neighbour if the rest (exact value less result) has the wrong sign for the mode."""
    finite = inputs[0].like(1.0) > 0.0
    for x in inputs:
        finite = finite & (abs(x) < math.inf)
    beyond = abs(result).equals(math.inf) & finite
    above = select(beyond, (result < 0.0).cast(result.elem), (rest > 0.0).cast(result.elem)) > 0.0
    below = select(beyond, (result > 0.0).cast(result.elem), (rest < 0.0).cast(result.elem)) > 0.0
    bits = result.bits
    one, none = bits.like(1), bits.like(0)
    negative = bits < 0
    inward = select((above & negative) | (below & ~negative), one, none)
    outward = select((above & ~negative) | (below & negative), one, none)
    if mode == "rz":
        moved = bits - inward
    elif mode == "ru":
        moved = bits + select(above, outward - inward, 0)
    else:
        moved = bits + select(below, outward - inward, 0)
    # a zero that should lie on its other side: the smallest number of that sign
    crossing = result.equals(0.0) & select(negative, (above).cast(bits.elem), below.cast(bits.elem)).differs(0)
    smallest = select(above, one, one | result.format.sign)
    wanted = {"ru": above, "rd": below}.get(mode)
    moved = select(crossing, select(wanted, smallest, bits), moved) if wanted is not None else select(crossing, bits, moved)
    return moved.floating(result.elem)


# the sums and products below are written as fma, which is exact too, so that nobody fuses what a program asked to round


def _two_sum(x: Term, y: Term) -> tuple[Term, Term]:
    total = fma(x, 1.0, y)
    part = total - x
    return total, (x - (total - part)) + (y - part)


def _sum(x: Term, y: Term) -> tuple[Term, Term]:
    return _two_sum(x, y)


def _difference(x: Term, y: Term) -> tuple[Term, Term]:
    return _two_sum(x, -y)


def _product(x: Term, y: Term) -> tuple[Term, Term]:
    result = fma(x, y, -0.0)
    if x.elem is f32:
        wide = x.cast(f64) * y.cast(f64)
        return result, fma(wide, 1.0, -result.cast(f64))
    tiny = abs(result) < 2.0**-900  # scaled up, so that what was lost is a number
    small = select(tiny & (abs(x) < 1.0), x.like(2.0**110), 1.0)
    other = select(tiny & (abs(x) >= 1.0), x.like(2.0**110), 1.0)
    return result, fma(x * small, y * other, -(result * select(tiny, x.like(2.0**110), 1.0)))


def _quotient(x: Term, y: Term) -> tuple[Term, Term]:
    result = x / y
    rest = fma(-result.cast(f64), y.cast(f64), x.cast(f64)) if x.elem is f32 else fma(-result, y, x)
    return result, select(y < 0.0, -rest, rest)


def _fused(x: Term, y: Term, z: Term) -> tuple[Term, Term]:
    result = fma(x, y, z)
    if x.elem is f32:
        total, rest = _two_sum(x.cast(f64) * y.cast(f64), z.cast(f64))
        return result, (total - result.cast(f64)) + rest
    high = x * y
    low = fma(x, y, -high)
    a, a_ = _two_sum(z, low)
    b, b_ = _two_sum(high, a)
    return result, ((b - result) + b_) + a_


def _root(x: Term) -> tuple[Term, Term]:
    result = sqrt(x)
    return result, fma(-result, result, x)


PROGRAMS: dict[str, Callable[..., tuple[Term, Term]]] = {
    "add": _sum,
    "sub": _difference,
    "mul": _product,
    "div": _quotient,
    "fma": _fused,
    "sqrt": _root,
    "rcp": lambda x: _quotient(x.like(1.0), x),
}


def narrowed(x: Term, mode: str) -> Term:
    """An f64 as an f32, in a rounding mode."""
    near = x.cast(f32)
    return near if mode == "rn" else stepped(near, x - near.cast(f64), mode, (x,))


def from_integer(x: Term, to: DType, mode: str) -> Term:
    """An integer as a float, in a rounding mode."""
    near = x.cast(to)
    if mode == "rn":
        return near
    beyond = near >= 2.0 ** (x.elem.bits - x.elem.is_signed)  # above every integer of the type, to which it would saturate
    back = near.cast(x.elem)
    rest = select(beyond | (back > x), near.like(-1.0), select(back < x, near.like(1.0), 0.0))
    return stepped(near, rest, mode, (near,))
