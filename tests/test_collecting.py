"""The search for cycles of objects is rare while something is compiled, and as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.collecting import OBJECTS, rarely
from tiledsl.language.functions import constexpr_function


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@constexpr_function
def threshold() -> int:
    return gc.get_threshold()[0]


def test_compiling_searches_rarely() -> None:
    @tiledsl.jit
    def kernel(out):
        tl.store(out, threshold())

    gc.set_threshold(700, 10, 10)
    out = np.zeros(1, np.int32)
    kernel[(1,)](out)
    assert out[0] == OBJECTS and gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("first", [0, 10 * OBJECTS])
def test_who_searches_less_is_left_alone(first: int) -> None:
    gc.set_threshold(first, 10, 10)
    with rarely():
        assert gc.get_threshold()[0] == first
    assert gc.get_threshold()[0] == first


def test_what_is_asked_for_meanwhile_holds() -> None:
    gc.set_threshold(700, 10, 10)
    with rarely():
        with rarely():
            pass
        assert gc.get_threshold() == (OBJECTS, 10, 10)
        gc.set_threshold(5, 5, 5)
    assert gc.get_threshold() == (5, 5, 5)


def test_what_was_made_is_searched_and_nothing_older() -> None:
    searched: list[int] = []
    gc.set_threshold(700, 1, 10)  # so that the next search of Python's own would not stop at the youngest

    def note(phase: str, about: dict[str, int]) -> None:
        searched.extend([about["generation"]] * (phase == "start"))

    gc.collect()
    gc.collect(0), gc.collect(0)
    gc.callbacks.append(note)
    try:
        with rarely():
            made = [[] for _ in range(2000)]
    finally:
        gc.callbacks.remove(note)
    assert len(made) == 2000 and searched == [0]


def test_who_searches_never_is_not_searched_for() -> None:
    gc.disable()
    try:
        before = gc.get_stats()[0]["collections"]
        with rarely():
            made = [[] for _ in range(2000)]
        assert len(made) == 2000 and gc.get_stats()[0]["collections"] == before
    finally:
        gc.enable()
