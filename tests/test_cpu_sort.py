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
