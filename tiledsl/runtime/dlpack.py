"""Memory of any array library through the DLPack protocol, read without NumPy, so that bf16 and read-only arrays work."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

DEVICES = {1: "cpu", 2: "cuda", 3: "cuda host", 4: "opencl", 7: "vulkan", 8: "metal", 10: "rocm", 11: "rocm host", 13: "cuda managed"}
HOST_DEVICES = {1, 3, 11}
_CODES = {
    0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool", 7: "float8_e3m4",
    10: "float8_e4m3fn", 11: "float8_e4m3fnuz", 12: "float8_e5m2", 13: "float8_e5m2fnuz",
}  # fmt: skip


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_size_t),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


_READ_ONLY = 1  # of the flags

_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_size_t, [ctypes.py_object, ctypes.c_char_p]


@dataclass(frozen=True)
class View:
    """An exported tensor; strides count elements, `owner` keeps the memory alive."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    writable: bool
    owner: object


def view(exporter: Any) -> View:
    """What an object exports. One whose exporter cannot say whether it may be written to counts as read-only."""
    try:
        capsule = exporter.__dlpack__(max_version=(1, 0))
    except TypeError:  # an exporter older than versions
        capsule = exporter.__dlpack__()
    if _is_valid(capsule, b"dltensor_versioned"):
        managed = _Versioned.from_address(_pointer(capsule, b"dltensor_versioned"))
        tensor, writable = managed.tensor, not managed.flags & _READ_ONLY
    else:
        tensor, writable = _Tensor.from_address(_pointer(capsule, b"dltensor")), False
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else _row_major(shape)
    return View(tensor.data + tensor.byte_offset, _name(tensor), shape, strides, writable, (capsule, exporter))


def _name(tensor: _Tensor) -> str:
    kind = _CODES.get(tensor.code, f"type code {tensor.code}")
    name = kind if kind == "bool" or kind.startswith("float8") else f"{kind}{tensor.bits}"
    return name if tensor.lanes == 1 else f"{name}x{tensor.lanes}"


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))
