"""Ready kernels: each module holds a kernel, its wrapper, a NumPy reference and the shapes to test and time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if not __name__.startswith("tiledsl."):
    raise ImportError("import this package as tiledsl.kernels")

if TYPE_CHECKING:
    from .sample import Sample

MODULES = (
    "vector_add", "activation", "softmax", "layer_norm", "rms_norm", "rope", "matmul", "batched_matmul", "attention",
    "attention_backward", "convolution", "dropout", "cross_entropy", "running_sum", "rows", "moves",
)  # fmt: skip


def samples() -> list[Sample]:
    """What all kernels declare, to test and to time them."""
    return [sample for name in MODULES for sample in import_module(f".{name}", __name__).SAMPLES]
