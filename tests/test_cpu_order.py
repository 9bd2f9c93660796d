"""What happens in which order on the CPU: loops, branches, gathers, atomics, and loads among stores."""

from __future__ import annotations

import numpy as np
import pytest
from cpu_kernels import CPU, INTS, agree, block, block_store, elements, sample, stored, tame

from tiledsl.backend.base import Options
from tiledsl.ir.parser import parse
from tiledsl.ir.types import DType, bf16, f16, f32, f64, i1, i16, i32, i64, u8


def test_loops_carry_scalars_and_tiles() -> None:
    text = (
        "kernel @k(%x: *f32, %y: *f32, %lo: i32, %hi: i32, %step: i32) {"
        + block("a", "x", f32, [2, 20], [20, 1])
        + block("c", "x", f32, [2, 20], [0, 2])
    )
    text += """
  %s: i32, %u: f32[2,20], %v: f32[2,20], %w: f32[2,20] = for %lo, %hi, %step, %lo, %a, %c, %c {
  ^(%i: i32, %t: i32, %p: f32[2,20], %q: f32[2,20], %o: f32[2,20]):
    %n: i32 = add %t, %i
    %f: f32 = cast %i {to=f32}
    %wide: f32[2,20] = broadcast %f {shape=[2,20]}
    %r: f32[2,20] = sub %q, %wide
    %z: f32[2,20] = mul %p, %o
    yield %n, %r, %p, %z
  }
  %g: f32 = cast %s {to=f32}
  %wg: f32[2,20] = broadcast %g {shape=[2,20]}
  %e: f32[2,20] = add %u, %wg
  %e2: f32[2,20] = sub %e, %w"""
    text += (
        block_store("e2", "y", [2, 20], [20, 1])
        + "\n  %off: i32 = constant {value=40, type=i32}\n  %y2: *f32 = offset %y, %off"
        + block_store("v", "y2", [2, 20], [20, 1])
        + "\n}\n"
    )
    for lo, hi, step in (
        (0, 5, 1),
        (0, 5, 2),
        (5, 0, -2),
        (3, 3, 1),
        (0, 3, 0),
        (7, 2, 1),
        (2**31 - 3, 2**31 - 1, 5),
        (-(2**31), 2**31 - 1, 2**30),
    ):
        agree(text, tame(f32, 80), np.zeros(80, np.float32), lo, hi, step)


