"""Join, split, gather, sort, histogram and block pointers, against NumPy, by the interpreter and every backend."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.testing.oracle import backends

BACKENDS = pytest.mark.parametrize("backend", backends())
RNG = np.random.default_rng(0)


@tiledsl.jit
def joins(a, b, joined, mixed, one, two, whole, back, N: tl.constexpr):
    i = tl.arange(0, N)
    x, y = tl.load(a + i), tl.load(b + i)
    pair = tl.join(x, y)
    tl.store(joined + i[:, None] * 2 + tl.arange(0, 2)[None, :], pair)
    first, second = tl.split(pair)
    tl.store(one + i, first)
    tl.store(two + i, second)
    wide = tl.arange(0, 2 * N)
    tl.store(mixed + wide, tl.interleave(x, y))
    tl.store(whole + wide, tl.cat(x, y, can_reorder=True))
    tl.store(back + i, tl.flip(x))


@BACKENDS
def test_tiles_are_joined_and_taken_apart(backend: str) -> None:
    a, b = RNG.standard_normal(8).astype(np.float32), RNG.standard_normal(8).astype(np.float32)
    pair, mixed, whole = np.zeros((8, 2), np.float32), np.zeros(16, np.float32), np.zeros(16, np.float32)
    one, two, back = (np.zeros(8, np.float32) for _ in range(3))
    joins[(1,)](a, b, pair, mixed, one, two, whole, back, N=8, backend=backend)
    expected = np.stack([a, b], -1)
    for found, wanted in (
        (pair, expected),
        (mixed, expected.ravel()),
        (one, a),
        (two, b),
        (whole, np.concatenate([a, b])),
        (back, a[::-1]),
    ):
        np.testing.assert_array_equal(found, wanted)


@tiledsl.jit
def gathers(x, index, rows, columns, M: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    tile, where = tl.load(x + at), tl.load(index + at)
    tl.store(columns + at, tl.gather(tile, where, 1))
    tl.store(rows + at, tile.gather(where, axis=0))


@BACKENDS
def test_gather_takes_along_an_axis_and_gives_zero_outside(backend: str) -> None:
    x = RNG.standard_normal((4, 8)).astype(np.float32)
    index = RNG.integers(-1, 5, (4, 8)).astype(np.int32)
    rows, columns = np.zeros_like(x), np.zeros_like(x)
    gathers[(1,)](x, index, rows, columns, M=4, N=8, backend=backend)
    inside = (index >= 0) & (index < 4)
    np.testing.assert_array_equal(rows, np.where(inside, np.take_along_axis(x, np.where(inside, index, 0), 0), 0))
    np.testing.assert_array_equal(columns, np.where(index >= 0, np.take_along_axis(x, np.maximum(index, 0), 1), 0))


@tiledsl.jit
def sorts(x, up, down, best, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    tile = tl.load(x + at)
    tl.store(up + at, tl.sort(tile))
    tl.store(down + at, tl.sort(tile, descending=True))
    tl.store(best + tl.arange(0, M)[:, None] * K + tl.arange(0, K)[None, :], tl.topk(tile, K))


@BACKENDS
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint64, np.float16, np.float32, np.float64])
def test_sort_orders_the_last_axis(dtype: type, backend: str) -> None:
    x = (RNG.standard_normal((4, 32)) * 50).astype(dtype)
    up, down, best = np.zeros_like(x), np.zeros_like(x), np.zeros((4, 8), dtype)
    sorts[(1,)](x, up, down, best, M=4, N=32, K=8, backend=backend)
    expected = np.sort(x, -1)
    for found, wanted in ((up, expected), (down, expected[:, ::-1]), (best, expected[:, ::-1][:, :8])):
        np.testing.assert_array_equal(found, wanted)


@BACKENDS
def test_sort_puts_nan_last_and_minus_zero_before_zero(backend: str) -> None:
    x = np.array([[np.nan, 0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]], np.float32)
    up, down, best = np.zeros_like(x), np.zeros_like(x), np.zeros((1, 2), np.float32)
    sorts[(1,)](x, up, down, best, M=1, N=8, K=2, backend=backend)
    wanted = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan, np.nan], np.float32)
    np.testing.assert_array_equal(up[0], wanted)
    assert np.signbit(up[0, 2]) and not np.signbit(up[0, 3]) and np.signbit(down[0, 5])
    assert np.isnan(best).all()


@tiledsl.jit
def counts(x, out, n, N: tl.constexpr, BINS: tl.constexpr):
    i = tl.arange(0, N)
    value = tl.load(x + i)
    tl.store(out + tl.arange(0, BINS), tl.histogram(value, BINS))
    tl.store(out + BINS + tl.arange(0, BINS), tl.histogram(value, BINS, mask=i < n))


@BACKENDS
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.int64])
def test_histogram_counts_what_lies_inside(dtype: type, backend: str) -> None:
    x = RNG.integers(-3 if np.dtype(dtype).kind == "i" else 0, 12, 64).astype(dtype)
    out = np.zeros(16, np.int32)
    counts[(1,)](x, out, 40, N=64, BINS=8, backend=backend)
    for part, given in ((out[:8], x), (out[8:], x[:40])):
        np.testing.assert_array_equal(part, np.bincount(given[(given >= 0) & (given < 8)], minlength=8))


@tiledsl.jit
def windows(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    pm, pn = tl.program_id(0), tl.program_id(1)
    left = tl.make_block_ptr(a, (M, K), (K, 1), (pm * BM, 0), (BM, BK), (1, 0))
    right = tl.make_block_ptr(base=b, shape=[K, N], strides=[N, 1], offsets=[0, pn * BN], block_shape=[BK, BN], order=[1, 0])
    acc = tl.zeros((BM, BN), tl.float32)
    for _ in range(0, K, BK):
        acc = tl.dot(tl.load(left, boundary_check=(0, 1), padding_option="zero"), tl.load(right, boundary_check=(0, 1)), acc)
        left = tl.advance(left, (0, BK))
        right = tl.advance(right, [BK, 0])
    out = tl.make_block_ptr(c, (M, N), (N, 1), (pm * BM, pn * BN), (BM, BN), (1, 0))
    tl.store(out, acc.to(c.dtype.element_ty), boundary_check=(0, 1))


@BACKENDS
def test_block_pointers_walk_through_ragged_matrices(backend: str) -> None:
    a, b = RNG.standard_normal((50, 70)).astype(np.float32), RNG.standard_normal((70, 40)).astype(np.float32)
    c = np.zeros((50, 40), np.float32)
    windows[(4, 3)](a, b, c, 50, 40, 70, BM=16, BN=16, BK=32, backend=backend)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)


@tiledsl.jit
def batched(a, b, c, B: tl.constexpr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    i, m, k, n = tl.arange(0, B)[:, None, None], tl.arange(0, M), tl.arange(0, K), tl.arange(0, N)
    x = tl.load(a + i * M * K + m[None, :, None] * K + k[None, None, :])
    y = tl.load(b + i * K * N + k[None, :, None] * N + n[None, None, :])
    at = i * M * N + m[None, :, None] * N + n[None, None, :]
    acc = tl.dot(x, y)
    for _ in range(2):
        acc = tl.dot(x * 0.5, y, acc)
    tl.store(c + at, acc)


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_matrices_multiply_in_batches(dtype: type, backend: str) -> None:
    a, b = RNG.standard_normal((4, 8, 16)).astype(dtype), RNG.standard_normal((4, 16, 32)).astype(dtype)
    wide = np.float64 if dtype is np.float64 else np.float32
    c, reference = np.zeros((4, 8, 32), wide), np.zeros((4, 8, 32), wide)
    batched[(1,)](a, b, reference, B=4, M=8, K=16, N=32, backend="interpreter")
    batched[(1,)](a, b, c, B=4, M=8, K=16, N=32, backend=backend)
    np.testing.assert_array_equal(c, reference)
    np.testing.assert_allclose(c, 2 * (a.astype(wide) @ b.astype(wide)), rtol=1e-5, atol=1e-5)


@tiledsl.jit
def nested_batches(a, b, c, N: tl.constexpr):
    i = tl.arange(0, 2)[:, None, None, None] * 2 * N * N + tl.arange(0, 2)[None, :, None, None] * N * N
    at = i + tl.arange(0, N)[None, None, :, None] * N + tl.arange(0, N)[None, None, None, :]
    tl.store(c + at, tl.dot(tl.load(a + at), tl.load(b + at)))


@BACKENDS
def test_all_leading_axes_are_batches(backend: str) -> None:
    a, b = (RNG.standard_normal((2, 2, 16, 16)).astype(np.float32) for _ in range(2))
    c = np.zeros_like(a)
    nested_batches[(1,)](a, b, c, N=16, backend=backend)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)
