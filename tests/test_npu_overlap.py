"""Loops whose iterations overlap: any number of rounds, scalars and tiles carried, with the interpreter's bits."""

import functools

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import TileError


@tiledsl.jit
def rounds(out, sums, x, start, stop, N: tl.constexpr):
    at = tl.arange(0, N)
    total = tl.zeros((N,), dtype=tl.float32)
    last = 1.0
    before = tl.zeros((N,), dtype=tl.float32)
    for i in range(start, stop, 2):
        values = tl.load(x + i * N + at)
        scale = i * 0.5 + last  # a scalar that the vector unit needs, another one in every iteration
        tl.store(out + i * N + at, values * scale + before)
        before, last = values, tl.sum(values, axis=0)
        total += values * i
    tl.store(sums + at, total + last)


@pytest.mark.parametrize("count", range(6))
def test_any_number_of_rounds(count):
    x = np.random.default_rng(count).standard_normal((16, 64), np.float32)
    found = []
    for backend in ("interpreter", "npu"):
        out, sums = np.zeros_like(x), np.zeros(64, np.float32)
        rounds[(1,)](out, sums, x, 1, 1 + 2 * count, N=64, backend=backend)
        found.append((out.tobytes(), sums.tobytes()))
    assert found[0] == found[1]


@tiledsl.jit
def two_products(out, a, b, N: tl.constexpr):
    rows, columns = tl.arange(0, N)[:, None] * N, tl.arange(0, N)[None, :]
    first, second = tl.load(a + rows + columns), tl.load(b + rows + columns)
    left = tl.exp(tl.dot(first, first, input_precision="ieee"))
    right = tl.exp(tl.dot(second, second, input_precision="ieee"))
    tl.store(out + rows + columns, left + right)


def test_the_matrix_unit_goes_on_while_the_vector_unit_computes():
    """In the order of the program the second product would begin behind the first exponential."""
    a, b = (np.random.default_rng(0).standard_normal((64, 64), np.float32) for _ in range(2))
    handle = two_products[(1,)](np.empty_like(a), a, b, N=64, backend="npu")
    names = [row.split()[0] for row in handle.asm["asm"].splitlines()]
    products = [i for i, name in enumerate(names) if name == "mm"]
    assert len(products) == 2
    between = [name for name in names[products[0] : products[1]] if name.startswith("vec")]
    assert len(between) <= 2, "list scheduling puts both products before what the vector unit makes of the first"


@tiledsl.jit
def summed(out, x, count, N: tl.constexpr, STAGES: tl.constexpr):
    total = tl.zeros((N,), dtype=tl.float32)
    for i in tl.range(count, num_stages=STAGES):
        total += tl.load(x + i * N + tl.arange(0, N))
    tl.store(out + tl.arange(0, N), total)


def test_a_loop_says_how_many_of_its_iterations_overlap():
    """Its `num_stages` counts instead of the launch's, and 1 asks for none."""
    x, cycles = np.random.default_rng(0).standard_normal((40, 256), np.float32), {}
    for stages, launch in ((None, None), (1, None), (2, None), (3, None), (None, 1), (None, 2), (2, 1), (1, 3), (0, None), (9, None)):
        out = np.empty(256, np.float32)
        options = {} if launch is None else {"num_stages": launch}
        handle = summed[(1,)](out, x, 40, N=256, STAGES=stages, backend="npu", **options)
        assert out.tobytes() == functools.reduce(np.add, x).tobytes()
        cycles[stages, launch] = handle.report.cycles
    none, two, three = cycles[1, None], cycles[2, None], cycles[3, None]
    assert none > two > three
    assert cycles[None, 1] == cycles[1, 3] == cycles[0, None] == none
    assert cycles[None, 2] == cycles[2, 1] == two
    assert cycles[None, None] == cycles[9, None] == three


def test_stages_are_known_when_compiling():
    with pytest.raises(TileError, match="num_stages takes a compile-time int, got"):
        summed[(1,)](np.empty(16, np.float32), np.zeros((4, 16), np.float32), 4, N=16, STAGES=1.5, backend="interpreter")
