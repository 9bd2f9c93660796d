"""Tiles that live in memory: row-major in a worker's scratch arena."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiledsl.ir.types import Elem

ALIGNMENT = 64


@dataclass(frozen=True)
class Scratch:
    """A piece of the arena that holds a tile."""

    offset: int  # in bytes
    elem: Elem
    shape: tuple[int, ...]

    @property
    def strides(self) -> tuple[int, ...]:
        return row_major(self.shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements between neighbours along each axis."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


@dataclass
class Arena:
    """Hands out scratch memory; what is given back is used again."""

    size: int = 0
    free: list[tuple[int, int]] | None = None  # (offset, size), sorted, with gaps between

    def take(self, elem: Elem, shape: tuple[int, ...]) -> Scratch:
        """The lowest free piece that fits."""
        need = _padded(elem.itemsize * math.prod(shape))
        holes = self.free = self.free or []
        for position, (offset, size) in enumerate(holes):
            if size >= need:
                holes[position : position + 1] = [(offset + need, size - need)] if size > need else []
                return Scratch(offset, elem, shape)
        return self.keep(elem, shape)

    def keep(self, elem: Elem, shape: tuple[int, ...]) -> Scratch:
        """A piece that nothing else uses before; if it is not given back, it lasts from program to program."""
        offset, self.size = self.size, self.size + _padded(elem.itemsize * math.prod(shape))
        return Scratch(offset, elem, shape)

    def give(self, piece: Scratch) -> None:
        """Make a piece available again."""
        holes = [*(self.free or []), (piece.offset, _padded(piece.elem.itemsize * math.prod(piece.shape)))]
        merged: list[tuple[int, int]] = []
        for offset, size in sorted(holes):
            if merged and merged[-1][0] + merged[-1][1] == offset:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((offset, size))
        self.free = merged


def _padded(size: int) -> int:
    # more than needed: the last vector of a tile may be read whole, and power-of-two tiles start in different cache sets
    return -(-size // ALIGNMENT) * ALIGNMENT + 2 * ALIGNMENT
