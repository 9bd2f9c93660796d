"""Scaled running sums in place: every block reads what the one before it has just written to the same buffer."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, is_contiguous, normal
from .sample import UNIT, Call, Sample


@tiledsl.jit
def running_sum_kernel(x, columns, factor, BLOCK: tl.constexpr):
    """One row per program, block after block: scaled where it lies, read back, summed on top of the element before it."""
    row = x + tl.program_id(0) * columns
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < columns
        tl.store(row + at, tl.load(row + at, mask=inside) * factor, mask=inside)
        tl.debug_barrier()  # for GPUs; here a program sees what it stored
        before = tl.load(row + start - 1, mask=start > 0, other=0.0)
        tl.store(row + at, before + tl.cumsum(tl.load(row + at, mask=inside, other=0.0), axis=0), mask=inside)
        tl.debug_barrier()


def running_sum(x: Any, factor: float = 1.0, block: int = 64, **launch: Any) -> Any:
    """Replace every row of a matrix in row-major order by the running sums of row * factor; x is returned."""
    if not is_contiguous(x):
        raise ValueError("x is not in row-major order; sums in place need one that is, such as x.copy()")
    rows, columns = axes("x", x, "rows columns")
    running_sum_kernel[(rows,)](x, columns, factor, BLOCK=block, **launch)
    return x


def inputs(rng: np.random.Generator, rows: int, columns: int, **settings: Any) -> Call:
    return (normal(rng, (rows, columns)),), settings


def reference(x: np.ndarray, factor: float = 1.0, block: int = 64) -> np.ndarray:
    """The sums in float64."""
    return np.cumsum(x.astype(np.float64) * np.float32(factor), axis=1)


def tolerance(x: np.ndarray, factor: float = 1.0, block: int = 64) -> np.ndarray:
    """Element i is a sum of i + 1 products, each rounded, in order within a block and one step per block."""
    size = np.cumsum(np.abs(x.astype(np.float64) * factor), axis=1)
    return (block + x.shape[1] // block + 2) * UNIT["f32"] * size * 1.01


SAMPLES = [
    Sample(
        "running_sum",
        running_sum,
        inputs,
        reference,
        tolerance,
        tests=[
            {"rows": 3, "columns": 200, "factor": 0.5},
            {"rows": 2, "columns": 64, "block": 16, "factor": -1.25},
            {"rows": 1, "columns": 7},
        ],
    )
]
