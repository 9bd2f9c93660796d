"""Lines of instructions on virtual registers and buffers, and what is handy for writing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tiledsl.backend.isa import Instruction
from tiledsl.ir.types import DType
from tiledsl.location import Loc

from ..isa import alu
from ..isa.custom import Custom
from ..isa.instructions import T1
from ..isa.state import ACC, DTYPE_NAMES, MASK, SPM
from ..machine import Npu
from .layout import Box, View, dense, pieces
from .names import Label, Reg

NONE = 255  # an absent tile operand
ZERO = 0  # the register that is always 0

Operand = int | Reg | View | Box | Label


@dataclass(eq=False)
class Line:
    """One instruction before it is a word."""

    name: str
    operands: tuple[Operand, ...]
    when: Reg | None = None
    loc: Loc | None = None
    common: dict[str, int] = field(default_factory=dict)
    custom: Custom | None = None  # of an instruction that T1 does not have

    @property
    def instruction(self) -> Instruction | None:
        """Its declaration; none of a line that becomes other instructions yet."""
        return self.custom.instruction if self.custom is not None else T1.by_name.get(self.name)


Code = list[Line | Label]


def code_of(dtype: DType) -> int:
    """A type as a field of the instruction word."""
    return DTYPE_NAMES.index(dtype.name)


def multiplies(machine: Npu, dtype: DType) -> bool:
    """Whether products of a type go through the matrix unit and its accumulators."""
    return machine.acc_bytes > 0 and machine.multiplies(dtype.name)


class Writer:
    """Appends lines to code."""

    def __init__(self, machine: Npu, loc: Loc | None = None):
        self.machine, self.loc = machine, loc
        self.code: Code = []

    def __call__(self, name: str, *operands: Operand, when: Reg | None = None) -> None:
        self.code.append(Line(name, operands, when, self.loc))

    def custom(self, custom: Custom, *operands: Operand) -> None:
        """An instruction of the machine's own."""
        self.code.append(Line(custom.instruction.name, operands, None, self.loc, custom=custom))

    def label(self, label: Label) -> None:
        self.code.append(label)

    def fresh(self, name: str, *operands: Operand, when: Reg | None = None) -> Reg:
        """A new register, set by an instruction whose destination stands where the word has it: first."""
        result = Reg()
        self(name, result, *operands, when=when)
        return result

    def literal(self, value: int, size: int = 8) -> Reg:
        """A register with a number, of which only so many bytes matter."""
        value &= MASK
        low = value & 0xFFFF_FFFF
        low -= (low >> 31) << 32
        result = self.fresh("movi", low)
        if size > 4 and (value - low) & MASK:
            high = value >> 32
            self("movhi", result, high - ((high >> 31) << 32))
        return result

    def alu(self, name: str, dtype: DType, *operands: Reg | int) -> Reg:
        """An arithmetic operation on registers."""
        result = Reg()
        table, unit = TABLES[len(operands)]
        self(f"scalar{unit}", table.index(name), code_of(dtype), result, *operands)
        return result

    def repeat(self, times: int, body: Callable[[Reg], None]) -> None:
        """The code of a body once, run for 0, 1, ... times - 1."""
        index, left, one = self.literal(0), self.literal(times), self.literal(1)
        head = Label()
        self.label(head)
        body(index)
        self("addr", index, index, one, 1)
        self("addr", left, left, one, -1)
        self("jumpnz", left, head)

    def vector(self, name: str | Custom, *operands: Operand) -> None:
        """An engine instruction on views of one shape, as often as descriptors need."""
        views = [x for x in operands if isinstance(x, View)]
        for part in pieces(views, self.machine.descriptor_rank):
            rest = iter(part)
            here = [next(rest) if isinstance(x, View) else x for x in operands]
            if isinstance(name, str):
                self(name, *here)
            else:
                self.custom(name, *here)

    def apply(self, name: str, to: View, *operands: View) -> None:
        """An arithmetic operation on tiles."""
        table, unit = TABLES[len(operands)]
        self.vector(f"vec{unit}", table.index(name), to, *operands)

    def move(self, to: View, source: View) -> None:
        """Copy elements between any two places."""
        spaces = (source.buffer.space, to.buffer.space)
        self.vector({(SPM, SPM): "vcopy", (ACC, SPM): "accrd"}.get(spaces, "accwr"), to, source)

    def copied(self, view: View) -> View:
        """The same elements in a new buffer, in row-major order."""
        new = dense(view.shape, view.dtype)
        self.move(new, view)
        return new


TABLES = {1: (alu.UNARY, 1), 2: (alu.BINARY, 2), 3: (alu.TERNARY, 3)}
