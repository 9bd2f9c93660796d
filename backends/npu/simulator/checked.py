"""The checking simulator: the reference interpreter, with everything that can go wrong unnoticed looked at.

Races, tokens that do not pair up, reads of bytes that nothing has written; and, with a seed, another order of the queues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiledsl import config
from tiledsl.backend.isa import Decoded
from tiledsl.memory import Memory

from ..isa.state import Core
from ..machine import Npu
from .fast import Loaded
from .races import Races, Written
from .run import Poll, run
from .shuffle import shuffled
from .trace import Recorder, Sink, box_operand, tile_operands


@dataclass(frozen=True)
class Checks:
    """What a checking run looks at."""

    races: bool = True
    uninitialised: bool = True
    order: int | None = None  # the seed of another order of the queues; None: program order


def asked_for() -> Checks | None:
    """The checks that the environment asks for."""
    order = config.npu_order()
    return Checks(order=order or None) if order or config.npu_check() else None


class CheckedCore:
    """A core that runs one program after the other under checks; it can do what `FastCore` does."""

    def __init__(self, machine: Npu, checks: Checks):
        self.machine, self.checks = machine, checks

    def attach(self, loaded: Loaded, dram: Memory, arguments: Sequence[int], grid: Sequence[int], poll_every: int = 1) -> None:
        """Get ready for the programs of a launch."""
        self.loaded, self.dram, self.arguments, self.grid = loaded, dram, list(arguments), tuple(grid)

    @property
    def pc(self) -> int:
        return self.core.pc

    @property
    def program(self) -> list[int]:
        return self.core.program

    def shown(self, one: Decoded) -> list[str]:
        return self.core.shown(one)

    def run(self, number: int, place: Sequence[int], sink: Sink | None = None, poll: Poll | None = None) -> int:
        """Run one program of the grid until it halts; returns how many instructions were issued."""
        program, checks = self.loaded.instructions, self.checks
        core = self.core = Core(self.machine, self.dram, self.arguments, place, self.grid)
        recorder, races, written = Recorder(number), Races(program, self.machine), Written(core)

        def observe(core: Core, pc: int, one: Decoded) -> None:
            recorder(core, pc, one)
            if checks.races:
                done = core.chooses(one)
                tiles = [t for t in (core.t[n] for n in tile_operands(one)) if t is not None] if done else []
                box = box_operand(one)
                if len(tiles) == len(tile_operands(one)) * done:  # what is not set, the instruction itself will say
                    races.see(pc, tiles, core.g[box] if done and box is not None else None, done)
            if checks.uninitialised:
                written(core, pc, one)

        if checks.order is None:
            issued = run(core, program, observe, poll)
        else:
            issued = shuffled(core, program, (checks.order, number), observe, poll)
        if sink is not None:
            sink(recorder.trace())
        return issued
