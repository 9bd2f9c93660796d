"""Rows of the table: every shape that a kernel declares to be timed, on one thread and on more, next to its rivals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from .timing import Timing, compare


@dataclass(frozen=True)
class Row:
    """One kernel on one shape with so many threads: the timing of each candidate, by name."""

    kernel: str
    shape: str
    threads: int
    timings: Mapping[str, Timing]


def samples() -> Sequence[Any]:
    """The kernels that declare shapes to be timed."""
    found = import_module("tiledsl.kernels").samples()  # by name: the compiler does not depend on the kernels
    return [sample for sample in found if sample.timed]


def rows(names: Sequence[str], threads: Sequence[int], seconds: float, backend: str = "cpu") -> Iterator[Row]:
    """A row after the other, as they are measured; all kernels if no name is given."""
    for sample in samples():
        for shape in sample.timed:
            for count in threads:
                if not names or sample.name in names:
                    label = " ".join(f"{k}={v}" for k, v in shape.items())
                    yield Row(sample.name, label, count, measure(sample, shape, count, seconds, backend))


def measure(sample: Any, shape: Mapping[str, Any], threads: int, seconds: float, backend: str = "cpu") -> dict[str, Timing]:
    """The timings of tiledsl and of those rivals that are importable, all held to the same number of threads."""
    arrays, settings = sample.inputs(np.random.default_rng(0), **shape)
    launch = {"backend": backend, "num_threads": threads}
    result = sample.run(*arrays, **settings, **launch)
    candidates = {"tiledsl": _call(sample.run, arrays, result, **settings, **launch)}
    rivals = {} if settings else sample.rivals  # which know of no settings
    if "numpy" in rivals:
        candidates["numpy"] = _call(rivals["numpy"], arrays, result)
    if "torch" in rivals and find_spec("torch"):
        torch = import_module("torch")
        torch.set_num_threads(threads)
        tensors = [torch, *map(torch.from_numpy, arrays)]
        target = result if isinstance(result, tuple) else torch.from_numpy(result.copy())
        candidates["torch"] = _call(rivals["torch"], tensors, target)
    with _blas_threads(threads):
        return compare(candidates, seconds)


def _call(function: Callable[..., Any], arrays: Sequence[Any], result: Any, **settings: Any) -> Callable[[], Any]:
    """A call that writes into the same memory each time, if the function can and has one result."""
    if "out" in inspect.signature(function).parameters and not isinstance(result, tuple):
        settings["out"] = result
    return lambda: function(*arrays, **settings)


def _blas_threads(threads: int) -> AbstractContextManager[Any]:
    """NumPy's matrix products held to so many threads, where threadpoolctl is importable."""
    if find_spec("threadpoolctl") is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = import_module("threadpoolctl").threadpool_limits(limits=threads)
    return limits
