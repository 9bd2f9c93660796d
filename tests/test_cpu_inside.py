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
