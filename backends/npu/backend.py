"""The accelerator behind the seam: a kernel becomes words, a launch runs them program by program on the simulator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tiledsl.backend.base import Argument, Buffer, Options, Program, Report
from tiledsl.backend.isa import Decoded
from tiledsl.ir.core import Kernel
from tiledsl.ir.types import DType, Tile
from tiledsl.memory import Memory
from tiledsl.passes import SHARED

from .compile import compile_code, listing
from .container import Image, from_bytes, to_bytes
from .machine import T1_BASE, Npu
from .manual import manual
from .simulate import decode, run_program
from .state import Core, to_raw
from .timing import Clock


class Backend:
    """The T1 accelerator. Programs run one after the other in the order of their ids; cycles are counted per core."""

    name = "npu"
    passes = SHARED

    def __init__(self, machine: Npu = T1_BASE):
        self.machine = machine
        self._decode = lru_cache(maxsize=64)(lambda binary: _decoded(binary, machine))

    def manual(self) -> str:
        """The manual of the machine's instructions, in Markdown."""
        return manual()

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """The words of a kernel, checked for accesses that nothing orders."""
        made = compile_code(kernel, self.machine)
        params = tuple(p.type for p in kernel.body.args)
        return Program(self.name, kernel.name, params, to_bytes(made, self.machine), {"asm": listing(made)})

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        """Run every program of the grid; the report counts cycles of the modelled machine, not of this one."""
        made, instructions = self._decode(program.binary)
        dram = Memory([a for a in args if isinstance(a, Buffer)])
        arguments = [_argument(a, t) for a, t in zip(args, program.params, strict=True)]
        sizes = (tuple(grid) + (1, 1, 1))[:3]
        programs = sizes[0] * sizes[1] * sizes[2]
        cores = min(self.machine.cores, max(programs, 1))
        clocks = [Clock(self.machine, self.machine.dram_bytes_per_cycle / cores) for _ in range(cores)]
        issued = 0
        for number, (z, y, x) in enumerate(itertools.product(*(range(n) for n in reversed(sizes)))):
            core = Core(self.machine, dram, arguments, (x, y, z), sizes)
            issued += run_program(core, instructions, made.lines, clocks[number % cores])
        launch = self.machine.launch_us * self.machine.clock_mhz
        cycles = int(launch + max(clock.now for clock in clocks))
        busy = {unit: int(sum(c.busy[unit] for c in clocks)) for unit in "LWMVX"}
        details = {"busy": busy, "dram_bytes": sum(c.dram_bytes for c in clocks), "instructions": issued, "programs": programs}
        return Report(seconds=cycles / (self.machine.clock_mhz * 1e6), cycles=cycles, details=details)


def _decoded(binary: bytes, machine: Npu) -> tuple[Image, list[Decoded]]:
    made = from_bytes(binary, machine)
    return made, decode(made.words)


def _argument(value: Argument, kind: Tile) -> int:
    """What `arg` puts into a register."""
    if isinstance(value, Buffer):
        return value.address
    assert isinstance(kind.elem, DType)
    dtype = kind.elem
    with np.errstate(all="ignore"):
        return to_raw(dtype.round(np.asarray(value, np.float64)) if dtype.is_float else np.asarray(value).astype(dtype.numpy), dtype)
