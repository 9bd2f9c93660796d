"""Recording launches as vectors, and running vectors again: both on the reference interpreter of words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tiledsl.backend.base import Argument, Buffer, Options, Program, Report
from tiledsl.backend.isa import Decoded
from tiledsl.errors import LaunchError, TileError
from tiledsl.ir.types import u8
from tiledsl.location import Loc
from tiledsl.memory import Memory, Region

from ..backend import Backend, argument
from ..compiler.container import fingerprint, from_bytes
from ..compiler.together import runs
from ..isa.encoding import instruction_set
from ..isa.state import SPACES, Core
from ..machine import T1_BASE, Npu
from ..simulator.run import decode, decode_image, run_program
from .vectors import Place, Vector, differences, digest, laid_out, load, read_image


class Recorder(Backend):
    """The accelerator by its reference interpreter; every launch becomes a vector in a folder of its own below `folder`."""

    def __init__(self, folder: Path, machine: Npu = T1_BASE, name: str = ""):
        super().__init__(machine, name=name)
        self.folder, self.written = folder, 0

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        """Run it, write down what happened, and leave in the arrays what the machine made."""
        image = from_bytes(program.binary, self.machine)
        room = np.zeros(image.scratch, np.uint8)  # for tiles that do not fit into the scratchpad: an argument after the kernel's
        scratch = [Buffer(room.ctypes.data, room.nbytes, u8, True, room, "scratch")] if image.scratch else []
        buffers = [*(a for a in args if isinstance(a, Buffer)), *scratch]
        places, aliases = _places(buffers)
        raw = [aliases[id(a)] if isinstance(a, Buffer) else argument(a, t) for a, t in zip(args, program.params, strict=True)]
        raw += [aliases[id(a)] for a in scratch]
        x, y, z = (tuple(grid) + (1, 1, 1))[:3]
        if image.together:
            (x, y, z), extra = runs(image.together, (x, y, z), self.machine.cores, *raw[len(args) :])
            raw = [*raw[: len(args)], *extra]
        before = [_bytes_of(b).tobytes() for b in _distinct(buffers)]
        isa = instruction_set(self.machine)
        sources = [f"{pc:5} {isa.show(one)}" for pc, one in enumerate(decode(image.words, isa))]
        sources = [f"{text}  ; {loc.file}:{loc.line}" if loc else text for text, loc in zip(sources, image.lines, strict=True)]
        name = f"{self.written:04}-{program.name}"
        made = Vector(
            name, self.machine.name, isa.name, isa.bits, fingerprint(self.machine).hex(), image.words, (x, y, z), raw, places, before,
            [], [], sources,
        )  # fmt: skip
        made.after, made.retired = execute(made, self.machine, image.lines)
        made.save(self.folder / name)
        self.written += 1
        for buffer, piece in zip(_distinct(buffers), made.after, strict=True):
            if buffer.writable:
                _bytes_of(buffer)[:] = np.frombuffer(piece, np.uint8)
        return Report()


def execute(vector: Vector, machine: Npu, places: Sequence[Loc | None] = ()) -> tuple[list[bytes], list[str]]:
    """Memory after all programs of a vector, in the order of their ids, and the log of what they retired. `places`: of its words."""
    pieces = [np.frombuffer(piece, np.uint8).copy() for piece in vector.before]
    memory = Logged(vector.places, pieces)
    program = decode_image(vector.words, instruction_set(machine), places)
    lines: list[str] = []
    x, y, z = vector.grid
    for number, place in enumerate(itertools.product(range(z), range(y), range(x))):
        core = Core(machine, memory, vector.arguments, place[::-1], vector.grid)
        log = Log(number, memory, lines)
        run_program(core, program, places, log.issued)
        log.finish(core)
    return [piece.tobytes() for piece in pieces], lines


def replayed(folder: Path, machine: Npu, against: Path | None = None) -> Iterator[tuple[str, list[str]]]:
    """(name, differences) of every vector below a folder: to what another simulator left under the same names in `against`, else to
    what this machine makes of the words now."""
    found = sorted(path.parent for path in folder.glob("**/manifest.json"))
    if not found:
        raise LaunchError(f"there are no vectors in {folder}", help=f"write some: python -m tiledsl vectors {folder}")
    for place in found:
        vector = load(place)
        if against is None and (vector.machine, vector.bits) != (machine.name, instruction_set(machine).bits):
            raise LaunchError(
                f"{place} is of the machine `{vector.machine}`, words of {vector.bits} bits; it is held against `{machine.name}`",
                help="name the one that they were made for: --backend ...",
            )
        if against is None:
            try:
                after, retired = execute(vector, machine)
            except TileError as error:
                yield vector.name, [str(error)]
                continue
        else:
            other = against / place.relative_to(folder)
            after, log = read_image(other / "memory_out.hex", vector.places), other / "retired.log"
            retired = log.read_text().splitlines() if log.exists() else vector.retired  # a simulator may keep none
        yield vector.name, differences(vector, after, retired)


class Logged(Memory):
    """The memory of a vector, at the vector's addresses; it remembers what one instruction wrote."""

    def __init__(self, places: Sequence[Place], pieces: Sequence[np.ndarray]):
        super().__init__([])
        self.regions = [
            Region(p.address, p.address + p.size, p.writable, [p.name], bytes=data) for p, data in zip(places, pieces, strict=True)
        ]
        self.starts = np.array([region.start for region in self.regions], np.int64)
        self.touched: list[tuple[int, int]] = []

    def _locate(self, elem, address, verb, shape, where):  # type: ignore[no-untyped-def]
        if verb == "write" and address.size:
            self.touched.append((int(address.min()), int(address.max()) + elem.itemsize))
        return super()._locate(elem, address, verb, shape, where)

    def written(self) -> str:
        """The span that was written since the last call, with its bytes' digest; nothing if none was."""
        if not self.touched:
            return ""
        low, high = min(a for a, _ in self.touched), max(b for _, b in self.touched)
        self.touched.clear()
        inside = [r.bytes[max(low - r.start, 0) : max(high - r.start, 0)].tobytes() for r in self.regions]
        return f"dram[{low:x}:{high:x}]={digest(b''.join(inside))}"


