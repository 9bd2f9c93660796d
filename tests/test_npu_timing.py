"""Cycles: hand-counted programs, and what a clock must never do."""

import numpy as np
import pytest

from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import Core
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.run import decode, run
from tiledsl.backends.npu.timing import Listener, Timed
from tiledsl.ir.types import f32
from tiledsl.memory import Buffer, Memory


def cycles(text, machine=T1_BASE, share=64.0, array=None):
    """When a program is done, and its tasks."""
    buffers = [] if array is None else [Buffer(array.ctypes.data, array.nbytes, f32, True, array, "x")]
    core = Core(machine, Memory(buffers), [b.address for b in buffers], (0, 0, 0), (1, 1, 1))
    listener = Listener(machine)
    run(core, decode(T1.assemble(text)), listener)
    timed = Timed([listener.tasks.finish()], [0], 1, share)
    return timed.cycles, listener.tasks


TILE = "tset t0, spm, f32, #0\ntdim t0, #1024, #4\n"
LOAD = "arg r1, #0\nmovi r2, #4\ngset g0, f32, r1\ngdim g0, r2, #1024\n"


def test_the_scalar_unit_issues_one_a_cycle():
    assert cycles("movi r1, #1\nmovi r2, #2\nhalt")[0] == 3
    assert cycles("movi r1, #1\njump #3\nmovi r2, #2\nhalt")[0] == 3 + T1_BASE.taken_branch


def test_a_vector_instruction_takes_a_cycle_per_group_of_lanes():
    # three to issue, then 4 to set up and 1024 / 128 groups; division takes four turns
    assert cycles(TILE + "vfill t0, r0\nhalt")[0] == 3 + 4 + 8
    assert cycles(TILE + "vec2 div, t0, t0, t0\nhalt")[0] == 3 + 4 + 8 * 4
    assert cycles(TILE.replace("f32", "i64") + "vfill t0, r0\nhalt".replace("#4", "#8"))[0] == 3 + 4 + 16


def test_a_transfer_takes_its_bytes_and_the_latency():
    x = np.zeros(4096, np.float32)
    once = cycles(LOAD + TILE + "dld #0, t0, g0, -\nhalt", array=x)[0]
    assert once == 7 + 16 + 4096 / 32 + 120
    assert cycles(LOAD + TILE + "dld #0, t0, g0, -\nhalt", array=x, share=16.0)[0] == 7 + 16 + 4096 / 16 + 120


def test_channels_overlap_but_share_the_memory():
    x = np.zeros(4096, np.float32)
    one = LOAD + TILE + "dld #0, t0, g0, -\ndld #0, t0, g0, -\nhalt"
    two = LOAD + TILE + "dld #0, t0, g0, -\ndld #0, t0, g0, - channel=c1\nhalt"
    alone, wide, narrow = cycles(one, array=x)[0], cycles(two, array=x)[0], cycles(two, array=x, share=16.0)[0]
    assert wide < alone and narrow > 2 * 4096 / 16


def test_what_lies_outside_the_box_is_not_moved():
    x = np.zeros(4096, np.float32)
    text = LOAD + "movi r3, #16\ngbox g0, #0, r0, r3\n" + TILE + "dld #0, t0, g0, -\nhalt"
    assert cycles(text, array=x)[1].columns["moved"].sum() == 64


def test_a_token_makes_its_queue_wait():
    apart = TILE + "tset t1, spm, f32, #8192\ntdim t1, #1024, #4\n"
    free = apart + "vec2 div, t0, t0, t0\naccrd t1, t1\nhalt"
    tied = apart + "vec2 div, t0, t0, t0 post=s0\naccrd t1, t1 wait0=s0\nhalt"
    assert cycles(tied)[0] > cycles(free)[0]


def test_a_full_queue_holds_up_what_comes_after_it():
    x = np.zeros(4096, np.float32)
    many = LOAD + TILE + "vec2 div, t0, t0, t0\n" * 40 + "dld #0, t0, g0, -\nhalt"
    deep, shallow = (cycles(many, T1_BASE.but(queue_depth=depth), array=x)[0] for depth in (64, 2))
    assert deep == 7 + 40 * 36 and shallow > deep + 100


@pytest.mark.parametrize(("m", "k", "n"), [(16, 16, 16), (128, 64, 128), (33, 31, 65)])
def test_a_product_takes_folds_of_the_array(m, k, n):
    text = f"tset t0, acc, f32, #0\ntdim t0, #{m}, #{4 * n}\ntdim t0, #{n}, #4\n"
    text += f"tset t1, spm, f32, #0\ntdim t1, #{m}, #{4 * k}\ntdim t1, #{k}, #4\n"
    text += f"tset t2, spm, f32, #65536\ntdim t2, #{k}, #{4 * n}\ntdim t2, #{n}, #4\nmm t0, t1, t2\nhalt"
    folds = -(-k // 32) * -(-n // 32)
    assert cycles(text)[0] == 10 + folds * max(m, 32) * 4 + 62
