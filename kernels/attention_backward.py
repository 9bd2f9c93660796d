"""Flash attention, backward: scores are computed again, block by block, from what the forward pass kept of every row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, empty, floats, normal, operand, output
from .attention import LOG2_E
from .sample import UNIT, Call, Sample, Work

PROGRAMS = 8  # about so many where there are fewer heads; not the number of threads, for the order of sums depends on it


@tiledsl.jit
def delta_kernel(out, slope, delta, rows, D: tl.constexpr, BLOCK: tl.constexpr):
    """sum(out * slope) of a block of rows per program: what all of a row's weights lose together."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    at = row[:, None] * D + tl.arange(0, D)[None, :]
    inside = row[:, None] < rows
    product = tl.load(out + at, mask=inside, other=0.0).to(tl.float32) * tl.load(slope + at, mask=inside, other=0.0)
    tl.store(delta + row, tl.sum(product, axis=1), mask=row < rows)


@tiledsl.jit
def weights(query, key, lse, rows, columns, length, scale, CAUSAL: tl.constexpr):
    """The softmax's block again, queries by keys."""
    score = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
    seen = (columns[None, :] < length) & (rows[:, None] < length)
    if CAUSAL:
        seen = seen & (columns[None, :] <= rows[:, None])
    return tl.where(seen, tl.exp2(score - lse[:, None]), 0.0)


