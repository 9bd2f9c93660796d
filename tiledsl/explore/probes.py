"""What the doctor compiles: a kernel for every op and types that it is declared for, and the ready kernels as they are timed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np

from .. import config
from ..backend import registry
from ..backend.base import Argument, Options, Program, Report
from ..backends.npu import Backend
from ..backends.npu.compiler.compile import compile_code
from ..backends.npu.compiler.container import Image
from ..backends.npu.isa.state import DTYPE_NAMES
from ..backends.npu.machine import Npu
from ..errors import Unsupported
from ..ir.core import Kernel
from ..ir.spec import OpSpec
from ..ir.types import f32
from ..kernels import samples
from ..kernels.sample import Sample
from ..location import Loc
from ..ops import add
from ..passes import pipeline
from ..testing.cases import Case, bind
from ..testing.conformance import EVERY, minimal
from ..testing.programs import pure_specs
from ..testing.suite import ALONE

ONE = (1, 1, 1)
REFUSED = "does not compile"


@dataclass
class Probe:
    """A kernel after the shared passes, and what a launch of it takes."""

    name: str
    kind: str  # the types of an op; nothing for a kernel
    kernel: Kernel
    arguments: Sequence[Argument]

    def compiled(self, machine: Npu) -> Image:
        return compile_code(self.kernel, machine, checked=False)

    def slow(self, machine: Npu) -> list[tuple[str, str, Loc | None]]:
        """(which way, why, where) for every slow way that a machine takes; refusing is one."""
        try:
            found = self.compiled(machine).slow
        except Unsupported as error:
            return [(REFUSED, error.diagnostic.message, error.diagnostic.loc)]
        return [(way, why.strip(), loc) for loc, what in found for way, _, why in [what.partition(":")]]

    def cycles(self, machine: Npu) -> int:
        """Cycles of the first program of the grid, without the launch."""
        backend = Backend(machine)
        report = backend.launch(backend.compile(self.kernel, Options()), ONE, self.arguments, Options())
        return int((report.cycles or 0) - machine.launch_us * machine.clock_mhz)


def alone() -> list[OpSpec]:
    """The ops that their declaration lets stand alone."""
    return [spec for spec in pure_specs(exact=False) if spec.name not in ALONE]


def of_ops(machine: Npu, names: Sequence[str] = ()) -> Iterator[Probe]:
    """These ops, or all, on the types that words know; those that the passes write with other ops, once; and for types that words do
    not know, what adding takes."""
    backend = Backend(machine)
    types = [t for t in EVERY if t.name in DTYPE_NAMES]
    for spec in alone():
        if names and spec.name not in names:
            continue
        for kind, case in minimal(spec, types) if spec.ulp is None else itertools.islice(minimal(spec, [f32]), 1):
            yield _lowered(spec.name, kind, case, backend)
    for elem in EVERY:
        if elem not in types and (not names or add.name in names):
            for kind, case in minimal(add, [elem]):
                yield _lowered(f"{add.name} of {elem}", kind, case, backend)


def _lowered(name: str, kind: str, case: Case, backend: Backend) -> Probe:
    """A case after the passes."""
    return Probe(name, kind, pipeline.run(case.kernel, backend.passes, backend.machine, options=Options()), bind(case)[0])


class _Catcher(Backend):
    """A backend that keeps what it is asked to compile and launch, and runs nothing."""

    def __init__(self, machine: Npu):
        super().__init__(machine.but(name=f"{machine.name}, probe {next(_numbers)}"), name="probed")  # nothing that is kept is its
        self.kernels: dict[str, Kernel] = {}
        self.caught: list[Probe] = []

    def compile(self, kernel: Kernel, options: Options) -> Program:
        self.kernels[kernel.name] = kernel
        return Program(self.name, kernel.name, tuple(p.type for p in kernel.body.args), b"")

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report:
        if all(probe.name != program.name for probe in self.caught):
            self.caught.append(Probe(program.name, "", self.kernels[program.name], list(args)))
        return Report()


_numbers = itertools.count()


def of_kernels(machine: Npu, names: Sequence[str] = ()) -> Iterator[tuple[str, list[Probe]]]:
    """The kernels of every sample, or of those named, on the smallest shape that it is timed with."""
    for sample in samples():
        if names and sample.name not in names:
            continue
        catcher = _Catcher(machine)
        arrays, settings = sample.inputs(np.random.default_rng(0), **_shape(sample))
        with registry.standing_in(catcher), mock.patch.dict(os.environ, {config.cache.name: "0"}):
            sample.run(*arrays, **settings, backend=catcher.name)
        yield sample.name, catcher.caught


def _shape(sample: Sample) -> dict[str, object]:
    """The smallest of the timed shapes, or of those to test."""

    def size(shape: dict[str, object]) -> int:
        return int(np.prod([n for n in shape.values() if type(n) is int], dtype=np.int64))

    return min((dict(shape) for shape in sample.timed or sample.tests), key=size)
