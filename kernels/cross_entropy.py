"""Softmax cross-entropy: the loss of every row and the gradient of the mean loss, in one pass over the logits."""

from __future__ import annotations

from typing import Any

import numpy as np

import tiledsl
import tiledsl.language as tl

from .arrays import axes, floats, normal, operand, output
from .sample import UNIT, Call, Sample, Work, rounding, sum_error


@tiledsl.jit
def cross_entropy_kernel(logits, labels, loss, gradient, rows, columns, BLOCK: tl.constexpr):
    """One row per program: log of the sum of powers less the label's logit; softmax less one at the label."""
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    inside = at < columns
    values = tl.load(logits + row * columns + at, mask=inside, other=-float("inf")).to(tl.float32)
    label = tl.load(labels + row)
    shifted = values - tl.max(values, axis=0)
    powers = tl.exp(shifted)
    total = tl.sum(powers, axis=0)
    hit = at == label
    tl.store(loss + row, tl.log(total) - tl.sum(tl.where(hit, shifted, 0.0), axis=0))
    tl.store(gradient + row * columns + at, (powers / total - tl.where(hit, 1.0, 0.0)) / rows, mask=inside)


def cross_entropy(logits: Any, labels: Any, out: Any = None, **launch: Any) -> tuple[Any, Any]:
    """The loss per row of a matrix of logits, and the gradient of their mean."""
    logits = floats(logits)
    rows, columns = axes("logits", logits, "rows columns")
    labels = operand("labels", labels, (rows,))
    loss, gradient = out or (None, None)
    loss, gradient = output(loss, logits, (rows,), "f32"), output(gradient, logits)
    block = tiledsl.next_power_of_2(columns)
    cross_entropy_kernel[(rows,)](logits, labels, loss, gradient, rows, columns, BLOCK=block, **launch)
    return loss, gradient


def inputs(rng: np.random.Generator, rows: int, columns: int) -> Call:
    return (normal(rng, (rows, columns)) * np.float32(3), rng.integers(0, columns, rows)), {}


def reference(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses and gradient in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    at = (np.arange(len(labels)), labels)
    gradient = powers / total
    gradient[at] -= 1
    return np.log(total[:, 0]) - shifted[at], gradient / len(labels)


def tolerance(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As for softmax: a power is off by its depth and exp's two units. log turns the relative error of the sum into an absolute
    one and adds two units of its own."""
    loss, gradient = reference(logits, labels)
    unit = UNIT["f32"]
    depth = (logits.max(axis=1, keepdims=True) - logits).astype(np.float64)
    weights = np.exp(-depth) / np.exp(-depth).sum(axis=1, keepdims=True)
    power = (depth + 2) * unit
    total = (power * weights).sum(axis=1, keepdims=True) + sum_error(tiledsl.next_power_of_2(logits.shape[1]))
    shift = depth[np.arange(len(labels)), labels]
    off_loss = total[:, 0] + unit * (2 * np.abs(loss - shift) + shift + np.abs(loss)) + 2 * unit
    off_gradient = (weights * (power + total + unit) + unit) / len(labels)
    return off_loss * 1.01, off_gradient * 1.01 + rounding(gradient, "f32")


def torch_cross_entropy(torch: Any, logits: Any, labels: Any) -> Any:
    """PyTorch's, forward and backward."""
    powers = torch.log_softmax(logits, 1)
    loss = torch.nn.functional.nll_loss(powers, labels, reduction="none")
    gradient = powers.exp_()
    gradient[torch.arange(len(labels)), labels] -= 1
    return loss, gradient.div_(len(labels))


SAMPLES = [
    Sample(
        "cross_entropy",
        cross_entropy,
        inputs,
        reference,
        tolerance,
        tests=[{"rows": 5, "columns": 10}, {"rows": 3, "columns": 1}, {"rows": 4, "columns": 100}],
        timed=[{"rows": 2048, "columns": 1024}, {"rows": 256, "columns": 32768}],
        rivals={"torch": torch_cross_entropy},
        work=lambda rows, columns: Work(bytes=8 * rows * columns),
    )
]
