"""Co-simulation vectors: a launch as files that any simulator can read, and what the machine made of it.

The format is described in `README.md` beside this file. Addresses are the vector's own, the same on every machine, so that two
recordings of one launch are the same files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tiledsl.errors import LaunchError

FORMAT = 1
LINE = 16  # bytes of memory in a line of an image, and of a word
START = 0x1000_0000  # where the first buffer lies
PAGE = 0x1000  # buffers begin at multiples of it, with a page between them that belongs to nobody


@dataclass(frozen=True)
class Place:
    """A buffer of the launch: where it lies, and what it is."""

    name: str
    address: int  # of its lowest byte
    size: int  # in bytes
    dtype: str
    writable: bool


@dataclass
class Vector:
    """One launch: a program and its grid, memory before and after, and what every instruction did."""

    name: str
    machine: str
    isa: str
    bits: int  # of a word
    fingerprint: str  # of instruction set and machine
    words: list[int]
    grid: tuple[int, int, int]
    arguments: list[int]  # what `arg` puts into registers
    places: list[Place]
    before: list[bytes]  # a piece of memory for each place
    after: list[bytes]
    retired: list[str]
    sources: list[str] = field(default_factory=list)  # the line that each word comes from, for people

    def save(self, folder: Path) -> None:
        """Write its files into a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {
            "format": FORMAT,
            "name": self.name,
            "isa": self.isa,
            "bits": self.bits,
            "machine": self.machine,
            "fingerprint": self.fingerprint,
            "grid": list(self.grid),
            "arguments": [f"{argument & (1 << 64) - 1:016x}" for argument in self.arguments],
            "buffers": [vars(place) for place in self.places],
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        (folder / "program.hex").write_text("".join(f"{word:0{self.bits // 4}x}\n" for word in self.words))
        (folder / "program.txt").write_text("".join(f"{text}\n" for text in self.sources))
        for name, pieces in (("memory_in.hex", self.before), ("memory_out.hex", self.after)):
            (folder / name).write_text("".join(_image(self.places, pieces)))
        (folder / "retired.log").write_text("".join(f"{line}\n" for line in self.retired))


def load(folder: Path) -> Vector:
    """The vector in a folder; LaunchError for one of another format."""
    manifest = json.loads((folder / "manifest.json").read_text())
    if manifest.get("format") != FORMAT:
        raise LaunchError(f"{folder} has format {manifest.get('format')}; this version reads {FORMAT}", help="write the vectors again")
    places = [Place(**entry) for entry in manifest["buffers"]]
    arguments = [int(text, 16) for text in manifest["arguments"]]
    x, y, z = manifest["grid"]
    return Vector(
        manifest["name"],
        manifest["machine"],
        manifest["isa"],
        manifest.get("bits", 128),
        manifest["fingerprint"],
        [int(line, 16) for line in (folder / "program.hex").read_text().split()],
        (x, y, z),
        [value - (value >> 63 << 64) for value in arguments],
        places,
        read_image(folder / "memory_in.hex", places),
        read_image(folder / "memory_out.hex", places),
        (folder / "retired.log").read_text().splitlines(),
        (folder / "program.txt").read_text().splitlines(),
    )


def laid_out(sizes: Sequence[int]) -> list[int]:
    """Addresses for buffers of these sizes."""
    addresses, free = [], START
    for size in sizes:
        addresses.append(free)
        free += -(-size // PAGE) * PAGE + PAGE
    return addresses


def _image(places: Sequence[Place], pieces: Sequence[bytes]) -> Iterator[str]:
    """Lines as Verilog's $readmemh takes them, for a memory of 128-bit words; the lowest address is the last digit pair."""
    for place, piece in zip(places, pieces, strict=True):
        yield f"@{place.address // LINE:x}\n"
        padded = piece.ljust(-(-len(piece) // LINE) * LINE, b"\0")
        for start in range(0, len(padded), LINE):
            yield padded[start : start + LINE][::-1].hex() + "\n"


def read_image(path: Path, places: Sequence[Place]) -> list[bytes]:
    """The bytes of every place in an image, whoever wrote it; LaunchError where it lacks some."""
    found: dict[int, bytes] = {}
    at = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for word in line.partition("//")[0].split():  # simulators comment on what they write
            try:
                if word.startswith("@"):
                    at = int(word[1:], 16)
                else:
                    found[at] = bytes.fromhex(word.replace("_", "").zfill(2 * LINE))[::-1]
                    at += 1
            except ValueError:
                raise LaunchError(f"{path}:{number}: `{word}` is no number in hexadecimal", help="bits that nothing set are 0") from None
    pieces = []
    for place in places:
        first = place.address // LINE
        try:
            whole = b"".join(found[first + i] for i in range(-(-place.size // LINE)))
        except KeyError as missing:
            raise LaunchError(f"{path} has no line @{missing.args[0]:x}, which `{place.name}` takes up") from None
        pieces.append(whole[: place.size])
    return pieces


def digest(data: np.ndarray | bytes) -> str:
    """What stands for bytes in a log: their CRC-32, as in Ethernet and zip."""
    return f"{zlib.crc32(bytes(data)):08x}"


def differences(expected: Vector, after: Sequence[bytes], retired: Sequence[str]) -> list[str]:
    """Where another simulator's memory and log part from the vector: the first instruction, and the first byte of every buffer."""
    found = []
    for number, (line, other) in enumerate(zip(expected.retired, retired, strict=False)):
        if line != other:
            found.append(f"retired.log line {number + 1}: expected `{line}`, found `{other}`{_source(expected, line)}")
            break
    else:
        if len(expected.retired) != len(retired):
            found.append(f"retired.log has {len(retired)} lines; expected {len(expected.retired)}")
    for place, x, y in zip(expected.places, expected.after, after, strict=True):
        if x != y:
            i = next(i for i, pair in enumerate(zip(x, y, strict=True)) if pair[0] != pair[1])
            found.append(f"`{place.name}` byte {i} (address {place.address + i:#x}): expected {x[i]:02x}, found {y[i]:02x}")
    return found


def _source(vector: Vector, line: str) -> str:
    pc = int(line.split()[1])
    return f"; {vector.sources[pc]}" if pc < len(vector.sources) else ""
