"""Rows of the table: every shape that a kernel declares to be timed, on one thread and on more, next to its peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels import samples
from ..kernels.sample import Sample
from . import limits, peers
from .timing import PAUSE, SPINNING, Timing, compare


@dataclass(frozen=True)
class Row:
    """One kernel on one shape with so many threads: the timing of each candidate, by name."""

    kernel: str
    shape: Mapping[str, Any]
    threads: int
    timings: Mapping[str, Timing]
    share: float | None = None  # of what the machine could do, by our best time

    @property
    def label(self) -> str:
        """The shape in one phrase."""
        return " ".join(f"{k}={v}" for k, v in self.shape.items())

    def ratio(self, name: str) -> float | None:
        """How many times as long a peer takes, by the best of each; None if it did not run."""
        return self.timings[name].best / self.timings["tiledsl"].best if name in self.timings else None

    def best(self) -> float | None:
        """The ratio of the fastest peer."""
        return min((r for name in self.timings if name != "tiledsl" and (r := self.ratio(name)) is not None), default=None)


def timed() -> list[Sample]:
    """The kernels that declare shapes to be timed."""
    return [sample for sample in samples() if sample.timed]


def rows(
    names: Sequence[str], threads: Sequence[int], seconds: float, backend: str = "cpu", against: Sequence[str] = peers.PEERS
) -> Iterator[Row]:
    """A row after the other, as they are measured; all kernels if no name is given."""
    for sample in timed():
        for shape in sample.timed:
            for count in threads:
                if not names or sample.name in names:
                    yield row(sample, shape, count, seconds, backend, against)


def row(sample: Sample, shape: Mapping[str, Any], threads: int, seconds: float, backend: str, against: Sequence[str]) -> Row:
    """One row, and how near it is to the limit of the machine."""
    found = measure(sample, shape, threads, seconds, backend, against)
    share = None
    if sample.work is not None and backend == "cpu":
        share = limits.measured(threads).share(sample.work(**shape), found["tiledsl"].best)
    return Row(sample.name, shape, threads, found, share)


def measure(
    sample: Sample, shape: Mapping[str, Any], threads: int, seconds: float, backend: str = "cpu", against: Sequence[str] = peers.PEERS
) -> dict[str, Timing]:
    """The timings of tiledsl and of those peers that are installed, all held to the same number of threads."""
    arrays, settings = sample.inputs(np.random.default_rng(0), **shape)
    launch = {"backend": backend, "num_threads": threads}
    result = sample.run(*arrays, **settings, **launch)
    more = {**settings, **launch, **peers.writes(sample.run, result)}
    names = [name for name in peers.installed() if name in against]
    with peers.blas_threads(threads):
        others = dict(peers.candidates(sample, arrays, settings, result, threads, names))
        pause = SPINNING if threads > 1 and others else PAUSE
        return compare({"tiledsl": lambda: sample.run(*arrays, **more), **others}, seconds, pause)
