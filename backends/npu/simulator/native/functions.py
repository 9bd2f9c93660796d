"""The native function of an instruction, for the types that its tiles have: writers by name, and how to ask for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tiledsl.backend.isa import Decoded
from tiledsl.ir.types import DType

from ...isa.instructions import NO_TILE, T1
from ...isa.state import DTYPE_OF
from .write import Function

ENTRY = "step"  # the name of the function in its module
GENERAL = {"tset", "gset", "nop"}  # one function for all of their types and units
Key = tuple[Any, ...]


class Absent(Exception):
    """No native function: the reference interpreter carries such instructions out."""


@dataclass
class Shape:
    """What a function is made for."""

    name: str
    fixed: dict[str, int]  # fields that are words or flags; `mask`: whether there is one
    tiles: tuple[DType, ...]  # of the operands that are tiles
    box: DType | None
    at: dict[str, int] = field(default_factory=dict)  # the place of each field among the operands

    def require(self, *conditions: bool) -> None:
        """What the instruction asks of its types; the reference interpreter knows what to say where it does not hold."""
        if not all(conditions):
            raise Absent


Writer = Callable[[Function, Shape], "int | str | None"]  # what it returns is the status, GO where it returns none
WRITERS: dict[str, Writer] = {}


def native(*names: str) -> Callable[[Writer], Writer]:
    """Register the writer of instructions."""

    def register(writer: Writer) -> Writer:
        for name in names:
            WRITERS[name] = writer
        return writer

    return register


def key_of(one: Decoded, tiles: tuple[int, ...], box: int) -> Key:
    """What tells apart the functions of instructions: name, operation, and the types of tiles and box, as codes."""
    name = one.instruction.name
    fixed = []
    for (label, where), value in zip(one.instruction.fields, one.operands, strict=True):
        if label == "mask":
            fixed.append((label, int(value != NO_TILE)))
        elif name not in GENERAL and (where.names or where.bits == 1):
            fixed.append((label, value))
    return (name, tuple(fixed), tiles, box)


def text_of(key: Key, entry: str = ENTRY) -> str:
    """LLVM text of a function; empty where there is none."""
    name, fixed, tiles, box = key
    if name not in WRITERS:
        return ""
    at = {label: i for i, (label, _) in enumerate(T1.by_name[name].fields)}
    shape = Shape(name, dict(fixed), tuple(DTYPE_OF[code] for code in tiles), DTYPE_OF[box] if box >= 0 else None, at)
    f = Function(entry)
    try:
        status = WRITERS[name](f, shape)
    except (Absent, KeyError):  # KeyError: an operation that has no rule for such types
        return ""
    return f.done(0 if status is None else status)
