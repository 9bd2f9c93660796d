"""Kernels for `python -m tiledsl check` about the instructions that a machine adds to T1: what their matches say, on special values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

from tiledsl import ops
from tiledsl.errors import TypeRuleError
from tiledsl.ir.core import Builder, Value
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import DType, Tile, i1

from ..isa.custom import Custom, customs
from ..machine import Npu

Make = Callable[[Builder, list[Value]], Value]  # from tiles that were loaded to the one to store


def cases(machine: Npu, elems: Sequence[DType], lanes: int) -> Iterator[tuple[str, str, list[Tile], Make]]:
    """(instruction, types, tiles, what to make of them) for the types that each instruction may take; TypeRuleError where it does
    not. One whose match is a function gives none."""
    for name, custom in customs(machine).items():
        for elem in elems if custom.pattern is not None else ():
            for types in product(dict.fromkeys((elem, i1)), repeat=len(custom.labels)):
                if elem in types:
                    tiles = {label: Tile(x, (lanes,)) for label, x in zip(custom.labels, types, strict=True)}
                    loaded = [label for label in custom.labels if dict(custom.instruction.fields)[label].prefix == "t"]
                    make = partial(_make, machine, custom, tiles, loaded)
                    yield name, " ".join(map(str, types)), [tiles[label] for label in loaded], make


def _make(machine: Npu, custom: Custom, tiles: dict[str, Tile], loaded: list[str], build: Builder, operands: list[Value]) -> Value:
    """The ops of a match; registers and immediates take what is the same for all elements."""
    found = dict(zip(loaded, operands, strict=True))
    for label, where in custom.instruction.fields:
        if label in tiles and label not in found:
            elem = tiles[label].elem
            real = where.prefix == "r" and isinstance(elem, DType) and elem.is_float
            found[label] = build.emit(ops.constant, value=3.0 if real else 3, type=tiles[label])
    assert custom.pattern is not None
    result = _built(build, custom.pattern, found)
    if not custom.legal(machine, {"to": result.type} | {label: value.type for label, value in found.items()}):
        raise TypeRuleError(f"{machine.name} does not do this")
    return result


def _built(build: Builder, pattern: ast.expr, found: dict[str, Value]) -> Value:
    """The ops of a pattern; numbers have the type of what stands beside them."""
    if isinstance(pattern, ast.Name):
        return found[pattern.id]
    assert isinstance(pattern, ast.Call) and isinstance(pattern.func, ast.Name)
    parts = [None if _number(part) is not None else _built(build, part, found) for part in pattern.args]
    known = [x.type for x in parts if x is not None]
    if not known:
        raise TypeRuleError("a number has no type of its own")
    values = []
    for part, value in zip(pattern.args, parts, strict=True):
        number = _number(part)
        if value is None and number is not None:
            kind = known[-1]
            assert isinstance(kind.elem, DType)
            value = build.emit(ops.constant, value=float(number) if kind.elem.is_float else number, type=kind)
        assert value is not None
        values.append(value)
    made: Value = build.emit(SPECS[pattern.func.id], *values)
    return made


def _number(pattern: ast.expr) -> float | int | None:
    return None if isinstance(pattern, ast.Call | ast.Name) else ast.literal_eval(pattern)
