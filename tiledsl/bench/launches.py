"""What launching a small kernel costs once it is compiled: 128 sums, with the arguments of different libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

COUNT = 128


@tiledsl.jit
def add(x, y, out, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """One block of sums."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) + tl.load(y + at, mask=at < n), mask=at < n)


NUMPY, TORCH, NUMBA = "NumPy arrays", "PyTorch tensors", "numba"


def candidates(rival: bool = True) -> dict[str, Callable[[], Any]]:
    """A launch by whose arguments it has; and one of numba's dispatcher."""
    x, y, out = np.ones(COUNT, np.float32), np.ones(COUNT, np.float32), np.zeros(COUNT, np.float32)
    found = {NUMPY: lambda: add[(1,)](x, y, out, COUNT, BLOCK=COUNT, backend="cpu")}
    if find_spec("torch"):
        a, b, c = (import_module("torch").from_numpy(array.copy()) for array in (x, y, out))
        found[TORCH] = lambda: add[(1,)](a, b, c, COUNT, BLOCK=COUNT, backend="cpu")
    if rival:

        @import_module("numba").njit(fastmath=True)
        def compiled(x, y, out, n):  # type: ignore[no-untyped-def]
            for i in range(n):
                out[i] = x[i] + y[i]

        found[NUMBA] = lambda: compiled(x, y, out, COUNT)
    return found


def region(programs: int = 64, block: int = 1024) -> float:
    """How much longer a launch takes on two threads than on one, in seconds, if all its lanes are masked. What a program would do
    without a mask is so much that threads are asked for."""
    x, y, out = (np.zeros(1, np.float32) for _ in range(3))

    def on(threads: int) -> Callable[[], Any]:
        return lambda: add[(programs,)](x, y, out, 0, BLOCK=block, backend="cpu", num_threads=threads)

    found = measured({"1": on(1), "2": on(2)})
    return max(found["2"] - found["1"], 0.0)


def measured(launches: Mapping[str, Callable[[], Any]], repetitions: int = 30, calls: int = 2000) -> dict[str, float]:
    """Seconds of a launch of each: the best of many, in turns."""
    best = dict.fromkeys(launches, float("inf"))
    for launch in launches.values():
        for _ in range(calls // 10):
            launch()
    for _ in range(repetitions):
        for name, launch in launches.items():
            start = time.perf_counter()
            for _ in range(calls):
                launch()
            best[name] = min(best[name], (time.perf_counter() - start) / calls)
    return best
