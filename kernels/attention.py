"""Flash attention, forward: softmax(q k^T) v without ever holding a row of the softmax, by correcting running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, dtype_name, floats, normal, operand, output
from .sample import UNIT, Call, Sample, Work, rounding

LOG2_E = 1.4426950408889634


@tiledsl.jit
def attention_kernel(
    q, k, v, out, lse, length, scale,
    CAUSAL: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """A block of queries of one head per program. `scale` holds log2(e), so that powers are those of two; so is the logarithm of
    their sum, which is kept for the way back where `lse` is given."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    inner = tl.arange(0, D)
    head = tl.program_id(1).to(tl.int64) * length * D
    here = head + rows[:, None] * D + inner[None, :]
    query = tl.load(q + here, mask=rows[:, None] < length, other=0.0)

    largest = tl.full((BLOCK_M,), -float("inf"), dtype=tl.float32)
    total = tl.zeros((BLOCK_M,), dtype=tl.float32)
    result = tl.zeros((BLOCK_M, D), dtype=tl.float32)
    last = length
    if CAUSAL:
        last = tl.minimum(length, (tl.program_id(0) + 1) * BLOCK_M)
    for start in range(0, last, BLOCK_N):
        columns = start + tl.arange(0, BLOCK_N)
        there = head + columns[:, None] * D + inner[None, :]
        key = tl.load(k + there, mask=columns[:, None] < length, other=0.0)
        score = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        seen = columns[None, :] < length
        if CAUSAL:
            seen = seen & (columns[None, :] <= rows[:, None])
        score = tl.where(seen, score, -float("inf"))

        new = tl.maximum(largest, tl.max(score, axis=1))
        power = tl.exp2(score - new[:, None])
        correction = tl.exp2(largest - new)
        total = total * correction + tl.sum(power, axis=1)
        value = tl.load(v + there, mask=columns[:, None] < length, other=0.0)
        result = tl.dot(power.to(value.dtype), value, result * correction[:, None], input_precision="ieee")
        largest = new
    tl.store(out + here, result / total[:, None], mask=rows[:, None] < length)
    if lse is not None:
        tl.store(lse + tl.program_id(1) * length + rows, largest + tl.log2(total), mask=rows < length)


def attention(
    q: Any,
    k: Any,
    v: Any,
    out: Any = None,
    causal: bool = False,
    scale: float | None = None,
    blocks: tuple[int, int] = (64, 64),
    lse: Any = None,
    **launch: Any,
) -> Any:
    """softmax(q k^T * scale) v for arrays of shape (..., length, D), D a power of two; scale is 1 / sqrt(D) unless given. `lse`, of
    shape (..., length), takes the base-two logarithm of every row's sum of powers, in float32."""
    q = floats(q)
    k, v = operand("k", k, q.shape), operand("v", v, q.shape)
    *heads, length, depth = axes("q", q, "length depth", more=True)
    out = output(out, q)
    if lse is not None:
        lse = output(lse, q, q.shape[:-1])
    factor = (depth**-0.5 if scale is None else scale) * LOG2_E
    attention_kernel[(tiledsl.cdiv(length, blocks[0]), int(np.prod(heads, dtype=int)))](
        q, k, v, out, lse, length, factor, CAUSAL=causal, D=depth, BLOCK_M=blocks[0], BLOCK_N=blocks[1], **launch
    )
    return out


def inputs(rng: np.random.Generator, heads: int, length: int, depth: int = 64, dtype: str = "f32", **settings: Any) -> Call:
    return tuple(normal(rng, (heads, length, depth), dtype) for _ in range(3)), settings


def _scores(q: np.ndarray, k: np.ndarray, causal: bool) -> np.ndarray:
    scores: np.ndarray = q.astype(np.float64) @ np.swapaxes(k.astype(np.float64), -1, -2) * q.shape[-1] ** -0.5
    if causal:
        scores = np.where(np.tri(q.shape[-2], dtype=bool), scores, -np.inf)
    return scores


def _weights(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool = False, **settings: Any) -> np.ndarray:
    """Attention in float64, the softmax written out."""
    return _weights(_scores(q, k, causal)) @ v.astype(np.float64)


def tolerance(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool = False, **settings: Any) -> np.ndarray:
    """A power is off by what its score is off: a fused sum of D terms, scaled, less the largest. Weights enter twice, above
    and below the line; both are then sums over the row, corrected once per block. In fp16 and bf16 powers are stored once."""
    scores = _scores(q, k, causal)
    weights = _weights(scores)
    depth = q.shape[-1]
    size = np.abs(q.astype(np.float64)) @ np.swapaxes(np.abs(k.astype(np.float64)), -1, -2) * depth**-0.5
    seen = np.isfinite(scores)
    unit = UNIT["f32"]
    spread = scores.max(axis=-1, keepdims=True) - np.where(seen, scores, scores.max(axis=-1, keepdims=True))
    off_score = np.where(seen, (depth + 3) * unit * size + unit * spread, 0)
    off = 2 * off_score.max(axis=-1, keepdims=True) + (2 * q.shape[-2] + 32) * unit + UNIT[dtype_name(q)] * (dtype_name(q) != "f32")
    return off * (weights @ np.abs(v.astype(np.float64))) * 1.01 + rounding(reference(q, k, v, causal), dtype_name(q))


def numpy_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Attention as it is written in NumPy."""
    scores = q @ np.swapaxes(k, -1, -2)
    scores *= np.float32(q.shape[-1] ** -0.5)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    result: np.ndarray = powers @ v
    return result


def torch_attention(torch: Any, q: Any, k: Any, v: Any, causal: bool = False) -> Any:
    """PyTorch's."""
    four = [x[None] for x in (q, k, v)]  # a batch, without which it does not take its flash kernel
    return torch.nn.functional.scaled_dot_product_attention(*four, is_causal=causal)


SMALL = {"blocks": (16, 32)}
SAMPLES = [
    Sample(
        "attention",
        attention,
        inputs,
        reference,
        tolerance,
        tests=[
            {"heads": 1, "length": 1, **SMALL},
            {"heads": 2, "length": 50, "depth": 16, **SMALL},
            {"heads": 1, "length": 64, "causal": True, **SMALL},
            {"heads": 2, "length": 77, "depth": 16, "causal": True, "blocks": (32, 16)},
            {"heads": 1, "length": 40, "depth": 32, "dtype": "f16", **SMALL},
        ],
        timed=[
            {"heads": 1, "length": 1024, "depth": 64},
            {"heads": 4, "length": 512, "depth": 128},
            {"heads": 4, "length": 1024, "depth": 64, "causal": True},
            {"heads": 1, "length": 4096, "depth": 64},
            {"heads": 1, "length": 4096, "depth": 128, "causal": True},
        ],
        rivals={
            "numpy": numpy_attention,
            "torch": torch_attention,
        },
        work=lambda heads, length, depth, causal=False: Work(flops=4.0 * heads * length**2 * depth / (2 if causal else 1)),
        tuning=("blocks",),
    )
]
