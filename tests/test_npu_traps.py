"""What the accelerator says when it stops: each reason with its full message, from both simulators alike."""

import random
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import examples

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backend.isa import Illegal
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.compiler import container
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import Core, Trap
from tiledsl.backends.npu.machine import Npu
from tiledsl.backends.npu.simulator.checked import CheckedCore, Checks
from tiledsl.backends.npu.simulator.fast import FastCore, load
from tiledsl.backends.npu.simulator.run import decode, placed, run
from tiledsl.errors import MemoryFault, TileError, WaitError
from tiledsl.ir.types import f32
from tiledsl.location import Loc
from tiledsl.memory import Buffer, Memory

SMALL = Npu(watchdog=300, descriptor_elements=256)
TILE = "tset t0, spm, f32, #{}\ntdim t0, #4, #4\n"
BOX = "arg r1, #0\nmovi r2, #4\ngset g0, f32, r1\ngdim g0, r2, #{}\n"


def reference(machine, dram, addresses, program):
    core = Core(machine, dram, addresses, (2, 0, 0), (3, 1, 1))
    return core, lambda: run(core, program)


def fast(machine, dram, addresses, program):
    core = FastCore(machine, patience=0)
    core.attach(load(program, machine), dram, addresses, (3, 1, 1))
    return core, lambda: core.run(2, (2, 0, 0))


def checked(machine, dram, addresses, program):
    core = CheckedCore(machine, Checks())
    core.attach(load(program, machine), dram, addresses, (3, 1, 1))
    return core, lambda: core.run(2, (2, 0, 0))


def message(text, array=None, simulator=reference):
    """What a program that stops says."""
    x = np.zeros(8, np.float32) if array is None else array
    x.setflags(write=array is None)
    buffers = [Buffer(x.ctypes.data, x.nbytes, f32, x.flags.writeable, x, "x")]
    program = decode(T1.assemble(text))
    core, go = simulator(SMALL, Memory(buffers), [x.ctypes.data], program)
    lines = [Loc("kernel.py", 10 + i, 4) for i in range(len(program))]
    with pytest.raises(TileError) as caught, placed(core, program, lines):
        go()
    return str(caught.value).replace(f"{x.ctypes.data:#x}", "0xADDRESS").replace(str(x.ctypes.data), "ADDRESS")


