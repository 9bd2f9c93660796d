"""From a kernel to words: the stages in order, again with less in the scratchpad as long as it does not fit."""

from __future__ import annotations

from tiledsl.ir.core import Kernel

from ..check import verify
from ..isa.instructions import T1
from ..isa.state import ACC
from ..machine import Npu
from .allocate import Overflow, buffers, registers, sharing
from .container import Image, image
from .expand import expand
from .lower import lower
from .names import Buffer
from .resident import Plan, views
from .schedule import schedule
from .tokens import synchronise
from .write import Code, Line

SMALLEST = 16  # bytes: smaller tiles stay where they are


def compile_code(kernel: Kernel, machine: Npu) -> Image:
    """The words of a kernel. Accumulators that do not fit the matrix unit's memory go through it in parts."""
    try:
        made = _fitted(kernel, machine, keep_accumulators=True)
    except Overflow as error:
        if error.space != ACC:
            raise
        made = _fitted(kernel, machine, keep_accumulators=False)
    verify(made.words, machine)
    return made


def _fitted(kernel: Kernel, machine: Npu, *, keep_accumulators: bool) -> Image:
    """Words whose tiles fit: first as it is; then elementwise code piece by piece; then ever more tiles in DRAM, the largest
    first; and all this again with smaller pieces."""
    code = lower(kernel, machine, keep_accumulators=keep_accumulators)
    mine = {v.buffer for line in code if isinstance(line, Line) for v in views(line)}
    together = sharing(code)
    budget = machine.spm_bytes // 4
    plan = Plan(budget, len(kernel.body.args))
    while True:
        try:
            return _finished(code, machine, plan)
        except Overflow as error:
            if error.space == ACC:
                raise
            found = _largest(error, mine, plan)
            if not plan.pieces:
                plan.pieces = True
            elif found:
                plan.spill(found, together)
            elif budget > SMALLEST * 8:
                budget //= 2
                plan = Plan(budget, len(kernel.body.args), True)
            else:
                raise


def _finished(code: Code, machine: Npu, plan: Plan) -> Image:
    code = buffers(registers(expand(code, machine, plan), machine), machine)
    return image(synchronise(schedule(code, machine), machine), machine, plan.scratch)


def _largest(error: Overflow, mine: set[Buffer], plan: Plan) -> list[Buffer]:
    """Of the places that are taken where most are, the largest that can be in DRAM instead, as the buffers that share it."""
    for place in sorted(error.live, key=lambda b: -b.nbytes):
        members = [b for b in error.sharing[place] if b in mine and b not in plan.elsewhere]
        if members and place.nbytes >= SMALLEST:
            return members
    return []


def listing(made: Image) -> str:
    """The program as text that assembles again, with the source line where it changes."""
    rows, before = [], None
    for word, loc in zip(made.words, made.lines, strict=True):
        note = f"  ; {loc}" if loc is not None and loc != before else ""
        before = loc
        rows.append(T1.show(T1.decode(word)) + note)
    return "\n".join(rows) + "\n"
