"""The machine this process runs on, without asking LLVM twice: its answer is kept under what the kernel says of the processor."""

from __future__ import annotations

import os
from functools import cache
from importlib.machinery import PathFinder
from typing import Any

from tiledsl import config, files
from tiledsl.digest import sha256
from tiledsl.errors import LaunchError
from tiledsl.forks import lock

from .machine import HostMachine, last_cache

MAGIC = b"tiledsl host 3\n"
WIDE = ("avx512", "avx10")  # features that narrower machines do without
FEWER: dict[str, dict[str, Any]] = {  # choices of TILEDSL_CPU, and what they change
    "avx2": {"vector_bytes": 32, "rows": 6, "unroll": 4},
    "generic": {"vector_bytes": 16, "rows": 4, "unroll": 1},
}
TELLING = (  # lines of /proc/cpuinfo
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
)  # fmt: skip


@cache
def host() -> HostMachine:
    """The machine this process runs on, or as much of it as TILEDSL_CPU allows."""
    return limited(_native(), config.cpu())


def limited(machine: HostMachine, name: str) -> HostMachine:
    """A machine as if it were one of so many instructions only: shorter vectors, and the same bits."""
    if name == "native" or name == "avx512" and machine.vector_bytes == 64:
        return machine
    if name not in FEWER:
        known = ", ".join(["native", "avx512", *FEWER])
        what = "this processor does not have them" if name == "avx512" else "there is no such choice"
        raise LaunchError(f"TILEDSL_CPU={name}: {what}", help=f"one of {known}")
    without = [f"-{f[1:]}" if f[1:].startswith(WIDE) else f for f in machine.features.split(",")]
    return machine.but(name=f"{machine.name}-{name}", features=",".join(without), native=frozenset(), **FEWER[name])


def _native() -> HostMachine:
    cpu, features, cached = _remembered() or _asked()
    names = set(features.split(","))
    wide = {"+avx512vl", "+avx512dq", "+avx512bw"} <= names
    return HostMachine(
        name=f"cpu-{cpu}",
        vector_bytes=64 if wide else 32,
        cpu=cpu,
        features=features,
        native=frozenset({"scale"} if wide else ()),
        rows=8 if wide else 6,
        unroll=2 if wide else 4,
        streams=cached // 2,  # at least as much is read: what is written would not stay there whole
    )


def _asked() -> tuple[str, str, int]:
    """What LLVM calls the processor, its features, and bytes of its last cache."""
    from .engine import llvm  # for what no earlier process has kept

    binding = llvm()
    with lock:
        return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten(), last_cache()


def _remembered() -> tuple[str, str, int] | None:
    """The same from an earlier process, or for the next one."""
    processor = _processor()
    directory = files.usable_directory(config.cache_dir()) if processor and config.cache() else None
    if directory is None:
        return None
    path = os.path.join(directory, f"{sha256(MAGIC + processor.encode()).hexdigest()}.host")
    body = files.unsealed(MAGIC, files.load(path) or b"")
    if body is None:
        body = "\n".join(map(str, _asked())).encode()
        files.save(path, files.sealed(MAGIC, body))
    cpu, features, cached = body.decode().split("\n")
    return cpu, features, int(cached)


def _processor() -> str:
    """A text that tells apart processors and LLVMs; none where the platform has no such text."""
    found = PathFinder.find_spec("llvmlite")  # where it is, without importing it
    try:
        with open("/proc/cpuinfo") as file:
            lines = file.read(1 << 14).split("\n\n")[0].splitlines()  # the first processor: all are alike
        own = [line for line in lines if line.partition(":")[0].strip() in TELLING]
        origin = str(found.origin) if found is not None else ""
        return "\n".join([os.uname().machine, origin, str(os.stat(origin).st_mtime_ns), *own]) if own else ""
    except OSError:
        return ""
