"""`triton._internal_testing`: what tests of kernels import, as it is on a machine whose target is the CPU. Needs torch and pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ... import language as tl
from ...language.types import str_to_ty
from .backends.compiler import GPUTarget
from .runtime.driver import driver
from .runtime.tensors import TensorWrapper, reinterpret

int_dtypes = ["int8", "int16", "int32", "int64"]
uint_dtypes = ["uint8", "uint16", "uint32", "uint64"]
integral_dtypes = int_dtypes + uint_dtypes
float_dtypes = ["float16", "float32", "float64"]
float_dtypes_with_bfloat16 = [*float_dtypes, "bfloat16"]
dtypes = integral_dtypes + float_dtypes
dtypes_with_bfloat16 = integral_dtypes + float_dtypes_with_bfloat16
torch_dtypes = ["bool", *int_dtypes, "uint8", *float_dtypes_with_bfloat16]
torch_float8_dtypes = ["float8_e4m3fn", "float8_e5m2"]
tma_dtypes = sorted({*dtypes_with_bfloat16} - {"int64", "uint64", "float64"})


def _no() -> bool:
    """False: kernels are compiled, for a CPU."""
    return False


def __getattr__(name: str) -> Callable[[], bool]:
    """Questions about kinds of GPUs and about Triton's own interpreter: is_cuda, is_hip_cdna3, is_interpreter ..."""
    if name.startswith("is_") or name == "supports_ws":
        return _no
    raise AttributeError(name)


def is_cpu() -> bool:
    """Whether kernels run on a CPU."""
    return True


def get_current_target() -> GPUTarget:
    """What kernels are compiled for."""
    target: GPUTarget = driver.active.get_current_target()
    return target


def supports_tma(byval_only: bool = False) -> bool:
    """Whether tensor descriptors work: they do, in software."""
    return True


requires_tma = pytest.mark.skipif(False, reason="tensor descriptors work everywhere")


def numpy_random(shape: Any, dtype_str: str, rs: np.random.RandomState | None = None, low: Any = None, high: Any = None) -> np.ndarray:
    """Random values of a type: integers of its range without 0, normal floats, values of bfloat16 as float32."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    random = rs or np.random.RandomState(seed=17)
    if dtype_str in integral_dtypes:
        limits = np.iinfo(dtype_str)
        first = limits.min if low is None else max(low, limits.min)
        last = limits.max if high is None else min(high, limits.max)
        values = random.randint(first, last, shape, dtype=np.dtype(dtype_str).type)
        return np.where(values == 0, np.array(1, dtype_str), values)  # tests divide by them
    if dtype_str in ("bool", "int1", "bool_"):
        return random.normal(0, 1, shape) > 0
    if dtype_str == "bfloat16":
        bits = random.normal(0, 1, shape).astype(np.float32).view(np.uint32)
        return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    if dtype_str.startswith("float8"):
        return random.randint(20, 40, shape, dtype=np.int8)
    return random.normal(0, 1, shape).astype(dtype_str)


def str_to_triton_dtype(name: str) -> Any:
    """The type of the language with a NumPy name."""
    return str_to_ty(name if name.startswith("*") else str(getattr(tl, name)), None)


def to_triton(x: np.ndarray, device: Any = "cpu", dst_type: str | None = None) -> Any:
    """A tensor with the values of an array; types that torch lacks are wrapped."""
    name = x.dtype.name
    if dst_type is not None and dst_type.startswith("float8"):
        return reinterpret(torch.tensor(x.view(np.int8)), getattr(tl, dst_type))
    if name in uint_dtypes and name != "uint8":
        return reinterpret(torch.tensor(x.view(name.removeprefix("u"))), getattr(tl, name))
    made = torch.tensor(x)
    return made.bfloat16() if dst_type == "bfloat16" and name == "float32" else made


def to_numpy(x: Any) -> np.ndarray:
    """The values of a tensor, those of bfloat16 as float32."""
    if isinstance(x, TensorWrapper):
        return x.base.cpu().numpy().view(np.dtype(torch_dtype_name(x.dtype)))
    if isinstance(x, torch.Tensor):
        found: np.ndarray = (x.float() if x.dtype is torch.bfloat16 else x).cpu().numpy()
        return found
    raise ValueError(f"not a tensor that kernels take: {x!r}")


def torch_dtype_name(dtype: Any) -> str:
    """float32, int8: the name of a type of torch or of the language."""
    if isinstance(dtype, tl.dtype):
        return next(name for name, value in vars(tl).items() if value is dtype)
    return str(dtype).rpartition(".")[2]


def unwrap_tensor(tensor: Any) -> Any:
    """The tensor inside a wrapper."""
    return tensor.base if isinstance(tensor, TensorWrapper) else tensor


def default_alloc_fn(size: int, align: int, stream: Any) -> Any:
    """Scratch memory for `triton.set_allocator`."""
    return torch.empty(size, dtype=torch.int8)
