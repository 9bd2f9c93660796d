"""Data in motion: transposition, rows by their numbers, counts of values."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, contiguous, normal, output
from .sample import Call, Sample, Work


@tiledsl.jit
def transpose_kernel(x, out, rows, columns, BLOCK: tl.constexpr):
    """One square block per program, read along rows and written along columns."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (i[:, None] < rows) & (j[None, :] < columns)
    tile = tl.load(x + i[:, None] * columns + j[None, :], mask=inside)
    tl.store(out + j[:, None] * rows + i[None, :], tl.trans(tile), mask=tl.trans(inside))


@tiledsl.jit
def take_rows_kernel(table, index, out, count, columns, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Several rows per program, each from where its number says: an embedding."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    at = tl.arange(0, BLOCK)
    source = tl.load(index + row, mask=row < count, other=0)
    inside = (row[:, None] < count) & (at[None, :] < columns)
    tl.store(out + row[:, None] * columns + at[None, :], tl.load(table + source[:, None] * columns + at[None, :], mask=inside), mask=inside)


@tiledsl.jit
def histogram_kernel(x, out, n, BINS: tl.constexpr, BLOCK: tl.constexpr):
    """Counts of the values of one block per program, added to those of the others."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    counts = tl.histogram(tl.load(x + at, mask=at < n, other=0), BINS, mask=at < n)
    tl.atomic_add(out + tl.arange(0, BINS), counts)


def transpose(x: Any, out: Any = None, block: int = 64, **launch: Any) -> Any:
    """The transposed matrix, its rows contiguous."""
    x = contiguous(x)
    rows, columns = axes("x", x, "rows columns")
    out = output(out, x, (columns, rows))
    transpose_kernel[(tiledsl.cdiv(rows, block), tiledsl.cdiv(columns, block))](x, out, rows, columns, BLOCK=block, **launch)
    return out


def take_rows(table: Any, index: Any, out: Any = None, rows: int = 8, **launch: Any) -> Any:
    """table[index] for a matrix and row numbers within it."""
    table, index = contiguous(table), contiguous(index)
    (count,), (_, columns) = axes("index", index, "numbers"), axes("table", table, "rows columns")
    out = output(out, table, (count, columns))
    block = tiledsl.next_power_of_2(columns)
    take_rows_kernel[(tiledsl.cdiv(count, rows),)](table, index, out, count, columns, ROWS=rows, BLOCK=block, **launch)
    return out


def histogram(x: Any, bins: int, out: Any = None, block: int = 65536, **launch: Any) -> Any:
    """How often each of 0 .. bins - 1 stands in an array of int32; bins is a power of two, other values are not counted."""
    x = contiguous(x)
    (n,) = axes("x", x, "numbers")
    out = output(out, x, (bins,))
    out[:] = 0
    histogram_kernel[(tiledsl.cdiv(n, block),)](x, out, n, BINS=bins, BLOCK=block, **launch)
    return out


def inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32", **settings: Any) -> Call:
    return (normal(rng, (rows, columns), dtype),), settings


def take_inputs(rng: np.random.Generator, rows: int, columns: int, count: int) -> Call:
    return (normal(rng, (rows, columns)), rng.integers(0, rows, count)), {}


def histogram_inputs(rng: np.random.Generator, n: int, bins: int, **settings: Any) -> Call:
    return (rng.integers(0, bins, n, dtype=np.int32),), {"bins": bins, **settings}


def exact(*arrays: np.ndarray, **settings: Any) -> float:
    """Nothing is computed, or in integers."""
    return 0.0


def numpy_transpose(x: np.ndarray, out: np.ndarray) -> None:
    """A copy in NumPy."""
    out[...] = x.T


def numba_transpose(numba: Any) -> Any:
    """Blocks in parallel."""

    @numba.njit(parallel=True)
    def run(x, out):
        for i in numba.prange((x.shape[0] + 31) // 32):
            for j in range((x.shape[1] + 31) // 32):
                for a in range(i * 32, min(i * 32 + 32, x.shape[0])):
                    for b in range(j * 32, min(j * 32 + 32, x.shape[1])):
                        out[b, a] = x[a, b]

    return run


def numba_take(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True)
    def run(table, index, out):
        for i in numba.prange(index.shape[0]):
            out[i] = table[index[i]]

    return run


def numba_histogram(numba: Any, bins: int) -> Any:
    """One loop: counts in parallel would race."""

    @numba.njit
    def run(x, out):
        out[:] = 0
        for i in range(x.shape[0]):
            out[x[i]] += 1

    return run


SAMPLES = [
    Sample(
        "transpose",
        transpose,
        inputs,
        lambda x, **settings: x.T,
        exact,
        tests=[{"rows": 1, "columns": 5, "block": 16}, {"rows": 70, "columns": 33, "block": 32}],
        timed=[{"rows": 2048, "columns": 2048}],
        rivals={
            "numpy": numpy_transpose,
            "torch": lambda torch, x, out: out.copy_(x.T),
            "numba": numba_transpose,
            "jax": lambda jax: lambda x: x.T.copy(),
        },
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
        tuning=("block",),
    ),
    Sample(
        "take_rows",
        take_rows,
        take_inputs,
        lambda table, index: table[index],
        exact,
        tests=[{"rows": 10, "columns": 20, "count": 13}, {"rows": 3, "columns": 64, "count": 1}],
        timed=[{"rows": 32768, "columns": 256, "count": 16384}],
        rivals={
            "numpy": lambda table, index, out: np.take(table, index, axis=0, out=out, mode="clip"),
            "torch": lambda torch, table, index, out: torch.index_select(table, 0, index, out=out),
            "numba": numba_take,
            "jax": lambda jax: lambda table, index: table[index],
        },
        work=lambda rows, columns, count: Work(bytes=8 * count * columns),
    ),
    Sample(
        "histogram",
        histogram,
        histogram_inputs,
        lambda x, bins, **settings: np.bincount(x, minlength=bins).astype(np.int32),
        exact,
        tests=[{"n": 1000, "bins": 16, "block": 256}, {"n": 37, "bins": 128, "block": 64}],
        timed=[{"n": 1 << 22, "bins": 256}],
        rivals={
            "numpy": lambda x, bins: np.bincount(x, minlength=bins),
            "torch": lambda torch, x, bins: torch.bincount(x, minlength=bins),
            "numba": numba_histogram,
        },
        work=lambda n, bins: Work(bytes=4 * n, reads_only=True),
        tuning=("block",),
    ),
]
