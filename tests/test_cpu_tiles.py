"""Blocks, shapes, folds and products on the CPU, with extents that fit no vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from cpu_kernels import FLOATS, INTS, agree, block, block_store, dense, sample, tame, tile

from tiledsl.ir.types import LOWERED, DType, bf16, f16, f32, f64, i1, i8, i32, i64, u8


@pytest.mark.parametrize("dtype", [f32, bf16, i8, f64], ids=str)
@pytest.mark.parametrize(
    ("lo", "hi"), [(0, 100), (0, 37), (3, 50), (-5, 200), (10, 4), (0, 0), (99, 100), (0, 96), (-(2**63), 2**63 - 1), (2**63 - 1, -(2**63))]
)
def test_bounds_of_a_block(dtype: DType, lo: int, hi: int) -> None:
    text = f"kernel @k(%x: *{dtype}, %y: *{dtype}, %lo: i64, %hi: i64, %fill: {dtype}) {{"
    text += block("a", "x", dtype, [100], [1], {0: ("lo", "hi")}, "fill")
    text += f"\n  %b: {dtype}[100] = add %a, %a" + block_store("b", "y", [100], [1]) + "\n}\n"
    agree(text, sample(dtype, 100), np.zeros(100, dtype.storage), lo, hi, 7)
    text = f"kernel @k(%x: *{dtype}, %y: *{dtype}, %lo: i64, %hi: i64) {{"
    text += block("a", "x", dtype, [100], [1], {0: ("lo", "hi")})
    text += f"\n  %b: {dtype}[100] = add %a, %a" + block_store("b", "y", [100], [1], {0: ("lo", "hi")}) + "\n}\n"
    agree(text, sample(dtype, 100), np.zeros(100, dtype.storage), lo, hi)


@pytest.mark.parametrize(
    "strides",
    [
        ([20, 1], [20, 1]),
        ([1, 6], [20, 1]),
        ([20, 1], [1, 6]),
        ([20, -1], [40, 2]),
        ([0, 1], [1, 10]),
        ([0, 0], [20, 1]),
        ([20, 1], [3, 1]),
    ],
    ids=str,
)
def test_blocks_of_two_dimensions(strides: tuple[list[int], list[int]]) -> None:
    start = 19 if -1 in strides[0] else 0
    text = "kernel @k(%x: *f32, %y: *f32, %m: i64, %n: i64, %start: i32) {\n  %zero: i64 = constant {value=0, type=i64}"
    text += "\n  %p: *f32 = offset %x, %start"
    bounds = {0: ("zero", "m"), 1: ("zero", "n")}
    text += (
        block("a", "p", f32, [6, 20], strides[0], bounds)
        + "\n  %b: f32[6,20] = neg %a"
        + block_store("b", "y", [6, 20], strides[1], bounds)
        + "\n}\n"
    )
    for m, n in ((6, 20), (5, 17), (0, 3), (1, 1)):
        agree(text, sample(f32, 200), np.zeros(400, np.float32), m, n, start)


def test_broadcast_transpose_and_reshape() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %z: *f32) {"
    text += block("a", "x", f32, [12, 40], [40, 1]) + block("row", "x", f32, [1, 12], [0, 3]) + block("one", "x", f32, [1], [0])
    text += """
  %t: f32[40,12] = transpose %a {order=[1,0]}
  %wide: f32[40,12] = broadcast %row {shape=[40,12]}
  %sum: f32[40,12] = mul %t, %wide
  %flat: f32[480] = reshape %sum {shape=[480]}
  %cube: f32[4,5,24] = reshape %flat {shape=[4,5,24]}
  %turned: f32[24,4,5] = transpose %cube {order=[2,0,1]}
  %s: f32 = reshape %one {shape=[]}
  %fill: f32[24,4,5] = broadcast %s {shape=[24,4,5]}
  %out: f32[24,4,5] = add %turned, %fill
  %thin: f32[24,1,4,5,1] = reshape %out {shape=[24,1,4,5,1]}"""
    text += (
        block_store("out", "y", [24, 4, 5], dense([24, 4, 5]))
        + block_store("thin", "z", [24, 1, 4, 5, 1], dense([24, 1, 4, 5, 1]))
        + "\n}\n"
    )
    agree(text.replace("shape=[]", "shape=[]"), sample(f32, 480), np.zeros(480, np.float32), np.zeros(480, np.float32))


def test_a_very_long_expression() -> None:
    text = "kernel @k(%x: *f32, %y: *f32) {" + block("a0", "x", f32, [40], [1])
    for n in range(600):
        text += f"\n  %a{n + 1}: f32[40] = {'add' if n % 3 else 'sub'} %a{n}, %a{max(n - 1, 0)}"
    agree(text + block_store("a600", "y", [40], [1]) + "\n}\n", tame(f32, 40), np.zeros(40, np.float32))


# --- folds


def folded(op: str, dtype: DType, shape: Sequence[int], axis: int, combine: str, attrs: str = "", bounded: bool = False) -> str:
    result = [*shape[:axis], *shape[axis + 1 :]] if op == "reduce" else list(shape)
    text = f"kernel @fold(%x: *{dtype}, %y: *{dtype}, %n: i64, %fill: {dtype}) {{\n  %zero: i64 = constant {{value=0, type=i64}}"
    last = len(shape) - 1
    text += block("a", "x", dtype, shape, dense(shape), {last: ("zero", "n")} if bounded else None, "fill" if bounded else "")
    text += f"\n  %r: {tile(dtype, result)} = {op} %a {{axis={axis}{attrs}}} {{\n  ^(%p: {dtype}, %q: {dtype}):{combine}\n  }}"
    if result:
        return text + block_store("r", "y", result, dense(result)) + "\n}\n"
    return text + "\n  store %y, %r\n}\n"


COMBINES = {
    "add": "\n    %c: {t} = add %p, %q\n    yield %c",
    "max": "\n    %c: {t} = maximum %p, %q\n    yield %c",
    "odd": "\n    %d: {t} = add %p, %p\n    %c: {t} = sub %d, %q\n    yield %c",
    "last": "\n    yield %q",
}
SHAPES = [  # (shape, folded axis)
    *(((n,), 0) for n in (1, 5, 8, 16, 32, 33, 64, 96, 100, 1024)),
    *(((4, 16), 1), ((4, 16), 0), ((70, 9), 0), ((3, 64), 1), ((64, 3), 0), ((6, 1), 1), ((1, 6), 0), ((128, 1), 0)),
    *(((2, 40, 5), 1), ((3, 4, 128), 2), ((33, 2, 2), 0)),
]


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_reductions_agree(shape: tuple[int, ...], axis: int, combine: str) -> None:
    size = int(np.prod(shape))
    for dtype in (f32, f16, i8, i64) if combine != "odd" else (f32, i32):
        body = COMBINES[combine].format(t=dtype)
        agree(folded("reduce", dtype, shape, axis, body), tame(dtype, size), np.zeros(size, dtype.storage), 0, 0)
    agree(
        folded("reduce", f32, shape, axis, COMBINES[combine].format(t=f32), bounded=True),
        sample(f32, size),
        np.zeros(size, np.float32),
        shape[-1] * 2 // 3,
        -1.5,
    )


@pytest.mark.parametrize("bound", [0, 1, 31, 32, 33, 64, 70, 127, 200])
def test_reductions_with_constant_bounds(bound: int) -> None:
    for combine in COMBINES.values():
        text = folded("reduce", f32, [128], 0, combine.format(t=f32), bounded=True).replace("%n: i64", "%unused: i64")
        text = text.replace("  %zero:", f"  %n: i64 = constant {{value={bound}, type=i64}}\n  %zero:")
        agree(text, sample(f32, 128), np.zeros(1, np.float32), 0, 2.5)


@pytest.mark.parametrize("op", ["add", "mul", "maximum", "minimum", "maximum_nan", "minimum_nan", "and", "or", "xor"])
def test_neutral_elements_change_nothing(op: str) -> None:
    for dtype in [i1, *INTS] if op in ("and", "or", "xor") else FLOATS if "nan" in op else LOWERED:
        values = sample(dtype, 128)
        if dtype.is_float:
            values[::3] = dtype.encode(dtype.round(np.array([-0.0])))[0]
        agree(folded("reduce", dtype, [128], 0, f"\n    %c: {dtype} = {op} %p, %q\n    yield %c"), values, np.zeros(1, dtype.storage), 0, 0)
    for value in (np.nan, -0.0, np.inf, -np.inf):
        if op not in ("and", "or", "xor"):
            agree(
                folded("reduce", f32, [64], 0, f"\n    %c: f32 = {op} %p, %q\n    yield %c"),
                np.full(64, value, np.float32),
                np.zeros(1, np.float32),
                0,
                0,
            )


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_scans_agree(shape: tuple[int, ...], axis: int) -> None:
    size = int(np.prod(shape))
    for reverse in ("true", "false"):
        for dtype in (f32, bf16, i32):
            agree(
                folded("scan", dtype, shape, axis, COMBINES["add"].format(t=dtype), f", reverse={reverse}"),
                tame(dtype, size),
                np.zeros(size, dtype.storage),
                0,
                0,
            )


@pytest.mark.parametrize(("shape", "axis"), [((64,), 0), ((5, 32), 1), ((40, 6), 0), ((7,), 0)], ids=str)
def test_a_reduction_of_two_operands(shape: tuple[int, ...], axis: int) -> None:
    rest = [*shape[:axis], *shape[axis + 1 :]]
    count = shape[axis]
    wide = [count if d == axis else 1 for d in range(len(shape))]
    text = "kernel @argmax(%x: *f32, %v: *f32, %i: *i32) {" + block("a", "x", f32, shape, dense(shape))
    text += f"""
  %range: i32[{count}] = arange {{start=0, stop={count}}}
  %thin: {tile(i32, wide)} = reshape %range {{shape={wide}}}
  %index: {tile(i32, shape)} = broadcast %thin {{shape={list(shape)}}}
  %best: {tile(f32, rest)}, %place: {tile(i32, rest)} = reduce %a, %index {{axis={axis}}} {{
  ^(%p: f32, %j: i32, %q: f32, %k: i32):
    %more: i1 = gt %p, %q
    %same: i1 = eq %p, %q
    %less: i1 = lt %j, %k
    %tie: i1 = and %same, %less
    %first: i1 = or %more, %tie
    %b: f32 = select %first, %p, %q
    %c: i32 = select %first, %j, %k
    yield %b, %c
  }}"""
    text += (
        block_store("best", "v", rest, dense(rest)) + block_store("place", "i", rest, dense(rest))
        if rest
        else "\n  store %v, %best\n  store %i, %place"
    ) + "\n}\n"
    values = np.random.default_rng(0).integers(0, 9, int(np.prod(shape))).astype(np.float32)
    agree(text, values, np.zeros(values.size, np.float32), np.zeros(values.size, np.int32))


# --- products


@pytest.mark.parametrize("dtype", [f32, f16, bf16, f64, i8, u8], ids=str)
@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 1, 1), (16, 32, 8), (5, 7, 3), (64, 64, 32), (13, 48, 10), (2, 40, 33), (32, 1, 16)], ids=str
)
def test_products_agree(dtype: DType, m: int, n: int, k: int) -> None:
    acc = {f64: f64, i8: i32, u8: i32}.get(dtype, f32)
    for a, b in (([k, 1], [n, 1]), ([k, 1], [1, k]), ([1, m], [n, 1]), ([1, m], [1, k]), ([k, 1], [0, 1])):
        text = (
            f"kernel @dot(%x: *{dtype}, %w: *{dtype}, %y: *{acc}) {{"
            + block("a", "x", dtype, [m, k], a)
            + block("b", "w", dtype, [k, n], b)
        )
        text += block("c", "y", acc, [m, n], [n, 1]) + f"\n  %d: {tile(acc, [m, n])} = dot %a, %b, %c"
        text += block_store("d", "y", [m, n], [n, 1]) + "\n}\n"
        agree(text, tame(dtype, m * k), tame(dtype, k * n, 1), tame(acc, m * n, 2))


MATMUL = """kernel @matmul(%x: *f16, %w: *f16, %y: *f32, %m: i64, %n: i64, %k: i64) {
  %zero: i64 = constant {value=0, type=i64}
  %one: i64 = constant {value=1, type=i64}
  %bk: i64 = constant {value=16, type=i64}
  %bm: i64 = constant {value=32, type=i64}
  %px: i32 = program_id {axis=0}
  %py: i32 = program_id {axis=1}
  %qx: i64 = cast %px {to=i64}
  %qy: i64 = cast %py {to=i64}
  %i: i64 = mul %qx, %bm
  %j: i64 = mul %qy, %bm
  %rows: i64 = sub %m, %i
  %columns: i64 = sub %n, %j
  %ik: i64 = mul %i, %k
  %a0: *f16 = offset %x, %ik
  %b0: *f16 = offset %w, %j
  %in: i64 = mul %i, %n
  %inj: i64 = add %in, %j
  %c0: *f32 = offset %y, %inj
  %nothing: f32[32,32] = constant {value=0.0, type=f32[32,32]}
  %step: i64 = mul %bk, %n
  %sum: f32[32,32], %pa: *f16, %pb: *f16 = for %zero, %k, %bk, %nothing, %a0, %b0 {
  ^(%t: i64, %acc: f32[32,32], %ap: *f16, %bp: *f16):
    %left: i64 = sub %k, %t
    %a: f16[32,16] = load_block %ap, %k, %one, %zero, %rows, %zero, %left {shape=[32,16], checked=[0,1], masked=false, filled=false}
    %b: f16[16,32] = load_block %bp, %n, %one, %zero, %left, %zero, %columns {shape=[16,32], checked=[0,1], masked=false, filled=false}
    %d: f32[32,32] = dot %a, %b, %acc
    %an: *f16 = offset %ap, %bk
    %bn: *f16 = offset %bp, %step
    yield %d, %an, %bn
  }
  %half: f32 = constant {value=0.5, type=f32}
  %halves: f32[32,32] = broadcast %half {shape=[32,32]}
  %scaled: f32[32,32] = mul %sum, %halves
  store_block %c0, %scaled, %n, %one, %zero, %rows, %zero, %columns {checked=[0,1], masked=false}
}
"""


@pytest.mark.parametrize(("m", "n", "k"), [(64, 64, 64), (50, 70, 41), (3, 5, 1)])
def test_a_whole_matrix_product(m: int, n: int, k: int) -> None:
    agree(MATMUL, tame(f16, m * k), tame(f16, k * n), np.zeros(m * n, np.float32), m, n, k, grid=(-(-m // 32), -(-n // 32)))
