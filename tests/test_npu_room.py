"""Machines with little room: what does not fit lives in DRAM and comes piece by piece, with the interpreter's bits."""

import numpy as np
import pytest
from hypothesis import given, settings

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backend.base import Options
from tiledsl.backends.npu import Backend, Npu
from tiledsl.backends.npu.compiler.container import from_bytes
from tiledsl.ir.parser import parse
from tiledsl.ir.types import f32
from tiledsl.memory import Buffer
from tiledsl.passes import pipeline
from tiledsl.testing import cases, oracle, programs

SMALL = [
    Backend(Npu(name="small", spm_bytes=2048, acc_bytes=512, matrix_rate={"i8": 1.0, "u8": 1.0})),
    Backend(Npu(name="no_matrix", spm_bytes=4096, acc_bytes=0, matrix_rate={}, descriptor_rank=2, semaphores=16)),
]


@pytest.fixture(autouse=True)
def small_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known by name in these tests alone: others ask for all there are."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    for machine in SMALL:
        registry.register(machine)


def alike(kernel, outputs, *inputs, **constants):
    """What a kernel leaves in arrays is the same on the interpreter and on machines with little room."""
    found = []
    for backend in ("interpreter", *(m.name for m in SMALL)):
        arrays = [x.copy() for x in outputs]
        kernel[(1,)](*arrays, *inputs, **constants, backend=backend)
        found.append([x.tobytes() for x in arrays])
    assert found[0] == found[1] == found[2]


@tiledsl.jit
def softmax(out, x, n, N: tl.constexpr):
    at = tl.arange(0, N)
    values = tl.load(x + at, mask=at < n, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + at, powers / tl.sum(powers, axis=0), mask=at < n)


@pytest.mark.parametrize("n", [1024, 1000])
def test_a_row_that_is_longer_than_the_scratchpad(n):
    x = np.random.default_rng(n).standard_normal(n, np.float32)
    alike(softmax, [np.zeros(n, np.float32)], x, n, N=1024)


@tiledsl.jit
def rows_and_columns(down, up, across, total, x, M: tl.constexpr, N: tl.constexpr):
    i, j = tl.arange(0, M), tl.arange(0, N)
    at = i[:, None] * N + j[None, :]
    values = tl.load(x + at)
    tl.store(down + at, tl.cumsum(values, axis=0))
    tl.store(up + at, tl.cumsum(values, axis=1, reverse=True))
    tl.store(across + i, tl.sum(values, axis=1))
    tl.store(total + j, tl.max(values, axis=0))


@pytest.mark.parametrize("shape", [(2, 1024), (1024, 2), (32, 64)])
def test_sums_along_both_axes(shape):
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    outputs = [np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape[0], np.float32), np.zeros(shape[1], np.float32)]
    alike(rows_and_columns, outputs, x, M=shape[0], N=shape[1])


@tiledsl.jit
def arranged(ordered, picked, counts, x, index, N: tl.constexpr, DESCENDING: tl.constexpr):
    at = tl.arange(0, N)
    values, where = tl.load(x + at), tl.load(index + at)
    tl.store(ordered + at, tl.sort(values, descending=DESCENDING))
    tl.store(picked + at, tl.gather(values, where, axis=0))
    tl.store(counts + tl.arange(0, 8), tl.histogram(where % 8, 8))


@pytest.mark.parametrize("descending", [False, True])
def test_sorted_gathered_and_counted(descending):
    rng = np.random.default_rng(1)
    x, index = rng.integers(-99, 99, 1024).astype(np.int32), rng.integers(0, 1024, 1024).astype(np.int32)
    alike(arranged, [np.zeros(1024, np.int32), np.zeros(1024, np.int32), np.zeros(8, np.int32)], x, index, N=1024, DESCENDING=descending)


@tiledsl.jit
def product(out, a, b, K, BLOCK: tl.constexpr, SUM: tl.constexpr):
    i = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK, BLOCK), dtype=SUM)
    for start in range(0, K, BLOCK):
        k = start + i
        left = tl.load(a + i[:, None] * K + k[None, :], mask=k[None, :] < K, other=0)
        right = tl.load(b + k[:, None] * BLOCK + i[None, :], mask=k[:, None] < K, other=0)
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(out + i[:, None] * BLOCK + i[None, :], total)


