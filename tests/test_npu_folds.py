"""Reductions, scans and products on the accelerator have the interpreter's bits, in the same order."""

import numpy as np
import pytest
from npu_text import GRID2, NPU, agree, load, plain, store

from tiledsl.backend.base import Options
from tiledsl.ir.parser import parse
from tiledsl.ir.types import bf16, f16, f32, f64, i8, i32, u8

# --- reductions and scans


def fold(kind, dtype, axis, body, length=16, extra=""):
    shape = "[16]" if axis == 0 else "[8]"
    out = f"{dtype}[8,16]" if kind == "scan" else f"{dtype}{shape}"
    attrs = f"axis={axis}{extra}"
    return f"""kernel @k(%a: *{dtype}, %o: *{dtype}) {{{GRID2}{load("x", "a", dtype, "[8,16]")}
  %v: {out} = {kind} %x {{{attrs}}} {{
  ^(%p: {dtype}, %q: {dtype}):
{body}
  }}{store("o", dtype, "%v", "[8,16]", "%r") if kind == "scan" else store("o", dtype, "%v", shape, "%rj" if axis == 0 else "%ri")}
}}
"""


ONE = "    %s: {d} = {op} %p, %q\n    yield %s"
TWO = "    %s: {d} = {op} %p, %q\n    %c: {d} = constant {{value={one}, type={d}}}\n    %e: {d} = {op} %s, %c\n    yield %e"


@pytest.mark.parametrize("dtype", [f32, f16, bf16, f64, i32, u8], ids=str)
@pytest.mark.parametrize("axis", [0, 1])
def test_reductions_and_scans(dtype, axis):
    for op in ("add", "maximum"):
        for body in (ONE, TWO):
            text = body.format(d=dtype, op=op, one="1.0" if dtype.is_float else "1")
            agree(fold("reduce", dtype, axis, text), plain(dtype, 128), np.zeros(128, dtype.storage))
            for reverse in ("false", "true"):
                agree(fold("scan", dtype, axis, text, extra=f", reverse={reverse}"), plain(dtype, 128), np.zeros(128, dtype.storage))


@pytest.mark.parametrize("length", [1, 2, 3, 31, 32, 33, 63, 64, 100, 256])
def test_reductions_of_any_length_keep_the_order(length):
    for body in (ONE, TWO):
        inner = body.format(d="f32", op="add", one="1.0")
        text = f"""kernel @k(%a: *f32, %o: *f32) {{
  %r: i32[{length}] = arange {{start=0, stop={length}}}{load("x", "a", f32, f"[{length}]")}
  %v: f32 = reduce %x {{axis=0}} {{
  ^(%p: f32, %q: f32):
{inner}
  }}
  %w: f32 = add %v, %v
  store %o, %w
}}
"""
        agree(text, plain(f32, length), np.zeros(1, np.float32))


SWAPS = "    %s: f32 = mul %p, %q2\n    %t: f32 = add %s, %p2\n    yield %p2, %t"  # what is carried changes places


@pytest.mark.parametrize("length", [3, 64, 200, 513])
@pytest.mark.parametrize("kind", ["reduce", "scan"])
@pytest.mark.parametrize("reverse", ["false", "true"])
def test_long_folds_are_loops(length, kind, reverse):
    shape = f"[{length}]" if kind == "scan" else ""
    attrs = f"axis=0, reverse={reverse}" if kind == "scan" else "axis=0"
    out = "store_block %o, %y, %one {checked=[], masked=false}" if kind == "scan" else "store %o, %y"
    text = f"""kernel @k(%a: *f32, %b: *f32, %o: *f32) {{
  %one: i64 = constant {{value=1, type=i64}}
  %two: i64 = constant {{value=2, type=i64}}
  %x: f32[{length}] = load_block %a, %one {{shape=[{length}], checked=[], masked=false, filled=false}}
  %z: f32[{length}] = load_block %b, %two {{shape=[{length}], checked=[], masked=false, filled=false}}
  %v: f32{shape}, %w: f32{shape} = {kind} %x, %z {{{attrs}}} {{
  ^(%p: f32, %p2: f32, %q: f32, %q2: f32):
{SWAPS}
  }}
  %y: f32{shape} = sub %v, %w
  {out}
}}
"""
    agree(text, plain(f32, length), plain(f32, 2 * length, 1), np.zeros(length, np.float32))
    assert len(NPU.compile(parse(text), Options()).text["asm"].splitlines()) < 1500


def test_argmax_is_a_reduction_of_pairs():
    text = f"""kernel @k(%a: *f32, %o: *i32) {{{GRID2}{load("x", "a", f32, "[8,16]")}
  %m: f32[8], %v: i32[8] = reduce %x, %cb {{axis=1}} {{
  ^(%p: f32, %pi: i32, %q: f32, %qi: i32):
    %gt: i1 = gt %p, %q
    %eq: i1 = eq %p, %q
    %lt: i1 = lt %pi, %qi
    %tie: i1 = and %eq, %lt
    %keep: i1 = or %gt, %tie
    %s: f32 = select %keep, %p, %q
    %i: i32 = select %keep, %pi, %qi
    yield %s, %i
  }}{store("o", i32, "%v", "[8]", "%ri")}
}}
"""
    data = np.random.default_rng(0).integers(0, 5, 128).astype(np.float32)
    (_, found), _ = agree(text, data, np.zeros(8, np.int32))
    assert (found == data.reshape(8, 16).argmax(1)).all()


