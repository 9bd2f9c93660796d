"""The larger and the smaller float in memory: by their bits, as in Triton, so that a NaN arrives."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl

N = 64


@tiledsl.jit
def extremes(low, high, before, x, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    value = tl.load(x + at)
    tl.atomic_min(low + at, value, mask=at < n)
    tl.store(before + at, tl.atomic_max(high + at, value, mask=at < n))


@tiledsl.jit
def largest(out, x):
    tl.atomic_max(out, tl.load(x + tl.program_id(0)))


def ordered(x: np.ndarray) -> np.ndarray:
    bits = x.view(np.dtype(f"i{x.itemsize}"))
    return np.where(bits >= 0, bits, np.iinfo(bits.dtype).min + ~bits)


@pytest.mark.parametrize("backend", ["cpu", "interpreter", "npu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_ordered_by_their_bits(backend: str, dtype: type) -> None:
    if backend == "npu" and dtype is np.float64:
        pytest.skip("npu has no f64")
    special = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan, -np.nan], dtype)
    x, start = (a.ravel().copy() for a in np.meshgrid(special, special))
    low, high, before = start.copy(), start.copy(), np.ones_like(start)
    extremes[(1,)](low, high, before, x, N - 4, BLOCK=N, backend=backend)
    taken = np.arange(N) < N - 4
    expected = (
        np.where(taken & (ordered(x) < ordered(start)), x, start),
        np.where(taken & (ordered(x) > ordered(start)), x, start),
        np.where(taken, start, 0),
    )
    for found, wanted in zip((low, high, before), expected, strict=True):
        assert found.tobytes() == wanted.astype(dtype).tobytes()


def test_a_nan_reaches_the_largest_of_all_programs() -> None:
    x, out = np.array([1, np.nan, 3, 2], np.float32), np.zeros(1, np.float32)
    largest[(4,)](out, x)
    assert np.isnan(out[0])
