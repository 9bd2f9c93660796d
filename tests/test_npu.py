"""The accelerator gives the interpreter's bits: every kernel here runs on both, from its text."""

import numpy as np
import pytest
from hypothesis import given, settings
from npu_text import GRID2, NPU, agree, bind, load, plain, samples, store

from tiledsl.backend.base import Options
from tiledsl.backends.npu import Backend, Npu
from tiledsl.errors import MemoryFault, Unsupported
from tiledsl.ir.parser import parse
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import LOWERED, Tile, bf16, f16, f32, i1, i8, i32, u8
from tiledsl.passes import pipeline
from tiledsl.testing import cases, oracle, programs

# --- arithmetic


def exact_elementwise():
    """(name, operand types, result type) of every op that needs no decomposition, on every type it takes."""
    for spec in SPECS.values():
        if (
            "elementwise" in spec.traits
            and spec.ulp is None
            and not spec.definition
            and not spec.attrs
            and spec.name not in ("offset", "address")
        ):
            for dtype in LOWERED:
                operands = [i1, dtype, dtype] if spec.name == "select" else [dtype] * len(spec.operands)
                try:
                    yield spec.name, operands, spec.infer(*map(Tile, operands)).elem
                except Exception:
                    continue


CASES = list(exact_elementwise())


@pytest.mark.parametrize("name", dict.fromkeys(case[0] for case in CASES))
def test_elementwise_ops_on_tiles_and_scalars(name):
    for _, operands, result in (case for case in CASES if case[0] == name):
        params = ", ".join(f"%a{i}: *{d}" for i, d in enumerate(operands)) + f", %o: *{result}"
        used = ", ".join(f"%x{i}" for i in range(len(operands)))
        data = [samples(d, 32, i) for i, d in enumerate(operands)]
        tile = f"kernel @k({params}) {{\n  %r: i32[32] = arange {{start=0, stop=32}}"
        tile += "".join(load(f"x{i}", f"a{i}", d) for i, d in enumerate(operands))
        tile += f"\n  %v: {result}[32] = {name} {used}" + store("o", result, "%v") + "\n}\n"
        agree(tile, *data, np.zeros(32, result.storage))
        scalar = f"kernel @k({params}) {{\n  %i: i32 = program_id {{axis=0}}"
        for i, d in enumerate(operands):
            scalar += f"\n  %p{i}: *{d} = offset %a{i}, %i\n  %x{i}: {d} = load %p{i}"
        scalar += f"\n  %v: {result} = {name} {used}\n  %q: *{result} = offset %o, %i\n  store %q, %v\n}}\n"
        agree(scalar, *data, np.zeros(32, result.storage), grid=(32, 1, 1))


@pytest.mark.parametrize("source", LOWERED, ids=str)
def test_casts_and_bitcasts(source):
    for target in LOWERED:
        for name in ("cast", "bitcast"):
            if name == "bitcast" and source.bits != target.bits:
                continue
            text = f"kernel @k(%a: *{source}, %o: *{target}) {{\n  %r: i32[32] = arange {{start=0, stop=32}}"
            text += load("x", "a", source) + f"\n  %v: {target}[32] = {name} %x {{to={target}}}" + store("o", target, "%v") + "\n}\n"
            agree(text, samples(source, 32), np.zeros(32, target.storage))


# --- shapes


@pytest.mark.parametrize("dtype", [f32, bf16, i8], ids=str)
def test_transposed_broadcast_and_reshaped(dtype):
    text = f"""kernel @k(%a: *{dtype}, %o: *{dtype}) {{{GRID2}{load("x", "a", dtype, "[8,16]")}
  %t: {dtype}[16,8] = transpose %x {{order=[1,0]}}
  %s: {dtype}[8,16] = reshape %t {{shape=[8,16]}}
  %u: {dtype}[2,4,16] = reshape %x {{shape=[2,4,16]}}
  %v: {dtype}[16,2,4] = transpose %u {{order=[2,0,1]}}
  %y: {dtype}[8,16] = reshape %v {{shape=[8,16]}}
  %one: {dtype}[1,16] = reshape %c {{shape=[1,16]}}
  %b: {dtype}[8,16] = broadcast %one {{shape=[8,16]}}
  %z: {dtype}[8,16] = add %s, %y
  %zz: {dtype}[8,16] = add %z, %b{store("o", dtype, "%zz", "[8,16]")}
}}
""".replace("  %one", f"{load('c', 'a', dtype, '[16]', '%rj')[1:]}\n  %one")
    agree(text, plain(dtype, 128), np.zeros(128, dtype.storage))


