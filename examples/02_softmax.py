"""A look inside: one softmax kernel as source, tile program, native code and accelerator instructions, then against NumPy."""

import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from tiledsl.kernels.softmax import numpy_softmax, reference, softmax, softmax_kernel, tolerance


def best(run, times=20):
    """The shortest of several runs, in milliseconds."""
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        spans.append(time.perf_counter() - start)
    return min(spans) * 1e3


def excerpt(title, text, lines=12):
    print(f"--- {title} ({text.count(chr(10)) + 1} lines)")
    print("\n".join(islice(text.splitlines(), lines)), "\n")


def main():
    x = np.random.default_rng(0).standard_normal((2048, 1024), np.float32)
    out = np.empty_like(x)

    # every stage on the way down can be printed: kernel.show(*args, stage="final", backend="npu")
    for backend, wanted in (("cpu", ("source", "frontend", "final", "llvm")), ("npu", ("asm",))):
        for name, text in softmax_kernel.stages(out, x, 1024, BLOCK=1024, backend=backend):
            if name in wanted:
                excerpt(f"{backend}: {name}", text)

    softmax(x, out, backend="cpu")
    off = np.abs(out - reference(x)) / tolerance(x)
    print(f"2048x1024 against float64: at most {off.max():.2f} of the derived tolerance")

    small = x[:8, :300]
    same = {b: softmax(small, backend=b).tobytes() for b in ("interpreter", "cpu", "npu")}
    print("8x300 on interpreter, cpu and npu:", "the same bits" if len(set(same.values())) == 1 else "DIFFERENT bits")

    ours, theirs = best(lambda: softmax(x, out, backend="cpu", num_threads=1)), best(lambda: numpy_softmax(x), 5)
    print(f"one thread: tiledsl {ours:.2f} ms, NumPy {theirs:.2f} ms")
    return 0 if off.max() <= 1 and len(set(same.values())) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
