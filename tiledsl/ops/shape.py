"""Ops that arrange elements; none computes."""

from __future__ import annotations

import math

import numpy as np

from ..errors import require
from ..ir.spec import export, op
from ..ir.types import Tile


@op(lambda x, *, shape: np.reshape(x, shape))
def reshape(x: Tile, *, shape: tuple[int, ...]) -> Tile:
    """The same elements, in row-major order, in another shape."""
    require(min(shape, default=1) > 0, f"extents must be positive, got {list(shape)}")
    require(math.prod(shape) == x.size, f"cannot reshape {x} to {list(shape)}: {x.size} elements against {math.prod(shape)}")
    return Tile(x.elem, shape)


@op(lambda x, *, shape: np.broadcast_to(x, shape))
def broadcast(x: Tile, *, shape: tuple[int, ...]) -> Tile:
    """Axes of extent one repeated to reach shape; a scalar fills it."""
    fits = x.rank == 0 or (x.rank == len(shape) and all(a in (1, b) for a, b in zip(x.shape, shape, strict=True)))
    require(fits and min(shape, default=1) > 0, f"cannot broadcast {x} to {list(shape)}")
    return Tile(x.elem, shape)


def _slice(x: np.ndarray, *, starts: tuple[int, ...], stops: tuple[int, ...]) -> np.ndarray:
    return x[tuple(map(slice, starts, stops))]


@op(_slice)
def slice_(x: Tile, *, starts: tuple[int, ...], stops: tuple[int, ...]) -> Tile:
    """The elements from starts up to, not including, stops along every axis."""
    fits = len(starts) == len(stops) == x.rank > 0
    fits = fits and all(0 <= a < b <= n for a, b, n in zip(starts, stops, x.shape, strict=True))
    require(fits, f"{x} has no part from {list(starts)} to {list(stops)}")
    return Tile(x.elem, tuple(b - a for a, b in zip(starts, stops, strict=True)))


@op(lambda x, *, order: np.transpose(x, order))
def transpose(x: Tile, *, order: tuple[int, ...]) -> Tile:
    """Axis i of the result is axis order[i] of x."""
    require(sorted(order) == list(range(x.rank)), f"{list(order)} does not order the {x.rank} axes of {x}")
    return Tile(x.elem, tuple(x.shape[i] for i in order))


export(globals())
