"""Kernels that are compiled: which arguments they store to, and which pass changed what they compute."""

import numpy as np

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backends.interpreter import Backend
from tiledsl.ir.parser import parse
from tiledsl.passes import SHARED
from tiledsl.passes.pipeline import Pass
from tiledsl.runtime.compile import stored_parameters


def stored(text):
    return stored_parameters(parse(text))


def test_pointers_are_followed_to_the_parameters_they_come_from():
    found = stored("""
    kernel @k(%x: *f32, %y: *f32, %z: *f32, %n: i32, %c: i1) {
      %i: i32[8] = arange {start=0, stop=8}
      %p: *f32[8] = broadcast %y {shape=[8]}
      %q: *f32[8] = offset %p, %i
      %xs: *f32[8] = broadcast %x {shape=[8]}
      %v: f32[8] = load %xs
      store %q, %v
    }""")
    assert found == (1,)


def test_pointers_are_followed_through_loops_branches_and_choices():
    found = stored("""
    kernel @k(%x: *f32, %y: *f32, %z: *f32, %w: *f32, %u: *f32, %n: i32, %c: i1) {
      %one: f32 = constant {value=1.0, type=f32}
      %0: i32 = constant {value=0, type=i32}
      %1: i32 = constant {value=1, type=i32}
      %p: *f32 = for %0, %n, %1, %x {
      ^(%i: i32, %a: *f32):
        store %a, %one
        %b: *f32 = offset %a, %i
        yield %b
      }
      %s: *f32 = if %c {
      ^():
        yield %y
      ^():
        yield %p
      }
      store %s, %one
      %ws: *f32 = select %c, %w, %w
      store %ws, %one
      %t: f32 = load %z
      store %u, %t
    }""")
    assert found == (0, 1, 3, 4)


@tiledsl.jit
def twice(out, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, 2 * tl.exp(tl.load(x + at, mask=at < n)), mask=at < n)
    tl.device_print("at", at)


def test_a_launch_names_the_pass_that_changes_its_results(capsys):
    x, out = np.ones(12, np.float32), np.zeros(12, np.float32)
    for backend in ("cpu", "npu", "interpreter"):
        assert twice.bisect(out, x, 12, BLOCK=8, grid=(2,), backend=backend) is None

    spoil = Pass("spoil", lambda kernel, machine: parse(repr(kernel).replace("value=2.0", "value=3.0")), "a miscompile")
    spoilt = Backend()
    spoilt.name, spoilt.passes = "spoilt", (*SHARED[:4], spoil, *SHARED[4:])
    with registry.standing_in(spoilt):
        assert twice.bisect(out, x, 12, BLOCK=8, grid=lambda meta: (tiledsl.cdiv(meta["n"], 8),), backend="spoilt") == "spoil"
    assert not out.any() and capsys.readouterr().out == ""