STOPS = {
    "outside of a buffer": (
        BOX.format(9) + "tset t0, spm, f32, #0\ntdim t0, #9, #4\ndld #0, t0, g0, -\nhalt",
        """\
error: read outside `x`: element 8 of 8 (lane [8] of [9])
  --> kernel.py:16:5
note: program (2, 0, 0), instruction 6: dld #0, t0, g0, -
note: t0 is f32[9] at byte 0 of spm, strides [4]
note: g0 is f32[9] at address 0xADDRESS, strides [4], valid: all
help: mask the lanes that lie outside, or pass the right size""",
    ),
    "a lane that is outside": (
        "arg r1, #0\ntset t0, spm, i64, #0\ntdim t0, #4, #8\nvfill t0, r1\ntset t1, spm, i32, #64\ntdim t1, #4, #4\nviota t1, #0\n"
        "vaddr t0, t0, t1, #16\ntset t2, spm, f32, #128\ntdim t2, #4, #4\nvfill t2, r0\nbarrier\ndscat t0, t2, -\nhalt",
        """\
error: write outside `x`: element 8 of 8 (lane [2] of [4])
  --> kernel.py:22:5
note: program (2, 0, 0), instruction 12: dscat t0, t2, -
note: t0 is i64[4] at byte 0 of spm, strides [8]
note: t2 is f32[4] at byte 128 of spm, strides [4]
help: mask the lanes that lie outside, or pass the right size""",
    ),
    "a scalar outside": (
        "arg r1, #0\nmovi r2, #-4\naddr r1, r1, r2, #1\nsload f32, r3, r1\nhalt",
        """\
error: read outside `x`: element -1 of 8
  --> kernel.py:13:5
note: program (2, 0, 0), instruction 3: sload f32, r3, r1
note: r3 is 0
note: r1 is OUTSIDE
help: mask the lanes that lie outside, or pass the right size""",
    ),
    "beyond the scratchpad": (
        TILE.format((1 << 20) - 8) + "movi r3, #7\npoke t0, r3\nhalt",
        """\
error: SPM_RANGE: t0 covers bytes 1048568 to 1048584 of 1048576
  --> kernel.py:13:5
note: program (2, 0, 0), instruction 3: poke t0, r3
note: t0 is f32[4] at byte 1048568 of spm, strides [4]
note: r3 is 7""",
    ),
    "beyond the accumulators": (
        "tset t0, acc, f32, #262144\nvfill t0, r0\nhalt",
        """\
error: ACC_RANGE: t0 covers bytes 262144 to 262148 of 262144
  --> kernel.py:11:5
note: program (2, 0, 0), instruction 1: vfill t0, r0
note: t0 is f32[] at byte 262144 of acc, strides []
note: r0 is 0""",
    ),
    "a register that is not set": (
        "vfill t5, r0\nhalt",
        """\
error: ILLEGAL: t5 is not set
  --> kernel.py:10:5
note: program (2, 0, 0), instruction 0: vfill t5, r0
note: r0 is 0""",
    ),
    "too many elements": (
        "tset t0, spm, f32, #0\ntdim t0, #200, #4\ntdim t0, #2, #0\nhalt",
        """\
error: ILLEGAL: t0 cannot name 400 elements
  --> kernel.py:12:5
note: program (2, 0, 0), instruction 2: tdim t0, #2, #0
note: t0 is f32[200] at byte 0 of spm, strides [4]""",
    ),
    "too many dimensions": (
        "gset g0, f32, r0\n" + "gdim g0, r0, #1\n" * 5 + "halt",
        """\
error: ILLEGAL: g0 has 4 dimensions already
  --> kernel.py:15:5
note: program (2, 0, 0), instruction 5: gdim g0, r0, #1
note: g0 is f32[1, 1, 1, 1] at address 0x0, strides [0, 0, 0, 0], valid: all, all, all, all
note: r0 is 0""",
    ),
    "types that an operation lacks": (
        TILE.format(0) + "vfill t0, r0\nvec1 not, t0, t0\nhalt",
        """\
error: UNSUPPORTED: vec1: ufunc 'invert' not supported for the input types, and the inputs could not be safely coerced to any \
supported types according to the casting rule ''safe''
  --> kernel.py:13:5
note: program (2, 0, 0), instruction 3: vec1 not, t0, t0
note: t0 is f32[4] at byte 0 of spm, strides [4]""",
    ),
    "shapes that differ": (
        TILE.format(0) + "tset t1, spm, f32, #64\ntdim t1, #3, #4\nvfill t0, r0\nvcopy t1, t0\nhalt",
        """\
error: ILLEGAL: extents differ: (3,), (4,)
  --> kernel.py:15:5
note: program (2, 0, 0), instruction 5: vcopy t1, t0
note: t1 is f32[3] at byte 64 of spm, strides [4]
note: t0 is f32[4] at byte 0 of spm, strides [4]""",
    ),
    "nowhere": (
        "movi r1, #1\njumpnz r1, #9\nhalt",
        """\
ILLEGAL: no instruction 9 in a program of 3
note: program (2, 0, 0), instruction 9: nothing""",
    ),
    "without end": (
        "movi r1, #1\nhead:\njumpnz r1, head\nhalt",
        """\
error: WATCHDOG: more than 300 instructions
  --> kernel.py:11:5
note: program (2, 0, 0), instruction 1: jumpnz r1, #1
note: r1 is 1""",
    ),
}
CHECKED = {
    "a race": (
        TILE.format(0) + "vfill t0, r0\nbarrier\nvfill t0, r0\nviota t0, #0\nmovi r1, #2\naccrd t0, t0\nhalt",
        """\
error: RACE: instructions 5 and 7 touch bytes 0 to 16 of spm (write and write), and nothing orders them
  --> kernel.py:17:5
note: program (2, 0, 0), instruction 7: accrd t0, t0
note: t0 is f32[4] at byte 0 of spm, strides [4]""",
    ),
    "bytes that nothing has written": (
        TILE.format(0) + "vec1 neg, t0, t0\nhalt",
        """\
error: UNINIT: a reads element [0] of t0, at byte 0 of spm, which nothing has written
  --> kernel.py:12:5
note: program (2, 0, 0), instruction 2: vec1 neg, t0, t0
note: t0 is f32[4] at byte 0 of spm, strides [4]""",
    ),
    "a token that is not there": (
        "nop V wait0=s7\nhalt",
        """\
error: SEM_UNDERFLOW: instruction 0 waits for s7, which nothing has posted
  --> kernel.py:10:5
note: program (2, 0, 0), instruction 0: nop V wait0=s7""",
    ),
    "a token too many": (
        "nop V post=s7\n" * 256 + "halt",
        """\
error: SEM_OVERFLOW: instruction 255 posts s7, which holds 255 posts that nothing has waited for
  --> kernel.py:265:5
note: program (2, 0, 0), instruction 255: nop V post=s7""",
    ),
    "a token that is left": (
        "nop V post=s7\nhalt",
        """\
error: SEM_LEAK: s7 is posted by instruction 0 and never waited for
  --> kernel.py:11:5
note: program (2, 0, 0), instruction 1: halt""",
    ),
}


@pytest.mark.parametrize("simulator", [reference, fast, checked])
@pytest.mark.parametrize("case", STOPS)
def test_a_program_that_stops_says_why_and_where(case, simulator):
    text, expected = STOPS[case]
    found = message(text, simulator=simulator)
    if "OUTSIDE" in expected:
        head, _, tail = expected.partition("OUTSIDE")
        assert found.startswith(head) and found.endswith(tail)
    else:
        assert found == expected


