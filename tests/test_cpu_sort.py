"""Sorting on the cpu: the network of compare-exchanges, for every length near a vector's and a run's end."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl

LENGTHS = [1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 64, 65, 96, 129, 200, 257]


@tiledsl.jit
def both_ways(x, up, down, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(up + at, tl.sort(tl.load(x + at)))
    tl.store(down + at, tl.sort(tl.load(x + at), descending=True))


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.float16, np.int32, np.float32, np.int64, np.float64]
)
def test_every_length_is_sorted(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "0")
    rng = np.random.default_rng(0)
    for n in LENGTHS if dtype is np.float32 else LENGTHS[::3]:
        x = np.frombuffer(rng.bytes(4 * n * np.dtype(dtype).itemsize), dtype).reshape(4, n).copy()
        x[0], x[1] = x.reshape(-1)[0], np.sort(x[1])  # all equal, and in order already
        if dtype is np.bool_:
            x = x.view(np.uint8) % 2 == 1
        elif np.dtype(dtype).kind == "f":
            x = np.where(np.isnan(x), np.zeros(1, dtype), x)
            x[2, : n // 2] = np.array([np.nan, -0.0, 0.0, np.inf, -np.inf], dtype)[np.arange(n // 2) % 5]
        up, down = np.zeros_like(x), np.zeros_like(x)
        both_ways[(4,)](x, up, down, N=n, backend="cpu")
        kind = {"f": "i", "i": "i", "u": "u", "b": "u"}[np.dtype(dtype).kind]
        bits = x.view(f"{kind}{x.itemsize}").astype(object if x.itemsize == 8 else np.int64)
        top = (1 << x.itemsize * 8 - 1) - 1
        key = np.where(bits < 0, -1 - (bits & top), bits) if np.dtype(dtype).kind == "f" else bits
        if np.dtype(dtype).kind == "f":
            key = np.where(np.isnan(x), top, key)
        order = np.argsort(key, axis=1, kind="stable")
        expected = np.take_along_axis(x, order, 1)
        for found, wanted in ((up, expected), (down, expected[:, ::-1])):
            np.testing.assert_array_equal(found, wanted, err_msg=f"{n}")
            if np.dtype(dtype).kind == "f":
                np.testing.assert_array_equal(np.signbit(found) & (found == 0), np.signbit(wanted) & (wanted == 0))


@tiledsl.jit
def first_few(x, up, down, N: tl.constexpr, K: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, N)
    values = tl.load(x + row * N + at)
    tl.store(up + row * K + tl.arange(0, K), tl.topk(values, K, descending=False))
    tl.store(down + row * K + tl.arange(0, K), tl.topk(values, K))


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.float32, np.int64])
def test_the_first_few_are_those_of_all_in_order(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "0")
    rng = np.random.default_rng(0)
    for n in LENGTHS if dtype is np.float32 else LENGTHS[::3]:
        for k in {1, min(4, n), min(16, n), n // 3 or 1}:
            x = rng.integers(0, 100, (3, n)).astype(dtype)
            x[0] = x[0, 0]
            up, down = np.zeros((3, k), dtype), np.zeros((3, k), dtype)
            first_few[(3,)](x, up, down, N=n, K=k, backend="cpu")
            np.testing.assert_array_equal(up, np.sort(x, axis=1)[:, :k], err_msg=f"{n} {k}")
            np.testing.assert_array_equal(down, np.sort(x, axis=1)[:, ::-1][:, :k], err_msg=f"{n} {k}")


@tiledsl.jit
def first_and_all(x, few, all_, N: tl.constexpr, K: tl.constexpr, ALL: tl.constexpr):
    values = tl.sort(tl.load(x + tl.arange(0, N)))
    tl.store(few + tl.arange(0, K), tl.gather(values, tl.arange(0, K), axis=0))
    if ALL:
        tl.store(all_ + tl.arange(0, N), values)


@pytest.mark.parametrize("everything", [False, True])
def test_rows_are_sorted_no_further_than_anybody_asks(everything: bool) -> None:
    x = np.random.default_rng(0).integers(0, 100, 256).astype(np.int32)
    few, all_ = np.zeros(16, np.int32), np.sort(x)
    text = first_and_all[(1,)](x, few, all_, N=256, K=16, ALL=everything).asm["llvm"]
    assert (few == np.sort(x)[:16]).all() and (all_ == np.sort(x)).all()
    assert ("@sort.i32.up.16(" in text) == (not everything)
