"""Vectors for those who build a machine: ops on their types, its own instructions, random programs, ready kernels, launch by launch.

A backend takes part by `recorder(folder)`, which gives a backend that writes down every launch, and `replayed(folder, against)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings

from ..backend import registry
from ..backend.base import Options
from ..errors import LaunchError, Unsupported, nearest
from ..ir.types import DType
from ..passes import pipeline
from .cases import Case, bind
from .conformance import EVERY, QUIET, added, minimal
from .programs import cases, pure_specs

ALONE = ("pointer", "address", "offset")  # what makes no sense without a use


def write(folder: Path, backend: str, elems: Sequence[str] = (), programs: int = 20, kernels: bool = True) -> Iterator[str]:
    """Record a suite below a folder, a line about each family: ops on these types (all if none is named), what the machine adds to
    them, so many random programs, and the ready kernels on the first shape that each declares for tests."""
    recorder = recording(backend, folder)
    types = _types(elems)
    yield f"ops: {sum(_recorded(recorder, case) for case in _minimal(types))} vectors"
    if own := [case for _, _, case in added(recorder, types)]:
        yield f"its own instructions: {sum(_recorded(recorder, case) for case in own)} vectors"
    if programs:
        yield f"random programs: {sum(_recorded(recorder, case) for case in _random(programs))} vectors"
    if kernels:
        yield f"kernels: {_run_kernels(recorder)} vectors"


def recording(backend: str, folder: Path) -> Any:
    """The backend that writes down every launch of the one of this name."""
    make = getattr(registry.find(backend), "recorder", None)
    if make is None:
        raise LaunchError(f"`{backend}` records no vectors", help="give its class a method `recorder(folder)`; see that of `npu`")
    return make(folder)


def _types(elems: Sequence[str]) -> list[DType]:
    """The types of these names, all if there are none; LaunchError for a name that is no type's."""
    names = [t.name for t in EVERY]
    for name in elems:
        if name not in names:
            raise LaunchError(f"there is no type `{name}`", help=nearest(name, names) or f"types: {', '.join(names)}")
    return [t for t in EVERY if not elems or t.name in elems]


def _minimal(types: Sequence[DType]) -> Iterator[Case]:
    for spec in pure_specs(exact=False):
        if spec.name not in ALONE:
            for _, case in minimal(spec, types):
                yield case


def _random(count: int) -> list[Case]:
    """Programs as the tests draw them, the same ones each time."""
    drawn: list[Case] = []

    @settings(QUIET, max_examples=count)
    @given(cases(exact=False))
    def draw(case: Case) -> None:
        drawn.append(case)

    draw()
    return drawn


def _recorded(recorder: Any, case: Case) -> bool:
    """Whether the machine can run it; then there is a vector."""
    bound, _ = bind(case)
    options = Options()
    try:
        lowered = pipeline.run(case.kernel, recorder.passes, recorder.machine, options=options)
        recorder.launch(recorder.compile(lowered, options), case.grid, bound, options)
    except Unsupported:
        return False
    return True


def _run_kernels(recorder: Any) -> int:
    """How many launches the ready kernels make."""
    written = recorder.written
    with registry.standing_in(recorder):
        for sample in import_module("tiledsl.kernels").samples():  # by name: the compiler does not depend on the kernels
            arrays, chosen = sample.inputs(np.random.default_rng(0), **sample.tests[0])
            sample.run(*arrays, **chosen, backend=recorder.name)
    return recorder.written - written


def main(options: Any) -> int:
    """What `python -m tiledsl vectors` does."""
    if not options.check:
        for line in write(options.folder, options.backend, options.types or (), options.programs, not options.no_kernels):
            print(line, flush=True)
        return 0
    backend = registry.find(options.backend)
    replayed = getattr(backend, "replayed", None)
    if replayed is None:
        raise LaunchError(f"`{options.backend}` replays no vectors", help="give its class a method `replayed(folder, against)`")
    total, wrong = 0, 0
    for name, differences in replayed(options.folder, options.against):
        total += 1
        wrong += bool(differences)
        for line in differences:
            print(f"{name}: {line}")
    print(f"{total} vectors, {wrong} differ")
    return 1 if wrong else 0
