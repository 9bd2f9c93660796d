"""From a kernel to words: the stages in order."""

from __future__ import annotations

from tiledsl.ir.core import Kernel

from ..check import verify
from ..isa.instructions import T1
from ..isa.state import ACC
from ..machine import Npu
from .allocate import Overflow, buffers, registers
from .container import Image, image
from .lower import lower
from .schedule import schedule
from .tokens import synchronise


def compile_code(kernel: Kernel, machine: Npu) -> Image:
    """The words of a kernel. Accumulators that do not fit the matrix unit's memory go through it in parts."""
    try:
        made = _compile(kernel, machine, keep_accumulators=True)
    except Overflow as error:
        if error.space != ACC:
            raise
        made = _compile(kernel, machine, keep_accumulators=False)
    verify(made.words, machine)
    return made


def _compile(kernel: Kernel, machine: Npu, *, keep_accumulators: bool) -> Image:
    code = lower(kernel, machine, keep_accumulators=keep_accumulators)
    code = buffers(registers(code, machine), machine)
    return image(synchronise(schedule(code, machine), machine), machine)


def listing(made: Image) -> str:
    """The program as text that assembles again, with the source line where it changes."""
    rows, before = [], None
    for word, loc in zip(made.words, made.lines, strict=True):
        note = f"  ; {loc}" if loc is not None and loc != before else ""
        before = loc
        rows.append(T1.show(T1.decode(word)) + note)
    return "\n".join(rows) + "\n"
