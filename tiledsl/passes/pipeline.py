"""Running passes: verify between them, show, time, stop, and bisect a miscompile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ir.core import Kernel
from ..machine import Machine


@dataclass(frozen=True)
class Pass:
    """One step: its name, what it does, and why it stands where it stands."""

    name: str
    run: Callable[[Kernel, Machine], Kernel]
    reason: str


def run(kernel: Kernel, passes: Sequence[Pass], machine: Machine) -> Kernel:
    """The kernel after all passes."""
    for step in passes:
        kernel = step.run(kernel, machine)
    return kernel