@pytest.mark.parametrize("index", INTS, ids=str)
def test_loop_indices_of_every_type(index: DType) -> None:
    info = np.iinfo(index.numpy)
    text = f"""kernel @k(%y: *{index}, %lo: {index}, %hi: {index}, %step: {index}) {{
  %r: {index} = for %lo, %hi, %step, %lo {{
  ^(%i: {index}, %c: {index}):
    %t: {index} = constant {{value=3, type={index}}}
    %m: {index} = mul %c, %t
    %n: {index} = add %m, %i
    yield %n
  }}
  store %y, %r
}}
"""
    cases = [(0, 5, 1), (info.max - 5, info.max, 3), (info.min, info.min + 4, 1), (info.min, info.max, info.max // 2)]
    for lo, hi, step in cases + ([(5, -3, -2), (0, info.min, info.min)] if info.min else []):
        agree(text, np.zeros(1, index.storage), lo, hi, step)


def test_a_product_of_what_it_accumulates_into() -> None:
    for operands in ("%acc, %b, %acc", "%b, %acc, %acc", "%h, %b, %h", "%b, %h, %h", "%h, %h, %acc"):
        text = (
            "kernel @k(%x: *f32, %y: *f32, %n: i32) {" + block("a", "x", f32, [16, 16], [16, 1]) + block("b", "y", f32, [16, 16], [16, 1])
        )
        text += f"""
  %zero: i32 = constant {{value=0, type=i32}}
  %one: i32 = constant {{value=1, type=i32}}
  %r: f32[16,16] = for %zero, %n, %one, %a {{
  ^(%i: i32, %acc: f32[16,16]):
    %half: f32[16,16] = constant {{value=0.5, type=f32[16,16]}}
    %h: f32[16,16] = mul %acc, %half
    %d: f32[16,16] = dot {operands}
    yield %d
  }}"""
        agree(text + block_store("r", "x", [16, 16], [16, 1]) + "\n}\n", tame(f32, 256), tame(f32, 256, 1), 3)


def test_while_carries_scalars_and_tiles() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %limit: i32) {" + block("a", "x", f32, [37], [1])
    text += """
  %zero: i32 = constant {value=0, type=i32}
  %n: i32, %r: f32[37] = while %zero, %a {
  ^(%i: i32, %t: f32[37]):
    %total: f32 = reduce %t {axis=0} {
    ^(%p: f32, %q: f32):
      %m: f32 = maximum %p, %q
      yield %m
    }
    %big: f32 = constant {value=100.0, type=f32}
    %small: i1 = lt %total, %big
    %early: i1 = lt %i, %limit
    %go: i1 = and %small, %early
    yield %go
  ^(%j: i32, %u: f32[37]):
    %one: i32 = constant {value=1, type=i32}
    %next: i32 = add %j, %one
    %double: f32[37] = add %u, %u
    yield %next, %double
  }
  %f: f32 = cast %n {to=f32}
  %wide: f32[37] = broadcast %f {shape=[37]}
  %out: f32[37] = add %r, %wide"""
    for limit in (0, 3, 1000):
        agree(text + block_store("out", "y", [37], [1]) + "\n}\n", tame(f32, 37), np.zeros(37, np.float32), limit)


def test_branches_choose_tiles_and_effects() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %c: i1) {" + block("a", "x", f32, [50], [1])
    text += """
  %b: f32[50], %s: f32 = if %c {
  ^():
    %n: f32[50] = neg %a
    %one: f32 = constant {value=1.0, type=f32}
    store %y, %one
    yield %n, %one
  ^():
    %two: f32 = constant {value=2.0, type=f32}
    yield %a, %two
  }
  %wide: f32[50] = broadcast %s {shape=[50]}
  %r: f32[50] = mul %b, %wide
  %off: i32 = constant {value=1, type=i32}
  %y1: *f32 = offset %y, %off"""
    for c in (0, 1):
        agree(text + block_store("r", "y1", [50], [1]) + "\n}\n", sample(f32, 50), np.zeros(51, np.float32), c)


# --- memory


@pytest.mark.parametrize("dtype", [i1, u8, i16, f16, bf16, f32, i64, f64], ids=str)
def test_gather_and_scatter(dtype: DType) -> None:
    size = 77
    text = (
        f"kernel @k(%x: *{dtype}, %at: *i32, %to: *i32, %m: *i1, %y: *{dtype}) {{"
        + elements("i", "at", i32, size)
        + elements("j", "to", i32, size)
        + elements("mask", "m", i1, size)
    )
    text += f"""
  %xb: *{dtype}[{size}] = broadcast %x {{shape=[{size}]}}
  %xp: *{dtype}[{size}] = offset %xb, %i
  %first: {dtype} = load %x
  %other: {dtype}[{size}] = broadcast %first {{shape=[{size}]}}
  %v: {dtype}[{size}] = load %xp, %mask, %other
  %w: {dtype}[{size}] = load %xp, %mask
  %e: i1[{size}] = eq %v, %w
  %z: {dtype}[{size}] = select %e, %v, %other
  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}
  %yp: *{dtype}[{size}] = offset %yb, %j
  store %yp, %z, %mask
}}
"""
    rng = np.random.default_rng(3)
    at, to = (rng.integers(0, 30, size).astype(np.int32) for _ in range(2))
    mask = rng.integers(0, 2, size).astype(np.uint8)
    at[mask == 0] = 2**30  # lanes that must not be read
    agree(text, tame(dtype, 30), at, to, mask, np.zeros(30, dtype.storage))


def test_one_address_with_a_value_for_each_masked_lane() -> None:
    text = "kernel @k(%x: *f32, %y: *f32, %m: i1) {" + block("a", "x", f32, [40], [1])
    text += """
  %p: *f32[40] = broadcast %x {shape=[40]}
  %mask: i1[40] = broadcast %m {shape=[40]}
  %b: f32[40] = load %p, %mask, %a"""
    for m in (0, 1):
        agree(text + block_store("b", "y", [40], [1]) + "\n}\n", tame(f32, 40), np.zeros(40, np.float32), m)


@pytest.mark.parametrize("dtype", [i32, u8, i16, i64, f32, f16, bf16, f64], ids=str)
@pytest.mark.parametrize("kind", ["add", "max", "min", "xchg", "and", "or", "xor"])
def test_atomics_agree(dtype: DType, kind: str) -> None:
    if dtype.is_float and kind in ("and", "or", "xor"):
        return
    size = 45
    text = (
        f"kernel @k(%x: *{dtype}, %to: *i32, %m: *i1, %y: *{dtype}, %z: *{dtype}) {{"
        + elements("v", "x", dtype, size)
        + elements("j", "to", i32, size)
        + elements("mask", "m", i1, size)
    )
    text += f"""
  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}
  %yp: *{dtype}[{size}] = offset %yb, %j
  %old: {dtype}[{size}] = atomic_rmw %yp, %v, %mask {{kind={kind}}}
  %all: {dtype}[{size}] = atomic_rmw %yp, %v {{kind={kind}}}
  %first: {dtype} = load %x
  %one: {dtype} = atomic_rmw %y, %first {{kind={kind}}}
  %o: {dtype}[{size}] = broadcast %one {{shape=[{size}]}}
  %s1: {dtype}[{size}] = maximum %old, %all
  %s: {dtype}[{size}] = minimum %s1, %o{stored("s", "z", dtype, size)}
}}
"""
    rng = np.random.default_rng(3)
    agree(
        text,
        sample(dtype, size),
        rng.integers(0, 9, size).astype(np.int32),
        rng.integers(0, 2, size).astype(np.uint8),
        sample(dtype, 9, 5),
        np.zeros(size, dtype.storage),
    )


@pytest.mark.parametrize("dtype", [i32, i64, f32, f16, u8], ids=str)
def test_compare_and_swap_agrees(dtype: DType) -> None:
    size = 20
    text = (
        f"kernel @k(%x: *{dtype}, %w: *{dtype}, %to: *i32, %y: *{dtype}, %z: *{dtype}) {{"
        + elements("e", "x", dtype, size)
        + elements("v", "w", dtype, size)
        + elements("j", "to", i32, size)
    )
    text += f"""
  %yb: *{dtype}[{size}] = broadcast %y {{shape=[{size}]}}
  %yp: *{dtype}[{size}] = offset %yb, %j
  %old: {dtype}[{size}] = atomic_cas %yp, %e, %v{stored("old", "z", dtype, size)}
}}
"""
    few = np.random.default_rng(1).integers(0, 3, (3, size))
    x, w, y = (
        np.ascontiguousarray(dtype.encode(dtype.round(f.astype(np.float64))) if dtype.is_float else f.astype(dtype.storage)) for f in few
    )
    agree(text, x, w, np.random.default_rng(2).integers(0, 5, size).astype(np.int32), y, np.zeros(size, dtype.storage))


def test_a_load_keeps_its_place_before_a_store() -> None:
    text = (
        "kernel @k(%x: *f32, %y: *f32) {"
        + block("a", "x", f32, [100], [1])
        + "\n  %b: f32[100] = neg %a"
        + block_store("b", "y", [100], [1])
    )
    text += (
        block("c", "x", f32, [100], [1])
        + "\n  %d: f32[100] = add %a, %c\n  %h: i32 = constant {value=100, type=i32}\n  %y2: *f32 = offset %y, %h"
        + block_store("d", "y2", [100], [1])
        + "\n}\n"
    )
    agree(text, tame(f32, 100), np.zeros(200, np.float32))
    for shift in (0, 1, 3, 20):  # the output overlaps the input
        whole = tame(f32, 400)
        agree(text, whole[shift : shift + 100], whole[:200])
        agree(text, whole[:100], whole[shift : shift + 200])


def test_in_place_through_one_pointer() -> None:
    text = "kernel @k(%x: *f32) {" + block("a", "x", f32, [100], [1]) + "\n  %b: f32[100] = neg %a" + block_store("b", "x", [100], [1])
    text += (
        "\n  %one: i32 = constant {value=1, type=i32}\n  %p: *f32 = offset %x, %one"
        + block("c", "x", f32, [100], [1]).replace("%c", "%c")
        + block_store("c", "p", [100], [1])
    )
    text += (
        block("d", "p", f32, [10, 10], [10, 1])
        + "\n  %t: f32[10,10] = transpose %d {order=[1,0]}"
        + block_store("t", "p", [10, 10], [10, 1]).replace(".t", ".u")
        + "\n}\n"
    )
    agree(text, tame(f32, 120))


def test_a_loop_that_reads_what_it_wrote() -> None:
    text = "kernel @k(%x: *f32, %n: i32) {" + block("a", "x", f32, [40], [1])
    text += (
        """
  %zero: i32 = constant {value=0, type=i32}
  %one: i32 = constant {value=1, type=i32}
  for %zero, %n, %one {
  ^(%i: i32):
    %p: *f32 = offset %x, %i"""
        + block("b", "p", f32, [40], [1])
        + "\n    %c: f32[40] = add %a, %b\n    %q: *f32 = offset %p, %one"
        + block_store("c", "q", [40], [1])
        + "\n    yield\n  }\n}\n"
    )
    agree(text, tame(f32, 60), 5)


def test_a_grid_of_three_axes() -> None:
    text = """kernel @k(%y: *i32) {
  %x: i32 = program_id {axis=0}
  %b: i32 = program_id {axis=1}
  %c: i32 = program_id {axis=2}
  %nx: i32 = num_programs {axis=0}
  %ny: i32 = num_programs {axis=1}
  %nz: i32 = num_programs {axis=2}
  %t: i32 = mul %c, %ny
  %u: i32 = add %t, %b
  %v: i32 = mul %u, %nx
  %w: i32 = add %v, %x
  %p: *i32 = offset %y, %w
  %o: i32 = mul %w, %nz
  store %p, %o
}
"""
    agree(text, np.zeros(3 * 5 * 7, np.int32), grid=(3, 5, 7))


def test_addresses_that_no_array_was_passed_for_may_be_the_same() -> None:
    text = "kernel @k(%a: i64, %b: i64) {\n  %x: *f32 = pointer %a {to=f32}\n  %y: *f32 = pointer %b {to=f32}"
    text += block("v", "x", f32, [16], [1]) + "\n  %w: f32[16] = add %v, %v" + block_store("w", "y", [16], [1])
    text += "\n  %z: f32[16] = add %v, %v\n  %last: i64 = constant {value=16, type=i64}\n  %there: *f32 = offset %y, %last"
    text += block_store("z", "there", [16], [1]) + "\n}\n"
    kernel = parse(text)
    memory = np.arange(32, dtype=np.float32)
    CPU.launch(CPU.compile(kernel, Options()), (1, 1, 1), [memory.ctypes.data, memory.ctypes.data], Options())
    assert memory.tolist() == [2.0 * n for n in range(16)] * 2
