"""The accelerator behind the seam: a kernel becomes words, a launch runs them program by program on the simulator."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from tiledsl.backend.base import Argument, Buffer, Options, Program, Report
from tiledsl.errors import TileError
from tiledsl.ir.core import Kernel
from tiledsl.ir.types import DType, Tile, u8
from tiledsl.memory import Memory, held
from tiledsl.passes import SHARED
from tiledsl.passes.pipeline import Pass
from tiledsl.watch import Turns, Watch, named, require_room

from .compiler.compile import MOST_STAGES, compile_code, listing
from .compiler.container import Image, from_bytes, to_bytes
from .compiler.report import report
from .compiler.together import runs
from .isa.encoding import instruction_set
from .isa.manual import manual
from .isa.state import Core, to_raw
from .kit.own import Make, cases
from .machine import PRESETS, T1_BASE, Npu, find
from .numerics import numerics
from .simulator.account import Account, Remembered
from .simulator.checked import CheckedCore, Checks, asked_for
from .simulator.fast import FastCore, Loaded, load
from .simulator.native.library import PATIENCE
from .simulator.run import decode_image, placed
from .simulator.slices import Slice
from .timing import QUEUE_NAMES, Prices
from .timing.profile import MOST_KEPT, Profile

POLL_EVERY = 64  # jumps back of a loop between two looks at whether it waits, where no program waits for its turn
MOST_IDLE = 4  # cores to keep
MOST_TOGETHER = 256  # programs of a cooperative launch: the simulator keeps the memories of each


class Backend:
    """The T1 accelerator. Programs run one after the other in the order of their ids, those of a cooperative grid in
    turns; cycles are counted per core."""

    passes = SHARED
    staged = MOST_STAGES

    def __init__(
        self,
        machine: Npu = T1_BASE,
        patience: int = PATIENCE,
        checks: Checks | None = None,
        name: str = "",
        tell: Callable[[Profile], None] | None = None,
    ):
        """`patience`: how often an instruction runs by the reference interpreter before a native function is made for it.
        `checks`: what the checking simulator looks at; none: launches use the fast one, unless the environment says otherwise.
        `name`: what launches call it, where it is registered under a name of its own. `tell`: who hears the profile of each launch."""
        self.machine, self.patience, self.checks, self.tell = machine, patience, checks, tell
        self.name = name or ("npu" if machine == T1_BASE else f"npu:{machine.name}")
        instruction_set(machine)  # what is wrong with it is said at once
        self._decode = lru_cache(maxsize=64)(lambda binary: _decoded(binary, machine))
        self._idle: list[FastCore] = []  # cores that no launch uses

    @property
    def numerics(self) -> tuple[Pass, ...]:
        """Passes after which the interpreter gives this machine's bits, where they are others than the language's."""
        return numerics(self.machine)

    def manual(self) -> str:
        """The manual of the machine's instructions, in Markdown."""
        return manual(self.machine)

    def variant(self, machine: str) -> Backend:
        """The backend of another machine: a preset by its name, or a spec file."""
        found = find(machine)
        name = "" if machine in PRESETS else f"npu:{Path(machine).absolute()}"  # by which it is found again
        return self if found == self.machine else Backend(found, self.patience, self.checks, name, self.tell)

    @cached_property
    def profiler(self) -> Backend:
        """The same machine, which keeps the times of every launch: its reports have a `profile`."""
        return self.telling(lambda profile: None)

    def telling(self, tell: Callable[[Profile], None]) -> Backend:
        """A profiler, and who hears the profile of each launch on it and its variants."""
        return Backend(self.machine, self.patience, self.checks, self.name, tell)

    def recorder(self, folder: Path) -> Backend:
        """The same machine, which writes every launch below a folder as a vector for other simulators."""
        from .kit.record import Recorder  # a backend built on this one

        return Recorder(folder, self.machine, self.name)

    def replayed(self, folder: Path, against: Path | None = None) -> Iterator[tuple[str, list[str]]]:
        """(name, differences) of every vector below a folder, to what another simulator left in `against` or to this machine."""
        from .kit.record import replayed  # see `recorder`

        return replayed(folder, self.machine, against)

    def cases(self, elems: Sequence[DType], lanes: int) -> Iterator[tuple[str, str, list[Tile], Make]]:
        """What `python -m tiledsl check` runs besides ops and random programs: the instructions that this machine adds to T1."""
        return cases(self.machine, elems, lanes)

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """The words of a kernel, checked for accesses that nothing orders."""
        made = compile_code(kernel, self.machine, together=True, stages=options.num_stages or MOST_STAGES)
        params = tuple(p.type for p in kernel.body.args)
        return Program(
            self.name, kernel.name, params, to_bytes(made, self.machine), {"report": report(made.slow), "asm": listing(made, self.machine)}
        )

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        """Run every program of the grid; the report counts cycles of the modelled machine, not of this one."""
        made, *_ = self._decode(program.binary)
        x, y, z = (tuple(grid) + (1, 1, 1))[:3]
        programs = x * y * z
        arguments = [argument(a, t) for a, t in zip(args, program.params, strict=True)]
        if not made.together:
            return self._told(self._launch(program, (x, y, z), args, arguments, options), (x, y, z))
        many, extra = runs(made.together, (x, y, z), self.machine.cores)
        try:
            report = self._launch(program, many, args, [*arguments, *extra], options)
        except TileError:
            # which of a run's programs it was, is seen where every run has one
            alone, extra = runs(1, (x, y, z), programs)
            self._launch(program, alone, args, [*arguments, *extra], options, (x, y, z))
            raise
        report.details["programs"] = programs
        return self._told(report, (x, y, z))

    def _told(self, report: Report, grid: tuple[int, int, int]) -> Report:
        """A report whose profile, if it has one, knows the grid, and who wants to has heard it."""
        if self.tell is not None:
            report.profile.grid = grid
            self.tell(report.profile)
        return report

    def _launch(
        self, program: Program, sizes: tuple[int, int, int], args: Sequence[Argument], arguments: Sequence[int], options: Options,
        shape: tuple[int, int, int] | None = None,
    ) -> Report:  # fmt: skip
        """One run of the words at every place of a grid. `shape`: the grid whose programs these are, for messages, if it is another."""
        made, loaded, prices, before = self._decode(program.binary)
        programs = sizes[0] * sizes[1] * sizes[2]
        cores = min(self.machine.cores, max(programs, 1))
        turns = None
        if options.cooperative and loaded.slices:
            require_room(programs, MOST_TOGETHER)
            turns = Turns(programs)
        # for tiles that do not fit: memory of the core, or of each program where programs take turns
        rooms = np.zeros((programs if turns else 1, made.scratch), np.uint8)
        spare = [Buffer(rooms.ctypes.data, rooms.nbytes, u8, True, rooms, "scratch")] if made.scratch else []
        dram = Memory([*(a for a in args if isinstance(a, Buffer)), *spare])
        places = [(x, y, z) for z, y, x in itertools.product(*(range(n) for n in reversed(sizes)))]
        called = places if shape is None else [(x, y, z) for z, y, x in itertools.product(*(range(n) for n in reversed(shape)))]
        arrays = [a for a in args if isinstance(a, Buffer)]
        watch = Watch(memory=lambda: held(arrays))
        spans = [(a.start, a.stop, a.dtype.itemsize, a.name) for a in arrays]
        issued = [0] * programs

        account = Account(Prices(loaded.shown, self.machine) if prices.crowded else prices, programs, before)

        def run_one(number: int, core: FastCore | CheckedCore) -> None:
            watch.enter(number)
            with placed(core, loaded.instructions, made.lines, called[number], made.arrays):
                issued[number] = core.run(number, places[number], account, Poll(stop, number, loaded.slices))
            watch.leave(number)

        def stop(number: int, pc: int, state: Hashable) -> None:
            if watch.poll(number, number, pc, state, dram.latest, loaded.slices[pc].stores):
                watch.check(made.lines, sizes, options.cooperative, lambda address: named(address, spans))
            watch.rest()
            if turns is not None:
                turns.hand_over(number)

        def room(number: int) -> list[int]:
            return [rooms[number].ctypes.data] if made.scratch else []

        def run_alone(number: int) -> None:
            with self._core(loaded, dram, [*arguments, *room(number)], sizes, poll_every=1) as core:
                run_one(number, core)

        if turns is not None:
            turns.run(run_alone)
        else:
            with self._core(loaded, dram, [*arguments, *room(0)], sizes, POLL_EVERY) as core:
                for number in range(programs):
                    run_one(number, core)
        launch = self.machine.launch_us * self.machine.clock_mhz
        timed = account.timed(cores, MOST_KEPT if self.tell else 0)
        cycles = int(launch + timed.cycles)
        busy = {unit: int(sum(b for b, name in zip(timed.busy, QUEUE_NAMES, strict=True) if name[0] == unit)) for unit in "LWMVX"}
        counts = {"dram_bytes": account.moved(), "instructions": sum(issued), "programs": programs}
        seconds = cycles / (self.machine.clock_mhz * 1e6)
        energy = account.energy(seconds)
        details = {"busy": busy, "lost": timed.lost(), **counts, "energy": energy}
        report = Report(seconds=seconds, cycles=cycles, details=details)
        if self.tell is not None:
            isa = instruction_set(self.machine)
            words = [isa.show(one) for one in loaded.instructions]
            work = account.total()
            report.profile = Profile(program.name, self.machine, sizes, launch, timed, account.classes, words, made.lines, work, energy)
        return report

    @contextmanager
    def _core(
        self, loaded: Loaded, dram: Memory, arguments: Sequence[int], grid: Sequence[int], poll_every: int
    ) -> Iterator[FastCore | CheckedCore]:
        """A core for some programs of a launch; its memories are kept for the next one."""
        checks = self.checks or asked_for()
        core: FastCore | CheckedCore
        if checks is not None:
            core = CheckedCore(self.machine, checks)
        else:
            core = self._idle.pop() if self._idle else FastCore(self.machine, self.patience)
        core.attach(loaded, dram, arguments, grid, poll_every)
        yield core
        if isinstance(core, FastCore):
            core.detach()
            if len(self._idle) < MOST_IDLE:
                self._idle.append(core)


