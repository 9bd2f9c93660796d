"""What launching a small kernel costs once it is compiled: 128 sums, with the arguments of different libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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


def candidates() -> Iterator[tuple[str, Callable[[], Any]]]:
    """(arguments of whom, a launch)."""
    x, y, out = np.ones(COUNT, np.float32), np.ones(COUNT, np.float32), np.zeros(COUNT, np.float32)
    yield "NumPy arrays", lambda: add[(1,)](x, y, out, COUNT, BLOCK=COUNT, backend="cpu")
    try:
        import torch

        a, b, c = (torch.from_numpy(array.copy()) for array in (x, y, out))
        yield "PyTorch tensors", lambda: add[(1,)](a, b, c, COUNT, BLOCK=COUNT, backend="cpu")
    except ImportError:
        pass
    try:
        import numba
    except ImportError:
        return

    @numba.njit(fastmath=True)
    def compiled(x, y, out, n):  # type: ignore[no-untyped-def]
        for i in range(n):
            out[i] = x[i] + y[i]

    yield "NumPy arrays, numba's dispatcher", lambda: compiled(x, y, out, COUNT)


def rows(repetitions: int = 30, calls: int = 2000) -> Iterator[tuple[str, float]]:
    """(what was launched with, seconds of a launch): the best of many, in turns."""
    launches = list(candidates())
    best = [float("inf")] * len(launches)
    for _, launch in launches:
        for _ in range(calls // 10):
            launch()
    for _ in range(repetitions):
        for i, (_, launch) in enumerate(launches):
            start = time.perf_counter()
            for _ in range(calls):
                launch()
            best[i] = min(best[i], (time.perf_counter() - start) / calls)
    return zip([name for name, _ in launches], best, strict=True)
