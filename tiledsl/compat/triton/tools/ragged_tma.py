"""Ragged descriptors: of a tensor whose slices along one axis are read and written as if nothing lay beside them.

In Triton an offset of the descriptor wraps around 64 bits, so that one bound of the hardware is the end of every slice. Here a
kernel makes of the descriptor another one, that begins and ends where the slice does. It has the axes of the tensor, not two more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .... import language as tl
from ..runtime.jit import jit
from .tensor_descriptor import TensorDescriptor

ROWS = 1 << 30  # as many as a tensor may have along its ragged axis in Triton


def create_ragged_descriptor(T: Any, block_shape: Sequence[int], ragged_dim: int = 0) -> TensorDescriptor:
    """A descriptor of a tensor of two or three axes, for the functions below. Its last axis cannot be the ragged one."""
    rank, axis = len(T.shape), ragged_dim + len(T.shape) if ragged_dim < 0 else ragged_dim
    assert 0 <= axis < rank - 1, f"the ragged axis is one before the last of {rank}, got {ragged_dim}"
    assert rank <= 3, f"a ragged descriptor has at most 3 axes, got {rank}"
    assert len(block_shape) == rank, f"a block of {len(block_shape)} axes for {rank}"
    assert T.shape[axis] <= ROWS, f"{T.shape[axis]} rows are more than {ROWS}"
    return TensorDescriptor.from_tensor(T, list(block_shape))


@jit
def _slice(TMA, slice_off, slice_size, ragged_dim: tl.constexpr):  # type: ignore[no-untyped-def]
    """The descriptor of one slice alone."""
    start = TMA.base + slice_off * TMA.strides[ragged_dim]
    shape = TMA.shape[:ragged_dim] + (slice_size,) + TMA.shape[ragged_dim + 1 :]  # type: ignore[operator]
    return tl.make_tensor_descriptor(start, shape, TMA.strides[:-1] + (1,), TMA.block_shape, TMA.padding)


@jit
def load_ragged(TMA, slice_off, slice_size, coords, ragged_dim: tl.constexpr = 0):  # type: ignore[no-untyped-def, assignment]
    """The block at coords in T[slice_off : slice_off + slice_size]; zero outside of it."""
    return _slice(TMA, slice_off, slice_size, ragged_dim).load(coords)


@jit
def store_ragged(TMA, slice_off, slice_size, coords, data, ragged_dim: tl.constexpr = 0):  # type: ignore[no-untyped-def, assignment]
    """Write a block at coords in T[slice_off : slice_off + slice_size]; what lies outside is dropped."""
    _slice(TMA, slice_off, slice_size, ragged_dim).store(coords, data)


@jit
def atomic_add_ragged(TMA, slice_off, slice_size, coords, data, ragged_dim: tl.constexpr = 0):  # type: ignore[no-untyped-def, assignment]
    """Add a block at coords in T[slice_off : slice_off + slice_size]; what lies outside is dropped."""
    _slice(TMA, slice_off, slice_size, ragged_dim).atomic_add(coords, data)
