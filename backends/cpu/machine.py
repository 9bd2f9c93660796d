"""A processor as the code generator sees it: vector width, register tile of the matrix kernel, name and features."""

from __future__ import annotations

import os
from contextlib import suppress

from tiledsl.backend.base import Options
from tiledsl.backend.threads import num_threads
from tiledsl.machine import Machine

LINE = 64  # bytes that caches move at once, on every processor that we know


class HostMachine(Machine, eq=False):
    """Numbers that shape the code but never its results."""

    offsets: bool = True
    cpu: str = ""  # LLVM's name of the processor
    features: str = ""  # LLVM's list of instruction set extensions
    rows: int = 6  # of the register tile that a dot keeps in registers
    columns: int = 2  # of the same tile, in vectors
    depth: int = 256  # steps of k that a dot adds to its register tile at once, where loops let it
    streams: int = 24 << 20  # so many bytes written by one launch go past the caches
    unroll: int = 2  # vectors per iteration of a fused loop

    def lanes(self, bits: int = 32) -> int:
        """How many elements of a width fill one vector register."""
        return self.vector_bytes * 8 // max(bits, 32)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(options: Options) -> int | None:
    """How many threads a launch may use; None: one per processor."""
    return 1 if options.deterministic else options.num_threads or num_threads()


CACHES = "/sys/devices/system/cpu/cpu0/cache"


def last_cache() -> int:
    """Bytes of the largest cache, as far as the system tells; else of a usual one."""
    found = [32 << 20]
    with suppress(OSError, ValueError):
        sizes = []
        for name in os.listdir(CACHES):
            if name.startswith("index"):
                with open(f"{CACHES}/{name}/size") as file:
                    sizes.append(int(file.read().strip().removesuffix("K")) << 10)
        found = sizes or found
    return max(found)
