"""The same kernels on many machines: cycles, energy and area of each, by any `concurrent.futures` executor; what was measured is kept.

with ProcessPoolExecutor() as pool:
    points = run(machines, chosen([], "f16"), pool, Path("sweep.jsonl"), print)
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import registry
from ..backend.base import Argument, Options, Program, Report
from ..backends.npu import Backend
from ..backends.npu.machine import Npu
from ..backends.npu.machine.spec import with_keys
from ..backends.npu.timing.energy import area
from ..digest import sha256
from ..errors import LaunchError, TileError
from ..runtime.cache import backend_version, compiler_version
from .workloads import Step, sample

Values = dict[str, Any]  # what was measured, as it is kept
_numbers = itertools.count()


@dataclass(frozen=True)
class Point:
    """A machine and a phase: sums over the kernels."""

    machine: Npu
    phase: str
    cycles: int = 0
    seconds: float = 0.0
    joules: float = 0.0
    dram_bytes: int = 0
    products: float = 0.0  # share of the time that a core's matrix unit is busy
    error: str = ""  # of the first kernel that the machine does not run

    @property
    def area(self) -> float:
        """Of the machine, in square millimetres."""
        return sum(area(self.machine).values())

    @property
    def bandwidth(self) -> float:
        """Share of the DRAM's bandwidth that is used."""
        return self.dram_bytes / self.seconds / self.machine.bandwidth if self.seconds else 0.0

    def better(self, other: Point) -> bool:
        """Whether it is nowhere worse, in time, energy and area, and somewhere better."""
        mine, theirs = ((p.seconds, p.joules, p.area) for p in (self, other))
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


# --- machines ----------------------------------------------------------------------------------------------------------


def varied(machines: Sequence[Npu], axes: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Npu]:
    """Every machine with every combination of values: an axis is keys that change together, and their values."""
    found = []
    for machine in machines:
        for values in itertools.product(*(each for _, each in axes)):
            given = {key: value for (keys, _), value in zip(axes, values, strict=True) for key in keys}
            name = " ".join([machine.name, *(f"{'+'.join(keys)}={value}" for (keys, _), value in zip(axes, values, strict=True))])
            found.append(with_keys(machine, given, name) if given else machine)
    return found


# --- measuring ---------------------------------------------------------------------------------------------------------


class _Meter(Backend):
    """A backend that keeps the reports of its launches."""

    def __init__(self, machine: Npu):
        super().__init__(machine, name=f"swept {next(_numbers)}")  # several may run in threads
        self.reports: list[Report] = []

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        self.reports.append(super().launch(program, grid, args, options))
        return self.reports[-1]


def measure(machine: Npu, steps: Sequence[Step]) -> list[Values]:
    """Run kernels on a machine; what each took, or why it does not run."""
    return [_measured(machine, step) for step in steps]


def _measured(machine: Npu, step: Step) -> Values:
    one, meter = sample(step.kernel), _Meter(machine)
    arrays, settings = one.inputs(np.random.default_rng(0), **step.shape)
    try:
        with registry.standing_in(meter):
            one.run(*arrays, **settings, backend=meter.name)
    except TileError as error:
        return {"step": step.label, "error": error.message}
    details = [report.details for report in meter.reports]
    return {
        "step": step.label,
        "cycles": sum(report.cycles or 0 for report in meter.reports),
        "seconds": sum(report.seconds or 0.0 for report in meter.reports),
        "joules": sum(sum(each["energy"].values()) for each in details),
        "dram_bytes": sum(each["dram_bytes"] for each in details),
        "matrix": sum(each["busy"]["M"] for each in details),
    }


BEGINNING = '{"key": "'  # of a line of results


def key_of(machine: Npu, phase: str, steps: Sequence[Step]) -> str:
    """What a measurement depends on: machine, kernels and shapes, and the compiler and its backend."""
    labels = [step.label for step in steps]
    return sha256(repr((machine, phase, labels, compiler_version(), backend_version(Backend))).encode()).hexdigest()[:24]


