"""The instruction set of a machine: T1, in the word layout that its file describes, with the instructions that it adds.

Operands mean the same in every layout; only words differ. Where a machine has fewer registers than T1 can name, their fields
may be narrower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tiledsl.backend.isa import Field, Instruction, InstructionSet
from tiledsl.errors import LaunchError, nearest

from ..machine import Npu
from .custom import customs
from .instructions import T1

# where T1 has its fields, and what files call these places; operands of different instructions share them
SLOTS: Mapping[tuple[int, int], str] = {
    (0, 8): "opcode",
    (8, 8): "op",
    (16, 4): "channel",
    (20, 1): "flag",
    (24, 8): "to",
    (32, 8): "a",
    (40, 8): "b",
    (48, 8): "c",
    (32, 24): "extent",
    (56, 8): "shape",
    (64, 6): "wait0",
    (70, 6): "wait1",
    (76, 6): "post",
    (82, 6): "when",
    (88, 1): "unless",
    (89, 1): "early",
    (90, 5): "dtype",
    (96, 32): "imm",
}
PLACES: Mapping[str, tuple[int, int]] = {name: place for place, name in SLOTS.items()}

_made: dict[str, InstructionSet] = {}


def instruction_set(machine: Npu) -> InstructionSet:
    """The instructions of a machine; LaunchError names the key of its file that does not work out."""
    if not machine.word_bits and not machine.hooks:
        return T1
    key = machine.hooks + repr(machine)  # what may be named follows from its numbers, too
    if key not in _made:
        _made[key] = _Layout(machine).made()
    return _made[key]


class _Layout:
    """T1 laid out anew."""

    def __init__(self, machine: Npu):
        self.machine = machine
        self.bits = machine.word_bits or T1.bits
        self.own = bool(machine.word_bits)
        for name in machine.word_fields:
            if name not in PLACES:
                raise self.error(f"there is no `encoding.fields.{name}`", nearest(name, list(PLACES)) or f"fields: {', '.join(PLACES)}")

    def made(self) -> InstructionSet:
        """The set, checked."""
        machine = self.machine
        opcode = self.placed(T1.opcode, "opcode", None, least=1)
        common = {label: (self.placed(where, label, self.count(where)), default) for label, (where, default) in T1.common.items()}
        everywhere = [(T1.opcode, opcode), *((T1.common[label][0], where) for label, (where, _) in common.items())]
        self.apart("every instruction", everywhere)
        found = InstructionSet(
            machine.name if self.own else T1.name, self.bits, opcode=opcode, common=common, idle=0 if self.own else T1.idle
        )
        for one in self.instructions():
            code = machine.word_opcodes.get(one.name, one.opcode)
            if not 0 <= code < 1 << opcode.bits or code in found.by_opcode:
                taken = f"that of {found.by_opcode[code].name}" if code in found.by_opcode else f"more than {opcode.bits} bits hold"
                raise self.error(
                    f"the opcode of {one.name}, {code:#x}, is {taken}", f"give it another: [encoding.opcodes] {one.name} = ..."
                )
            fields = tuple((label, self.placed(where, label, self.count(where))) for label, where in one.fields)
            self.apart(one.name, [*everywhere, *((before, where) for (_, before), (_, where) in zip(one.fields, fields, strict=True))])
            used = found.shared
            for _, where in fields:
                used |= where.mask
            found.add(replace(one, opcode=code, fields=fields, used=used))
        for name in machine.word_opcodes:
            if name not in found.by_name:
                raise self.error(f"there is no instruction `{name}` in [encoding.opcodes]", "python -m tiledsl isa lists them")
        return found

    def instructions(self) -> Iterator[Instruction]:
        yield from T1.by_name.values()
        yield from (custom.instruction for custom in customs(self.machine).values())

    def placed(self, where: Field, label: str, count: int | None, least: int | None = None) -> Field:
        """A field at its place in this layout, if that is wide enough for all that it may hold."""
        if not self.own:
            return where
        slot = SLOTS[where.position, where.bits]
        low, bits = self.machine.word_fields.get(slot, (where.position, where.bits))
        if low < 0 or bits < 1 or low + bits > self.bits:
            raise self.error(f"encoding.fields.{slot} takes bits {low} to {low + bits - 1} of {self.bits}", "lowest bit, and how many")
        most = where.bits if count is None else max(count - (where.none is None), 1).bit_length()  # a code for what is absent, too
        if bits < (least or most):
            raise self.error(f"encoding.fields.{slot} has {bits} bits; `{label}` needs {least or most}", "make it wider")
        blank = (1 << bits) - 1 if where.none is not None and where.none >> bits else None
        return replace(where, low=low, bits=bits, count=count, blank=blank)

    def count(self, where: Field) -> int | None:
        """How many values a field has a meaning for; None: all that T1's holds."""
        machine = self.machine
        if where.names:
            return len(where.names)
        if where.prefix == "c":
            return max(machine.load_channels, machine.store_channels)
        registers = {"t": machine.tile_descriptors, "g": machine.global_descriptors, "r": machine.scalar_registers, "s": machine.semaphores}
        return registers.get(where.prefix, where.count)

    def apart(self, instruction: str, fields: Sequence[tuple[Field, Field]]) -> None:
        """The fields of a word, as T1 has them and as they are here, share no bits."""
        for i, (before, where) in enumerate(fields):
            for other, there in fields[:i]:
                if where.mask & there.mask and self.own:
                    keys = [f"encoding.fields.{SLOTS[x.position, x.bits]}" for x in (other, before)]
                    raise self.error(f"{keys[0]} and {keys[1]} share bits, and {instruction} has both", "move one of them")

    def error(self, message: str, help: str = "") -> LaunchError:
        return LaunchError(f"{self.machine.name}: {message}", help=help)
