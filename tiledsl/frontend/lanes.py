"""Control flow of a scalar function on whole tiles: every lane goes its own way, by computing all ways and choosing.

`map_elementwise` and the combining functions of reductions and scans are written for scalars and run on tiles. Under a
frame with `lanes`, a condition may differ from lane to lane: both arms are computed, and a loop runs until no lane wants
another iteration. What is computed for a lane that does not want it is thrown away, so it must have no effect.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..errors import require
from ..ir.core import Builder, Value
from ..ir.query import effects
from ..language import coerce
from .carry import Undefined, describe, flatten, kind_of, restore, settled
from .frame import Frame, Returned
from .syntax import always_returns, assigned, returns


def widened(frame: Frame, value: Any) -> Any:
    """A variable as it is kept; in a frame with lanes each of its tiles has all of them."""
    kept = settled(frame.build, value)
    if not frame.lanes:
        return kept
    return restore(kept, [coerce.broadcast_to(frame.build, leaf, frame.lanes) for leaf in flatten(kept)])


def chosen(frame: Frame, node: ast.AST, test: Value, then: Any, otherwise: Any, what: str) -> Any:
    """A variable that is one value where the condition holds and another elsewhere."""
    first, second = widened(frame, then), widened(frame, otherwise)
    if kind_of(first) != kind_of(second):
        spoken = f"{describe(kind_of(first))} where the condition holds, {describe(kind_of(second))} elsewhere"
        raise frame.error(node, f"{what} is {spoken}", help="convert one of them, so that both have one type")
    build = frame.at(node).build
    pairs = zip(flatten(first), flatten(second), strict=True)
    return restore(first, [x if x is y else build.emit(ops.select, *coerce.broadcast(build, test, x, y)) for x, y in pairs])


def arm(frame: Frame, statements: Sequence[ast.stmt]) -> tuple[Returned | None, dict[str, Any]]:
    """Run statements here, whatever the condition says; what they returned, and the names after them."""
    with frame.block([]) as block:
        out = frame.execute(statements)
        names = frame.names
    for op in block.ops:
        require(not effects(op), f"{op.spec.name} under a condition that differs from lane to lane")
    frame.build.block.ops += block.ops
    return out, names


def branch(frame: Frame, node: ast.If, test: Value, rest: Sequence[ast.stmt]) -> tuple[Returned | None, bool]:
    """An `if`; (what was returned, whether the rest of the statements is done)."""
    test = coerce.condition(frame.at(node).build, test)
    if returns(node.body) or returns(node.orelse):
        outs = [arm(frame, body if always_returns(body) else [*body, *rest])[0] for body in (node.body, node.orelse)]
        then, otherwise = (None if out is None else out.value for out in outs)
        return Returned(chosen(frame, node, test, then, otherwise, "what is returned")), True
    after = [arm(frame, body)[1] for body in (node.body, node.orelse)]
    for name in assigned([*node.body, *node.orelse]):
        then, otherwise = (names.get(name, Undefined(f"`{name}` is assigned in one branch only")) for names in after)
        missing = next((v for v in (then, otherwise) if isinstance(v, Undefined)), None)
        if missing is not None:
            frame.names[name] = Undefined(missing.reason)
        else:
            frame.names[name] = then if then is otherwise else chosen(frame, node, test, then, otherwise, f"`{name}`")
    return None, False


def choose(frame: Frame, node: ast.IfExp, test: Value) -> Any:
    """A conditional expression."""
    test = coerce.condition(frame.at(node).build, test)
    then, otherwise = coerce.weakened(frame.build, frame.evaluate(node.body), frame.evaluate(node.orelse))
    return chosen(frame, node, test, then, otherwise, "the value")


def while_loop(frame: Frame, node: ast.While, carried: dict[str, Any]) -> list[Value]:
    """A `while` that goes on as long as any lane wants it; lanes that are done keep their values."""
    initial = flatten(tuple(carried.values()))
    types = [v.type for v in initial]
    with frame.block(types) as going_on:
        _enter(frame, carried, going_on.args)
        wanted = coerce.tensor(frame.build, frame.evaluate(node.test))
        frame.at(node.test).build.emit(ops.yield_, any_lane(frame.build, coerce.condition(frame.build, wanted)))
    with frame.block(types) as body:
        _enter(frame, carried, body.args)
        wants = coerce.condition(frame.build, coerce.tensor(frame.build, frame.evaluate(node.test)))
        frame.execute(node.body)
        for op in body.ops:
            require(not effects(op), f"{op.spec.name} in a loop whose length differs from lane to lane")
        old = list(body.args)
        leaves = []
        for name, value in carried.items():
            before = restore(value, old)
            leaves += flatten(chosen(frame, node, wants, frame.names[name], before, f"loop-carried variable `{name}`"))
        frame.at(node).build.emit(ops.yield_, *leaves)
    results = frame.at(node).build.emit(ops.while_, *initial, blocks=[going_on, body])
    return list(results) if isinstance(results, tuple) else [results]


def _enter(frame: Frame, carried: dict[str, Any], args: Sequence[Value]) -> None:
    leaves = list(args)
    for name, value in carried.items():
        frame.assign(name, restore(value, leaves))


def any_lane(build: Builder, wanted: Value) -> Value:
    """Whether a condition holds in any lane."""
    if not wanted.type.shape:
        return wanted
    flat = build.emit(ops.reshape, wanted, shape=(wanted.type.size,))
    inner = build.nested([Value(flat.type.scalar()), Value(flat.type.scalar())])
    inner.emit(ops.yield_, inner.emit(ops.or_, *inner.block.args))
    return build.emit(ops.reduce, flat, axis=0, blocks=[inner.block])
