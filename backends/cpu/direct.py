"""Launches in native code on this machine: how a table's program is run, and when on threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiledsl.backend.direct import Table

from .entry import ENTRY
from .machine import threads_of
from .native.launcher import ALONE, HERE, SPREAD, Launcher, method
from .native.pool import native_pool
from .threads import BRIEF, run_grid

if TYPE_CHECKING:
    from . import Backend

SHORT = 1 << 14  # elements computed by a launch that keeps the interpreter lock: some microseconds


class Launches:
    """The launches of one kernel over one grid."""

    def __init__(self, backend: Backend, launcher: Launcher):
        self.backend, self._launcher = backend, launcher
        self.call = launcher.call

    @classmethod
    def of(cls, backend: Backend, slow: Callable[..., Any]) -> Launches | None:
        """For calls that `slow` answers, too."""
        found = method()
        return None if found is None else cls(backend, Launcher(slow, found))

    def learn(self, table: Table) -> bool:
        """Go by this table, too."""
        if "waits" in table.program.text:
            return False  # waiting is watched, and that takes the interpreter
        ready = self.backend.ready(table.program)
        total = table.grid[0] * table.grid[1] * table.grid[2]
        threads = threads_of(table.options)

        def spread(address: int) -> None:
            run_grid(ready.run, address, total, ready.scratch, threads)

        written = {*table.stored, *map(int, table.program.text["written"].split())}
        work = ready.work * total
        how = HERE if 0 <= work <= SHORT else ALONE if 0 <= work <= BRIEF or total == 1 else SPREAD
        pool = native_pool() if how == SPREAD else None
        return self._launcher.learn(table, written, ready.code.address(ENTRY), ready.scratch, how, spread, pool, threads or 0)
