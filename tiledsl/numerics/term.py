"""Arithmetic on tiles of one shape, written with Python's operators, so that an algorithm reads like its formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .. import ops
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import DType, Tile, dtype_of, f32, f64, i32, i64, u32, u64
from ..ops.formula import Formula, Number


@dataclass(frozen=True)
class Format:
    """What an algorithm has to know about a floating-point format."""

    integer: DType
    unsigned: DType
    mantissa: int
    bias: int

    @cached_property
    def magic(self) -> float:
        """Adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @cached_property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @cached_property
    def sign(self) -> int:
        """The sign bit, as a signed integer."""
        return -(1 << (self.integer.bits - 1))


FORMATS = {f32: Format(i32, u32, 23, 127), f64: Format(i64, u64, 52, 1023)}


@dataclass(frozen=True, eq=False)
class Term(Formula):
    """A value and the builder that says more about it."""

    build: Builder
    value: Value
    native: frozenset[str] = frozenset()  # of the machine

    @property
    def elem(self) -> DType:
        return dtype_of(self.value.type)

    @property
    def format(self) -> Format:
        return FORMATS[self.elem]

    def like(self, number: Number, elem: DType | None = None) -> Term:
        """The number as a tile of this shape, rounded to the element type."""
        elem = elem or self.elem
        number = float(elem.numpy.type(number)) if elem.is_float else int(number)
        constant = self.build.emit(ops.constant, value=number, type=Tile(elem, self.value.type.shape))
        return replace(self, value=constant)

    def apply(self, spec: OpSpec, *others: Term | Number, **attributes: Any) -> Term:
        terms = [other if isinstance(other, Term) else self.like(other) for other in others]
        return replace(self, value=self.build.emit(spec, self.value, *(term.value for term in terms), **attributes))

    @property
    def bits(self) -> Term:
        """The same bits as a signed integer."""
        return self.apply(ops.bitcast, to=self.format.integer)

    def floating(self, to: DType) -> Term:
        """The same bits as a floating-point number."""
        return self.apply(ops.bitcast, to=to)


def fma(x: Term, y: Term | Number, z: Term | Number) -> Term:
    """x * y + z, rounded once."""
    return x.apply(ops.fma, y, z)


def select(condition: Term, x: Term | Number, y: Term | Number) -> Term:
    """x where condition holds, else y; at least one of them is a term."""
    like = x if isinstance(x, Term) else y
    assert isinstance(like, Term)
    x, y = (term if isinstance(term, Term) else like.like(term) for term in (x, y))
    return condition.apply(ops.select, x, y)


def sqrt(x: Term) -> Term:
    return x.apply(ops.sqrt)


def floor(x: Term) -> Term:
    return x.apply(ops.floor)


def at_most(x: Term, bound: float) -> Term:
    """x, or bound where x is above it; NaN stays NaN. In this order of operands it is one instruction on x86."""
    bounded = x.like(bound)
    return select(bounded < x, bounded, x)


def at_least(x: Term, bound: float) -> Term:
    """x, or bound where x is below it; NaN stays NaN."""
    bounded = x.like(bound)
    return select(bounded > x, bounded, x)


def with_sign_of(magnitude: Term, sign: Term) -> Term:
    """A magnitude that is not negative, with another number's sign."""
    return (magnitude.bits | (sign.bits & sign.format.sign)).floating(magnitude.elem)


def polynomial(x: Term, coefficients: Sequence[Term | float]) -> Term:
    """The sum of coefficients[i] * x**i, by Horner's rule with fma; coefficients may differ from element to element."""
    *rest, last = coefficients
    total: Term | float = last
    for coefficient in reversed(rest):
        total = fma(x, total, coefficient)
    assert isinstance(total, Term)
    return total
