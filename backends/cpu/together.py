"""Launches of kernels in which programs may wait for each other, under a watch."""

from __future__ import annotations

import ctypes
import struct
from ast import literal_eval
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiledsl.backend.base import Argument, Buffer, Options, Program
from tiledsl.location import Loc
from tiledsl.memory import held
from tiledsl.watch import Watch, named, require_room

from .machine import threads_of
from .waiting import polling, watched
from .workers import run_apart, run_together

if TYPE_CHECKING:
    from . import Ready


def launch(program: Program, ready: Ready, grid: tuple[int, int, int], slots: bytes, args: Sequence[Argument], options: Options) -> None:
    """Run the programs in ascending order, or all at once where the options say so."""
    total = grid[0] * grid[1] * grid[2]
    if not total:
        return
    told = literal_eval(program.text["waits"])
    arrays = [a for a in args if isinstance(a, Buffer)]
    watch = Watch(memory=lambda: held(arrays))
    poll = polling(watch, [stores for _, stores in told])
    address = ctypes.cast(poll, ctypes.c_void_p).value or 0
    memory = ctypes.create_string_buffer(struct.pack("<qqq", *grid) + slots + struct.pack("<q", address))
    run = watched(ready.run, watch)
    if options.cooperative:
        require_room(total)
        run_together(run, ctypes.addressof(memory), total, ready.scratch)
    else:
        run_apart(run, ctypes.addressof(memory), total, ready.scratch, threads_of(options))
    spans = [(a.start, a.stop, a.dtype.itemsize, a.name) for a in arrays]
    places = [Loc.of(place) for place, _ in told]
    watch.check(places, grid, options.cooperative, lambda at: named(at, spans))