# --- memory


def test_masks_and_other():
    text = f"""kernel @k(%a: *f32, %o: *f32, %n: i32, %x: f32) {{
  %r: i32[32] = arange {{start=0, stop=32}}
  %nb: i32[32] = broadcast %n {{shape=[32]}}
  %m: i1[32] = lt %r, %nb
  %xb: f32[32] = broadcast %x {{shape=[32]}}
  %p: *f32[32] = broadcast %a {{shape=[32]}}
  %q: *f32[32] = offset %p, %r
  %v: f32[32] = load %q, %m
  %w: f32[32] = load %q, %m, %xb
  %y: f32[32] = sub %v, %w{store("o", f32, "%y")}
}}
"""
    agree(text, plain(f32, 20), np.zeros(32, np.float32), 20, 1.5)


def test_scalar_masks():
    text = """kernel @k(%a: *f32, %o: *f32, %m: i1, %x: f32) {
  %v: f32 = load %a, %m
  %w: f32 = load %a, %m, %x
  %y: f32 = sub %v, %w
  store %o, %y, %m
  %z: f32 = add %y, %x
  %one: i32 = constant {value=1, type=i32}
  %q: *f32 = offset %o, %one
  store %q, %z
}
"""
    for mask in (0, 1):
        agree(text, plain(f32, 1), np.full(2, 9, np.float32), mask, 1.5)


@pytest.mark.parametrize("masked", ["false", "true"])
def test_blocks_with_bounds_mask_and_fill(masked):
    mask = "%mask, " if masked == "true" else ""
    text = f"""kernel @k(%a: *f32, %o: *f32, %sa: i64, %lo: i64, %hi: i64, %x: f32) {{{GRID2}
  %three: i32[8,16] = constant {{value=3, type=i32[8,16]}}
  %zero: i32[8,16] = constant {{value=0, type=i32[8,16]}}
  %and: i32[8,16] = and %r, %three
  %mask: i1[8,16] = ne %and, %zero
  %one: i64 = constant {{value=1, type=i64}}
  %so: i64 = constant {{value=16, type=i64}}
  %v: f32[8,16] = load_block %a, %sa, %one, %lo, %hi, {mask}%x {{shape=[8,16], checked=[1], masked={masked}, filled=true}}
  %w: f32[8,16] = add %v, %v
  store_block %o, %w, %so, %one, %lo, %hi{", %mask" if masked == "true" else ""} {{checked=[0], masked={masked}}}
}}
"""
    agree(text, plain(f32, 8 * 20), np.full(128, 7, np.float32), 20, 2, 7, 1.5)


def test_blocks_of_five_axes_take_several_transfers():
    strides = "%s, %s, %one, %one, %one"
    text = f"""kernel @k(%a: *i8, %o: *i8, %s: i64) {{
  %one: i64 = constant {{value=1, type=i64}}
  %v: i8[2,2,2,2,3] = load_block %a, {strides} {{shape=[2,2,2,2,3], checked=[], masked=false, filled=false}}
  %w: i8[2,2,2,3,2] = transpose %v {{order=[0,1,2,4,3]}}
  store_block %o, %w, {strides} {{checked=[], masked=false}}
}}
"""
    agree(text, plain(i8, 40), np.zeros(40, np.int8), 5)


@pytest.mark.parametrize("dtype", [f32, f16, i32, u8], ids=str)
@pytest.mark.parametrize("kind", ["add", "max", "min", "xchg", "and", "or", "xor"])
def test_atomics_on_tiles(dtype, kind):
    if dtype.is_float and kind in ("and", "or", "xor"):
        return
    text = f"""kernel @k(%a: *{dtype}, %b: *{dtype}, %o: *{dtype}) {{
  %r: i32[32] = arange {{start=0, stop=32}}
  %seven: i32[32] = constant {{value=7, type=i32[32]}}
  %j: i32[32] = rem %r, %seven
  %m: i1[32] = ne %r, %seven{load("x", "a", dtype)}
  %p: *{dtype}[32] = broadcast %b {{shape=[32]}}
  %q: *{dtype}[32] = offset %p, %j
  %v: {dtype}[32] = atomic_rmw %q, %x, %m {{kind={kind}}}{store("o", dtype, "%v")}
}}
"""
    agree(text, plain(dtype, 32), plain(dtype, 7, 1), np.zeros(32, dtype.storage))


