"""Objects made of tiles: what they hold can be carried by loops and branches, the rest is known at compile time."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

T = TypeVar("T", bound="Aggregate")


@dataclass(frozen=True)
class Aggregate:
    """Base of such objects: a frozen dataclass whose fields are tiles, tuples of tiles, or compile-time values."""

    def parts(self) -> tuple[Any, ...]:
        """The fields, in order."""
        return tuple(getattr(self, f.name) for f in fields(self))

    def with_parts(self: T, parts: tuple[Any, ...]) -> T:
        """The same object with other fields."""
        return replace(self, **{f.name: part for f, part in zip(fields(self), parts, strict=True)})
