"""Types that kernels name besides dtypes: of blocks, of what may not be written, and by their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..beyond import LARGEST
from .core import unwrap
from .dtypes import dtype, int32, pointer_type
from .tuples import constexpr_type

TRITON_MAX_TENSOR_NUMEL = LARGEST  # a larger tile is refused by Triton


class const:
    """The annotation of a pointer that is not written through."""


class tensor_descriptor:
    """The annotation of a tensor descriptor."""


class tensor_descriptor_type:
    """The type of a tensor descriptor: that of its blocks, and those of its extents and strides."""

    def __init__(self, block_type: block_type, shape_type: Any = None, strides_type: Any = None):
        self.block_type, self.shape_type, self.strides_type = block_type, shape_type, strides_type

    def __str__(self) -> str:
        return f"tensor_descriptor<{self.block_type}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tensor_descriptor_type) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class void_type:
    """The type of no value."""

    name = "void"

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return "tiledsl.language.void"


class block_type:
    """The type of a tile: its element type and its extents."""

    def __init__(self, element_ty: Any, shape: Sequence[int]):
        self.element_ty, self.shape = element_ty, tuple(int(unwrap(n)) for n in shape)
        if not self.shape:
            raise TypeError("0d block_type is forbidden")
        self.numel = 1
        for extent in self.shape:
            self.numel *= extent
        self.name = f"<{self.shape}, {element_ty}>"

    @property
    def scalar(self) -> Any:
        return self.element_ty

    def get_block_shapes(self) -> tuple[int, ...]:
        return self.shape

    def is_block(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("is_") or name == "primitive_bitwidth":
            return getattr(self.element_ty, name)
        raise AttributeError(f"block_type has no attribute `{name}`")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, block_type) and (self.element_ty, self.shape) == (other.element_ty, other.shape)

    def __hash__(self) -> int:
        return hash((self.element_ty, self.shape))

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


def get_int_dtype(bitwidth: int, signed: bool) -> dtype:
    """The integer type of a width."""
    bits = unwrap(bitwidth)
    return dtype.named("int1" if bits == 1 else f"{'' if unwrap(signed) else 'u'}int{bits}")


void = void_type()
pi32_t = pointer_type(int32)


def str_to_ty(name: str, c: Any = None) -> Any:
    """The type that a signature names: "fp32", "*i8", "u1"."""
    if name.startswith("*"):
        inner, constant = name[1:], name[1:2] == "k"
        return pointer_type(str_to_ty(inner[1:] if constant else inner), const=constant)
    if name == "constexpr":
        return constexpr_type(c)
    shorts = {"i1": "int1", "u1": "int1", "B": "int1", **{f"i{n}": f"int{n}" for n in (8, 16, 32, 64)}}
    shorts |= {f"u{n}": f"uint{n}" for n in (8, 16, 32, 64)}
    return void if name == "void" else dtype.named(shorts.get(name, name))
