"""Instruction sets: an instruction is declared once, and its word, its text and its manual follow from that.

The parameters of the declared function are the fields of the word, its body is the meaning, its docstring the manual:

    TOY = InstructionSet("toy", bits=32)
    Register = Annotated[int, Field("r", 4)]

    @TOY.instruction(0x01)
    def add(machine: Toy, dst: Register, a: Register, b: Register) -> None:
        "dst = a + b"
        machine.r[dst] = machine.r[a] + machine.r[b]

What an instruction costs is said elsewhere: its meaning is read by the simulator, its cost by the timing model.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


class Illegal(Exception):
    """A word that no instruction of the set encodes, or text that no word stands for."""


@dataclass(frozen=True)
class Field:
    """One operand of an instruction: how it is written, and which bits of the word hold it."""

    prefix: str = "#"
    bits: int = 8
    low: int | None = None  # the lowest bit; None: right after the field before it
    count: int | None = None  # only codes below this mean something; None: all do
    none: int | None = None  # the value of an absent operand, written `-`
    blank: int | None = None  # its code in the word, where its value has too many bits; None: the value
    names: tuple[str, ...] = ()  # codes that are written as words
    signed: bool = False
    role: str = ""  # what the machine does with what the operand names; free for the machine's own readers

    @property
    def position(self) -> int:
        """The lowest bit, once it is known."""
        assert self.low is not None, "the field has no place yet"
        return self.low

    @property
    def mask(self) -> int:
        """The bits of the word that hold it."""
        return (1 << self.bits) - 1 << self.position

    def legal(self, value: int) -> bool:
        """Whether the field can hold this value and the value means something."""
        if value == self.none:
            return True
        if self.signed:
            return -(1 << (self.bits - 1)) <= value < 1 << (self.bits - 1)
        return 0 <= value < (self.count or len(self.names) or 1 << self.bits)

    def code(self, value: int, instruction: str, label: str) -> int:
        """A value at its place in the word; one that does not fit is an error, never cut off."""
        if not self.legal(value):
            raise Illegal(f"{instruction}: {label} = {value} does not fit in {self.bits} bits or names nothing")
        if value == self.none and self.blank is not None:
            value = self.blank
        return (value & (1 << self.bits) - 1) << self.position

    def take(self, word: int, instruction: str, label: str) -> int:
        """The value in a word."""
        value = word >> self.position & (1 << self.bits) - 1
        if self.signed and value >> (self.bits - 1):
            value -= 1 << self.bits
        if self.none is not None and value == self.blank:
            return self.none
        if not self.legal(value):
            raise Illegal(f"{instruction}: {label} = {value} names nothing")
        return value

    def show(self, value: int) -> str:
        if value == self.none:
            return "-"
        return self.names[value] if self.names else f"{self.prefix}{value}"

    def read(self, text: str, labels: Mapping[str, int]) -> int:
        """The value that was written."""
        if text == "-" and self.none is not None:
            return self.none
        if text in self.names:
            return self.names.index(text)
        if self.prefix == "#" and text in labels:
            return labels[text]
        if self.names or not text.startswith(self.prefix):
            raise Illegal(f"`{text}` is none of {', '.join(self.names)}" if self.names else f"`{text}` is no {self.prefix}")
        try:
            return int(text[len(self.prefix) :], 0)
        except ValueError:
            raise Illegal(f"`{text}` is no number after {self.prefix}") from None


@dataclass(frozen=True, eq=False)
class Instruction:
    """One declared instruction."""

    name: str
    opcode: int
    unit: str  # the part of the machine that carries it out
    fields: tuple[tuple[str, Field], ...]
    execute: Callable[..., Any]
    doc: str
    traits: frozenset[str]
    used: int  # the bits of the word that its fields, and those of every instruction, hold

    def __repr__(self) -> str:
        return f"<instruction {self.name}>"


@dataclass(frozen=True)
class Decoded:
    """One word taken apart: the instruction, its operands, and the fields that every instruction has."""

    instruction: Instruction
    operands: tuple[int, ...]
    common: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        """An operand by the name it was declared with."""
        for (label, _), value in zip(self.instruction.fields, self.operands, strict=True):
            if label == name:
                return value
        return self.common[name]


class InstructionSet:
    """The instructions of one machine, their words and their text."""

    def __init__(
        self,
        name: str,
        bits: int,
        *,
        opcode: Field | None = None,
        common: Mapping[str, tuple[Field, int]] | None = None,
        idle: int = 0,
    ):
        """`opcode`: where it stands; `common`: fields of every word, with the value they have when not written; `idle`: bits no
        field uses."""
        self.name, self.bits, self.idle = name, bits, idle
        self.opcode = opcode or Field(bits=8, low=0)
        self.common = dict(common or {})
        self.shared = self.opcode.mask  # the bits that every instruction uses
        for where, _ in self.common.values():
            self.shared |= where.mask
        self.by_name: dict[str, Instruction] = {}
        self.by_opcode: dict[int, Instruction] = {}

    def instruction(self, opcode: int, *, unit: str = "", traits: Iterable[str] = ()) -> Callable[[Callable[..., Any]], Instruction]:
        """Declare an instruction; see the head of this file."""

        def declare(meaning: Callable[..., Any]) -> Instruction:
            fields = tuple(self._place(meaning))
            used = self.shared
            for _, where in fields:
                used |= where.mask
            doc = inspect.getdoc(meaning) or ""
            new = Instruction(meaning.__name__.rstrip("_"), opcode, unit, fields, meaning, doc, frozenset(traits), used)
            assert new.doc, f"{new.name} has no docstring"
            self.add(new)
            return new

        return declare

    def add(self, new: Instruction) -> None:
        """One more instruction, whose fields have their places."""
        assert new.opcode not in self.by_opcode, f"opcode {new.opcode:#x} is used twice"
        assert new.name not in self.by_name, f"{new.name} is declared twice"
        self.by_name[new.name] = self.by_opcode[new.opcode] = new

    def _place(self, meaning: Callable[..., Any]) -> Iterable[tuple[str, Field]]:
        """The fields of a declaration, each with its bits; no two may share one."""
        hints = typing.get_type_hints(meaning, include_extras=True)
        taken, next_bit = self.shared, 0 if self.opcode.position else self.opcode.bits
        for name in list(inspect.signature(meaning).parameters)[1:]:
            (declared,) = (x for x in hints[name].__metadata__ if isinstance(x, Field))
            low = next_bit if declared.low is None else declared.low
            placed = replace(declared, low=low)
            next_bit = low + placed.bits
            assert next_bit <= self.bits, f"{meaning.__name__} does not fit in {self.bits} bits"
            assert not taken & placed.mask, f"{meaning.__name__}: {name} shares bits with another field"
            taken |= placed.mask
            yield name, placed

    # --- words -----------------------------------------------------------------------------------------------------

    def encode(self, name: str, *operands: int, **common: int) -> int:
        """The word of an instruction; an operand that does not fit is an error."""
        return self.word(self.decoded(name, *operands, **common))

    def decoded(self, name: str, *operands: int, **common: int) -> Decoded:
        """An instruction with its operands, not yet a word."""
        if name not in self.by_name:
            raise Illegal(f"`{name}` is no instruction of {self.name}")
        chosen = self.by_name[name]
        if len(operands) != len(chosen.fields):
            raise Illegal(f"{name} takes {len(chosen.fields)} operands, got {len(operands)}")
        if unknown := common.keys() - self.common.keys():
            raise Illegal(f"{name} has no field {', '.join(sorted(unknown))}")
        return Decoded(chosen, tuple(operands), {k: common.get(k, default) for k, (_, default) in self.common.items()})

    def word(self, decoded: Decoded) -> int:
        """The word of a decoded instruction."""
        chosen = decoded.instruction
        word = chosen.opcode << self.opcode.position | self.idle & ~chosen.used
        for (label, where), value in zip(chosen.fields, decoded.operands, strict=True):
            word |= where.code(value, chosen.name, label)
        for label, (where, _) in self.common.items():
            word |= where.code(decoded.common[label], chosen.name, label)
        return word

    def decode(self, word: int) -> Decoded:
        """Take a word apart; one that `encode` never makes is Illegal."""
        if not 0 <= word < 1 << self.bits:
            raise Illegal(f"{word:#x} is no word of {self.bits} bits")
        opcode = word >> self.opcode.position & (1 << self.opcode.bits) - 1
        chosen = self.by_opcode.get(opcode)
        if chosen is None:
            raise Illegal(f"opcode {opcode:#04x} is no instruction of {self.name}")
        if (word ^ self.idle) & ~chosen.used & ((1 << self.bits) - 1):
            raise Illegal(f"{chosen.name}: bits outside its fields are set in {word:#x}")
        operands = tuple([where.take(word, chosen.name, label) for label, where in chosen.fields])
        common = {label: where.take(word, chosen.name, label) for label, (where, _) in self.common.items()}
        return Decoded(chosen, operands, common)

    # --- text ------------------------------------------------------------------------------------------------------

    def show(self, decoded: Decoded) -> str:
        """One line of assembly."""
        operands = ", ".join(w.show(v) for v, (_, w) in zip(decoded.operands, decoded.instruction.fields, strict=True))
        extra = [f"{k}={w.show(decoded.common[k])}" for k, (w, default) in self.common.items() if decoded.common[k] != default]
        return " ".join(filter(None, [decoded.instruction.name, operands, *extra]))

    def disassemble(self, words: Iterable[int]) -> str:
        """The text of words, a line each."""
        return "\n".join(self.show(self.decode(word)) for word in words)

    def assemble(self, text: str) -> list[int]:
        """The words of a text: one instruction a line, `label:` before one, comments after `;`."""
        labels: dict[str, int] = {}
        lines: list[str] = []
        for line in (raw.split(";")[0].strip() for raw in text.splitlines()):
            if line.endswith(":"):
                labels[line[:-1].strip()] = len(lines)
            elif line:
                lines.append(line)
        return [self._assemble_line(line, labels) for line in lines]

    def _assemble_line(self, line: str, labels: Mapping[str, int]) -> int:
        name, _, rest = line.partition(" ")
        if name not in self.by_name:
            raise Illegal(f"`{name}` is no instruction of {self.name}")
        fields = [where for _, where in self.by_name[name].fields]
        parts = rest.split()
        written = [part for part in " ".join(p for p in parts if "=" not in p).replace(" ", "").split(",") if part]
        if len(written) != len(fields):
            raise Illegal(f"{name} takes {len(fields)} operands, got {len(written)}: `{line}`")
        common = {}
        for key, _, value in (part.partition("=") for part in parts if "=" in part):
            if key not in self.common:
                raise Illegal(f"{name} has no field {key}")
            common[key] = self.common[key][0].read(value, labels)
        return self.encode(name, *(f.read(text, labels) for f, text in zip(fields, written, strict=True)), **common)

    # --- manual ----------------------------------------------------------------------------------------------------

    def manual(self) -> str:
        """All instructions in Markdown: opcode, name and fields, unit, what it does."""
        rows = ["| opcode | instruction | unit | meaning |", "| --- | --- | --- | --- |"]
        for one in sorted(self.by_opcode.values(), key=lambda i: i.opcode):
            operands = ", ".join(label for label, _ in one.fields)
            doc = " ".join(one.doc.split()).replace("|", "\\|")
            written = f"{one.name} {operands}".rstrip()
            rows.append(f"| {one.opcode:#04x} | `{written}` | {one.unit} | {doc} |")
        return "\n".join(rows) + "\n"

    def fields_manual(self, title: str = "field") -> str:
        """The fields that every word has, in Markdown."""
        rows = [f"| {title} | bits | when not written |", "| --- | --- | --- |"]
        for name, (where, default) in self.common.items():
            rows.append(f"| {name} | {where.position}-{where.position + where.bits - 1} | {where.show(default)} |")
        return "\n".join(rows) + "\n"


def pack(words: Sequence[int], bits: int) -> bytes:
    """Words as little-endian bytes, one after the other."""
    return b"".join(word.to_bytes(bits // 8, "little") for word in words)


def unpack(data: bytes, bits: int) -> list[int]:
    """The words in a string of bytes."""
    size = bits // 8
    if len(data) % size:
        raise Illegal(f"{len(data)} bytes are no whole number of {bits}-bit words")
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
