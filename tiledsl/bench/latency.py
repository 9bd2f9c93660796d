"""What a user waits for besides a kernel's own time: importing tiledsl, compiling or loading a kernel, each in fresh processes;
and launching it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from . import launches

IMPORT = "import numpy, time; start = time.perf_counter(); import tiledsl; print(time.perf_counter() - start)"


@dataclass(frozen=True)
class Latency:
    """What was waited for, and how long: the best of several processes, in seconds; and the same of numba."""

    what: str
    seconds: float
    limit: float | None = None  # what it shall stay below
    numba: float | None = None


COMPILED = {"vector_add": 0.010, "softmax": 0.025, "matmul": 0.050, "attention": 0.100}
COLD = ["-m", "tiledsl.bench.cold"]


def rows(processes: int = 5, against: Sequence[str] = ("numba",)) -> Iterator[Latency]:
    """A row after the other, as they are measured."""
    rival = "numba" in against and find_spec("numba") is not None
    yield Latency("import tiledsl, after numpy", _best(["-c", IMPORT], processes), 0.040)
    for name, limit in COMPILED.items():
        mine = _best([*COLD, name, "later"], processes)
        yield Latency(f"{name}, compiled and run", mine, limit, _best([*COLD, name, "later", "numba"], 2) if rival else None)
    yield Latency("vector_add, as the first kernel of a process", _best([*COLD, "vector_add"], processes))
    with tempfile.TemporaryDirectory() as folder:
        keep = {"TILEDSL_CACHE": "1", "TILEDSL_CACHE_DIR": folder}
        yield Latency("vector_add, in a new process, kept on disk", _best([*COLD, "vector_add"], processes, keep), 0.002)
    launched = launches.measured(launches.candidates(rival))
    yield Latency("a launch with NumPy arrays", launched[launches.NUMPY], 250e-9, launched.get(launches.NUMBA))
    if launches.TORCH in launched:
        yield Latency("a launch with PyTorch tensors", launched[launches.TORCH], 400e-9)
    yield Latency("handing an empty grid to two threads", launches.region(), 1e-6)


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
