"""What is stored is computed without masks wherever all bounds that its loads and choices ask about hold."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.kernels.convolution import stencil, stencil_kernel


@tiledsl.jit
def blur(x, out, rows, columns, low, far, M: tl.constexpr, N: tl.constexpr):
    """Neighbours with bounds of their own, a choice between bounds on both axes, and one element that only rows from `low` on read."""
    i = tl.program_id(1) * M + tl.arange(0, M)[:, None]
    j = tl.program_id(0) * N + tl.arange(0, N)[None, :]
    at = x + i * columns + j
    inside = (i < rows) & (j < columns)
    left = tl.load(at - 1, mask=inside & (j > 0))
    right = tl.load(at + 1, mask=inside & (j < columns - 1), other=2.0)
    above = tl.load(at - columns, mask=inside & (i > 0))
    one = tl.load(x + far + tl.zeros((M, N), tl.int32), mask=(i >= low) & (j >= 3), other=7.0)
    own = tl.load(at, mask=inside)
    value = tl.where((i >= 2) & (j >= 5) & (j < columns - 6), left + above, right - own)
    tl.store(out + i * columns + j, value * one, mask=inside)


@pytest.mark.parametrize(("rows", "columns", "low"), [(5, 200, 0), (7, 64, 2), (3, 65, 1), (4, 7, 0), (1, 1, 0), (2, 300, 9)])
def test_edges(rows: int, columns: int, low: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    found = []
    for backend in ("cpu", "interpreter"):
        out = np.zeros_like(x)
        far = 1 << 40 if low >= 8 else 0  # nobody reads it: it may be nowhere
        blur[(tiledsl.cdiv(columns, 128), tiledsl.cdiv(rows, 4))](x, out, rows, columns, low, far, M=4, N=128, backend=backend)
        found.append(out)
    assert (found[0] == found[1]).all()


def test_the_inner_loop_has_no_masks() -> None:
    x = np.ones((40, 512), np.float32)
    stencil(x, backend="cpu")
    text = stencil_kernel[(1, 3)](x, np.empty_like(x), 40, 512, BLOCK_M=16, BLOCK_N=512, backend="cpu").asm["llvm"]
    inner = [block for block in re.split(r"\nH\d+:", text) if len(re.findall(r"= load <\d+ x float>", block)) >= 4]
    assert len(inner) == 1
    assert not re.search(r"masked|select <", inner[0].partition("\nX")[0])


@tiledsl.jit
def spread_of(x, out, columns, N: tl.constexpr):
    at = tl.arange(0, N)
    inside = at < columns
    values = tl.load(x + tl.program_id(0) * columns + at, mask=inside, other=0.0)
    centered = tl.where(inside, values - 1.0, 0.0)
    tl.store(out + tl.program_id(0), tl.sum(centered * centered, axis=0))


def test_a_reduction_chooses_only_at_the_end() -> None:
    x = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    out = [np.empty(3, np.float32) for _ in range(2)]
    text = spread_of[(3,)](x, out[0], 100, N=128, backend="cpu").asm["llvm"]
    spread_of[(3,)](x, out[1], 100, N=128, backend="interpreter")
    assert (out[0] == out[1]).all()
    first, rest = (block for block in re.split(r"\nH\d+:", text) if "fadd" in block)
    assert "select <" not in first
    assert "select <" in rest


@tiledsl.jit
def places(out, X: tl.constexpr, Y: tl.constexpr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tl.store(out + (z * Y + y) * X + x, x + 10 * y + 100 * z)


@pytest.mark.parametrize("grid", [(5, 3, 2), (1, 4, 1), (1, 1, 7), (6, 1, 2), (0, 2, 2)])
def test_programs_count_along_the_grid(grid: tuple[int, int, int]) -> None:
    out = np.full(grid[::-1], -1, np.int32)
    places[grid](out, X=grid[0], Y=grid[1], backend="cpu")
    z, y, x = np.indices(out.shape)
    assert (out == x + 10 * y + 100 * z).all()
