"""Classes of tiles: `@aggregate` makes a class with typed fields that kernels make, carry, pass and return."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from .core import constexpr, unwrap

MISSING = object()


class _Meta(type):
    """Calling an aggregate makes a finished instance."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("_semantic", None)
        return construct(cls, args, kwargs)


class Aggregate(metaclass=_Meta):
    """What every aggregate derives from: fields in order, fixed once it is made."""

    aggregate_fields: dict[str, Any] = {}
    aggregate_defaults: dict[str, Any] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_is_made"):
            raise AttributeError(f"cannot assign to field '{name}' on immutable aggregate {type(self).__name__}")
        kind = self.aggregate_fields.get(name, MISSING)
        if kind is MISSING:
            raise AttributeError(f"{type(self).__name__} has no field '{name}'")
        object.__setattr__(self, name, _fitted(kind, value))

    def parts(self) -> tuple[Any, ...]:
        """The fields, in order."""
        return tuple(unwrap(getattr(self, name)) for name in self.aggregate_fields)

    def with_parts(self, parts: Sequence[Any]) -> Any:
        """The same object with other fields."""
        return self.replaced(dict(zip(self.aggregate_fields, parts, strict=True)))

    def leaves(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.aggregate_fields}

    def replaced(self, fields: Mapping[str, Any]) -> Any:
        """Another of its class with these fields."""
        made = object.__new__(type(self))
        for name in self.aggregate_fields:
            setattr(made, name, fields.get(name, getattr(self, name)))
        made.__dict__["_is_made"] = True
        return made


def _fitted(kind: Any, value: Any) -> Any:
    """A value as a field of this kind holds it."""
    if kind is constexpr:
        return value if isinstance(value, constexpr) else constexpr(value)
    if getattr(kind, "__name__", "") == "tuple":
        return as_tuple(value)
    return value


def as_tuple(value: Any) -> Any:
    """A tuple as aggregates keep it on the host: of tl.constexpr."""
    from .tuples import tuple as language_tuple  # which is an aggregate itself

    value = unwrap(value)
    items = [item if isinstance(item, constexpr) or not isinstance(item, (bool, int, float, str)) else constexpr(item) for item in value]
    return language_tuple(items, getattr(type(value), "_fields", None))


def aggregate(cls: type) -> type:
    """Make a class whose instances hold tiles: fields are its annotations, `__init__` is made unless it has one."""
    if any(not issubclass(base, Aggregate) for base in cls.__bases__ if base is not object):
        raise TypeError("Aggregates can only inherit from other aggregates")
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Aggregate) and base is not Aggregate:
            fields |= base.aggregate_fields
            defaults |= base.aggregate_defaults
    own = _annotations(cls)
    fields |= own
    defaults |= {name: vars(cls)[name] for name in own if name in vars(cls)}
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__", *own)}
    for value in body.values():
        inner = getattr(value, "__func__", value)
        if isinstance(inner, FunctionType):
            inner.in_aggregate = True  # type: ignore[attr-defined]
    bases = tuple(base for base in cls.__bases__ if base is not object) or (Aggregate,)
    made = _Meta(cls.__name__, bases, {**body, "aggregate_fields": fields, "aggregate_defaults": defaults})
    made.__module__, made.__qualname__, made.__doc__ = cls.__module__, cls.__qualname__, cls.__doc__
    _rebind(body.values(), cls, made)
    return made


def _annotations(cls: type) -> dict[str, Any]:
    """The annotations of a class itself; those that are text, evaluated."""
    own = inspect.get_annotations(cls)
    if any(isinstance(kind, str) for kind in own.values()):
        try:
            found = typing.get_type_hints(cls)
            return {name: found[name] for name in own}
        except (NameError, TypeError):
            return {name: constexpr if isinstance(kind, str) and "constexpr" in kind else kind for name, kind in own.items()}
    return own


def _rebind(values: Any, old: type, new: type) -> None:
    """Functions that name their own class by `super()` or `__class__` mean the new one."""
    for value in values:
        for cell in getattr(getattr(value, "fn", value), "__closure__", None) or ():
            try:
                if cell.cell_contents is old:
                    cell.cell_contents = new
            except ValueError:
                continue


def construct(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: Callable[..., Any] | None = None) -> Any:
    """An instance; `call` runs an `__init__` of the class's own."""
    made: Any = object.__new__(cls)
    init = next((vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and issubclass(base, Aggregate)), None)
    if init is not None:
        (call or _plain)(init, (made, *args), kwargs)
    else:
        for name, value in _bound(cls, args, kwargs).items():
            setattr(made, name, value)
    missing = [name for name in cls.aggregate_fields if name not in made.__dict__]  # type: ignore[attr-defined]
    if missing:
        raise AttributeError(f"{cls.__name__}: the field `{missing[0]}` is not set")
    post = getattr(cls, "__post_init__", None)
    if post is not None:
        (call or _plain)(post, (made,), {})
    made.__dict__["_is_made"] = True
    return made


def _plain(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return function(*args, **kwargs)


def _bound(cls: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by name from the arguments of a call."""
    names = list(cls.aggregate_fields)
    if len(args) > len(names):
        raise TypeError(f"{cls.__name__} takes {len(names)} fields, got {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in cls.aggregate_fields or name in given:
            raise TypeError(f"{cls.__name__} has no field '{name}'" if name not in names else f"two values for the field '{name}'")
        given[name] = value
    return {name: given[name] if name in given else _default(cls, name) for name in names}


def _default(cls: Any, name: str) -> Any:
    if name not in cls.aggregate_defaults:
        raise TypeError(f"{cls.__name__} is made without the field '{name}'")
    return cls.aggregate_defaults[name]


def aggregate_replace(obj: Any, **changes: Any) -> Any:
    """A copy of an aggregate with other values in some fields."""
    if not isinstance(obj, Aggregate):
        raise TypeError(f"aggregate_replace expects an aggregate instance, got {type(obj).__name__}")
    unknown = next((name for name in changes if name not in obj.aggregate_fields), None)
    if unknown is not None:
        raise TypeError(f"{type(obj).__name__} has no field '{unknown}'")
    return obj.replaced(changes)
