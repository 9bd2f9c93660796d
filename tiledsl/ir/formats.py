"""Binary floating-point formats: rounding to one, and reading its codes; exact for every value and every code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Format:
    """A sign bit, then exponent bits, then mantissa bits."""

    exponent: int
    mantissa: int

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.mantissa

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1


F16, BF16, F32, F64 = Format(5, 10), Format(8, 7), Format(8, 23), Format(11, 52)


def encode(layout: Format, values: np.ndarray) -> np.ndarray:
    """The codes nearest to float32 or float64 values; ties to even, overflow to infinity, NaN kept."""
    assert layout == BF16, "NumPy itself rounds to the other formats"
    narrow = odd_float32(values) if values.dtype == np.float64 else np.asarray(values, np.float32)
    bits = narrow.view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(narrow), quiet, rounded)


def decode(layout: Format, codes: np.ndarray) -> np.ndarray:
    """The values of codes, as float32."""
    assert layout == BF16
    return (np.asarray(codes).astype(np.uint32) << 16).view(np.float32)


def odd_float32(values: np.ndarray) -> np.ndarray:
    """float64 to float32, rounded to odd: a second rounding to at most 22 bits is then correct."""
    with np.errstate(all="ignore"):
        near = np.asarray(values).astype(np.float32)
        back = near.astype(np.float64)
        bits = near.view(np.uint32)
        inexact = (back != values) & ~np.isnan(near)
        # step one code towards zero where rounding went away from it, then set the last bit
        away = inexact & (np.abs(back) > np.abs(values))
        return np.where(inexact, (bits - away.astype(np.uint32)) | 1, bits).astype(np.uint32).view(np.float32)
