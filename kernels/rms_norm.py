"""RMS normalisation, forward and backward: a row divided by the root of its mean square, times a weight."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, empty, floats, normal, operand, output
from .layer_norm import GROUPS, sum_rows_kernel
from .sample import UNIT, Call, Sample, Shape, Work, rounding, sum_error


@tiledsl.jit
def rms_norm_kernel(x, weight, out, scale, columns, epsilon, BLOCK: tl.constexpr):
    """One row per program; 1 / root is kept for the way back."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=0.0).to(tl.float32)
    factor = 1.0 / tl.sqrt(tl.sum(values * values, axis=0) / columns + epsilon)
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * columns + at, values * factor * w, mask=inside)
    tl.store(scale + row, factor)


@tiledsl.jit
def rms_norm_backward_kernel(x, dy, dx, weight, scale, partial, rows, columns, GROUPS: tl.constexpr, BLOCK: tl.constexpr):
    """A share of the rows per program: dx for each of them, and their part of the weight's gradient."""
    group = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    sums = tl.zeros((BLOCK,), dtype=tl.float32)
    share = tl.cdiv(rows, GROUPS)
    for row in range(group * share, tl.minimum(group * share + share, rows)):
        factor = tl.load(scale + row)
        normalised = tl.load(x + row * columns + at, mask=inside, other=0.0).to(tl.float32) * factor
        slope = tl.load(dy + row * columns + at, mask=inside, other=0.0).to(tl.float32)
        weighted = slope * w
        along = tl.sum(normalised * weighted, axis=0) / columns
        tl.store(dx + row * columns + at, (weighted - normalised * along) * factor, mask=inside)
        sums += slope * normalised
    tl.store(partial + group * columns + at, sums, mask=inside)


def rms_norm(x: Any, weight: Any, epsilon: float = 1e-6, out: Any = None, **launch: Any) -> tuple[Any, Any]:
    """x / sqrt(mean(x^2) + epsilon) * weight along the last axis of a matrix; with the factor of every row."""
    x = floats(x)
    rows, columns = axes("x", x, "rows columns")
    weight = operand("weight", weight, (columns,))
    out, scale = out or (None, None)
    out, scale = output(out, x), output(scale, x, (rows,), "f32")
    rms_norm_kernel[(rows,)](x, weight, out, scale, columns, epsilon, BLOCK=tiledsl.next_power_of_2(columns), **launch)
    return out, scale


def rms_norm_backward(dy: Any, x: Any, weight: Any, scale: Any, out: Any = None, **launch: Any) -> tuple[Any, Any]:
    """The gradients of x and weight, from that of the output and what the forward pass kept."""
    x = floats(x)
    rows, columns = axes("x", x, "rows columns")
    dy, weight, scale = operand("dy", dy, x.shape), operand("weight", weight, (columns,)), operand("scale", scale, (rows,))
    dx, dweight = out or (None, None)
    dx, dweight = output(dx, x), output(dweight, weight)
    partial = empty(x, (GROUPS, columns), "f32")
    block = tiledsl.next_power_of_2(columns)
    rms_norm_backward_kernel[(GROUPS,)](x, dy, dx, weight, scale, partial, rows, columns, GROUPS=GROUPS, BLOCK=block, **launch)
    sum_rows_kernel[(tiledsl.cdiv(columns, 64),)](partial, dweight, columns, ROWS=GROUPS, BLOCK=64, **launch)
    return dx, dweight


def inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32") -> Call:
    return (normal(rng, (rows, columns), dtype), normal(rng, (columns,), dtype)), {}