@tiledsl.jit
def gradients_kernel(
    q, k, v, slope, lse, delta, dk, dv, parts, length, scale, factor, share,
    CAUSAL: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """The gradients of a share of the keys and values of one head per program, and what these keys add to that of the queries."""
    inner = tl.arange(0, D)
    head = tl.program_id(1).to(tl.int64) * length
    part = parts + tl.program_id(0).to(tl.int64) * tl.num_programs(1) * length * D
    begin = tl.program_id(0) * share
    for at in range(begin, tl.minimum(begin + share, length), BLOCK_N):
        columns = at + tl.arange(0, BLOCK_N)
        there = (head + columns[:, None]) * D + inner[None, :]
        key = tl.load(k + there, mask=columns[:, None] < length, other=0.0)
        value = tl.load(v + there, mask=columns[:, None] < length, other=0.0)
        for_keys = tl.zeros((BLOCK_N, D), dtype=tl.float32)
        for_values = tl.zeros((BLOCK_N, D), dtype=tl.float32)
        first = 0
        if CAUSAL:
            first = at // BLOCK_M * BLOCK_M
        for start in range(first, length, BLOCK_M):
            rows = start + tl.arange(0, BLOCK_M)
            inside = rows < length
            here = (head + rows[:, None]) * D + inner[None, :]
            query = tl.load(q + here, mask=inside[:, None], other=0.0)
            upstream = tl.load(slope + here, mask=inside[:, None], other=0.0)
            kept = tl.load(lse + head + rows, mask=inside, other=0.0)
            lost = tl.load(delta + head + rows, mask=inside, other=0.0)
            weight = weights(query, key, kept, rows, columns, length, scale, CAUSAL)
            for_values = tl.dot(tl.trans(weight), upstream, for_values, input_precision="ieee")
            change = weight * (tl.dot(upstream, tl.trans(value), input_precision="ieee") - lost[:, None])
            for_keys = tl.dot(tl.trans(change), query, for_keys, input_precision="ieee")
            so_far = tl.load(part + here, mask=inside[:, None] & (at > begin), other=0.0)
            tl.store(part + here, tl.dot(change, key, so_far, input_precision="ieee"), mask=inside[:, None])
        tl.store(dk + there, for_keys * factor, mask=columns[:, None] < length)
        tl.store(dv + there, for_values, mask=columns[:, None] < length)


@tiledsl.jit
def queries_kernel(
    parts, dq, rows, length, share, shares, factor,
    CAUSAL: tl.constexpr, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of a block of rows of queries per program: what all shares of the keys add to it, in order."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = row[:, None].to(tl.int64) * D + tl.arange(0, D)[None, :]
    total = tl.zeros((BLOCK, D), dtype=tl.float32)
    for index in range(shares):
        seen = row < rows
        if CAUSAL:
            seen = seen & (row % length >= index * share // BLOCK_M * BLOCK_M)
        total += tl.load(parts + tl.cast(index, tl.int64) * rows * D + here, mask=seen[:, None], other=0.0)
    tl.store(dq + here, total * factor, mask=row[:, None] < rows)


def attention_backward(
    slope: Any,
    q: Any,
    k: Any,
    v: Any,
    kept: Any,
    lse: Any,
    causal: bool = False,
    scale: float | None = None,
    blocks: tuple[int, int] = (128, 64),
    out: Any = None,
    **launch: Any,
) -> tuple[Any, Any, Any]:
    """The gradients of q, k and v, from that of the output (`slope`), the output that was `kept`, and `lse` of `attention`; float32
    arrays of shape (..., length, D), D a power of two."""
    q = floats(q)
    slope, k, v, kept = (operand(n, x, q.shape) for n, x in (("slope", slope), ("k", k), ("v", v), ("kept", kept)))
    lse = operand("lse", lse, q.shape[:-1])
    *heads, length, depth = axes("q", q, "length depth", more=True)
    count = math.prod(heads)
    dq, dk, dv = (output(given, q) for given in out or (None, None, None))
    delta = empty(lse)
    factor = depth**-0.5 if scale is None else scale
    rows, columns = blocks
    delta_kernel[(tiledsl.cdiv(count * length, 64),)](kept, slope, delta, count * length, D=depth, BLOCK=64, **launch)
    more = {"CAUSAL": causal, "D": depth, "BLOCK_M": rows, **launch}
    share = tiledsl.cdiv(tiledsl.cdiv(length, columns), max(1, PROGRAMS // count)) * columns
    shares = tiledsl.cdiv(length, share)
    parts = empty(q, (shares, *q.shape))
    given = (q, k, v, slope, lse, delta, dk, dv, parts, length, factor * LOG2_E, factor, share)
    gradients_kernel[(shares, count)](*given, BLOCK_N=columns, **more)
    queries_kernel[(tiledsl.cdiv(count * length, 64),)](parts, dq, count * length, length, share, shares, factor, BLOCK=64, **more)
    return dq, dk, dv


def _forward(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, output and base-two logarithm of the sums, in float64."""
    scores = q.astype(np.float64) @ np.swapaxes(k.astype(np.float64), -1, -2) * q.shape[-1] ** -0.5
    if causal:
        scores = np.where(np.tri(q.shape[-2], dtype=bool), scores, -np.inf)
    largest = scores.max(axis=-1, keepdims=True)
    powers = np.exp(scores - largest)
    total = powers.sum(axis=-1, keepdims=True)
    weight = powers / total
    return weight, weight @ v.astype(np.float64), (largest + np.log(total))[..., 0] * LOG2_E


def inputs(rng: np.random.Generator, heads: int, length: int, depth: int = 64, **settings: Any) -> Call:
    q, k, v, slope = (normal(rng, (heads, length, depth)) for _ in range(4))
    _, out, lse = _forward(q, k, v, settings.get("causal", False))
    return (slope, q, k, v, out.astype(np.float32), lse.astype(np.float32)), settings


def reference(
    slope: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, kept: np.ndarray, lse: np.ndarray, causal: bool = False, **settings: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three gradients in float64."""
    weight, out, _ = _forward(q, k, v, causal)
    slope, q, k, v = (x.astype(np.float64) for x in (slope, q, k, v))
    change = weight * (slope @ np.swapaxes(v, -1, -2) - (out * slope).sum(axis=-1, keepdims=True)) * q.shape[-1] ** -0.5
    return change @ k, np.swapaxes(change, -1, -2) @ q, np.swapaxes(weight, -1, -2) @ slope


def tolerance(
    slope: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, kept: np.ndarray, lse: np.ndarray, causal: bool = False, **settings: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A weight is off by what its exponent is off: a fused sum of D terms, scaled, less a rounded logarithm. Its change is off by
    that, by two more sums of D terms, and by the rounding of the kept output. Last come sums over the length."""
    unit, (length, depth) = UNIT["f32"], q.shape[-2:]
    weight, out, logs = _forward(q, k, v, causal)
    slope, q, k, v = (np.abs(x.astype(np.float64)) for x in (slope, q, k, v))
    size = q @ np.swapaxes(k, -1, -2) * depth**-0.5 * LOG2_E
    off_weight = weight * (((depth + 4) * size + 3 * np.abs(logs)[..., None]) * unit * math.log(2) + 2 * unit)
    upstream, lost = slope @ np.swapaxes(v, -1, -2), (np.abs(out) * slope).sum(axis=-1, keepdims=True)
    off_change = (off_weight + 2 * unit * weight) * (upstream + lost) + weight * (depth + 3) * unit * (upstream + lost)
    change = weight * (upstream + lost)

    def summed(off: np.ndarray, terms: np.ndarray, factor: np.ndarray) -> np.ndarray:
        return ((off + (length + 3) * unit * terms) @ factor) * 1.01

    small = depth**-0.5
    flipped = np.swapaxes(off_change, -1, -2), np.swapaxes(change, -1, -2)
    return (
        summed(off_change, change, k) * small,
        summed(*flipped, q) * small,
        summed(np.swapaxes(off_weight, -1, -2), np.swapaxes(weight, -1, -2), slope),
    )


def torch_backward(torch: Any, slope: Any, q: Any, k: Any, v: Any, kept: Any, lse: Any, causal: bool = False) -> Any:
    """PyTorch's own flash attention, backward; its logarithms are natural."""
    four = [x[None] for x in (slope, q, k, v, kept)]
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(*four, lse[None] / LOG2_E, 0.0, causal)


SMALL = {"blocks": (16, 32)}
SAMPLES = [
    Sample(
        "attention_backward",
        attention_backward,
        inputs,
        reference,
        tolerance,
        tests=[
            {"heads": 2, "length": 50, "depth": 16, **SMALL},
            {"heads": 1, "length": 64, "depth": 32, "causal": True, **SMALL},
            {"heads": 1, "length": 77, "depth": 16, "causal": True, "blocks": (32, 16)},
        ],
        timed=[
            {"heads": 4, "length": 1024, "depth": 64},
            {"heads": 4, "length": 1024, "depth": 64, "causal": True},
            {"heads": 2, "length": 2048, "depth": 128},
        ],
        rivals={"torch": torch_backward},
        work=lambda heads, length, depth, causal=False: Work(flops=10 * heads * length**2 * depth / (2 if causal else 1)),
        tuning=("blocks",),
    )
]
