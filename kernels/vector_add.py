"""Vector addition: the smallest kernel, limited by memory alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import contiguous, dtype_name, normal, operand, output
from .sample import Call, Sample, Work


@tiledsl.jit
def vector_add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    """One block of out = x + y per program; the last block is cut off by the mask."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(out + at, tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside), mask=inside)


def vector_add(x: Any, y: Any, out: Any = None, block: int = 4096, **launch: Any) -> Any:
    """x + y for arrays of one shape and dtype."""
    x = contiguous(x)
    y = operand("y", y, x.shape)
    if dtype_name(x) != dtype_name(y):
        raise TypeError(f"x has elements of {x.dtype}, y of {y.dtype}; convert one of them first")
    out = output(out, x)
    n = int(np.prod(x.shape))
    vector_add_kernel[(tiledsl.cdiv(n, block),)](x, y, out, n, BLOCK=block, **launch)
    return out


def inputs(rng: np.random.Generator, n: int, dtype: str = "f32", **settings: Any) -> Call:
    return (normal(rng, (n,), dtype), normal(rng, (n,), dtype)), settings


def reference(x: np.ndarray, y: np.ndarray, **settings: Any) -> np.ndarray:
    """The sum as NumPy rounds it."""
    return x + y


def tolerance(x: np.ndarray, y: np.ndarray, **settings: Any) -> float:
    """Addition is correctly rounded, here as there."""
    return 0.0


def numba_add(numba: Any) -> Any:
    """The loop that numba is good at."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, y, out):
        for i in numba.prange(x.size):
            out[i] = x[i] + y[i]

    return run


SAMPLES = [
    Sample(
        "vector_add",
        vector_add,
        inputs,
        reference,
        tolerance,
        tests=[
            {"n": 1, "block": 16},
            {"n": 1000, "block": 128},
            {"n": 4096, "block": 1024},
            {"n": 777, "dtype": "f16", "block": 256},
            {"n": 300, "dtype": "i32", "block": 64},
        ],
        timed=[{"n": 1 << 24}],
        rivals={
            "numpy": lambda x, y, out: np.add(x, y, out=out),
            "torch": lambda torch, x, y, out: torch.add(x, y, out=out),
            "numba": numba_add,
            "jax": lambda jax: lambda x, y: x + y,
        },
        work=lambda n: Work(flops=n, bytes=12 * n),
        tuning=("block",),
    )
]
