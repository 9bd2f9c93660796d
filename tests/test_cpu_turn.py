"""Tiles that are read along one axis and written along the other: squares of them are turned in registers."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def flipped(x, out, rows, columns, x_row, out_row, M: tl.constexpr, N: tl.constexpr):
    i, j = tl.arange(0, M), tl.arange(0, N)
    inside = (i[:, None] < rows) & (j[None, :] < columns)
    tile = tl.load(x + i[:, None] * x_row + j[None, :], mask=inside, other=7)
    tl.store(out + j[:, None] * out_row + i[None, :], tl.trans(tile + tile), mask=tl.trans(inside))


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.int64])
@pytest.mark.parametrize("rows, columns", [(16, 32), (13, 30), (1, 32), (16, 3)])
def test_edges_are_kept(dtype: type, rows: int, columns: int) -> None:
    x = np.arange(16 * 32).astype(dtype).reshape(16, 32)
    found = np.full((34, 20), 9, dtype)
    flipped[(1,)](x, found, rows, columns, 32, 20, M=16, N=32, backend="cpu")
    wanted = np.full((34, 20), 9, dtype)
    wanted[:columns, :rows] = (x + x)[:rows, :columns].T
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("stride", [20, 16, 15, 3, 0])
def test_rows_that_overlap_are_written_in_order(stride: int) -> None:
    x = np.arange(16 * 32, dtype=np.float32).reshape(16, 32)
    made = {}
    for backend in ("interpreter", "cpu"):
        made[backend] = np.zeros(1000, np.float32)
        flipped[(1,)](x, made[backend], 16, 32, 32, stride, M=16, N=32, backend=backend)
    np.testing.assert_array_equal(made["cpu"], made["interpreter"])


@tiledsl.jit
def window_times(x, y, out, first, last, low, high, x_row, y_row, R: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Rows first to last and columns low to high of both operands, each lying the wrong way around."""
    i, k, j = tl.arange(0, R), tl.arange(0, K), tl.arange(0, N)
    inside = (k >= low) & (k < high)
    left = tl.load(x + i[:, None] + k[None, :] * x_row, mask=(i[:, None] >= first) & (i[:, None] < last) & inside[None, :], other=0)
    right = tl.load(y + k[:, None] + j[None, :] * y_row, mask=inside[:, None] & (j[None, :] >= first) & (j[None, :] < last), other=0)
    tl.store(out + i[:, None] * N + j[None, :], tl.dot(left, right, input_precision="ieee"))


@pytest.mark.parametrize("window", [(0, 64, 0, 64), (0, 1, 0, 64), (5, 40, 3, 21), (63, 64, 17, 18), (40, 5, 0, 9), (0, 64, 64, 64)])
def test_squares_outside_of_bounds_are_left_out(window: tuple[int, int, int, int]) -> None:
    """They are zero, whatever an earlier product left in their place, and nothing of them is read."""
    first, last, low, high = window
    rng = np.random.default_rng(0)
    x, y = (np.full((64, 80), np.nan, np.float32) for _ in range(2))
    x[low:high, first:last] = rng.standard_normal((64, 80), np.float32)[low:high, first:last]
    y[first:last, low:high] = rng.standard_normal((64, 80), np.float32)[first:last, low:high]
    found = {}
    for backend in ("interpreter", "cpu"):
        found[backend] = np.ones((64, 64), np.float32)
        whole = np.ones_like(x)
        window_times[(1,)](whole, whole, found[backend], 0, 64, 0, 64, 80, 80, R=64, K=64, N=64, backend=backend)
        window_times[(1,)](x, y, found[backend], first, last, low, high, 80, 80, R=64, K=64, N=64, backend=backend)
    assert found["cpu"].tobytes() == found["interpreter"].tobytes() and not np.isnan(found["cpu"]).any()
