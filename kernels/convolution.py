"""Neighbours on a grid: a convolution with 3 x 3 windows as a sum of nine products of matrices, and a five-point stencil."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, contiguous, normal, operand, output
from .sample import UNIT, Call, Sample, Work, rounding


@tiledsl.jit
def conv3x3_kernel(
    x, weight, out, height, width,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, BLOCK_W: tl.constexpr, BLOCK_F: tl.constexpr,
):  # fmt: skip
    """A block of one line of the output and of the filters per program; beyond the edge lies zero."""
    line = tl.program_id(0) % height
    image = tl.program_id(0) // height
    at = tl.program_id(1) * BLOCK_W + tl.arange(0, BLOCK_W)
    filters = tl.program_id(2) * BLOCK_F + tl.arange(0, BLOCK_F)
    channels = tl.arange(0, CHANNELS)
    total = tl.zeros((BLOCK_W, BLOCK_F), dtype=tl.float32)
    for window in range(9):
        i, j = line + window // 3 - 1, at + window % 3 - 1
        inside = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        pixels = (image * height + i) * width + j
        taken = tl.load(x + pixels[:, None] * CHANNELS + channels[None, :], mask=inside[:, None], other=0.0)
        weights = tl.load(
            weight + (window * CHANNELS + channels[:, None]) * FILTERS + filters[None, :], mask=filters[None, :] < FILTERS, other=0.0
        )
        total = tl.dot(taken, weights, total, input_precision="ieee")
    pixels = (image * height + line) * width + at
    tl.store(out + pixels[:, None] * FILTERS + filters[None, :], total, mask=(at[:, None] < width) & (filters[None, :] < FILTERS))


@tiledsl.jit
def stencil_kernel(x, out, rows, columns, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """A block of the grid per program: the mean of the four neighbours inside, the value itself on the border."""
    i = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    j = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    at = x + i * columns + j
    inner = (i > 0) & (i < rows - 1) & (j > 0) & (j < columns - 1)
    above, below = tl.load(at - columns, mask=inner, other=0.0), tl.load(at + columns, mask=inner, other=0.0)
    left, right = tl.load(at - 1, mask=inner, other=0.0), tl.load(at + 1, mask=inner, other=0.0)
    inside = (i < rows) & (j < columns)
    own = tl.load(at, mask=inside, other=0.0)
    tl.store(out + i * columns + j, tl.where(inner, 0.25 * ((above + below) + (left + right)), own), mask=inside)


def conv3x3(x: Any, weight: Any, out: Any = None, blocks: tuple[int, int] = (64, 64), **launch: Any) -> Any:
    """A convolution of stride 1 and padding 1: x of shape (images, height, width, channels), weight (3, 3, channels, filters);
    channels are a power of two."""
    x = contiguous(x)
    images, height, width, channels = axes("x", x, "images height width channels")
    filters = axes("weight", weight, "3 3 channels filters")[-1]
    weight = operand("weight", weight, (3, 3, channels, filters))
    out = output(out, x, (images, height, width, filters))
    across, block_f = tiledsl.cdiv(width, blocks[0]), min(blocks[1], tiledsl.next_power_of_2(filters))
    block_w = max(1, tiledsl.cdiv(width, max(across, 1)))  # any number: a line in equal parts leaves nothing over
    conv3x3_kernel[(images * height, across, tiledsl.cdiv(filters, block_f))](
        x, weight, out, height, width, CHANNELS=channels, FILTERS=filters, BLOCK_W=block_w, BLOCK_F=block_f, **launch
    )
    return out


def stencil(x: Any, out: Any = None, blocks: tuple[int, int] = (16, 2048), **launch: Any) -> Any:
    """One step of Jacobi's method on a matrix."""
    x = contiguous(x)
    rows, columns = axes("x", x, "rows columns")
    out = output(out, x)
    block_m, block_n = (min(b, tiledsl.next_power_of_2(n)) for b, n in zip(blocks, (rows, columns), strict=True))
    grid = tiledsl.cdiv(columns, block_n), tiledsl.cdiv(rows, block_m)  # neighbours in memory run one after the other
    stencil_kernel[grid](x, out, rows, columns, BLOCK_M=block_m, BLOCK_N=block_n, **launch)
    return out


