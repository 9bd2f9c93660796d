"""The CPU: tiles become fused loops over vectors, written as LLVM IR, compiled for the host and spread over threads.

A kernel's way through this folder: plan.py decides which tiles exist in memory, lower.py walks the ops, evaluate.py
writes expressions where they are needed, folds.py, dot.py, memory.py and control.py write the rest, engine.py compiles.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tiledsl import forks
from tiledsl.backend.base import Argument, Buffer, Options, Program, Report
from tiledsl.collecting import rarely
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.types import DType, Tile
from tiledsl.location import Loc
from tiledsl.record import Record

from .entry import ENTRY, RUN, Run
from .host import host
from .machine import HostMachine, threads_of
from .native.image import decode
from .native.load import Mapped, loaded
from .scratch import arena_of
from .threads import BRIEF, run_grid

if TYPE_CHECKING:
    from tiledsl.backend.direct import Direct
    from tiledsl.passes.pipeline import Pass

    from .engine import Linked

HEADER = struct.Struct("<qq")  # before the code: bytes of scratch per worker, work of a program


class Stages(Mapping[str, str]):
    """The texts of a program for people. Assembly is written when somebody asks for it, and not kept: it takes as long as compiling."""

    NAMES = ("tile", "llvm", "asm")

    def __init__(self, text: Mapping[str, str]):
        self.text = text

    def __getitem__(self, name: str) -> str:
        if name not in self.NAMES:
            raise KeyError(name)
        if name != "asm":
            return self.text[name]
        from .engine import assembly  # see `passes`

        return assembly(self.text["llvm"], host())

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


class Ready(Record):
    """A program in this process."""

    code: Mapped | Linked
    scratch: int  # bytes per worker
    work: int  # of one of its programs (work.py)
    run: Run


class Backend:
    """Compiles for, and runs on, this machine. Reads and writes are checked only where a kernel does so, as when debugging."""

    name = "cpu"
    unchecked = True

    def __init__(self) -> None:
        self._machine: HostMachine | None = None  # another one than the host, to compile for
        self.loaded: dict[bytes, Ready] = {}
        self.overlapping: dict[bytes, Program] = {}

    @property  # not a cached_property: that of Python 3.11 has a lock, which a fork could leave held
    def machine(self) -> HostMachine:
        return self._machine or host()

    @machine.setter
    def machine(self, machine: HostMachine) -> None:
        self._machine = machine

    def stages(self, program: Program) -> Mapping[str, str]:
        """The texts of a program, of one kept on disk, too."""
        return Stages(program.text)

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """Machine code that assumes that written arguments overlap no others; launch checks it."""
        return self._compile(kernel, True)

    @property
    def passes(self) -> Sequence[Pass]:
        from tiledsl.passes import SHARED  # what only compiling needs is imported when it does, here and below

        return SHARED

    def _compile(self, kernel: Kernel, distinct: bool) -> Program:
        from tiledsl.waiting import waits  # see `passes`

        from .alias import written  # see `passes`
        from .engine import compiled  # see `passes`
        from .lower import lower  # see `passes`
        from .work import work  # see `passes`

        text, scratch = lower(kernel, self.machine, distinct)
        stages = {"tile": repr(kernel), "llvm": text, "written": " ".join(map(str, written(kernel)))}
        told = [(wait.place and wait.place.plain(), wait.stores) for wait in waits(kernel)]
        if told:
            stages["waits"] = repr(told)
        binary = HEADER.pack(scratch, work(kernel)) + compiled(text, self.machine).encode()
        return Program("cpu", kernel.name, tuple(a.type for a in kernel.body.args), binary, stages)

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        """Run every program of the grid."""
        if _overlap(args, set(map(int, program.text["written"].split()))):
            program = self._careful(program)
        ready = self.ready(program)
        if "waits" in program.text:
            from .together import launch  # for kernels in which programs may wait for each other

            launch(program, ready, grid, b"".join(map(_slot, program.params, args)), args, options)
            return Report()
        packed = struct.pack("<qqq", *grid) + b"".join(_slot(tile, arg) for tile, arg in zip(program.params, args, strict=True))
        memory = ctypes.create_string_buffer(packed, len(packed))
        total = grid[0] * grid[1] * grid[2]
        if 0 <= ready.work * total <= BRIEF:
            ready.run(ctypes.addressof(memory), 0, total, arena_of(ready.scratch))
        else:
            run_grid(ready.run, ctypes.addressof(memory), total, ready.scratch, threads_of(options))
        return Report()  # not timed: reading the clock twice would cost half as much as a launch

    def direct(self, slow: Callable[..., Any]) -> Direct | None:
        """A callable in native code for launches that tables describe; None where this Python does not allow it."""
        from .direct import Launches  # for kernels that are launched more than once

        return Launches.of(self, slow)

    def ready(self, program: Program) -> Ready:
        """A program's native code, loaded once."""
        binary = program.binary
        if binary in self.loaded:
            return self.loaded[binary]
        with forks.lock, rarely():
            if binary not in self.loaded:
                code = loaded(decode(binary[HEADER.size :]), lambda: _object_file(program))
                scratch, work = HEADER.unpack_from(binary)
                self.loaded[binary] = Ready(code, scratch, work, RUN(code.address(ENTRY)))
            return self.loaded[binary]

    def _careful(self, program: Program) -> Program:
        """The same kernel without the assumption about its arguments, compiled when it is first needed."""
        with forks.lock:
            found = self.overlapping.get(program.binary)
            if found is None:
                found = self.overlapping[program.binary] = self._compile(_placed(program), False)
            return found


def _object_file(program: Program) -> bytes:
    """For a platform that refuses images."""
    from .engine import object_file  # see `passes`

    return object_file(program.text["llvm"], host())


def _placed(program: Program) -> Kernel:
    """The kernel of a program, with the places where it waits."""
    from ast import literal_eval  # only compiling needs it, and what follows

    from tiledsl.waiting import waits  # see above

    kernel = parse(program.text["tile"])
    for wait, (place, _) in zip(waits(kernel), literal_eval(program.text.get("waits", "[]")), strict=True):
        wait.loop.loc = Loc.of(place)
    return kernel


def _overlap(args: Sequence[Argument], written: set[int]) -> bool:
    """Whether an argument that is written shares bytes with another one."""
    spans = [(i, a.start, a.stop) for i, a in enumerate(args) if isinstance(a, Buffer)]
    return any(i != j and start < end and first < last for i, start, last in spans if i in written for j, first, end in spans)


def _slot(tile: Tile, arg: Argument) -> bytes:
    """One argument in eight bytes."""
    if isinstance(arg, Buffer):
        return struct.pack("<q", arg.address)
    elem = tile.elem
    assert isinstance(elem, DType)
    value = elem.round(np.asarray(arg, np.float64)) if elem.is_float else np.asarray(arg).astype(elem.numpy)
    return elem.encode(value).tobytes().ljust(8, b"\0")
