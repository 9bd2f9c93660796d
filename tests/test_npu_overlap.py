"""Loops whose iterations overlap: any number of rounds, scalars and tiles carried, with the interpreter's bits."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def rounds(out, sums, x, start, stop, N: tl.constexpr):
    at = tl.arange(0, N)
    total = tl.zeros((N,), dtype=tl.float32)
    last = 1.0
    before = tl.zeros((N,), dtype=tl.float32)
    for i in range(start, stop, 2):
        values = tl.load(x + i * N + at)
        scale = i * 0.5 + last  # a scalar that the vector unit needs, another one in every iteration
        tl.store(out + i * N + at, values * scale + before)
        before, last = values, tl.sum(values, axis=0)
        total += values * i
    tl.store(sums + at, total + last)


@pytest.mark.parametrize("count", range(6))
def test_any_number_of_rounds(count):
    x = np.random.default_rng(count).standard_normal((16, 64), np.float32)
    found = []
    for backend in ("interpreter", "npu"):
        out, sums = np.zeros_like(x), np.zeros(64, np.float32)
        rounds[(1,)](out, sums, x, 1, 1 + 2 * count, N=64, backend=backend)
        found.append((out.tobytes(), sums.tobytes()))
    assert found[0] == found[1]
