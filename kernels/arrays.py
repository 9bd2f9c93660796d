"""What wrappers ask of NumPy arrays and PyTorch tensors alike; PyTorch is never imported, only met."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

NAMES = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "i8": "int8", "i32": "int32", "i64": "int64"}


def empty(like: Any, shape: Sequence[int] | None = None, dtype: str = "") -> Any:
    """A new array of the kind of another one; its shape and element type unless others are given."""
    shape = tuple(like.shape) if shape is None else tuple(shape)
    if isinstance(like, np.ndarray):
        return np.empty(shape, numpy_dtype(dtype) if dtype else like.dtype)
    return like.new_empty(shape, dtype=getattr(sys.modules["torch"], NAMES[dtype]) if dtype else like.dtype)


def contiguous(array: Any) -> Any:
    """The array itself if its elements lie in row-major order, else a copy in which they do."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()


def strides(array: Any) -> tuple[int, ...]:
    """How many elements lie between neighbours along every axis."""
    if isinstance(array, np.ndarray):
        return tuple(s // array.itemsize for s in array.strides)
    return tuple(array.stride())


def dtype_name(array: Any) -> str:
    """The element type as tiledsl writes it: "f32", "bf16", "i8"."""
    return _name_of(array.dtype)


@lru_cache(64)
def _name_of(dtype: Any) -> str:
    name = str(dtype).rpartition(".")[2]  # which takes NumPy longer than a launch
    return next((short for short, long in NAMES.items() if long == name), name)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of an element type; bf16 is that of ml_dtypes."""
    return np.dtype(getattr(import_module("ml_dtypes"), NAMES[name]) if name == "bf16" else NAMES[name])


def normal(rng: np.random.Generator, shape: Sequence[int], dtype: str = "f32") -> np.ndarray:
    """Normally distributed numbers; integers spread over most of an int8."""
    values = rng.standard_normal(tuple(shape))
    if dtype.startswith("i"):
        return np.clip(np.rint(values * 40), -127, 127).astype(numpy_dtype(dtype))
    return values.astype(numpy_dtype(dtype))
