"""Matrix products on the CPU: operands read in place, loops in long steps, packed operands kept from program to program."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cpu_kernels import CPU, agree, tame

import tiledsl
import tiledsl.language as tl
from tiledsl.backend.base import Options
from tiledsl.backends import cpu
from tiledsl.backends.cpu.coarsen import coarsen
from tiledsl.backends.cpu.demand import asked
from tiledsl.backends.cpu.entry import AGAIN, Run
from tiledsl.backends.cpu.plan import plan
from tiledsl.backends.cpu.scratch import arena_of
from tiledsl.backends.cpu.strips import steady
from tiledsl.ir.core import Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.types import DType, bf16, f16, f32, f64, i8, i32, u8
from tiledsl.kernels.blocks import for_product
from tiledsl.kernels.matmul import matmul as product
from tiledsl.kernels.matmul import matmul_kernel
from tiledsl.ops import dot, load_block

MATMUL = """kernel @matmul(%x: *{T}, %w: *{T}, %y: *f32, %m: i32, %n: i32, %k: i32, %astep: i64, %bstep: i64) {{
  %zero: i64 = constant {{value=0, type=i64}}
  %one: i64 = constant {{value=1, type=i64}}
  %none: i32 = constant {{value=0, type=i32}}
  %bk: i32 = constant {{value=16, type=i32}}
  %bm: i64 = constant {{value=32, type=i64}}
  %px: i32 = program_id {{axis=0}}
  %py: i32 = program_id {{axis=1}}
  %qx: i64 = cast %px {{to=i64}}
  %qy: i64 = cast %py {{to=i64}}
  %m64: i64 = cast %m {{to=i64}}
  %n64: i64 = cast %n {{to=i64}}
  %k64: i64 = cast %k {{to=i64}}
  %i: i64 = mul %qx, %bm
  %j: i64 = mul %qy, %bm
  %rows: i64 = sub %m64, %i
  %columns: i64 = sub %n64, %j
  %ik: i64 = mul %i, %k64
  %a0: *{T} = offset %x, %ik
  %b0: *{T} = offset %w, %j
  %in: i64 = mul %i, %n64
  %inj: i64 = add %in, %j
  %c0: *f32 = offset %y, %inj
  %nothing: f32[32,32] = constant {{value=0.0, type=f32[32,32]}}
  %sum: f32[32,32], %pa: *{T}, %pb: *{T} = for %none, %k, %bk, %nothing, %a0, %b0 {{
  ^(%t: i32, %acc: f32[32,32], %ap: *{T}, %bp: *{T}):
    %gone: i32 = sub %k, %t
    %left: i64 = cast %gone {{to=i64}}
    %a: {T}[32,16] = load_block %ap, %k64, %one, %zero, %rows, %zero, %left {{shape=[32,16], checked=[0,1], masked=false, filled=false}}
    %b: {T}[16,32] = load_block %bp, %n64, %one, %zero, %left, %zero, %columns {{shape=[16,32], checked=[0,1], masked=false, filled=false}}
    %d: f32[32,32] = dot %a, %b, %acc
    %an: *{T} = offset %ap, %astep
    %bn: *{T} = offset %bp, %bstep
    yield %d, %an, %bn
  }}
  store_block %c0, %sum, %n64, %one, %zero, %rows, %zero, %columns {{checked=[0,1], masked=false}}
}}
"""


def matmul(dtype: DType = f32) -> Kernel:
    return parse(MATMUL.format(T=dtype))


def run(kernel: Kernel, dtype: DType, m: int, n: int, k: int, astep: int, bstep: int) -> None:
    agree(
        kernel,
        tame(dtype, m * k + 9 * astep),
        tame(dtype, k * n + 9 * bstep, 1),
        np.zeros(m * n, np.float32),
        *(m, n, k, astep, bstep),
        grid=(-(-m // 32), -(-n // 32)),
    )


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
@pytest.mark.parametrize(("m", "n", "k"), [(64, 64, 512), (50, 70, 600), (33, 20, 255), (32, 96, 300)])
def test_deep_products_agree(dtype: DType, m: int, n: int, k: int) -> None:
    run(matmul(dtype), dtype, m, n, k, 16, 16 * n)


def test_blocks_that_do_not_continue_agree() -> None:
    """Whether they do is known only when the kernel runs."""
    for astep, bstep in ((15, 16 * 40), (16, 15 * 40), (0, 0)):
        run(matmul(), f32, 40, 40, 520, astep, bstep)


def test_a_loop_of_products_takes_long_steps() -> None:
    kernel = coarsen(matmul(), CPU.machine, 256)
    loads = [op for op in kernel.body.walk() if op.spec is load_block]
    assert [op.attrs["shape"] for op in loads] == [(32, 256), (256, 32), (32, 16), (16, 32)]
    run(kernel, f32, 50, 40, 600, 16, 16 * 40)


def test_a_loop_that_does_more_stays_as_it_is() -> None:
    text = MATMUL.format(T=f32)
    sums = text.replace("dot %a, %b, %acc", "dot %a, %b, %acc\n    store_block %c0, %d, %n64, %one {{checked=[], masked=false}}".format())
    late = text.replace("%left: i64 = cast %gone", "%twice: i32 = mul %gone, %t\n    %left: i64 = cast %twice")
    for changed in (sums, late):
        kernel = parse(changed)
        assert coarsen(kernel, CPU.machine, 256) is kernel


def test_floats_that_a_loop_carries_take_every_step() -> None:
    """Many roundings are not one."""
    text = MATMUL.format(T=f32)
    for old, new in {
        "  %sum:": "  %tenth: f32 = constant {value=0.1, type=f32}\n  %sum:",
        "%pb: *f32 = for": "%pb: *f32, %u: f32 = for",
        "%b0 {": "%b0, %tenth {",
        "%bp: *f32)": "%bp: *f32, %s: f32)",
        "yield %d, %an, %bn": "%next: f32 = add %s, %tenth\n    yield %d, %an, %bn, %next",
        "store_block %c0, %sum": "%us: f32[32,32] = broadcast %u {shape=[32,32]}\n  store_block %c0, %us",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    run(parse(text), f32, 32, 32, 600, 16, 16 * 32)


def test_what_is_written_is_not_kept() -> None:
    kernel = matmul()
    made = plan(kernel, CPU.machine, True)
    (product,) = (op for op in kernel.body.walk() if op.spec is dot)
    assert list(steady(kernel, made, True)) == [product.operands[1]]
    assert not steady(kernel, made, False)
    written = parse(MATMUL.format(T=f32).replace("offset %y, %inj", "offset %w, %inj"))
    assert not steady(written, plan(written, CPU.machine, True), True)


KEPT = """kernel @kept(%x: *f32, %w: *f32, %y: *f32) {
  %n: i64 = constant {value=32, type=i64}
  %one: i64 = constant {value=1, type=i64}
  %four: i64 = constant {value=4, type=i64}
  %p: i32 = program_id {axis=0}
  %q: i64 = cast %p {to=i64}
  %all: i64 = constant {value=1088, type=i64}
  %at: i64 = mul %q, %all
  %xp: *f32 = offset %x, %at
  %yp: *f32 = offset %y, %at
  %large: f32[34,32] = load_block %xp, %n, %one {shape=[34,32], checked=[], masked=false, filled=false}
  %sorted: f32[34,32] = sort %large {descending=false}
  store_block %yp, %sorted, %n, %one {checked=[], masked=false}
  %a: f32[4,4] = load_block %xp, %four, %one {shape=[4,4], checked=[], masked=false, filled=false}
  %b: f32[4,4] = load_block %w, %four, %one {shape=[4,4], checked=[], masked=false, filled=false}
  %zero: f32[4,4] = constant {value=0.0, type=f32[4,4]}
  %c: f32[4,4] = dot %a, %b, %zero
  store_block %yp, %c, %four, %one {checked=[], masked=false}
}
"""


def test_kept_operands_share_memory_with_nothing() -> None:
    """They once lay where the next program put its own tiles."""
    agree(KEPT, tame(f32, 4 * 1088), tame(f32, 16, 1), np.zeros(4 * 1088, np.float32), grid=(4,))


def test_a_block_at_the_edge_is_not_read_beyond_it() -> None:
    """What lies there may be anything, and what is summed is 0 times it, not it."""
    text = MATMUL.format(T=f32)
    x, w = tame(f32, 40 * 300), tame(f32, 300 * 40, 1)
    x[39 * 300 :] = np.inf
    w[299 * 40 :] = np.nan
    agree(text, x, w, np.zeros(39 * 39, np.float32), 39, 39, 299, 16, 16 * 39, grid=(2, 2))


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_products_agree_on_shorter_vectors(vector_bytes: int) -> None:
    before = CPU.machine
    CPU.machine = before.but(vector_bytes=vector_bytes, rows=6)
    try:
        run(matmul(), f32, 50, 70, 300, 16, 16 * 70)
    finally:
        CPU.machine = before


@pytest.mark.parametrize(("m", "n", "k"), [(128, 64, 512), (100, 70, 601), (20, 32, 40)])
def test_blocks_of_few_rows_agree(m: int, n: int, k: int) -> None:
    """B is read where it is, at first; when it comes up again, it is packed and kept."""
    before = CPU.machine
    CPU.machine = before.but(rows=32, columns=1)  # 32 rows are few now
    try:
        for dtype in (f32, f16, bf16):
            text = CPU.compile(matmul(dtype), Options()).text["llvm"]
            assert (f".{dtype}(" in text) == (dtype is not f32) and "phi i64 [ 1, %" in text  # one piece of k, or several
            run(matmul(dtype), dtype, m, n, k, 16, 16 * n)
    finally:
        CPU.machine = before


def test_one_row_reads_the_other_matrix_along_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """All columns in one program where one thread runs it, few rows side by side."""
    a, b = (np.random.default_rng(0).standard_normal(s, np.float32) for s in ((1, 192), (192, 1100)))
    options = {"ACTIVATION": None, "SUM": tl.float32, "BLOCK_M": 1, "BLOCK_K": 64, "GROUP": 8}
    _, columns, _ = for_product(CPU.machine, 1, 1100, 192, 4, programs=1)
    assert columns == 2048 and for_product(CPU.machine, 1, 1100, 192, 4)[1] == 1024
    out = [product(a, b, np.empty((1, 1100), np.float32), backend="cpu", num_threads=threads) for threads in (1, 2)]
    out.append(product(a, b, np.empty((1, 1100), np.float32), backend="interpreter"))
    assert out[0].tobytes() == out[1].tobytes() == out[2].tobytes()
    matmul_kernel.show(a, b, out[0], 1, 1100, 192, 192, 1, 1100, 1, 1100, 1, BLOCK_N=columns, **options, backend="cpu", stage="llvm")
    text = capsys.readouterr().out
    assert f"multiply.f32.1x{4 * CPU.machine.lanes()}.{columns}." in text
    assert "phi i64 [ 16, %" in text  # pieces of four rows


@tiledsl.jit
def widened(x, w, out, TIMES: tl.constexpr):
    k, n = tl.arange(0, 32), tl.arange(0, 128)
    total = tl.zeros((1, 128), tl.float32)
    for step in range(4):
        left = tl.load(x + (step * 32 + k)[None, :]).to(tl.float32)
        right = tl.load(w + (step * 32 + k)[:, None] * 128 + n[None, :]).to(tl.float32)
        if TIMES:
            tl.store(out + 128 + k[:, None] * 128 + n[None, :], right)  # kept, too
        total = tl.dot(left, right, total, input_precision="ieee")
    tl.store(out + n[None, :], total)


@pytest.mark.parametrize("times", [False, True])
def test_what_is_widened_before_a_product_is_read_in_place_too(times: bool) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 128)).astype(np.float16), rng.standard_normal((128, 128)).astype(np.float16)
    found = {}
    for backend in ("interpreter", "cpu"):
        found[backend] = np.zeros((33, 128), np.float32)
        text = widened[(1,)](x, w, found[backend], TIMES=times, backend=backend)
    assert found["interpreter"].tobytes() == found["cpu"].tobytes()
    assert (".f16(" in text.asm["llvm"]) or times


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("n", [64, 192, 200, 511])
def test_columns_that_end_inside_a_block_are_read_in_place(m: int, n: int) -> None:
    """Whole panels of them are; what lies behind is never part of a sum."""
    rng = np.random.default_rng(n)
    a, wide = rng.standard_normal((m, 96), np.float32), np.full((96, 600), np.nan, np.float32)
    wide[:, :n] = rng.standard_normal((96, n), np.float32)
    found = [
        product(a, wide[:, :n], np.empty((m, n), np.float32), blocks=(m, 512, 32), backend=backend) for backend in ("interpreter", "cpu")
    ]
    assert found[0].tobytes() == found[1].tobytes() and not np.isnan(found[1]).any()


@pytest.mark.parametrize("m", [1, 5, 6, 7, 11, 12, 16, 22, 23])
def test_rows_end_inside_any_panel(m: int) -> None:
    """16 rows are panels of 6 and of 5 of them, on a machine of AVX2: those behind the last row are left alone."""
    rng, before = np.random.default_rng(m), CPU.machine
    CPU.machine = before.but(rows=6, columns=2)
    a, b = rng.standard_normal((m, 40), np.float32), rng.standard_normal((40, 70), np.float32)
    try:
        found = [product(a, b, np.empty((m, 70), np.float32), blocks=(16, 64, 32), backend=backend) for backend in ("interpreter", "cpu")]
    finally:
        CPU.machine = before
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize(("rows", "steps"), [(6, 2), (8, 2)])
def test_a_micro_kernel_is_no_longer_than_keeps_it_busy(rows: int, steps: int) -> None:
    """LLVM takes its time over every line, so also what empties the slots of packed operands is written once."""
    before = CPU.machine
    CPU.machine = before.but(rows=rows, columns=2)
    try:
        text = CPU.compile(matmul(), Options()).text["llvm"]
        assert {name.split(".")[4] for name in re.findall(r"define .*@(multiply[^(]*)", text)} == {str(steps)}
        assert text.count("define internal void @clear.64(") == 1 and "x i64> zeroinitializer" not in text
        run(matmul(), f32, 50, 70, 300, 16, 16 * 70)
    finally:
        CPU.machine = before


BYTES = """kernel @bytes(%x: *{T}, %w: *{T}, %y: *i32) {{
  %one: i64 = constant {{value=1, type=i64}}
  %k: i64 = constant {{value={k}, type=i64}}
  %n: i64 = constant {{value={n}, type=i64}}
  %a: {T}[7,{k}] = load_block %x, %k, %one {{shape=[7,{k}], checked=[], masked=false, filled=false}}
  %b: {T}[{k},{n}] = load_block %w, {steps} {{shape=[{k},{n}], checked=[], masked=false, filled=false}}
  %zero: i32[7,{n}] = constant {{value=2147483000, type=i32[7,{n}]}}
  %c: i32[7,{n}] = dot %a, %b, %zero
  store_block %y, %c, %n, %one {{checked=[], masked=false}}
}}
"""


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("without", ["", "vnni"])
def test_bytes_are_multiplied_several_at_once(vector_bytes: int, turned: bool, without: str) -> None:
    """Sums wrap; depths that are no multiple leave products alone, and few columns fill no vector."""
    before = CPU.machine
    if vector_bytes > before.vector_bytes:
        pytest.skip("not on this processor")
    features = [name for name in before.features.split(",") if not without or without not in name]
    CPU.machine = before.but(vector_bytes=vector_bytes, features=",".join(features))
    quads, pairs = any(name in features for name in ("+avx512vnni", "+avxvnni")), "+sse2" in features
    try:
        for t, k, n in ((i8, 64, 32), (u8, 48, 40), (u8, 34, 48), (u8, 32, 4), (i8, 33, 16), (i8, 6, 2)):
            steps = "%one, %k" if turned else "%n, %one"
            text = BYTES.format(T=t, k=k, n=n, steps=steps)
            agree(text, tame(t, 7 * k), tame(t, k * n, 1), np.zeros(7 * n, np.int32))
            agree(text, *(np.full(size, np.iinfo(t.numpy).min or 255, t.numpy) for size in (7 * k, k * n)), np.zeros(7 * n, np.int32))
            written = CPU.compile(parse(text), Options()).text["llvm"]
            assert ("vpdpbusd" in written) == (quads and k % 16 == 0 and n >= 4)
            assert ("pmadd" in written) == (pairs and k % 2 == 0 and n >= 4 and "vpdpbusd" not in written)
        CPU.machine = CPU.machine.but(features="")
        assert "pmadd" not in CPU.compile(parse(BYTES.format(T=i8, k=64, n=32, steps="%n, %one")), Options()).text["llvm"]
    finally:
        CPU.machine = before


def test_processors_without_long_vectors_multiply_quads_too() -> None:
    """Compiled only: this processor may not be one of them."""
    before = CPU.machine
    if "+sse2" not in before.features:
        pytest.skip("for another architecture")
    CPU.machine = before.but(cpu="alderlake", features="+avx2,+avxvnni", vector_bytes=32, rows=6)
    try:
        program = CPU.compile(parse(BYTES.format(T=i8, k=64, n=32, steps="%n, %one")), Options())
        assert "vpdpbusd.256" in program.text["llvm"] and ".512" not in program.text["llvm"]
    finally:
        CPU.machine = before


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize(("m", "n", "k"), [(64, 32, 512), (50, 70, 601), (3, 33, 300)])
def test_products_of_bytes_agree(dtype: type, m: int, n: int, k: int) -> None:
    """Blocks at edges, loops in long steps, operands in place, copied and kept."""
    rng = np.random.default_rng(0)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    a, b = (rng.integers(low, high, s, dtype, endpoint=True) for s in ((m, k), (k, n)))
    a[0], b[:, 0] = low or high, low or high
    out = product(a, b, np.empty((m, n), np.int32), blocks=(32, 32, 32), backend="cpu") if dtype is np.int8 else np.empty((m, n), np.int32)
    if dtype is np.uint8:
        strides = (k, 1, n, 1, n, 1)
        options = {
            "ACTIVATION": None,
            "SUM": tl.int32,
            "BLOCK_M": 32,
            "BLOCK_N": 32,
            "BLOCK_K": 32,
            "GROUP": 2,
            "backend": "cpu",
        }
        matmul_kernel[(-(-m // 32) * -(-n // 32),)](a, b, out, m, n, k, *strides, **options)
    assert (out == a.astype(np.int32) @ b.astype(np.int32)).all()


def test_packed_operands_outlast_a_range_of_programs_but_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_ranges(run: Run, args: int, total: int, scratch: int, threads: int | None) -> None:
        arena = arena_of(scratch)
        for first in range(total):
            run(args, first | AGAIN * (first > 0), first + 1, arena)

    monkeypatch.setattr(cpu, "run_grid", in_ranges)
    a, b, c = (np.ones((96, n), np.float32) for n in (96, 32, 32))  # all programs multiply by the same block
    for number in (1, 2):  # the same memory, and other numbers in it
        b[...] = number
        product(a, b, c, blocks=(32, 32, 32), backend="cpu")
        assert (c == 96 * number).all()


EDGE = """kernel @edge(%x: *f32, %w: *f32, %y: *f32, %rows: i64, %left: i64, %columns: i64) {
  %zero: i64 = constant {value=0, type=i64}
  %one: i64 = constant {value=1, type=i64}
  %far: i64 = constant {value=32, type=i64}
  %none: f32[16,32] = constant {value=-0.0, type=f32[16,32]}
  %a: f32[16,24] = load_block %x, %far, %one, %zero, %rows, %zero, %left {shape=[16,24], checked=[0,1], masked=false, filled=false}
  %b: f32[24,32] = load_block %w, %far, %one, %zero, %left, %zero, %columns {shape=[24,32], checked=[0,1], masked=false, filled=false}
  %d: f32[16,32] = dot %a, %b, %none
  store_block %y, %d, %far, %one {checked=[], masked=false}
}
"""


@pytest.mark.parametrize("left", [-1, 0, 1, 3, 4, 7, 8, 23, 24, 99])
@pytest.mark.parametrize("rows,columns", [(16, 32), (5, 32), (16, 7), (-2, 40)])
def test_steps_beyond_the_edge_leave_no_trace(rows: int, columns: int, left: int) -> None:
    """But one: a sum of -0 becomes +0 where anything lies beyond, and nothing else does."""
    x, w = np.zeros(16 * 32, np.float32), np.full(24 * 32, -1, np.float32)
    w[::5] = np.nan  # not to be read beyond the edge
    w[: max(left, 0) * 32] = -1
    (y,) = (out for out in agree(EDGE, x, w, np.ones(16 * 32, np.float32), rows, left, columns)[2:])
    inside = np.signbit(y.reshape(16, 32)[: max(rows, 0), : max(columns, 0)])
    assert inside.all() if left >= 24 else not inside.any()
    agree(EDGE, tame(f32, x.size), tame(f32, w.size, 1), np.ones(16 * 32, np.float32), rows, left, columns)


@tiledsl.jit
def ragged(a, b, c, d, M, N, K, BLOCK: tl.constexpr, ROWS: tl.constexpr, TWICE: tl.constexpr):
    """A product under masks; also stored as a whole, or for other rows, if asked to be."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, 16):
        k = start + tl.arange(0, 16)
        x = tl.load(a + i[:, None] * K + k[None, :], mask=k[None, :] < K, other=0.0)
        y = tl.load(b + k[:, None] * N + j[None, :], mask=k[:, None] < K, other=0.0)
        total = tl.dot(x, y, total * 0.5)
        if TWICE:
            total = tl.dot(x, y, total)
    if ROWS:
        tl.store(d + i[:, None] * N + j[None, :], total, mask=i[:, None] < ROWS)
    tl.store(c + i[:, None] * N + j[None, :], total + 1, mask=(i[:, None] < M) & (j[None, :] < N))


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("other_rows", [0, 30])
@pytest.mark.parametrize("m,n,k", [(1, 100, 40), (31, 33, 16), (50, 64, 8), (0, 5, 5)])
def test_what_is_stored_is_multiplied(m: int, n: int, k: int, other_rows: int, twice: bool) -> None:
    rng = np.random.default_rng(m)
    a, b = rng.standard_normal((96, k)).astype(np.float32), rng.standard_normal((64 * k + 64, n)).astype(np.float32)
    outcomes = []
    for backend in ("interpreter", "cpu"):
        c, d = np.zeros((96, n), np.float32), np.zeros((96 + 64, n), np.float32)
        ragged[(2, -(-n // 32))](a, b, c, d, m, n, k, BLOCK=32, ROWS=other_rows, TWICE=twice, backend=backend)
        outcomes.append((c.tobytes(), d.tobytes()))
    assert outcomes[0] == outcomes[1]


def test_what_is_asked_for_is_found_however_many_ways_lead_to_the_store() -> None:
    """Sixty sums, each of the one before with itself, are 2**60 ways from the product to one store."""
    sums = "".join(f"  %s{i + 1}: f32[16,32] = add %s{i}, %s{i}\n" for i in range(60))
    store = "  store_block %y, %s60, %far, %one, %zero, %rows, %zero, %columns {checked=[0,1], masked=false}\n"
    head = EDGE[: EDGE.index("  store_block")].replace("%d:", "%s0:")
    for stores, expected in ((store, {0: "rows", 1: "columns"}), (store + store.replace("rows", "left"), {1: "columns"})):
        ((_, ends),) = asked(parse(head + sums + stores + "}\n")).items()
        assert {axis: end.name for axis, end in ends.items()} == expected


@pytest.mark.parametrize("dtype,total", [("f32", "f32"), ("f16", "f32"), ("i8", "i32"), ("f64", "f64")])
@pytest.mark.parametrize("m,k,n", [(60, 60, 60), (7, 12, 20), (1, 8, 3), (33, 5, 45), (16, 4, 24), (2, 6, 100)])
def test_extents_that_are_no_powers_of_two(m: int, k: int, n: int, dtype: str, total: str) -> None:
    """The last panel of columns is cut; nothing beyond the block is read or written."""
    types = {"f32": f32, "f16": f16, "i8": i8, "i32": i32, "f64": f64}
    text = f"""kernel @odd(%x: *{dtype}, %w: *{dtype}, %y: *{total}, %left: i64) {{
  %zero: i64 = constant {{value=0, type=i64}}
  %one: i64 = constant {{value=1, type=i64}}
  %k: i64 = constant {{value={k}, type=i64}}
  %n: i64 = constant {{value={n}, type=i64}}
  %a: {dtype}[{m},{k}] = load_block %x, %k, %one, %zero, %left {{shape=[{m},{k}], checked=[1], masked=false, filled=false}}
  %b: {dtype}[{k},{n}] = load_block %w, %n, %one, %zero, %left {{shape=[{k},{n}], checked=[0], masked=false, filled=false}}
  %c: {total}[{m},{n}] = load_block %y, %n, %one {{shape=[{m},{n}], checked=[], masked=false, filled=false}}
  %d: {total}[{m},{n}] = dot %a, %b, %c
  store_block %y, %d, %n, %one {{checked=[], masked=false}}
}}
"""
    for left in (k, k // 2):
        agree(text, tame(types[dtype], m * k), tame(types[dtype], k * n, 1), tame(types[total], m * n, 2), left)
