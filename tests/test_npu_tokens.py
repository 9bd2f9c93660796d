"""Waits and posts: each one that the compiler places is needed, and the checker knows when one is missing."""

import pytest

from tiledsl.backends.npu.check import verify
from tiledsl.backends.npu.compiler.compile import compile_code
from tiledsl.backends.npu.isa.instructions import NO_SEMAPHORE, T1
from tiledsl.backends.npu.isa.state import Trap
from tiledsl.backends.npu.machine import T1_BASE, find
from tiledsl.ir.parser import parse

MANY_ENGINES = """kernel @k(%a: *f32, %b: *f32, %c: *f32) {
  %zero: i32 = constant {value=0, type=i32}
  %k: i32 = constant {value=64, type=i32}
  %step: i32 = constant {value=16, type=i32}
  %one: i64 = constant {value=1, type=i64}
  %s: i64 = constant {value=16, type=i64}
  %init: f32[16,16] = constant {value=0.0, type=f32[16,16]}
  %acc: f32[16,16] = for %zero, %k, %step, %init {
  ^(%i: i32, %t: f32[16,16]):
    %pa: *f32 = offset %a, %i
    %x: f32[16,16] = load_block %pa, %s, %one {shape=[16,16], checked=[], masked=false, filled=false}
    %pb: *f32 = offset %b, %i
    %y: f32[16,16] = load_block %pb, %s, %one {shape=[16,16], checked=[], masked=false, filled=false}
    %z: f32[16,16] = mul %x, %y
    %d: f32[16,16] = dot %z, %y, %t
    store_block %pa, %z, %s, %one {checked=[], masked=false}
    yield %d
  }
  %m: f32[16] = reduce %acc {axis=1} {
  ^(%p: f32, %q: f32):
    %r: f32 = maximum %p, %q
    yield %r
  }
  %mc: f32[16,1] = reshape %m {shape=[16,1]}
  %mb: f32[16,16] = broadcast %mc {shape=[16,16]}
  %e: f32[16,16] = sub %acc, %mb
  store_block %c, %e, %s, %one {checked=[], masked=false}
}
"""


def test_descriptors_of_no_more_use_are_moved():
    """Parts of a tile come one after the other: the first is described in full, most others by a step."""
    words = compile_code(parse(MANY_ENGINES), find("vector-only")).words
    names = [T1.decode(word).instruction.name for word in words]
    assert names.count("tstep") > names.count("tset")
    verify(words, find("vector-only"))


def without(word, name):
    """A word that does not wait or post where it did."""
    decoded = T1.decode(word)
    common = dict(decoded.common) | {name: NO_SEMAPHORE}
    return T1.encode(decoded.instruction.name, *decoded.operands, **common)


def test_the_checker_misses_no_deleted_token():
    words = compile_code(parse(MANY_ENGINES), T1_BASE).words
    verify(words, T1_BASE)
    tokens = [(i, name) for i, word in enumerate(words) for name in ("wait0", "wait1", "post") if T1.decode(word)[name] != NO_SEMAPHORE]
    assert len(tokens) > 10
    for i, name in tokens:
        with pytest.raises(Trap, match="RACE|SEM"):
            verify([*words[:i], without(words[i], name), *words[i + 1 :]], T1_BASE)


def caught(words, at):
    """Whether the checker misses a barrier at this place."""
    try:
        verify([*words[:at], T1.encode("nop", 0), *words[at + 1 :]], T1_BASE)
    except Trap as trap:
        return trap.reason == "RACE"
    return False


def test_the_checker_misses_barriers_before_a_loop_and_where_ways_part():
    """The one behind a loop may be more than what comes there needs."""
    words = compile_code(parse(MANY_ENGINES), T1_BASE).words
    barriers = [i for i, word in enumerate(words) if T1.decode(word).instruction.name == "barrier"]
    assert any(caught(words, i) for i in barriers)


def test_iterations_of_a_loop_overlap():
    words = [T1.decode(word) for word in compile_code(parse(MANY_ENGINES), T1_BASE).words]
    names = [one.instruction.name for one in words]
    back = names.index("jumpnz")
    assert "barrier" not in names[words[back]["target"] : back], "tokens order one iteration and the next"
    credits = [one for one in words if one.instruction.name == "nop" and one["post"] != NO_SEMAPHORE]
    assert credits


def test_each_wait_has_its_post_alone():
    """Deleting a post and its wait together leaves a race: no token is redundant."""
    words = compile_code(parse(MANY_ENGINES), T1_BASE).words
    posts = {}
    for i, word in enumerate(words):
        decoded = T1.decode(word)
        for name in ("wait0", "wait1"):
            if decoded[name] != NO_SEMAPHORE:
                at = posts[decoded[name]].pop(0)
                pruned = list(words)
                pruned[i] = without(word, name)
                pruned[at] = without(words[at], "post")
                with pytest.raises(Trap, match="RACE|SEM"):  # a token of a loop has more than two ends
                    verify(pruned, T1_BASE)
        if decoded["post"] != NO_SEMAPHORE:
            posts.setdefault(decoded["post"], []).append(i)
    assert not any(posts.values())


def verdict(text):
    verify(T1.assemble(text), T1_BASE)


TILES = "tset t0, spm, f32, #0\ntdim t0, #8, #4\ntset t1, spm, f32, #16\ntdim t1, #8, #4\ngset g0, f32, r1\n"


def test_overlap_of_bytes_is_what_counts():
    with pytest.raises(Trap, match="RACE"):
        verdict(TILES + "vfill t0, r1\ndst g0, t1, -\nhalt")
    verdict(TILES + "vfill t0, r1 post=s0\ndst g0, t1, - wait0=s0\nhalt")
    verdict(TILES + "tset t1, spm, f32, #32\nvfill t0, r1\ndst g0, t1, -\nhalt")
    verdict(TILES + "vfill t0, r1\nbarrier\ndst g0, t1, -\nhalt")


def test_what_a_third_queue_heard_counts():
    chain = "dld #0, t0, g0, - post=s0\nvec1 neg, t0, t0 wait0=s0 post=s1\ndst g0, t0, - wait0=s1\nhalt"
    verdict(TILES + chain)


def test_tokens_pair_up_or_trap():
    with pytest.raises(Trap, match="SEM_UNDERFLOW"):
        verdict(TILES + "vfill t0, r1 wait0=s3\nhalt")
    with pytest.raises(Trap, match="SEM_LEAK"):
        verdict(TILES + "vfill t0, r1 post=s3\nhalt")
