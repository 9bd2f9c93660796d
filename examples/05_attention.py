"""Flash attention: exact softmax attention that never holds the matrix of scores; causal or not, on CPU and accelerator."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from tiledsl.kernels.attention import attention, attention_kernel, reference, tolerance


def main():
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((4, 300, 64), np.float32) for _ in range(3))
    ok = True
    for causal in (False, True):
        out = attention(q, k, v, causal=causal)
        off = np.abs(out - reference(q, k, v, causal))
        within = bool(np.all(off <= tolerance(q, k, v, causal)))
        print(f"causal={causal!s:5}: off float64 by {off.max():.1e}, {'within' if within else 'BEYOND'} the derived tolerance")

        small = [x[:1, :100] for x in (q, k, v)]
        bits = {b: attention(*small, causal=causal, backend=b).tobytes() for b in ("interpreter", "cpu", "npu")}
        same = len(set(bits.values())) == 1
        print(f"causal={causal!s:5}: interpreter, cpu and npu give {'the same' if same else 'DIFFERENT'} bits")
        ok &= within and same

    # what the accelerator says about its run
    x = q[0, :128].copy()
    launched = attention_kernel[(2, 1)](
        x, x, x, np.empty_like(x), None, 128, 0.18, CAUSAL=False, D=64, BLOCK_M=64, BLOCK_N=64, backend="npu"
    )
    print(f"128 queries of 64 on the accelerator: {launched.report.cycles} cycles;", launched.report.details)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
