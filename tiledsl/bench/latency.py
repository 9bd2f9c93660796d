"""What a user waits for besides a kernel's own time: importing tiledsl, compiling or loading a kernel, each in fresh processes;
and launching it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from . import launches

IMPORT = "import numpy, time; start = time.perf_counter(); import tiledsl; print(time.perf_counter() - start)"


@dataclass(frozen=True)
class Latency:
    """What was waited for, and how long: the best of several processes, in seconds."""

    what: str
    seconds: float
    limit: float | None = None  # what it shall stay below


def rows(processes: int = 5) -> Iterator[Latency]:
    """A row after the other, as they are measured."""
    yield Latency("import tiledsl, after numpy", _best(["-c", IMPORT], processes), 0.080)
    for name, limit in (("vector_add", 0.050), ("softmax", 0.100)):
        yield Latency(f"{name}, compiled and run", _best(["-m", "tiledsl.bench.cold", name, "later"], processes), limit)
        yield Latency(f"{name}, when it is the first kernel", _best(["-m", "tiledsl.bench.cold", name], processes))
    with tempfile.TemporaryDirectory() as folder:
        keep = {"TILEDSL_CACHE": "1", "TILEDSL_CACHE_DIR": folder}
        yield Latency("vector_add, kept on disk", _best(["-m", "tiledsl.bench.cold", "vector_add"], processes, keep), 0.020)
    limits = {"NumPy arrays": 250e-9, "PyTorch tensors": 400e-9}
    for arguments, seconds in launches.rows():
        yield Latency(f"a launch with {arguments}", seconds, limits.get(arguments))


def _best(arguments: list[str], processes: int, variables: Mapping[str, str] = MappingProxyType({"TILEDSL_CACHE": "0"})) -> float:
    """The shortest time that a process printed; by default, nothing is taken from the cache of compiled kernels."""
    root = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users have bytecode
    found = []
    for _ in range(processes):
        ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
        found.append(float(ran.stdout))
    return min(found)
