"""Loops that add to tiles which begin as a number: the first iteration computes with the number itself."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def row_sums(x, out, columns, N: tl.constexpr):
    """The loop of the layer norm of the tutorials."""
    total = tl.zeros((N,), tl.float32)
    for start in range(0, columns, N):
        at = start + tl.arange(0, N)
        total += tl.load(x + at, mask=at < columns, other=0.0)
    tl.store(out, tl.sum(total, axis=0))
    tl.store(out + 1 + tl.arange(0, N), total)


@tiledsl.jit
def in_circles(x, out, turns, N: tl.constexpr):
    """Tiles that change places, one that begins as -0, numbers carried beside them, and what the loop leaves if it does not run."""
    at = tl.arange(0, N)
    a, b, c = tl.zeros((N,), tl.float32), tl.full((N,), 2.0, tl.float32), tl.full((N,), -0.0, tl.float32)
    far, count = x, 0
    for i in range(3, 3 + turns):
        a, b, c = b * 0.5 + i, a - tl.load(far + at), c + a
        far += N
        count += i
    tl.store(out + at, a)
    tl.store(out + N + at, b)
    tl.store(out + 2 * N + at, c)
    tl.store(out + 3 * N, count.to(tl.float32))


@tiledsl.jit
def with_a_sum(x, out, turns, N: tl.constexpr):
    """A loop that does more than add."""
    at = tl.arange(0, N)
    total = tl.zeros((N,), tl.float32)
    for i in range(turns):
        values = tl.load(x + i * N + at)
        total += values * tl.sum(values, axis=0)
    tl.store(out + at, total)


def adds_to_a_number(text: str) -> bool:
    """Whether something is added to the same number in every lane."""
    return bool(re.search(r"= (fadd|call .*@llvm\.fma).*splat \(float", text))


@pytest.mark.parametrize("columns", [0, 1, 63, 64, 65, 200])
def test_sums(columns: int) -> None:
    x = np.random.default_rng(0).standard_normal(256).astype(np.float32)
    outs = [np.zeros(65, np.float32) for _ in range(2)]
    row_sums[(1,)](x, outs[0], columns, N=64, backend="interpreter")
    row_sums[(1,)](x, outs[1], columns, N=64, backend="cpu")
    assert (outs[0].view(np.int32) == outs[1].view(np.int32)).all()


@pytest.mark.parametrize("turns", range(4))
def test_tiles_that_change_places(turns: int) -> None:
    x = np.random.default_rng(0).standard_normal(256).astype(np.float32)
    outs = [np.zeros(200, np.float32) for _ in range(2)]
    in_circles[(1,)](x, outs[0], turns, N=48, backend="interpreter")
    in_circles[(1,)](x, outs[1], turns, N=48, backend="cpu")
    assert (outs[0].view(np.int32) == outs[1].view(np.int32)).all()


def test_only_loops_that_add_are_peeled() -> None:
    x, out = np.ones(1024, np.float32), np.zeros(1024, np.float32)
    assert adds_to_a_number(row_sums[(1,)](x, out, 300, N=256, backend="cpu").asm["llvm"])
    assert not adds_to_a_number(with_a_sum[(1,)](x, out, 3, N=256, backend="cpu").asm["llvm"])
