"""Running combinations on the CPU: what is combined is computed a little ahead of the chain."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def latest(x, i, y, j):
    """The last of each number that is not 0, and the largest place so far: it has no neutral element."""
    return tl.where(y == 0, x, y), tl.maximum(i, j) + 1


@tiledsl.jit
def runs(x, sums, last, places, columns, M: tl.constexpr, N: tl.constexpr, REVERSE: tl.constexpr):
    i, j = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :]
    values = tl.load(x + i * columns + j, mask=j < columns, other=2.0)
    at = i * N + j
    tl.store(sums + at, tl.cumsum(values * values - 1.0, axis=1, reverse=REVERSE))
    found, place = tl.associative_scan((values, at), 1, latest, reverse=REVERSE)
    tl.store(last + at, found)
    tl.store(places + at, place)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("rows", "columns", "n"), [(1, 200, 256), (4, 128, 128), (2, 50, 64), (1, 7, 8)])
def test_scans_agree(rows: int, columns: int, n: int, reverse: bool) -> None:
    x = np.random.default_rng(0).integers(-2, 3, (rows, columns)).astype(np.float32) * np.float32(1.1)
    made = []
    for backend in ("cpu", "interpreter"):
        out = [np.zeros((rows, n), t) for t in (np.float32, np.float32, np.int32)]
        runs[(1,)](x, *out, columns, M=rows, N=n, REVERSE=reverse, backend=backend)
        made.append(out)
    for one, other in zip(*made, strict=True):
        assert (one == other).all()


def test_it_is_computed_ahead() -> None:
    x, out = np.zeros((1, 256), np.float32), [np.zeros(256, t) for t in (np.float32, np.float32, np.int32)]
    text = runs[(1,)](x, *out, 256, M=1, N=256, REVERSE=False, backend="cpu").asm["llvm"]
    assert len(re.findall(r"icmp slt i64 %v\d+, 64\n", text)) >= 2  # chains of 64 steps