class Log:
    """An observer that writes a line for every instruction once the next one is issued, when its effect is in the core."""

    def __init__(self, number: int, memory: Logged, lines: list[str]):
        self.number, self.memory, self.lines = number, memory, lines
        self.last: tuple[int, Decoded, bool] | None = None

    def issued(self, core: Core, pc: int, one: Decoded) -> None:
        """The one before has retired."""
        self.finish(core)
        self.last = pc, one, core.chooses(one)

    def finish(self, core: Core) -> None:
        """Write down what the last instruction did."""
        if self.last is None:
            return
        pc, one, done = self.last
        effects = [] if not done else [*_effects(core, one), self.memory.written()]
        self.lines.append(" ".join([str(self.number), str(pc), one.instruction.name, str(int(done)), *filter(None, effects)]))
        self.last = None


def _effects(core: Core, one: Decoded) -> list[str]:
    """The registers and the tiles that an instruction wrote."""
    found = []
    for (_, where), number in zip(one.instruction.fields, one.operands, strict=True):
        if where.role not in ("write", "update") or number == where.none:
            continue
        if where.prefix == "r":
            found.append(f"r{number}={core.r[number] & (1 << 64) - 1:016x}")
        elif where.prefix == "t":
            tile = core.tile(number)
            low, high = tile.span()
            found.append(f"{SPACES[tile.space]}[{low:x}:{high:x}]={digest(core.memories[tile.space][low:high])}")
    return found


def _bytes_of(buffer: Buffer) -> np.ndarray:
    return Region(buffer.start, buffer.stop, buffer.writable).bytes


def _distinct(buffers: Sequence[Buffer]) -> list[Buffer]:
    """One buffer for every stretch of memory, in the order of the arguments; one that overlaps another is refused."""
    found: list[Buffer] = []
    for b in buffers:
        if not any(b.start == other.start and b.stop == other.stop for other in found):
            found.append(b)
    return found


def _places(buffers: Sequence[Buffer]) -> tuple[list[Place], dict[int, int]]:
    """Where the vector has the buffers, and the address that stands for each of them."""
    distinct = _distinct(buffers)
    addresses = laid_out([b.stop - b.start for b in distinct])
    places = [Place(b.name, address, b.stop - b.start, b.dtype.name, b.writable) for b, address in zip(distinct, addresses, strict=True)]
    moved = {}
    for b in buffers:
        home = next(i for i, other in enumerate(distinct) if other.start == b.start and other.stop == b.stop)
        moved[id(b)] = addresses[home] + b.before
    return places, moved
