"""Loops with the stride of the grid run in rounds: an iteration of every program, then the next of every program."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def rows_of_grid(x, out, rows, columns, N: tl.constexpr):
    at = tl.arange(0, N)
    inside = at < columns
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        values = tl.load(x + row * columns + at, mask=inside, other=0.0)
        tl.store(out + row * columns + at, values - tl.sum(values, axis=0), mask=inside)


@tiledsl.jit
def blocks_of_grid(x, out, size, N: tl.constexpr):
    """What an iteration reads is what the one before it wrote, beside what its own program read."""
    for start in range(tl.program_id(1) * N, size, N * tl.num_programs(1)):
        at = start + tl.arange(0, N)
        before = tl.load(out + start - N * tl.num_programs(1) + tl.arange(0, N), mask=start >= N * tl.num_programs(1), other=0.0)
        tl.store(out + at, tl.load(x + at, mask=at < size) + before, mask=at < size)


@tiledsl.jit
def rows_in_steps(x, out, rows, columns, N: tl.constexpr):
    for row in range(tl.program_id(0), rows, 3):
        at = tl.arange(0, N)
        tl.store(out + row * columns + at, tl.load(x + row * columns + at, mask=at < columns) * 2.0, mask=at < columns)


@tiledsl.jit
def products_of_grid(x, out, blocks, N: tl.constexpr):
    """A product in the iteration, whose right operand may be kept from program to program, by the number of the round."""
    i, j = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    for block in range(tl.program_id(0), blocks * blocks, tl.num_programs(0)):
        left = tl.load(x + (block // blocks) * N * N + i * N + j)
        right = tl.load(x + (block % blocks) * N * N + i * N + j)
        tl.store(out + block * N * N + i * N + j, tl.dot(left, right, input_precision="ieee"))


@tiledsl.jit
def own_share(x, out, rows, columns, N: tl.constexpr):
    at, share = tl.arange(0, N), tl.cdiv(rows, tl.num_programs(0))
    for row in range(tl.program_id(0) * share, tl.minimum(rows, tl.program_id(0) * share + share)):
        tl.store(out + row * columns + at, tl.load(x + row * columns + at, mask=at < columns), mask=at < columns)


@tiledsl.jit
def counted(x, out, rows, columns, N: tl.constexpr):
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        values = tl.load(x + row * columns + tl.arange(0, N), mask=tl.arange(0, N) < columns, other=0.0)
        tl.atomic_add(out + tl.arange(0, N), values, mask=tl.arange(0, N) < columns)


def launched(kernel: Any, grid: tuple[int, ...], *args: Any, **options: Any) -> tuple[np.ndarray, str]:
    """What a kernel leaves in an array, and its LLVM text; alike on the interpreter, and with one thread and two."""
    x = np.random.default_rng(0).standard_normal(64 * 64).astype(np.float32)
    outs = [np.zeros_like(x) for _ in range(3)]
    kernel[grid](x, outs[0], *args, backend="interpreter", **options)
    text = [kernel[grid](x, out, *args, backend="cpu", num_threads=n + 1, **options).asm["llvm"] for n, out in enumerate(outs[1:])]
    assert all((out.view(np.int32) == outs[0].view(np.int32)).all() for out in outs[1:])
    return outs[0], text[0]


def in_rounds(text: str) -> bool:
    """Whether programs hand on to each other if any has another iteration."""
    return "= phi i1 [ false, " in text


@pytest.mark.parametrize("programs", [1, 3, 37, 50])
@pytest.mark.parametrize("rows", [0, 1, 37])
def test_rows(programs: int, rows: int) -> None:
    assert in_rounds(launched(rows_of_grid, (programs,), rows, 100, N=128)[1])


@pytest.mark.parametrize("programs", [1, 4, 33])
def test_a_program_keeps_its_order(programs: int) -> None:
    assert not in_rounds(launched(blocks_of_grid, (1, programs), 2000, N=64)[1])


def test_a_known_step() -> None:
    assert in_rounds(launched(rows_in_steps, (3,), 20, 60, N=64)[1])


def test_products_find_their_operands() -> None:
    assert in_rounds(launched(products_of_grid, (3,), 4, N=16)[1])
    assert in_rounds(launched(products_of_grid, (16,), 4, N=16)[1])


def test_other_loops_run_to_their_end() -> None:
    assert not in_rounds(launched(own_share, (4,), 10, 100, N=128)[1])


def test_atomics_keep_the_order_of_programs() -> None:
    x, out = np.ones(1024, np.float32), np.zeros(128, np.float32)
    assert not in_rounds(counted[(4,)](x, out, 10, 100, N=128, backend="cpu").asm["llvm"])


@tiledsl.jit
def summed_in_place(x, out, rows, columns, stride, N: tl.constexpr):
    at = tl.arange(0, N)
    for row in range(tl.program_id(0), rows, tl.num_programs(0)):
        values = tl.load(x + row * columns + at, mask=at < columns)
        mine = out + tl.program_id(0) * stride + at
        tl.store(mine, tl.load(mine, mask=at < columns) + values, mask=at < columns)


@pytest.mark.parametrize("stride", [128, 60])  # apart, and into each other
def test_programs_that_read_what_they_write_keep_their_order(stride: int) -> None:
    x = np.random.default_rng(0).standard_normal(2048).astype(np.float32)
    outs = [np.ones(1024, np.float32) for _ in range(2)]
    summed_in_place[(5,)](x, outs[0], 20, 100, stride, N=128, backend="interpreter")
    text = summed_in_place[(5,)](x, outs[1], 20, 100, stride, N=128, backend="cpu", num_threads=1).asm["llvm"]
    assert not in_rounds(text) and outs[0].tobytes() == outs[1].tobytes()


def test_arrays_that_overlap_keep_the_order_of_programs() -> None:
    """Each row is what the one above it was made: of the same array, through another argument."""
    outs = [np.arange(40 * 16, dtype=np.float32) for _ in range(2)]
    for out, backend in zip(outs, ("interpreter", "cpu"), strict=True):
        rows_of_grid[(3,)](out, out[16:], 30, 16, N=16, backend=backend, num_threads=1)
    assert outs[0].tobytes() == outs[1].tobytes()
