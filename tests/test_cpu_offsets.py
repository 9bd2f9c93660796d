"""Blocks with an offset for every index of an axis: rows modulo their number, rows by number, in and before matrix products."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def wrapped(a, b, c, M, N, K, BK: tl.constexpr, BLOCK: tl.constexpr, TURN: tl.constexpr):
    """A product whose blocks begin anew behind the last row and column, as in Triton's tutorial."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)) % M
    columns = (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)) % N
    depth = tl.arange(0, BK)
    left = a + rows[:, None] * K + depth[None, :]
    right = b + (depth[:, None] + columns[None, :] * K if TURN else depth[:, None] * N + columns[None, :])
    total = tl.zeros((BLOCK, BLOCK), tl.float32)
    for k in range(0, tl.cdiv(K, BK)):
        x = tl.load(left, mask=depth[None, :] < K - k * BK, other=0.0)
        y = tl.load(right, mask=depth[:, None] < K - k * BK, other=0.0)
        total = tl.dot(x, y, total)
        left += BK
        right += BK if TURN else BK * N
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i[:, None] * N + j[None, :], total.to(c.dtype.element_ty), mask=(i[:, None] < M) & (j[None, :] < N))


@tiledsl.jit
def chosen(a, b, rows, columns, c, K: tl.constexpr, BLOCK: tl.constexpr):
    """Rows of a and columns of b by their numbers."""
    i, j, k = tl.arange(0, BLOCK), tl.arange(0, BLOCK), tl.arange(0, K)
    x = tl.load(a + tl.load(rows + i)[:, None] * K + k[None, :])
    y = tl.load(b + k[:, None] * BLOCK + tl.load(columns + j)[None, :])
    tl.store(c + i[:, None] * BLOCK + j[None, :], tl.dot(x, y))


@tiledsl.jit
def summed(x, index, out, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sums of rows by their numbers, some of them masked."""
    i, j = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    row = tl.load(index + i)
    found = tl.load(x + row[:, None] * COLUMNS + j[None, :], mask=(i[:, None] < n) & (j[None, :] < COLUMNS - 3), other=2.0)
    tl.store(out + i, tl.sum(found, 1))


def on_all(kernel, grid, out, *arrays, **constants) -> np.ndarray:
    """The result of the CPU with one thread and two, which is that of the interpreter bit for bit."""
    results = []
    for options in ({"backend": "interpreter"}, {"backend": "cpu", "num_threads": 1}, {"backend": "cpu", "num_threads": 2}):
        out[...] = 0
        kernel[grid](*arrays, **constants, **options)
        results.append(out.tobytes())
    assert results[0] == results[1] == results[2]
    return out


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("m,n,k", [(64, 64, 64), (37, 70, 100), (1, 3, 40), (33, 32, 600)])
def test_blocks_that_begin_anew(m: int, n: int, k: int, dtype: type, turn: bool) -> None:
    rng = np.random.default_rng(m)
    a, b, c = (rng.standard_normal(s).astype(dtype) for s in ((m, k), (n, k) if turn else (k, n), (m, n)))
    found = on_all(wrapped, (-(-m // 32), -(-n // 32)), c, a, b, c, m, n, k, BK=16, BLOCK=32, TURN=turn)
    np.testing.assert_allclose(found, a.astype("d") @ (b.T if turn else b).astype("d"), rtol=1e-2, atol=0.1)


@pytest.mark.parametrize(
    "rows,columns",
    [
        (np.arange(16), np.arange(16)),
        (np.arange(16)[::-1], np.arange(16)),
        (np.arange(16), np.arange(16) // 2),
        (np.full(16, 3), np.full(16, 5)),
    ],
)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_rows_and_columns_of_products_by_number(rows: np.ndarray, columns: np.ndarray, index: type) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((16, 16)).astype(np.float32) for _ in range(3))
    found = on_all(chosen, (1,), c, a, b, rows.astype(index), columns.astype(index), c, K=16, BLOCK=16)
    np.testing.assert_allclose(found, a[rows] @ b[:, columns], rtol=1e-4, atol=1e-5)


def test_rows_by_number_are_read_as_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    x, out = np.arange(64 * 32, dtype=np.float32).reshape(64, 32), np.zeros(8, np.float32)
    index = np.array([5, 63, 0, 5, 7, 1 << 20, 1 << 20, 9], np.int32)  # what is masked is not read
    on_all(summed, (1,), out, x, index[[0, 1, 2, 3, 4, 7, 5, 6]], out, 6, ROWS=8, COLUMNS=32)
    assert out[1] == x[63, :29].sum() + 6 and out[7] == 64
    summed.show(x, index, out, 6, ROWS=8, COLUMNS=32, backend="cpu", stage="llvm")
    text = capsys.readouterr().out
    assert "masked.load.v" in text and "gather" not in text


@tiledsl.jit
def scattered(x, index, out, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TURN: tl.constexpr):
    """Rows to places by their numbers, some of them masked."""
    i, j = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    row = tl.load(index + i)
    values = tl.load(x + (j[None, :] * ROWS + i[:, None] if TURN else i[:, None] * COLUMNS + j[None, :]))
    tl.store(out + row[:, None] * 600 + j[None, :], values * 2, mask=(i[:, None] < n) & (j[None, :] < COLUMNS - 3))


@pytest.mark.parametrize("turn", [False, True])
@pytest.mark.parametrize("rows,columns", [(8, 32), (16, 16), (16, 1), (1, 8), (4, 600)])
def test_rows_are_written_by_number_and_the_last_of_equals_stays(rows: int, columns: int, turn: bool) -> None:
    rng = np.random.default_rng(0)
    x, out = rng.standard_normal(rows * columns).astype(np.float32), np.zeros((8, 600), np.float32)
    index = rng.integers(0, 8, rows).astype(np.int32)
    index[rows - 1 :] = 1 << 20 if rows > 1 else 0  # what is masked is not written
    on_all(scattered, (1,), out, x, index, out, rows - 1, ROWS=rows, COLUMNS=columns, TURN=turn)
