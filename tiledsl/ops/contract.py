"""Ops that combine elements along an axis; each in one fixed order, so that every machine rounds alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import require
from ..ir.core import Block
from ..ir.printer import show_types
from ..ir.spec import export, op
from ..ir.types import NARROW, Tile, bf16, dtype_of, f16, f32, f64, i8, i32, u8
from . import exact

PARTIALS = 32  # how many running results a reduction keeps; they are combined by halving at the end

ACCUMULATORS = {**dict.fromkeys(NARROW, f32), f16: f32, bf16: f32, f32: f32, f64: f64, i8: i32, u8: i32}


@op(exact.dot)
def dot(a: Tile, b: Tile, acc: Tile) -> Tile:
    """acc + a @ b, of matrices or of equally many in batches: per element one chain of fma over k ascending (integers wrap), in acc's type:
    f32 for fp8, f16, bf16 and f32, f64 for f64, i32 for i8 and u8."""
    matrices = a.rank == b.rank and a.rank in (2, 3) and a.shape[:-2] == b.shape[:-2]
    require(matrices and a.shape[-1] == b.shape[-2], f"cannot multiply {a} by {b}")
    require(a.elem == b.elem, f"dot takes operands of one element type, got {a} and {b}")
    require(dtype_of(a) in ACCUMULATORS, f"dot is not defined for {a.elem}")
    require(acc == Tile(ACCUMULATORS[dtype_of(a)], (*a.shape[:-1], b.shape[-1])), f"accumulator {acc} does not match {a} @ {b}")
    return acc


def _fold(xs: Sequence[Tile], axis: int, block: Block, name: str) -> None:
    """Check what reductions and scans have in common: equal shapes, and a block that combines two scalars of each."""
    require(bool(xs), f"{name} needs an operand")
    require(len({x.shape for x in xs}) == 1, f"{name}: shapes differ: {show_types(xs)}")
    require(0 <= axis < xs[0].rank, f"axis {axis} is out of range for {xs[0]}")
    scalars = [x.scalar() for x in xs]
    require([a.type for a in block.args] == scalars * 2, f"{name}: the block must take {show_types(scalars * 2)}")
    require([v.type for v in block.yields] == scalars, f"{name}: the block must yield {show_types(scalars)}")
    for inner in block.walk():
        ok = inner.spec.is_pure and not inner.spec.blocks or "terminator" in inner.spec.traits
        require(ok, f"{name}: {inner.spec.name} cannot stand in a combining block")


def _reduce(run: Any, *xs: np.ndarray, axis: int, blocks: Sequence[Block]) -> tuple[np.ndarray, ...]:
    rows = [np.moveaxis(x, axis, 0) for x in xs]
    length = rows[0].shape[0]
    count = min(length, PARTIALS)
    partial = [x[:count].copy() for x in rows]

    def combine(into: slice, others: Sequence[np.ndarray]) -> None:
        combined = run.lifted(blocks[0], [*(p[into] for p in partial), *others])
        for p, c in zip(partial, combined, strict=True):
            p[into] = c

    for start in range(count, length, count):
        chunk = [x[start : start + count] for x in rows]
        combine(slice(0, len(chunk[0])), chunk)
    while count > 1:
        upper, pairs = (count + 1) // 2, count // 2
        combine(slice(0, pairs), [p[upper : upper + pairs] for p in partial])
        count = upper
    return tuple(p[0] for p in partial)


@op(_reduce, blocks=1)
def reduce(*xs: Tile, axis: int, blocks: Sequence[Block]) -> tuple[Tile, ...]:
    """The elements along one axis combined by a block of pure elementwise ops (a1.., b1..) -> results.
    Of an axis of length L there are P = min(L, 32) partials; partial j combines x[j], x[j+P], x[j+2P] ... in this order;
    then the upper half of the partials is combined into the lower, p[j] with p[j + ceil(P/2)], until one is left."""
    _fold(xs, axis, blocks[0], "reduce")
    return tuple(Tile(x.elem, x.shape[:axis] + x.shape[axis + 1 :]) for x in xs)


def _scan(run: Any, *xs: np.ndarray, axis: int, reverse: bool, blocks: Sequence[Block]) -> tuple[np.ndarray, ...]:
    rows = [np.moveaxis(x, axis, 0)[:: -1 if reverse else 1] for x in xs]
    out = [np.empty_like(x) for x in rows]
    so_far = [x[0] for x in rows]
    for i in range(rows[0].shape[0]):
        if i:
            so_far = list(run.lifted(blocks[0], [*so_far, *(x[i] for x in rows)]))
        for o, s in zip(out, so_far, strict=True):
            o[i] = s
    return tuple(np.moveaxis(o[:: -1 if reverse else 1], 0, axis) for o in out)


@op(_scan, blocks=1)
def scan(*xs: Tile, axis: int, reverse: bool, blocks: Sequence[Block]) -> tuple[Tile, ...]:
    """Running combinations along one axis, in order from the first element (from the last if reverse): each result is
    block(result before it, element)."""
    _fold(xs, axis, blocks[0], "scan")
    return tuple(xs)


export(globals())
