"""Where tiles lie: a view is a buffer seen through extents and strides, so most shape ops move nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tiledsl.ir.types import DTYPES, DType, Pointer, Tile, i64

from ..isa.state import SPM
from .names import Buffer, Reg


@dataclass(frozen=True)
class View:
    """Elements in a buffer; strides are in bytes, 0 repeats an element; a register may move it while the program runs."""

    buffer: Buffer
    dtype: DType
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    moved: Reg | None = None  # holds how many bytes further it lies

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def is_whole(self) -> bool:
        """The view is its buffer: all of it, in row-major order."""
        extents, (strides,) = common_axes([self])
        steps = dense_strides(extents, self.dtype.itemsize)
        return self.moved is None and self.offset == 0 and tuple(strides) == steps and self.size * self.dtype.itemsize == self.buffer.nbytes

    def span(self) -> tuple[int, int]:
        """The bytes it may touch, counted from the start of its buffer."""
        if self.moved is not None:
            return 0, self.buffer.nbytes
        reach = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        low = self.offset + sum(min(r, 0) for r in reach)
        return low, self.offset + sum(max(r, 0) for r in reach) + self.dtype.itemsize

    def retyped(self, dtype: DType) -> View:
        """The same bytes as elements of another type of the same size."""
        assert dtype.itemsize == self.dtype.itemsize
        return replace(self, dtype=dtype)

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """Axes of extent one, or a single element, repeated."""
        old = self.strides if self.shape else (0,) * len(shape)
        mine = self.shape or (1,) * len(shape)
        return replace(self, shape=shape, strides=tuple(s if a == b else 0 for a, b, s in zip(mine, shape, old, strict=True)))

    def transpose(self, order: Sequence[int]) -> View:
        return replace(self, shape=tuple(self.shape[i] for i in order), strides=tuple(self.strides[i] for i in order))

    def part(self, axis: int, start: int, stop: int) -> View:
        """The elements start <= i < stop along an axis."""
        shape = (*self.shape[:axis], stop - start, *self.shape[axis + 1 :])
        return replace(self, offset=self.offset + start * self.strides[axis], shape=shape)

    def at(self, axis: int, index: int) -> View:
        """One element along an axis, which goes away."""
        kept = self.part(axis, index, index + 1)
        return replace(kept, shape=_without(kept.shape, axis), strides=_without(kept.strides, axis))

    def reshape(self, shape: tuple[int, ...]) -> View | None:
        """The same elements in another shape, or None if that takes a copy."""
        extents, (merged,) = common_axes([self])
        strides: list[int] = []
        axis, left = len(extents) - 1, extents[-1] if extents else 1
        step = merged[-1] if extents else 0
        for extent in reversed(shape):
            if extent == 1:
                strides.append(0)
                continue
            if left == 1:
                axis -= 1
                left, step = extents[axis], merged[axis]
            if left % extent:
                return None
            strides.append(step)
            left, step = left // extent, step * extent
        return replace(self, shape=shape, strides=tuple(reversed(strides)))


@dataclass(frozen=True)
class Box:
    """Elements in DRAM: a byte address, strides in bytes and bounds in registers, and what stands for elements out of bounds."""

    dtype: DType
    base: Reg
    shape: tuple[int, ...]
    strides: tuple[Reg, ...]
    bounds: tuple[tuple[Reg, Reg] | None, ...]
    fill: Reg | None = None


def _without(items: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*items[:axis], *items[axis + 1 :])


def common_axes(views: Sequence[View]) -> tuple[list[int], list[list[int]]]:
    """Extents, and the strides of each view, with axes of extent one dropped and neighbours that every view runs through
    in one stride merged."""
    extents: list[int] = []
    strides: list[list[int]] = [[] for _ in views]
    for axis, extent in enumerate(views[0].shape):
        steps = [v.strides[axis] for v in views]
        if extent == 1:
            continue
        if extents and all(s[-1] == step * extent for s, step in zip(strides, steps, strict=True)):
            extents[-1] *= extent
            for s, step in zip(strides, steps, strict=True):
                s[-1] = step
        else:
            extents.append(extent)
            for s, step in zip(strides, steps, strict=True):
                s.append(step)
    return extents, strides


def pieces(views: Sequence[View], rank: int) -> Iterator[list[View]]:
    """Views of one shape taken apart until a descriptor of this rank can hold each piece; few pieces are best."""
    extents, strides = common_axes(views)
    outer = max(0, len(extents) - rank)
    for index in itertools.product(*map(range, extents[:outer])):
        yield [_at(view, steps, index, extents) for view, steps in zip(views, strides, strict=True)]


def _at(view: View, strides: Sequence[int], index: Sequence[int], extents: Sequence[int]) -> View:
    outer = len(index)
    offset = view.offset + sum(i * step for i, step in zip(index, strides[:outer], strict=True))
    return replace(view, offset=offset, shape=tuple(extents[outer:]), strides=tuple(strides[outer:]))


def dense_strides(shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Row-major strides in bytes."""
    strides = []
    step = itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def element(tile: Tile) -> DType:
    """How the machine holds an element: pointers are addresses in i64."""
    return i64 if isinstance(tile.elem, Pointer) else DTYPES[tile.elem.name]


def dense(shape: Sequence[int], dtype: DType, space: int = SPM) -> View:
    """A new buffer for a tile, and the view of all of it."""
    nbytes = math.prod(shape) * dtype.itemsize
    return View(Buffer(nbytes, space), dtype, 0, tuple(shape), dense_strides(shape, dtype.itemsize))