def reference(x: np.ndarray, weight: np.ndarray, epsilon: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    """Output and factor in float64."""
    x = x.astype(np.float64)
    scale = 1 / np.sqrt((x * x).mean(axis=1, keepdims=True) + epsilon)
    return x * scale * weight.astype(np.float64), scale[:, 0]


def tolerance(x: np.ndarray, weight: np.ndarray, epsilon: float = 1e-6) -> tuple[np.ndarray, np.ndarray]:
    """The sum of squares, rounded terms, carries half its relative error into the root; then the division by columns, the sum
    with epsilon, root and reciprocal, and two products."""
    out, scale = reference(x, weight, epsilon)
    off = 0.5 * (sum_error(tiledsl.next_power_of_2(x.shape[1])) + 3 * UNIT["f32"]) + 2 * UNIT["f32"]
    return (off + 2 * UNIT["f32"]) * np.abs(out) * 1.01 + rounding(out, dtype_name(x)), off * scale * 1.01


def backward_inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32") -> Call:
    (x, weight), _ = inputs(rng, rows, columns, dtype)
    return (normal(rng, x.shape, dtype), x, weight, reference(x, weight)[1].astype(np.float32)), {}


def backward_reference(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both gradients in float64."""
    dy, x, weight, scale = (v.astype(np.float64) for v in (dy, x, weight, scale))
    normalised = x * scale[:, None]
    weighted = dy * weight
    along = (normalised * weighted).mean(axis=1, keepdims=True)
    return (weighted - normalised * along) * scale[:, None], (dy * normalised).sum(axis=0)


def backward_tolerance(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every term of every sum is off by at most five roundings, and a sum by its own error, all relative to absolute values."""
    dx, dweight = backward_reference(dy, x, weight, scale)
    dtype, unit = dtype_name(x), UNIT["f32"]
    dy, x, weight = (np.abs(v.astype(np.float64)) for v in (dy, x, weight))
    normalised, weighted = x * scale[:, None], dy * weight
    off = 5 * unit + sum_error(tiledsl.next_power_of_2(x.shape[1]))
    size = weighted + normalised * (normalised * weighted).mean(axis=1, keepdims=True)
    steps = (-(-x.shape[0] // GROUPS) + 4 + 2) * unit  # a group's rows in order, halving over the groups, and each term
    return (
        off * size * scale[:, None] * 1.01 + rounding(dx, dtype),
        steps * (dy * normalised).sum(axis=0) * 1.01 + rounding(dweight, dtype),
    )


def numba_rms_norm(numba: Any) -> Any:
    """Rows in parallel, each read twice."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, weight, out, scale):
        for i in numba.prange(x.shape[0]):
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += x[i, j] * x[i, j]
            factor = np.float32(1) / np.sqrt(total / np.float32(x.shape[1]) + np.float32(1e-6))
            for j in range(x.shape[1]):
                out[i, j] = x[i, j] * factor * weight[j]
            scale[i] = factor

    return run


def torch_backward(torch: Any, dy: Any, x: Any, weight: Any, scale: Any) -> Any:
    """As PyTorch's autograd forms it, from the kept factor."""
    normalised = x * scale[:, None]
    weighted = dy * weight
    along = (normalised * weighted).mean(1, keepdim=True)
    return (weighted - normalised * along) * scale[:, None], (dy * normalised).sum(0)


SHAPES: list[Shape] = [{"rows": 3, "columns": 1}, {"rows": 37, "columns": 100}, {"rows": 4, "columns": 300, "dtype": "f16"}]
TIMED: list[Shape] = [{"rows": 32768, "columns": 64}, {"rows": 2048, "columns": 1024}, {"rows": 256, "columns": 16384}]
SAMPLES = [
    Sample(
        "rms_norm",
        rms_norm,
        inputs,
        reference,
        tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={
            "torch": lambda torch, x, weight: torch.nn.functional.rms_norm(x, (x.shape[1],), weight, 1e-6),
            "numba": numba_rms_norm,
        },
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
    ),
    Sample(
        "rms_norm_backward",
        rms_norm_backward,
        backward_inputs,
        backward_reference,
        backward_tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={"torch": torch_backward},
        work=lambda rows, columns: Work(bytes=12 * rows * columns),
    ),
]
