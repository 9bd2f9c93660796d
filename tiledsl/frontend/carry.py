"""What a loop or a branch hands on: the tiles inside a variable, and whether two variables are of one kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir.core import Builder, Value
from ..ir.types import Tile
from ..language import coerce
from ..language.aggregates import Aggregate
from ..language.core import unwrap


@dataclass(frozen=True)
class Undefined:
    """A name that may have no value here, and why."""

    reason: str


@dataclass(frozen=True)
class Ended(Undefined):
    """The index of a loop that has ended: in Triton undefined, here what Python gives, made where somebody wants it. Valid in
    the block of the loop and those inside it."""

    value: Callable[[Builder], Value]


def flatten(value: Any) -> list[Value]:
    """The tiles inside a variable, in order; compile-time parts have none."""
    if isinstance(value, Value):
        return [value]
    if isinstance(value, Aggregate):
        return flatten(value.parts())
    if isinstance(value, tuple):
        return [leaf for item in value for leaf in flatten(item)]
    return []


def restore(template: Any, leaves: list[Value]) -> Any:
    """The variable with other tiles inside; takes them from the front of leaves."""
    if isinstance(template, Value):
        return leaves.pop(0)
    if isinstance(template, Aggregate):
        return template.with_parts(restore(template.parts(), leaves))
    if isinstance(template, tuple):
        return like(template, [restore(item, leaves) for item in template])
    return template


def like(template: tuple[Any, ...], items: list[Any]) -> tuple[Any, ...]:
    """Items as a tuple of the template's kind: a named tuple keeps its names."""
    if hasattr(template, "_fields"):
        return type(template)(*items)
    fields = getattr(template, "fields", None)
    return type(template)(items, fields) if fields else tuple(items)  # type: ignore[call-arg]


def settled(build: Builder, value: Any) -> Any:
    """A variable as it is kept under a plain name: numbers become scalars of the kernel, the rest stays."""
    value = unwrap(value)
    if isinstance(value, (bool, int, float)):
        return coerce.tensor(build, value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return like(value, [settled(build, item) for item in value])
    if isinstance(value, list):
        return tuple(settled(build, item) for item in value)
    return value


def kind_of(value: Any) -> Any:
    """What must not change from one iteration, or from one branch, to the other."""
    if isinstance(value, Value):
        return value.type
    if isinstance(value, Aggregate):
        return (type(value), *kind_of(value.parts()))
    if isinstance(value, tuple):
        return (type(value), *(kind_of(item) for item in value))
    return value


def describe(kind: Any) -> str:
    """A kind as a message names it."""
    if isinstance(kind, Tile):
        return str(kind)
    if isinstance(kind, tuple) and kind and isinstance(kind[0], type):
        return f"({', '.join(map(describe, kind[1:]))})"
    return coerce.describe(kind)
