"""Values that break compilers: special numbers of every type, and arrays filled with them."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..ir.formats import Format, Special
from ..ir.types import DType, i1

Number = int | float | bool


@cache
def specials(dtype: DType) -> tuple[Number, ...]:
    """Numbers at the edges of a type, the plain ones first."""
    if dtype is i1:
        return (False, True)
    if dtype.is_float:
        return _special_floats(dtype)
    bits = dtype.bits
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if dtype.is_signed else (0, (1 << bits) - 1)
    plain = (0, 1, 2, 3, -1, -2, 5, 7, bits - 1, bits, bits + 1, high, low, high - 1, low + 1, high // 3, 1 << bits // 2)
    return tuple(dict.fromkeys(v for v in plain if low <= v <= high))


def _special_floats(dtype: DType) -> tuple[float, ...]:
    layout = dtype.format
    assert isinstance(layout, Format)
    tiny = 2.0 ** (1 - layout.bias)  # the least normal number
    epsilon = 2.0**-layout.mantissa
    largest = 2.0**layout.bias * (2 - epsilon)
    plain = (0.0, 1.0, -0.0, -1.0, float("inf"), float("nan"), 2.0, 0.5, -float("inf"), 3.0, 1.5, 2.5, -7.0, 0.1, 100.0)
    edges = (1 + epsilon, 1 - epsilon / 2, largest, -largest, tiny, -tiny, tiny * epsilon, tiny * (1 - epsilon), largest / 2)
    powers = tuple(p for p in (127.0, 128.0, 255.0, 32768.0, 65504.0, 65520.0, 2.0**31, -(2.0**31), 2.0**53) if p <= largest)
    return tuple(_carried(dtype, v) for v in plain + edges + powers)


def _carried(dtype: DType, value: float) -> float:
    if math.isinf(value) and dtype.format is not None and dtype.format.special is Special.IEEE:
        return value  # rounding would saturate, but memory may hold it
    return float(dtype.round(np.asarray(value, np.float64)))


@cache
def numbers(dtype: DType) -> st.SearchStrategy[Any]:
    """One value of a type: often special, sometimes any."""
    edges = st.sampled_from(specials(dtype))
    if dtype is i1:
        return edges
    if dtype.is_float:
        return edges | st.floats(-1e4, 1e4, width=32).map(lambda v: _carried(dtype, v))
    info = np.iinfo(dtype.numpy)
    return edges | st.integers(int(info.min), int(info.max))


@cache
def constants(dtype: DType) -> st.SearchStrategy[Any]:
    """One value of a type: half of the time a small one, which is what rules look for."""
    small = [v for v in (0, 1, 2, -1) if v in specials(dtype)]
    return st.sampled_from([*small, -0.0] if dtype.is_float else small) | numbers(dtype)


FILLINGS = ("pattern", "specials", "moderate", "bits")


@st.composite
def arrays(draw: st.DrawFn, dtype: DType, size: int) -> np.ndarray:
    """Array contents in storage form: a short pattern over and over, the special values in any order with moderate
    ones between, moderate values alone, or any bits."""
    kind = draw(st.sampled_from(FILLINGS))
    if kind == "pattern":
        return _stored(dtype, np.resize(np.array(draw(st.lists(numbers(dtype), min_size=1, max_size=6)), dtype.numpy), size))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    if kind != "specials":
        return _noise(dtype, size, random, kind == "bits")
    special = random.permutation(np.resize(np.array(specials(dtype), dtype.numpy), size))
    return np.where(random.integers(0, 4, size) > 0, _stored(dtype, special), _noise(dtype, size, random, False))


def _stored(dtype: DType, values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(dtype.encode(values))


def _noise(dtype: DType, size: int, random: np.random.Generator, bits: bool) -> np.ndarray:
    """Any bits at all, or numbers of moderate size."""
    if dtype is i1:
        return random.integers(0, 2, size, np.uint8)
    if bits:
        return random.integers(0, 256, size * dtype.itemsize, np.uint8).view(dtype.storage)
    moderate = random.normal(0, 3, size) if dtype.is_float else random.integers(0, 50, size)
    return _stored(dtype, dtype.round(moderate) if dtype.is_float else moderate.astype(dtype.numpy))
