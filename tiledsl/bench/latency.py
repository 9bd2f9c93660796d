"""What a user waits for before a kernel runs: importing tiledsl, and compiling a kernel; each in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def _best(arguments: list[str], processes: int) -> float:
    """The shortest time that a process printed; nothing is taken from the cache of compiled kernels."""
    root = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "TILEDSL_CACHE": "0", "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users have bytecode
    found = []
    for _ in range(processes):
        ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
        found.append(float(ran.stdout))
    return min(found)
