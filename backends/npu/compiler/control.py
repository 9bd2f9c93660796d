"""Lowering of loops and branches: labels, jumps, and places for what they carry."""

from __future__ import annotations

from collections.abc import Sequence

from tiledsl import ops
from tiledsl.ir.core import Block, Op, Value
from tiledsl.ir.types import i64, u64

from .emit import Emitter, lowers
from .layout import element
from .names import Label, Reg
from .write import ZERO


@lowers(ops.for_)
def for_(emit: Emitter, op: Op) -> None:
    lo, hi, step = (emit.scalar(v) for v in op.operands[:3])
    body = op.blocks[0]
    count, step = _trips(emit, op, lo, hi, step)
    head, after = Label(), Label()
    index = emit.regs[body.args[0]] = Reg()
    emit("mov", index, lo)
    slots = [emit.slot(arg) for arg in body.args[1:]]
    emit.assign(slots, op.operands[3:])

    def iteration() -> None:
        emit.forget()  # what the values of the body are changes with every iteration
        emit.assign(slots, emit.block(body))
        emit("addr", index, index, step, 1)

    if emit.stages > 1 and _can_overlap(body):
        # two iterations in a row, whose loads have places of their own: the second's need not wait for what uses the first's
        rounds, rest = emit.alu("shr", i64, count, emit.literal(1)), emit.alu("and", i64, count, emit.literal(1))
        last = Label()
        emit("jumpz", rounds, last)
        emit.label(head)
        emit.overlapping.append(head)
        for _ in range(2):
            iteration()
        emit("addr", rounds, rounds, emit.literal(1), -1)
        emit("jumpnz", rounds, head)
        emit.label(last)
        emit("jumpz", rest, after)
        iteration()
    else:
        emit("jumpz", count, after)
        emit.label(head)
        iteration()
        emit("addr", count, count, emit.literal(1), -1)
        emit("jumpnz", count, head)
    emit.label(after)
    _results(emit, op, body.args[1:])


MOST_REPEATED = 300  # ops in a loop's body that is written out more than once


def _can_overlap(body: Block) -> bool:
    """Whether a body is straight code that loads tiles."""
    loads = any(op.spec in (ops.load, ops.load_block) and op.result.type.shape for op in body.ops)
    return loads and len(body.ops) <= MOST_REPEATED and not any(op.spec in (ops.for_, ops.while_, ops.if_) for op in body.ops)


def _trips(emit: Emitter, op: Op, lo: Reg, hi: Reg, step: Reg) -> tuple[Reg, Reg]:
    """How often the body runs, counted before it does so that no index ever overflows; and the step, 1 if it is 0."""
    dtype = element(op.operands[0].type)
    numbers = [emit.known(v) for v in op.operands[:3]]
    known = numbers[2]
    if known == 0 or known is None:
        one = emit.literal(1)
        step = one if known == 0 else emit.alu("select", i64, emit.alu("ne", i64, step, ZERO), step, one)
        known = 1 if known == 0 else None
    if numbers[0] is not None and numbers[1] is not None and known is not None:
        return emit.literal(len(range(numbers[0], numbers[1], known))), step
    one = emit.literal(1)

    def upward(low: Reg, high: Reg, by: Reg) -> Reg:
        distance = emit.alu("sub", i64, emit.alu("sub", i64, high, low), one)
        rounds = distance if known in (1, -1) else emit.alu("idiv", u64, distance, by)
        trips = emit.alu("add", i64, rounds, one)
        return emit.alu("select", i64, emit.alu("lt", dtype, low, high), trips, ZERO)

    if known is not None and known > 0 or not dtype.is_signed:
        return upward(lo, hi, step), step
    down = emit.alu("neg", i64, step)
    if known is not None:
        return upward(hi, lo, down), step
    rising = emit.alu("gt", i64, step, ZERO)
    return emit.alu("select", i64, rising, upward(lo, hi, step), upward(hi, lo, down)), step


@lowers(ops.while_)
def while_(emit: Emitter, op: Op) -> None:
    condition, body = op.blocks
    head, after = Label(), Label()
    slots = [emit.slot(arg) for arg in condition.args]
    emit.assign(slots, op.operands)
    emit.label(head)
    (go_on,) = emit.block(condition)
    emit("jumpz", emit.scalar(go_on), after)
    for mine, theirs in zip(condition.args, body.args, strict=True):
        if mine.type.shape:
            emit.views[theirs] = emit.views[mine]
        else:
            emit.regs[theirs] = emit.regs[mine]
    emit.assign(slots, emit.block(body))
    emit.loc = condition.ops[-1].loc or op.loc  # a program that waits in this loop is told where
    emit("jump", head)
    emit.label(after)
    _results(emit, op, condition.args)


@lowers(ops.if_)
def if_(emit: Emitter, op: Op) -> None:
    then, otherwise = op.blocks
    second, after = Label(), Label()
    slots = [emit.slot(result) for result in op.results]
    emit("jumpz", emit.scalar(op.operands[0]), second)
    emit.assign(slots, emit.block(then))
    emit("jump", after)
    emit.label(second)
    emit.assign(slots, emit.block(otherwise))
    emit.label(after)


def _results(emit: Emitter, op: Op, carried: Sequence[Value]) -> None:
    """What a loop leaves is where it carried it."""
    for result, arg in zip(op.results, carried, strict=True):
        if result.type.shape:
            emit.views[result] = emit.views[arg]
            emit.drain(result)
        else:
            emit.regs[result] = emit.regs[arg]
