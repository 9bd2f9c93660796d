"""Loops whose iterations overlap: any number of rounds, scalars and tiles carried, with the interpreter's bits."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl


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
