"""Matrix products: four element types, a fused activation, any strides; and the same bits whatever the block size."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from tiledsl.kernels.arrays import normal
from tiledsl.kernels.matmul import matmul, reference, tolerance

try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None


def main():
    rng = np.random.default_rng(0)
    ok = True

    def report(what, good):
        nonlocal ok
        ok &= bool(good)
        print(f"{what:58} {'yes' if good else 'NO'}")

    for dtype in ("f32", "f16", "bf16", "i8"):
        if dtype == "bf16" and ml_dtypes is None:
            print("bf16: skipped, NumPy has none; pip install ml_dtypes")
            continue
        a, b = normal(rng, (200, 150), dtype), normal(rng, (150, 130), dtype)
        c = matmul(a, b, activation="relu")
        off = np.abs(c.astype(np.float64) - reference(a, b, "relu"))
        report(f"relu({dtype} @ {dtype}) -> {c.dtype}: within its tolerance", np.all(off <= tolerance(a, b, "relu")))

    a, b = normal(rng, (100, 96)), normal(rng, (96, 70))
    c = matmul(a, b)
    report("a transposed view as operand: the same bits", (matmul(a, np.asfortranarray(b)) == c).all())
    report("blocks of 16x64x8 instead of the usual ones: the same bits", (matmul(a, b, blocks=(16, 64, 8)) == c).all())
    report("two threads instead of one: the same bits", (matmul(a, b, num_threads=2) == matmul(a, b, num_threads=1)).all())
    report("the accelerator instead of this CPU: the same bits", (matmul(a, b, backend="npu") == c).all())
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
