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