@pytest.mark.parametrize(
    "dtype, total, sums", [(np.float32, np.float32, tl.float32), (np.int8, np.int32, tl.int32), (np.float16, np.float32, tl.float32)]
)
def test_products_without_a_matrix_unit_that_takes_them(dtype, total, sums):
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((32, 40), (40, 32)))
    if np.issubdtype(dtype, np.floating):
        a, b = a / dtype(7), b / dtype(3)
    alike(product, [np.zeros((32, 32), total)], a, b, 40, BLOCK=32, SUM=sums)


@tiledsl.jit
def scattered(out, seen, index, x, N: tl.constexpr):
    at = tl.arange(0, N)
    where, values = tl.load(index + at), tl.load(x + at)
    tl.store(out + where, values)
    tl.store(seen + at, tl.atomic_add(out + where, values, mask=values > 0))


def test_scattered_stores_and_atomics_keep_their_order():
    rng = np.random.default_rng(3)
    index, x = rng.integers(0, 16, 512).astype(np.int32), rng.standard_normal(512).astype(np.float32)
    alike(scattered, [np.zeros(16, np.float32), np.zeros(512, np.float32)], index, x, N=512)


@settings(max_examples=10)
@given(case=programs.cases())
def test_random_programs_with_little_room(case):
    machine = Backend(Npu(spm_bytes=1536, acc_bytes=0, matrix_rate={}))
    expected = oracle.run_case(case, "interpreter")
    lowered = pipeline.run(case.kernel, machine.passes, machine.machine)
    bound, found = cases.bind(case)
    machine.launch(machine.compile(lowered, Options()), case.grid, bound, Options())
    assert not oracle.explain(case, expected, found, "interpreter", "npu")


def test_slow_ways_are_told_with_their_lines(capsys):
    x, index = np.zeros(4096, np.float32), np.zeros(4096, np.int32)
    scattered.show(x, x, index, x, N=4096, stage="report", backend="npu:small")
    told = capsys.readouterr().out
    assert "reads element by element" not in told
    assert "writes element by element: an address per element" in told
    assert "updates element by element: in their order" in told
    assert "a tile lives in DRAM: it has" in told
    assert "test_npu_room.py:" in told
    a = np.zeros((32, 32), np.float32)
    product.show(a, a, a, 32, BLOCK=32, SUM=tl.float32, stage="report", backend="npu:small")
    told = capsys.readouterr().out
    assert "multiplies f32 on the vector unit: the matrix unit takes i8, u8" in told
    softmax.show(x, x, 1000, N=1024, stage="report", backend="npu")
    assert not capsys.readouterr().out.strip()


def test_vectors_hold_the_memory_for_what_does_not_fit(tmp_path):
    backend = SMALL[0].recorder(tmp_path)
    kernel = parse(
        """kernel @k(%x: *f32 {divisible=16}) {
  %one: i64 = constant {value=1, type=i64}
  %a: f32[1024] = load_block %x, %one {shape=[1024], checked=[], masked=false, filled=false}
  %s: f32 = reduce %a {axis=0} {
  ^(%p: f32, %q: f32):
    %r: f32 = add %p, %q
    yield %r
  }
  %b: f32[1024] = broadcast %s {shape=[1024]}
  %c: f32[1024] = add %a, %b
  store_block %x, %c, %one {checked=[], masked=false}
}
"""
    )
    x = np.arange(1024, dtype=np.float32)
    buffer = Buffer(x.ctypes.data, x.nbytes, f32, True, x, "x")
    program = backend.compile(kernel, Options())
    assert from_bytes(program.binary, backend.machine).scratch
    backend.launch(program, (1, 1, 1), [buffer], Options())
    assert (x == np.arange(1024, dtype=np.float32) + np.float32(1023 * 512)).all()
    assert [wrong for _, wrong in backend.replayed(tmp_path)] == [[]]
