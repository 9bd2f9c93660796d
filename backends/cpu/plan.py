"""Which tiles are virtual, which are in memory, and until when.

A tile is virtual by default: an expression evaluated inside the loop of whatever consumes it (its sinks). It gets memory
of its own when an op computes it as a whole (dot, scan, reduce, atomics, loops), when evaluating it again would cost more
than keeping it, when it is viewed under another shape, or when it reads memory that a store changes before a sink runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.machine import Machine
from tiledsl.waiting import may_wait

from .alias import WRITES, Aliases, same_elements

WHOLE = ("reduce", "scan", "dot", "sort", "histogram", "atomic_rmw", "atomic_cas", "for", "while", "if")  # ops that fill a tile themselves
READS = ("load", "load_block")
FREE = ("constant", "arange", "reshape", "broadcast", "slice", "transpose")
COST = {"div": 5, "sqrt": 6, "idiv": 30, "rem": 30, "load": 10, "load_block": 2, **{name: 0 for name in FREE}}
KEEP = 8  # recomputing costs this much: keep the tile instead
MOST = 1000  # where costs stop growing
DEEP = 100  # ops on top of each other in one expression
LOOP = 8  # how often a loop is assumed to run


@dataclass
class Plan:
    """What the code generator needs to know about the tiles of a kernel."""

    memory: set[Value] = field(default_factory=set)  # tiles kept in memory though they could be virtual
    home: dict[Value, Op] = field(default_factory=dict)  # of those, the reduction that fills them on the way
    in_place: dict[Value, Value] = field(default_factory=dict)  # result of a dot -> the loop argument whose memory it takes over
    release: dict[Op, list[Value]] = field(default_factory=dict)  # values nobody needs after an op of their own block
    order: dict[Op, int] = field(default_factory=dict)

    def kept(self, value: Value) -> bool:
        """Whether the tile is in memory once it is computed."""
        return value in self.memory or value.source is None or value.source.spec.name in WHOLE

    def leaves(self, value: Value, through: Collection[Value] = ()) -> dict[Value, bool]:
        """The tiles in memory and the loads that a virtual expression reads; True if only ever at the same index.
        through: tiles that are being computed, so that their own expression counts."""
        found: dict[Value, bool] = {}
        self._collect(value, True, found, set(), through)
        return found

    def _collect(
        self, value: Value, direct: bool, found: dict[Value, bool], seen: set[tuple[Value, bool]], through: Collection[Value]
    ) -> None:
        if not value.type.shape or (value, direct) in seen:
            return
        seen.add((value, direct))
        if self.kept(value) and value not in through:
            found[value] = found.get(value, True) and direct
            return
        assert value.source is not None
        if value.source.spec.name in READS:
            found[value] = found.get(value, True) and direct
        same = direct and ("elementwise" in value.source.spec.traits or value.source.spec.name in READS)
        for operand in value.source.operands:
            self._collect(operand, same and operand.type.shape == value.type.shape, found, seen, through)


def plan(kernel: Kernel, machine: Machine, distinct: bool) -> Plan:
    """Decide for every tile."""
    made = Plan()
    for number, op in enumerate(kernel.body.walk()):
        made.order[op] = number
    place = Places(kernel.body)
    Uses(made, place, _costs(kernel.body, made)).weigh(kernel.body)
    _keep_reshaped(kernel.body, made)
    _keep_deep(kernel.body, made)
    _keep_endangered(kernel.body, made, place, Aliases(kernel, distinct))
    sinks = Sinks(made)
    sinks.visit(kernel.body)
    _find_homes(kernel.body, made, sinks, place, Aliases(kernel, distinct))
    sinks = Sinks(made)
    sinks.visit(kernel.body)
    _dots_in_place(kernel.body, made, sinks)
    _releases(kernel.body, made, sinks, place)
    return made


class Places:
    """Where ops stand: the block of each, the loops around it, and the op that each block belongs to."""

    def __init__(self, body: Block):
        self.block: dict[Op, Block] = {}
        self.owner: dict[Block, Op] = {}
        self._visit(body)

    def _visit(self, block: Block) -> None:
        for op in block.ops:
            self.block[op] = block
            for inner in op.blocks:
                self.owner[inner] = op
                self._visit(inner)

    def around(self, op: Op) -> Iterator[Op]:
        """The ops whose blocks contain this one, innermost first."""
        block = self.block[op]
        while block in self.owner:
            owner = self.owner[block]
            yield owner
            block = self.block[owner]

    def in_block(self, op: Op, block: Block) -> Op:
        """The op of a block that is this op or contains it."""
        while self.block[op] is not block:
            op = self.owner[self.block[op]]
        return op


def is_virtual(op: Op) -> bool:
    """Whether an op's result could be an expression in its consumer's loop."""
    return len(op.results) == 1 and bool(op.result.type.shape) and op.spec.name not in WHOLE


def is_scalar(op: Op) -> bool:
    """Whether an op computes one number from others, and does nothing else."""
    return op.spec.is_pure and not any(v.type.shape for v in (*op.operands, *op.results))


class Uses:
    """How often each tile is evaluated: sink -> relative number of times. Users are settled before what they use, so
    that below a tile that is kept everything is evaluated once."""

    def __init__(self, made: Plan, place: Places, cost: dict[Value, int]):
        self.made, self.place, self.cost = made, place, cost
        self.weights: dict[Value, dict[Op, int]] = {}

    def weigh(self, block: Block) -> None:
        for op in reversed(block.ops):
            for inner in op.blocks:
                if op.spec.name not in ("reduce", "scan"):
                    self.weigh(inner)
            passed = {op: 1}
            if is_virtual(op):
                if op.spec.name not in FREE and (self.total(op) - 1) * self.cost[op.result] >= KEEP:
                    self.made.memory.add(op.result)
                else:
                    factor = _repetition(op)
                    passed = {sink: weight * factor for sink, weight in self.weights.get(op.result, {}).items()}
            for value in op.operands:
                self._note(value, passed)

    def _note(self, value: Value, weights: dict[Op, int]) -> None:
        if value.type.shape:
            known = self.weights.setdefault(value, {})
            for sink, weight in weights.items():
                known[sink] = max(known.get(sink, 0), weight)

    def total(self, op: Op) -> int:
        """How often the op's result would be evaluated."""
        outer = set(self.place.around(op))
        total = 0
        for sink, weight in self.weights.get(op.result, {}).items():
            loops = sum(o.spec.name in ("for", "while") for o in self.place.around(sink) if o not in outer)
            total += weight * LOOP**loops
        return total


