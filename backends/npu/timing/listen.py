"""From a program's run to its tasks: an observer of the simulators that writes down what each instruction asks of the machine."""

from __future__ import annotations

from typing import Any

from tiledsl.backend.isa import Decoded

from ..isa.instructions import NO_SEMAPHORE
from ..machine import Npu
from .costs import COSTS, custom, product, queue_of, scalar, transfer
from .tasks import KIND_BARRIER, KIND_SCALAR, KIND_TRANSFER, KIND_UNIT, Tasks


class Listener:
    """An observer that collects the tasks of one program."""

    def __init__(self, machine: Npu):
        self.machine, self.tasks = machine, Tasks(machine)
        self.expected = 0  # the pc after the last instruction, had it not jumped

    def __call__(self, core: Any, pc: int, one: Decoded) -> None:
        """One instruction, about to be carried out."""
        stall = self.machine.taken_branch if pc != self.expected else 0
        self.expected = pc + 1
        unit, channel = queue_of(one)
        name = one.instruction.name
        common = one.common
        after = self.tasks.waits(tuple(s for s in (common["wait0"], common["wait1"]) if s != NO_SEMAPHORE))
        kind, cost, own, moved, latency = KIND_UNIT, 0.0, 0.0, 0, 0.0
        if unit == "S":
            kind = KIND_BARRIER if name in ("halt", "barrier") else KIND_SCALAR
            cost, channel = scalar(core, one), 0
        elif name == "nop":
            pass
        elif unit in "LW":
            kind, cost, latency = KIND_TRANSFER, self.machine.dma_setup, self.machine.dram_latency
            moved, own = transfer(core, one)
        elif name == "mm":
            a, b = core.tile(one["a"]), core.tile(one["b"])
            cost, latency = product(self.machine, a.extents[0], a.extents[1], b.extents[1], a.dtype.name)
        else:
            cost = COSTS[name](core, one) if name in COSTS else custom(core, one)
        if unit == "V" and self.machine.vector_shares:
            unit = "M"
        number = self.tasks.add(
            unit, cost, channel=channel, kind=kind, own=own, moved=moved, latency=latency, stall=stall, after=after, note=pc
        )
        if common["post"] != NO_SEMAPHORE:
            self.tasks.posted[common["post"]].append(number)
