"""What the arithmetic of T1 means: each operation of its units is an op of the language, so its meaning is declared there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tiledsl import ops
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import DType, i1

# the position in a table is the code in the instruction word: append, never reorder
UNARY = ("neg", "abs", "not", "sqrt", "floor", "ceil", "trunc", "round")
BINARY = (
    *("add", "sub", "mul", "div", "idiv", "rem", "maximum", "minimum", "maximum_nan", "minimum_nan"),
    *("and", "or", "xor", "shl", "shr", "umulhi", "eq", "ne", "lt", "le", "gt", "ge"),
)
TERNARY = ("fma", "select")
ATOMIC = ("add", "max", "min", "and", "or", "xor", "xchg")
COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))

Update = Callable[[np.ndarray, Any], np.ndarray]


def apply(name: str, result: DType, *operands: np.ndarray) -> np.ndarray:
    """An operation on carried values, rounded once to the result's type."""
    with np.errstate(all="ignore"):
        values = np.asarray(SPECS[name].evaluate(*operands))
    return result.round(values) if result.is_float else values


def result_type(name: str, operand: DType) -> DType:
    """The type of a result, from that of the operands."""
    return i1 if name in COMPARISONS else operand


def cast(values: np.ndarray, to: DType) -> np.ndarray:
    """Values converted to a type."""
    with np.errstate(all="ignore"):
        return np.asarray(ops.cast.evaluate(values, to=to))


def dot(a: np.ndarray, b: np.ndarray, acc: np.ndarray) -> np.ndarray:
    """acc + a @ b in the order the language fixes."""
    with np.errstate(all="ignore"):
        return ops.dot.evaluate(a, b, acc)


class _Lifted:
    """Stands for the interpreter where a reduction asks it to combine tiles with a block: here, by one operation."""

    def __init__(self, name: str, dtype: DType):
        self.name, self.dtype = name, dtype

    def lifted(self, block: None, operands: Sequence[np.ndarray]) -> tuple[np.ndarray]:
        return (apply(self.name, self.dtype, *operands),)


def reduce(name: str, values: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
    """Values combined along an axis, which keeps extent 1."""
    (combined,) = ops.reduce.evaluate(_Lifted(name, dtype), values, axis=axis, blocks=[None])
    return np.expand_dims(combined, axis)


def scan(name: str, values: np.ndarray, axis: int, reverse: bool, dtype: DType) -> np.ndarray:
    """Running combinations along an axis."""
    (running,) = ops.scan.evaluate(_Lifted(name, dtype), values, axis=axis, reverse=reverse, blocks=[None])
    return running
