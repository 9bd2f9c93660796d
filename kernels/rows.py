"""What is asked of the rows of a matrix: their sum, the place of the largest element, running sums, the k largest, their order."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, contiguous, dtype_name, normal, output
from .sample import UNIT, Call, Sample, Shape, Work, rounding, sum_error


@tiledsl.jit
def sum_kernel(x, out, columns, BLOCK: tl.constexpr):
    """One row per program."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    tl.store(out + row, tl.sum(tl.load(x + row * columns + at, mask=at < columns, other=0.0).to(tl.float32), axis=0))


@tiledsl.jit
def argmax_kernel(x, out, columns, BLOCK: tl.constexpr):
    """One row per program; the first of equals."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    tl.store(out + row, tl.argmax(tl.load(x + row * columns + at, mask=at < columns, other=-float("inf")), axis=0))


@tiledsl.jit
def cumsum_kernel(x, out, rows, columns, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Some rows per program, so that their chains of sums need not wait for each other."""
    row, at = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, BLOCK)
    where = row[:, None] * columns + at[None, :]
    inside = (row[:, None] < rows) & (at[None, :] < columns)
    values = tl.load(x + where, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + where, tl.cumsum(values, axis=1), mask=inside)


@tiledsl.jit
def sort_kernel(x, out, columns, BLOCK: tl.constexpr):
    """One row per program, ascending; lanes beyond the row hold +inf and stay behind."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=float("inf"))
    tl.store(out + row * columns + at, tl.sort(values), mask=at < columns)


@tiledsl.jit
def topk_kernel(x, out, columns, K: tl.constexpr, BLOCK: tl.constexpr):
    """One row per program, the largest first."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=-float("inf"))
    tl.store(out + row * K + tl.arange(0, K), tl.topk(values, K))


TOGETHER, LARGEST = 16, 1 << 16  # rows, if they have no more elements than that


def _launch(kernel: Any, x: Any, out: Any, launch: dict[str, Any]) -> Any:
    rows, columns = axes("x", x, "rows columns")
    kernel[(rows,)](x, out, columns, BLOCK=tiledsl.next_power_of_2(columns), **launch)
    return out


def row_sum(x: Any, out: Any = None, **launch: Any) -> Any:
    """The sum of every row, in float32."""
    x = contiguous(x)
    return _launch(sum_kernel, x, output(out, x, x.shape[:1], "f32"), launch)


def row_argmax(x: Any, out: Any = None, **launch: Any) -> Any:
    """Where the largest element of every row is, the first of equals."""
    x = contiguous(x)
    return _launch(argmax_kernel, x, output(out, x, x.shape[:1], "i64"), launch)


