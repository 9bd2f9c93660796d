"""What a compiled kernel tells a launch: which arguments it stores to."""

from tiledsl.ir.parser import parse
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
