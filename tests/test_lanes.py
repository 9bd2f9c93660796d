"""Functions of scalars with control flow, run on tiles: map_elementwise, and combining functions of reductions and scans."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError
from tiledsl.testing.oracle import backends

BACKENDS = pytest.mark.parametrize("backend", backends())


@tiledsl.jit
def steps_to_one(n, limit):
    steps = 0
    while n != 1 and steps < limit:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@tiledsl.jit
def sign_and_size(x):
    if x > 0:
        return 1, x
    if x < 0:
        return -1, -x
    return 0, x


@tiledsl.jit
def powers(x):
    total = 1.0
    for _ in range(3):
        total = total * x if x > 0.5 else total + x
    return total


@tiledsl.jit
def mapped(n, x, steps, sign, size, power, N: tl.constexpr):
    i = tl.arange(0, N)
    limit = tl.full((N,), 200, tl.int32)
    tl.store(steps + i, tl.map_elementwise(steps_to_one, tl.load(n + i), limit))
    value = tl.load(x + i)
    s, v = tl.map_elementwise(sign_and_size, value)
    tl.store(sign + i, s)
    tl.store(size + i, v)
    tl.store(power + i, tl.map_elementwise(powers, value))


def collatz(n: int) -> int:
    steps = 0
    while n != 1:
        n, steps = (n // 2 if n % 2 == 0 else 3 * n + 1), steps + 1
    return steps


@BACKENDS
def test_every_lane_goes_its_own_way(backend: str) -> None:
    n = np.array([1, 2, 3, 7, 9, 27, 16, 6], np.int32)
    x = np.array([0, -1.5, 2, 0.25, -0.0, np.inf, 1, 3], np.float32)
    steps, sign = np.zeros(8, np.int32), np.zeros(8, np.int32)
    size, power = np.zeros(8, np.float32), np.zeros(8, np.float32)
    mapped[(1,)](n, x, steps, sign, size, power, N=8, backend=backend)
    assert steps.tolist() == [collatz(int(v)) for v in n]
    np.testing.assert_array_equal(sign, np.sign(x))
    np.testing.assert_array_equal(size, np.abs(x))
    np.testing.assert_array_equal(power, np.where(x > 0.5, x * x * x, 1 + x + x + x))


@tiledsl.jit
def ordered(a0, a1, b0, b1):
    if a0 > a1:
        a0, a1 = a1, a0
    return a0, a1, b0 + b1, b0 - b1


@tiledsl.jit
def packed(a, b, x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    first, second = tl.map_elementwise(ordered, tl.load(a + i), tl.load(b + i), pack=2)
    tl.store(x + i, first)
    tl.store(y + i, second)


@BACKENDS
def test_packs_of_neighbours(backend: str) -> None:
    a, b = np.array([4, 1, 2, 3, 9, 8, 5, 5], np.int32), np.arange(8, dtype=np.int32)
    x, y = np.zeros_like(a), np.zeros_like(a)
    packed[(1,)](a, b, x, y, N=8, backend=backend)
    assert x.tolist() == [1, 4, 2, 3, 8, 9, 5, 5] and y.tolist() == [1, -1, 5, -1, 9, -1, 13, -1]


@tiledsl.jit
def later_nonzero(a, b):
    if b != 0:
        return b
    return a


@tiledsl.jit
def folded(x, total, running, N: tl.constexpr):
    i = tl.arange(0, N)
    value = tl.load(x + i)
    tl.store(total, tl.reduce(value, 0, later_nonzero))
    tl.store(running + i, tl.associative_scan(value, 0, later_nonzero))


@BACKENDS
def test_combining_functions_may_branch(backend: str) -> None:
    x = np.array([0, 3, 0, 0, 5, 0, 7, 0], np.int32)
    total, running = np.zeros(1, np.int32), np.zeros(8, np.int32)
    folded[(1,)](x, total, running, N=8, backend=backend)
    assert total[0] in x and running.tolist() == [0, 3, 3, 3, 5, 5, 7, 7]


def test_a_store_cannot_stand_under_such_a_condition() -> None:
    @tiledsl.jit
    def storing(v, p):
        if v > 0:
            tl.store(p, v)
        return v

    @tiledsl.jit
    def kernel(x, N: tl.constexpr):
        tl.map_elementwise(storing, tl.load(x + tl.arange(0, N)), x + tl.arange(0, N))

    with pytest.raises(CompilationError, match="store under a condition that differs from lane to lane"):
        kernel[(1,)](np.zeros(8, np.float32), N=8)
