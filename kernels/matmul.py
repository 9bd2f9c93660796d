"""Matrix product with an activation fused behind it; fp32, fp16, bf16 and int8."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, normal, numpy_dtype, output, strides
from .blocks import for_product, machine_of, programs_of
from .epilogue import activate
from .few_rows import few_rows, suits
from .sample import UNIT, Call, Sample, Work, rounding

SUMS = {"i8": "i32", "u8": "i32", "f64": "f64"}  # what products are summed in, where it is not fp32
TYPES = {"i32": tl.int32, "f32": tl.float32, "f64": tl.float64}


@tiledsl.jit
def matmul_kernel(
    a, b, c, M, N, K,
    a_row, a_column, b_row, b_column, c_row, c_column,
    ACTIVATION: tl.constexpr, SUM: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """One block of c per program; neighbouring programs share rows of a and columns of b in groups."""
    blocks_m, blocks_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    program = tl.program_id(0)
    block_m, block_n = tl.swizzle2d(program // blocks_n, program % blocks_n, blocks_m, blocks_n, GROUP)
    rows = block_m * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = block_n * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=SUM)
    for start in range(0, K, BLOCK_K):
        depth = start + tl.arange(0, BLOCK_K)
        left = tl.load(a + rows[:, None] * a_row + depth[None, :] * a_column, mask=(rows[:, None] < M) & (depth[None, :] < K), other=0.0)
        right = tl.load(
            b + depth[:, None] * b_row + columns[None, :] * b_column, mask=(depth[:, None] < K) & (columns[None, :] < N), other=0.0
        )
        total = tl.dot(left, right, total, input_precision="ieee")
    result = activate(total, ACTIVATION).to(c.dtype.element_ty)
    tl.store(c + rows[:, None] * c_row + columns[None, :] * c_column, result, mask=(rows[:, None] < M) & (columns[None, :] < N))


def matmul(
    a: Any,
    b: Any,
    out: Any = None,
    activation: str | None = None,
    blocks: tuple[int, int, int] | None = None,
    group: int = 8,
    **launch: Any,
) -> Any:
    """activation(a @ b); floats sum in fp32 and give the dtype of a, int8 and uint8 give their sums in int32.

    Unless blocks are given, one row times a large matrix, and up to four times one whose columns follow each other in memory, are
    summed in several sums that are added at the end (few_rows.py)."""
    (m, k), (inner, n) = axes("a", a, "rows columns"), axes("b", b, "rows columns")
    if k != inner:
        raise ValueError(f"the shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit")
    name = dtype_name(a)
    out = output(out, a, (m, n), "i32" if name in ("i8", "u8") else name, strided=True)
    sums, size = SUMS.get(name, "f32"), numpy_dtype(name).itemsize
    if blocks is None and suits(a, b, size):
        few_rows(a, b, out, sums, TYPES[sums], activation, launch)
        return out
    block_m, block_n, block_k = blocks or for_product(machine_of(launch), m, n, k, size, programs_of(launch))
    matmul_kernel[(tiledsl.cdiv(m, block_m) * tiledsl.cdiv(n, block_n),)](
        a, b, out, m, n, k, *strides(a), *strides(b), *strides(out), ACTIVATION=activation, SUM=TYPES[sums],
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP=group, **launch,
    )  # fmt: skip
    return out


def inputs(rng: np.random.Generator, m: int, n: int, k: int, dtype: str = "f32", transposed: bool = False, **settings: Any) -> Call:
    a, b = normal(rng, (m, k), dtype), normal(rng, (n, k) if transposed else (k, n), dtype)
    return (a, b.T if transposed else b), settings


def reference(a: np.ndarray, b: np.ndarray, activation: str | None = None, **settings: Any) -> np.ndarray:
    """The product in float64, or in integers."""
    if a.dtype == np.int8:
        return REFERENCES[activation](a.astype(np.int32) @ b.astype(np.int32))
    return REFERENCES[activation](a.astype(np.float64) @ b.astype(np.float64))


_erf = np.vectorize(math.erf, otypes=[np.float64])
REFERENCES: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x >= 0, x, 0.01 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / np.sqrt(2))),
}


def tolerance(a: np.ndarray, b: np.ndarray, activation: str | None = None, **settings: Any) -> np.ndarray:
    """K fused steps, each within half a unit of |a| @ |b|; an activation has slope at most 1.13 and adds a few units of its own,
    of the product where it multiplies by it; then the result is stored."""
    exact = reference(a, b, activation)
    if exact.dtype == np.int32:
        return np.zeros(exact.shape)
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    product = a.shape[-1] * UNIT["f32"] * size
    if activation in ("leaky_relu", "sigmoid", "gelu"):
        product = 1.13 * product + 8 * UNIT["f32"] * np.maximum(np.abs(reference(a, b)), 1)
    return product * 1.01 + rounding(exact, dtype_name(a))


def _square(n: int, **more: Any) -> dict[str, Any]:
    return {"m": n, "n": n, "k": n, **more}


def work(m: int, n: int, k: int, dtype: str = "f32", **settings: Any) -> Work:
    """A product and a sum for each of m * n * k; every matrix once."""
    size = numpy_dtype(dtype).itemsize
    return Work(flops=2.0 * m * n * k, bytes=float(size * (m * k + k * n + m * n)), reads_only=m <= 16)


SMALL = {"blocks": (16, 16, 16), "group": 2}
SAMPLES = [
    Sample(
        "matmul",
        matmul,
        inputs,
        reference,
        tolerance,
        tests=[
            {"m": 1, "n": 1, "k": 1, **SMALL},
            {"m": 37, "n": 50, "k": 29, **SMALL},
            {"m": 3, "n": 37, "k": 100, "transposed": True, "activation": "gelu"},
            {"m": 2, "n": 5, "k": 29, "transposed": True, "dtype": "bf16"},
            {"m": 1, "n": 9, "k": 40, "transposed": True, "dtype": "i8"},
            _square(64),
            {"m": 33, "n": 40, "k": 48, "transposed": True, "activation": "relu", "blocks": (32, 16, 8)},
            {"m": 40, "n": 24, "k": 30, "activation": "gelu", **SMALL},
            {"m": 20, "n": 20, "k": 20, "activation": "sigmoid", **SMALL},
            _square(48, dtype="f16", activation="leaky_relu", **SMALL),
            _square(40, dtype="bf16", **SMALL),
            _square(45, dtype="i8", activation="relu", **SMALL),
        ],
        timed=[
            *(_square(n) for n in (256, 512, 1024, 2048)),
            {"m": 4096, "n": 256, "k": 1024},
            {"m": 1024, "n": 4096, "k": 64},
            {"m": 64, "n": 4096, "k": 4096},
            *({"m": m, "n": 4096, "k": 4096} for m in (1, 4, 16)),
            *({"m": m, "n": 4096, "k": 4096, "transposed": True} for m in (1, 4)),
            _square(1024, transposed=True),
            _square(1024, dtype="f16"),
            _square(1024, dtype="i8"),
        ],
        rivals={
            "numpy": lambda a, b, out: np.matmul(a, b, out=out, dtype=out.dtype),
            "torch": lambda torch, a, b, out: (torch._int_mm if a.dtype is torch.int8 else torch.matmul)(a, b, out=out),
            "jax": lambda jax: jax.numpy.matmul,
        },
        work=work,
        tuning=("blocks", "group"),
    )
]
