"""Programs of one core back to back: one loads while the one before computes; nobody can tell but the clock."""

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.backends.npu.compiler.together import runs
from tiledsl.backends.npu.machine import T1_BASE, find
from tiledsl.errors import TileError
from tiledsl.kernels.attention import attention
from tiledsl.kernels.blocks import for_product
from tiledsl.kernels.layer_norm import layer_norm
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.softmax import softmax
from tiledsl.machine import Machine


@tiledsl.jit
def places(out, x, N: tl.constexpr):
    x_, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    number = x_ + tl.num_programs(0) * (y + tl.num_programs(1) * z)
    at = number * N + tl.arange(0, N)
    tl.store(out + at, tl.load(x + at) * 10 + x_ + 100 * y + 10000 * z)


@pytest.mark.parametrize("grid", [(1,), (2,), (9,), (3, 4), (2, 3, 5), (1, 1, 7)])
def test_every_program_knows_its_place(grid):
    count = int(np.prod(grid))
    x = np.arange(count * 16, dtype=np.float32)
    found = []
    for backend in ("interpreter", "npu"):
        out = np.zeros_like(x)
        places[grid](out, x, N=16, backend=backend)
        found.append(out.tobytes())
    assert found[0] == found[1]


@tiledsl.jit
def doubled(x, table, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(x + at, 2 * tl.load(x + at) + tl.load(table + tl.arange(0, N)))


@pytest.mark.parametrize("programs", [1, 6, 31])
def test_in_place(programs):
    """A load may come before the stores of other programs, never behind its own."""
    x, table = np.arange(programs * 32, dtype=np.float32), np.arange(32, dtype=np.float32)
    expected = 2 * x + np.tile(table, programs)
    doubled[(programs,)](x, table, N=32, backend="npu")
    assert x.tobytes() == expected.tobytes()


@pytest.mark.parametrize("short", [1, 40, 100])
def test_a_fault_names_its_program(short):
    x, table = np.zeros(32 * 32 - short, np.float32), np.zeros(32, np.float32)
    last = (32 * 32 - short) // 32
    with pytest.raises(TileError, match=f"outside `x`.*(\n.*)*program \\({last}, 0, 0\\)"):
        doubled[(32,)](x, table, N=32, backend="npu")


def test_every_core_gets_as_many_programs():
    (count, *_), extra = runs(100, (2048, 1, 1), 4)
    assert (count, extra[-1]) == (24, 86) and extra[1:4] == [2048, 1, 1]
    assert runs(100, (3, 1, 1), 4)[0] == (3, 1, 1) and runs(100, (0, 1, 1), 4)[0] == (0, 1, 1)


def reports(monkeypatch):
    """The reports of the launches to come."""
    found = []
    backend = type(tiledsl.backend.registry.find("npu"))
    launch = backend.launch
    monkeypatch.setattr(backend, "launch", lambda self, *args: found.append(launch(self, *args)) or found[-1])
    return found


@pytest.mark.parametrize("kernel", [softmax, layer_norm])
def test_rows_are_read_and_written_as_fast_as_the_memory_is(monkeypatch, kernel):
    found = reports(monkeypatch)
    x = np.random.default_rng(0).standard_normal((256, 1024), np.float32)
    kernel(x, *([x[0], x[1]] if kernel is layer_norm else []), backend="npu")
    launch = T1_BASE.launch_us * T1_BASE.clock_mhz
    needed = 2 * x.nbytes / T1_BASE.dram_bytes_per_cycle
    assert needed / (found[-1].cycles - launch) > 0.85


def test_attention_keeps_the_matrix_unit_busy(monkeypatch):
    """Its two products, while the vector unit computes powers of the product before."""
    found = reports(monkeypatch)
    length, depth = 512, 64
    q, k, v = (np.random.default_rng(i).standard_normal((1, length, depth), np.float32) for i in range(3))
    attention(q, k, v, backend="npu")
    steps = 2 * length**2 * depth / (T1_BASE.matrix_rows * T1_BASE.matrix_columns * T1_BASE.matrix_rate["f32"] * T1_BASE.cores)
    assert steps / (found[-1].cycles - T1_BASE.launch_us * T1_BASE.clock_mhz) > 0.55


@pytest.mark.parametrize(("dtype", "share"), [(np.float32, 0.8), (np.float16, 0.65)])
def test_products_keep_the_matrix_unit_busy(monkeypatch, dtype, share):
    """In the blocks that suit the machine: what the first loads and the last store take is a large part of so small a product."""
    found = reports(monkeypatch)
    a, b = (np.random.default_rng(i).standard_normal((512, 512)).astype(dtype) for i in range(2))
    matmul(a, b, backend="npu")
    rate = T1_BASE.matrix_rate[{2: "f16", 4: "f32"}[a.itemsize]]
    steps = 512**3 / (T1_BASE.matrix_rows * T1_BASE.matrix_columns * rate * T1_BASE.cores)
    assert steps / (found[-1].cycles - T1_BASE.launch_us * T1_BASE.clock_mhz) > share


def test_blocks_suit_the_machine():
    assert for_product(T1_BASE, 1024, 1024, 1024, 4) == (256, 256, 32)
    assert for_product(T1_BASE, 16, 4096, 4096, 4)[0] == 16
    assert for_product(Machine("any"), 1024, 1024, 1024, 4) == (64, 64, 64)
    for name in ("edge", "gemmini-16", "vta-256", "tpu-v4-core"):
        rows, columns, _ = for_product(machine := find(name), 4096, 4096, 4096, 2)
        assert 4 * rows * columns <= machine.acc_bytes
