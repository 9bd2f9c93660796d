"""Replaces every op that is made of others by its definition, until there are only exact ops that backends know."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..ir.core import Builder, Kernel, Op, Value
from ..ir.rebuild import rebuild
from ..ir.spec import OpSpec
from ..ir.types import bf16, f16, f32
from ..machine import Machine
from ..numerics import FUNCTIONS
from ..numerics.term import Term


def numerics(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with exact ops only."""

    def visit(build: Builder, op: Op, operands: list[Value]) -> Value | None:
        return define(build, op, operands, machine.native)

    while any(definition_of(op.spec, machine.native) for op in kernel.body.walk()):  # a definition may use ops that have one
        kernel = rebuild(kernel, visit)
    return kernel


def definition_of(spec: OpSpec, native: Collection[str] = ()) -> Callable[..., Term] | None:
    """The program of other ops that stands for an op, if it has one: in its declaration, or by a file of `numerics`. None for
    what a machine has itself."""
    return None if spec.name in native else spec.definition or FUNCTIONS.get(spec)


def define(build: Builder, op: Op, operands: list[Value], native: frozenset[str]) -> Value | None:
    """What stands for an op that is made of others; f16 and bf16 are computed in f32."""
    definition = definition_of(op.spec, native)
    if definition is None:
        return None
    terms = [Term(build, value, native) for value in operands]
    elem = terms[0].elem
    if elem not in (f16, bf16):
        return definition(*terms).value
    result = definition(*(term.cast(f32) for term in terms))
    return (result.cast(elem) if result.elem is f32 else result).value
