"""Rotary position embedding: every pair of a head's features (i, i + D/2) is turned by an angle of its position."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, floats, normal, operand, output
from .sample import UNIT, Call, Sample, Work, rounding


@tiledsl.jit
def rope_kernel(x, cos, sin, out, HEADS: tl.constexpr, HALF: tl.constexpr):
    """All heads of one position per program; the angles are read once for all of them."""
    position = tl.program_id(0)
    pair = tl.arange(0, HALF)
    c = tl.load(cos + position * HALF + pair)
    s = tl.load(sin + position * HALF + pair)
    for head in range(HEADS):
        at = (position * HEADS + head) * 2 * HALF + pair
        first = tl.load(x + at).to(tl.float32)
        second = tl.load(x + at + HALF).to(tl.float32)
        tl.store(out + at, first * c - second * s)
        tl.store(out + at + HALF, second * c + first * s)


def rope(x: Any, cos: Any, sin: Any, out: Any = None, **launch: Any) -> Any:
    """x of shape (length, heads, D), D a power of two, turned by angles whose cosines and sines have shape (length, D / 2)."""
    x = floats(x)
    length, heads, depth = axes("x", x, "length heads depth")
    cos, sin = operand("cos", cos, (length, depth // 2)), operand("sin", sin, (length, depth // 2))
    out = output(out, x)
    rope_kernel[(length,)](x, cos, sin, out, HEADS=heads, HALF=depth // 2, **launch)
    return out


def inputs(rng: np.random.Generator, length: int, heads: int, depth: int, dtype: str = "f32") -> Call:
    angle = np.outer(np.arange(length), 10000.0 ** -(np.arange(depth // 2) / (depth // 2)))
    return (normal(rng, (length, heads, depth), dtype), np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)), {}


def reference(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """In float64."""
    first, second = np.split(x.astype(np.float64), 2, axis=-1)
    c, s = cos.astype(np.float64)[:, None], sin.astype(np.float64)[:, None]
    return np.concatenate([first * c - second * s, second * c + first * s], axis=-1)


def tolerance(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Two products and their sum, one rounding each, relative to the absolute values."""
    first, second = np.split(np.abs(x.astype(np.float64)), 2, axis=-1)
    c, s = np.abs(cos.astype(np.float64))[:, None], np.abs(sin.astype(np.float64))[:, None]
    size = np.concatenate([first * c + second * s, second * c + first * s], axis=-1)
    return 2 * UNIT["f32"] * size * 1.01 + rounding(reference(x, cos, sin), dtype_name(x))


def torch_rope(torch: Any, x: Any, cos: Any, sin: Any) -> Any:
    """As it is written in PyTorch."""
    first, second = x.chunk(2, dim=-1)
    c, s = cos[:, None], sin[:, None]
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)


def numba_rope(numba: Any) -> Any:
    """Positions in parallel."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, cos, sin, out):
        half = x.shape[2] // 2
        for i in numba.prange(x.shape[0]):
            for h in range(x.shape[1]):
                for j in range(half):
                    out[i, h, j] = x[i, h, j] * cos[i, j] - x[i, h, j + half] * sin[i, j]
                    out[i, h, j + half] = x[i, h, j + half] * cos[i, j] + x[i, h, j] * sin[i, j]

    return run


SAMPLES = [
    Sample(
        "rope",
        rope,
        inputs,
        reference,
        tolerance,
        tests=[
            {"length": 5, "heads": 2, "depth": 16},
            {"length": 3, "heads": 3, "depth": 2},
            {"length": 4, "heads": 1, "depth": 32, "dtype": "f16"},
        ],
        timed=[{"length": 2048, "heads": 32, "depth": 64}],
        rivals={"torch": torch_rope, "numba": numba_rope},
        work=lambda length, heads, depth: Work(bytes=8 * length * heads * depth + 4 * length * depth),
    )
]
