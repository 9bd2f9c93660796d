"""Descriptors and queues: the order is the program's; each view gets a descriptor register, each engine instruction a queue.

Descriptors that are still in a register are used again; one that is of no more use is moved to where another of its shape is
wanted; else the one unused for longest makes room. Loads go round the load channels, so that their latencies overlap.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field

from tiledsl.location import Loc

from ..machine import Npu
from .allocate import fields
from .layout import Box, View
from .names import DRAM, Label, Reg
from .write import Code, Line, code_of

Queue = tuple[str, int]  # unit and channel
Touch = tuple[int, int, int, bool]  # space, first byte, byte after the last, whether it is written


@dataclass(eq=False)
class Issue:
    """An instruction with numbers for operands: nearly a word. Jumps still name labels."""

    name: str
    operands: tuple[int | Label, ...]
    common: dict[str, int]
    queue: Queue
    touches: tuple[Touch, ...] = ()
    loc: Loc | None = None


Stream = list[Issue | Label]


Shape = tuple[object, ...]  # all that a descriptor says but where the tile begins
Key = tuple[Shape, int]  # and where


def _key(view: View) -> Key:
    return (view.buffer.space, view.dtype, view.shape, view.strides, view.moved), view.buffer.offset + view.offset


@dataclass
class _Registers:
    """The descriptor registers, and what is in them."""

    machine: Npu
    held: OrderedDict[Key, int] = field(default_factory=OrderedDict)
    latest: dict[Shape, int] = field(default_factory=dict)  # where the tile begins that was described last, by its shape
    needed: dict[Key, int] = field(default_factory=dict)  # until which instruction, at the last use before a label

    def enter(self, code: Code, at: int) -> None:
        """Nothing is in the registers where ways meet. `at`: where the code goes on."""
        for table in (self.held, self.latest, self.needed):
            table.clear()
        for here, item in enumerate(itertools.islice(code, at, None), at):
            if isinstance(item, Label):
                return
            self.needed.update((_key(x), here) for x in item.operands if isinstance(x, View))

    def find(self, view: View, at: int, out: Stream, loc: Loc | None) -> int:
        """The register that describes a view for instruction `at`; it is set first if need be."""
        key = shape, base = _key(view)
        if key in self.held:
            self.held.move_to_end(key)
            return self.held[key]
        before = self.latest.get(shape)
        self.latest[shape] = base
        if before is not None and view.shape and (shape, before) in self.held and self.needed[shape, before] < at:
            number = self.held[key] = self.held.pop((shape, before))
            out.append(Issue("tstep", (number, base - before), {}, ("S", 0), (), loc))
            return number
        full = len(self.held) == self.machine.tile_descriptors
        number = self.held.popitem(last=False)[1] if full else len(self.held)
        self.held[key] = number
        out.append(Issue("tset", (number, view.buffer.space, code_of(view.dtype), base), {}, ("S", 0), (), loc))
        for extent, stride in zip(view.shape, view.strides, strict=True):
            out.append(Issue("tdim", (number, extent, stride), {}, ("S", 0), (), loc))
        if view.moved is not None:
            out.append(Issue("tadv", (number, view.moved.number), {}, ("S", 0), (), loc))
        return number


LONG = 4  # latencies, in which a transfer is long


def _channels(line: Line, machine: Npu) -> int:
    """How many channels loads like this one go round. Transfers of different channels share the memory: many at a time hide its
    latency, but what is wanted first comes later. Long ones hide it themselves: as many as the memory is fast enough for."""
    tile = next(x for x in line.operands if isinstance(x, View))
    cycles = tile.size * tile.dtype.itemsize / machine.dma_bytes_per_cycle
    enough = -(-machine.dram_bytes_per_cycle // machine.dma_bytes_per_cycle)
    return machine.load_channels if cycles < LONG * machine.dram_latency else max(1, min(machine.load_channels, int(enough)))


def schedule(code: Code, machine: Npu) -> Stream:
    """The stream of instructions, without waits and posts."""
    out: Stream = []
    registers = _Registers(machine)
    registers.enter(code, 0)
    loads = 0
    for at, item in enumerate(code):
        if isinstance(item, Label):
            registers.enter(code, at + 1)
            out.append(item)
            continue
        instruction = item.instruction
        assert instruction is not None
        touches: list[Touch] = [(DRAM, 0, 1, trait == "dram_write") for trait in instruction.traits]
        operands: list[int | Label] = []
        for where, operand in fields(item):
            if isinstance(operand, View):
                low, high = operand.span()
                start = operand.buffer.offset
                # the words do not say how far a register moves a tile, and what they do not say the checker cannot rely on
                reach = (0, 1 << 40) if operand.moved is not None else (start + low, start + high)
                touches.append((operand.buffer.space, *reach, where.role == "write"))
                operands.append(registers.find(operand, at, out, item.loc))
            else:
                assert not isinstance(operand, Box)
                operands.append(operand.number if isinstance(operand, Reg) else operand)
        channel = 0
        if instruction.unit == "L":
            channel = loads % _channels(item, machine)
            loads += 1
        common = item.common | ({"when": item.when.number} if item.when else {})
        queue = (instruction.unit, channel)
        out.append(Issue(item.name, tuple(operands), common, queue, tuple(touches), item.loc))
    return out
