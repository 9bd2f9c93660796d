"""Tensor descriptors, made in the kernel and on the host, against NumPy, on every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError
from tiledsl.testing.oracle import backends

BACKENDS = pytest.mark.parametrize("backend", backends())
RNG = np.random.default_rng(0)


@dataclass
class HostDescriptor:
    """What a host-side descriptor has to offer."""

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[int]
    padding: str = "zero"


@tiledsl.jit
def transposed(x, y, M, N, BM: tl.constexpr, BN: tl.constexpr, PAD: tl.constexpr):
    source = tl.make_tensor_descriptor(x, shape=[M, N], strides=[N, 1], block_shape=[BM, BN], padding_option=PAD)
    target = tl.make_tensor_descriptor(y, [N, M], [M, 1], [BN, BM])
    tl.static_assert(source.block_shape[1] == BN)
    row = tl.program_id(0) * BM
    for column in range(0, N, BN):
        tile = source.load([row, column])
        target.store([column, row], tile.T.to(target.dtype))


@BACKENDS
def test_a_ragged_matrix_is_transposed_block_by_block(backend: str) -> None:
    x = RNG.standard_normal((37, 45)).astype(np.float32)
    y = np.full((45, 37), 7, np.float32)
    transposed[(3,)](x, y, 37, 45, BM=16, BN=8, PAD="zero", backend=backend)
    np.testing.assert_array_equal(y, x.T)


@tiledsl.jit
def copied(desc, out, row, column, BM: tl.constexpr, BN: tl.constexpr):
    tile = desc.load([row, column])
    tl.store(out + tl.arange(0, BM)[:, None] * BN + tl.arange(0, BN)[None, :], tile)


@BACKENDS
@pytest.mark.parametrize("padding", ["zero", "nan"])
@pytest.mark.parametrize("at", [(0, 0), (-2, 3), (5, -1), (6, 12)])
def test_what_lies_outside_is_padding(at: tuple[int, int], padding: str, backend: str) -> None:
    x = RNG.standard_normal((8, 16)).astype(np.float32)
    out = np.zeros((4, 8), np.float32)
    copied[(1,)](HostDescriptor(x, [8, 16], [16, 1], [4, 8], padding), out, *at, BM=4, BN=8, backend=backend)
    wide = np.full((24, 40), 0 if padding == "zero" else np.nan, np.float32)
    wide[8:16, 12:28] = x
    np.testing.assert_array_equal(out, wide[8 + at[0] : 12 + at[0], 12 + at[1] : 20 + at[1]])


@tiledsl.jit
def rows(x, y, index, M, N, R: tl.constexpr, BN: tl.constexpr):
    source = tl.make_tensor_descriptor(x, [M, N], [N, 1], [1, BN])
    target = tl.make_tensor_descriptor(y, [M, N], [N, 1], [1, BN])
    which = tl.load(index + tl.arange(0, R))
    target.scatter(source.gather(which, 4) * 2, which, 4)


@BACKENDS
def test_rows_are_gathered_and_scattered(backend: str) -> None:
    x = RNG.standard_normal((16, 16)).astype(np.float32)
    y, index = np.zeros_like(x), np.array([3, 15, 20, 1, 8, 0, -1, 5], np.int32)
    rows[(1,)](x, y, index, 16, 16, R=8, BN=8, backend=backend)
    expected = np.zeros_like(x)
    inside = index[(index >= 0) & (index < 16)]
    expected[inside, 4:12] = x[inside, 4:12] * 2
    np.testing.assert_array_equal(y, expected)


@tiledsl.jit
def added(x, M, N, BM: tl.constexpr, BN: tl.constexpr):
    desc = tl.make_tensor_descriptor(x, [M, N], [N, 1], [BM, BN])
    desc.atomic_add([4, 4], tl.full((BM, BN), 3, tl.int32))
    desc.atomic_max([0, 0], tl.full((BM, BN), 2, tl.int32))


@BACKENDS
def test_atomics_stop_at_the_edge(backend: str) -> None:
    x, expected = np.zeros((8, 8), np.int32), np.zeros((8, 8), np.int32)
    added[(1,)](x, 8, 8, BM=8, BN=8, backend=backend)
    expected[4:, 4:] = 3
    np.testing.assert_array_equal(x, np.maximum(expected, 2))


def test_the_last_stride_is_one() -> None:
    @tiledsl.jit
    def strided(x, M, N):
        tl.make_tensor_descriptor(x, [M, N], [N, 2], [8, 8])

    with pytest.raises(CompilationError, match="last dim must be 1"):
        strided[(1,)](np.zeros(64, np.float32), 8, 8)
