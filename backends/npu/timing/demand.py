"""What one instruction asks of its machine: a queue, cycles, bytes; `listen` makes tasks of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tiledsl.backend.isa import Decoded

from ..machine import Npu
from .costs import COSTS, conflicts, custom, product, queue_of, scalar, transfer
from .tasks import KIND_BARRIER, KIND_SCALAR, KIND_TRANSFER, KIND_UNIT


class Demand(NamedTuple):
    """What decides the time, see `tasks`."""

    unit: str
    channel: int
    kind: int
    cost: float = 0.0
    own: float = 0.0
    moved: float = 0.0
    latency: float = 0.0
    banks: float = 0.0  # cycles of the cost that are lost to banks


def demand(core: Any, one: Decoded) -> Demand:
    """What an instruction asks for; `core` knows the descriptors that it names, and the machine."""
    machine: Npu = core.machine
    unit, channel = queue_of(one)
    name = one.instruction.name
    if unit == "S":
        return Demand(unit, 0, KIND_BARRIER if name in ("halt", "barrier") else KIND_SCALAR, scalar(core, one))
    where = "M" if unit == "V" and machine.vector_shares else unit
    if name == "nop":
        return Demand(where, channel, KIND_UNIT)
    if unit in "LW":
        moved, own = transfer(core, one)
        return Demand(unit, channel, KIND_TRANSFER, machine.dma_setup, own, moved, machine.dram_latency)
    if name == "mm":
        a, b = core.tile(one["a"]), core.tile(one["b"])
        cost, latency = product(machine, a.extents[0], a.extents[1], b.extents[1], a.dtype.name)
        return Demand(where, channel, KIND_UNIT, cost, latency=latency)
    cost = COSTS[name](core, one) if name in COSTS else custom(core, one)
    return Demand(where, channel, KIND_UNIT, cost, banks=conflicts(core, one))
