"""A machine that adds up otherwise than the language says: the interpreter, with that machine's passes, says what its bits are."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl import ops
from tiledsl.backend import registry
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.machine import T1_BASE, Npu
from tiledsl.backends.npu.machine.spec import parse
from tiledsl.backends.npu.simulator.checked import Checks
from tiledsl.ir.types import DTYPES
from tiledsl.kernels.attention import attention
from tiledsl.testing import conformance
from tiledsl.testing.oracle import compare, run_case


@pytest.fixture(autouse=True)
def machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known by name in one test alone."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@tiledsl.jit
def product(a, b, out, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :], tl.arange(0, K)
    x, y = tl.load(a + m * K + k[None, :]), tl.load(b + k[:, None] * N + n)
    tl.store(out + m * N + n, tl.dot(x, y, input_precision="ieee"))


def multiplied(a: np.ndarray, b: np.ndarray, backend: str) -> np.ndarray:
    (rows, depth), columns = a.shape, b.shape[1]
    out = np.empty((rows, columns), np.int32 if a.dtype == np.int8 else np.float32)
    product[(1,)](a, b, out, M=rows, N=columns, K=depth, backend=backend)
    return out


def summing(chunk: int, machine: Npu = T1_BASE, checks: Checks | None = None) -> None:
    """A machine known as `chunky`."""
    registry.register(Backend(machine.but(name="chunky", sum_chunk=chunk), checks=checks, name="chunky"))


def test_sums_are_those_of_so_many_products() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 16, 16), np.float32)
    summing(8)
    parts = [multiplied(np.where(np.arange(16) // 8 == i, a, 0).astype(np.float32), b, "interpreter") for i in (0, 1)]
    np.testing.assert_array_equal(multiplied(a, b, "chunky"), parts[0] + parts[1])


@pytest.mark.parametrize("chunk", [4, 24, 64])
@pytest.mark.parametrize(
    "machine",
    [T1_BASE, T1_BASE.but(spm_bytes=16384, acc_bytes=2048), T1_BASE.but(acc_bytes=1024)],
    ids=["whole", "piece by piece", "through accumulators"],
)
def test_the_interpreter_says_what_its_bits_are(machine: Npu, chunk: int) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((32, 128), np.float32), rng.standard_normal((128, 16), np.float32)
    summing(chunk, machine)
    found = multiplied(a, b, "chunky")
    assert found.tobytes() == multiplied(a, b, "interpreter:chunky").tobytes() != multiplied(a, b, "interpreter").tobytes()


def test_what_the_matrix_unit_does_not_sum_is_as_ever() -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-128, 128, (16, 16)).astype(np.int8) for _ in range(2))
    summing(4)
    assert multiplied(a, b, "chunky").tobytes() == multiplied(a, b, "interpreter").tobytes()
    x, y = rng.standard_normal((2, 16, 16), np.float32)
    summing(4, T1_BASE.but(matrix_rate={"i8": 1.0}))  # floats on the vector unit
    assert multiplied(x, y, "chunky").tobytes() == multiplied(x, y, "interpreter").tobytes()
    assert registry.find("interpreter:npu") is registry.find("interpreter")


def test_checked_and_shuffled_runs_and_loops_agree() -> None:
    q, k, v = np.random.default_rng(3).standard_normal((3, 1, 48, 16), np.float32)
    summing(8)
    expected = attention(q, k, v, blocks=(16, 32), backend="interpreter:chunky")
    assert attention(q, k, v, blocks=(16, 32), backend="chunky").tobytes() == expected.tobytes()
    summing(8, checks=Checks(order=5))
    assert attention(q, k, v, blocks=(16, 32), backend="chunky").tobytes() == expected.tobytes()


def test_the_check_asks_for_the_bits_of_the_machine() -> None:
    summing(4)
    for kind, case in conformance.minimal(ops.dot, [DTYPES["f32"], DTYPES["f16"]]):
        compare(case, ["interpreter", "chunky"])
        assert run_case(case, "chunky")[-1].tobytes() != run_case(case, "interpreter")[-1].tobytes(), kind


def test_it_is_a_key() -> None:
    assert parse("[numerics]\nsum_chunk = 32\n", "mine").sum_chunk == 32 and T1_BASE.sum_chunk == 0
