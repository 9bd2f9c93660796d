"""Fused softmax: a row is read once, kept on chip, and written once."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, floats, normal, output
from .sample import UNIT, Call, Sample, Work, rounding, sum_error


@tiledsl.jit
def softmax_kernel(out, x, columns, BLOCK: tl.constexpr):
    """One row per program; lanes beyond the row hold -inf, whose power is 0."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=-float("inf")).to(tl.float32)
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=inside)


def softmax(x: Any, out: Any = None, **launch: Any) -> Any:
    """exp(x) over its sum, along the last axis of a matrix."""
    x = floats(x)
    rows, columns = axes("x", x, "rows columns")
    out = output(out, x)
    softmax_kernel[(rows,)](out, x, columns, BLOCK=tiledsl.next_power_of_2(columns), **launch)
    return out


def inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32", scale: float = 1.0) -> Call:
    return ((normal(rng, (rows, columns)) * scale).astype(normal(rng, (0,), dtype).dtype),), {}


def reference(x: np.ndarray) -> np.ndarray:
    """Softmax in float64."""
    x = x.astype(np.float64)
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def tolerance(x: np.ndarray) -> np.ndarray:
    """Rounding x - max moves a power by (max - x) units, exp by two, the division by one; the sum carries the worst of its
    terms and its own error."""
    exact = reference(x)
    depth = (x.max(axis=1, keepdims=True) - x).astype(np.float64)
    power = (depth + 2) * UNIT["f32"]
    total = (power * exact).sum(axis=1, keepdims=True) + sum_error(tiledsl.next_power_of_2(x.shape[1]))
    return exact * (power + total + UNIT["f32"]) * 1.01 + rounding(exact, dtype_name(x)) + 2.0**-126


def numpy_softmax(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Softmax as it is written in NumPy, at the precision of its input."""
    powers = np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def numba_softmax(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.shape[0]):
            largest = x[i, 0]
            for j in range(x.shape[1]):
                largest = max(largest, x[i, j])
            total = np.float32(0)
            for j in range(x.shape[1]):
                out[i, j] = np.exp(x[i, j] - largest)
                total += out[i, j]
            for j in range(x.shape[1]):
                out[i, j] /= total

    return run


SAMPLES = [
    Sample(
        "softmax",
        softmax,
        inputs,
        reference,
        tolerance,
        tests=[
            {"rows": 3, "columns": 1},
            {"rows": 5, "columns": 100},
            {"rows": 4, "columns": 256, "scale": 30.0},
            {"rows": 3, "columns": 77, "dtype": "f16"},
            {"rows": 2, "columns": 1000, "dtype": "bf16"},
        ],
        timed=[{"rows": 32768, "columns": 64}, {"rows": 2048, "columns": 1024}, {"rows": 256, "columns": 16384}],
        rivals={
            "numpy": numpy_softmax,
            "torch": lambda torch, x, out: torch.softmax(x, 1, out=out),
            "numba": numba_softmax,
            "jax": lambda jax: jax.nn.softmax,
        },
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
    )
]
