"""Descriptors made on the host: a tensor, its shape and strides, and the block that one access moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ....beyond import STRICT
from ....config import strict_triton
from ....runtime.arguments import block_shape


@dataclass
class TensorDescriptor:
    """Describes a tensor of rank 1 to 5 with a last stride of 1."""

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[int]
    padding: str = "zero"
    round_f32_to_tf32: bool = False

    def __post_init__(self) -> None:
        rank = len(self.shape)
        assert 1 <= rank <= 5, f"a descriptor has 1 to 5 axes, got {rank}"
        assert len(self.strides) == rank, f"rank mismatch: {len(self.strides)} strides for {rank} axes"
        assert len(self.block_shape) == rank, f"rank mismatch: a block of {len(self.block_shape)} axes for {rank}"
        assert self.base.data_ptr() % 16 == 0, "base must be 16-byte aligned"
        self.block_shape = list(block_shape(self.block_shape))
        for axis, extent in enumerate(self.block_shape):
            if extent & (extent - 1) and strict_triton():
                raise ValueError(f"Shape element {axis} must be a power of 2, got {extent} ({STRICT})")
        for stride in self.strides[:-1]:
            assert stride * self.base.dtype.itemsize % 16 == 0, "strides must be 16-byte aligned"
        assert self.strides[-1] == 1, "Last dimension must be contiguous"
        assert self.padding in ("zero", "nan"), f"padding is {self.padding!r}; it is zero or nan"
        assert self.padding == "zero" or self.base.dtype.is_floating_point, "padding with nan takes a float dtype"

    @staticmethod
    def from_tensor(tensor: Any, block_shape: list[int], padding: str = "zero", round_f32_to_tf32: bool = False) -> TensorDescriptor:
        """Of all of a tensor."""
        return TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), list(block_shape), padding, round_f32_to_tf32)