def _repetition(op: Op) -> int:
    """How often a broadcast evaluates one element of its operand; inner repetitions are hoisted out of their loop."""
    if op.spec.name != "broadcast" or not op.operands[0].type.shape:
        return 1
    source = op.operands[0].type.shape
    deepest = max((axis for axis, extent in enumerate(source) if extent > 1), default=0)
    times = 1
    for axis in range(deepest):
        times *= op.result.type.shape[axis] // source[axis]
    return times


def _costs(block: Block, made: Plan) -> dict[Value, int]:
    """What evaluating one element of each tile would cost if nothing below it were kept."""
    cost: dict[Value, int] = {}
    for op in block.walk():
        if is_virtual(op):
            below = sum(2 if made.kept(v) else cost.get(v, 0) for v in set(op.operands) if v.type.shape)
            cost[op.result] = min(COST.get(op.spec.name, 1) + below, MOST)
    return cost


def _keep_reshaped(block: Block, made: Plan) -> None:
    """Tiles that are seen under another shape, or at places which the data decide; and offsets, which say such places."""
    for op in block.walk():
        if op.spec.name in ("load_block", "store_block"):
            made.memory.update(table for table in tables(op).values() if table.source is not None and table.source.spec.name not in WHOLE)
        moved = op.spec.name == "reshape" and moved_axes(op.operands[0].type.shape, op.result.type.shape) is None
        if moved or op.spec.name == "gather":
            source = op.operands[0].source
            if source is not None and source.spec.name not in WHOLE:
                made.memory.add(op.operands[0])


def tables(op: Op) -> dict[int, Value]:
    """The axes of a block whose indices have offsets instead of a stride, and the tiles of these."""
    tile, first = (op.operands[1], 2) if op.spec.name == "store_block" else (op.result, 1)
    return {axis: way for axis, way in enumerate(op.operands[first : first + tile.type.rank]) if way.type.shape}


def moved_axes(old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int | None, ...] | None:
    """For each old axis the new one, None for extents of one, if the reshape only adds or drops such axes."""
    if [n for n in old if n > 1] != [n for n in new if n > 1]:
        return None
    places = iter([axis for axis, extent in enumerate(new) if extent > 1])
    return tuple(next(places) if extent > 1 else None for extent in old)


def _keep_deep(block: Block, made: Plan) -> None:
    """Expressions are evaluated by recursion, which must not go too deep."""
    depth: dict[Value, int] = {}
    for op in block.walk():
        if is_virtual(op) and op.result not in made.memory:
            depth[op.result] = 1 + max((depth.get(v, 0) for v in op.operands), default=0)
            if depth[op.result] > DEEP:
                made.memory.add(op.result)
                del depth[op.result]


class Sinks:
    """The ops at which each tile in memory, or virtual load, is really read."""

    def __init__(self, made: Plan):
        self.made = made
        self.of: dict[Value, set[Op]] = {}

    def visit(self, block: Block) -> None:
        for op in block.ops:
            for inner in op.blocks:
                self.visit(inner)
            if is_virtual(op) and op.result not in self.made.memory:
                continue
            at = self.made.home.get(op.result, op) if len(op.results) == 1 else op
            for value in op.operands:
                if is_virtual(op):
                    self._read(value, at)
                elif value.type.shape:
                    self._read(value, op)

    def _read(self, value: Value, sink: Op) -> None:
        for leaf in self.made.leaves(value):
            self.of.setdefault(leaf, set()).add(sink)