class Poll:
    """What one program does when a `while` loop begins again: it tells what the loop depends on; memories if registers stay the same."""

    def __init__(self, tell: Callable[[int, int, Hashable], None], number: int, slices: Mapping[int, Slice]):
        self.tell, self.number, self.slices = tell, number, slices
        self.before: dict[int, list[int]] = {}

    def __call__(self, core: Core, pc: int) -> None:
        seen = self.slices.get(pc)
        if seen is None:
            return  # it ends by what it computes
        state = [core.r[number] for number in seen.registers]
        same, self.before[pc] = self.before.get(pc) == state, state
        digest = [zlib.crc32(memory) for memory in core.memories] if same and seen.memory else []  # type: ignore[arg-type]
        self.tell(self.number, pc, (*state, *digest))


def _decoded(binary: bytes, machine: Npu) -> tuple[Image, Loaded, Prices, Remembered]:
    made = from_bytes(binary, machine)
    loaded = load(decode_image(made.words, instruction_set(machine), made.lines), machine)
    return made, loaded, Prices(loaded.shown, machine), Remembered()


def argument(value: Argument, kind: Tile) -> int:
    """What `arg` puts into a register."""
    if isinstance(value, Buffer):
        return value.address
    assert isinstance(kind.elem, DType)
    dtype = kind.elem
    with np.errstate(all="ignore"):
        return to_raw(dtype.round(np.asarray(value, np.float64)) if dtype.is_float else np.asarray(value).astype(dtype.numpy), dtype)
