"""Counting on the CPU: values are placed a little ahead of being counted, in memory that the nearest cache holds."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def count(x, out, n, BINS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + tl.program_id(0) * BINS + tl.arange(0, BINS), tl.histogram(tl.load(x + at, mask=at < n), BINS, mask=at < n))


@pytest.mark.parametrize(("n", "block", "bins"), [(2000, 2048, 16), (700, 512, 8), (3000, 1024, 2048), (90, 64, 4), (4096, 4096, 256)])
def test_counting_agrees(n: int, block: int, bins: int) -> None:
    x = np.random.default_rng(0).integers(-2, bins + 2, n).astype(np.int32)
    programs = tiledsl.cdiv(n, block)
    found = [np.full(programs * bins, -1, np.int32) for _ in range(2)]
    for out, backend in zip(found, ("cpu", "interpreter"), strict=True):
        count[(programs,)](x, out, n, BINS=bins, BLOCK=block, backend=backend)
    assert (found[0] == found[1]).all()
    assert found[0].sum() == ((x >= 0) & (x < bins)).sum()


def test_places_stay_near() -> None:
    x, out = np.zeros(1 << 15, np.int32), np.zeros(64, np.int32)
    text = count[(1,)](x, out, 1 << 15, BINS=64, BLOCK=1 << 15, backend="cpu").asm["llvm"]
    assert max(map(int, re.findall(r"ptr %arena, i64 (\d+)", text))) < 1 << 14
