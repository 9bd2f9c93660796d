"""One kernel compiled in this process, timed: `python -m tiledsl.bench.cold softmax [later] [numba]`, run by latency.py."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from ..kernels import samples

SHAPES: Mapping[str, Mapping[str, int]] = {  # so small that compiling is nearly all there is to wait for
    "vector_add": {"n": 4096},
    "softmax": {"rows": 16, "columns": 1024},
    "matmul": {"m": 64, "n": 64, "k": 64},
    "attention": {"heads": 1, "length": 64, "depth": 64},
}


def numba_matmul(numba: Any) -> Any:
    """The loops of a product, as numba is given them."""

    @numba.njit(parallel=True, fastmath=True)
    def run(a, b, out):  # type: ignore[no-untyped-def]
        for i in numba.prange(a.shape[0]):
            for j in range(b.shape[1]):
                out[i, j] = 0
            for k in range(a.shape[1]):
                for j in range(b.shape[1]):
                    out[i, j] += a[i, k] * b[k, j]

    return run


def numba_attention(numba: Any) -> Any:
    """A row of scores at a time, as numba is given it."""

    @numba.njit(parallel=True, fastmath=True)
    def run(q, k, v, out):  # type: ignore[no-untyped-def]
        for row in numba.prange(q.shape[0] * q.shape[1]):
            head, i = row // q.shape[1], row % q.shape[1]
            score = np.empty(k.shape[1], np.float32)
            for j in range(k.shape[1]):
                score[j] = 0
                for d in range(q.shape[2]):
                    score[j] += q[head, i, d] * k[head, j, d]
            score *= np.float32(q.shape[2] ** -0.5)
            largest, total = score.max(), np.float32(0)
            for j in range(k.shape[1]):
                score[j] = np.exp(score[j] - largest)
                total += score[j]
            for d in range(q.shape[2]):
                out[head, i, d] = 0
                for j in range(k.shape[1]):
                    out[head, i, d] += score[j] * v[head, j, d]
                out[head, i, d] /= total

    return run


RIVALS: Mapping[str, Callable[[Any], Any]] = {"matmul": numba_matmul, "attention": numba_attention}


def call(name: str, numba: bool) -> Callable[[], Any]:
    """A call of a kernel, or of the same function for numba, that nothing has compiled."""
    [sample] = [s for s in samples() if s.name == name]
    arrays, settings = sample.inputs(np.random.default_rng(0), **SHAPES[name])
    if not numba:
        return lambda: sample.run(*arrays, **settings, backend="cpu", num_threads=1)
    rival = (RIVALS.get(name) or sample.rivals["numba"])(import_module("numba"))
    return lambda: rival(*arrays, np.empty_like(arrays[0]))


def main(name: str, *words: str) -> float:
    """Seconds from calling a kernel to its result; as the first of the process, or `later`, after another one; of `numba`."""
    numba = "numba" in words
    if "later" in words:
        call("softmax" if name != "softmax" else "vector_add", numba)()
    timed = call(name, numba)
    start = time.perf_counter()
    timed()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