def test_softmax_of_4096_columns():
    shape = "[4096]"
    text = f"""kernel @k(%a: *f32, %o: *f32) {{
  %r: i32{shape} = arange {{start=0, stop=4096}}
  %i: i32 = program_id {{axis=0}}
  %n: i32 = constant {{value=4096, type=i32}}
  %s: i32 = mul %i, %n
  %sb: i32{shape} = broadcast %s {{shape={shape}}}
  %j: i32{shape} = add %sb, %r{load("x", "a", f32, shape, "%j")}
  %m: f32 = reduce %x {{axis=0}} {{
  ^(%p: f32, %q: f32):
    %t: f32 = maximum %p, %q
    yield %t
  }}
  %mb: f32{shape} = broadcast %m {{shape={shape}}}
  %d: f32{shape} = sub %x, %mb
  %e: f32{shape} = mul %d, %d
  %z: f32 = reduce %e {{axis=0}} {{
  ^(%p2: f32, %q2: f32):
    %t2: f32 = add %p2, %q2
    yield %t2
  }}
  %zb: f32{shape} = broadcast %z {{shape={shape}}}
  %y: f32{shape} = div %e, %zb{store("o", f32, "%y", shape, "%j")}
}}
"""
    _, report = agree(text, plain(f32, 3 * 4096), np.zeros(3 * 4096, np.float32), grid=(3, 1, 1))
    assert report.cycles > 4096 * 8 * 3 / 64


# --- dots


def matmul(dtype, acc, m, n, k, block):
    """c[m, n] = a @ b in a loop over blocks of k, with block accesses."""
    zero = "0.0" if acc.is_float else "0"
    return f"""kernel @k(%a: *{dtype}, %b: *{dtype}, %c: *{acc}) {{
  %zero: i32 = constant {{value=0, type=i32}}
  %k: i32 = constant {{value={k}, type=i32}}
  %step: i32 = constant {{value={block}, type=i32}}
  %one: i64 = constant {{value=1, type=i64}}
  %sa: i64 = constant {{value={k}, type=i64}}
  %sb: i64 = constant {{value={n}, type=i64}}
  %init: {acc}[{m},{n}] = constant {{value={zero}, type={acc}[{m},{n}]}}
  %acc: {acc}[{m},{n}] = for %zero, %k, %step, %init {{
  ^(%i: i32, %s: {acc}[{m},{n}]):
    %pa: *{dtype} = offset %a, %i
    %x: {dtype}[{m},{block}] = load_block %pa, %sa, %one {{shape=[{m},{block}], checked=[], masked=false, filled=false}}
    %row: i32 = mul %i, %nn
    %pb: *{dtype} = offset %b, %row
    %y: {dtype}[{block},{n}] = load_block %pb, %sb, %one {{shape=[{block},{n}], checked=[], masked=false, filled=false}}
    %d: {acc}[{m},{n}] = dot %x, %y, %s
    yield %d
  }}
  store_block %c, %acc, %sb, %one {{checked=[], masked=false}}
}}
""".replace("  %init:", f"  %nn: i32 = constant {{value={n}, type=i32}}\n  %init:")


@pytest.mark.parametrize(("dtype", "acc"), [(f32, f32), (f16, f32), (bf16, f32), (f64, f64), (i8, i32)], ids=str)
def test_matmul_keeps_its_accumulator_in_one_place(dtype, acc):
    text = matmul(dtype, acc, 16, 16, 64, 16)
    agree(text, plain(dtype, 16 * 64), plain(dtype, 64 * 16, 1), np.zeros(16 * 16, acc.storage))
    listing = NPU.compile(parse(text), Options()).text["asm"]
    head, tail = listing.index("mm "), listing.index("jumpnz")
    assert "accrd" not in listing[head:tail] and "accwr" not in listing[head:tail]


def test_matmul_of_128_128_64():
    agree(matmul(f32, f32, 128, 128, 64, 64), plain(f32, 128 * 64), plain(f32, 64 * 128, 1), np.zeros(128 * 128, np.float32))


def test_accumulators_that_do_not_fit_go_through_in_parts():
    text = matmul(f32, f32, 256, 384, 16, 8)
    agree(text, plain(f32, 256 * 16), plain(f32, 16 * 384, 1), np.zeros(256 * 384, np.float32))


def test_an_accumulator_that_is_scaled_leaves_the_matrix_unit():
    text = matmul(f32, f32, 16, 16, 64, 16).replace("yield %d", "%e: f32[16,16] = mul %d, %s\n    yield %e")
    text = text.replace("value=0.0, type=f32[16,16]", "value=1.0, type=f32[16,16]")
    agree(text, plain(f32, 16 * 64), plain(f32, 64 * 16, 1), np.zeros(16 * 16, np.float32))
