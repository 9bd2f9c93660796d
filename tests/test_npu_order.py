"""What is ordered before what: by the words alone, over loops and branches, and in a run."""

import itertools

import pytest
from npu_tokens import CAUGHT, RACES, SILENT, by_words, deletions, of_random

from tiledsl.backends.npu.check import verify
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import Trap
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.checked import CheckedCore, Checks
from tiledsl.backends.npu.simulator.fast import load
from tiledsl.backends.npu.simulator.run import decode
from tiledsl.memory import Memory

TILES = "tset t0, spm, f32, #0\ntdim t0, #8, #4\ntset t1, spm, f32, #64\ntdim t1, #8, #4\nmovi r1, #3\nmovi r2, #1\n"
# two buffers in turn: the matrix unit copies out what the vector unit has filled, and gives the buffer back
TURNS = """
nop M post=s0
nop M post=s1
head:
vfill t0, r1 wait0=s0 post=s2
accrd t1, t0 wait0=s2 post=s0
nop V wait0=s1
nop M post=s1
addr r1, r1, r2, #-1
jumpnz r1, head
nop V wait0=s0
nop V wait0=s1
halt
"""


def verdict(text, setup=TILES):
    verify(T1.assemble(setup + text), T1_BASE)


def running(text, setup=TILES, **checks):
    """Run a text under checks; the core."""
    core = CheckedCore(T1_BASE, Checks(**{"uninitialised": False} | checks))
    core.attach(load(decode(T1.assemble(setup + text)), T1_BASE), Memory([]), [], (1, 1, 1))
    core.run(0, (0, 0, 0))
    return core.core


def test_tokens_may_cross_the_edges_of_a_loop():
    verdict(TURNS)
    running(TURNS)


@pytest.mark.parametrize(
    ("line", "instead", "reason"),
    [
        ("vfill t0, r1 wait0=s0 post=s2", "vfill t0, r1 post=s2", "SEM|RACE"),
        ("accrd t1, t0 wait0=s2 post=s0", "accrd t1, t0 wait0=s2", "SEM_UNDERFLOW"),
        ("nop M post=s0\n", "", "SEM_UNDERFLOW"),
        ("nop V wait0=s0\n", "", "SEM_LEAK"),
    ],
)
def test_a_token_that_is_missing_in_a_loop_is_noticed(line, instead, reason):
    changed = TURNS.replace(line, instead, 1)
    assert changed != TURNS
    with pytest.raises(Trap, match=reason):
        verdict(changed)
    with pytest.raises(Trap, match="SEM|RACE"):
        running(changed.replace("movi r1, #3", "movi r1, #400"))


def test_a_race_over_the_edge_of_a_loop():
    """Each iteration is in order; the second fill may overtake the first copy."""
    text = "head:\nvfill t0, r1 post=s2\naccrd t1, t0 wait0=s2\naddr r1, r1, r2, #-1\njumpnz r1, head\nhalt"
    with pytest.raises(Trap, match=r"RACE: instructions 7 and 6 touch bytes 0 to 32 of spm \(read and write\), and nothing orders them"):
        verdict(text)
    with pytest.raises(Trap, match="RACE: instructions 7 and 6"):
        running(text)
    verdict(text.replace("addr r1", "barrier\naddr r1", 1))


def test_both_ways_of_a_branch_count():
    text = "jumpz r1, #8\nvfill t0, r1 post=s0\n{}\naccrd t1, t0 {}\nhalt"
    with pytest.raises(Trap, match="SEM_UNDERFLOW"):
        verdict(text.format("nop V", "wait0=s0"))
    verdict("jumpz r1, #8\nvfill t0, r1 post=s0\njump #9\nnop V post=s0\naccrd t1, t0 wait0=s0\nhalt", TILES.replace("movi r2, #1\n", ""))


