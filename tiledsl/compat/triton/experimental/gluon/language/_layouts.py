"""Layouts of shared memory: figures that a descriptor carries."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NVMMASharedLayout:
    """Swizzled rows."""

    swizzle_byte_width: int
    element_bitwidth: int
    rank: int = 2
    transposed: bool = False
    fp4_padded: bool = False