def row_cumsum(x: Any, out: Any = None, **launch: Any) -> Any:
    """The running sums of every row, in float32."""
    x, out = contiguous(x), output(out, x, dtype="f32")
    rows, columns = axes("x", x, "rows columns")
    block = tiledsl.next_power_of_2(columns)
    together = max(1, min(TOGETHER, LARGEST // block))
    cumsum_kernel[(tiledsl.cdiv(rows, together),)](x, out, rows, columns, ROWS=together, BLOCK=block, **launch)
    return out


def row_sort(x: Any, out: Any = None, **launch: Any) -> Any:
    """Every row in ascending order; rows hold no NaN."""
    x = contiguous(x)
    return _launch(sort_kernel, x, output(out, x), launch)


def row_topk(x: Any, k: int, out: Any = None, **launch: Any) -> Any:
    """The k largest of every row, the largest first; k is a power of two, rows hold no NaN."""
    x = contiguous(x)
    rows, columns = axes("x", x, "rows columns")
    out = output(out, x, (rows, k))
    topk_kernel[(rows,)](x, out, columns, K=k, BLOCK=tiledsl.next_power_of_2(columns), **launch)
    return out


def inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32", **settings: Any) -> Call:
    return (normal(rng, (rows, columns), dtype),), settings


def reading(rows: int, columns: int) -> Work:
    return Work(bytes=4 * rows * columns, reads_only=True)


def copying(rows: int, columns: int) -> Work:
    return Work(bytes=8 * rows * columns)


def exact(*arrays: np.ndarray, **settings: Any) -> float:
    """Nothing is rounded."""
    return 0.0


def sum_tolerance(x: np.ndarray) -> np.ndarray:
    """The error of a sum, relative to the sum of absolute values."""
    return sum_error(tiledsl.next_power_of_2(x.shape[1])) * np.abs(x.astype(np.float64)).sum(axis=1) * 1.01


def cumsum_tolerance(x: np.ndarray) -> np.ndarray:
    """A scan in log steps adds at most as often as one in order."""
    size = np.cumsum(np.abs(x.astype(np.float64)), axis=1)
    return x.shape[1] * UNIT["f32"] * size * 1.01 + rounding(size, dtype_name(x))


def numba_sum(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.shape[0]):
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += x[i, j]
            out[i] = total

    return run


def numba_argmax(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.shape[0]):
            out[i] = np.argmax(x[i])

    return run


def numba_cumsum(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.shape[0]):
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += x[i, j]
                out[i, j] = total

    return run


def numba_sort(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True)
    def run(x, out):
        for i in numba.prange(x.shape[0]):
            out[i] = np.sort(x[i])

    return run


SHAPES: list[Shape] = [{"rows": 5, "columns": 1}, {"rows": 3, "columns": 100}, {"rows": 2, "columns": 300, "dtype": "f16"}]
MATRIX = {"rows": 2048, "columns": 1024}
SAMPLES = [
    Sample(
        "row_sum",
        row_sum,
        inputs,
        lambda x: x.astype(np.float64).sum(axis=1),
        sum_tolerance,
        tests=SHAPES,
        timed=[MATRIX, {"rows": 64, "columns": 1 << 18}],
        rivals={
            "numpy": lambda x, out: x.sum(axis=1, out=out),
            "torch": lambda torch, x, out: torch.sum(x, 1, out=out),
            "numba": numba_sum,
            "jax": lambda jax: lambda x: x.sum(axis=1),
        },
        work=reading,
    ),
    Sample(
        "row_argmax",
        row_argmax,
        inputs,
        lambda x: x.argmax(axis=1),
        exact,
        tests=SHAPES,
        timed=[MATRIX],
        rivals={
            "numpy": lambda x, out: x.argmax(axis=1, out=out),
            "torch": lambda torch, x, out: torch.argmax(x, 1, out=out),
            "numba": numba_argmax,
            "jax": lambda jax: lambda x: x.argmax(axis=1),
        },
        work=reading,
    ),
    Sample(
        "row_cumsum",
        row_cumsum,
        inputs,
        lambda x: x.astype(np.float64).cumsum(axis=1),
        cumsum_tolerance,
        tests=SHAPES,
        timed=[MATRIX],
        rivals={
            "numpy": lambda x, out: x.cumsum(axis=1, out=out),
            "torch": lambda torch, x, out: torch.cumsum(x, 1, out=out),
            "numba": numba_cumsum,
            "jax": lambda jax: lambda x: x.cumsum(axis=1),
        },
        work=copying,
    ),
    Sample(
        "row_sort",
        row_sort,
        inputs,
        lambda x: np.sort(x, axis=1),
        exact,
        tests=SHAPES,
        timed=[MATRIX],
        rivals={
            "numpy": lambda x: np.sort(x, axis=1),
            "torch": lambda torch, x: torch.sort(x, 1),
            "numba": numba_sort,
            "jax": lambda jax: lambda x: jax.numpy.sort(x, axis=1),
        },
    ),
    Sample(
        "row_topk",
        row_topk,
        inputs,
        lambda x, k: -np.sort(-x, axis=1)[:, :k],
        exact,
        tests=[{"rows": 3, "columns": 64, "k": 4}, {"rows": 2, "columns": 100, "k": 16}],
        timed=[{**MATRIX, "k": 16}],
        rivals={
            "numpy": lambda x, k: -np.sort(-np.partition(x, x.shape[1] - k, axis=1)[:, -k:], axis=1),
            "torch": lambda torch, x, k: torch.topk(x, k, dim=1),
            "jax": lambda jax, k: lambda x: jax.lax.top_k(x, k)[0],
        },
    ),
]
