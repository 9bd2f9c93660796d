"""Signatures as Triton writes them, to ours and back: {"x": "*fp32", "n": "i32", "BLOCK": "constexpr"}, constants by path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ....errors import CompilationError
from ....frontend.function import Formal
from ....frontend.signature import Parameter, Signature
from ....ir.types import DTYPES, DType, Elem, Pointer, Tile, i1
from ....language.core import unwrap
from ....runtime.arguments import ALIGNMENT, element_named

Path = tuple[int, ...]
Type = str | tuple[Any, ...]  # "*fp32", "constexpr", or a tuple of such
DIVISIBLE = [["tt.divisibility", ALIGNMENT]]


def type_text(elem: Elem) -> str:
    """fp32, i32, u1, *fp16."""
    if isinstance(elem, Pointer):
        return ("*k" if elem.const else "*") + ("i1" if elem.to is i1 else type_text(elem.to))
    if elem is i1:
        return "u1"
    if not elem.is_float:
        return elem.name
    return elem.name if elem.name == "bf16" else "fp" + elem.name[1:]


def element_of_text(text: str) -> Elem:
    """The type that a text names."""
    if text.startswith("*"):
        inner = element_of_text(text[1:].removeprefix("k"))
        assert isinstance(inner, DType)
        return Pointer(inner, const=text[1] == "k")
    found = i1 if text in ("B", "i1", "u1") else element_named(text) or DTYPES.get(re.sub(r"^fp", "f", text))
    if found is None:
        raise CompilationError(f"a signature names the type {text!r}", notes=["types are fp32, i32, *fp16, constexpr and the like"])
    return found


def describe(parameters: Sequence[Parameter]) -> tuple[dict[str, Type], dict[Path, Any], dict[Path, Any]]:
    """(types by name, constants by path, attributes by path) of parameters."""
    constants: dict[Path, Any] = {}
    attributes: dict[Path, Any] = {}

    def visit(parameter: Parameter, path: Path) -> Type:
        if parameter.elements:
            parts = [visit(part, (*path, i)) for i, part in enumerate(parameter.elements)]
            kind = type(parameter.value)
            return cast(Type, kind(*parts) if hasattr(kind, "_fields") else tuple(parts))
        if parameter.type is None:
            constants[path] = parameter.value
            return "constexpr"
        if parameter.divisible == ALIGNMENT:
            attributes[path] = DIVISIBLE
        return type_text(parameter.type.elem)

    types = {p.name: visit(p, (i,)) for i, p in enumerate(parameters)}
    return types, constants, attributes


def signature_of(
    formals: Sequence[Formal], types: Mapping[Any, Any], constants: Mapping[Any, Any], attributes: Mapping[Any, Any], debug: bool = False
) -> Signature:
    """Our signature from Triton's: types by name or position, constants by name, position or path."""

    def at(given: Mapping[Any, Any], formal: Formal, path: Path, missing: Any = None) -> Any:
        names: list[Any] = [path] if len(path) > 1 else [formal.name, formal.index, path]
        return next((given[name] for name in names if name in given), missing)

    def build(formal: Formal, kind: Any, path: Path, name: str) -> Parameter:
        known = at(constants, formal, path, CompilationError)
        if known is not CompilationError:
            return Parameter(name, value=unwrap(known))
        if isinstance(kind, tuple):
            parts: Any = [build(formal, k, (*path, i), f"{name}.{i}") for i, k in enumerate(kind)]
            return Parameter(name, value=type(kind)(*parts) if hasattr(kind, "_fields") else tuple(parts))
        if kind is None or kind == "constexpr":
            if formal.has_default:
                return Parameter(name, value=unwrap(formal.default))
            raise CompilationError(f"the signature says nothing of `{name}`")
        divisible = any(attribute[0] == "tt.divisibility" for attribute in at(attributes, formal, path, ()) or ())
        return Parameter(name, Tile(element_of_text(kind)), divisible=ALIGNMENT if divisible else 1)

    return Signature(tuple(build(f, at(types, f, (f.index,)), (f.index,), f.name) for f in formals), debug)
