"""Counting the values of a tile."""

from __future__ import annotations

from tiledsl.ir.core import Op
from tiledsl.ir.types import i64

from .access import scratch_pointer, write_scratch
from .code import Code, each
from .elementwise import elementwise
from .evaluate import evaluate, vector_axis
from .points import Lanes, Point
from .types import Kind


def histogram(code: Code, op: Op) -> None:
    """Count the values of a tile."""
    values, *mask = op.operands
    bins, piece, b = op.attrs["bins"], code.take(op.result), code.b
    with code.nest():
        each(
            code, op.result.type.shape, lambda p: write_scratch(code, piece, p, Lanes("0", 0, code.base)), vector_axis(op.result.type.shape)
        )

    def count(point: Point) -> None:
        kind = Kind(values.type.elem, 0)
        text = evaluate(code, values, point).text
        place = elementwise(b, "cast", Kind(i64, 0), (kind,), text)
        inside = b.value(f"icmp ult i64 {place}, {bins}")
        if mask:
            inside = b.value(f"and i1 {inside}, {evaluate(code, mask[0], point).text}")

        def increment() -> str:
            at = b.effect(f"getelementptr i32, ptr {scratch_pointer(code, piece).text}, i64 {place}")
            more = b.effect(f"add i32 {b.effect(f'load i32, ptr {at}, align 4')}, 1")
            b.line(f"store i32 {more}, ptr {at}, align 4")
            return more

        b.when(inside, "i32", increment, "0")

    with code.nest():
        each(code, values.type.shape, count, None)
