"""Layer normalisation, forward and backward; gradients of weight and bias are summed in a fixed order, without atomics."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, empty, floats, normal, operand, output
from .sample import UNIT, Call, Sample, Shape, Work, rounding, sum_error

GROUPS = 16  # partial sums of the weight's gradient; a constant, so that results do not depend on the number of threads


@tiledsl.jit
def layer_norm_kernel(x, out, weight, bias, mean, scale, columns, epsilon, BLOCK: tl.constexpr):
    """One row per program; mean and 1 / deviation are kept for the way back."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(x + row * columns + at, mask=inside, other=0.0).to(tl.float32)
    center = tl.sum(values, axis=0) / columns
    centered = tl.where(inside, values - center, 0.0)
    factor = 1.0 / tl.sqrt(tl.sum(centered * centered, axis=0) / columns + epsilon)
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(bias + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * columns + at, centered * factor * w + b, mask=inside)
    tl.store(mean + row, center)
    tl.store(scale + row, factor)


@tiledsl.jit
def layer_norm_backward_kernel(
    x, dy, dx, weight, mean, scale, partial_weight, partial_bias, rows, columns, GROUPS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """A share of the rows per program: dx for each of them, and their part of the gradients of weight and bias."""
    group = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    w = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    sum_weight = tl.zeros((BLOCK,), dtype=tl.float32)
    sum_bias = tl.zeros((BLOCK,), dtype=tl.float32)
    share = tl.cdiv(rows, GROUPS)
    for row in range(group * share, tl.minimum(group * share + share, rows)):
        values = tl.load(x + row * columns + at, mask=inside, other=0.0).to(tl.float32)
        slope = tl.load(dy + row * columns + at, mask=inside, other=0.0).to(tl.float32)
        factor = tl.load(scale + row)
        normalised = tl.where(inside, (values - tl.load(mean + row)) * factor, 0.0)
        weighted = slope * w
        along = tl.sum(normalised * weighted, axis=0) / columns
        shift = tl.sum(weighted, axis=0) / columns
        tl.store(dx + row * columns + at, (weighted - (normalised * along + shift)) * factor, mask=inside)
        sum_weight += slope * normalised
        sum_bias += slope
    tl.store(partial_weight + group * columns + at, sum_weight, mask=inside)
    tl.store(partial_bias + group * columns + at, sum_bias, mask=inside)


@tiledsl.jit
def sum_rows_kernel(partial, out, columns, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """A block of columns per program, summed over all rows."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rows = tl.arange(0, ROWS)
    inside = at < columns
    tile = tl.load(partial + rows[:, None] * columns + at[None, :], mask=inside[None, :], other=0.0)
    tl.store(out + at, tl.sum(tile, axis=0), mask=inside)


def layer_norm(x: Any, weight: Any, bias: Any, epsilon: float = 1e-5, out: Any = None, **launch: Any) -> tuple[Any, Any, Any]:
    """(x - mean) / deviation * weight + bias along the last axis of a matrix; with mean and 1 / deviation of every row."""
    x = floats(x)
    rows, columns = axes("x", x, "rows columns")
    weight, bias = operand("weight", weight, (columns,)), operand("bias", bias, (columns,))
    out, mean, scale = out or (None, None, None)
    out, mean, scale = output(out, x), output(mean, x, (rows,), "f32"), output(scale, x, (rows,), "f32")
    block = tiledsl.next_power_of_2(columns)
    layer_norm_kernel[(rows,)](x, out, weight, bias, mean, scale, columns, epsilon, BLOCK=block, **launch)
    return out, mean, scale


def layer_norm_backward(dy: Any, x: Any, weight: Any, mean: Any, scale: Any, out: Any = None, **launch: Any) -> tuple[Any, Any, Any]:
    """The gradients of x, weight and bias, from that of the output and what the forward pass kept."""
    x = floats(x)
    rows, columns = axes("x", x, "rows columns")
    dy, weight = operand("dy", dy, x.shape), operand("weight", weight, (columns,))
    mean, scale = operand("mean", mean, (rows,)), operand("scale", scale, (rows,))
    dx, dweight, dbias = out or (None, None, None)
    dx, dweight, dbias = output(dx, x), output(dweight, weight), output(dbias, weight)
    partial_weight, partial_bias = empty(x, (GROUPS, columns), "f32"), empty(x, (GROUPS, columns), "f32")
    block = tiledsl.next_power_of_2(columns)
    layer_norm_backward_kernel[(GROUPS,)](
        x, dy, dx, weight, mean, scale, partial_weight, partial_bias, rows, columns, GROUPS=GROUPS, BLOCK=block, **launch
    )  # fmt: skip
    for partial, out in ((partial_weight, dweight), (partial_bias, dbias)):
        sum_rows_kernel[(tiledsl.cdiv(columns, 64),)](partial, out, columns, ROWS=GROUPS, BLOCK=64, **launch)
    return dx, dweight, dbias


def inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32") -> Call:
    x = normal(rng, (rows, columns), dtype)
    return (x, normal(rng, (columns,), dtype), normal(rng, (columns,), dtype)), {}


def reference(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5) -> tuple[np.ndarray, ...]:
    """Output, mean and 1 / deviation in float64."""
    x = x.astype(np.float64)
    mean = x.mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + epsilon)
    return (x - mean) * scale * weight.astype(np.float64) + bias.astype(np.float64), mean[:, 0], scale[:, 0]


def tolerance(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5) -> tuple[np.ndarray, ...]:
    """The mean is a sum; the deviation a sum of squares of what is off by the mean's error; the output takes both on, and
    five roundings."""
    out, mean, scale = reference(x, weight, bias, epsilon)
    columns = x.shape[1]
    wide = x.astype(np.float64)
    off_sum = sum_error(tiledsl.next_power_of_2(columns)) + UNIT["f32"]
    off_mean = off_sum * np.abs(wide).mean(axis=1)
    centered = np.abs(wide - mean[:, None])
    # relative, of the deviation: half that of the variance, in which x - mean is off by its rounding and by the mean's error
    off_scale = (
        0.5 * (off_sum + 2 * UNIT["f32"]) + (centered.mean(axis=1) * off_mean + 2 * UNIT["f32"] / scale**2) * scale**2 + 3 * UNIT["f32"]
    )
    normalised = centered * scale[:, None]
    off_normalised = normalised * (off_scale[:, None] + 2 * UNIT["f32"]) + (off_mean * scale)[:, None]
    w = np.abs(weight.astype(np.float64))
    off_out = w * (off_normalised + 2 * UNIT["f32"] * normalised) + UNIT["f32"] * np.abs(out)
    return off_out * 1.01 + rounding(out, dtype_name(x)), off_mean * 1.01, off_scale * scale * 1.01


def backward_inputs(rng: np.random.Generator, rows: int, columns: int, dtype: str = "f32") -> Call:
    (x, weight, bias), _ = inputs(rng, rows, columns, dtype)
    _, mean, scale = reference(x, weight, bias)
    return (normal(rng, x.shape, dtype), x, weight, mean.astype(np.float32), scale.astype(np.float32)), {}


def backward_reference(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """The three gradients in float64."""
    dy, x, weight, mean, scale = (v.astype(np.float64) for v in (dy, x, weight, mean, scale))
    normalised = (x - mean[:, None]) * scale[:, None]
    weighted = dy * weight
    along = (normalised * weighted).mean(axis=1, keepdims=True)
    dx = (weighted - (normalised * along + weighted.mean(axis=1, keepdims=True))) * scale[:, None]
    return dx, (dy * normalised).sum(axis=0), dy.sum(axis=0)


def backward_tolerance(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every term of every sum is off by at most six roundings, and a sum by its own error, all relative to the sum of
    absolute values."""
    dx, dweight, dbias = backward_reference(dy, x, weight, mean, scale)
    dtype = dtype_name(x)
    unit = UNIT["f32"]
    dy, x, weight, mean, scale = (np.abs(v.astype(np.float64)) if v is not mean and v is not x else v for v in (dy, x, weight, mean, scale))
    normalised = np.abs(x.astype(np.float64) - mean.astype(np.float64)[:, None]) * scale[:, None]
    weighted = dy * weight
    off = 6 * unit + sum_error(tiledsl.next_power_of_2(x.shape[1]))
    size = weighted + normalised * (normalised * weighted).mean(axis=1, keepdims=True) + weighted.mean(axis=1, keepdims=True)
    steps = (-(-x.shape[0] // GROUPS) + 4 + 3) * unit  # a group's rows in order, halving over the groups, and each term
    return (
        off * size * scale[:, None] * 1.01 + rounding(dx, dtype),
        steps * (dy * normalised).sum(axis=0) * 1.01 + rounding(dweight, dtype),
        steps * dy.sum(axis=0) * 1.01 + rounding(dbias, dtype),
    )


def numpy_layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Layer norm as it is written in NumPy."""
    centered = x - x.mean(axis=1, keepdims=True)
    return centered / np.sqrt((centered * centered).mean(axis=1, keepdims=True) + np.float32(epsilon)) * weight + bias


def torch_layer_norm(torch: Any, x: Any, weight: Any, bias: Any, out: Any) -> Any:
    """PyTorch's, with what its autograd keeps."""
    mean, scale = (row[:, None] for row in out[1:])
    return torch.ops.aten.native_layer_norm.out(x, x.shape[1:], weight, bias, 1e-5, out0=out[0], out1=mean, out2=scale)


def torch_backward(torch: Any, dy: Any, x: Any, weight: Any, mean: Any, scale: Any) -> Any:
    """PyTorch's."""
    return torch.ops.aten.native_layer_norm_backward(dy, x, x.shape[1:], mean[:, None], scale[:, None], weight, weight, [True] * 3)


def numba_layer_norm(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, weight, bias, out, mean, scale):
        columns = np.float32(x.shape[1])
        for i in numba.prange(x.shape[0]):
            total = np.float32(0)
            for j in range(x.shape[1]):
                total += x[i, j]
            center = total / columns
            squares = np.float32(0)
            for j in range(x.shape[1]):
                squares += (x[i, j] - center) * (x[i, j] - center)
            factor = np.float32(1) / np.sqrt(squares / columns + np.float32(1e-5))
            for j in range(x.shape[1]):
                out[i, j] = (x[i, j] - center) * factor * weight[j] + bias[j]
            mean[i], scale[i] = center, factor

    return run


SHAPES: list[Shape] = [
    {"rows": 3, "columns": 1},
    {"rows": 5, "columns": 64},
    {"rows": 37, "columns": 100},
    {"rows": 4, "columns": 300, "dtype": "f16"},
]
TIMED: list[Shape] = [{"rows": 32768, "columns": 64}, {"rows": 2048, "columns": 1024}, {"rows": 256, "columns": 16384}]
SAMPLES = [
    Sample(
        "layer_norm",
        layer_norm,
        inputs,
        reference,
        tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={"numpy": numpy_layer_norm, "torch": torch_layer_norm, "numba": numba_layer_norm},
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
    ),
    Sample(
        "layer_norm_backward",
        layer_norm_backward,
        backward_inputs,
        backward_reference,
        backward_tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={"torch": torch_backward},
        work=lambda rows, columns: Work(bytes=12 * rows * columns),
    ),
]
