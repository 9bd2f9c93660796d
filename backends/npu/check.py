"""The static checker: from the words alone, are any two conflicting accesses of different queues ordered, on every way through?

It is a reader of its own: it knows nothing of how the compiler placed tokens. First descriptors are followed through the words
that set them; where ways meet, only what all of them agree on is known. Then the state of the queues (`order`) is followed
along every way, through loops too, until nothing new turns up: tokens may cross the edges of a loop, if they balance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from tiledsl.backend.isa import Decoded

from .isa.encoding import instruction_set
from .isa.instructions import NO_TILE
from .isa.state import DTYPE_OF, TileDescriptor, Trap
from .machine import Npu
from .order import DRAM, EVERYWHERE, Access, Order, queue_of, queues_of, tokens_of

MOST_WAYS = 600  # states of the queues at one instruction; structured code has two or three
Tiles = dict[int, tuple[TileDescriptor, bool]]  # what is known of descriptor registers, and whether a register has moved them


def verify(words: Sequence[int], machine: Npu) -> None:
    """Raise a trap RACE, SEM_UNDERFLOW, SEM_OVERFLOW, SEM_LEAK or ILLEGAL if a program's order is not established by its words."""
    isa = instruction_set(machine)
    program = [isa.decode(word) for word in words]
    known = _descriptors(program)
    touched = [None if tiles is None else tuple(_accesses(one, tiles)) for one, tiles in zip(program, known, strict=True)]
    landings = {one["target"] for one in program if one.instruction.name.startswith("jump")}
    seen: dict[int, set[Any]] = {}
    ways = [(0, Order(queues_of(machine)))]
    while ways:
        pc, state = ways.pop()
        while pc < len(program):
            if pc in landings:
                summary = state.summary()
                before = seen.setdefault(pc, set())
                if summary in before:
                    break
                before.add(summary)
                if len(before) > MOST_WAYS:
                    raise Trap("UNSUPPORTED", f"at instruction {pc} the queues can be in more than {MOST_WAYS} states")
            accesses = touched[pc]
            assert accesses is not None
            _step(state, pc, program[pc], accesses)
            after = list(_successors(pc, program[pc]))
            if not after:
                break
            ways += [(other, state.copy()) for other in after[1:]]
            pc = after[0]


def _step(state: Order, pc: int, one: Decoded, accesses: Sequence[Access]) -> None:
    waits, post = tokens_of(one)
    state.issue(pc, queue_of(one), accesses, waits, post)
    if one.instruction.name in ("barrier", "halt"):
        state.settle()
    if one.instruction.name == "halt":
        state.end()


def _successors(pc: int, one: Decoded) -> Iterator[int]:
    """Where a program may go on after an instruction."""
    name, always = one.instruction.name, one.common["when"] == 0
    if name in ("halt", "jump") and always:
        yield from () if name == "halt" else (one["target"],)
        return
    yield pc + 1
    if name.startswith("jump"):
        yield one["target"]


# --- what descriptors are --------------------------------------------------------------------------------------------------


def _descriptors(program: Sequence[Decoded]) -> list[Tiles | None]:
    """What is known of descriptors before each instruction; None where no way leads."""
    known: list[Tiles | None] = [None] * len(program)
    if program:
        known[0] = {}
    work = [0] if program else []
    while work:
        pc = work.pop()
        here = known[pc]
        assert here is not None
        after = _described(here, program[pc])
        for target in _successors(pc, program[pc]):
            if target >= len(program):
                continue
            before = known[target]
            met = after if before is None else {n: t for n, t in before.items() if after.get(n) == t}
            if before is None or len(met) < len(before):
                known[target] = met
                work.append(target)
    return known


def _described(tiles: Tiles, one: Decoded) -> Tiles:
    """What is known after an instruction."""
    name = one.instruction.name
    if name not in ("tset", "tdim", "tadv", "tstep"):
        return tiles
    number = one["to"]
    rest = {n: t for n, t in tiles.items() if n != number}
    if one.common["when"] != 0 or name != "tset" and number not in tiles:
        return rest
    if name == "tset":
        return rest | {number: (TileDescriptor(one["space"], DTYPE_OF[one["dtype"]], one["base"]), False)}
    t, moved = tiles[number]
    if name == "tadv":
        return rest | {number: (t, True)}
    if name == "tstep":
        return rest | {number: (replace(t, base=t.base + one["by"]), moved)}
    return rest | {number: (replace(t, extents=(*t.extents, one["extent"]), strides=(*t.strides, one["stride"])), moved)}


def _accesses(one: Decoded, tiles: Tiles) -> Iterator[Access]:
    for trait in sorted(one.instruction.traits):
        yield Access(DRAM, 0, EVERYWHERE, trait == "dram_write", trait == "dram_read" and bool(one.common["early"]))
    for (label, where), number in zip(one.instruction.fields, one.operands, strict=True):
        if where.prefix == "t" and where.role in ("read", "write") and number != NO_TILE:
            if number not in tiles:
                raise Trap("ILLEGAL", f"{one.instruction.name}: {label} = t{number} is not set on every way to here")
            t, moved = tiles[number]
            low, high = (-EVERYWHERE, EVERYWHERE) if moved else t.span()
            yield Access(t.space, low, high, where.role == "write")
