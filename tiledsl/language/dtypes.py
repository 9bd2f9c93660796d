"""The dtype objects that kernels name: tl.float32 and its kin, with the questions Triton's answer."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ..ir.formats import Format
from ..ir.types import DTYPES, NARROW, DType, Elem, Pointer, bf16, f16, f32, f64, i1, i8, i16, i32, i64, u8, u16, u32, u64

_SHORT = {"i1": "int1", "bf16": "bf16"}
_LONG = {"bf16": "bfloat16"}


def short_name(elem: DType) -> str:
    """fp32, int32, uint8: how Triton names an element type in messages."""
    return _SHORT.get(elem.name) or {"i": "int", "u": "uint", "f": "fp"}[elem.name[0]] + elem.name[1:]


class dtype:
    """An element type as a kernel sees it. `str` gives the short name (fp32), `repr` one that evaluates."""

    SINT_TYPES = ["int8", "int16", "int32", "int64"]
    UINT_TYPES = ["int1", "uint8", "uint16", "uint32", "uint64"]
    FP_TYPES = ["fp8e4b15", "fp8e4nv", "fp8e4b8", "fp8e5", "fp8e5b16", "fp16", "bf16", "fp32", "fp64"]
    STANDARD_FP_TYPES = ["fp16", "bf16", "fp32", "fp64"]
    OTHER_TYPES = ["void"]

    class SIGNEDNESS(Enum):
        SIGNED = 0
        UNSIGNED = 1

    class KIND(Enum):
        BOOLEAN = 0
        INTEGRAL = 1
        FLOATING = 2

    _by_elem: dict[Elem, dtype] = {}

    def __new__(cls, elem: DType | str) -> dtype:
        return cls.named(elem) if isinstance(elem, str) else super().__new__(cls)

    def __init__(self, elem: DType | str):
        if isinstance(elem, str):  # one there is, found by name
            return
        self.elem = elem
        self.name = short_name(elem)
        self.primitive_bitwidth = elem.bits
        self.itemsize = elem.itemsize
        dtype._by_elem[elem] = self

    @staticmethod
    def of(elem: Elem) -> dtype | pointer_type:
        """The object for an element type of the IR; a pointer_type for a pointer."""
        return pointer_type(dtype._by_elem[elem.to], const=elem.const) if isinstance(elem, Pointer) else dtype._by_elem[elem]

    @property
    def scalar(self) -> dtype:
        return self

    @property
    def int_bitwidth(self) -> int:
        return self.primitive_bitwidth

    @property
    def int_signedness(self) -> SIGNEDNESS:
        return dtype.SIGNEDNESS.SIGNED if self.elem.is_signed else dtype.SIGNEDNESS.UNSIGNED

    def kind(self) -> KIND:
        """Booleans come before integers, these before floats."""
        kinds = dtype.KIND
        return kinds.BOOLEAN if self.elem is i1 else kinds.FLOATING if self.elem.is_float else kinds.INTEGRAL

    @property
    def fp_mantissa_width(self) -> int:
        return self._format("fp_mantissa_width").mantissa

    @property
    def exponent_bias(self) -> int:
        return self._format("exponent_bias").bias

    def _format(self, name: str) -> Format:
        if self.elem.format is None:
            raise AttributeError(f"{self} has no {name}: it is no type of floating-point numbers")
        return self.elem.format

    def is_floating(self) -> bool:
        return self.elem.is_float

    def is_standard_floating(self) -> bool:
        return self.elem.is_float and self.primitive_bitwidth >= 16

    def is_int(self) -> bool:
        return self.elem.is_int

    def is_int_signed(self) -> bool:
        return self.elem.is_signed

    def is_int_unsigned(self) -> bool:
        return self.elem.is_int and not self.elem.is_signed

    def is_bool(self) -> bool:
        return self.elem is i1

    def is_ptr(self) -> bool:
        return False

    def is_block(self) -> bool:
        return False

    def is_const(self) -> bool:
        return False

    def is_fp8(self) -> bool:
        return self.elem.is_float and self.primitive_bitwidth == 8

    def get_int_max_value(self) -> int:
        return 2 ** (self.primitive_bitwidth - self.elem.is_signed) - 1

    def get_int_min_value(self) -> int:
        return -(2 ** (self.primitive_bitwidth - 1)) if self.elem.is_signed else 0

    @staticmethod
    def is_dtype(name: str) -> bool:
        return any(d.name == name for d in dtype._by_elem.values())

    @staticmethod
    def named(name: str) -> dtype:
        """The object with this short name."""
        return next(d for d in dtype._by_elem.values() if d.name == name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dtype) and self.elem is other.elem

    def __hash__(self) -> int:
        return hash(self.elem.name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"triton.language.{_LONG.get(self.name, self.name.replace('fp', 'float'))}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_dtype_of_name, (self.elem.name,))


def _dtype_of_name(name: str) -> dtype | pointer_type:
    return dtype.of(DTYPES[name])


def _asks_for(elem: DType):  # type: ignore[no-untyped-def]
    return lambda self: self.elem is elem


for _elem in DTYPES.values():  # is_fp16(), is_int8(), ...: one question per type
    setattr(dtype, f"is_{short_name(_elem)}", _asks_for(_elem))


class pointer_type:
    """The type of a pointer; `element_ty` is what it points to."""

    def __init__(self, element_ty: dtype, address_space: int = 1, const: bool = False):
        self.element_ty, self.address_space, self.const = element_ty, address_space, const
        self.name = f"pointer<{element_ty.name}>"
        self.primitive_bitwidth = 64

    @property
    def elem(self) -> Pointer:
        return Pointer(self.element_ty.elem, self.const)

    @property
    def scalar(self) -> pointer_type:
        return self

    def is_ptr(self) -> bool:
        return True

    def _is_not(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("is_") and hasattr(dtype, name):  # every question that is for numbers
            return self._is_not
        raise AttributeError(f"a pointer's type has no {name}")

    def is_const(self) -> bool:
        return self.const

    def __eq__(self, other: object) -> bool:
        return isinstance(other, pointer_type) and self.element_ty == other.element_ty

    def __hash__(self) -> int:
        return hash((self.element_ty, "pointer"))

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"tiledsl.language.pointer_type({self.element_ty!r})"


int1, int8, int16, int32, int64 = map(dtype, (i1, i8, i16, i32, i64))
uint8, uint16, uint32, uint64 = map(dtype, (u8, u16, u32, u64))
float16, bfloat16, float32, float64 = map(dtype, (f16, bf16, f32, f64))
float8e5, float8e4nv, float8e4b8, float8e5b16, float8e4b15 = map(dtype, NARROW)