def test_atomics_on_scalars_count_programs():
    text = """kernel @k(%a: *i32, %o: *i32) {
  %one: i32 = constant {value=1, type=i32}
  %v: i32 = atomic_rmw %a, %one {kind=add}
  %q: *i32 = offset %o, %v
  %i: i32 = program_id {axis=1}
  store %q, %i
  %w: i32 = atomic_cas %a, %one, %v
}
"""
    (count, _), _ = agree(text, np.zeros(1, np.int32), np.zeros(64, np.int32), grid=(3, 5, 2))


def test_a_load_after_a_store_sees_it():
    text = f"""kernel @k(%a: *i32, %o: *i32) {{
  %r: i32[32] = arange {{start=0, stop=32}}{load("x", "a", i32)}
  %y: i32[32] = add %x, %x{store("a", i32, "%y").replace("%ap", "%sp").replace("%aq", "%sq")}
  %z: i32[32] = load %xq
  %one: i32 = constant {{value=1, type=i32}}
  %s: i32 = load %a
  store %a, %one
  %zz: i32[32] = add %z, %x{store("o", i32, "%zz")}
  %q: *i32 = offset %o, %one
  %t: i32 = load %q
  %u: i32 = add %t, %s
  store %o, %u
}}
"""
    agree(text, plain(i32, 32), np.zeros(32, np.int32))


def test_a_read_outside_names_the_line():
    text = f"""kernel @k(%a: *f32, %o: *f32) {{
  %r: i32[32] = arange {{start=0, stop=32}}{load("x", "a", f32)}{store("o", f32, "%x")}
}}
"""
    kernel = parse(text)
    bound, _ = bind(kernel, [np.zeros(31, np.float32), np.zeros(32, np.float32)])
    with pytest.raises(MemoryFault, match=r"(?s)element 31 of 31.*:5:3.*program \(0, 0, 0\), instruction \d+: dgat"):
        NPU.launch(NPU.compile(kernel, Options()), (1, 1, 1), bound, Options())


# --- control


LOOP = """kernel @k(%o: *{d}, %lo: {d}, %hi: {d}, %step: {d}) {{
  %zero: {d} = constant {{value=0, type={d}}}
  %n: {d}, %last: {d} = for %lo, %hi, %step, %zero, %zero {{
  ^(%i: {d}, %a: {d}, %b: {d}):
    %one: {d} = constant {{value=1, type={d}}}
    %c: {d} = add %a, %one
    yield %c, %i
  }}
  store %o, %n
  %one2: i32 = constant {{value=1, type=i32}}
  %q: *{d} = offset %o, %one2
  store %q, %last
}}
"""


@pytest.mark.parametrize("dtype", ["i8", "u8", "i32", "u32", "i64", "u64"])
def test_loops_count_up_and_down_to_the_ends_of_their_type(dtype):
    info = np.iinfo(np.dtype(dtype.replace("i", "int").replace("u", "uint")))
    bounds = [(0, 7, 2), (7, 0, 1), (info.max - 5, info.max, 2), (3, 3, 1), (0, 5, 0), (0, 100, 99)]
    if info.min:
        bounds += [(7, 0, -3), (info.min, info.min + 3, 1), (info.min + 5, info.min, -2), (5, 0, 1), (0, 5, -1)]
    for lo, hi, step in bounds:
        agree(LOOP.format(d=dtype), np.zeros(2, info.dtype), lo, hi, step)


def test_loops_may_swap_what_they_carry():
    text = f"""kernel @k(%a: *f32, %b: *f32, %o: *f32, %n: i32) {{
  %r: i32[32] = arange {{start=0, stop=32}}{load("x", "a", f32)}{load("y", "b", f32)}
  %zero: i32 = constant {{value=0, type=i32}}
  %one: i32 = constant {{value=1, type=i32}}
  %p: f32[32], %q: f32[32], %s: i32, %t: i32 = for %zero, %n, %one, %x, %y, %zero, %one {{
  ^(%i: i32, %u: f32[32], %v: f32[32], %c: i32, %d: i32):
    yield %v, %u, %d, %c
  }}
  %ss: f32 = cast %s {{to=f32}}
  %sb: f32[32] = broadcast %ss {{shape=[32]}}
  %two: f32[32] = add %p, %sb
  %z: f32[32] = sub %two, %q{store("o", f32, "%z")}
}}
"""
    for count in range(4):
        agree(text, plain(f32, 32), plain(f32, 32, 1), np.zeros(32, np.float32), count)


