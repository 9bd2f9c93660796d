"""Activations in one pass over memory: gelu, silu, and the gated product of transformers (swiglu)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import dtype_name, floats, normal, operand, output
from .sample import TINY, UNIT, Call, Sample, Shape, Work, rounding


@tiledsl.jit
def gelu_kernel(x, out, n, BLOCK: tl.constexpr):
    """A block of x / 2 * (1 + erf(x / sqrt(2))) per program, computed in float32."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    values = tl.load(x + at, mask=inside).to(tl.float32)
    tl.store(out + at, 0.5 * values * (1.0 + tl.erf(values * 0.7071067811865476)), mask=inside)


@tiledsl.jit
def silu_kernel(x, out, n, BLOCK: tl.constexpr):
    """A block of x * sigmoid(x) per program, computed in float32."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    values = tl.load(x + at, mask=inside).to(tl.float32)
    tl.store(out + at, values * tl.sigmoid(values), mask=inside)


@tiledsl.jit
def swiglu_kernel(gate, up, out, n, BLOCK: tl.constexpr):
    """A block of silu(gate) * up per program, computed in float32."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    values = tl.load(gate + at, mask=inside).to(tl.float32)
    other = tl.load(up + at, mask=inside).to(tl.float32)
    tl.store(out + at, values * tl.sigmoid(values) * other, mask=inside)


def gelu(x: Any, out: Any = None, block: int = 1024, **launch: Any) -> Any:
    """x times the share of a normal distribution below x; for an array of any shape."""
    return _each(gelu_kernel, (x,), out, block, launch)


def silu(x: Any, out: Any = None, block: int = 1024, **launch: Any) -> Any:
    """x * sigmoid(x), for an array of any shape."""
    return _each(silu_kernel, (x,), out, block, launch)


def swiglu(gate: Any, up: Any, out: Any = None, block: int = 1024, **launch: Any) -> Any:
    """silu(gate) * up, for arrays of one shape and dtype."""
    return _each(swiglu_kernel, (gate, operand("up", up, gate.shape)), out, block, launch)


def _each(kernel: Any, arrays: tuple[Any, ...], out: Any, block: int, launch: dict[str, Any]) -> Any:
    arrays = tuple(floats(x) for x in arrays)
    out = output(out, arrays[0])
    n = math.prod(arrays[0].shape)
    kernel[(tiledsl.cdiv(n, block),)](*arrays, out, n, BLOCK=block, **launch)
    return out


def inputs(count: int) -> Callable[..., Call]:
    """Of so many arrays."""

    def make(rng: np.random.Generator, n: int, dtype: str = "f32", **settings: Any) -> Call:
        return tuple((3 * normal(rng, (n,))).astype(normal(rng, (0,), dtype).dtype) for _ in range(count)), settings

    return make


_erf = np.vectorize(math.erf, otypes=[np.float64])


def gelu_reference(x: np.ndarray, **settings: Any) -> np.ndarray:
    """In float64."""
    x = x.astype(np.float64)
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def silu_reference(x: np.ndarray, **settings: Any) -> np.ndarray:
    """In float64."""
    x = x.astype(np.float64)
    return x / (1 + np.exp(-x))


def swiglu_reference(gate: np.ndarray, up: np.ndarray, **settings: Any) -> np.ndarray:
    """In float64."""
    return silu_reference(gate) * up.astype(np.float64)


def gelu_tolerance(x: np.ndarray, **settings: Any) -> np.ndarray:
    """1 + erf is off by erf's two units, one of the sum, and what the two roundings of its argument move it (z exp(-z^2) <= 0.43);
    below zero it cancels, so that all of it counts in units of x / 2. Then two products."""
    half = np.abs(x.astype(np.float64)) / 2
    exact = gelu_reference(x)
    return (half * (2 + 1 + 2 * 2 * 0.43) + 2 * np.abs(exact)) * UNIT["f32"] * 1.01 + TINY["f32"] * half + rounding(exact, dtype_name(x))


def silu_tolerance(x: np.ndarray, **settings: Any) -> np.ndarray:
    """Sigmoid's two units and one product; sigmoid may be subnormal where x is far below zero."""
    exact = silu_reference(x)
    return 4 * UNIT["f32"] * np.abs(exact) + 2 * TINY["f32"] * np.abs(x.astype(np.float64)) + rounding(exact, dtype_name(x))


def swiglu_tolerance(gate: np.ndarray, up: np.ndarray, **settings: Any) -> np.ndarray:
    """As silu, and one product more."""
    exact = swiglu_reference(gate, up)
    small = 2 * TINY["f32"] * np.abs(gate.astype(np.float64) * up.astype(np.float64))
    return 5 * UNIT["f32"] * np.abs(exact) + small + rounding(exact, dtype_name(gate))


def numba_gelu(numba: Any) -> Any:
    """The loop that numba is good at."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.size):
            out[i] = np.float32(0.5) * x[i] * (np.float32(1) + math.erf(x[i] * np.float32(0.7071067811865476)))

    return run


def numba_silu(numba: Any) -> Any:
    """The loop that numba is good at."""

    @numba.njit(parallel=True, fastmath=True)
    def run(x, out):
        for i in numba.prange(x.size):
            out[i] = x[i] / (np.float32(1) + np.exp(-x[i]))

    return run


def numba_swiglu(numba: Any) -> Any:
    """The loop that numba is good at."""

    @numba.njit(parallel=True, fastmath=True)
    def run(gate, up, out):
        for i in numba.prange(gate.size):
            out[i] = gate[i] / (np.float32(1) + np.exp(-gate[i])) * up[i]

    return run


SHAPES: list[Shape] = [{"n": 1, "block": 16}, {"n": 1000, "block": 256}, {"n": 300, "dtype": "f16", "block": 128}]
TIMED: list[Shape] = [{"n": 1 << 22}]
SAMPLES = [
    Sample(
        "gelu",
        gelu,
        inputs(1),
        gelu_reference,
        gelu_tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={
            "torch": lambda torch, x, out: torch.ops.aten.gelu.out(x, out=out),
            "numba": numba_gelu,
            "jax": lambda jax: lambda x: jax.nn.gelu(x, approximate=False),
        },
        work=lambda n: Work(bytes=8 * n),
        tuning=("block",),
    ),
    Sample(
        "silu",
        silu,
        inputs(1),
        silu_reference,
        silu_tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={
            "numpy": lambda x: x / (1 + np.exp(-x)),
            "torch": lambda torch, x, out: torch.ops.aten.silu.out(x, out=out),
            "numba": numba_silu,
            "jax": lambda jax: jax.nn.silu,
        },
        work=lambda n: Work(bytes=8 * n),
        tuning=("block",),
    ),
    Sample(
        "swiglu",
        swiglu,
        inputs(2),
        swiglu_reference,
        swiglu_tolerance,
        tests=SHAPES,
        timed=TIMED,
        rivals={
            "numpy": lambda gate, up: gate / (1 + np.exp(-gate)) * up,
            "torch": lambda torch, gate, up, out: torch.mul(torch.nn.functional.silu(gate), up, out=out),
            "numba": numba_swiglu,
            "jax": lambda jax: lambda gate, up: jax.nn.silu(gate) * up,
        },
        work=lambda n: Work(bytes=12 * n),
        tuning=("block",),
    ),
]
