"""Lowering of loops and branches: labels, jumps, and places for what they carry."""

from __future__ import annotations

from collections.abc import Sequence

from tiledsl import ops
from tiledsl.ir.core import Block, Op, Value
from tiledsl.ir.types import i64, u64

from .ahead import Places, Split, is_straight, loads_tiles, lower_ahead, lower_rest, rotated, sets_for, split, twice
from .emit import Emitter, lowers
from .layout import View, element
from .names import Label, Reg
from .write import ZERO


@lowers(ops.for_)
def for_(emit: Emitter, op: Op) -> None:
    lo, hi, step = (emit.scalar(v) for v in op.operands[:3])
    body = op.blocks[0]
    count, step = _trips(emit, op, lo, hi, step)
    after = Label()
    index = emit.regs[body.args[0]] = Reg()
    emit("mov", index, lo)
    slots = [emit.slot(arg) for arg in body.args[1:]]

    def iteration() -> None:
        emit.forget()  # what the values of the body are changes with every iteration
        emit.assign(slots, emit.block(body))
        emit("addr", index, index, step, 1)

    stages = op.attrs.get("stages", emit.stages) if emit.stages else 0
    overlaps = stages > 1 and is_straight(body.ops[:-1]) and any(loads_tiles(x) for x in body.ops)
    writes = any(x.spec.effect == "write" for x in body.ops)  # which a load of the next iteration may read
    part = split(emit, body.ops, body.args[1:]) if overlaps and not writes else None
    if part is not None:
        none = Label()
        emit("jumpz", count, none)
        emit.assign(slots, op.operands[3:])  # on either way, so that it stands beside the first loads
        _ahead(emit, body, part, (index, step, count), slots, stages)
        emit("jump", after)
        emit.label(none)
        emit.assign(slots, op.operands[3:])
    elif overlaps:
        emit.assign(slots, op.operands[3:])
        twice(emit, count, iteration)
    else:
        emit.assign(slots, op.operands[3:])
        head = Label()
        emit("jumpz", count, after)
        emit.label(head)
        iteration()
        emit("addr", count, count, emit.literal(1), -1)
        emit("jumpnz", count, head)
    emit.label(after)
    _results(emit, op, body.args[1:])


def _ahead(emit: Emitter, body: Block, part: Split, regs: tuple[Reg, Reg, Reg], slots: Sequence[Reg | View], stages: int) -> None:
    """A loop that loads one iteration ahead."""
    index, step, count = regs
    further = emit.fresh("mov", index)

    def ahead(places: Places | None) -> Places:
        emit.regs[body.args[0]] = further
        made = lower_ahead(emit, part, places)
        emit("addr", further, further, step, 1)
        return made

    def rest(made: Places) -> None:
        emit.regs[body.args[0]] = index
        lower_rest(emit, part, made)
        emit.assign(slots, body.yields)
        emit("addr", index, index, step, 1)

    rotated(emit, count, ahead, rest, sets_for(emit, part, stages))


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
