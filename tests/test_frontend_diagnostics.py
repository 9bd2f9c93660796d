"""Mistakes of newcomers: what is said, which characters are marked, and what to type instead."""

from __future__ import annotations

import linecache
import math

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import TileError

TABLE, SCALAR = np.arange(4), np.int64(3)
X, B = np.ones(64, np.float32), np.ones(64, np.int8)


@tiledsl.jit
def product(x):
    a = tl.zeros((8, 8), tl.float32)
    tl.store(x, 1.0 + tl.sum(a @ a))


@tiledsl.jit
def result(x):
    y = tl.load(x)
    return y


@tiledsl.jit
def either(x):
    v = tl.load(x)
    if v > 1:
        return v
    return x + tl.arange(0, 2)


@tiledsl.jit
def two_kinds(x):
    tl.store(either(x), 1.0)


@tiledsl.jit
def exponential(x):
    tl.store(x, math.exp(tl.load(x)))


@tiledsl.jit
def arctangent(x):
    tl.store(x, math.atan(tl.load(x)))


@tiledsl.jit
def element(x):
    tl.store(x, TABLE[1])


@tiledsl.jit
def scalar(x):
    tl.store(x, SCALAR)


@tiledsl.jit
def axes(x):
    i, j = tl.program_id(0)
    tl.store(x + i, j)


@tiledsl.jit
def number(x):
    i, j = tl.load(x)
    tl.store(x + i, j)


@tiledsl.jit
def addresses(x):
    i = tl.arange(0, 4)
    tl.store(x + i, x + i)


@tiledsl.jit
def row_mask(x):
    i, j = tl.arange(0, 4), tl.arange(0, 8)
    tl.store(x + i[:, None] * 8 + j[None, :], 1.0, mask=i < 3)


@tiledsl.jit
def column_mask(x):
    i, j = tl.arange(0, 4), tl.arange(0, 8)
    tl.store(x, tl.sum(tl.load(x + i[:, None] * 8 + j[None, :], mask=j < 3)[0]))
    tl.store(x, tl.sum(tl.load(x + i[:, None] * 8 + j[None, :], mask=i < 3)))


@tiledsl.jit
def bytes_added(x):
    tl.atomic_add(x, 1)


@tiledsl.jit
def factorial(n):
    if n <= 1:
        return 1
    return n * factorial(n - 1)


@tiledsl.jit
def recursion(x):
    tl.store(x, factorial(tl.load(x).to(tl.int32)))


@pytest.mark.parametrize(
    "kernel, array, said, marked, help",
    [
        (product, X, "the operator `@` is not supported", "a @ a", "tl.dot(a, b)"),
        (result, X, "the kernel `result` returns a value", "return y", "store results"),
        (two_kinds, X, "Return type mismatch: f32 if the condition holds, *f32[2] otherwise", "", "the same type"),
        (exponential, X, "math.exp takes a compile-time value", "math.exp(tl.load(x))", "use tl.exp"),
        (arctangent, X, "math.atan takes a compile-time value", "math.atan(tl.load(x))", "use libdevice.atan"),
        (element, X, "`TABLE` is a global array", "TABLE", "make it a parameter"),
        (scalar, X, "Cannot access global variable SCALAR", "SCALAR", "SCALAR = tl.constexpr"),
        (axes, X, "cannot take i32 apart", "i, j = tl.program_id(0)", "tl.program_id(0), tl.program_id(1)"),
        (number, X, "cannot take f32 apart", "i, j = tl.load(x)", "one name"),
        (addresses, X, "an address is no number", "tl.store(x + i, x + i)", "store what is there: tl.load"),
        (row_mask, X, "a mask i1[4] fits no pointers *f32[4,8]", "tl.store(", "along axis 0: mask[:, None]"),
        (column_mask, X, "a mask i1[4] fits no pointers *f32[4,8]", "tl.load(", "along axis 0: mask[:, None]"),
        (bytes_added, B, "atomic_add does not support int8", "tl.atomic_add(x, 1)", "x.astype(np.int32)"),
        (recursion, X, "recursion without end: `factorial` is called by itself", "", "on a tl.constexpr parameter; else write a loop"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_of_newcomers(kernel: tiledsl.JITFunction, array: np.ndarray, said: str, marked: str, help: str) -> None:
    with pytest.raises(TileError) as caught:
        kernel.warmup(array, grid=(1,))
    found, loc = caught.value.diagnostic, caught.value.loc
    assert said in found.message and help in found.help and loc is not None
    assert linecache.getline(loc.file, loc.line)[loc.column : loc.end_column].startswith(marked)
    if marked and marked[-1] != "(":
        assert loc.end_column - loc.column == len(marked)


@tiledsl.jit
def nothing_added(x, n, WHAT: tl.constexpr):
    if WHAT == "none":
        tl.store(x, n + 1)
    elif WHAT == "module":
        tl.store(x, tl + 1)
    elif WHAT == "element":
        tl.store(x, tl.sum[0])
    elif WHAT == "window":
        tl.load(tl.make_block_ptr(x, 4, (1,), (0,), (4,), (0,)))
    else:
        tl.make_tensor_descriptor(x, tl.load(x).to(tl.int32), (4, 1), (4, 4))


@pytest.mark.parametrize(
    "what, said, help",
    [
        ("none", "`+` takes numbers and tiles, got None and the int 1", "is not None"),
        ("module", "`+` takes numbers and tiles, got the module", "tl.static_print"),
        ("element", "has no element the int 0", "tl.load reads them"),
        ("window", "expected a tuple of integers, got the int 4", "(m, n)"),
        ("descriptor", "expected a tuple of integers, got i32", "(m, n)"),
    ],
)
def test_values_that_mean_nothing_are_told_in_our_words(what: str, said: str, help: str) -> None:
    with pytest.raises(TileError) as caught:
        nothing_added.warmup(X, None, WHAT=what, grid=(1,))
    assert said in caught.value.message and help in caught.value.diagnostic.help and caught.value.loc


@tiledsl.jit
def too_long(x):
    tl.store(x, len((1, 2) * (1 << 61)))


def test_what_no_memory_holds_is_a_mistake_of_the_kernel() -> None:
    with pytest.raises(TileError, match="MemoryError"):
        too_long.warmup(X, grid=(1,))
