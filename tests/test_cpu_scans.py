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
@pytest.mark.parametrize(("rows", "columns", "n"), [(1, 200, 256), (4, 128, 128), (2, 50, 64), (1, 7, 8), (16, 40, 64), (32, 16, 16)])
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


@tiledsl.jit
def steep(x, out, x_batch, x_row, x_column, B: tl.constexpr, M: tl.constexpr, N: tl.constexpr, REVERSE: tl.constexpr):
    b, i, j = tl.arange(0, B)[:, None, None], tl.arange(0, M)[None, :, None], tl.arange(0, N)[None, None, :]
    values = tl.load(x + b * x_batch + i * x_row + j * x_column)
    tl.store(out + (b * M + i) * N + j, tl.cumsum(values, axis=2, reverse=REVERSE))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int8])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_many_rows_are_scanned_side_by_side(dtype: type, turned: bool, reverse: bool) -> None:
    """Squares are turned in registers, or read the right way around at once."""
    x = np.random.default_rng(0).integers(-9, 9, (2, 64, 32) if turned else (2, 32, 64)).astype(dtype)
    view = np.swapaxes(x, 1, 2) if turned else x
    steps = [s // x.itemsize for s in view.strides]
    made = {}
    for backend in ("cpu", "interpreter"):
        made[backend] = np.zeros((2, 32, 64), dtype)
        launched = steep[(1,)](x, made[backend], *steps, B=2, M=32, N=64, REVERSE=reverse, backend=backend)
        if backend == "cpu":
            assert "shufflevector" in launched.asm["llvm"]
    assert (made["cpu"] == made["interpreter"]).all()
    wanted = np.cumsum(view[..., ::-1] if reverse else view, axis=2, dtype=dtype)
    np.testing.assert_array_equal(made["cpu"], wanted[..., ::-1] if reverse else wanted)
