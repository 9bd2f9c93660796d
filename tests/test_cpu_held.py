"""Small tiles that a loop only adds to stay in registers, whatever lies outside of bounds."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def products(a, b, out, M, N, K, ROWS: tl.constexpr, BLOCK: tl.constexpr, DEPTH: tl.constexpr, SUM: tl.constexpr):
    """Rows times rows, many sums at a time; a count is carried beside them."""
    row, column = tl.arange(0, ROWS), tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total, steps = tl.zeros((ROWS, BLOCK, DEPTH), dtype=SUM), 0
    for start in range(0, K, DEPTH):
        k = start + tl.arange(0, DEPTH)
        left = tl.load(a + row[:, None] * K + k[None, :], mask=(row[:, None] < M) & (k[None, :] < K), other=0)
        right = tl.load(b + column[:, None] * K + k[None, :], mask=(column[:, None] < N) & (k[None, :] < K), other=0)
        total += left[:, None, :].to(SUM) * right[None, :, :].to(SUM)
        steps += start + 1
    inside = (row[:, None] < M) & (column[None, :] < N)
    tl.store(out + row[:, None] * N + column[None, :], tl.sum(total, axis=2) + steps, mask=inside)


KINDS = [(np.float32, tl.float32), (np.float16, tl.float32), (np.float64, tl.float64), (np.int8, tl.int32), (np.float16, tl.float16)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0].__name__}-{kind[1]}")
@pytest.mark.parametrize(("m", "n", "k"), [(1, 3, 0), (1, 4, 16), (1, 5, 50), (2, 3, 7), (2, 2, 33), (3, 1, 64)])
def test_sums_of_products(m: int, n: int, k: int, kind: tuple[type, tl.dtype]) -> None:
    """Iterations within all bounds, and those behind, and none."""
    elem, total = kind
    rng = np.random.default_rng(k)
    a, b = (rng.integers(-9, 9, (rows, k)).astype(elem) / (1 if elem is np.int8 else elem(8)) for rows in (m, n))
    a, b = (np.ascontiguousarray(x.astype(elem)) if k else np.zeros(1, elem) for x in (a, b))
    outs = [np.zeros((m, n), np.float64 if elem is np.float64 else np.float32) for _ in range(2)]
    for out, backend in zip(outs, ("interpreter", "cpu"), strict=True):
        products[(tiledsl.cdiv(n, 2),)](
            a, b, out, m, n, k, ROWS=tiledsl.next_power_of_2(m), BLOCK=2, DEPTH=8, SUM=total, backend=backend
        )  # fmt: skip
    assert outs[0].tobytes() == outs[1].tobytes() and (outs[0] != 0).any() == (k > 0)


@tiledsl.jit
def fibonacci(out, turns, N: tl.constexpr):
    """Tiles that become each other, over memory that the loop writes nothing to."""
    a, b = tl.zeros((N,), tl.int32), tl.arange(0, N)
    for i in range(turns):
        a, b = b, a + b + i
    tl.store(out + tl.arange(0, N), a)
    tl.store(out + N + tl.arange(0, N), b)


@pytest.mark.parametrize("n", [1, 8, 16, 24, 20, 1024])  # in registers, vectors and a rest, and too many
@pytest.mark.parametrize("turns", [0, 1, 7])
def test_tiles_that_become_each_other(n: int, turns: int) -> None:
    a, b = np.zeros(n, np.int32), np.arange(n, dtype=np.int32)
    for i in range(turns):
        a, b = b, a + b + i
    out = np.zeros(2 * n, np.int32)
    fibonacci[(1,)](out, turns, N=n)
    np.testing.assert_array_equal(out, [*a, *b])


def test_a_loop_over_registers_neither_reads_nor_writes_its_tiles() -> None:
    out = np.zeros(64, np.int32)
    text = fibonacci[(1,)](out, 7, N=16).asm["llvm"]
    loop = re.search(r"phi <\d+ x i32>.*?br i1", text, re.DOTALL)
    assert loop and " store " not in loop[0] and " load " not in loop[0]


def test_iterations_within_bounds_need_no_mask() -> None:
    a, out = np.ones((2, 64), np.float32), np.zeros((1, 2), np.float32)
    text = products[(1,)](a, a, out, 1, 2, 64, ROWS=1, BLOCK=2, DEPTH=8, SUM=tl.float32).asm["llvm"]
    plain, masked = (text.index(how) for how in (" load <", "llvm.masked.load"))
    assert 0 < plain < masked