def _keep_endangered(body: Block, made: Plan, place: Places, aliases: Aliases) -> None:
    """Loads whose memory may be written before, or while, a sink reads them."""
    fences = {op for op in body.walk() if is_fence(op)}
    writes = [op for op in body.walk() if op.spec.name in WRITES or op in fences]
    if not writes:
        return
    while True:  # keeping one tile moves the sinks of those below it to an earlier place, never a later one
        sinks = Sinks(made)
        sinks.visit(body)
        found = [
            load.result
            for load in body.walk()
            if load.spec.name in READS and load.result.type.shape and load.result not in made.memory
            if any(endangered(load, sink, writes, fences, made, place, aliases) for sink in sinks.of.get(load.result, ()))
        ]
        if not found:
            return
        made.memory.update(found)


def endangered(load: Op, sink: Op, writes: list[Op], fences: set[Op], made: Plan, place: Places, aliases: Aliases) -> bool:
    """Whether evaluating the load when the sink runs could see a later store."""
    outer = set(place.around(load))
    until = made.order[sink]
    for loop in place.around(sink):
        if loop not in outer and loop.spec.name in ("for", "while"):
            until = max(until, *(made.order[op] for b in loop.blocks for op in b.walk()))
    for write in writes:
        if made.order[load] < made.order[write] <= until:
            once = write is sink and until == made.order[sink]
            if write in fences and not once:
                return True
            if write.spec.name not in WRITES or not aliases.conflict(load, write):
                continue
            if not (
                once
                and same_elements(load, write)
                and made.leaves(write.operands[1]).get(load.result)
                and not _masked_by(load, write, made)
            ):
                return True
    return False


def is_fence(op: Op) -> bool:
    """Whether other programs may write, once this op has run, what loads before it have read: a lock is given back, a
    flag is waited for. Atomics of many lanes count something."""
    return "atomic" in op.spec.traits and not op.operands[0].type.shape or op.spec.name == "while" and may_wait(op) is not None


def _masked_by(load: Op, write: Op, made: Plan) -> bool:
    """Whether the load is used by anything else of the store than its value."""
    return any(load.result in made.leaves(v) for v in write.operands[2:])


def _find_homes(body: Block, made: Plan, sinks: Sinks, place: Places, aliases: Aliases) -> None:
    """Tiles that the first reduction over them can write down as it evaluates them anyway."""
    writes = [op for op in body.walk() if op.spec.name in WRITES]
    for op in body.walk():
        if not is_virtual(op) or op.result not in made.memory or op.spec.name in (*READS, *FREE):
            continue
        first = min(sinks.of.get(op.result, ()), key=lambda s: made.order[s], default=None)
        if first is None or first.spec.name != "reduce" or place.block.get(first) is not place.block[op]:
            continue
        if not any(made.leaves(v).get(op.result) for v in first.operands):
            continue
        loads = [leaf.source for v in op.operands for leaf in made.leaves(v) if leaf.source is not None and leaf.source.spec.name in READS]
        between = any(made.order[op] < made.order[w] < made.order[first] for w in writes)
        if not (loads and between):
            made.home[op.result] = first


def _dots_in_place(body: Block, made: Plan, sinks: Sinks) -> None:
    """A dot whose result a loop carries may accumulate where the old value is, if nobody reads that later."""
    for loop in body.walk():
        if loop.spec.name != "for":
            continue
        block = loop.blocks[0]
        for arg, result in zip(block.args[1:], block.yields, strict=True):
            source = result.source
            if source is None or source.spec.name != "dot" or source not in block.ops or block.yields.count(result) > 1:
                continue
            late = any(made.order[sink] > made.order[source] for sink in sinks.of.get(arg, ()))
            multiplied = any(arg in made.leaves(v) for v in source.operands[:2])
            if not late and not multiplied and made.leaves(source.operands[2]).get(arg, True):
                made.in_place[result] = arg


def _releases(body: Block, made: Plan, sinks: Sinks, place: Places) -> None:
    """After which op of its own block each tile in memory is needed no more."""
    for op in body.walk():
        if op not in place.block or (place.block[op] in place.owner and place.owner[place.block[op]].spec.name in ("reduce", "scan")):
            continue
        for result in op.results:
            if result.type.shape and made.kept(result) and result not in made.in_place:
                readers = [place.in_block(sink, place.block[op]) for sink in sinks.of.get(result, ())]
                if result in made.home:
                    readers.append(made.home[result])
                last = max(readers, key=lambda r: made.order[r], default=op)
                made.release.setdefault(last if made.order[last] > made.order[op] else op, []).append(result)
