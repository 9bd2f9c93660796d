"""`tl.tuple`: tuples as kernels see them, with the fields of a named tuple if it had any."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any


class tuple(builtins.tuple):
    """A tuple of a kernel; `fields` name its items, as a named tuple's do."""

    fields: Sequence[str] | None

    def __new__(cls, items: Iterable[Any] = (), fields: Sequence[str] | None = None) -> tuple:
        made = super().__new__(cls, builtins.tuple(items))
        made.fields = builtins.tuple(fields) if fields else None
        return made

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__.get("fields")
        if fields and name in fields:
            return self[fields.index(name)]
        raise AttributeError(f"a tuple has no field `{name}`")


class tuple_type:
    """The type of a tuple: the types of its items."""

    def __init__(self, types: Iterable[Any], fields: Sequence[str] | None = None):
        self.types, self.fields = builtins.list(types), fields
        self.name = f"[{','.join(map(str, self.types))}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple_type) and self.types == other.types

    def __hash__(self) -> int:
        return hash(builtins.tuple(self.types))

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


class constexpr_type:
    """The type of a compile-time value: the value itself."""

    def __init__(self, value: Any):
        self.value = getattr(value, "value", value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, constexpr_type) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"constexpr_type[{self.value}]"
