"""Which loops of a program may wait for another one, from its words alone, and what tells whether they saw anything new.

The same question is answered for kernels by `tiledsl/waiting.py`; here nothing but the words is known. What decides is what
the loop's conditional jumps depend on. A register may hold one thing here and another there: so what counts is followed
backwards, instruction by instruction, until nothing is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiledsl.backend.isa import Decoded


@dataclass(frozen=True)
class Slice:
    """Of the loop that a jump back closes."""

    registers: tuple[int, ...]  # what an iteration takes from the one before and depends on, all through, whether it goes on
    memory: bool  # whether it depends on scratchpad or accumulators, too
    stores: bool  # whether it writes to DRAM, atomics apart: then all that an iteration takes from the one before counts


def slices(program: Sequence[Decoded]) -> dict[int, Slice]:
    """By the number of the jump back, for every loop that depends on memory; the others end by what they compute."""
    found = {}
    for pc, one in enumerate(program):
        if one.instruction.name == "jump" and one["target"] <= pc:
            made = _slice(program, one["target"], pc)
            if made is not None:
                found[pc] = made
    return found


def _slice(program: Sequence[Decoded], first: int, last: int) -> Slice | None:
    body = range(first, last + 1)
    registers, reads, tiles = _followed(program, body, everything=False)
    if not reads:
        return None
    stores = any(program[pc].instruction.traits >= {"dram_write"} and "dram_read" not in program[pc].instruction.traits for pc in body)
    if stores:
        registers, _, tiles = _followed(program, body, everything=True)
    return Slice(tuple(sorted(registers)), tiles, stores)


def _followed(program: Sequence[Decoded], body: range, everything: bool) -> tuple[set[int], bool, bool]:
    """The registers that count where the loop begins, whether memory of any kind does, and whether scratchpad does. everything: all
    that any instruction reads counts, and not only what conditional jumps do."""
    before: dict[int, set[int]] = {pc: set() for pc in body}
    reads = tiles = False
    grew = True
    while grew:
        grew = False
        for pc in reversed(body):
            one = program[pc]
            counts = set().union(*(before[at] for at in _next(pc, one) if at in before))
            written = _named(one, "r", "write", "update")
            matters = bool(written & counts)
            if not one.common["when"]:
                counts -= _named(one, "r", "write")
            if everything or matters or one.instruction.name in ("jumpz", "jumpnz"):
                counts |= _named(one, "r", "read", "update") | ({one.common["when"]} - {0})
            if everything or matters:
                here = bool(_named(one, "t", "read"))
                tiles |= here
                reads |= here or "dram_read" in one.instruction.traits
            grew |= counts != before[pc]
            before[pc] = counts
    return before[body[0]], reads, tiles


def _next(pc: int, one: Decoded) -> tuple[int, ...]:
    """Where a program may go on behind an instruction."""
    name = one.instruction.name
    if name == "jump":
        return (one["target"],)
    return (pc + 1, one["target"]) if name in ("jumpz", "jumpnz") else () if name == "halt" else (pc + 1,)


def _named(one: Decoded, prefix: str, *roles: str) -> set[int]:
    """The registers that an instruction uses in one of these roles."""
    fields = zip(one.instruction.fields, one.operands, strict=True)
    return {number for (_, where), number in fields if where.prefix == prefix and where.role in roles and number != where.none}
