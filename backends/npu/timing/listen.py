"""From a program's run to its tasks: an observer of the simulators that writes down what each instruction asks of the machine."""

from __future__ import annotations

from typing import Any

from tiledsl.backend.isa import Decoded

from ..isa.instructions import NO_SEMAPHORE
from ..machine import Npu
from .demand import demand
from .tasks import Tasks


class Listener:
    """An observer that collects the tasks of one program."""

    def __init__(self, machine: Npu):
        self.machine, self.tasks = machine, Tasks(machine)
        self.expected = 0  # the pc after the last instruction, had it not jumped

    def __call__(self, core: Any, pc: int, one: Decoded) -> None:
        """One instruction, about to be carried out."""
        stall = self.machine.taken_branch if pc != self.expected else 0
        self.expected = pc + 1
        common = one.common
        after = self.tasks.waits(tuple(s for s in (common["wait0"], common["wait1"]) if s != NO_SEMAPHORE))
        asked = demand(core, one)
        number = self.tasks.add(
            asked.unit,
            asked.cost,
            channel=asked.channel,
            kind=asked.kind,
            own=asked.own,
            moved=asked.moved,
            latency=asked.latency,
            stall=stall,
            after=after,
            note=pc,
            banks=asked.banks,
        )
        if common["post"] != NO_SEMAPHORE:
            self.tasks.posted[common["post"]].append(number)
