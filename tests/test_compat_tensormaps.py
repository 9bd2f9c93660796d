"""Descriptors that lie in memory, filled by the host or by a kernel."""

from __future__ import annotations

import numpy as np
import pytest

from tiledsl.compat import triton
from tiledsl.compat.triton import language as tl
from tiledsl.compat.triton.runtime import driver

BYTES = 128


@triton.jit
def copy(out, described, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    at = tl.program_id(0) * ROWS
    tile = tl._experimental_descriptor_load(described, [at, 0], [ROWS, COLUMNS], tl.float32)
    r, c = at + tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS)[None, :]
    tl.store(out + r * COLUMNS + c, tile, mask=r < rows)


class Wrapper:
    """A descriptor as programs hand it to launches."""

    def __init__(self, address: int):
        self.address = address

    def tma_desc_cpu_ptr(self) -> int:
        return self.address


@pytest.mark.parametrize("how", ["bytes", "address", "wrapper"])
def test_blocks_are_read_through_what_the_host_described(how: str) -> None:
    x = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)
    words, out = np.empty(BYTES, np.int8), np.full((5, 8), -1, np.float32)
    fill = driver.active.utils.fill_2d_tma_descriptor
    fill(x.ctypes.data, 5, 7, 4, 8, x.itemsize, words if how == "bytes" else words.ctypes.data)
    copy[(2,)](out, Wrapper(words.ctypes.data) if how == "wrapper" else words, 5, 7, 4, 8, backend="cpu")
    assert (out[:, :7] == x).all() and (out[:, 7] == 0).all()


@triton.jit
def describe_and_store(out, words, n, BLOCK: tl.constexpr):
    tl.extra.cuda.experimental_device_tensormap_create1d(
        desc_ptr=words, global_address=out, load_size=BLOCK, global_size=n, element_ty=out.dtype.element_ty
    )
    tl.extra.cuda.experimental_tensormap_fenceproxy_acquire(words)
    for start in range(0, n, BLOCK):
        tl._experimental_descriptor_store(words, (start + tl.arange(0, BLOCK)).to(tl.float16), [start])


def test_what_a_kernel_described_bounds_what_it_stores() -> None:
    out, words = np.full(64, -1, np.float16), np.zeros(BYTES, np.uint8)
    describe_and_store[(1,)](out, words, 37, 16, backend="cpu")
    assert (out[:37] == np.arange(37)).all() and (out[37:] == -1).all()
