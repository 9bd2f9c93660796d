"""Which loops of a program may wait for another one, from its words alone, and what tells whether they saw anything new.

The same question is answered for kernels by `tiledsl/waiting.py`; here nothing but the words is known. What decides is what
the loop's conditional jumps depend on, through the instructions of the loop in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiledsl.backend.isa import Decoded


@dataclass(frozen=True)
class Slice:
    """Of the loop that a jump back closes."""

    registers: tuple[int, ...]  # what it depends on, all through, whether it goes on; if it stores: every one that it writes
    memory: bool  # whether that comes from scratchpad or accumulators
    stores: bool  # whether it writes to DRAM, atomics apart


def slices(program: Sequence[Decoded]) -> dict[int, Slice]:
    """By the number of the jump back, for every loop that depends on memory; the others end by what they compute."""
    found = {}
    for pc, one in enumerate(program):
        if one.instruction.name == "jump" and one["target"] <= pc:
            made = _slice(program[one["target"] : pc + 1])
            if made is not None:
                found[pc] = made
    return found


def _slice(body: Sequence[Decoded]) -> Slice | None:
    registers = {n for one in body if one.instruction.name in ("jumpz", "jumpnz") for n in _named(one, "r", "read")}
    dram = tiles = False
    grew = True
    while grew:
        before = len(registers), tiles
        for one in body:
            if registers & _named(one, "r", "write", "update"):
                registers |= _named(one, "r", "read", "update") | {one.common["when"]}
                dram |= "dram_read" in one.instruction.traits
                tiles |= bool(_named(one, "t", "read"))
        grew = before != (len(registers), tiles)
    if not dram and not tiles:
        return None
    stores = any("dram_write" in one.instruction.traits and "dram_read" not in one.instruction.traits for one in body)
    if stores:
        registers |= {n for one in body for n in _named(one, "r", "write", "update")}
    return Slice(tuple(sorted(registers)), tiles, stores)


def _named(one: Decoded, prefix: str, *roles: str) -> set[int]:
    """The registers that an instruction uses in one of these roles."""
    fields = zip(one.instruction.fields, one.operands, strict=True)
    return {number for (_, where), number in fields if where.prefix == prefix and where.role in roles and number != where.none}
