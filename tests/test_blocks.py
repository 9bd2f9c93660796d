"""Random affine accesses: blocks finds the addresses and masks that the pointers spell out."""

from __future__ import annotations

from typing import Any

import numpy as np
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledsl import ops, passes
from tiledsl.ir.core import Block, Builder, Kernel, Value
from tiledsl.ir.types import Pointer, Tile, i1, i32, i64
from tiledsl.machine import Machine
from tiledsl.passes.pipeline import Pass
from tiledsl.testing.cases import Array, Case
from tiledsl.testing.oracle import RAW, agrees_before_and_after, compare

SHAPES = ((5,), (4, 3), (1, 4), (3, 1), (2, 3, 2), (2, 2, 1))
COMPARISONS = (ops.lt, ops.le, ops.gt, ops.ge)
MIDDLE = 4000  # further than any index reaches
BLOCKS = Pass("blocks", passes.blocks, "under test")
STEPS = [Pass("simplify", passes.simplify, "as it comes before blocks"), BLOCKS, Pass("tidy", passes.tidy, "and after")]


class Author:
    """Draws index tiles and masks of one shape."""

    def __init__(self, draw: st.DrawFn, shape: tuple[int, ...], elem: Any, lookups: bool = False):
        self.draw, self.shape, self.elem = draw, shape, elem
        self.leaves = ("axis", "turned", "number", "scalar", *["rest"] * 3 * lookups)
        self.x, self.out = (Value(Tile(Pointer(i32)), name) for name in ("x", "out"))
        self.s, self.n = (Value(Tile(i32), name) for name in ("s", "n"))
        self.build = Builder(Block([self.x, self.out, self.s, self.n]))

    def emit(self, spec: Any, *operands: Value, **attrs: Any) -> Value:
        made: Value = self.build.emit(spec, *operands, **attrs)
        return made

    def wide(self, x: Value) -> Value:
        return self.emit(ops.cast, x, to=i64) if self.elem is i64 else x

    def constant(self, number: int, shape: tuple[int, ...]) -> Value:
        return self.emit(ops.constant, value=number, type=Tile(self.elem, shape))

    def axis(self, shape: tuple[int, ...]) -> Value:
        """The index along one axis; of the transposed shape, transposed, now and then."""
        d = self.draw(st.integers(0, len(shape) - 1))
        lanes = self.wide(self.emit(ops.arange, start=0, stop=shape[d]))
        column = self.emit(ops.reshape, lanes, shape=tuple(e if i == d else 1 for i, e in enumerate(shape)))
        return self.emit(ops.broadcast, column, shape=shape)

    def rest(self, d: int) -> Value:
        """What the index along one axis, moved, leaves when divided by a number."""
        extent = self.shape[d]
        moved = self.emit(ops.add, self.emit(ops.arange, start=0, stop=extent), self.emit(ops.broadcast, self.s, shape=(extent,)))
        by = self.emit(ops.constant, value=self.draw(st.integers(1, 5)), type=Tile(i32, (extent,)))
        column = self.emit(
            ops.reshape, self.wide(self.emit(ops.rem, moved, by)), shape=tuple(extent if i == d else 1 for i in range(len(self.shape)))
        )
        return self.emit(ops.broadcast, column, shape=self.shape)

    def index(self, depth: int = 2) -> Value:
        shape = self.shape
        kind = self.draw(st.sampled_from(self.leaves if not depth else ("sum", "difference", "minus", "times", "axis")))
        if kind == "axis":
            return self.axis(shape)
        if kind == "rest":
            return self.rest(self.draw(st.integers(0, len(shape) - 1)))
        if kind == "turned":
            return self.emit(ops.transpose, self.axis(shape[::-1]), order=tuple(reversed(range(len(shape)))))
        if kind == "number":
            return self.constant(self.draw(st.integers(-3, 3)), shape)
        if kind == "scalar":
            return self.emit(ops.broadcast, self.wide(self.s), shape=shape)
        x = self.index(depth - 1)
        if kind == "minus":
            return self.emit(ops.neg, x)
        if kind == "times":
            factor = self.draw(st.sampled_from((None, -2, -1, 2, 3)))
            by = self.emit(ops.broadcast, self.wide(self.s), shape=shape) if factor is None else self.constant(factor, shape)
            return self.emit(ops.mul, x, by)
        return self.emit(ops.add if kind == "sum" else ops.sub, x, self.index(depth - 1))

    def mask(self, depth: int = 2) -> Value:
        kind = self.draw(st.sampled_from(("below", "compare", "scalar") if not depth else ("and", "and", "or", "not", "below", "compare")))
        if kind in ("and", "or"):
            return self.emit(ops.and_ if kind == "and" else ops.or_, self.mask(depth - 1), self.mask(depth - 1))
        if kind == "not":
            return self.emit(ops.not_, self.mask(depth - 1))
        if kind == "scalar":
            return self.emit(ops.broadcast, self.emit(ops.lt, self.s, self.n), shape=self.shape)
        limit = self.emit(ops.broadcast, self.wide(self.n), shape=self.shape)
        return self.emit(self.draw(st.sampled_from(COMPARISONS)), self.index(), self.index() if kind == "compare" else limit)

    def pointers(self, base: Value, index: Value) -> Value:
        return self.emit(ops.offset, self.emit(ops.broadcast, base, shape=self.shape), index)