@pytest.mark.parametrize("case", CHECKED)
def test_checks_say_why_and_where(case):
    text, expected = CHECKED[case]
    assert message(text, simulator=checked) == expected


@pytest.mark.parametrize("simulator", [reference, fast])
def test_what_may_not_be_written(simulator):
    found = message(BOX.format(4) + TILE.format(0) + "vfill t0, r0\nbarrier\ndst g0, t0, -\nhalt", np.zeros(8, np.float32), simulator)
    assert found.startswith("error: the kernel writes to `x`, which is read-only\n  --> kernel.py:18:5\nnote: program (2, 0, 0)")
    assert found.endswith("help: pass a writable array")


@tiledsl.jit
def reads_beyond(x, out, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(out + at, tl.load(x + at))


@tiledsl.jit
def stuck(flags):
    while tl.load(flags + tl.program_id(0), volatile=True) == 0:
        pass
    tl.atomic_xchg(flags + 1 - tl.program_id(0), 1)


def test_programs_that_wait_for_each_other_are_told(monkeypatch):
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.1")
    with pytest.raises(WaitError) as caught:
        stuck[(2,)](np.zeros(2, np.int32), launch_cooperative_grid=True, backend="npu")
    line = stuck.fn.__code__.co_firstlineno + 2
    assert (
        re.sub("--> .*/", "--> ", str(caught.value))
        == f"""\
error: program (0, 0, 0) waits for `flags` element 0, and nothing changes that
  --> test_npu_traps.py:{line}:11, in stuck
{line:4} |     while tl.load(flags + tl.program_id(0), volatile=True) == 0:
     |           {"^" * len("tl.load(flags + tl.program_id(0), volatile=True) == 0")}
note: for 0.1 seconds every program that has started has waited; TILEDSL_WAIT_LIMIT sets this limit, 0 for none
note: all programs of the grid run at once
help: let another program write what this loop reads, before it waits itself"""
    )


def test_a_kernel_is_told_its_line():
    x = np.zeros(100, np.float32)
    with pytest.raises(MemoryFault) as caught:
        reads_beyond[(2,)](x, np.zeros(128, np.float32), B=64, backend="npu")
    text = str(caught.value)
    assert "read outside `x`: element 100 of 100 (lane [36] of [64])" in text
    assert "tl.store(out + at, tl.load(x + at))" in text and "program (1, 0, 0), instruction" in text and "t0 is f32[64]" in text


# --- words


def test_random_words_are_decoded_or_illegal():
    """Never anything else; what is decoded is encoded to the same word. A long run tries a million."""
    rng = random.Random(0)
    opcodes, legal = list(T1.by_opcode), 0
    for _ in range(examples(20_000)):
        word = rng.getrandbits(128)
        if rng.random() < 0.9:  # most opcodes are none
            word = word & ~0xFF | rng.choice(opcodes)
            chosen = T1.by_opcode[word & 0xFF]
            if rng.random() < 0.9:  # as unused bits are
                word = word & chosen.used | T1.idle & ~chosen.used
        try:
            decoded = T1.decode(word)
        except Illegal:
            continue
        legal += 1
        assert T1.word(decoded) == word
        (again,) = T1.assemble(T1.show(decoded))
        assert again == word
    assert legal


def test_an_illegal_word_is_a_trap():
    with pytest.raises(Trap, match="ILLEGAL: opcode 0xff is no instruction of T1-128"):
        decode([0xFF])
    with pytest.raises(Trap, match="ILLEGAL: halt: bits outside its fields are set"):
        decode([T1.encode("halt") | 1 << 95])


def test_a_program_with_a_word_that_is_none_says_which(monkeypatch):
    """As if memory had lost a bit of it."""
    monkeypatch.setattr("tiledsl.backends.npu.backend.from_bytes", lambda data, machine: spoilt(container.from_bytes(data, machine)))
    with registry.standing_in(Backend()), pytest.raises(TileError) as caught:
        reads_beyond[(1,)](np.zeros(64, np.float32), np.zeros(64, np.float32), B=64, backend="npu")
    first, place, *_, last = re.sub("--> .*/", "--> ", str(caught.value)).splitlines()
    assert re.fullmatch(r"error: ILLEGAL: pid: bits outside its fields are set in 0x8003ffff00ffffff0[0-9a-f]+18", first)
    assert re.fullmatch(rf"  --> test_npu_traps.py:{reads_beyond.fn.__code__.co_firstlineno + 3}:\d+, in reads_beyond", place)
    assert re.fullmatch(r"note: instruction \d+: word 0x8003ffff00ffffff0[0-9a-f]+18", last)


def spoilt(image):
    at = next(i for i, word in enumerate(image.words) if T1.decode(word).instruction.name == "pid")
    return replace(image, words=[*image.words[:at], image.words[at] | 1 << 95, *image.words[at + 1 :]])
