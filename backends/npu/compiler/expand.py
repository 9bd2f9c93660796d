"""From lines as the ops are lowered to instructions of the machine: boxes become descriptors, products become what the
machine multiplies with, and what works on tiles in DRAM goes piece by piece through the scratchpad."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tiledsl.errors import Unsupported

from ..isa.state import SPM
from ..machine import Npu
from . import folds, products
from .allocate import lifetimes
from .groups import WRITES, Group, Pieces, is_grouped, roles, written_views
from .layout import Box, View
from .names import DRAM, Buffer, Label, Reg
from .resident import Plan, Resident, replace_operands, views
from .write import Code, Line, Operand

JUMPS = {"jump", "jumpz", "jumpnz", "halt", "barrier"}


def expand(code: Code, machine: Npu, plan: Plan) -> Code:
    """The same program in instructions that the machine has, on tiles where the plan has them."""
    return _Expander(code, machine, plan).code


class _Expander(Resident):
    def __init__(self, code: Code, machine: Npu, plan: Plan):
        super().__init__(machine, plan)
        self.group = Group()
        self.aside: set[Buffer] = set()  # what lines that came before it had to do with
        self.lives = lifetimes(code, lambda line: [v.buffer for v in views(line)])
        self.position = 0
        self.first = 0
        for self.position, item in enumerate(code):
            if isinstance(item, Label):
                self.flush()
                self.label(item)
            else:
                self.line(self.settled(item))

    def line(self, line: Line) -> None:
        """One more line: into the group, past it, or after it."""
        self.loc = line.loc
        if self.plan.pieces and is_grouped(line) and self.is_large(line) and line.when is None:
            if not self.group.takes(line):
                self.flush()
            if not self.group.lines:
                self.first, self.aside = self.position, set()
            self.group.add(line)
            return
        if self.group.lines and not self.passes(line):
            self.flush()
            self.loc = line.loc
        self.aside.update(v.buffer for v in views(line))
        self.one(line)

    def is_large(self, line: Line) -> bool:
        """Whether a line works on more than a piece, or on more elements than a descriptor names."""
        size = views(line)[0].size
        wide = max(v.dtype.itemsize for v in views(line))
        elsewhere = any(v.buffer.space == DRAM for v in views(line))
        return size * wide > self.plan.budget // (16 if not elsewhere else 4) or size > self.machine.descriptor_elements

    def passes(self, line: Line) -> bool:
        """Whether a line may come before the group that it follows."""
        known = line.instruction
        if known is None or line.name in JUMPS or any(isinstance(x, Box) for x in line.operands):
            return False
        if "dram_write" in known.traits or known.traits and any(x.name in WRITES for x in self.group.lines):
            return False
        touched = {v.buffer for x in self.group.lines for v in views(x)}
        written = {v.buffer for x in self.group.lines for v in written_views(x)}
        for x, role in zip(line.operands, roles(line), strict=True):
            if isinstance(x, View) and x.buffer in (written if role == "read" else touched):
                return False
            if isinstance(x, Reg) and role != "read" and x in self.group.reads:
                return False
        return True

    def flush(self) -> None:
        """Write the group."""
        group, self.group = self.group, Group()
        if not group.lines:
            return
        inside = range(self.first, self.position)
        whole: dict[Buffer, bool] = {}
        for v in (v for line in group.lines for v in views(line)):
            whole[v.buffer] = whole.get(v.buffer, True) and v.is_whole()
        own = set()
        for buffer, full in whole.items():
            if full and buffer.space == SPM and buffer not in self.aside:
                life = self.lives[buffer]
                if life.start in inside and life.end in inside:
                    own.add(buffer)
        Pieces(self, group, own)

    # --- other lines -------------------------------------------------------------------------------------------------

    def one(self, line: Line) -> None:
        """A line that is in no group."""
        special: Callable[[Resident, Line], None] | None = SPECIAL.get(line.name)
        if special is not None:
            special(self, line)
        elif any(isinstance(x, Box) for x in line.operands):
            self.boxed(list(line.operands), line)
        elif not any(v.buffer.space == DRAM for v in views(line)):
            self.line_as_it_is(line)
        elif sum(v.size * v.dtype.itemsize for v in views(line) if v.buffer.space == DRAM) <= self.plan.budget:
            self.staged(line)
        elif is_grouped(line):
            alone = Group()
            alone.add(line)
            Pieces(self, alone, set())
        elif line.name in folds.RULES:
            folds.RULES[line.name](self, line)
        else:
            raise Unsupported(f"{line.name} on tiles that do not fit into the scratchpad of {self.machine.name}", line.loc)

    def staged(self, line: Line) -> None:
        """A line whose operands are fetched before it, and brought back after it."""
        operands: list[Operand] = []
        made: list[tuple[View, View]] = []
        for x, role in zip(line.operands, roles(line), strict=True):
            if isinstance(x, View) and x.buffer.space == DRAM:
                here = self.room(x) if role == "write" else self.fetched(x)
                if role != "read":
                    made.append((x, here))
                operands.append(here)
            else:
                operands.append(x)
        self.line_as_it_is(replace_operands(line, operands))
        for there, here in made:
            self.put(there, here)

    def boxed(self, operands: Sequence[Operand], line: Line) -> None:
        """A transfer between the user's memory and a tile, wherever that is."""
        things = [x for x in operands if isinstance(x, Box | View)]
        shape = things[0].shape
        size = math.prod(shape)
        there = [v for v in things if isinstance(v, View) and v.buffer.space == DRAM]
        wide = sum(v.dtype.itemsize for v in there)
        if there and size * wide > self.plan.budget or size > self.machine.descriptor_elements:
            axis = next(d for d, extent in enumerate(shape) if extent > 1)
            inner = size // shape[axis]
            limit = min(self.plan.budget // max(wide, 1), self.machine.descriptor_elements)

            def piece(parts: Sequence[View | Box]) -> None:
                rest = iter(parts)
                self.boxed([next(rest) if isinstance(x, Box | View) else x for x in operands], line)

            self.over(axis, things, max(1, limit // inner), piece)
            return
        made: list[tuple[View, View]] = []
        final: list[Operand] = []
        for x, role in zip(operands, roles(line), strict=True):
            if isinstance(x, View) and x.buffer.space == DRAM:
                here = self.room(x) if role == "write" else self.fetched(x)
                if role == "write":
                    made.append((x, here))
                final.append(here)
            else:
                final.append(x)
        self.transfer(replace_operands(line, final))
        for target, here in made:
            self.put(target, here)


SPECIAL: dict[str, Callable[[Resident, Line], None]] = {"mm": products.accumulate, "product": products.product}
