"""What wrappers ask of NumPy arrays and PyTorch tensors alike; PyTorch is never imported, only met."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

NAMES = {
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64",
    **{f"i{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}, **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
}  # fmt: skip

FLOATS = ("f16", "bf16", "f32", "f64")


def empty(like: Any, shape: Sequence[int] | None = None, dtype: str = "") -> Any:
    """A new array of the kind of another one; its shape and element type unless others are given."""
    shape = tuple(like.shape) if shape is None else tuple(shape)
    if isinstance(like, np.ndarray):
        return np.empty(shape, numpy_dtype(dtype) if dtype else like.dtype)
    return like.new_empty(shape, dtype=getattr(sys.modules["torch"], NAMES[dtype]) if dtype else like.dtype)


def contiguous(array: Any) -> Any:
    """The array itself if its elements lie in row-major order, else a copy in which they do."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def floats(array: Any) -> Any:
    """The array in row-major order, if it is one of floats: as an integer, most of what comes of it would be 0."""
    if dtype_name(array) not in FLOATS:
        raise TypeError(f"elements of {array.dtype}, where floats are needed; convert them first: x.astype(np.float32), or x.float()")
    return contiguous(array)


def operand(name: str, array: Any, shape: Sequence[int]) -> Any:
    """An array of exactly this shape, in row-major order: of a smaller one a kernel would read what lies behind it."""
    _require_shape(name, array, shape)
    return contiguous(array)


def axes(name: str, array: Any, spoken: str, more: bool = False) -> tuple[int, ...]:
    """The extents of an array that has these axes; `more` lets others stand before them."""
    shape, wanted = tuple(array.shape), spoken.split()
    if len(shape) != len(wanted) and not (more and len(shape) > len(wanted)):
        count = f"{'at least ' * more}{len(wanted)} {'axis' if len(wanted) == 1 else 'axes'}"
        raise ValueError(f"{name} has the shape {shape}, and should have {count}: {', '.join(wanted)}")
    return shape


def output(given: Any, like: Any, shape: Sequence[int] | None = None, dtype: str = "", strided: bool = False) -> Any:
    """The array that a caller gave for a result, if a kernel may fill it; a new one, as `empty` makes it, if none was given."""
    if given is None:
        return empty(like, shape, dtype)
    _require_shape("out", given, like.shape if shape is None else shape)
    if not strided and not is_contiguous(given):
        raise ValueError("out is not in row-major order, and a copy would not be yours; pass out.copy() and copy that back")
    return given


def is_contiguous(array: Any) -> bool:
    """Whether its elements lie in row-major order."""
    return bool(array.flags.c_contiguous if isinstance(array, np.ndarray) else array.is_contiguous())


def _require_shape(name: str, array: Any, shape: Sequence[int]) -> None:
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} has the shape {tuple(array.shape)}, and should have {tuple(shape)}")


def strides(array: Any) -> tuple[int, ...]:
    """How many elements lie between neighbours along every axis."""
    if isinstance(array, np.ndarray):
        size = array.itemsize
        return tuple([s // size for s in array.strides])
    return tuple(array.stride())


def dtype_name(array: Any) -> str:
    """The element type as tiledsl writes it: "f32", "bf16", "i8"."""
    return _name_of(array.dtype)


@lru_cache(64)
def _name_of(dtype: Any) -> str:
    name = str(dtype).rpartition(".")[2]  # which takes NumPy longer than a launch
    return next((short for short, long in NAMES.items() if long == name), name)


@lru_cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of an element type; bf16 is that of ml_dtypes."""
    return np.dtype(getattr(import_module("ml_dtypes"), NAMES[name]) if name == "bf16" else NAMES[name])


def normal(rng: np.random.Generator, shape: Sequence[int], dtype: str = "f32") -> np.ndarray:
    """Normally distributed numbers; integers spread over most of an int8."""
    values = rng.standard_normal(tuple(shape))
    if dtype.startswith("i"):
        return np.clip(np.rint(values * 40), -127, 127).astype(numpy_dtype(dtype))
    return values.astype(numpy_dtype(dtype))
