"""What the programs of a launch cost: programs that did the same cost the same, and are counted once.

At its end a program has waited for all of its queues, so that the next one finds a clock that only stands later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..timing import Clock
from .trace import Player, Trace

MOST_CLASSES = 1024  # to remember


@dataclass
class Account:
    """A sink that lets the clocks of a launch run, program `number` on clock `number` modulo how many there are."""

    player: Player
    clocks: Sequence[Clock]
    known: dict[bytes, tuple[float, dict[str, float], int]] = field(default_factory=dict)  # cycles, busy units, bytes of DRAM

    def __call__(self, trace: Trace) -> None:
        clock = self.clocks[trace.program % len(self.clocks)]
        # only a clock that has run before counts the jump back to the first instruction
        key = trace.signature(clock.machine.burst) if clock.now else b""
        cost = self.known.get(key) if key else None
        if cost is None:
            now, busy, moved = clock.now, dict(clock.busy), clock.dram_bytes
            self.player.play(trace, clock)
            if key and len(self.known) < MOST_CLASSES:
                spent = {unit: cycles - busy.get(unit, 0) for unit, cycles in clock.busy.items()}
                self.known[key] = clock.now - now, spent, clock.dram_bytes - moved
            return
        clock.now += cost[0]
        for unit, cycles in cost[1].items():
            clock.busy[unit] += cycles
        clock.dram_bytes += cost[2]
