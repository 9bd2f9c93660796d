"""Constants as rules see them: is it one, which, and how to make one like another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import DType, Tile


def constant_of(value: Value) -> int | float | None:
    """The number a tile is filled with, if that is known."""
    source = value.source
    return source.attrs["value"] if source is not None and source.spec is ops.constant else None


def is_constant(value: Value, number: float) -> bool:
    """Whether a tile is filled with this number; 0.0 is not -0.0."""
    found = constant_of(value)
    return found is not None and found == number and (found != 0 or math.copysign(1, found) == math.copysign(1, number))


def is_ones(value: Value) -> bool:
    """Whether every bit of an integer tile is known to be set."""
    elem = value.type.elem
    return elem.is_int and is_constant(value, -1 if elem.is_signed else (1 << elem.bits) - 1)


def filled(build: Builder, number: float, type: Tile) -> Value:
    """A tile filled with a number of its kind."""
    made: Value = build.emit(ops.constant, value=float(number) if type.elem.is_float else int(number), type=type)
    return made


def is_uniform(value: Value) -> bool:
    """Whether a tile is known to repeat one scalar: it is one, a broadcast one, or a constant."""
    source = value.source
    if not value.type.shape:
        return True
    return source is not None and (source.spec is ops.constant or (source.spec is ops.broadcast and not source.operands[0].type.shape))


def scalar_of(build: Builder, value: Value) -> Value:
    """The scalar that a uniform tile repeats."""
    if not value.type.shape:
        return value
    source = value.source
    assert source is not None
    return source.operands[0] if source.spec is ops.broadcast else filled(build, source.attrs["value"], value.type.scalar())


def evaluate(spec: OpSpec, operands: list[Value], attrs: dict[str, Any], result: Tile) -> int | float | None:
    """What an exact elementwise op gives on constants; None if an operand is not one."""
    numbers = [constant_of(v) for v in operands]
    if None in numbers:
        return None
    inputs = [np.asarray(n, v.type.elem.numpy) for n, v in zip(numbers, operands, strict=True)]
    more = {"types": tuple(v.type.scalar() for v in operands)} if "typed" in spec.traits else {}
    with np.errstate(all="ignore"):
        out = np.asarray(spec.evaluate(*inputs, **attrs, **more))
    elem = result.elem
    if isinstance(elem, DType) and elem.is_float:
        return float(elem.round(out))
    return int(out)
