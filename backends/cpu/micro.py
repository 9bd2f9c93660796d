"""The innermost loops of a matrix product: a block of sums in registers, to which rows of A and a panel of B add.

    C[rows, columns] += A[rows, k] @ B[k, columns]

Written once per shape and kernel of the user, without a special case for the first step: sums begin as what C holds.
"""

from __future__ import annotations

from tiledsl.ir.types import DType
from tiledsl.record import Record

from .code import Code
from .emit import Builder, Scalar
from .joint import Joint
from .types import Kind, decoded, memory, register, vector


class Micro(Record):
    """Micro-kernels that differ in their rows only."""

    elem: DType  # of C
    stored: DType  # of B in memory
    columns: int  # of a panel
    width: int  # columns of C
    unroll: int  # steps of k per iteration
    cut: bool  # whether C may have fewer columns than the panel
    joint: Joint | None  # elements of A and B are several smaller ones, multiplied by this

    def function(self, code: Code, rows: int) -> str:
        """The name of a function of A, whose rows lie `stride` bytes apart and have k elements in `end` bytes; of B, whose rows lie
        `step` bytes apart; of C, of how many `columns` C has, and of what is taken from the sums of each row beforehand."""
        name = f"multiply.{self.elem}.{rows}x{self.columns}.{self.width}.{self.unroll}{'.cut' * self.cut}"
        name += f".{self.stored}" * (self.stored is not self.elem)
        name += f".{self.joint.left}x{self.joint.count}" if self.joint is not None else ""
        if name not in code.functions:
            code.functions[name] = []
            body = self._body(Builder(code.b.declared), code.machine.lanes(self.elem.bits), rows)
            given = "ptr noalias readonly %a, i64 %stride, ptr noalias readonly %b, i64 %step, ptr noalias %c, i64 %end, i64 %columns"
            given += ", ptr noalias readonly %less" * self._moved
            head = f"define internal void @{name}({given}) nounwind noinline {{"
            code.functions[name] = [head, "entry:", *body, "ret void", "}"]
        return name

    @property
    def _moved(self) -> bool:
        return self.joint is not None and self.joint.moved

    def _body(self, b: Builder, lanes: int, rows: int) -> list[str]:
        lanes = min(lanes, self.columns)
        kind = Kind(self.elem, lanes if lanes > 1 else 0)
        scalar, size = register(self.elem), self.elem.itemsize
        vectors = self.columns // lanes
        places = [b.value(f"getelementptr {scalar}, ptr %c, i64 {i * self.width + j * lanes}") for i in range(rows) for j in range(vectors)]
        masks = [_below(b, lanes, b.sub("%columns", j * lanes)) for j in range(vectors)] if self.cut else []
        sums = [(kind.text, _read(b, kind, at, size, masks[n % vectors] if self.cut else "")) for n, at in enumerate(places)]
        if self._moved:
            sums = [(kind.text, self._reduced(b, kind, total, n // vectors)) for n, (_, total) in enumerate(sums)]
        starts = [b.value(f"getelementptr i8, ptr %a, i64 {b.mul('%stride', i)}") for i in range(rows)]
        with b.loop(0, "%end", self.unroll * size, [*sums, ("ptr", "%b")]) as loop:
            *totals, b_here = loop.carried
            heres = [b.value(f"getelementptr i8, ptr {start}, i64 {loop.index}") for start in starts]
            for step in range(self.unroll):
                across = [b.value(f"getelementptr {memory(self.stored)}, ptr {b_here}, i64 {j * lanes}") for j in range(vectors)]
                row = [_widened(b, Kind(self.stored, kind.lanes), at) for at in across]
                for i in range(rows):
                    one = b.effect(f"load {scalar}, ptr {b.value(f'getelementptr {scalar}, ptr {heres[i]}, i64 {step}')}, align 1")
                    wide = _spread(b, kind, scalar, one)
                    for j in range(vectors):
                        totals[i * vectors + j] = self._added(b, kind, wide, row[j], totals[i * vectors + j])
                b_here = b.value(f"getelementptr i8, ptr {b_here}, i64 %step")
            loop.next = [*totals, b_here]
        for n, (at, total) in enumerate(zip(places, loop.carried, strict=False)):
            _write(b, kind, at, size, masks[n % vectors] if self.cut else "", total)
        return b.finish()

    def _reduced(self, b: Builder, kind: Kind, total: str, row: int) -> str:
        """Sums of a row before the first step."""
        less = b.value(f"load {register(self.elem)}, ptr {b.value(f'getelementptr {register(self.elem)}, ptr %less, i64 {row}')}, align 4")
        return b.value(f"sub {kind.text} {total}, {_spread(b, kind, register(self.elem), less)}")

    def _added(self, b: Builder, kind: Kind, x: str, y: str, total: str) -> str:
        """A sum plus x * y."""
        if self.joint is not None:
            return self.joint.add(b, kind, x, y, total)
        if self.elem.is_float:
            return b.call(kind.text, f"llvm.fma.{kind.suffix}", (kind.text, x), (kind.text, y), (kind.text, total))
        return b.value(f"add {kind.text} {total}, {b.value(f'mul {kind.text} {x}, {y}')}")


def _widened(b: Builder, kind: Kind, at: str) -> str:
    """A vector of B from memory."""
    return decoded(b, kind, b.effect(f"load {vector(memory(kind.elem), kind.lanes)}, ptr {at}, align {kind.elem.itemsize}"))


def _below(b: Builder, lanes: int, count: Scalar) -> str:
    """A mask of the first lanes."""
    few = b.value(f"trunc i64 {count} to i32")
    low = b.value(f"insertelement {vector('i32', lanes)} poison, i32 {few}, i64 0")
    all_ = b.value(f"shufflevector {vector('i32', lanes)} {low}, {vector('i32', lanes)} poison, {vector('i32', lanes)} zeroinitializer")
    return b.value(f"icmp slt {vector('i32', lanes)} <{', '.join(f'i32 {k}' for k in range(lanes))}>, {all_}")


def _read(b: Builder, kind: Kind, at: str, size: int, mask: str) -> str:
    if not mask:
        return b.effect(f"load {kind.text}, ptr {at}, align {size}")
    given = ("ptr", at), ("i32", str(size)), (kind.mask, mask), (kind.text, "zeroinitializer")
    return b.call(kind.text, f"llvm.masked.load.{kind.suffix}.p0", *given, pure=False, immediate=(1,))


def _write(b: Builder, kind: Kind, at: str, size: int, mask: str, total: str) -> None:
    if not mask:
        b.line(f"store {kind.text} {total}, ptr {at}, align {size}")
        return
    given = (kind.text, total), ("ptr", at), ("i32", str(size)), (kind.mask, mask)
    b.call("void", f"llvm.masked.store.{kind.suffix}.p0", *given, immediate=(2,))


def _spread(b: Builder, kind: Kind, scalar: str, one: str) -> str:
    if not kind.lanes:
        return one
    low = b.value(f"insertelement {kind.text} poison, {scalar} {one}, i64 0")
    return b.value(f"shufflevector {kind.text} {low}, {kind.text} poison, {vector('i32', kind.lanes)} zeroinitializer")
