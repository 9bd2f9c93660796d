"""Formulas in Python's operators: what they are written on applies ops, be it to values of a kernel or to arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..ir.spec import SPECS, OpSpec, infer_results
from ..ir.types import LOWERED, DType, Tile, f16, f32, i1

Number = int | float


class Formula:
    """Something that ops can be applied to; each operator is the op of its name."""

    def apply(self, spec: OpSpec, *others: Self | Number, **attributes: Any) -> Self:
        """An op on this and others; a number takes this one's type."""
        raise NotImplementedError

    def like(self, number: Number, elem: DType | None = None) -> Self:
        """A number of the same shape, rounded to the element type."""
        raise NotImplementedError

    def __add__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["add"], other)

    def __radd__(self, other: Number) -> Self:
        return self.like(other) + self

    def __sub__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["sub"], other)

    def __rsub__(self, other: Number) -> Self:
        return self.like(other) - self

    def __mul__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["mul"], other)

    def __rmul__(self, other: Number) -> Self:
        return self.like(other) * self

    def __truediv__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["div"], other)

    def __rtruediv__(self, other: Number) -> Self:
        return self.like(other) / self

    def __neg__(self) -> Self:
        return self.apply(SPECS["neg"])

    def __abs__(self) -> Self:
        return self.apply(SPECS["abs"])

    def __lshift__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["shl"], other)

    def __rshift__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["shr"], other)

    def __and__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["and"], other)

    def __or__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["or"], other)

    def __xor__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["xor"], other)

    def __invert__(self) -> Self:
        return self.apply(SPECS["not"])

    def __lt__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["lt"], other)

    def __le__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["le"], other)

    def __gt__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["gt"], other)

    def __ge__(self, other: Self | Number) -> Self:
        return self.apply(SPECS["ge"], other)

    def equals(self, other: Self | Number) -> Self:
        return self.apply(SPECS["eq"], other)

    def differs(self, other: Self | Number) -> Self:
        return self.apply(SPECS["ne"], other)

    def cast(self, to: DType) -> Self:
        return self.apply(SPECS["cast"], to=to)


class Known(Formula):
    """An array, on which ops are computed at once, by what they mean."""

    def __init__(self, array: np.ndarray):
        self.array = array

    @cached_property
    def type(self) -> Tile:
        return Tile(_ELEMENTS[self.array.dtype], self.array.shape)

    def like(self, number: Number, elem: DType | None = None) -> Known:
        return Known(np.full(self.array.shape, number, elem.numpy if elem else self.array.dtype))

    def apply(self, spec: OpSpec, *others: Known | Number, **attributes: Any) -> Known:
        operands = [self, *(other if isinstance(other, Known) else self.like(other) for other in others)]
        types = tuple(operand.type for operand in operands)
        infer_results(spec, types, attributes)  # says what is wrong with a definition
        more = {"types": types} if "typed" in spec.traits else {}
        return Known(np.asarray(spec.evaluate(*(operand.array for operand in operands), **attributes, **more)))


_ELEMENTS = {elem.numpy: elem for elem in LOWERED if elem.numpy == elem.storage or elem is i1}


def computed(definition: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """What a definition makes of arrays: f16 computes in f32, as do the types that NumPy lacks, and is rounded once."""

    def evaluate(*operands: np.ndarray) -> np.ndarray:
        half = operands[0].dtype == f16.numpy
        found: Known = definition(*(Known(x.astype(f32.numpy) if half else x) for x in operands))
        return found.array.astype(f16.numpy) if half and found.type.elem is f32 else found.array

    return evaluate


def result_of(definition: Callable[..., Any], elem: DType, arity: int) -> DType:
    """The element type that a definition makes of operands of one; TypeRuleError says why there is none."""
    inner = f32 if elem.is_float and elem.bits < 32 else elem
    with np.errstate(all="ignore"):
        found: Known = definition(*[Known(np.zeros((), inner.numpy))] * arity)
    made = found.type.elem
    assert isinstance(made, DType)
    return elem if made is inner else made
