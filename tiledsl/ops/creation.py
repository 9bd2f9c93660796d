"""Ops that make tiles from nothing."""

from __future__ import annotations

import numpy as np

from ..errors import require
from ..ir.spec import export, op
from ..ir.types import DType, Tile, i32


def _constant(*, value: int | float, type: Tile) -> np.ndarray:
    if type.elem.is_float:
        assert isinstance(type.elem, DType)
        return np.full(type.shape, type.elem.round(np.asarray(value, np.float64)))
    return np.full(type.shape, value, type.elem.numpy)


@op(_constant)
def constant(*, value: int | float, type: Tile) -> Tile:
    """A tile filled with one number: an int for integers and i1 (0 or 1), a float for floats, 0 for pointers."""
    if type.elem.is_float:
        require(isinstance(value, float), f"a constant of {type} takes a float, got {value!r}")
    else:
        require(isinstance(value, int), f"a constant of {type} takes an int, got {value!r}")
        bits = type.elem.bits
        low, high = (-(1 << bits - 1), 1 << bits - 1) if type.elem.is_signed else (0, 1 << bits)
        require(low <= value < high, f"{value} does not fit {type.elem}")
    return type


@op(lambda *, start, stop: np.arange(start, stop, dtype=np.int32))
def arange(*, start: int, stop: int) -> Tile:
    """The integers from start up to, not including, stop."""
    require(start < stop, f"the range {start}..{stop} is empty")
    require(-(2**31) <= start and stop <= 2**31, f"the range {start}..{stop} does not fit i32")
    return Tile(i32, (stop - start,))


export(globals())
