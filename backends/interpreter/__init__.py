"""The reference interpreter as a backend: runs the lowered tile program itself."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import lru_cache

from tiledsl.backend import registry
from tiledsl.backend.base import Argument, Options, Program, Report
from tiledsl.interpreter import interpret
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.printer import show
from tiledsl.location import Loc
from tiledsl.machine import Machine
from tiledsl.passes import SHARED
from tiledsl.passes.pipeline import Pass


class Backend:
    """Runs any kernel; reading or writing where a kernel may not is an error that names the user's line."""

    name = "interpreter"

    def __init__(self, numerics: Sequence[Pass] = ()) -> None:
        """`numerics`: what a machine computes otherwise than the language says, as passes."""
        self.name = ":".join([self.name, *(step.name for step in numerics)])  # a class made from this one may have its own
        self.machine = Machine(self.name)
        self.passes = (*SHARED, *numerics)

    def variant(self, machine: str) -> Backend:
        """The interpreter with the numerics of another backend: its bits, by definition."""
        found = tuple(getattr(registry.find(machine), "numerics", ()))
        return Backend(found) if found else self

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """The kernel's text, and where each op was written."""
        text = show(kernel)
        places = [op.loc and op.loc.plain() for op in kernel.body.walk()]
        return Program(self.name, kernel.name, tuple(a.type for a in kernel.body.args), json.dumps([text, places]).encode(), {"tile": text})

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report | None:
        """Run every program of the grid, one after another, x fastest; those of a cooperative grid in turns."""
        start = time.perf_counter()
        interpret(load(program.binary), grid, args, options.cooperative)
        return Report(seconds=time.perf_counter() - start)


@lru_cache(maxsize=256)
def load(binary: bytes) -> Kernel:
    """The kernel of a compiled program."""
    text, places = json.loads(binary)
    kernel = parse(text)
    for op, place in zip(kernel.body.walk(), places, strict=True):
        op.loc = Loc.of(place)
    return kernel
