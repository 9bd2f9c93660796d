"""Dropout whose mask is a function of seed and position: nothing is stored for the way back, it is drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import floats, normal, output
from .sample import Call, Sample, Work


@tiledsl.jit
def dropout_kernel(x, out, n, p, scale, seed, BLOCK: tl.constexpr):
    """One block per program; an element is kept where its random number exceeds p."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    values = tl.load(x + at, mask=inside)
    tl.store(out + at, tl.where(tl.rand(seed, at) > p, values * scale, 0.0), mask=inside)


def dropout(x: Any, p: float = 0.5, seed: int = 0, out: Any = None, block: int = 1024, **launch: Any) -> Any:
    """x with a share p of its elements set to 0 and the others divided by 1 - p; the same ones for the same seed."""
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}; it lies in [0, 1)")
    x = floats(x)
    out = output(out, x)
    n = int(np.prod(x.shape))
    dropout_kernel[(tiledsl.cdiv(n, block),)](x, out, n, p, 1 / (1 - p), seed, BLOCK=block, **launch)
    return out


def inputs(rng: np.random.Generator, n: int, dtype: str = "f32", **settings: Any) -> Call:
    return (normal(rng, (n,), dtype),), settings


def philox_reference(seed: int, counter: np.ndarray) -> np.ndarray:
    """The first word of Philox 4x32-10 in NumPy, with products of 64 bits."""
    key = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32 & 0xFFFFFFFF)]
    low, width = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [counter.astype(np.uint64), *(np.zeros(counter.shape, np.uint64) for _ in range(3))]
    for _ in range(10):
        first, third = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [third >> width ^ c[1] ^ key[0], third & low, first >> width ^ c[3] ^ key[1], first & low]
        key = [(key[0] + np.uint64(0x9E3779B9)) & low, (key[1] + np.uint64(0xBB67AE85)) & low]
    return c[0].astype(np.uint32)


def reference(x: np.ndarray, p: float = 0.5, seed: int = 0, **settings: Any) -> np.ndarray:
    """The same bits, the same products."""
    bits = philox_reference(seed, np.arange(x.size)).view(np.int32)
    drawn = np.where(bits < 0, -bits - 1, bits).astype(np.float32) * np.float32(4.6566127342e-10)
    factor = np.float32(1 / (1 - p)) if x.dtype != np.float64 else 1 / (1 - p)
    return np.where(drawn > np.float32(p), (x * factor).astype(x.dtype), 0)


def tolerance(x: np.ndarray, **settings: Any) -> float:
    """Random bits are exact, and so is one product."""
    return 0.0


SAMPLES = [
    Sample(
        "dropout",
        dropout,
        inputs,
        reference,
        tolerance,
        tests=[
            {"n": 1000, "seed": 123, "block": 256},
            {"n": 70, "p": 0.0, "block": 32},
            {"n": 513, "p": 0.9, "seed": 0x123456789ABCDEF, "block": 128},
            {"n": 300, "p": 0.25, "seed": 1, "block": 64},
        ],
        timed=[{"n": 1 << 22}],
        rivals={"torch": lambda torch, x: torch.nn.functional.dropout(x, 0.5)},  # its bits are others
        work=lambda n: Work(bytes=8 * n),
        tuning=("block",),
    )
]
