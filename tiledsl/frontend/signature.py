"""What one compilation is for: of every parameter either its type at run time or its value at compile time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import field
from functools import cached_property
from types import FunctionType

from .. import config
from ..ir.types import Tile
from ..record import Record


class Parameter(Record, eq=False):
    """A parameter under one signature: a type, or (type None) a value; an argument that is a tuple is a tuple of Parameters."""

    name: str
    type: Tile | None = None
    value: object = None  # int, float, bool, str, None, dtype, jit function, tuple of values; or the tuple of Parameters
    divisible: int = 1  # of a run-time integer or pointer: it is a multiple of this

    @property
    def is_constant(self) -> bool:
        """Known when compiling, in whole."""
        return self.type is None and not self.elements

    @property
    def elements(self) -> tuple[Parameter, ...]:
        """The parts of an argument that is a tuple; a named tuple keeps its class in `value`."""
        value = self.value
        return value if self.type is None and isinstance(value, tuple) and value and isinstance(value[0], Parameter) else ()

    def leaves(self) -> Iterator[Parameter]:
        """The parts that are passed at run time, in order."""
        if self.type is not None:
            yield self
        for element in self.elements:
            yield from element.leaves()

    def __str__(self) -> str:
        if self.type is not None:
            return f"{self.name}: {self.type}" + (f" {{divisible={self.divisible}}}" if self.divisible != 1 else "")
        if self.elements:
            return f"{self.name}: {type(self.value).__name__}({', '.join(map(str, self.elements))})"
        return f"{self.name} = {text_of(self.value)}"


class Signature(Record, eq=False):
    """The parameters of one compilation, in order; equal when their text is."""

    parameters: tuple[Parameter, ...]
    debug: bool = False  # `device_assert` and `device_print` are compiled in
    strict: bool = field(default_factory=config.strict_triton)  # nothing that Triton would not compile

    def __getitem__(self, name: str) -> Parameter:
        return next(p for p in self.parameters if p.name == name)

    def leaves(self) -> tuple[Parameter, ...]:
        """The parameters of the compiled kernel, in order: tuples taken apart, constants left out."""
        return tuple(leaf for p in self.parameters for leaf in p.leaves())

    @cached_property
    def text(self) -> str:
        """The same for the same compilation, in every process."""
        return ", ".join(map(str, self.parameters)) + (" {debug}" if self.debug else "") + (" {strict}" if self.strict else "")

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def text_of(value: object) -> str:
    """A compile-time value as text that tells apart what a kernel can tell apart: 1, True, 1.0, -0.0 ..."""
    if value is None or isinstance(value, bool | int | str | bytes):
        return f"{value!r}"
    if isinstance(value, float):
        return repr(value) if value == value else f"nan:{struct.pack('>d', value).hex()}"
    if isinstance(value, tuple | list):
        return f"{_kind(value)}({', '.join(map(text_of, value))})"
    if isinstance(value, dict):
        return f"{_kind(value)}({', '.join(f'{text_of(k)}: {text_of(v)}' for k, v in value.items())})"
    if getattr(value, "is_jit_function", False):
        return f"{value.name}@{value.fingerprint}"  # type: ignore[attr-defined]
    if getattr(value, "is_constexpr_function", False):
        return f"{value.__module__}.{value.__qualname__}@{value.src}"  # type: ignore[attr-defined]
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}@{value.__code__.co_code.hex()}{text_of(value.__code__.co_names)}"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__name__ == "constexpr":
        return text_of(value.value)  # type: ignore[attr-defined]
    if callable(value) and hasattr(value, "__qualname__"):  # a builtin of the language
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__repr__ is object.__repr__:  # would only show an address
        return f"{_kind(value)}({text_of(getattr(value, '__dict__', {}))})"
    return f"{_kind(value)}:{value!r}"


def _kind(value: object) -> str:
    return type(value).__qualname__ if type(value).__module__ == "builtins" else f"{type(value).__module__}.{type(value).__qualname__}"
