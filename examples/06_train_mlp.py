"""Training a small network on handwritten digits, forward and backward in tile kernels only; at least 95 % on unseen digits."""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

import tiledsl
import tiledsl.language as tl
from tiledsl.kernels.cross_entropy import cross_entropy
from tiledsl.kernels.matmul import matmul

try:
    from sklearn.datasets import load_digits
except ImportError:
    sys.exit("this example trains on the digits of scikit-learn: pip install scikit-learn")

HIDDEN, BATCH, EPOCHS, RATE, WANTED = 64, 64, 20, 0.2, 0.95


@tiledsl.jit
def add_bias_kernel(x, bias, columns, RELU: tl.constexpr, BLOCK: tl.constexpr):
    """x += bias in place, a row per program; then max(x, 0)."""
    at = tl.arange(0, BLOCK)
    here = x + tl.program_id(0) * columns + at
    total = tl.load(here, mask=at < columns) + tl.load(bias + at, mask=at < columns)
    if RELU:
        total = tl.maximum(total, 0.0)
    tl.store(here, total, mask=at < columns)


@tiledsl.jit
def relu_backward_kernel(gradient, y, n, BLOCK: tl.constexpr):
    """gradient = 0 in place where the forward pass gave 0."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    slope = tl.load(gradient + at, mask=at < n)
    tl.store(gradient + at, tl.where(tl.load(y + at, mask=at < n) > 0, slope, 0.0), mask=at < n)


@tiledsl.jit
def sum_rows_kernel(x, out, rows, columns, BLOCK: tl.constexpr):
    """The sum of all rows, in order."""
    at = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for row in range(rows):
        total += tl.load(x + row * columns + at, mask=at < columns, other=0.0)
    tl.store(out + at, total, mask=at < columns)


@tiledsl.jit
def descend_kernel(weight, gradient, rate, n, BLOCK: tl.constexpr):
    """weight -= rate * gradient in place."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(weight + at, tl.load(weight + at, mask=at < n) - rate * tl.load(gradient + at, mask=at < n), mask=at < n)


def layer(x, weight, bias, relu):
    y = matmul(x, weight)
    add_bias_kernel[(len(y),)](y, bias, y.shape[1], RELU=relu, BLOCK=tiledsl.next_power_of_2(y.shape[1]))
    return y


def step(x, labels, weights):
    w1, b1, w2, b2 = weights
    hidden = layer(x, w1, b1, relu=True)
    loss, slope = cross_entropy(layer(hidden, w2, b2, relu=False), labels)
    back = matmul(slope, w2.T)
    relu_backward_kernel[(tiledsl.cdiv(back.size, 1024),)](back, hidden, back.size, BLOCK=1024)
    bias1, bias2 = np.empty_like(b1), np.empty_like(b2)
    for gradient, out in ((back, bias1), (slope, bias2)):
        sum_rows_kernel[(1,)](gradient, out, *gradient.shape, BLOCK=tiledsl.next_power_of_2(out.size))
    for weight, gradient in zip(weights, (matmul(x.T, back), bias1, matmul(hidden.T, slope), bias2), strict=True):
        descend_kernel[(tiledsl.cdiv(weight.size, 1024),)](weight, gradient, RATE, weight.size, BLOCK=1024)
    return loss


def main():
    rng = np.random.default_rng(0)
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    x, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order].astype(np.int32)
    x, labels, unseen, truth = x[360:], labels[360:], x[:360], labels[:360]
    weights = [(rng.standard_normal(s) * (2 / s[0]) ** 0.5).astype(np.float32) for s in ((64, HIDDEN), (HIDDEN,), (HIDDEN, 10), (10,))]
    start = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        order = rng.permutation(len(x))
        losses = [step(x[i], labels[i], weights).mean() for i in np.split(order, range(BATCH, len(x), BATCH))]
        if epoch % 5 == 0 or epoch == 1:
            found = layer(layer(unseen, *weights[:2], relu=True), *weights[2:], relu=False).argmax(axis=1)
            right = (found == truth).mean()
            print(f"epoch {epoch:2}: loss {np.mean(losses):.4f}, {right:.1%} of unseen digits, {time.perf_counter() - start:.1f} s")
    return 0 if right >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
