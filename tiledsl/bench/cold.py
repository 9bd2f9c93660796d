"""One kernel compiled in this process, timed: `python -m tiledsl.bench.cold softmax [later]`, run by latency.py."""

from __future__ import annotations

import sys
import time
from importlib import import_module

import numpy as np

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def first_kernel(x):  # type: ignore[no-untyped-def]
    """What another kernel of the process may have been: it makes LLVM start up."""
    tl.store(x, 1.0)


def main(name: str, when: str = "first") -> float:
    """Seconds from calling a kernel to its result; as the first of the process, or a later one."""
    x = np.zeros((16, 1024), np.float32)
    [sample] = [s for s in import_module("tiledsl.kernels").samples() if s.name == name]
    arrays = [x] * len(sample.inputs(np.random.default_rng(0), **sample.tests[0])[0])
    if when == "later":
        first_kernel[(1,)](x, backend="cpu")
    start = time.perf_counter()
    sample.run(*arrays, backend="cpu", num_threads=1)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
