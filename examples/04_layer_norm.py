"""Layer norm, forward and backward, with its gradient checked by finite differences."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from tiledsl.kernels.layer_norm import layer_norm, layer_norm_backward, reference


def main():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 300), np.float32)
    weight, bias = rng.standard_normal(300, np.float32), rng.standard_normal(300, np.float32)
    dy = rng.standard_normal(x.shape, np.float32)

    out, mean, scale = layer_norm(x, weight, bias)
    gradients = layer_norm_backward(dy, x, weight, mean, scale)
    print(f"forward: off float64 by {np.abs(out - reference(x, weight, bias)[0]).max():.1e}")

    # the slope of sum(dy * layer_norm(x, weight, bias)) along a random direction, measured and computed
    ok = True
    arguments = [x.astype(np.float64), weight.astype(np.float64), bias.astype(np.float64)]
    for i, name in enumerate(("x", "weight", "bias")):
        direction, step = rng.standard_normal(arguments[i].shape), 1e-5
        ends = []
        for sign in (1, -1):
            moved = list(arguments)
            moved[i] = moved[i] + sign * step * direction
            ends.append((dy * reference(*moved)[0]).sum())
        measured, computed = (ends[0] - ends[1]) / (2 * step), float((gradients[i] * direction).sum())
        ok &= abs(measured - computed) <= 1e-4 * (np.abs(gradients[i] * direction).sum())
        print(f"gradient of {name:6}: measured {measured:12.6f}, computed {computed:12.6f}")

    again = layer_norm_backward(dy, x, weight, mean, scale, backend="npu")
    same = all((one == other).all() for one, other in zip(gradients, again, strict=True))
    print("gradients on the accelerator:", "the same bits" if same else "DIFFERENT bits")
    return 0 if ok and same else 1


if __name__ == "__main__":
    sys.exit(main())
