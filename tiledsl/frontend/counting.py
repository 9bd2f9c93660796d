"""Loops that `break` may end early: a `while` that asks the flag of the break first, and counts if it was a `for`."""

from __future__ import annotations

import ast
from typing import Any

from .. import ops
from ..ir.core import Builder, Value
from ..ir.query import effects
from ..ir.types import DType, Tile, dtype_of, i1, u8, u16, u32, u64
from ..language import coerce
from ..language.core import unwrap
from .carry import Ended, Undefined
from .expressions import known_condition, scalar_condition
from .frame import STATEMENTS, Frame, expression, statement
from .jumps import flag_of

UNSIGNED = {8: u8, 16: u16, 32: u32, 64: u64}


class Unless(ast.expr):
    """`not flag and test`, where test is not evaluated once the flag is set."""

    _fields = ("flag", "test")

    def __init__(self, flag: ast.expr, test: ast.expr):
        super().__init__()
        self.flag, self.test = flag, test


class Advance(ast.stmt):
    """The next index of a loop, and whether there is one."""

    _fields = ("at", "more")

    def __init__(self, at: ast.Name, more: ast.Name, stop: Value, step: Value):
        super().__init__()
        self.at, self.more = at, more
        self.stop, self.step = stop, step


def unless_broken(loop: ast.While, body: list[ast.stmt]) -> ast.While:
    """The loop with a test that fails once its flag is set."""
    return _at(loop, ast.While(_at(loop, Unless(_at(loop, ast.Name(flag_of(loop), ast.Load())), loop.test)), body, []))


def until_broken(frame: Frame, loop: ast.For, limits: list[Value], body: list[ast.stmt]) -> None:
    """A counted loop with a break."""
    assert isinstance(loop.target, ast.Name)
    start, stop, step = limits
    build, index = frame.at(loop).build, loop.target.id
    one = coerce.constant(build, 1, dtype_of(step.type))
    step = build.emit(ops.select, coerce.condition(build, step), step, one)  # a step of 0 counts as 1
    at, more = (f"{what}_{loop.lineno}_{loop.col_offset}" for what in ("index", "more"))
    frame.names[at], frame.names[more] = start, _before(build, start, stop, step)
    frame.names[index] = Undefined("")
    first = _at(loop, ast.Assign([_at(loop, ast.Name(index, ast.Store()))], _at(loop, ast.Name(at, ast.Load()))))
    last = _at(loop, Advance(_at(loop, ast.Name(at, ast.Store())), _at(loop, ast.Name(more, ast.Store())), stop, step))
    test = _at(loop, Unless(_at(loop, ast.Name(flag_of(loop), ast.Load())), _at(loop, ast.Name(more, ast.Load()))))
    STATEMENTS[ast.While](frame, _at(loop, ast.While(test, [first, *body, last], [])))
    frame.names[index] = Undefined(f"it is the index of the loop at {frame.loc(loop)}, which has ended")


def _at(place: ast.AST, node: Any) -> Any:
    return ast.copy_location(node, place)


def _before(build: Builder, at: Value, stop: Value, step: Value) -> Value:
    """Whether a loop that has come to an index runs once more."""
    up, down = build.emit(ops.lt, at, stop), build.emit(ops.gt, at, stop)
    return build.emit(ops.select, _rises(build, step), up, down)


def ended(frame: Frame, loop: ast.For, limits: list[Value], before: Any) -> Ended:
    """What the index of a loop without a break is after it: as it was in the last iteration; if there was none, as before the
    loop, or where it would have started."""
    start, stop, step = limits
    kept = before if isinstance(before, Value) and before.type == start.type else start

    def value(build: Builder) -> Value:
        one = coerce.constant(build, 1, dtype_of(step.type))
        edge = build.emit(ops.select, _rises(build, step), one, build.emit(ops.neg, one))
        stride = build.emit(ops.select, coerce.condition(build, step), step, one)
        beyond_first = build.emit(ops.sub, build.emit(ops.sub, stop, start), edge)
        steps = build.emit(ops.mul, build.emit(ops.idiv, beyond_first, stride), stride)
        return build.emit(ops.select, _before(build, start, stop, step), build.emit(ops.add, start, steps), kept)

    return Ended(f"it is the index of the loop at {frame.loc(loop)}, which has ended", value)


def _rises(build: Builder, step: Value) -> Value:
    return build.emit(ops.gt, step, coerce.constant(build, 0, dtype_of(step.type)))


@statement(Advance)
def advance(frame: Frame, node: Advance) -> None:
    """The distance to the end is compared with the step, both unsigned: the next index itself may wrap around."""
    build, stop, step = frame.at(node).build, node.stop, node.step
    at = frame.names[node.at.id]
    elem: DType = dtype_of(at.type)
    rises = _rises(build, step)
    stop, step, rises = (coerce.broadcast_to(build, v, at.type.shape) for v in (stop, step, rises))
    ahead, behind = build.emit(ops.sub, stop, at), build.emit(ops.sub, at, stop)
    left = build.emit(ops.select, rises, ahead, behind)
    stride = build.emit(ops.select, rises, step, build.emit(ops.neg, step))
    left, stride = (coerce.cast(build, v, UNSIGNED[elem.bits]) for v in (left, stride))
    frame.assign(node.more.id, build.emit(ops.gt, left, stride))
    frame.assign(node.at.id, build.emit(ops.add, at, step))


@expression(Unless)
def unless(frame: Frame, node: Unless) -> Any:
    flag = known_condition(frame.evaluate(node.flag))
    if not isinstance(flag, Value):
        return False if flag else frame.evaluate(node.test)
    going = frame.at(node).build.emit(ops.not_, flag)
    with frame.block([]) as block:
        test = unwrap(frame.evaluate(node.test))
        tile = coerce.tensor(frame.build, test if isinstance(test, Value) else bool(test))
        wanted = coerce.condition(frame.build, tile) if frame.lanes is not None else scalar_condition(frame, node.test, tile)
        simple = frame.lanes is not None or not any(effects(op) for op in block.ops)
        if not simple:
            frame.build.emit(ops.yield_, wanted)
    build = frame.build
    if simple:
        build.block.ops += block.ops
        return build.emit(ops.and_, *coerce.broadcast_pair(build, going, wanted))
    stopped = build.nested()
    stopped.emit(ops.yield_, stopped.emit(ops.constant, value=0, type=Tile(i1)))
    return build.emit(ops.if_, going, blocks=[block, stopped.block])
