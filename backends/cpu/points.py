"""Where an expression is evaluated: one index per axis of a tile, one of them perhaps the first of several lanes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Index:
    """base + offset along one axis; base is an SSA value of type i64, or None."""

    base: str | None
    offset: int
    depth: int  # of the region that computes base
    within: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)  # (lo, hi) known to hold it, all lanes
    beside: frozenset[tuple[Index, tuple[str, str]]] = field(default=frozenset(), compare=False)  # other indices, and what holds them

    def plus(self, count: int) -> Index:
        return replace(self, offset=self.offset + count)


def at_constant(offset: int) -> Index:
    return Index(None, offset, 0)


@dataclass(frozen=True)
class Point:
    """The elements (indices) to (indices + lanes - 1 along axis); without an axis one element."""

    indices: tuple[Index, ...]
    axis: int | None = None
    lanes: int = 0
    active: str | None = None  # a mask of the lanes that exist, when not all do

    def moved(self, indices: tuple[Index, ...], axis: int | None) -> Point:
        """The same lanes in another shape; without an axis they all see one element."""
        return Point(indices, axis, self.lanes, self.active) if axis is not None else Point(indices)

    def inside(self, axis: int, limits: tuple[str, str]) -> bool:
        """Whether limits are known to hold the index of an axis."""
        index = self.indices[axis]
        return limits in index.within or self.axis is not None and (index, limits) in self.indices[self.axis].beside


@dataclass(frozen=True)
class Lanes:
    """A value at a point: in a vector register, or in a scalar one (lanes 0) when all lanes agree."""

    text: str
    lanes: int
    depth: int  # of the region it lives in
