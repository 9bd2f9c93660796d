"""A machine's own numerics as tile programs: what its matrix unit computes in another order, in ops whose order is known.

The interpreter runs kernels after these passes, and so gives the bits of that machine: it is the oracle for silicon.
"""

from __future__ import annotations

from tiledsl import ops
from tiledsl.ir.core import Kernel, Op, Value
from tiledsl.ir.rebuild import Copier, rebuild
from tiledsl.ir.types import DType, Tile
from tiledsl.machine import Machine
from tiledsl.passes.pipeline import Pass

from .compiler.write import multiplies
from .machine import Npu


def numerics(machine: Npu) -> tuple[Pass, ...]:
    """The passes after which a kernel says what the machine computes; none where that is what the language says."""
    if not machine.sum_chunk:
        return ()

    def run(kernel: Kernel, _: Machine) -> Kernel:
        return rebuild(kernel, lambda build, op, operands: _chunked(build, op, operands, machine))

    name = f"sums_of_{machine.sum_chunk}"
    return (Pass(name, run, "the matrix unit adds up so many products before they join the accumulator", exact=False),)


def _chunked(build: Copier, op: Op, operands: list[Value], machine: Npu) -> Value | None:
    """A product of floats on the matrix unit as sums of parts of it."""
    if op.spec is not ops.dot:
        return None
    a, b, total = operands
    kind = total.type.elem
    assert isinstance(kind, DType) and isinstance(a.type.elem, DType)
    if not kind.is_float or not multiplies(machine, a.type.elem):
        return None
    depth = a.type.shape[-1]
    zero = build.emit(ops.constant, value=0.0, type=Tile(kind, total.type.shape))
    for first in range(0, depth, machine.sum_chunk):
        last = min(first + machine.sum_chunk, depth)
        left, right = _part(build, a, -1, first, last), _part(build, b, -2, first, last)
        total = build.emit(ops.add, total, build.emit(ops.dot, left, right, zero))
    return total


def _part(build: Copier, value: Value, axis: int, first: int, last: int) -> Value:
    starts, stops = [0] * value.type.rank, list(value.type.shape)
    starts[axis], stops[axis] = first, last
    made: Value = build.emit(ops.slice_, value, starts=tuple(starts), stops=tuple(stops))
    return made
