"""Many programs of a grid in one run of a core: a loop over them, so that one loads while the one before computes and stores.

Programs may run in any order, unless they wait for each other: no program relies on plain loads of it to see what others store. So
the loads of a program may come before the stores of programs before it: they are `early`. What no program id reaches is the same
for all programs and is computed once. Behind a kernel's arguments a run gets: the address of a core's scratch memory, the
extents of the grid, and how many programs each run takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiledsl import ops
from tiledsl.ir.core import Kernel, Op, Value
from tiledsl.ir.types import i64

from .ahead import Places, is_straight, lower_ahead, lower_rest, rotated, split, twice
from .emit import Emitter
from .names import Reg
from .write import ZERO


def runs(most: int, sizes: Sequence[int], cores: int, scratch: int = 0) -> tuple[tuple[int, int, int], list[int]]:
    """The grid of runs, of at most so many programs each, and their arguments behind the kernel's: every core gets as many programs."""
    total = sizes[0] * sizes[1] * sizes[2]
    rounds = max(1, -(-total // (cores * most)))
    each = max(1, -(-total // (cores * rounds)))
    return (-(-total // each), 1, 1), [scratch, *sizes, each]


def fits_together(kernel: Kernel) -> bool:
    """Whether runs of many programs are worth it, and nobody can tell: straight code without atomics that loads before it stores."""
    body = kernel.body.ops
    effects = [op.spec.effect for op in body]
    stored = effects.index("write") if "write" in effects else len(body)
    return (
        is_straight(body)
        and any(op.spec is ops.program_id for op in body)
        and not any("atomic" in op.spec.traits for op in body)
        and "read" not in effects[stored:]
    )


def programs(emit: Emitter, kernel: Kernel) -> None:
    """The code of all programs of a run."""
    body, arguments = kernel.body.ops, len(kernel.body.args)
    emit.extents = [emit.fresh("arg", arguments + 1 + axis) for axis in range(3)]
    own, shared = _by_program(body)
    emit.some(shared)
    each = emit.fresh("arg", arguments + 4)
    first = emit.alu("mul", i64, emit.fresh("pid", 0), each)
    total = emit.alu("mul", i64, emit.alu("mul", i64, emit.extents[0], emit.extents[1]), emit.extents[2])
    count = emit.alu("minimum", i64, each, emit.fresh("addr", total, first, -1))
    axes = max((op.attrs["axis"] for op in body if op.spec is ops.program_id), default=0)
    here = Position(emit, first, axes)
    emit.early = True
    part = split(emit, own, ())
    if part is None:

        def program() -> None:
            emit.forget()
            emit.position = here.axes
            emit.some(own)
            here.step(emit)

        twice(emit, count, program)
        return
    there = Position(emit, first, axes)
    chosen = part

    def ahead(places: Places | None) -> Places:
        emit.position = there.axes
        made = lower_ahead(emit, chosen, places)
        there.step(emit)
        return made

    def rest(made: Places) -> None:
        emit.position = here.axes
        lower_rest(emit, chosen, made)
        here.step(emit)

    rotated(emit, count, ahead, rest)


class Position:
    """The ids of a program, in registers that go on from program to program; x is fastest."""

    def __init__(self, emit: Emitter, first: Reg, last: int):
        """`last`: the last axis that anybody asks for."""
        self.axes: list[Reg] = []
        self.one = emit.literal(1)
        rest = first
        for extent in emit.extents[: last + 1]:
            self.axes.append(emit.alu("rem", i64, rest, extent))
            rest = emit.alu("idiv", i64, rest, extent)

    def step(self, emit: Emitter) -> None:
        """The next program's."""
        carry = self.one
        for axis, (reg, extent) in enumerate(zip(self.axes, emit.extents, strict=False)):
            emit("addr", reg, reg, carry, 1)
            carry = emit.alu("eq", i64, reg, extent)
            emit("mov", reg, ZERO, when=carry)
            if axis == len(self.axes) - 1:
                break


def _by_program(body: Sequence[Op]) -> tuple[list[Op], list[Op]]:
    """What depends on a program's ids or changes memory, and what does not; either in order."""
    reached: set[Value] = set()
    own, shared = [], []
    for op in body:
        if op.spec is ops.program_id or not op.spec.is_pure and op.spec.effect != "read" or not reached.isdisjoint(op.operands):
            reached.update(op.results)
            own.append(op)
        else:
            shared.append(op)
    return own, shared
