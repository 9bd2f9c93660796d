"""What programs cost in energy and a machine in area: counts of a trace, and sizes, times what the file says of each thing.

An estimate that is reported and used by nothing. An operand of an instruction is read from its memory once, however often the unit
passes it on; elements that a stride of 0 repeats are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..isa.state import DTYPE_NAMES, DTYPE_OF
from ..machine import Npu
from ..simulator.trace import Shown, Trace

ITEMSIZES = np.array([dtype.itemsize for dtype in DTYPE_OF])
PICO = 1e-12


@dataclass
class Counts:
    """How much of everything some programs did."""

    macs: np.ndarray = field(default_factory=lambda: np.zeros(len(DTYPE_NAMES)))  # multiply-adds of the matrix unit, by type
    lanes: float = 0.0  # what vector and cross-lane units computed, in elements of at most four bytes
    spm_bytes: float = 0.0  # of scratchpad and accumulators, read or written
    instructions: float = 0.0

    def add(self, other: Counts, times: int = 1) -> None:
        """The same, with what other programs did so many times."""
        self.macs = self.macs + times * other.macs
        self.lanes += times * other.lanes
        self.spm_bytes += times * other.spm_bytes
        self.instructions += times * other.instructions


class Counter:
    """Counts traces of one program."""

    def __init__(self, program: Sequence[Shown]):
        units = [shown.one.instruction.unit if shown.one.instruction.name != "nop" else "S" for shown in program]
        self.multiplies = np.array([shown.one.instruction.name == "mm" for shown in program], bool)
        self.computes = np.array([unit in "VX" for unit in units], bool)

    def count(self, trace: Trace) -> Counts:
        """What one program, or a piece of it, did."""
        steps, tiles = trace.steps[trace.steps["done"] == 1], trace.tiles
        sizes = ITEMSIZES[tiles["dtype"]]
        elements = tiles["extents"].prod(axis=1)
        distinct = np.where(tiles["strides"] != 0, tiles["extents"], 1).prod(axis=1)
        moved = np.append(distinct * sizes, 0)[steps["tiles"]].sum()  # -1, no operand, is the last
        wide = np.append(elements * np.maximum(sizes / 4, 1), 0)
        lanes = wide[steps["tiles"][self.computes[steps["pc"]]]].max(axis=1, initial=0).sum()
        _, a, b = steps["tiles"][self.multiplies[steps["pc"]]][:, :3].T
        macs = elements[a] * tiles["extents"][b, -1]
        by_type = np.bincount(tiles["dtype"][a], weights=macs, minlength=len(DTYPE_NAMES))
        return Counts(by_type, float(lanes), float(moved), float(len(trace.steps)))


def joules(machine: Npu, counts: Counts, dram_bytes: float, seconds: float) -> dict[str, float]:
    """Energy by what it goes into."""
    return {
        "matrix": PICO * sum(count * _each(machine.mac_pj, name) for name, count in zip(DTYPE_NAMES, counts.macs.tolist(), strict=True)),
        "vector": PICO * counts.lanes * machine.lane_pj,
        "scratchpad": PICO * counts.spm_bytes * machine.spm_pj,
        "dram": PICO * dram_bytes * machine.dram_pj,
        "issue": PICO * counts.instructions * machine.issue_pj,
        "idle": 1e-3 * machine.idle_mw * machine.cores * seconds,
    }


def area(machine: Npu) -> dict[str, float]:
    """Square millimetres by part, of all cores; what is not named here (issue, DMA, wires) is left out. A cell has the multiplier of the
    largest type, as often as that type's rate says."""
    cell = max((_each(machine.mac_um2, name) * min(rate, 1.0) for name, rate in machine.matrix_rate.items() if rate), default=0.0)
    parts = {
        "matrix": machine.macs * cell,
        "vector": machine.lanes * machine.lane_um2,
        "scratchpad": (machine.spm_bytes + machine.acc_bytes) * machine.sram_um2,
    }
    return {name: 1e-6 * machine.cores * value for name, value in parts.items()}


def _each(table: Mapping[str, float], name: str) -> float:
    """What a type costs; one that is not named as much as f32, by its bytes."""
    return table[name] if name in table else table.get("f32", 0.0) * DTYPE_OF[DTYPE_NAMES.index(name)].itemsize / 4