@st.composite
def accesses(draw: st.DrawFn, lookups: bool = False) -> Case:
    """A kernel that reads one affine tile and writes another, under masks."""
    author = Author(draw, draw(st.sampled_from(SHAPES)), draw(st.sampled_from((i32, i64))), lookups)
    middle = author.constant(MIDDLE, ())
    source = author.pointers(author.emit(ops.offset, author.x, middle), author.index())
    mask = author.mask()
    other = draw(st.sampled_from((None, "scalar", "tile")))
    if other is None:
        loaded = author.emit(ops.load, source, mask)
    else:
        rest = author.emit(ops.broadcast, author.n, shape=author.shape)
        if other == "tile":
            rest = author.emit(ops.add, rest, author.emit(ops.cast, author.index(), to=i32))
        loaded = author.emit(ops.load, source, mask, rest)
    target = author.pointers(author.emit(ops.offset, author.out, middle), author.index())
    stored_mask = [author.mask()] if draw(st.booleans()) else []
    author.build.emit(ops.store, target, loaded, *stored_mask)
    size = 2 * MIDDLE + 1
    arrays = Array("x", i32, np.arange(1, size + 1, dtype=np.int32)), Array("out", i32, np.zeros(size, np.int32))
    return Case(Kernel("access", author.build.block), (1, 1, 1), (*arrays, draw(st.integers(-4, 4)), draw(st.integers(-5, 12))))


@settings(max_examples=examples(150))
@given(accesses())
def test_affine_accesses_become_the_blocks_they_are(case: Case) -> None:
    agrees_before_and_after(case, STEPS)
    kernel = passes.blocks(case.kernel, Machine("any"))
    assert not any(op.spec in (ops.load, ops.store) for op in kernel.body.walk())


@settings(max_examples=examples(100))
@given(accesses(lookups=True))
def test_blocks_look_offsets_up(case: Case) -> None:
    agrees_before_and_after(case, STEPS, Machine("any", offsets=True))
    compare(case, (RAW, "cpu"))


def test_a_mask_of_bounds_needs_no_lanes() -> None:
    """A box is all that is left of bounds on each axis, whichever way they are written."""
    build = Builder(Block([Value(Tile(Pointer(i32)), "x"), Value(Tile(i32), "n")]))
    x, n = build.block.args
    lanes = build.emit(ops.arange, start=0, stop=4)
    limit = build.emit(ops.broadcast, n, shape=(4,))
    mask = build.emit(
        ops.and_, build.emit(ops.gt, limit, lanes), build.emit(ops.ge, lanes, build.emit(ops.constant, value=1, type=Tile(i32, (4,))))
    )
    square = build.emit(ops.broadcast, build.emit(ops.reshape, mask, shape=(1, 4)), shape=(4, 4))
    turned = build.emit(ops.transpose, square, order=(1, 0))
    both = build.emit(ops.and_, square, turned)
    pointers = build.emit(ops.broadcast, x, shape=(4, 4))
    build.emit(ops.store, pointers, build.emit(ops.constant, value=7, type=Tile(i32, (4, 4))), both)
    kernel = passes.tidy(passes.blocks(Kernel("k", build.block), Machine("any")), Machine("any"))
    (stored,) = (op for op in kernel.body.ops if op.spec is ops.store_block)
    assert stored.attrs == {"checked": (0, 1), "masked": False}
    assert i1 not in {v.type.elem for op in kernel.body.ops for v in op.results}
