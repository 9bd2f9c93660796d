"""Loops and branches: scalars are carried in SSA values, tiles in memory that every iteration updates in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiledsl import ops
from tiledsl.ir.core import Block, Op, Value
from tiledsl.waiting import may_wait

from .buffers import Scratch
from .code import Code
from .emit import Scalar
from .evaluate import assign
from .held import Held, in_registers
from .plan import is_scalar, is_virtual
from .stream import again
from .types import Kind, register
from .waiting import poll

BlockRule = Callable[[Code, Block], None]


def for_loop(code: Code, op: Op, run: BlockRule) -> None:
    """Count the iterations first: then no index can overflow."""
    if in_registers(code, op):
        _loop_in_registers(code, op, run)
        return
    carried, body = op.operands[3:], op.blocks[0]
    b, count, along = code.b, iterations(code, op), steps(code, op)
    peeled = _worth_peeling(code, op)
    pieces = _begin(code, carried, op.results, [body.args[1:]], assigned=not peeled)
    scalars = [p for p, v in enumerate(carried) if not v.type.shape]
    initial = [(register(carried[p].type.elem), code.scalars[carried[p]]) for p in scalars]

    def first() -> list[str]:
        """The first iteration, which need not read what every tile begins as."""
        known = dict(zip(body.args[1:], carried, strict=True))
        code.scalars |= {arg: code.scalars[v] for arg, v in known.items() if not v.type.shape}
        code.stand_ins |= {arg: v for arg, v in known.items() if v.type.shape}
        iteration(code, op, along, (0, count), run)
        _assign_all(code, body.args[1:], body.yields, pieces)
        for arg in known:
            code.stand_ins.pop(arg, None)
        return [code.scalars[body.yields[p]] for p in scalars]

    def none() -> list[str]:
        _assign_each(code, carried, pieces)
        return [text for _, text in initial]

    if peeled:
        kinds = [kind for kind, _ in initial]
        initial = list(zip(kinds, b.branch(b.value(f"icmp slt i64 0, {count}"), kinds, first, none), strict=True))
    with again(code, body, count), b.loop(int(peeled), count, 1, initial) as loop:
        for p, text in zip(scalars, loop.carried, strict=True):
            code.scalars[body.args[1 + p]] = text
        iteration(code, op, along, (loop.index, count), run)
        _assign_all(code, body.args[1:], body.yields, pieces)
        loop.next = [code.scalars[body.yields[p]] for p in scalars]
    for p, text in zip(scalars, loop.carried, strict=True):
        code.scalars[op.results[p]] = text


def _loop_in_registers(code: Code, op: Op, run: BlockRule) -> None:
    """The same with tiles that stay in registers; without masks as long as nothing is outside of any bounds."""
    carried, body, b = op.operands[3:], op.blocks[0], code.b
    places = [p for p, v in enumerate(carried) if v.type.shape]
    scalars = [p for p, v in enumerate(carried) if not v.type.shape]
    firsts, args, nexts, results = (tuple(of[p] for p in places) for of in (carried, body.args[1:], body.yields, op.results))
    held, count, along = Held(code, firsts), iterations(code, op), steps(code, op)

    def enter(turn: Scalar, texts: list[str]) -> None:
        for p, text in zip(scalars, texts, strict=False):
            code.scalars[body.args[1 + p]] = text
        held.call(args, texts[len(scalars) :])
        iteration(code, op, along, (turn, count), run)

    def following() -> list[str]:
        return [code.scalars[body.yields[p]] for p in scalars] + held.texts(nexts)

    def test(names: list[str]) -> str:
        enter(names[0], names[1:])
        return b.value(f"and i1 {b.value(f'icmp slt i64 {names[0]}, {count}')}, {held.whole(bounds)}")

    def step(names: list[str]) -> list[str]:
        with held.unmasked(bounds):
            return [b.effect(f"add i64 {names[0]}, 1"), *following()]

    kinds = [*(register(carried[p].type.elem) for p in scalars), *held.kinds]
    texts = [*(code.scalars[carried[p]] for p in scalars), *held.texts(firsts)]
    bounds, turn = held.bounds(nexts), "0"
    if bounds:
        turn, *texts = b.repeat(list(zip(["i64", *kinds], [turn, *texts], strict=True)), test, step)
    with b.loop(turn, count, 1, list(zip(kinds, texts, strict=True))) as loop:
        enter(loop.index, loop.carried)
        loop.next = following()
    for p, text in zip(scalars, loop.carried, strict=False):
        code.scalars[op.results[p]] = text
    held.write(results, loop.carried[len(scalars) :])


def _worth_peeling(code: Code, op: Op) -> bool:
    """Whether a `for` carries tiles that begin as a number everywhere, and does little else than add to them: writing that number
    down, and reading it again, takes as long as an iteration."""
    carried, body = op.operands[3:], op.blocks[0]
    tiles = [p for p, v in enumerate(carried) if v.type.shape]
    constant = all((source := carried[p].source) is not None and source.spec is ops.constant for p in tiles)
    simple = all(is_scalar(inner) or is_virtual(inner) and inner.result not in code.plan.memory for inner in body.ops[:-1])
    direct = all(code.plan.leaves(body.yields[p]).get(arg, True) for p in tiles for arg in body.args[1:])
    return bool(tiles) and constant and simple and direct


def steps(code: Code, op: Op) -> tuple[str, str]:
    """Where a `for` starts, and its step, as i64s."""
    kind = Kind(op.operands[0].type.elem, 0)
    start, step = (_wide(code, kind, code.scalars[v]) for v in (op.operands[0], op.operands[2]))
    if step.lstrip("-").isdigit():
        return start, step
    return start, code.b.value(f"select i1 {code.b.value(f'icmp eq i64 {step}, 0')}, i64 1, i64 {step}")


def iteration(code: Code, op: Op, along: tuple[str, str], turn: tuple[Scalar, Scalar], run: BlockRule) -> None:
    """The body of a `for`, in the iteration of a number, out of so many."""
    b, index, (start, step) = code.b, op.blocks[0].args[0], along
    kind = Kind(index.type.elem, 0)
    at = b.value(f"add i64 {start}, {b.value(f'mul i64 {turn[0]}, {step}')}")
    code.scalars[index] = at if kind.text == "i64" else b.value(f"trunc i64 {at} to {kind.text}")
    outer = code.turn, code.turns
    code.turn, code.turns = turn
    run(code, op.blocks[0])
    code.turn, code.turns = outer


def iterations(code: Code, op: Op) -> str:
    """How many times a `for` runs, as an i64."""
    lo, hi, step = op.operands[:3]
    return _iterations(code, Kind(lo.type.elem, 0), *(code.scalars[v] for v in (lo, hi, step)))


def _wide(code: Code, kind: Kind, text: str) -> str:
    if kind.text == "i64" or text.lstrip("-").isdigit():
        return text
    return code.b.value(f"{'sext' if kind.elem.is_signed else 'zext'} {kind.text} {text} to i64")


def _iterations(code: Code, kind: Kind, lo: str, hi: str, step: str) -> str:
    b = code.b
    lo, hi, step = (_wide(code, kind, t) for t in (lo, hi, step))
    order = "s" if kind.elem.is_signed else "u"

    def upward(first: str, last: str, by: str) -> str:
        span = b.value(f"sub i64 {b.value(f'sub i64 {last}, {first}')}, 1")
        times = b.value(f"add i64 {span if by == '1' else b.value(f'udiv i64 {span}, {by}')}, 1")
        runs = b.value(f"icmp {order}lt i64 {first}, {last}")
        return b.value(f"select i1 {runs}, i64 {times}, i64 0")

    if step.lstrip("-").isdigit():
        by = int(step) or 1
        return upward(lo, hi, str(by)) if by > 0 else upward(hi, lo, str(-by))
    zero = b.value(f"icmp eq i64 {step}, 0")
    stride = b.value(f"select i1 {zero}, i64 1, i64 {step}")  # never 0: both divisions are defined
    up = upward(lo, hi, stride)
    if not kind.elem.is_signed:
        return up
    back = b.value(f"sub i64 0, {stride}")
    negative = b.value(f"icmp slt i64 {stride}, 0")
    down = upward(hi, lo, back)
    return b.value(f"select i1 {negative}, i64 {down}, i64 {up}")


def while_loop(code: Code, op: Op, run: BlockRule) -> None:
    """Test, run, and again."""
    condition, body = op.blocks
    b, carried = code.b, op.operands
    pieces = _begin(code, carried, op.results, [condition.args, body.args])
    scalars = [p for p, v in enumerate(carried) if not v.type.shape]
    wait = may_wait(op)
    initial = [(register(carried[p].type.elem), code.scalars[carried[p]]) for p in scalars]

    def test(names: list[str]) -> str:
        for p, text in zip(scalars, names, strict=False):
            code.scalars[condition.args[p]] = code.scalars[body.args[p]] = text
        run(code, condition)
        return code.scalars[condition.yields[0]]

    def step(names: list[str]) -> list[str]:
        run(code, body)
        _assign_all(code, body.args, body.yields, pieces)
        following = [code.scalars[body.yields[p]] for p in scalars]
        return following if wait is None else [*following, poll(code, wait, names[-1])]

    names = b.repeat(initial if wait is None else [*initial, ("i64", "0")], test, step)
    if wait is not None:
        b.line("fence acquire")  # what was waited for is seen by the loads that follow
    for p, name in zip(scalars, names, strict=False):
        code.scalars[op.results[p]] = name


def branch(code: Code, op: Op, run: BlockRule) -> None:
    """One of two blocks."""
    for result in op.results:
        if result.type.shape:
            code.take(result)
    scalars = [p for p, v in enumerate(op.results) if not v.type.shape]

    def arm(block: Block) -> Callable[[], list[str]]:
        def write() -> list[str]:
            run(code, block)
            for result, value in zip(op.results, block.yields, strict=True):
                if result.type.shape:
                    assign(code, value, code.scratch[result])
            return [code.scalars[block.yields[p]] for p in scalars]

        return write

    kinds = [register(op.results[p].type.elem) for p in scalars]
    texts = code.b.branch(code.scalars[op.operands[0]], kinds, arm(op.blocks[0]), arm(op.blocks[1]))
    for p, text in zip(scalars, texts, strict=True):
        code.scalars[op.results[p]] = text


# --- carried tiles


def _begin(
    code: Code, carried: Sequence[Value], results: Sequence[Value], args: Sequence[Sequence[Value]], assigned: bool = True
) -> list[Scratch | None]:
    """Memory for what a loop carries, holding the initial values unless they come later; results and block arguments live in it."""
    pieces: list[Scratch | None] = []
    for position, value in enumerate(carried):
        piece = None
        if value.type.shape:
            piece = code.take(results[position])
            if assigned:
                assign(code, value, piece)
            for names in args:
                code.scratch[names[position]] = piece
        pieces.append(piece)
    return pieces


def _assign_each(code: Code, values: Sequence[Value], pieces: Sequence[Scratch | None]) -> None:
    """Tiles that do not depend on what is in the memory that they get."""
    for value, piece in zip(values, pieces, strict=True):
        if piece is not None:
            assign(code, value, piece)


def _assign_all(code: Code, args: Sequence[Value], yields: Sequence[Value], pieces: Sequence[Scratch | None]) -> None:
    """All carried tiles at once: in an order in which none is overwritten before it is read, through a copy if there is none."""
    pending = [
        p
        for p, piece in enumerate(pieces)
        if piece is not None and yields[p] is not args[p] and code.plan.in_place.get(yields[p]) is not args[p]
    ]
    reads = {p: code.plan.leaves(yields[p]) for p in pending}
    copies: dict[int, Scratch] = {}
    while pending:
        ready = [
            p
            for p in pending
            if p in copies or (reads[p].get(args[p], True) and not any(args[p] in reads[q] for q in pending if q != p and q not in copies))
        ]
        ready = [p for p in ready if not any(args[p] in reads[q] for q in pending if q != p and q not in copies)]
        if ready:
            p = ready[0]
            piece = pieces[p]
            assert piece is not None
            if p in copies:
                copy(code, yields[p], copies[p], piece)
                code.arena.give(copies[p])
            else:
                assign(code, yields[p], piece)
            pending.remove(p)
        else:
            p = next(p for p in pending if p not in copies)
            copies[p] = code.arena.take(yields[p].type.elem, yields[p].type.shape)
            assign(code, yields[p], copies[p])


def copy(code: Code, value: Value, source: Scratch, target: Scratch) -> None:
    """One scratch tile into another of the same type."""
    size = value.type.size * value.type.elem.itemsize
    b = code.b
    ends = [b.value(f"getelementptr i8, ptr %arena, i64 {piece.offset}") for piece in (target, source)]
    with b.loop(0, -(-size // 64)) as loop:
        # tiles are padded to whole lines, so the last copy may run over
        places = [b.value(f"getelementptr [64 x i8], ptr {end}, i64 {loop.index}") for end in ends]
        line = b.effect(f"load <8 x i64>, ptr {places[1]}, align 64")
        b.line(f"store <8 x i64> {line}, ptr {places[0]}, align 64")
