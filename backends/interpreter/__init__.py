"""The reference interpreter as a backend: runs the lowered tile program itself."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tiledsl.backend.base import Argument, Options, Program, Report
from tiledsl.interpreter import interpret
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.printer import show
from tiledsl.location import Loc
from tiledsl.machine import Machine
from tiledsl.passes import SHARED


class Backend:
    """Runs any kernel; reading or writing where a kernel may not is an error that names the user's line."""

    name = "interpreter"
    machine = Machine("interpreter")
    passes = SHARED

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """The kernel's text, and where each op was written."""
        text = show(kernel)
        places = [_written(op.loc) for op in kernel.body.walk()]
        return Program(self.name, kernel.name, tuple(a.type for a in kernel.body.args), json.dumps([text, places]).encode(), {"tile": text})

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report | None:
        """Run every program of the grid, one after another, x fastest."""
        start = time.perf_counter()
        interpret(load(program.binary), grid, args)
        return Report(seconds=time.perf_counter() - start)


@lru_cache(maxsize=256)
def load(binary: bytes) -> Kernel:
    """The kernel of a compiled program."""
    text, places = json.loads(binary)
    kernel = parse(text)
    for op, place in zip(kernel.body.walk(), places, strict=True):
        op.loc = _read(place)
    return kernel


def _written(place: Loc | None) -> list[Any] | None:
    """A place as plain data: a program comes from a file, and reading one must not run anything."""
    if place is None:
        return None
    return [place.file, place.line, place.column, place.end_column, place.function, _written(place.called_from)]


def _read(data: list[Any] | None) -> Loc | None:
    if data is None:
        return None
    file, line, column, end_column, function, called_from = data
    return Loc(file, line, column, end_column, function, _read(called_from))
