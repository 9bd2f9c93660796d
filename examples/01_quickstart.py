"""Two kernels, compiled for this CPU and for a modelled accelerator, checked against NumPy: `python examples/01_quickstart.py`."""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def softmax_kernel(out, x, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)  # one program per row
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, axis=0), mask=at < columns)


@tiledsl.jit
def matmul_kernel(a, b, c, M, N, K, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]  # one program per block of c
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    total = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for start in range(0, K, BLOCK):
        depth = start + tl.arange(0, BLOCK)
        left = tl.load(a + rows * K + depth[None, :], mask=(rows < M) & (depth[None, :] < K), other=0.0)
        right = tl.load(b + depth[:, None] * N + columns, mask=(depth[:, None] < K) & (columns < N), other=0.0)
        total = tl.dot(left, right, total)
    tl.store(c + rows * N + columns, total, mask=(rows < M) & (columns < N))


def softmax(x, **launch):
    out = np.empty_like(x)
    return out, softmax_kernel[(x.shape[0],)](out, x, x.shape[1], BLOCK=tiledsl.next_power_of_2(x.shape[1]), **launch)


def matmul(a, b, **launch):
    (m, k), n = a.shape, b.shape[1]
    c = np.empty((m, n), np.float32)
    return c, matmul_kernel[(tiledsl.cdiv(m, 64), tiledsl.cdiv(n, 64))](a, b, c, m, n, k, BLOCK=64, **launch)


def numpy_softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def timed(run):
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def main(backends):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 1000), np.float32)
    a, b = rng.standard_normal((128, 200), np.float32), rng.standard_normal((200, 100), np.float32)
    jobs = [("softmax 64x1000", softmax, (x,), numpy_softmax(x)), ("matmul 128x200x100", matmul, (a, b), a @ b)]
    ok = True
    print(f"{'kernel':20} {'backend':12} {'compile + run':>14} {'run':>10} {'cycles':>10} {'off NumPy by':>13}   bits")
    for name, wrapper, arrays, expected in jobs:
        first = None
        for backend in backends:
            _, cold = timed(partial(wrapper, *arrays, backend=backend))
            (found, launched), warm = timed(partial(wrapper, *arrays, backend=backend))
            error = np.abs(found - expected).max()
            same = first is None or found.tobytes() == first.tobytes()
            cycles = launched.report.cycles or "-"
            bits = "-" if first is None else f"as on {backends[0]}" if same else f"NOT as on {backends[0]}"
            print(f"{name:20} {backend:12} {cold * 1e3:11.1f} ms {warm * 1e3:7.2f} ms {cycles:>10} {error:13.1e}   {bits}")
            first = found if first is None else first
            ok &= same and error <= 1e-4
    print("all agree" if ok else "they disagree")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["cpu", "npu"]))
