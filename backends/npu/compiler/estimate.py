"""How long lines will take, before there are words: the costs of the timing model, read from views instead of descriptors."""

from __future__ import annotations

from typing import Any, NamedTuple

from tiledsl.backend.isa import Instruction

from ..isa.state import TileDescriptor
from ..machine import Npu
from ..timing.costs import COSTS, custom, product, scalar
from .layout import View
from .write import Line

DESCRIPTORS = 2  # instructions of the scalar unit that prepare one of another unit, about


class Took(NamedTuple):
    """Cycles that a line keeps its unit busy, and those until others see what it did."""

    busy: float
    latency: float


class _Seen:
    """A line as the cost functions see an instruction: its operands by label, tiles for numbers of registers."""

    def __init__(self, line: Line, instruction: Instruction):
        self.instruction, self.operands = instruction, line.operands
        self._named = {label: x for (label, _), x in zip(instruction.fields, line.operands, strict=True)}

    def __getitem__(self, label: str) -> Any:
        return self._named[label]


class Estimate:
    """The costs of lines on a machine; it stands for the core that cost functions ask for tiles."""

    def __init__(self, machine: Npu):
        self.machine = machine
        self.share = machine.dram_bytes_per_cycle / machine.cores  # of the memory's bandwidth, while all cores want it

    def tile(self, x: Any) -> TileDescriptor:
        """A view as a descriptor."""
        return TileDescriptor(x.buffer.space, x.dtype, x.offset, x.shape, x.strides)

    def __call__(self, line: Line) -> Took:
        """What one line takes."""
        instruction = line.instruction
        assert instruction is not None
        seen: Any = _Seen(line, instruction)
        machine, unit = self.machine, instruction.unit
        if unit == "S":
            return Took(1 + scalar(self, seen), 0)
        if unit in "LW":
            tiles = [x for x in line.operands if isinstance(x, View)]
            moved = tiles[0].size * tiles[0].dtype.itemsize
            return Took(machine.dma_setup + moved / min(self.share, machine.dma_bytes_per_cycle), machine.dram_latency)
        if instruction.name == "mm":
            a, b = seen["a"], seen["b"]
            return Took(*product(machine, a.shape[0], a.shape[1], b.shape[1], a.dtype.name))
        cost = custom if line.custom is not None else COSTS[instruction.name]
        return Took(cost(self, seen), 0)
