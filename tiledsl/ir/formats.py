"""Binary floating-point formats: rounding to one, and reading its codes; exact for every value and every code."""

from __future__ import annotations

from enum import Enum
from functools import cache

import numpy as np

from ..record import Record


class Special(Enum):
    """Which codes of a format are not finite."""

    IEEE = "the highest exponent: infinity, and NaNs"
    FN = "NaN with all bits but the sign set; no infinity"
    FNUZ = "one NaN, the code of negative zero, which does not exist; no infinity"
    FINITE = "none"


class Format(Record):
    """A sign bit, then exponent bits, then mantissa bits. Narrow ones (8 bits) saturate when rounded to."""

    exponent: int
    mantissa: int
    bias: int
    special: Special = Special.IEEE

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.mantissa

    @property
    def largest_code(self) -> int:
        """The code of the largest finite value."""
        top = (1 << self.exponent + self.mantissa) - 1
        return {Special.IEEE: top - (1 << self.mantissa), Special.FN: top - 1}.get(self.special, top)

    @property
    def nan_code(self) -> int:
        """The code NaN rounds to: the largest value where there is no NaN."""
        top = (1 << self.exponent + self.mantissa) - 1
        return 1 << self.bits - 1 if self.special is Special.FNUZ else top

    @property
    def largest(self) -> float:
        """The largest finite value."""
        return float(_table(self)[self.largest_code])


F16, BF16, F32, F64 = Format(5, 10, 15), Format(8, 7, 127), Format(8, 23, 127), Format(11, 52, 1023)
E5M2, E5M2_FNUZ = Format(5, 2, 15), Format(5, 2, 16, Special.FNUZ)
E4M3_FN, E4M3_FNUZ, E4M3_FINITE = Format(4, 3, 7, Special.FN), Format(4, 3, 8, Special.FNUZ), Format(4, 3, 15, Special.FINITE)


def encode(layout: Format, values: np.ndarray) -> np.ndarray:
    """The codes nearest to float32 or float64 values, ties to even. bf16 overflows to infinity; narrow formats saturate,
    infinity included."""
    narrow = odd_float32(values) if np.asarray(values).dtype == np.float64 else np.asarray(values, np.float32)
    return _encode_bf16(narrow) if layout == BF16 else _encode_narrow(layout, narrow)


def store(layout: Format, values: np.ndarray) -> np.ndarray:
    """The codes of values that a format has: as `encode`, but infinity stays where there is one."""
    codes = encode(layout, values)
    if layout.bits > 8 or layout.special is not Special.IEEE:
        return codes
    infinite = (layout.largest_code + 1) | np.signbit(values).astype(np.uint8) << 7
    return np.where(np.isinf(values), infinite, codes).astype(np.uint8)


def decode(layout: Format, codes: np.ndarray) -> np.ndarray:
    """The values of codes, as float32."""
    if layout == BF16:
        return (np.asarray(codes).astype(np.uint32) << 16).view(np.float32)
    return _table(layout)[np.asarray(codes, np.uint8)]


def _encode_bf16(values: np.ndarray) -> np.ndarray:
    bits = values.view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(values), quiet, rounded)


def _encode_narrow(layout: Format, values: np.ndarray) -> np.ndarray:
    size = np.minimum(np.where(np.isnan(values), 0, np.abs(values)).astype(np.float64), layout.largest)
    smallest = 1 - layout.bias  # the exponent of subnormal numbers and of zero
    exponent = np.maximum(np.where(size > 0, np.frexp(size)[1] - 1, smallest), smallest)
    steps = np.rint(np.ldexp(size, layout.mantissa - exponent)).astype(np.int64)  # ties to even; a carry moves into the exponent
    code = np.minimum(((exponent + layout.bias - 1) << layout.mantissa) + steps, layout.largest_code)
    sign = np.signbit(values) & ((code != 0) | (layout.special is not Special.FNUZ))
    return np.where(np.isnan(values), layout.nan_code, code | sign.astype(np.int64) << 7).astype(np.uint8)


@cache
def _table(layout: Format) -> np.ndarray:
    """The value of each of the 256 codes of a narrow format."""
    codes = np.arange(256)
    size, sign = codes & 0x7F, np.where(codes & 0x80, -1.0, 1.0)
    exponent, fraction = size >> layout.mantissa, size & ((1 << layout.mantissa) - 1)
    normal = np.ldexp((1 << layout.mantissa) + fraction.astype(np.float64), exponent - layout.bias - layout.mantissa)
    value = sign * np.where(exponent > 0, normal, np.ldexp(fraction.astype(np.float64), 1 - layout.bias - layout.mantissa))
    top = size >> layout.mantissa == (1 << layout.exponent) - 1
    if layout.special is Special.IEEE:
        value = np.where(top, np.where(fraction == 0, sign * np.inf, np.nan), value)
    elif layout.special is Special.FN:
        value = np.where(size == 0x7F, np.nan, value)
    elif layout.special is Special.FNUZ:
        value = np.where(codes == 0x80, np.nan, value)
    return value.astype(np.float32)


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
