"""Sorting the rows of a tile, and counting its values."""

from __future__ import annotations

from tiledsl.ir.core import Op
from tiledsl.ir.types import Elem, bf16, f16, f32, f64, i64

from .access import pointer, scratch_pointer, write_scratch
from .code import Code, each
from .elementwise import elementwise
from .evaluate import assign, evaluate, vector_axis
from .points import Lanes, Point
from .types import Kind, is_float


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


def sort(code: Code, op: Op) -> None:
    """Sort the rows of a tile in memory."""
    (source,) = op.operands
    elem, shape = source.type.elem, source.type.shape
    piece = code.take(op.result)
    assign(code, source, piece)
    name = f"sort.{elem}.{'down' if op.attrs['descending'] else 'up'}"
    code.functions.setdefault(name, sorting_function(name, elem, op.attrs["descending"]))

    def row(point: Point) -> None:
        at = pointer(code, scratch_pointer(code, piece), list(zip(point.indices, piece.strides, strict=False)), elem)
        code.b.line(f"call void @{name}(ptr {at.text}, i64 {shape[-1]})")

    with code.nest():
        each(code, shape[:-1], row, None)


EXPONENT = {f16: 0x7C00, bf16: 0x7F80, f32: 0x7F800000, f64: 0x7FF0000000000000}  # the bits of infinity


def sorting_function(name: str, elem: Elem, descending: bool) -> list[str]:
    """Batcher's merge exchange, for any number of elements: pass after pass compares element i with i + d where bit p of i is r."""
    bits = f"i{elem.itemsize * 8}"
    keys: list[str] = []

    def key(x: str) -> str:
        """A signed or unsigned integer that orders as the value does."""
        if not is_float(elem):
            return x
        top = (1 << elem.itemsize * 8 - 1) - 1
        keys.extend(
            (
                f"{x}s = ashr {bits} {x}, {elem.itemsize * 8 - 1}",
                f"{x}m = and {bits} {x}s, {top}",
                f"{x}k = xor {bits} {x}, {x}m",
                f"{x}a = and {bits} {x}, {top}",
                f"{x}n = icmp ugt {bits} {x}a, {EXPONENT[elem]}",  # type: ignore[index]
                f"{x}o = select i1 {x}n, {bits} {top}, {bits} {x}k",
            )
        )
        return f"{x}o"

    order = ("s" if is_float(elem) or elem.is_signed else "u") + ("lt" if descending else "gt")
    compare = f"%swap = icmp {order} {bits} {key('%x')}, {key('%y')}"
    return [
        f"define internal void @{name}(ptr %row, i64 %n) nounwind {{",
        "start:",
        "%less = sub i64 %n, 1",
        "%zeros = call i64 @llvm.ctlz.i64(i64 %less, i1 false)",
        "%width = sub i64 63, %zeros",
        "%top = shl i64 1, %width",
        "%some = icmp sgt i64 %n, 1",
        "br i1 %some, label %outer, label %done",
        "outer:",
        "%p = phi i64 [ %top, %start ], [ %phalf, %outer.next ]",
        "br label %pass",
        "pass:",
        "%q = phi i64 [ %top, %outer ], [ %qhalf, %pass.next ]",
        "%r = phi i64 [ 0, %outer ], [ %p, %pass.next ]",
        "%d = phi i64 [ %p, %outer ], [ %dnext, %pass.next ]",
        "%last = sub i64 %n, %d",
        "br label %pair",
        "pair:",
        "%i = phi i64 [ 0, %pass ], [ %inext, %pair.next ]",
        "%bit = and i64 %i, %p",
        "%takes = icmp eq i64 %bit, %r",
        "br i1 %takes, label %exchange, label %pair.next",
        "exchange:",
        "%j = add i64 %i, %d",
        f"%px = getelementptr {bits}, ptr %row, i64 %i",
        f"%py = getelementptr {bits}, ptr %row, i64 %j",
        f"%x = load {bits}, ptr %px",
        f"%y = load {bits}, ptr %py",
        *keys,
        compare,
        f"%low = select i1 %swap, {bits} %y, {bits} %x",
        f"%high = select i1 %swap, {bits} %x, {bits} %y",
        f"store {bits} %low, ptr %px",
        f"store {bits} %high, ptr %py",
        "br label %pair.next",
        "pair.next:",
        "%inext = add i64 %i, 1",
        "%more = icmp slt i64 %inext, %last",
        "br i1 %more, label %pair, label %pass.next",
        "pass.next:",
        "%dnext = sub i64 %q, %p",
        "%qhalf = lshr i64 %q, 1",
        "%again = icmp sgt i64 %dnext, 0",
        "br i1 %again, label %pass, label %outer.next",
        "outer.next:",
        "%phalf = lshr i64 %p, 1",
        "%on = icmp sgt i64 %phalf, 0",
        "br i1 %on, label %outer, label %done",
        "done:",
        "ret void",
        "}",
    ]