def test_branches_and_while():
    text = f"""kernel @k(%a: *f32, %o: *f32, %n: i32) {{
  %r: i32[32] = arange {{start=0, stop=32}}{load("x", "a", f32)}
  %one: i32 = constant {{value=1, type=i32}}
  %two: i32 = constant {{value=2, type=i32}}
  %three: i32 = constant {{value=3, type=i32}}
  %zero: i32 = constant {{value=0, type=i32}}
  %m: i32, %steps: i32, %y: f32[32] = while %n, %zero, %x {{
  ^(%c: i32, %k: i32, %v: f32[32]):
    %go: i1 = gt %c, %one
    yield %go
  ^(%c2: i32, %k2: i32, %v2: f32[32]):
    %bit: i32 = and %c2, %one
    %odd: i1 = ne %bit, %zero
    %next: i32, %w: f32[32] = if %odd {{
    ^():
      %t: i32 = mul %c2, %three
      %t1: i32 = add %t, %one
      %w1: f32[32] = add %v2, %x
      yield %t1, %w1
    ^():
      %h: i32 = idiv %c2, %two
      yield %h, %v2
    }}
    %k3: i32 = add %k2, %one
    yield %next, %k3, %w
  }}
  %kf: f32 = cast %steps {{to=f32}}
  %kb: f32[32] = broadcast %kf {{shape=[32]}}
  %z: f32[32] = mul %y, %kb{store("o", f32, "%z")}
}}
"""
    for start in (0, 1, 7, 27):
        agree(text, plain(f32, 32), np.zeros(32, np.float32), start)


def test_more_scalars_than_registers():
    count = 60
    text = "kernel @k(%a: *i32, %o: *i32) {\n"
    for i in range(count):
        text += f"  %c{i}: i32 = constant {{value={i}, type=i32}}\n  %p{i}: *i32 = offset %a, %c{i}\n  %x{i}: i32 = load %p{i}\n"
    text += "  %s0: i32 = add %x0, %c0\n"
    for i in range(1, count):
        text += f"  %m{i}: i32 = mul %x{i}, %c{count - i}\n  %s{i}: i32 = add %s{i - 1}, %m{i}\n"
    text += f"  store %o, %s{count - 1}\n}}\n"
    agree(text, plain(i32, count), np.zeros(1, np.int32))


@settings(max_examples=60)
@given(programs.cases())
def test_random_programs_have_the_interpreters_bits(case):
    oracle.compare(case, ("interpreter", "npu"))


FEW = Backend(Npu(scalar_registers=9, tile_descriptors=5, global_descriptors=2, load_channels=2, descriptor_rank=3, acc_bytes=2048))


@settings(max_examples=40)
@given(programs.cases())
def test_random_programs_on_a_machine_with_few_registers(case):
    expected = oracle.run_case(case, "interpreter")
    lowered = pipeline.run(case.kernel, FEW.passes, FEW.machine)
    bound, found = cases.bind(case)
    FEW.launch(FEW.compile(lowered, Options()), case.grid, bound, Options())
    assert not oracle.explain(case, expected, found, "interpreter", "npu")


def test_what_does_not_fit_says_what_is_alive():
    shape = "[512,1024]"
    text = f"""kernel @k(%o: *f32, %x: f32) {{
  %a: f32[512,1] = broadcast %x {{shape=[512,1]}}
  %b: f32{shape} = broadcast %a {{shape={shape}}}
  %c: f32{shape} = add %b, %b
  %d: f32{shape} = mul %c, %b
  %e: f32{shape} = fma %c, %d, %c
  %one: i64 = constant {{value=1, type=i64}}
  store_block %o, %e, %one, %one {{checked=[], masked=false}}
}}
"""
    tiny = Backend(Npu(spm_bytes=16))
    with pytest.raises(Unsupported, match=r"(?s)the tiles alive here take \d+ bytes of spm; a core has 16.*note: \d+ bytes, made"):
        tiny.compile(parse(text), Options())
