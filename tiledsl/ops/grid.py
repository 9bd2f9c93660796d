"""Ops that say which program of the grid is running."""

from __future__ import annotations

import numpy as np

from ..errors import require
from ..ir.spec import export, op
from ..ir.types import Tile, i32


def _axis(axis: int) -> Tile:
    require(0 <= axis < 3, f"axis must be 0, 1 or 2, got {axis}")
    return Tile(i32)


@op(lambda run, *, axis: np.asarray(run.program_id[axis], np.int32), effect="grid")
def program_id(*, axis: int) -> Tile:
    """The index of this program along one axis of the grid."""
    return _axis(axis)


@op(lambda run, *, axis: np.asarray(run.grid[axis], np.int32), effect="grid")
def num_programs(*, axis: int) -> Tile:
    """How many programs the grid has along one axis."""
    return _axis(axis)


export(globals())
