"""Software pipelining: what the next iteration of a loop loads and multiplies is under way while this one computes.

A part of the body does not depend on what the loop carries: loads, and products of what they bring. It runs one iteration ahead of
the rest, into two sets of places in turn, so that neither waits for the other:

    ahead(A)                                                      left = count - 1
    left / 2 times:  ahead(B); rest(A); ahead(A); rest(B)
    if left is odd:  ahead(B); rest(A); rest(B)       else:  rest(A)

Where the body is short and there is room, there are three sets of places: then the loads after the next need not wait until this
iteration has used its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tiledsl import ops
from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import i64

from .emit import Emitter
from .layout import View, element
from .names import Label, Reg

Places = dict[Value, View]
MOST_REPEATED = 300  # ops in a loop's body that is written out more than once
MOST_THRICE = 48  # ops in one that is written out nine times


@dataclass
class Split:
    """A body in two parts, either in the order of the program; `made`: what the first hands to the second."""

    ahead: list[Op]
    made: list[Value]
    rest: list[Op]


def is_straight(body: Sequence[Op]) -> bool:
    """Whether a body has no control flow of its own, and may be written out more than once."""
    return len(body) <= MOST_REPEATED and not any(op.spec in (ops.for_, ops.while_, ops.if_) for op in body)


def loads_tiles(op: Op) -> bool:
    """Whether an op brings a tile from memory."""
    return op.spec in (ops.load, ops.load_block) and bool(op.result.type.shape)


def split(emit: Emitter, body: Sequence[Op], carried: Collection[Value]) -> Split | None:
    """The two parts of a straight body; None if there is nothing to be loaded ahead."""
    bound = set(carried)
    makers: dict[Value, Op] = {}
    made: set[Value] = set()
    for op in body:
        if op.spec.effect in ("write", "control") or not bound.isdisjoint(op.operands):
            bound.update(op.results)
            continue
        makers.update(dict.fromkeys(op.results, op))
        if loads_tiles(op) or op.spec is ops.dot and _is_drained(emit, op):
            made.add(op.result)
    roots = [v for op in body if op.spec.effect in ("write", "control") for v in op.operands]
    everything = {v: op for op in body for v in op.results}
    rest = _closure(roots, everything, made)
    used = [v for v in made if any(v in op.operands for op in body if op in rest or op.spec.effect in ("write", "control"))]
    ahead = _closure(used, makers, ())
    if not any(loads_tiles(op) for op in ahead):
        return None
    ordered = [v for op in body for v in op.results if v in used]
    kept = [op for op in body if op in rest or op.spec.effect == "write"]
    return Split([op for op in body if op in ahead], ordered, kept)


def _is_drained(emit: Emitter, op: Op) -> bool:
    """Whether nobody needs a product in the accumulators."""
    users = emit.users.get(op.result, ())
    return op.result in emit.accumulators.drained and not any(u.spec in (ops.dot, ops.yield_) for u in users)


def _closure(roots: Sequence[Value], makers: dict[Value, Op], stop: Collection[Value]) -> set[Op]:
    """The ops that make some values, and what those need; not those that make what is at hand."""
    found: set[Op] = set()
    work = list(roots)
    while work:
        value = work.pop()
        if value in makers and value not in stop and makers[value] not in found:
            found.add(makers[value])
            work += makers[value].operands
    return found


def sets_for(emit: Emitter, part: Split, stages: int) -> int:
    """How many iterations have places of their own, `stages` at most."""
    handed = sum(v.type.size * element(v.type).itemsize for v in part.made)
    short = len(part.ahead) + len(part.rest) <= MOST_THRICE
    return 3 if stages > 2 and short and 3 * handed <= emit.machine.spm_bytes // 2 else 2


def lower_ahead(emit: Emitter, part: Split, places: Places | None) -> Places:
    """The code of the first part, into places that are given, or into new ones."""
    emit.forget()
    emit.places = places or {}
    emit.some(part.ahead)
    emit.places = {}
    return {v: emit.view(v) for v in part.made}


def lower_rest(emit: Emitter, part: Split, made: Places) -> None:
    """The code of the second part."""
    emit.forget()
    for value, view in made.items():
        emit.views[value] = view
        emit.drained.pop(value, None)
    emit.some(part.rest)


def rotated(emit: Emitter, count: Reg, ahead: Callable[[Places | None], Places], rest: Callable[[Places], None], sets: int = 2) -> None:
    """A loop of at least one iteration, its first part one iteration ahead of its second."""
    left, each = emit.fresh("addr", count, emit.literal(1), -1), emit.literal(sets)
    rounds, over = emit.alu("idiv", i64, left, each), emit.alu("rem", i64, left, each)
    head, done, after = Label(), Label(), Label()
    first = ahead(None)
    emit("jumpz", rounds, done)
    emit.label(head)
    emit.overlapping.append(head)
    turn = [first]
    for i in range(sets):
        turn.append(ahead(None if i < sets - 1 else first))
        rest(turn[i])
    emit("addr", rounds, rounds, emit.literal(1), -1)
    emit("jumpnz", rounds, head)
    emit.label(done)
    for more in range(sets):  # iterations that are left besides the one under way
        following = Label()
        if more < sets - 1:
            emit("jumpnz", over, following)
        here = first
        for _ in range(more):
            after_it = ahead(None)
            rest(here)
            here = after_it
        rest(here)
        if more < sets - 1:
            emit("jump", after)
            emit.label(following)
            emit("addr", over, over, emit.literal(1), -1)
    emit.label(after)


def twice(emit: Emitter, count: Reg, iteration: Callable[[], None]) -> None:
    """A loop of any number of iterations, two of them in a row: the second's loads need not wait for what uses the first's."""
    rounds, rest = emit.alu("shr", i64, count, emit.literal(1)), emit.alu("and", i64, count, emit.literal(1))
    head, last, after = Label(), Label(), Label()
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
    emit.label(after)
