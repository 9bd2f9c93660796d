"""The CPU backend gives the interpreter's bits: every elementwise op and type."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cpu_kernels import FLOATS, INTS, agree, mapped, sample, tame

from tiledsl.ir.types import LOWERED, DType, f32, i1

UNARY = {"neg": None, "abs": None, "sqrt": FLOATS, "floor": FLOATS, "ceil": FLOATS, "trunc": FLOATS, "round": FLOATS, "not": [i1, *INTS]}
BINARY = {
    **dict.fromkeys(["add", "sub", "mul", "maximum", "minimum"]),
    "div": FLOATS,
    "idiv": [i1, *INTS],
    "rem": None,
    **dict.fromkeys(["maximum_nan", "minimum_nan"], FLOATS),
    **dict.fromkeys(["and", "or", "xor", "shl", "shr"], [i1, *INTS]),
    "umulhi": [t for t in INTS if t.bits >= 32],
}
CASES = [(op, n, t) for table, n in ((UNARY, 1), (BINARY, 2)) for op, accepted in table.items() for t in accepted or LOWERED]


@pytest.mark.parametrize(("op", "arity", "dtype"), CASES, ids=lambda x: str(x))
def test_elementwise_ops_agree(op: str, arity: int, dtype: DType) -> None:
    size = 203
    agree(mapped(op, [dtype] * arity, dtype, size), *(sample(dtype, size, k) for k in range(arity)), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_fma_rounds_once(dtype: DType) -> None:
    size = 500
    agree(mapped("fma", [dtype] * 3, dtype, size), *(sample(dtype, size, k) for k in range(3)), np.zeros(size, dtype.storage))


@pytest.mark.parametrize("dtype", LOWERED, ids=str)
def test_comparisons_and_select_agree(dtype: DType) -> None:
    size = 65
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        agree(mapped(op, [dtype] * 2, i1, size), sample(dtype, size), sample(dtype, size, 1), np.zeros(size, np.uint8))
    agree(
        mapped("select", [i1, dtype, dtype], dtype, size),
        sample(i1, size),
        sample(dtype, size),
        sample(dtype, size, 1),
        np.zeros(size, dtype.storage),
    )


@pytest.mark.parametrize("source", LOWERED, ids=str)
def test_casts_agree(source: DType) -> None:
    size = 300
    for result in LOWERED:
        agree(mapped("cast", [source], result, size, f" {{to={result}}}"), sample(source, size), np.zeros(size, result.storage))


def test_bitcasts_agree() -> None:
    for x, y in itertools.permutations(LOWERED, 2):
        if x.bits == y.bits:
            agree(
                mapped("bitcast", [x], y, 40, f" {{to={y}}}"),
                tame(x, 40) if x.is_float else tame(y, 40).view(x.storage),
                np.zeros(40, y.storage),
            )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 16, 31, 32, 33, 64, 100])
def test_sizes_that_are_no_multiple_of_the_vector(size: int) -> None:
    agree(mapped("add", [f32, f32], f32, size), sample(f32, size), sample(f32, size, 1), np.zeros(size + 40, np.float32))
