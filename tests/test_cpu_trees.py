"""Reductions of many rows of a tile: the last steps of several are taken at once, in the order of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def welford(mean_a, square_a, count_a, mean_b, square_b, count_b):
    change, count = mean_b - mean_a, count_a + count_b
    share = tl.where(count == 0.0, 0.0, count_b / count)
    return mean_a + change * share, square_a + square_b + change * change * count_a * share, count


@tiledsl.jit
def folds(x, sums, tops, places, means, B: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    b, i, j = tl.arange(0, B)[:, None, None], tl.arange(0, M)[None, :, None], tl.arange(0, N)[None, None, :]
    values = tl.load(x + (b * M + i) * N + j)
    rows = tl.arange(0, B)[:, None] * M + tl.arange(0, M)[None, :]
    tl.store(sums + rows, tl.sum(values, axis=2))
    tl.store(tops + rows, tl.min(tl.where(values > 1, values, -values), axis=2))
    top, place = tl.max(values, axis=2, return_indices=True)
    tl.store(places + rows, place)
    floats = values.to(tl.float32)
    mean, _, _ = tl.reduce((floats, tl.zeros_like(floats), tl.full(floats.shape, 1.0, tl.float32)), 2, welford)
    tl.store(means + rows, mean + top.to(tl.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(1, 16, 64), (2, 4, 32), (1, 12, 8), (3, 8, 128), (1, 32, 4), (1, 64, 2), (1, 8, 48), (1, 4, 33)])
def test_rows_agree(shape: tuple[int, int, int], dtype: type) -> None:
    rng = np.random.default_rng(0)
    x: Any = rng.integers(-5, 6, shape) if np.dtype(dtype).kind == "i" else rng.standard_normal(shape) * 3
    x = x.astype(dtype)
    if np.dtype(dtype).kind == "f":
        x[rng.random(shape) < 0.02] = np.nan
        x[rng.random(shape) < 0.02] = -0.0
    made = []
    for backend in ("cpu", "interpreter"):
        out = [np.zeros(shape[:2], t) for t in (dtype, dtype, np.int32, np.float32)]
        folds[(1,)](x, *out, B=shape[0], M=shape[1], N=shape[2], backend=backend)
        made.append(out)
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(one.view(f"u{one.itemsize}") * (one == one), other.view(f"u{one.itemsize}") * (other == other))


def test_two_vectors_become_one_at_a_time() -> None:
    """Eight rows of eight lanes: 7 steps in place of 24."""

    @tiledsl.jit
    def total(x, out):
        i, j = tl.arange(0, 8), tl.arange(0, 8)
        tl.store(out + i, tl.sum(tl.load(x + i[:, None] * 8 + j[None, :]), axis=1))

    text = total[(1,)](np.ones((8, 8), np.float32), np.empty(8, np.float32), backend="cpu").asm["llvm"]
    if "<8 x float>" in text:
        assert text.count("fadd <8 x float>") == 7
