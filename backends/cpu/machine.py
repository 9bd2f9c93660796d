"""The host as the code generator sees it: vector width, register tile of the matrix kernel, CPU name and features."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

from tiledsl.machine import Machine


@dataclass(frozen=True)
class HostMachine(Machine):
    """Numbers that shape the code but never its results."""

    cpu: str = ""  # LLVM's name of the processor
    features: str = ""  # LLVM's list of instruction set extensions
    rows: int = 6  # of the register tile that a dot keeps in registers
    columns: int = 2  # of the same tile, in vectors
    unroll: int = 2  # vectors per iteration of a fused loop

    def lanes(self, bits: int = 32) -> int:
        """How many elements of a width fill one vector register."""
        return self.vector_bytes * 8 // max(bits, 32)


@cache
def host() -> HostMachine:
    """The machine this process runs on."""
    import llvmlite.binding as llvm  # 60 ms that a kernel loaded from the cache does not need to spend

    from .engine import native_target  # the same reason

    native_target()
    features = llvm.get_host_cpu_features()
    wide = features.get("avx512vl", False) and features.get("avx512dq", False) and features.get("avx512bw", False)
    return HostMachine(
        name=f"cpu-{llvm.get_host_cpu_name()}",
        vector_bytes=64 if wide else 32,
        cpu=llvm.get_host_cpu_name(),
        features=features.flatten(),
        rows=8 if wide else 6,
        unroll=2 if wide else 4,
        memories={},
        peak_flops=0.0,
        bandwidth=0.0,
    )


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
