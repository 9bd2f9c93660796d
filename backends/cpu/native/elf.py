"""An object file as an image: position-independent bytes that run wherever they are put, once their imports are filled in.

LLVM writes ELF for x86-64 with the small, position-independent code model. All that a loader would have to do to such a file
is done here, once: code and constants are laid out one after another, and what refers to a place relative to itself is
resolved. A call of an outside function (memset, a function of libm, Python's C interface) goes through a stub,

    stub:  jmp *[rip + slot]            slot:  8 bytes, the address

and slots are the only thing left for load.py. Whatever else an object file may ask for is Unsuitable: LLVM's own loader
knows it. Unwind tables are left out, since nothing that we compile throws.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .image import Image

X86_64, RELOCATABLE = 62, 1
WRITE, ALLOC = 1, 2  # flags of a section
SYMBOLS, RELOCATIONS, ZEROS = 2, 4, 8  # types of a section
RELATIVE = {2, 4}  # R_X86_64_PC32, PLT32: from the place to the symbol
CALL = 4  # of these, the one that may go through a stub
INDIRECT = {9, 41, 42}  # R_X86_64_GOTPCREL, GOTPCRELX, REX_GOTPCRELX: from the place to a slot that holds the symbol's address
STUB = b"\xff\x25\x02\x00\x00\x00\x66\x90"  # jmp *[rip + 2], and two bytes of nothing; the slot follows
FUNCTION, GLOBAL = 2, 1
UNWINDING = (".eh_frame", ".note")
LINE = 64


class Unsuitable(ValueError):
    """An object file that is no image."""


@dataclass(frozen=True)
class Section:
    """A header, as the file has it."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


@dataclass(frozen=True)
class Symbol:
    """A name, and where it is defined: section 0 is outside."""

    name: str
    info: int
    section: int
    value: int


def flatten(data: bytes) -> Image:
    """The image of an object file."""
    sections = _sections(data)
    code, base = _laid_out(data, sections)
    symbols = next((_symbols(data, sections, s) for s in sections if s.kind == SYMBOLS), [])
    imports: dict[str, int] = {}

    def slot(name: str) -> int:
        """Where the address of an outside name will stand; its stub stands before it."""
        if name not in imports:
            code.extend(bytes(-len(code) % 16) + STUB + bytes(8))
            imports[name] = len(code) - 8
        return imports[name]

    for section in sections:
        if section.kind != RELOCATIONS or section.info not in base:
            continue
        for offset, info, addend in struct.iter_unpack("<QQq", data[section.offset : section.offset + section.size]):
            place, symbol, kind = base[section.info] + offset, symbols[info >> 32], info & 0xFFFFFFFF
            if symbol.section in base and kind in RELATIVE:
                target = base[symbol.section] + symbol.value
            elif symbol.section == 0 and kind == CALL:
                target = slot(symbol.name) - len(STUB)
            elif symbol.section == 0 and kind in INDIRECT:
                target = slot(symbol.name)
            else:
                raise Unsuitable(f"a relocation of type {kind} against `{symbol.name}`")
            struct.pack_into("<i", code, place, target + addend - place)
    entries = {s.name: base[s.section] + s.value for s in symbols if s.section in base and s.info == GLOBAL << 4 | FUNCTION}
    return Image(bytes(code), entries, imports)


def _sections(data: bytes) -> list[Section]:
    if data[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", data, 16) != (RELOCATABLE, X86_64):
        raise Unsuitable("not a relocatable ELF file for x86-64")
    start, (each, count, names) = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<HHH", data, 58)
    raw = [struct.unpack_from("<IIQQQQIIQQ", data, start + i * each) for i in range(count)]
    strings = raw[names][4]
    return [Section(_text(data, strings + r[0]), r[1], r[2], *r[4:9]) for r in raw]


def _laid_out(data: bytes, sections: list[Section]) -> tuple[bytearray, dict[int, int]]:
    """The bytes of all sections that a process needs, and where each begins."""
    code, base = bytearray(), {}
    for i, section in enumerate(sections):
        if not section.flags & ALLOC or not section.size or section.name.startswith(UNWINDING):
            continue
        if section.flags & WRITE:
            raise Unsuitable(f"section `{section.name}` is written to")
        code.extend(bytes(-len(code) % max(section.align, LINE)))
        base[i] = len(code)
        code.extend(bytes(section.size) if section.kind == ZEROS else data[section.offset : section.offset + section.size])
    return code, base


def _symbols(data: bytes, sections: list[Section], table: Section) -> list[Symbol]:
    strings = sections[table.link].offset

    def read() -> Iterator[Symbol]:
        for name, info, _, section, value, _ in struct.iter_unpack("<IBBHQQ", data[table.offset : table.offset + table.size]):
            yield Symbol(_text(data, strings + name), info, section, value)

    return list(read())


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
