"""The random programs draw every op, every phrase of the language, and what folds and atomics can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tiledsl import ops
from tiledsl.backend.base import Options
from tiledsl.ir.spec import SPECS, OpSpec
from tiledsl.testing import phrases
from tiledsl.testing.oracle import backends, compare
from tiledsl.testing.programs import Author, Case, cases

# written by no user: the pass `blocks` makes them of loads and stores that are drawn
NOT_DRAWN = {ops.load_block, ops.store_block}


class Found(Exception):
    """A program is as it was wanted."""


def found(programs: st.SearchStrategy[Case], wanted: Callable[[Case], bool], within: int) -> bool:
    """Whether one of so many programs is as wanted."""

    @settings(max_examples=within, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(programs)
    def look(case: Case) -> None:
        if wanted(case):
            raise Found

    try:
        look()
    except Found:
        return True
    return False


def has(spec: OpSpec) -> Callable[[Case], bool]:
    return lambda case: any(op.spec is spec for op in case.kernel.body.walk())


@pytest.mark.parametrize("spec", [spec for spec in SPECS.values() if spec not in NOT_DRAWN], ids=str)
def test_every_op_is_drawn(spec: OpSpec) -> None:
    assert found(cases(exact=False, about=spec), has(spec), 40)


@pytest.mark.parametrize("kind", ops.Atomic, ids=str)
def test_every_kind_of_atomic_is_drawn(kind: ops.Atomic) -> None:
    def wanted(case: Case) -> bool:
        return any(op.spec is ops.atomic_rmw and op.attrs["kind"] is kind for op in case.kernel.body.walk())

    assert found(cases(about=ops.atomic_rmw), wanted, 200)


@pytest.mark.parametrize("spec", [ops.reduce, ops.scan], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_folds_of_several_values_are_drawn(count: int, spec: OpSpec) -> None:
    def wanted(case: Case) -> bool:
        return any(op.spec is spec and len(op.operands) == count for op in case.kernel.body.walk())

    assert found(cases(about=spec), wanted, 100)


@st.composite
def spoken(draw: st.DrawFn, phrase: object) -> Case:
    """A program of a few statements, each this phrase."""
    author = Author(draw, exact=False, about=None, most=30)
    author.menu, author.left = [phrase], min(author.left, 3)  # type: ignore[list-item]
    return author.case()


@pytest.mark.parametrize("phrase", phrases.PHRASES, ids=lambda p: p.__name__)
def test_phrases_have_the_same_bits_everywhere_fused_or_not(phrase: object) -> None:
    subjects = ["interpreter", *(name for name in backends() if name != "interpreter")]

    @settings(max_examples=4, derandomize=True, database=None)
    @given(spoken(phrase))
    def agree(case: Case) -> None:
        for fused in (True, False):
            compare(case, subjects, Options(enable_fp_fusion=fused))

    agree()


def test_every_function_of_libdevice_can_be_drawn() -> None:
    for name in phrases.FUNCTIONS:
        assert phrases.operand_types(name), name
