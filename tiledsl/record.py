"""Immutable records: what `dataclass(frozen=True)` makes of a class, without compiling code for it when it is imported.

Compiling the methods of our dataclasses took a third of the time of `import tiledsl`. A record makes do with the methods below,
that are slower to call; so it is for what there are few of. Many small values (types, values, places) remain dataclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, field
from functools import partial
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """A base for classes that declare fields as a dataclass does; `eq=False`: equal only to itself."""

    _fields: ClassVar[tuple[str, ...]] = ()
    _hidden: ClassVar[frozenset[str]] = frozenset()  # fields that repr leaves out
    _aside: ClassVar[frozenset[str]] = frozenset()  # fields that make no difference to whether two are equal
    _defaults: ClassVar[dict[str, Callable[[], Any]]] = {}
    _about: ClassVar[dict[str, Mapping[Any, Any]]] = {}  # metadata of fields that have some

    def __init_subclass__(cls, eq: bool = True) -> None:
        own = {name: cls.__dict__.get(name, MISSING) for name in cls.__dict__.get("__annotations__", ())}
        defaults, hidden, aside, about = dict(cls._defaults), set(cls._hidden), set(cls._aside), dict(cls._about)
        for name, value in own.items():
            if isinstance(value, Field):
                if not value.repr:
                    hidden.add(name)
                if not value.compare:
                    aside.add(name)
                if value.metadata:
                    about[name] = value.metadata
                if value.default_factory is not MISSING:
                    defaults[name] = value.default_factory
                elif value.default is not MISSING:
                    defaults[name] = partial(_same, value.default)
                delattr(cls, name)
            elif value is not MISSING:
                defaults[name] = partial(_same, value)
        cls._fields = (*cls._fields, *(name for name in own if name not in cls._fields))
        cls._defaults, cls._hidden, cls._aside, cls._about = defaults, frozenset(hidden), frozenset(aside), about
        if not eq:
            for method in ("__eq__", "__hash__"):
                if method not in cls.__dict__:
                    setattr(cls, method, getattr(object, method))

    def __init__(self, *values: Any, **named: Any):
        fields, own = self._fields, self.__dict__
        own.update(zip(fields, values, strict=False))
        for name, value in named.items():
            if name in own or name not in fields:
                raise TypeError(f"{type(self).__name__}() got {name!r}, which is " + ("given twice" if name in own else "no field"))
            own[name] = value
        if len(own) < len(fields):
            for name, default in self._defaults.items():
                if name not in own:
                    own[name] = default()
        if len(own) != len(fields) or len(values) > len(fields):
            got = f"{len(values)} values and {', '.join(named) or 'no names'}"
            raise TypeError(f"{type(self).__name__}() takes {', '.join(fields)}; got {got}")

    def items(self) -> list[tuple[str, Any]]:
        """The fields in order, with their values."""
        return [(name, getattr(self, name)) for name in self._fields]

    @classmethod
    def about(cls) -> Mapping[str, Mapping[Any, Any]]:
        """The metadata of fields that were declared with some."""
        return cls._about

    def but(self, **changes: Any) -> Self:
        """Another one, with these fields changed."""
        return type(self)(**{**dict(self.items()), **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields if name not in self._hidden)
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields if name not in self._aside)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._fields if name not in self._aside))


def _same(value: Any) -> Any:
    return value
