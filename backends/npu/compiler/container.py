"""The binary form of a program: magic, a hash of the instruction set and machine, words, and a table of source lines and bindings."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiledsl.backend.isa import pack, unpack
from tiledsl.errors import LaunchError, Unsupported
from tiledsl.location import Loc

from ..isa.encoding import instruction_set
from ..machine import Npu
from .names import Label
from .schedule import Issue, Stream

MAGIC = b"NPU1"
HEADER = struct.Struct("<4s32sIIQI")  # magic, hash, bytes of words, of the table, of scratch memory; programs of a run
CHECKSUM = struct.Struct("<I")  # behind all else: CRC-32


@dataclass(frozen=True)
class Image:
    """A program as the machine sees it, with the source line of each word."""

    words: list[int]
    lines: list[Loc | None]
    slow: tuple[tuple[Loc | None, str], ...] = ()  # what took a slow way, see `report`; it is no part of the container
    scratch: int = 0  # bytes of DRAM that a core needs for itself; where they start is the argument after the kernel's
    together: int = 0  # how many programs one run may take, if it takes more than one
    bindings: tuple[tuple[str, str], ...] = ()  # name and type of each argument, as `arg` counts them
    arrays: Mapping[Loc, int] = field(default_factory=dict)  # which array, counted from 0, accesses of a line are made through


def image(stream: Stream, machine: Npu, scratch: int = 0) -> Image:
    """Words for a stream of instructions; labels become instruction numbers."""
    places: dict[Label, int] = {}
    issues: list[Issue] = []
    for item in stream:
        if isinstance(item, Label):
            places[item] = len(issues)
        else:
            issues.append(item)
    if len(issues) > machine.program_words:
        raise Unsupported(
            f"the kernel takes {len(issues)} instructions; this machine holds {machine.program_words}",
            help="use a loop instead of unrolling, or smaller tiles",
        )
    words = []
    isa = instruction_set(machine)
    for issue in issues:
        operands = [places[x] if isinstance(x, Label) else x for x in issue.operands]
        words.append(isa.encode(issue.name, *operands, **(issue.common | {"channel": issue.queue[1]})))
    return Image(words, [issue.loc for issue in issues], scratch=scratch)


def fingerprint(machine: Npu) -> bytes:
    """What a program depends on: the instruction set, field by field, and the machine's numbers."""
    isa = instruction_set(machine)
    layout = [(i.name, i.opcode, i.fields) for i in isa.by_opcode.values()]
    return hashlib.sha256(repr((isa.name, isa.idle, isa.opcode, isa.common, layout, machine)).encode()).digest()


def to_bytes(program: Image, machine: Npu) -> bytes:
    """The container of a program."""
    words = pack(program.words, instruction_set(machine).bits)
    places = list(dict.fromkeys(loc for loc in program.lines if loc is not None))
    index = {loc: i for i, loc in enumerate(places)}
    lines = [-1 if x is None else index[x] for x in program.lines]
    arrays = [program.arrays.get(place, -1) for place in places]
    entries = {"bindings": program.bindings, "places": [p.plain() for p in places], "arrays": arrays, "lines": lines}
    table = json.dumps(entries).encode()
    data = HEADER.pack(MAGIC, fingerprint(machine), len(words), len(table), program.scratch, program.together) + words + table
    return data + CHECKSUM.pack(zlib.crc32(data))


def from_bytes(data: bytes, machine: Npu) -> Image:
    """The program in a container; one made for another machine is refused."""
    if data[: len(MAGIC)] != MAGIC or len(data) < HEADER.size:
        raise LaunchError("the program is no T1 container")
    _, made_for, size, table_size, scratch, together = HEADER.unpack_from(data)
    end = HEADER.size + size + table_size
    if len(data) != end + CHECKSUM.size or CHECKSUM.unpack_from(data, end)[0] != zlib.crc32(data[:end]):
        raise LaunchError("the program is cut off, or bytes of it have changed", help="compile it again")
    if made_for != fingerprint(machine):
        raise LaunchError(f"the program was compiled for another machine than {machine.name}")
    table = json.loads(data[HEADER.size + size : end])
    places = [Loc.of(p) for p in table["places"]]
    lines = [places[i] if i >= 0 else None for i in table["lines"]]
    arrays = {place: number for place, number in zip(places, table["arrays"], strict=True) if place is not None and number >= 0}
    words = unpack(data[HEADER.size : HEADER.size + size], instruction_set(machine).bits)
    bindings = tuple((name, kind) for name, kind in table["bindings"])
    return Image(words, lines, scratch=scratch, together=together, bindings=bindings, arrays=arrays)
