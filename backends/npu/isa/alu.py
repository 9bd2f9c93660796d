"""What the arithmetic of T1 means: each operation of its units is an op of the language, so its meaning is declared there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tiledsl import ops
from tiledsl.errors import TypeRuleError
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import DType, Tile, i1

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
    values = np.asarray(SPECS[name].evaluate(*operands))
    return result.round(values) if result.is_float else values


def result_type(name: str, operand: DType) -> DType:
    """The type of a result, from that of the operands."""
    return i1 if name in COMPARISONS else operand


def defined(name: str, operand: DType) -> bool:
    """Whether the language has an operation for operands of a type."""
    spec, tile = SPECS[name], Tile(operand)
    operands = [Tile(i1), tile, tile] if name == "select" else [tile] * len(spec.operands)
    try:
        spec.infer(*operands)
    except TypeRuleError:
        return False
    return True


def cast(values: np.ndarray, to: DType) -> np.ndarray:
    """Values converted to a type."""
    return np.asarray(ops.cast.evaluate(values, to=to))


def dot(a: np.ndarray, b: np.ndarray, acc: np.ndarray, chunk: int = 0) -> np.ndarray:
    """acc + a @ b in the order the language fixes; or, with a chunk, sums of so many products, added in ascending order."""
    if not chunk or acc.dtype.kind in "iu":
        return ops.dot.evaluate(a, b, acc)
    for first in range(0, a.shape[-1], chunk):
        part = slice(first, first + chunk)
        acc = ops.add.evaluate(acc, ops.dot.evaluate(a[..., part], b[..., part, :], np.zeros_like(acc)))
    return acc


class _Lifted:
    """Stands for the interpreter where a reduction asks it to combine tiles with a block: here, by one operation."""

    def __init__(self, name: str, dtype: DType):
        self.name, self.dtype = name, dtype

    def lifted(self, block: None, operands: Sequence[np.ndarray]) -> tuple[np.ndarray]:
        return (apply(self.name, self.dtype, *operands),)


def reduce(name: str, values: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
    """Values combined along an axis, which keeps extent 1."""
    if name in ANY_ORDER:
        return _halved(name, values, axis, dtype)
    if name in CHAINS and values.dtype == dtype.storage and values.dtype.itemsize >= 4:
        return _chained(name, values, axis, dtype)
    return plain_reduce(name, values, axis, dtype)


def plain_reduce(name: str, values: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
    """The same by the op's own definition, step by step."""
    (combined,) = ops.reduce.evaluate(_Lifted(name, dtype), values, axis=axis, blocks=[None])
    return np.expand_dims(combined, axis)


ANY_ORDER = {"maximum", "minimum", "maximum_nan", "minimum_nan", "and", "or", "xor"}  # every order gives the same bits
CHAINS = {"add": np.add, "mul": np.multiply}


def _halved(name: str, values: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
    """The upper half combined into the lower until one is left; what has no partner is carried along."""
    rows = np.moveaxis(values, axis, 0)
    while (count := len(rows)) > 1:
        upper, pairs = (count + 1) // 2, count // 2
        head = apply(name, dtype, rows[:pairs], rows[upper:])
        rows = np.concatenate([head, rows[pairs:upper]]) if pairs < upper else head
    return np.moveaxis(rows, 0, axis)


def _chained(name: str, values: np.ndarray, axis: int, dtype: DType) -> np.ndarray:
    """All partials at once: NumPy accumulates one after the other by definition."""
    rows = np.moveaxis(values, axis, 0)
    count = min(len(rows), ops.PARTIALS)
    whole = len(rows) // count * count
    chains = rows[:whole].reshape(-1, count, *rows.shape[1:])
    partial = CHAINS[name].accumulate(chains, axis=0, dtype=values.dtype)[-1]
    if whole < len(rows):
        rest = rows[whole:]
        partial = np.concatenate([apply(name, dtype, partial[: len(rest)], rest), partial[len(rest) :]])
    return np.moveaxis(_halved(name, partial, 0, dtype), 0, axis)


def scan(name: str, values: np.ndarray, axis: int, reverse: bool, dtype: DType) -> np.ndarray:
    """Running combinations along an axis."""
    (running,) = ops.scan.evaluate(_Lifted(name, dtype), values, axis=axis, reverse=reverse, blocks=[None])
    return running
