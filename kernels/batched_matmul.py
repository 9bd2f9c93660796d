"""Many matrix products of one shape at once, as of the heads of attention."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from . import matmul as single
from .arrays import axes, dtype_name, normal, numpy_dtype, output, strides
from .blocks import for_product, machine_of, programs_of
from .matmul import SUMS, TYPES, matmul_kernel
from .sample import Call, Sample, Work


@tiledsl.jit
def batched_matmul_kernel(
    a, b, c, M, N, K,
    a_matrix, a_row, a_column, b_matrix, b_row, b_column, c_matrix, c_row, c_column,
    ACTIVATION: tl.constexpr, SUM: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """One block of one matrix of c per program; programs along the second axis of the grid have matrices of their own."""
    matrix = tl.program_id(1).to(tl.int64)
    matmul_kernel(
        a + matrix * a_matrix, b + matrix * b_matrix, c + matrix * c_matrix, M, N, K,
        a_row, a_column, b_row, b_column, c_row, c_column,
        ACTIVATION=ACTIVATION, SUM=SUM, BLOCK_M=BLOCK_M, BLOCK_N=BLOCK_N, BLOCK_K=BLOCK_K, GROUP=GROUP,
    )  # fmt: skip


def batched_matmul(
    a: Any,
    b: Any,
    out: Any = None,
    activation: str | None = None,
    blocks: tuple[int, int, int] | None = None,
    group: int = 8,
    **launch: Any,
) -> Any:
    """activation(a @ b) for arrays of shape (matrices, rows, columns), either with strides of any kind; sums and results as
    `matmul` has them."""
    (count, m, k), (others, inner, n) = axes("a", a, "matrices rows columns"), axes("b", b, "matrices rows columns")
    if k != inner or count != others:
        raise ValueError(f"the shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit")
    name = dtype_name(a)
    out = output(out, a, (count, m, n), "i32" if name in ("i8", "u8") else name, strided=True)
    programs = max(1, programs_of(launch) // max(count, 1))
    block_m, block_n, block_k = blocks or for_product(machine_of(launch), m, n, k, numpy_dtype(name).itemsize, programs)
    batched_matmul_kernel[(tiledsl.cdiv(m, block_m) * tiledsl.cdiv(n, block_n), count)](
        a, b, out, m, n, k, *strides(a), *strides(b), *strides(out), ACTIVATION=activation, SUM=TYPES[SUMS.get(name, "f32")],
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP=group, **launch,
    )  # fmt: skip
    return out


def inputs(
    rng: np.random.Generator, matrices: int, m: int, n: int, k: int, dtype: str = "f32", transposed: bool = False, **settings: Any
) -> Call:
    a, b = normal(rng, (matrices, m, k), dtype), normal(rng, (matrices, n, k) if transposed else (matrices, k, n), dtype)
    return (a, np.swapaxes(b, 1, 2) if transposed else b), settings


def work(matrices: int, m: int, n: int, k: int, dtype: str = "f32", **settings: Any) -> Work:
    """What every matrix takes."""
    one = single.work(m, n, k, dtype)
    return Work(flops=matrices * one.flops, bytes=matrices * one.bytes, reads_only=one.reads_only)


SMALL = {"blocks": (16, 16, 16), "group": 2}
SAMPLES = [
    Sample(
        "batched_matmul",
        batched_matmul,
        inputs,
        single.reference,
        single.tolerance,
        tests=[
            {"matrices": 3, "m": 20, "n": 37, "k": 29, **SMALL},
            {"matrices": 2, "m": 33, "n": 16, "k": 40, "transposed": True, "activation": "relu", **SMALL},
            {"matrices": 5, "m": 1, "n": 30, "k": 17, "dtype": "bf16"},
            {"matrices": 2, "m": 8, "n": 24, "k": 20, "dtype": "i8", **SMALL},
        ],
        timed=[
            {"matrices": 64, "m": 128, "n": 128, "k": 128},
            {"matrices": 16, "m": 512, "n": 512, "k": 64, "transposed": True},
            {"matrices": 16, "m": 512, "n": 64, "k": 512},
            {"matrices": 256, "m": 32, "n": 32, "k": 32},
        ],
        rivals={
            "numpy": lambda a, b, out: np.matmul(a, b, out=out, dtype=out.dtype),
            "torch": lambda torch, a, b, out: torch.matmul(a, b, out=out),
            "jax": lambda jax: jax.numpy.matmul,
        },
        work=work,
        tuning=("blocks", "group"),
    )
]