def run(
    machines: Sequence[Npu],
    phases: Mapping[str, Sequence[Step]],
    executor: Executor,
    results: Path | None = None,
    told: Callable[[str], object] = lambda line: None,
) -> list[Point]:
    """A point for every machine and phase, as many at a time as the executor likes. `results`: a file to keep them in, a line for
    each; what is there is not measured again. `told` hears a line when one is done."""
    asked = {key_of(m, phase, steps): (m, phase, steps) for m in machines for phase, steps in phases.items()}
    known = {key: values for key, values in (kept(results) if results is not None else ()) if key in asked}
    missing = [key for key in asked if key not in known]
    if known:
        told(f"{len(known)} of {len(asked)} were measured before")
    keep = _Keep(asked, known, len(missing), results, told)
    waiting: dict[Future[list[Values]], str] = {}
    try:
        for key in missing:
            future = executor.submit(measure, asked[key][0], asked[key][2])
            waiting[future] = key
            if future.done():  # an executor that works here and now
                keep(waiting.pop(future), future.result())
        for future in as_completed(list(waiting)):
            keep(waiting.pop(future), future.result())
    finally:  # one failed, or the user had enough
        for future, key in waiting.items():
            if not future.cancel() and future.done() and future.exception() is None:
                keep(key, future.result())
    return [point(m, phase, known[key]) for key, (m, phase, _) in asked.items()]


@dataclass
class _Keep:
    """Writes down what is done as soon as it is."""

    asked: Mapping[str, tuple[Npu, str, Sequence[Step]]]
    known: dict[str, list[Values]]
    missing: int
    results: Path | None
    told: Callable[[str], object]

    def __post_init__(self) -> None:
        self.began, self.before = time.monotonic(), len(self.known)
        if self.results is not None:
            with self.results.open("a+b") as file:  # said before anything is measured, if that cannot be
                if file.tell() and not self.results.read_bytes().endswith(b"\n"):
                    file.write(b"\n")  # who wrote the last line was ended

    def __call__(self, key: str, steps: list[Values]) -> None:
        """A measurement is there."""
        machine, phase, _ = self.asked[key]
        self.known[key] = steps
        if self.results is not None:
            with self.results.open("a") as file:
                line = json.dumps({"key": key, "machine": machine.name, "phase": phase, "steps": steps})
                file.write(line + "\n")
        number = len(self.known) - self.before
        left = (time.monotonic() - self.began) / number * (self.missing - number)
        about = f"; about {left:.0f} s left" if left >= 1 else ""
        self.told(f"{len(self.known)} of {len(self.asked)}: {machine.name}, {phase}{about}")


def kept(results: Path) -> Iterator[tuple[str, list[Values]]]:
    """The measurements in a file; a line that was cut off is none. LaunchError for a file of something else."""
    lines = results.read_text(errors="replace").splitlines() if results.exists() else []
    for number, line in enumerate(lines, 1):
        if line[: len(BEGINNING)] != BEGINNING[: len(line)]:
            raise LaunchError(f"{results}:{number} is no result of a sweep", help="name another file, or one that is not there yet")
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        yield entry["key"], entry["steps"]


def point(machine: Npu, phase: str, steps: Sequence[Values]) -> Point:
    """The sums of what was measured."""
    for step in steps:
        if "error" in step:
            return Point(machine, phase, error=f"{step['step']}: {step['error']}")
    total = {name: sum(step[name] for step in steps) for name in ("cycles", "seconds", "joules", "dram_bytes", "matrix")}
    busy = total["matrix"] / max(total["cycles"] * machine.cores, 1)
    return Point(machine, phase, int(total["cycles"]), total["seconds"], total["joules"], int(total["dram_bytes"]), busy)


def front(points: Sequence[Point]) -> list[Point]:
    """Those of one phase that no other is better than."""
    sound = [p for p in points if not p.error]
    return [p for p in sound if not any(other.better(p) for other in sound)]


class Here(Executor):
    """An executor that runs what it gets at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done
