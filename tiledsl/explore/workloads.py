"""What a sweep runs: the kernels of one layer of a small language model, where it answers and where it learns.

Width 256, four heads of 64, a feed-forward part of 512; 128 tokens at a time, or one with 256 before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import LaunchError, nearest
from ..kernels import samples
from ..kernels.sample import Sample


@dataclass(frozen=True)
class Step:
    """A ready kernel on one shape."""

    kernel: str
    shape: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The kernel and its shape in one phrase."""
        return " ".join([self.kernel, *(f"{k}={v}" for k, v in self.shape.items())])


def _steps(*steps: tuple[str, dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(kernel, shape) for kernel, shape in steps)


PHASES: Mapping[str, tuple[Step, ...]] = {
    "decode": _steps(  # one token: weights pass by once for a single row
        ("rms_norm", {"rows": 1, "columns": 256}),
        ("matmul", {"m": 1, "n": 768, "k": 256}),
        ("rope", {"length": 1, "heads": 4, "depth": 64}),
        ("matmul", {"m": 4, "n": 256, "k": 64}),
        ("softmax", {"rows": 4, "columns": 256}),
        ("matmul", {"m": 4, "n": 64, "k": 256}),
        ("matmul", {"m": 1, "n": 512, "k": 256}),
        ("swiglu", {"n": 512}),
        ("matmul", {"m": 1, "n": 256, "k": 512}),
    ),
    "prefill": _steps(
        ("rms_norm", {"rows": 128, "columns": 256}),
        ("matmul", {"m": 128, "n": 768, "k": 256}),
        ("rope", {"length": 128, "heads": 4, "depth": 64}),
        ("attention", {"heads": 4, "length": 128, "depth": 64, "causal": True}),
        ("matmul", {"m": 128, "n": 512, "k": 256}),
        ("swiglu", {"n": 128 * 512}),
        ("matmul", {"m": 128, "n": 256, "k": 512}),
    ),
    "forward": _steps(
        ("layer_norm", {"rows": 128, "columns": 256}),
        ("matmul", {"m": 128, "n": 768, "k": 256}),
        ("attention", {"heads": 4, "length": 128, "depth": 64, "causal": True}),
        ("dropout", {"n": 128 * 256, "seed": 1}),
        ("matmul", {"m": 128, "n": 512, "k": 256, "activation": "gelu"}),
        ("matmul", {"m": 128, "n": 256, "k": 512}),
        ("cross_entropy", {"rows": 128, "columns": 512}),
    ),
    "backward": _steps(
        ("matmul", {"m": 128, "n": 512, "k": 256, "transposed": True}),  # of what came in
        ("matmul", {"m": 512, "n": 256, "k": 128}),  # of the weights
        ("attention_backward", {"heads": 4, "length": 128, "depth": 64, "causal": True}),
        ("matmul", {"m": 128, "n": 256, "k": 768, "transposed": True}),
        ("matmul", {"m": 256, "n": 768, "k": 128}),
        ("layer_norm_backward", {"rows": 128, "columns": 256}),
    ),
}


def chosen(names: list[str] | tuple[str, ...], dtype: str) -> dict[str, tuple[Step, ...]]:
    """These phases, or all, on elements of a type where the kernel has a choice; LaunchError for a phase that is not there."""
    for name in names:
        if name not in PHASES:
            raise LaunchError(f"there is no phase `{name}`", help=nearest(name, list(PHASES)) or f"phases: {', '.join(PHASES)}")
    return {name: tuple(_typed(step, dtype) for step in PHASES[name]) for name in names or PHASES}


def sample(name: str) -> Sample:
    """What a kernel declares."""
    return next(one for one in samples() if one.name == name)


def _typed(step: Step, dtype: str) -> Step:
    takes = "dtype" in inspect.signature(sample(step.kernel).inputs).parameters
    return Step(step.kernel, {**step.shape, "dtype": dtype}) if takes else step
