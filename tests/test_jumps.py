"""`break`, `continue`, `else` of loops and chained comparisons: what Python does, on every backend with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError

BACKENDS = ("interpreter", "cpu", "npu")


class Memory:
    """Stands for `tl` when a kernel runs as Python: a pointer is an array and an index into it."""

    constexpr = tl.constexpr
    int32 = np.int32

    @staticmethod
    def load(at: Any) -> Any:
        return int(at.array[at.index])

    @staticmethod
    def store(at: Any, value: Any) -> None:
        at.array[at.index] = value

    @staticmethod
    def static_range(*bounds: int) -> range:
        return range(*bounds)


class Pointer:
    """A pointer of a kernel that runs as Python."""

    def __init__(self, array: np.ndarray, index: int = 0):
        self.array, self.index = array, index

    def __add__(self, by: int) -> Pointer:
        return Pointer(self.array, self.index + by)


def first_negative(out, x, n):
    where = -1
    for i in range(n):
        if tl.load(x + i) < 0:
            where = i
            break
    tl.store(out, where)


def skips(out, x, n):
    total = 0
    for i in range(0, n, 2):
        value = tl.load(x + i)
        if value < 0:
            continue
        scaled = value * 3
        total += scaled
    tl.store(out, total)


def both(out, x, n):
    total, seen = 0, 0
    for i in range(n):
        value = tl.load(x + i)
        if value > 0:
            if value > 5:
                if value > 7:
                    break
                continue
            y = value
        elif value < -5:
            continue
        else:
            y = 10 - value
        total += y
        seen += 1
    else:
        total += 1000
    tl.store(out, total)
    tl.store(out + 1, seen)


def forever(out, x, n):
    i = 0
    while True:
        if i >= n:
            break
        if tl.load(x + i) < 0:
            break
        i += 1
    tl.store(out, i)


def guarded(out, x, n):
    i = 0
    while tl.load(x + i) >= 0:
        if i == n - 1:
            break
        i += 1
    else:
        i += 100
    tl.store(out, i)


def backwards(out, x, n):
    total = 0
    for i in range(n - 1, -1, -3):
        total = total * 2 + tl.load(x + i)
        if total > 20:
            break
    else:
        total = -total
    tl.store(out, total)


def nested(out, x, n):
    total = 0
    for i in range(n):
        for j in range(i, n):
            if tl.load(x + j) < -6:
                break
            total += j
        else:
            total += 100
            continue
        if total > 40:
            break
        total += 7
    tl.store(out, total)


def unrolled(out, x, n):
    total = 0
    for i in tl.static_range(0, 6):
        if i == 5:
            break
        if i == 1:
            continue
        total += i
        if tl.load(x + i) < 0:
            total += 50
            break
        total *= 2
    else:
        total += 1
    tl.store(out, total)


def over_a_tuple(out, x, n):
    total = 0
    for weight in (3, 1, 2):
        if tl.load(x + weight) < 0:
            continue
        total += weight
        if total > n:
            break
    tl.store(out, total)


def chained(out, x, n):
    total = 0
    for i in range(n):
        if -3 < tl.load(x + i) <= 4 != n:
            total += 1
        if 0 < 1 < 2 > n:
            total += 100
    tl.store(out, total)


KERNELS = [first_negative, skips, both, forever, guarded, backwards, nested, unrolled, over_a_tuple, chained]
INPUTS = [[1, 2, 3, 4, 5, 6, 7], [1, 9, 3, -2, 5, 6, 7], [-1, 4, 6, -7, 2, 3, 8], [3, 4, -9, 5, 0, -1, 2]]


@pytest.mark.parametrize("function", KERNELS, ids=lambda f: f.__name__)
def test_python_agrees(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tiledsl.jit(function)
    for row in INPUTS:
        x = np.array(row, np.int32)
        wanted = np.zeros(2, np.int32)
        with monkeypatch.context() as patched:
            patched.setitem(function.__globals__, "tl", Memory)
            function(Pointer(wanted), Pointer(x), len(row))
        for backend in BACKENDS:
            out = np.zeros(2, np.int32)
            kernel[(1,)](out, x, len(row), backend=backend)
            assert out.tolist() == wanted.tolist(), (row, backend)


@tiledsl.jit
def _steps(x, limit):
    """How many halvings bring x below the limit; gives up after ten."""
    count = 0
    if x < 0:
        return -1
    while True:
        if x < limit:
            break
        x = x / 2
        count += 1
        if count == 10:
            break
    return count


@tiledsl.jit
def on_tiles(out, x, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out + at, tl.map_elementwise(_steps, tl.load(x + at), 1.0))
    tl.store(out + N, _steps(tl.load(x), 2.0))
    middle = 0.5 < tl.load(x + at) < 3.0
    tl.store(out + N + 1 + at, middle.to(tl.int32))


def test_lanes_leave_a_loop_one_by_one() -> None:
    x = np.array([9.0, 0.5, 1.0, -3.0, 1e6, 2.5], np.float32)
    for backend in BACKENDS:
        out = np.zeros(13, np.int32)
        on_tiles[(1,)](out, x, N=6, backend=backend)
        assert out.tolist() == [4, 0, 1, -1, 10, 2, 3, 0, 0, 1, 0, 0, 1], backend


@tiledsl.jit
def to_the_edge(out, start, stop, step):
    count = 0
    for _ in range(start, stop, step):
        count += 1
        if count == 9:
            break
    tl.store(out, count)


@pytest.mark.parametrize(
    "bounds", [(2**31 - 5, 2**31 - 1, 3), (-(2**31), 2**31 - 1, 2**30), (-(2**31) + 2, -(2**31), -1), (5, 5, 1), (7, 2, 1), (0, 100, 7)]
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_index_does_not_wrap_around(bounds: tuple[int, int, int], backend: str) -> None:
    out = np.zeros(1, np.int32)
    to_the_edge[(1,)](out, *bounds, backend=backend)
    assert out[0] == min(9, len(range(*bounds)))


@tiledsl.jit
def jumping(out, n, KIND: tl.constexpr):
    total = 0
    if KIND == 0:
        for i in range(n):
            if i == 3:
                break
    elif KIND == 1:
        for i in range(n):
            if i == 3:
                continue
            total += i
    elif KIND == 2:
        for i in range(n):
            total += i
        else:
            total += 1
    else:
        total += (0 < n < 3).to(tl.int32)
    tl.store(out, total)


MESSAGES = ["`break` is not supported", "`continue` is not supported", "`else` of a loop", "a chained comparison"]


@pytest.mark.parametrize("kind", range(4))
def test_strict_mode_refuses(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (note,) = jumping.notes(np.zeros(1, np.int32), 5, KIND=kind)
    assert MESSAGES[kind] in note.message
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match=MESSAGES[kind]):
        jumping[(1,)](np.zeros(1, np.int32), 5, KIND=kind)


def test_a_loop_with_continue_alone_stays_counted() -> None:
    assert " for " in str(jumping.lower(np.zeros(1, np.int32), 5, KIND=1))
    assert " while " in str(jumping.lower(np.zeros(1, np.int32), 5, KIND=0))
