"""Arithmetic that NumPy does not offer exactly: fused multiply-add, ordered dot, integer division without traps."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import numpy as np


def fma(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x * y + z with one rounding, in the dtype of z; float16 computes in float32 and rounds once more."""
    if z.dtype == np.float64:
        return _fma64(x, y, z)
    # the product of two float32 is exact in float64; rounding the sum to odd makes the second rounding correct
    with np.errstate(all="ignore"):
        return _sum_to_odd(np.multiply(x, y, dtype=np.float64), z.astype(np.float64)).astype(np.float32).astype(z.dtype)


def _sum_to_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b in float64, rounded to odd."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)
    bits = np.asarray(total).view(np.int64)
    fix = np.isfinite(total) & (error != 0) & (bits & 1 == 0)
    toward = np.where((error > 0) == (total > 0), 1, -1)  # one code up or down in magnitude
    return np.where(fix, bits + toward, bits).view(np.float64)


def _scalar_fma() -> Callable[[float, float, float], float]:
    if hasattr(math, "fma"):
        return math.fma  # Python 3.13; it refuses what IEEE answers with NaN or infinity, see below
    function = ctypes.CDLL(None).fma
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * 3
    return function


_one_fma = _scalar_fma()


def _ieee_fma(x: float, y: float, z: float) -> float:
    try:
        return _one_fma(x, y, z)
    except OverflowError:
        return math.inf if (math.copysign(1, x) * math.copysign(1, y)) > 0 else -math.inf
    except ValueError:
        return math.nan


_fma_each = np.frompyfunc(_ieee_fma, 3, 1)


def _fma64(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(_fma_each(x, y, z), np.float64)


def dot(a: np.ndarray, b: np.ndarray, acc: np.ndarray) -> np.ndarray:
    """acc + a @ b: for each element one chain over k ascending, fused, in the dtype of acc (numerics contract, 3)."""
    if acc.dtype.kind in "iu":
        return acc + np.matmul(a.astype(acc.dtype), b.astype(acc.dtype))
    a, b = a.astype(acc.dtype), b.astype(acc.dtype)
    for k in range(a.shape[-1]):
        acc = fma(a[..., :, k, None], b[..., None, k, :], acc)
    return acc


def divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Integer quotient towards zero; x / 0 is all ones, MIN / -1 is MIN."""
    x, y = np.broadcast_arrays(x, y)
    safe = np.where(y == 0, np.ones_like(y), y)
    with np.errstate(all="ignore"):
        floor = x // safe
        exact = floor * safe == x
        truncated = np.where((floor < 0) & ~exact, floor + np.ones_like(floor), floor)
    ones = np.invert(np.zeros_like(x))
    return np.where(y == 0, ones, truncated).astype(x.dtype)


def remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x - divide(x, y) * y, wrapping: the sign of x; x % 0 is x, MIN % -1 is 0."""
    with np.errstate(all="ignore"):
        return np.where(y == 0, x, x - divide(x, y) * y).astype(x.dtype)


def multiply_high(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The upper half of the unsigned double-width product of 32- or 64-bit integers, in the dtype of x."""
    bits = x.dtype.itemsize * 8
    if bits == 32:
        wide = x.astype(np.uint32).astype(np.uint64) * y.astype(np.uint32).astype(np.uint64)
        return (wide >> np.uint64(32)).astype(np.uint32).astype(x.dtype)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    x0, x1 = x.astype(np.uint64) & low, x.astype(np.uint64) >> half
    y0, y1 = y.astype(np.uint64) & low, y.astype(np.uint64) >> half
    middle = x1 * y0 + (x0 * y0 >> half)
    carried = x0 * y1 + (middle & low)
    return (x1 * y1 + (middle >> half) + (carried >> half)).astype(x.dtype)


def float_to_int(x: np.ndarray, to: np.dtype) -> np.ndarray:
    """Towards zero, saturating; NaN gives 0."""
    info = np.iinfo(to)
    # the bounds as floats may round up past the largest integer, so compare before converting
    low, high = float(info.min), float(info.max)
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        inside = (wide > low) & (wide < high)
        middle = np.where(inside, wide, 0.0)
        converted = middle.astype(to)
    return np.where(inside, converted, np.where(np.isnan(wide), 0, np.where(wide <= low, info.min, info.max)).astype(to)).astype(to)
