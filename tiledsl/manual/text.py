"""Declarations as text: signatures, what an op takes and gives, how far a result may lie from the exact one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

from .. import ops
from ..ir.spec import SPECS, OpSpec
from ..language.core import Builtin, Library, unwrap
from ..language.dtypes import dtype

assert ops  # importing it declares them


def op_signature(spec: OpSpec) -> str:
    """gather(x, index) {axis: int}: operands and attributes, those that may be absent in brackets."""
    optional = [name if i < spec.required or spec.variadic else f"[{name}]" for i, name in enumerate(spec.operands)]
    operands = ", ".join([*optional[:-1], f"*{optional[-1]}"] if spec.variadic else optional)
    shown = {name: f"{name}: {getattr(kind, '__name__', kind)}" for name, kind in spec.attrs.items()}
    attributes = ", ".join(f"[{text}]" if name in spec.optional else text for name, text in shown.items())
    return f"{spec.name}({operands}){' {' + attributes + '}' if attributes else ''}"


def op_entry(spec: OpSpec) -> str:
    """An op for a terminal."""
    indented = spec.doc.replace("\n", "\n    ")
    note = bound(spec)
    return f"{op_signature(spec)}\n    {indented}" + (f"\n    {note}" if note else "")


def bound(spec: OpSpec) -> str:
    """How exact an op is, as a sentence; nothing if it is correctly rounded or moves values only, and no other ops replace it."""
    if spec.ulp is not None:
        return f"within {spec.ulp:g} ulp in fp32; replaced by exact ops before backends see it"
    return "exact; replaced by the ops it is made of before backends see it" if spec.definition else ""


def signature(name: str, function: Any) -> str:
    """A function of the language as it is called: names and defaults."""
    target: Callable[..., Any] = function.fn if isinstance(function, Library) else function
    parts: list[str] = []
    keyword_only = False
    for p in inspect.signature(target).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
        keyword_only |= p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        star = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        parts.append(star + p.name + ("" if p.default is p.empty else f"={spoken(p.default)}"))
    return f"{name}({', '.join(parts)})"


def spoken(value: Any) -> str:
    """A default value as one would write it in a kernel."""
    value = unwrap(value)
    if isinstance(value, Enum):
        return f"tl.{type(value).__name__}.{value.name}"
    if isinstance(value, dtype):
        return repr(value).replace("triton.language.", "tl.")
    if isinstance(value, Builtin | Library):
        return f"tl.{value.__name__}"
    return '""' if value == "" else repr(value)


def doc(value: Any) -> str:
    """The docstring of something, in full."""
    return inspect.getdoc(value) or ""


def same_named(name: str) -> OpSpec | None:
    """The op that a function of this name becomes."""
    return SPECS.get(name)