def inputs(rng: np.random.Generator, images: int, height: int, width: int, channels: int, filters: int, **settings: Any) -> Call:
    return (normal(rng, (images, height, width, channels)), normal(rng, (3, 3, channels, filters))), settings


def reference(x: np.ndarray, weight: np.ndarray, **settings: Any) -> np.ndarray:
    """In float64, a window at a time."""
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.zeros((*x.shape[:3], weight.shape[3]))
    for i in range(3):
        for j in range(3):
            total += padded[:, i : i + height, j : j + width] @ weight[i, j]
    return total


def tolerance(x: np.ndarray, weight: np.ndarray, **settings: Any) -> np.ndarray:
    """Nine times `channels` fused steps, each within half a unit of the sum of absolute values."""
    return 9 * x.shape[3] * UNIT["f32"] * reference(np.abs(x), np.abs(weight)) * 1.01


def stencil_inputs(rng: np.random.Generator, rows: int, columns: int, **settings: Any) -> Call:
    return (normal(rng, (rows, columns)),), settings


def stencil_reference(x: np.ndarray, **settings: Any) -> np.ndarray:
    """In float64."""
    out = x.astype(np.float64)
    if min(x.shape) > 2:
        wide = x.astype(np.float64)
        out[1:-1, 1:-1] = 0.25 * ((wide[:-2, 1:-1] + wide[2:, 1:-1]) + (wide[1:-1, :-2] + wide[1:-1, 2:]))
    return out


def stencil_tolerance(x: np.ndarray, **settings: Any) -> np.ndarray:
    """Two roundings on the way to every sum of four."""
    size = stencil_reference(np.abs(x))
    return 2 * UNIT["f32"] * size * 1.01 + rounding(size, "f32")


def torch_conv(torch: Any, x: Any, weight: Any) -> Any:
    """PyTorch's convolution with channels last."""
    filters = weight.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    return torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), filters, padding=1)


def numpy_stencil(x: np.ndarray, out: np.ndarray) -> None:
    """As it is written in NumPy."""
    out[...] = x
    inner = out[1:-1, 1:-1]
    np.add(x[:-2, 1:-1], x[2:, 1:-1], out=inner)
    inner += x[1:-1, :-2]
    inner += x[1:-1, 2:]
    inner *= np.float32(0.25)


def torch_stencil(torch: Any, x: Any, out: Any) -> Any:
    """As it is written in PyTorch."""
    out.copy_(x)
    out[1:-1, 1:-1] = 0.25 * ((x[:-2, 1:-1] + x[2:, 1:-1]) + (x[1:-1, :-2] + x[1:-1, 2:]))
    return out


def numba_stencil(numba: Any) -> Any:
    """Rows in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        rows, columns = x.shape
        for i in numba.prange(rows):
            if i == 0 or i == rows - 1:
                out[i] = x[i]
            else:
                out[i, 0], out[i, columns - 1] = x[i, 0], x[i, columns - 1]
                for j in range(1, columns - 1):
                    out[i, j] = np.float32(0.25) * ((x[i - 1, j] + x[i + 1, j]) + (x[i, j - 1] + x[i, j + 1]))

    return run


SAMPLES = [
    Sample(
        "conv3x3",
        conv3x3,
        inputs,
        reference,
        tolerance,
        tests=[
            {"images": 2, "height": 3, "width": 5, "channels": 16, "filters": 4},
            {"images": 1, "height": 4, "width": 20, "channels": 32, "filters": 24, "blocks": (16, 16)},
        ],
        timed=[{"images": 4, "height": 56, "width": 56, "channels": 64, "filters": 64}],
        rivals={"torch": torch_conv},
        work=lambda images, height, width, channels, filters: Work(flops=18 * images * height * width * channels * filters),
        tuning=("blocks",),
    ),
    Sample(
        "stencil",
        stencil,
        stencil_inputs,
        stencil_reference,
        stencil_tolerance,
        tests=[{"rows": 1, "columns": 1, "blocks": (4, 16)}, {"rows": 19, "columns": 70, "blocks": (8, 32)}],
        timed=[{"rows": 2048, "columns": 2048}],
        rivals={"numpy": numpy_stencil, "torch": torch_stencil, "numba": numba_stencil},
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
        tuning=("blocks",),
    ),
]
