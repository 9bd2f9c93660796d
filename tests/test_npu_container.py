"""Containers: what is written is read back, what was changed on the way is refused, and people see what a program takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledsl.backends.npu.compiler.compile import compile_code, listing
from tiledsl.backends.npu.compiler.container import from_bytes, to_bytes
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.machine import T1_BASE, find
from tiledsl.errors import LaunchError
from tiledsl.ir.parser import parse

MADE = compile_code(parse("kernel @k(%x: *f32, %n: i32) {\n  %v: f32 = cast %n {to=f32}\n  store %x, %v\n}\n"), T1_BASE)
DATA = to_bytes(MADE, T1_BASE)


def test_a_container_holds_words_lines_and_bindings():
    found = from_bytes(DATA, T1_BASE)
    assert (found.words, found.lines, found.arrays) == (MADE.words, MADE.lines, MADE.arrays)
    assert found.bindings == (("x", "*f32"), ("n", "i32"))


def test_arguments_are_listed():
    text = listing(MADE, T1_BASE)
    assert text.startswith("; argument 0: x: *f32\n; argument 1: n: i32\n") and T1.assemble(text) == MADE.words


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    with pytest.raises(LaunchError):
        from_bytes(DATA[:at] + bytes([DATA[at] ^ change]) + DATA[at + 1 :], T1_BASE)


@given(st.integers(0, len(DATA) - 1))
def test_a_container_that_is_cut_off_is_noticed(at):
    with pytest.raises(LaunchError, match="no T1 container|cut off"):
        from_bytes(DATA[:at], T1_BASE)


def test_a_container_of_another_machine_is_refused():
    with pytest.raises(LaunchError, match="compiled for another machine than edge"):
        from_bytes(DATA, find("edge"))
