"""Descriptors with a layout in shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class TensorDescriptor:
    """Describes a tensor, the block that one access moves, and how the block lies in shared memory."""

    base: Any
    shape: list[int]
    strides: list[int]
    block_shape: list[int]
    layout: Any
    padding: str = "zero"

    @staticmethod
    def from_tensor(tensor: Any, block_shape: list[int], layout: Any, padding: str = "zero") -> TensorDescriptor:
        """Of all of a tensor."""
        return TensorDescriptor(tensor, list(tensor.shape), list(tensor.stride()), list(block_shape), layout, padding)
