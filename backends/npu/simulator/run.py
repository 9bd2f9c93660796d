"""The reference interpreter of T1: fetches decoded words, carries out what they mean, and tells observers what was issued.

It is the definition of the machine, made to be read; `fast.py` runs programs quickly and must equal it. Values come from
the instructions' meanings alone. Observers see every instruction with the core as it is at issue, and can change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np

from tiledsl.backend.isa import Decoded, Illegal, InstructionSet
from tiledsl.errors import MemoryFault, TileError
from tiledsl.location import Loc
from tiledsl.memory import outside

from ..isa.instructions import T1
from ..isa.state import Core, Trap

Observer = Callable[[Core, int, Decoded], None]
Poll = Callable[[Core, int], None]  # called when a `while` loop begins again, with the number of its jump


def decode(words: Sequence[int], isa: InstructionSet = T1) -> list[Decoded]:
    """The instructions of a program; a word that is none is a trap."""
    program: list[Decoded] = []
    for word in words:
        try:
            program.append(isa.decode(word))
        except Illegal as error:
            raise Trap("ILLEGAL", str(error), at=len(program)) from None
    return program


def decode_image(words: Sequence[int], isa: InstructionSet, lines: Sequence[Loc | None] = ()) -> list[Decoded]:
    """The same; what is wrong names the word and the user's line."""
    try:
        return decode(words, isa)
    except Trap as trap:
        pc = trap.at or 0
        raise TileError(str(trap), lines[pc] if pc < len(lines) else None, notes=(f"instruction {pc}: word {words[pc]:#x}",)) from None


def run(core: Core, program: Sequence[Decoded], observe: Observer | None = None, poll: Poll | None = None) -> int:
    """Execute until halt; returns how many instructions were issued."""
    issued = 0
    limit = core.machine.watchdog
    end = len(program)
    with np.errstate(all="ignore"):
        while core.running:
            pc = core.pc
            core.pc = pc + 1
            if not 0 <= pc < end:
                raise lost(pc, end)
            one = program[pc]
            issued += 1
            if issued > limit:
                raise exhausted(limit)
            if observe is not None:
                observe(core, pc, one)
            if core.chooses(one):
                execute(core, one)
                if core.pc <= pc and poll is not None and one.instruction.name == "jump":
                    poll(core, pc)
    return issued


def execute(core: Core, one: Decoded) -> None:
    """Carry out one instruction whose predicate holds."""
    try:
        one.instruction.execute(core, *one.operands)
    except (ValueError, TypeError, IndexError, AssertionError) as error:
        # types or shapes that the operation does not take
        raise Trap("UNSUPPORTED", f"{one.instruction.name}: {error}") from error
    core.r[0] = 0


def lost(pc: int, end: int) -> Trap:
    """A jump, or running on, went where the program is not."""
    return Trap("ILLEGAL", f"no instruction {pc} in a program of {end}")


def exhausted(limit: int) -> Trap:
    """A program went on for too long."""
    return Trap("WATCHDOG", f"more than {limit} instructions")


def run_program(
    core: Core, program: Sequence[Decoded], lines: Sequence[Loc | None], observe: Observer | None = None, poll: Poll | None = None
) -> int:
    """Run one program of a grid; what goes wrong names the program, the instruction and the user's line."""
    with placed(core, program, lines):
        return run(core, program, observe, poll)


@contextmanager
def placed(
    core: Any,
    program: Sequence[Decoded],
    lines: Sequence[Loc | None],
    called: Sequence[int] | None = None,
    arrays: Mapping[Loc, int] = MappingProxyType({}),
) -> Iterator[None]:
    """What goes wrong on a core, with the program of the grid, the instruction and the user's line: `core.pc` is behind it.
    `called`: the program, where that is not what the core takes itself to run. `arrays`: which one a line's accesses are made
    through, so that what lies outside is told about that one."""
    try:
        yield
    except MemoryFault as fault:
        place, notes = _where(core, program, lines, called)
        number = None if place is None else arrays.get(place)
        if fault.access and number is not None and number < len(core.dram.names):
            fault = outside(core.dram.regions, *fault.access, through=core.dram.names[number])
        d = fault.diagnostic
        raise MemoryFault(d.message, place, label=d.label, notes=(*d.notes, *notes), help=d.help) from None
    except Trap as trap:
        place, notes = _where(core, program, lines, called)
        raise TileError(str(trap), place, notes=notes) from trap


def _where(
    core: Any, program: Sequence[Decoded], lines: Sequence[Loc | None], called: Sequence[int] | None
) -> tuple[Loc | None, tuple[str, ...]]:
    pc = core.pc - 1
    known = 0 <= pc < len(program)
    text = T1.show(program[pc]) if known else "nothing"
    loc = lines[pc] if 0 <= pc < len(lines) else None
    return loc, (f"program {tuple(called or core.program)}, instruction {pc}: {text}", *(core.shown(program[pc]) if known else ()))
