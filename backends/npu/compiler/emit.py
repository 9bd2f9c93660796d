"""Writing machine code with names instead of numbers: lines of instructions on virtual registers and buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiledsl import ops
from tiledsl.errors import Unsupported
from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.query import users
from tiledsl.ir.spec import OpSpec

from ..isa.custom import Custom, Operands, constant
from ..isa.state import ACC, SPM, to_raw
from ..machine import Npu
from .choose import choose, scalar
from .layout import View, dense, element
from .names import Label, Reg
from .write import Line, Operand, Writer

Lowering = Callable[["Emitter", Op], None]
LOWERINGS: dict[OpSpec, Lowering] = {}


def lowers(*specs: OpSpec) -> Callable[[Lowering], Lowering]:
    """Register the function that writes the code of these ops."""

    def register(fn: Lowering) -> Lowering:
        for spec in specs:
            LOWERINGS[spec] = fn
        return fn

    return register


@dataclass(frozen=True)
class Accumulators:
    """Which values stay in the accumulators of the matrix unit, and which of them others need to see."""

    kept: frozenset[Value] = frozenset()
    drained: frozenset[Value] = frozenset()


class Emitter(Writer):
    """Writes the code of one kernel, and knows where each value is: scalars in registers, tiles in buffers."""

    def __init__(self, kernel: Kernel, machine: Npu, accumulators: Accumulators, stages: int = 0):
        """`stages`: how many iterations of a loop may have places of their own, if it does not say itself; 0: none overlap."""
        super().__init__(machine)
        self.stages = stages
        self.overlapping: list[Label] = []  # where loops begin whose loads have places of their own
        self.accumulators = accumulators
        self.users = users(kernel.body)
        self.chosen = choose(kernel, machine)
        self.regs: dict[Value, Reg] = {}
        self.views: dict[Value, View] = {}
        self.cells: dict[Value, View] = {}  # scalars that were put into the scratchpad, since the last label
        self.peeked: dict[Value, Reg] = {}  # and those that were fetched from there
        self.drained: dict[Value, View] = {}  # scratchpad copies of values in the accumulators
        for index, param in enumerate(kernel.body.args):
            self.regs[param] = self.fresh("arg", index)
        self.places: dict[Value, View] = {}  # where to make values that have a place already
        self.position: list[Reg] = []  # the ids of the program at hand, where a run has many
        self.extents: list[Reg] = []  # of the grid, then
        self.early = False  # whether loads may come before what the core has stored

    def block(self, block: Block) -> Sequence[Value]:
        """The code of a block; what its yield hands over."""
        self.some(block.ops)
        last = block.ops[-1] if block.ops else None
        return last.operands if last is not None and last.spec is ops.yield_ else ()

    def some(self, body: Sequence[Op]) -> None:
        """The code of some ops; a yield is for the caller."""
        for op in body:
            self.loc = op.loc
            if op.spec is ops.yield_:
                return
            if op in self.chosen.covered:
                continue
            if op in self.chosen.made:
                self.own(op, *self.chosen.made[op])
                continue
            lowering = LOWERINGS.get(op.spec)
            if lowering is None:
                known = ", ".join(sorted(spec.name for spec in LOWERINGS))
                raise Unsupported(f"op {op.spec.name}; this machine has {known}", op.loc)
            start = len(self.code)
            lowering(self, op)
            if self.early and op.spec.effect == "read":
                for line in self.code[start:]:
                    if isinstance(line, Line) and line.instruction is not None and "dram_read" in line.instruction.traits:
                        line.common["early"] = 1

    def label(self, label: Label) -> None:
        super().label(label)
        self.forget()

    def forget(self) -> None:
        """Copies of scalars in the other place may not be there, or be of another iteration."""
        self.cells.clear()
        self.peeked.clear()

    def own(self, op: Op, custom: Custom, found: Operands) -> None:
        """An instruction that the machine adds to T1, in place of ops."""
        operands: list[Operand] = []
        for label, where in custom.instruction.fields:
            if where.role == "write":
                operands.append(self.define(op.result))
            elif where.prefix == "t":
                operands.append(self.view(found[label]))
            elif where.prefix == "r":
                operands.append(self.register(found[label]))
            else:
                number = constant(found[label])
                assert isinstance(number, int)
                operands.append(number)
        if custom.elementwise:
            self.vector(custom, *operands)
        else:
            self.custom(custom, *operands)
        made = operands[0]
        assert isinstance(made, View)
        self.views[op.result] = made

    def register(self, value: Value) -> Reg:
        """The register with what every element of a value is."""
        one = scalar(value)
        if one is not None:
            return self.scalar(one)
        dtype, number = element(value.type), constant(value)
        assert number is not None
        return self.literal(to_raw(ops.constant.evaluate(value=number, type=value.type.scalar()), dtype))

    # --- scalars ---------------------------------------------------------------------------------------------------

    def scalar(self, value: Value) -> Reg:
        """The register of a scalar."""
        if value in self.regs:
            return self.regs[value]
        if value not in self.peeked:
            self.peeked[value] = self.fresh("peek", self.views[value])
        return self.peeked[value]

    def stays_in_tiles(self, values: Sequence[Value]) -> bool:
        """Whether scalars are best computed where tiles are: one of them is a number that was made there. To fetch it, the scalar
        unit would wait for it, and nobody gets instructions while it waits."""
        return any(v in self.views and v not in self.regs and element(v.type).is_float for v in values)

    def known(self, value: Value) -> int | None:
        """The number an integer scalar always is, if that can be seen."""
        made = value.source
        return made.attrs["value"] if made is not None and made.spec is ops.constant and not value.type.shape else None

    # --- tiles -------------------------------------------------------------------------------------------------------

    def view(self, value: Value) -> View:
        """A value in the scratchpad; a scalar is put there."""
        if value in self.drained:
            return self.drained[value]
        if value in self.views:
            return self.views[value]
        if value not in self.cells:
            cell = dense((), element(value.type))
            self("vfill", cell, self.regs[value])
            self.cells[value] = cell
        return self.cells[value]

    def set_scalar_view(self, value: Value, view: View) -> None:
        """A scalar was made in the scratchpad: fetch it into a register unless only tiles want it, or it is a number for tiles."""
        self.views[value] = view
        if not element(value.type).is_float and any(user.spec is not ops.broadcast for user in self.users.get(value, ())):
            self.regs[value] = self.fresh("peek", view)

    def set_tile(self, value: Value, view: View) -> None:
        """Say where a value is, tile or scalar."""
        if value.type.shape:
            self.views[value] = view
        else:
            self.set_scalar_view(value, view)

    def define(self, value: Value) -> View:
        """A new buffer for a value, or where it is meant to be."""
        if value in self.places:
            return self.places[value]
        return dense(value.type.shape, element(value.type))

    # --- values that control flow carries ------------------------------------------------------------------------------

    def slot(self, value: Value) -> Reg | View:
        """A place for a value that is assigned more than once."""
        if not value.type.shape:
            place = self.regs[value] = Reg()
            return place
        space = ACC if value in self.accumulators.kept else SPM
        self.views[value] = dense(value.type.shape, element(value.type), space)
        return self.views[value]

    def assign(self, slots: Sequence[Reg | View], values: Sequence[Value]) -> None:
        """Put values into slots all at once: a value that another slot is about to lose is saved first."""
        sources: list[Reg | View] = []
        for slot, value in zip(slots, values, strict=True):
            if isinstance(slot, Reg):
                sources.append(self.scalar(value))
            else:
                sources.append(self.views[value] if slot.buffer.space == ACC else self.view(value))
        homes = {id(s) if isinstance(s, Reg) else id(s.buffer): s for s in slots}
        for i, (slot, source) in enumerate(zip(slots, sources, strict=True)):
            home = homes.get(id(source) if isinstance(source, Reg) else id(source.buffer))
            if home is None or source == slot:
                continue
            if isinstance(source, Reg):
                sources[i] = self.fresh("mov", source)
            elif isinstance(slot, View) and slot.buffer.space == ACC:
                saved = dense(source.shape, source.dtype, ACC)
                self.move(saved, source)
                sources[i] = saved
            else:
                sources[i] = self.copied(source)
        for slot, source in zip(slots, sources, strict=True):
            if slot is source or slot == source:
                continue
            if isinstance(slot, Reg):
                self("mov", slot, source)
            else:
                assert isinstance(source, View)
                self.move(slot, source)

    def drain(self, value: Value) -> None:
        """Copy an accumulator that others than dots and loops use into the scratchpad."""
        if value in self.accumulators.drained:
            self.drained[value] = self.define(value)
            self.move(self.drained[value], self.views[value])
