"""Replaces every op that is not exact by the program of exact ops that defines it."""

from __future__ import annotations

from ..ir.core import Builder, Kernel, Op, Value
from ..ir.rebuild import rebuild
from ..ir.types import bf16, f16, f32
from ..machine import Machine
from ..numerics import FUNCTIONS
from ..numerics.term import Term


def numerics(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with exact ops only."""
    return rebuild(kernel, define)


def define(build: Builder, op: Op, operands: list[Value]) -> Value | None:
    """What stands for an op that is not exact; f16 and bf16 are computed in f32."""
    if op.spec not in FUNCTIONS:
        return None
    terms = [Term(build, value) for value in operands]
    elem = terms[0].elem
    if elem in (f16, bf16):
        return FUNCTIONS[op.spec](*(term.cast(f32) for term in terms)).cast(elem).value
    return FUNCTIONS[op.spec](*terms).value
