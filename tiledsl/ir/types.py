"""Types of the tile IR: element types, pointers, and tiles of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import TypeRuleError, require
from ..record import Record
from . import formats


class DType(Record, eq=False):
    """An element type. `numpy` carries values in the interpreter, `storage` is how memory holds them.

    A type NumPy lacks (bf16, fp8) is carried in float32 arrays whose values are all representable in it.
    """

    name: str
    bits: int
    kind: str  # "bool", "signed", "unsigned" or "float"
    numpy: np.dtype
    storage: np.dtype
    format: formats.Format | None = None  # of a float: its bit layout

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        return (_dtype_named, (self.name,))  # the same object again: dtypes compare by identity

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        """An integer, i1 included."""
        return self.kind != "float"

    @property
    def is_signed(self) -> bool:
        return self.kind == "signed"

    @property
    def itemsize(self) -> int:
        """Bytes per element in memory; i1 takes one."""
        return self.storage.itemsize

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Values from their storage form."""
        if self is i1:
            return stored != 0
        if self.storage == self.numpy:
            return stored
        assert self.format is not None
        return formats.decode(self.format, stored)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The storage form of values; exact, because carried values are representable."""
        if self.storage == self.numpy or self is i1:
            return values.astype(self.storage, copy=False)
        assert self.format is not None
        return formats.store(self.format, values)

    def round(self, values: np.ndarray) -> np.ndarray:
        """The carried values nearest (ties to even) to float32 or float64 values."""
        with np.errstate(all="ignore"):
            if self.storage == self.numpy:
                return values.astype(self.numpy, copy=False)
            assert self.format is not None
            return formats.decode(self.format, formats.encode(self.format, values))


def _integer(name: str) -> DType:
    signed = name[0] == "i"
    numpy = np.dtype(f"{'int' if signed else 'uint'}{name[1:]}")
    return DType(name, int(name[1:]), "signed" if signed else "unsigned", numpy, numpy)


def _float(name: str, carrier: str, storage: str, layout: formats.Format) -> DType:
    return DType(name, layout.bits, "float", np.dtype(carrier), np.dtype(storage), layout)


i1 = DType("i1", 1, "bool", np.dtype(bool), np.dtype(np.uint8))
i8, i16, i32, i64 = (_integer(name) for name in ("i8", "i16", "i32", "i64"))
u8, u16, u32, u64 = (_integer(name) for name in ("u8", "u16", "u32", "u64"))
f16 = _float("f16", "float16", "float16", formats.F16)
bf16 = _float("bf16", "float32", "uint16", formats.BF16)
f32 = _float("f32", "float32", "float32", formats.F32)
f64 = _float("f64", "float64", "float64", formats.F64)
f8e5 = _float("f8e5", "float32", "uint8", formats.E5M2)
f8e4nv = _float("f8e4nv", "float32", "uint8", formats.E4M3_FN)
f8e4b8 = _float("f8e4b8", "float32", "uint8", formats.E4M3_FNUZ)
f8e5b16 = _float("f8e5b16", "float32", "uint8", formats.E5M2_FNUZ)
f8e4b15 = _float("f8e4b15", "float32", "uint8", formats.E4M3_FINITE)

NARROW = (f8e5, f8e4nv, f8e4b8, f8e5b16, f8e4b15)  # kept and moved as bytes; arithmetic happens in f32

DTYPES: dict[str, DType] = {t.name: t for t in (i1, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, *NARROW)}
LOWERED: tuple[DType, ...] = tuple(t for t in DTYPES.values() if t not in NARROW)  # what backends see


def _dtype_named(name: str) -> DType:
    return DTYPES[name]


@dataclass(frozen=True)
class Pointer:
    """The address of an element; carried as an int64 byte address."""

    to: DType
    const: bool = False  # nothing is stored through it

    kind = "pointer"
    numpy = storage = np.dtype(np.int64)
    bits = 64
    itemsize = 8
    is_float = is_int = is_signed = False

    def __str__(self) -> str:
        return f"*const {self.to}" if self.const else f"*{self.to}"

    __repr__ = __str__

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Addresses are carried as they are stored."""
        return stored

    encode = decode


Elem = DType | Pointer


@dataclass(frozen=True)
class Tile:
    """An element type and a static shape; shape () is a scalar."""

    elem: Elem
    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.elem}" + (f"[{','.join(map(str, self.shape))}]" if self.shape else "")

    __repr__ = __str__

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements there are."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def like(self, elem: Elem) -> Tile:
        """The same shape with another element type."""
        return Tile(elem, self.shape)

    def scalar(self) -> Tile:
        """One element of this tile."""
        return Tile(self.elem)


def dtype_of(tile: Tile) -> DType:
    """The element type of a tile that is no tile of pointers."""
    require(isinstance(tile.elem, DType), f"{tile} is a tile of pointers", help="read what is there: tl.load(p)")
    assert isinstance(tile.elem, DType)
    return tile.elem


def same(*tiles: Tile) -> Tile:
    """All operands share one type; return it."""
    if any(tile != tiles[0] for tile in tiles):
        raise TypeRuleError(f"operands differ: {', '.join(map(str, tiles))}")
    return tiles[0]
