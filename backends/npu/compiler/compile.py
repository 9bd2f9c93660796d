"""From a kernel to words: the stages in order, again with less in the scratchpad as long as it does not fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from tiledsl.errors import Unsupported
from tiledsl.ir import query
from tiledsl.ir.core import Kernel
from tiledsl.ir.types import Pointer
from tiledsl.location import Loc

from ..check import verify
from ..isa.encoding import instruction_set
from ..isa.state import ACC
from ..machine import Npu
from .allocate import Overflow, buffers, registers, sharing
from .container import Image, image
from .expand import expand
from .lower import lower
from .names import Buffer, Label
from .parts import in_parts
from .reorder import reorder
from .report import slow_ways
from .resident import Plan, views
from .schedule import schedule
from .together import fits_together
from .tokens import synchronise
from .write import Code, Line

LONGEST_RUN = 12_000  # instructions, so that a run's trace is looked at in one piece
COPIES = 5  # of a program, in the words that run many
MOST_STAGES = 3  # iterations of a loop that have tiles of their own
SMALLEST = 16  # bytes: smaller tiles stay where they are


def compile_code(kernel: Kernel, machine: Npu, checked: bool = True, together: bool = False, stages: int = MOST_STAGES) -> Image:
    """The words of a kernel: with two or three iterations of a loop under way if there is room, `stages` at most; with accumulators
    in the matrix unit's memory, or going through it in parts. `checked`: whether the static checker looks at them. `together`: of
    many programs in one run, if that can be."""
    made, refused = _together(kernel, machine) if together and fits_together(kernel) else None, ""
    if made is None:
        made, refused = _overlapped(kernel, machine, stages)
    if made is None:
        try:
            made = _fitted(kernel, machine, keep_accumulators=True)
        except Overflow as error:
            if error.space != ACC:
                raise
            made = _fitted(kernel, machine, keep_accumulators=False)
    words, code, plan = made
    if checked:
        verify(words.words, machine)
    bindings = tuple((arg.name, str(arg.type)) for arg in kernel.body.args)
    return replace(words, slow=slow_ways(code, plan, machine, refused), bindings=bindings, arrays=_arrays(kernel))


Made = tuple[Image, Code, Plan]  # words, and what they are of, for the report


def _together(kernel: Kernel, machine: Npu) -> Made | None:
    """Words that run many programs; none if there is no room for two at a time."""
    plan = _plan(kernel, machine)
    code, overlapping = lower(kernel, machine, stages=MOST_STAGES, together=True)
    try:
        made = _finished(code, machine, plan, overlapping)
    except Unsupported:
        return None
    return replace(made, together=max(1, LONGEST_RUN * COPIES // len(made.words))), code, plan


def _overlapped(kernel: Kernel, machine: Npu, stages: int) -> tuple[Made | None, str]:
    """Words whose loops overlap their iterations; none if none can, or there is no room: then also why."""
    plan = _plan(kernel, machine)
    code, overlapping = lower(kernel, machine, stages=stages)
    if not overlapping:
        return None, ""
    try:
        return (_finished(in_parts(code, machine), machine, plan, overlapping), code, plan), ""
    except Unsupported as error:
        return None, error.diagnostic.message


def _arrays(kernel: Kernel) -> dict[Loc, int]:
    """Which array, counted from 0, the accesses at a place of the source are made through; without places where that depends."""
    origins = query.origins(kernel.body)
    found: dict[Loc, set[int | None]] = defaultdict(set)
    for op in kernel.body.walk():
        if op.loc is not None and op.spec.effect in ("read", "write") and op.operands and isinstance(op.operands[0].type.elem, Pointer):
            found[op.loc].add(query.array_behind(kernel.body, origins, op.operands[0]))
    single = ((loc, numbers.pop()) for loc, numbers in found.items() if len(numbers) == 1)
    return {loc: number for loc, number in single if number is not None}


def _plan(kernel: Kernel, machine: Npu) -> Plan:
    return Plan(machine.spm_bytes // 4, len(kernel.body.args))


def _fitted(kernel: Kernel, machine: Npu, *, keep_accumulators: bool) -> Made:
    """Words whose tiles fit, and how: first as it is; then elementwise code piece by piece; then ever more tiles in DRAM, the largest
    first; and all this again with smaller pieces."""
    code, _ = lower(kernel, machine, keep_accumulators=keep_accumulators)
    mine = {v.buffer for line in code if isinstance(line, Line) for v in views(line)}
    together = sharing(code)
    plan = _plan(kernel, machine)
    while True:
        try:
            return _finished(code, machine, plan), code, plan
        except Overflow as error:
            if error.space == ACC:
                raise
            found = _largest(error, mine, plan)
            if not plan.pieces:
                plan.pieces = True
            elif found:
                plan.spill(found, together)
            elif plan.budget > SMALLEST * 8:
                plan = Plan(plan.budget // 2, plan.argument, True)
            else:
                raise


def _finished(code: Code, machine: Npu, plan: Plan, overlapping: Collection[Label] = ()) -> Image:
    placed = _placed(expand(code, machine, plan), machine, overlapping)
    return image(synchronise(schedule(placed, machine), machine), machine, plan.scratch)


def _placed(code: Code, machine: Npu, overlapping: Collection[Label]) -> Code:
    """Code with numbers for names: in the order that is best and with places for what is on its way out, as far as there is room."""
    ordered = reorder(code, machine)
    for units, chosen in (("LW", ordered), ("L", ordered)) if overlapping else (("L", ordered),):
        try:
            return buffers(registers(chosen, machine), machine, overlapping, units)
        except Overflow:
            pass
    return buffers(registers(code, machine), machine, overlapping, "L")


def _largest(error: Overflow, mine: set[Buffer], plan: Plan) -> list[Buffer]:
    """Of the places that are taken where most are, the largest that can be in DRAM instead, as the buffers that share it."""
    for place in sorted(error.live, key=lambda b: -b.nbytes):
        members = [b for b in error.sharing[place] if b in mine and b not in plan.elsewhere]
        if members and place.nbytes >= SMALLEST:
            return members
    return []


def listing(made: Image, machine: Npu) -> str:
    """The program as text that assembles again, with what its arguments are, and the source line where it changes."""
    rows, before, isa = [f"; argument {i}: {name}: {kind}" for i, (name, kind) in enumerate(made.bindings)], None, instruction_set(machine)
    for word, loc in zip(made.words, made.lines, strict=True):
        note = f"  ; {loc}" if loc is not None and loc != before else ""
        before = loc
        rows.append(isa.show(isa.decode(word)) + note)
    return "\n".join(rows) + "\n"
