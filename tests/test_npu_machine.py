"""The T1 simulator: it runs words, and nothing but words."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiledsl.backends import npu
from tiledsl.backends.npu.isa import alu
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.manual import manual
from tiledsl.backends.npu.isa.state import Core, Trap
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.run import decode, run, run_program
from tiledsl.errors import MemoryFault
from tiledsl.ir.types import LOWERED, f32, i1
from tiledsl.memory import Buffer, Memory

VECTOR_ADD = """
    arg r1, #0
    arg r2, #1
    arg r3, #2
    arg r4, #3          ; n
    movi r5, #4
    movi r6, #0
    gset g0, f32, r1
    gdim g0, r5, #64
    gbox g0, #0, r6, r4
    gset g1, f32, r2
    gdim g1, r5, #64
    gbox g1, #0, r6, r4
    gset g2, f32, r3
    gdim g2, r5, #64
    gbox g2, #0, r6, r4
    tset t0, spm, f32, #0
    tdim t0, #64, #4
    tset t1, spm, f32, #256
    tdim t1, #64, #4
    dld #0, t0, g0, -
    dld #0, t1, g1, - post=s0
    vec2 add, t0, t0, t1 wait0=s0 post=s1
    dst g2, t0, - wait0=s1
    halt
"""


def machine_run(text, arrays, scalars=(), watch=None):
    buffers = [Buffer(a.ctypes.data, a.nbytes, f32, a.flags.writeable, a, f"x{i}") for i, a in enumerate(arrays)]
    core = Core(T1_BASE, Memory(buffers), [*(b.address for b in buffers), *scalars], (0, 0, 0), (1, 1, 1))
    program = decode(T1.assemble(text))
    run_program(core, program, [None] * len(program), watch)
    return core


def test_vector_add_in_assembly():
    x, y = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)
    out = np.full(64, 7, np.float32)
    machine_run(VECTOR_ADD, [x, y, out], [50])
    assert (out[:50] == (x + y)[:50]).all() and (out[50:] == 7).all()


def test_outside_of_a_buffer_is_a_fault_with_its_program():
    x = np.zeros(40, np.float32)
    with pytest.raises(MemoryFault, match=r"element 40 of 40[^$]*instruction 19: dld"):
        machine_run(VECTOR_ADD, [x, np.zeros(64, np.float32), np.zeros(64, np.float32)], [64])


def test_traps_say_why():
    cases = {
        "vec1 neg, t1, t1": "ILLEGAL: t1 is not set",
        "jump #9": "ILLEGAL: no instruction 9",
        "tset t0, spm, f32, #1048576\nmovi r1, #0\npoke t0, r1": "SPM_RANGE",
        "tset t0, acc, f32, #262144\nmovi r1, #0\npoke t0, r1": "ACC_RANGE",
    }
    for text, reason in cases.items():
        core = Core(T1_BASE, Memory([]), [], (0, 0, 0), (1, 1, 1))
        with pytest.raises(Trap, match=reason):
            run(core, decode(T1.assemble(text)))


def test_a_predicate_skips_an_instruction():
    core = machine_run("movi r1, #1\nmovi r2, #5 when=r1\nmovi r3, #5 when=r1 unless=#1\nmovi r0, #3\nhalt", [])
    assert core.r[:4] == [0, 1, 5, 0]


def test_a_loop_counts():
    core = machine_run(
        "movi r1, #10\nmovi r3, #1\nhead:\nscalar2 add, i32, r2, r2, r1\nscalar2 sub, i32, r1, r1, r3\njumpnz r1, head\nhalt", []
    )
    assert core.r[2] == 55


def test_the_manual_is_what_the_declarations_say():
    readme = Path(npu.__file__).with_name("README.md")
    assert readme.read_text() == manual(), "python -m tiledsl.backends.npu.isa.manual > backends/npu/README.md"


@given(st.sampled_from(LOWERED), st.integers(1, 130), st.sampled_from([0, 1]), st.integers(0, 9))
def test_fast_reductions_are_plain_ones(dtype, length, axis, seed):
    rng = np.random.default_rng(seed)
    shape = (length, 3) if axis == 0 else (3, length)
    if dtype.is_float:
        values = dtype.round(rng.choice([0.0, -0.0, np.nan, np.inf, 1.5, *rng.standard_normal(9)], shape))
    else:
        values = rng.integers(0, 2 if dtype is i1 else 127, shape).astype(dtype.numpy)
    for name in ("add", "mul", "maximum", "minimum", *(("maximum_nan",) if dtype.is_float else ("and", "or", "xor"))):
        with np.errstate(all="ignore"):
            fast, plain = (f(name, values, axis, dtype) for f in (alu.reduce, alu.plain_reduce))
        bits = f"u{fast.itemsize}"
        assert fast.shape == plain.shape and fast.dtype == plain.dtype
        assert ((fast.view(bits) == plain.view(bits)) | ((fast != fast) & (plain != plain))).all()


SMALL = T1_BASE.but(watchdog=200, descriptor_elements=256, spm_bytes=4096, acc_bytes=1024)


@st.composite
def instructions(draw):
    """Instructions on few registers and small numbers, so that they meet."""
    chosen = draw(st.sampled_from(list(T1.by_name.values())))
    operands = []
    for _, field in chosen.fields:
        top = len(field.names) - 1 if field.names else 3
        operands.append(draw(st.integers(0, top) if field.names or field.prefix != "#" else st.sampled_from([0, 1, 2, 4, 16])))
        operands[-1] = min(operands[-1], (1 << field.bits) - 1)
    return T1.encode(chosen.name, *operands)


TYPES = ("f32", "i64", "i1", "f32")
SETUP = "".join(f"tset t{i}, spm, {d}, #{i * 64}\ntdim t{i}, #2, #16\ntdim t{i}, #2, #8\n" for i, d in enumerate(TYPES))


@settings(max_examples=300)
@given(st.lists(instructions(), max_size=30), st.booleans())
def test_whatever_the_words_a_program_ends_or_traps(words, setup):
    program = decode([*T1.assemble(SETUP if setup else ""), *words, T1.encode("halt")])
    core = Core(SMALL, Memory([]), [1, 2, 3, 4], (0, 0, 0), (1, 1, 1))
    try:
        run(core, program)
    except (Trap, MemoryFault):
        pass
