"""What a kernel's names can stand for: compile-time values, builtins, and the context a builtin works in."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

from ..ir.core import Builder, Value
from ..ir.types import Tile
from ..messages import Message

LANGUAGE = __package__
MODULES = frozenset(("math", "random", "libdevice"))  # files of it that kernels name; of the others they name what is in them


class constexpr:
    """A compile-time value: the annotation of a parameter or local, or `constexpr(v)` around a value."""

    def __init__(self, value: Any):
        self.value: Any = value.value if isinstance(value, constexpr) else value

    def __repr__(self) -> str:
        return f"constexpr[{self.value}]"

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value(*args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self.value[unwrap(key)]


def _forwarded(apply: Callable[..., Any], *, reflected: bool = False) -> Callable[..., constexpr]:
    def method(self: constexpr, *others: Any) -> constexpr:
        values = [self.value, *map(unwrap, others)]
        return constexpr(apply(*(reversed(values) if reflected else values)))

    return method


_BINARY = "add sub mul truediv floordiv mod pow lshift rshift and_ or_ xor".split()
for _name in [*_BINARY, *"lt le gt ge eq ne neg pos invert".split()]:
    _apply = getattr(operator, _name)  # and not the method of the value, which may know only its own type
    setattr(constexpr, f"__{_name.rstrip('_')}__", _forwarded(_apply))
    if _name in _BINARY:
        setattr(constexpr, f"__r{_name.rstrip('_')}__", _forwarded(_apply, reflected=True))


def unwrap(value: Any) -> Any:
    """The value inside a constexpr; anything else as it is."""
    return value.value if isinstance(value, constexpr) else value


class Context(Protocol):
    """What a builtin may ask of the frontend that calls it."""

    build: Builder

    @property
    def debug(self) -> bool:
        """Whether assertions are compiled in."""
        ...

    def message(self, message: Message) -> tuple[Value, int]:
        """The buffer for what the kernel says, and the number of this message in it."""
        ...

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
        """Inline a jit function."""
        ...

    def call_per_lane(self, function: Any, args: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """Inline a function of scalars on tiles of a shape; its control flow is followed lane by lane."""
        ...

    def nested(self, types: Iterable[Tile]) -> Context:
        """A context whose ops go to a new block with arguments of these types (`build.block.args`)."""
        ...


PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
NOUNS = {"Value": "a tile", "BlockPointer": "a block pointer", "TensorDescriptor": "a tensor descriptor"}


def _nouns(annotation: Any) -> dict[str, str]:
    """What a parameter must be, by class and in words, if its annotation says nothing else."""
    names = [part.strip() for part in annotation.split("|")] if isinstance(annotation, str) else []
    return {name: NOUNS[name] for name in names} if names and all(name in NOUNS for name in names) else {}


def is_room(value: Any) -> bool:
    """Whether a value is a file of the language that Python has made an attribute of it: `tl.shape` is no name of kernels."""
    package, _, name = value.__name__.rpartition(".") if isinstance(value, ModuleType) else ("", "", "")
    return package == LANGUAGE and name not in MODULES


def _outside(name: str) -> str:
    """What a call of a function of the language says that stands in no kernel."""
    return f"tl.{name} can only be called inside a function decorated with @tiledsl.jit; outside, use NumPy, tiledsl.cdiv, Python"


class Builtin:
    """A function of the language: inside a kernel it receives the context first, outside it cannot be called."""

    __name__: str

    def __init__(self, function: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self.__qualname__ = self.__name__  # made by a factory or not: caches tell builtins apart by it
        self.function = function

    @functools.cached_property  # and not in __init__: `import tiledsl` makes a hundred of these
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature(list(inspect.signature(self.function).parameters.values())[1:])

    @functools.cached_property
    def takes(self) -> dict[str, dict[str, str]]:
        """What parameters must be, those that say so."""
        parameters = self.__signature__.parameters.values()
        return {p.name: names for p in parameters if p.kind in PLAIN and (names := _nouns(p.annotation))}

    def misfit(self, given: Mapping[str, Any]) -> str:
        """The first parameter that must be a tile, or another object of kernels, and is given something else; or nothing."""
        for name, kinds in self.takes.items():
            if name in given and not any(kind.__name__ in kinds for kind in type(unwrap(given[name])).__mro__):
                return name
        return ""

    def enter(self, ctx: Context, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run it in a kernel."""
        return self.function(ctx, *map(unwrap, args), **{name: unwrap(value) for name, value in kwargs.items()})

    def __call__(self, *args: Any, _semantic: Context | None = None, **kwargs: Any) -> Any:
        if _semantic is not None:  # how code written for Triton hands on the context
            return self.enter(_semantic, args, kwargs)
        raise RuntimeError(_outside(self.__name__))

    def __repr__(self) -> str:
        return f"<tl.{self.__name__}>"

    def __reduce__(self) -> str:
        return self.__name__


METHODS: dict[str, Builtin | Library] = {}


def builtin(function: Callable[..., Any]) -> Builtin:
    """Declare a function of the language; its first parameter is the context."""
    return Builtin(function)


def method(function: Builtin) -> Builtin:
    """Also offer a builtin as a method of tiles: x.sum() is tl.sum(x)."""
    METHODS[function.__name__] = function
    return function


class Library:
    """A function written in the language itself; calls of it are inlined."""

    __name__: str

    def __init__(self, fn: Callable[..., Any]):
        functools.update_wrapper(self, fn)
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(_outside(self.__name__))

    def __repr__(self) -> str:
        return f"<tl.{self.__name__}>"


def library(fn: Callable[..., Any]) -> Library:
    """Declare a function of the language in the language."""
    return Library(fn)


def beyond(build: Builder, refusal: str, help: str) -> None:
    """Note that the kernel goes beyond Triton here: what Triton says to it, and what to type instead. In strict mode, an error."""
    build.beyond.add(refusal, build.loc, help)


def is_tensor(value: Any) -> bool:
    """A value of the running kernel, as opposed to one of compile time."""
    return isinstance(value, Value)


def static_int(value: Any) -> int | None:
    """An int known at compile time, also when it was bound to a plain name; None if there is none."""
    value = unwrap(value)
    if isinstance(value, Value) and value.source is not None and value.source.spec.name == "constant" and not value.type.shape:
        value = value.source.attrs["value"]
    return int(value) if isinstance(value, int) else None
