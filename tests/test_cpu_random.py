"""Random kernels on the CPU: as written (but for fp8) and lowered, for several vector widths, with and without overlapping arguments."""

from __future__ import annotations

import pytest
from conftest import examples
from hypothesis import given, settings

from tiledsl.backend.base import Options
from tiledsl.backends.cpu import Backend
from tiledsl.backends.cpu.host import host, limited
from tiledsl.interpreter import interpret
from tiledsl.passes import pipeline
from tiledsl.passes.narrow import narrow
from tiledsl.testing.cases import Case, bind
from tiledsl.testing.oracle import explain
from tiledsl.testing.programs import cases

MACHINES = ("native", "avx2", "generic")  # one processor, as TILEDSL_CPU sees it


def agrees(case: Case, backend: Backend, distinct: bool) -> None:
    """The interpreter's bits, on one thread and on two."""
    bound, expected = bind(case)
    interpret(case.kernel, case.grid, bound)
    program = backend._compile(case.kernel, distinct)
    for workers in (1, 2):
        bound, found = bind(case)
        backend.launch(program, case.grid, bound, Options(num_threads=workers))
        assert not (difference := explain(case, expected, found, "interpreter", "cpu")), f"{difference}\n{case!r}"


@pytest.mark.parametrize("machine", MACHINES)
def test_random_kernels_as_written(machine: str) -> None:
    backend = Backend()
    backend.machine = limited(host(), machine)

    @settings(max_examples=examples(8))
    @given(cases(exact=True))
    def check(case: Case) -> None:
        agrees(case.of(narrow(case.kernel, backend.machine)), backend, True)

    check()


@pytest.mark.parametrize("distinct", [True, False])
def test_random_kernels_after_the_passes(distinct: bool) -> None:
    backend = Backend()

    @settings(max_examples=examples(12))
    @given(cases(exact=True))
    def check(case: Case) -> None:
        agrees(case.of(pipeline.run(case.kernel, backend.passes, backend.machine, options=Options())), backend, distinct)

    check()
