"""What every kernel declares besides itself: a reference, how far from it a result may be, shapes to test and to time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNIT = {"f16": 2.0**-11, "bf16": 2.0**-8, "f32": 2.0**-24, "f64": 2.0**-53}  # half the distance of neighbours, relative
TINY = {"f16": 2.0**-25, "bf16": 2.0**-134, "f32": 2.0**-150, "f64": 2.0**-1075}  # half the smallest positive number
Shape = Mapping[str, Any]
Call = tuple[tuple[Any, ...], dict[str, Any]]  # positional arguments, settings


@dataclass(frozen=True)
class Work:
    """What a call cannot do without: floating-point operations (a fused multiply-add is two), and bytes to and from memory if
    every input is read once and every output written once."""

    flops: float = 0.0
    bytes: float = 0.0
    reads_only: bool = False  # or next to nothing is written


@dataclass(frozen=True)
class Sample:
    """A wrapper with what is needed to test it and to time it."""

    name: str
    run: Callable[..., Any]  # run(*arrays, **settings, **launch options) -> an array or several
    inputs: Callable[..., Call]  # inputs(rng, **shape)
    reference: Callable[..., Any]  # reference(*arrays, **settings) -> the same results, computed in float64
    tolerance: Callable[..., Any]  # the same arguments -> the largest absolute error per element, derived where it is defined
    tests: Sequence[Shape]
    timed: Sequence[Shape] = ()
    # "numpy": f(*arrays), "torch": f(torch, *tensors), either with `out` if it can; settings as keywords if it knows them.
    # "numba" and "jax": f(numba) and f(jax) give the function of arrays
    rivals: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    work: Callable[..., Work] | None = None  # work(**shape), of timed shapes
    tuning: Sequence[str] = ()  # settings that change no result, only the time: no rival is asked for them


def rounding(exact: np.ndarray, dtype: str) -> np.ndarray:
    """How much storing a value as dtype can change it."""
    return np.abs(exact) * UNIT[dtype] + TINY[dtype] if dtype in UNIT else np.zeros_like(exact)


def sum_error(length: int) -> float:
    """The relative error of a float32 sum: 32 partial sums in order, then halving (see the numerics contract)."""
    return (-(-length // 32) + 5) * UNIT["f32"]
