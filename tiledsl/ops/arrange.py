"""Ops that move elements to places which the data decide: gather, sort, histogram."""

from __future__ import annotations

import numpy as np

from ..errors import require
from ..ir.spec import export, op
from ..ir.types import Tile, dtype_of, i1, i32


def _below(index: np.ndarray, limit: int) -> np.ndarray:
    """Whether 0 <= index < limit, also where the limit does not fit the type."""
    return (index >= 0) & ((index < limit) if limit <= np.iinfo(index.dtype).max else True)


def _gather(x: np.ndarray, index: np.ndarray, *, axis: int) -> np.ndarray:
    inside = _below(index, x.shape[axis])
    taken = np.take_along_axis(x, np.where(inside, index, 0).astype(np.int64), axis)
    return np.where(inside, taken, np.zeros((), x.dtype))


@op(_gather)
def gather(x: Tile, index: Tile, *, axis: int) -> Tile:
    """Element (.., i, ..) of the result is x at (.., index[.., i, ..], ..) along the axis; 0 for an index outside.
    The other extents of x and index are equal; the result has the shape of index."""
    require(0 <= axis < x.rank, f"axis {axis} is out of range for {x}")
    others = x.shape[:axis] + x.shape[axis + 1 :]
    fits = x.rank == index.rank and others == index.shape[:axis] + index.shape[axis + 1 :]
    require(fits and index.elem.is_int and index.elem is not i1, f"cannot gather from {x} by {index} along axis {axis}")
    return index.like(x.elem)


def order_keys(x: np.ndarray) -> np.ndarray:
    """Integers that sort as the values do: -0 before +0, NaN after everything."""
    if x.dtype.kind != "f":
        return x
    bits = x.view({2: np.int16, 4: np.int32, 8: np.int64}[x.dtype.itemsize])
    top = np.iinfo(bits.dtype).max
    return np.where(np.isnan(x), top, np.where(bits < 0, bits ^ top, bits))


def _sort(x: np.ndarray, *, descending: bool) -> np.ndarray:
    keys = order_keys(np.ascontiguousarray(x))
    order = np.argsort(keys, axis=-1, kind="stable")
    return np.take_along_axis(x, order[..., ::-1] if descending else order, -1)


@op(_sort)
def sort(x: Tile, *, descending: bool) -> Tile:
    """The elements along the last axis in order; -0 comes before +0, NaN after everything (first if descending)."""
    dtype_of(x)
    require(x.rank > 0, f"sort needs an axis, got {x}")
    return x


def _histogram(x: np.ndarray, mask: np.ndarray | None = None, *, bins: int) -> np.ndarray:
    inside = _below(x, bins)
    if mask is not None:
        inside = inside & mask
    return np.bincount(x[inside].astype(np.int64), minlength=bins).astype(np.int32)


@op(_histogram)
def histogram(x: Tile, mask: Tile | None = None, *, bins: int) -> Tile:
    """How many elements have each value from 0 up to bins; others, and those without mask, are not counted."""
    require(x.rank == 1 and x.elem.is_int and x.elem is not i1, f"histogram takes one axis of integers, got {x}")
    require(mask is None or mask == x.like(i1), f"mask {mask} does not match {x}")
    require(0 < bins <= 2**24, f"histogram of {bins} bins")
    return Tile(i32, (bins,))


export(globals())