def test_descriptors_that_all_ways_agree_on_are_known():
    agreed = "jumpz r1, #9\ntset t2, spm, f32, #512\njump #10\ntset t2, spm, f32, #512\nvfill t2, r1\nhalt"
    verdict(agreed)
    with pytest.raises(Trap, match="ILLEGAL: vfill: to = t2 is not set on every way to here"):
        verdict("jumpz r1, #8\ntset t2, spm, f32, #512\nvfill t2, r1\nhalt")


def test_a_run_knows_where_a_register_has_moved_a_tile():
    text = "movi r3, #32\ntadv t0, r3\nvfill t0, r1\naccrd t1, t1\nhalt"
    with pytest.raises(Trap, match="RACE"):
        verdict(text)
    with pytest.raises(Trap, match="RACE"):
        running(text.replace("#32", "#48"))
    running(text)


def test_the_checker_knows_where_a_word_has_moved_a_tile():
    text = "tstep t0, #{}\nvfill t0, r1\naccrd t1, t1\nhalt"
    verdict(text.format(96))
    for reached in (48, 64, 92):
        with pytest.raises(Trap, match=f"RACE: instructions 7 and 8 touch bytes {max(reached, 64)} to {min(reached + 32, 96)} of spm"):
            verdict(text.format(reached))
        with pytest.raises(Trap, match="RACE"):
            running(text.format(reached))
    verdict("tstep t0, #96\ntstep t0, #-96\n" + "accrd t1, t1\nbarrier\nvfill t0, r1\nhalt")
    with pytest.raises(Trap, match="ILLEGAL"):
        verdict("tstep t7, #4\nvfill t7, r1\nhalt")


def test_a_token_too_many():
    text = "nop V post=s0\n" * 256 + "halt"
    for check in (verdict, running):
        with pytest.raises(Trap, match="SEM_OVERFLOW: instruction 261 posts s0, which holds 255 posts that nothing has waited for"):
            check(text)


def test_bytes_that_nothing_has_written():
    for text, reason in {
        "vec1 neg, t1, t0\nhalt": r"UNINIT: a reads element \[0\] of t0, at byte 0 of spm, which nothing has written",
        "tset t2, spm, f32, #16\npoke t2, r1\npeek r5, t2\nvec1 neg, t1, t0\nhalt": r"UNINIT: a reads element \[0\]",
        "tset t2, acc, f32, #0\ntdim t2, #1, #4\ntdim t2, #1, #4\ntset t3, spm, f32, #0\ntdim t3, #1, #4\ntdim t3, #1, #4\npoke t3, r1\n"
        "mm t2, t3, t3\nhalt": r"UNINIT: to reads element \[0, 0\] of t2, at byte 0 of acc",
    }.items():
        with pytest.raises(Trap, match=reason):
            running(text, uninitialised=True)
    running("poke t0, r1\nvec1 neg, t1, t0\nhalt", uninitialised=True)


def test_another_order_shows_what_a_missing_token_does():
    """Program order hides the missing token; in some order the copy is early. With the token no order differs."""
    text = "poke t0, r0\nbarrier\nvfill t0, r1 {}\naccrd t1, t0 {}\nhalt"

    def outcomes(*tokens):
        return {running(text.format(*tokens), races=False, order=seed).memories[0][64:96].tobytes() for seed in range(1, 20)}

    assert len(outcomes("post=s0", "wait0=s0")) == 1 and len(outcomes("", "")) == 2


def test_no_order_changes_what_a_checked_program_leaves():
    for launched in of_random(8):
        found = [launched.again(launched.words, Checks(order=seed)) for seed in (None, 1, 2, 3)]
        assert all(reason == "" and after == found[0][1] for reason, after, _ in found)


def test_no_deleted_token_goes_unnoticed():
    """A sample: `python tests/npu_tokens.py` tries thousands."""
    tried = 0
    for launched in of_random(10):
        ran = launched.again(launched.words, SILENT)[2]
        for kind, at, changed in itertools.islice(deletions(launched.words), 12):
            assert by_words(changed) in CAUGHT
            if kind != "token" and at in ran:
                assert launched.again(changed, RACES)[0] in CAUGHT
            tried += 1
    assert tried > 30
