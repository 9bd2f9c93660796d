"""Banks of the scratchpad: lanes that want several words of one bank wait, and a profile says so."""

import pytest
from test_npu_timing import cycles

from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.timing.banks import busiest


@pytest.mark.parametrize(
    "extents, strides, words",
    [
        ((128,), (4,), 1),  # neighbours: one word of each of 32 banks
        ((64, 128), (512, 4), 1),
        ((128,), (0,), 1),  # one word for all
        ((8, 16), (0, 4), 1),
        ((128,), (16,), 4),  # a word for each lane: 128 words of 32 banks
        ((128,), (32,), 8),  # of every second bank
        ((128,), (512,), 128),  # all of one bank
        ((128,), (528,), 4),  # a word more from row to row: they are spread again
        ((8, 16), (1024, 4), 8),  # eight short rows, all in the same four banks
        ((3,), (512,), 3),  # fewer elements than lanes
        ((128,), (-512,), 128),
    ],
)
def test_the_busiest_bank(extents, strides, words):
    assert busiest(extents, strides, 128, 32, 16) == words


def text(stride):
    setup = "".join(f"tset t{n}, spm, f32, #{base}\ntdim t{n}, #256, #{step}\n" for n, base, step in ((0, 0, 4), (1, 4096, stride)))
    return setup + "vec2 add, t0, t0, t1\nhalt"


def test_lanes_wait_for_banks():
    near, tasks = cycles(text(4))
    far, waiting = cycles(text(512))
    assert far - near == 2 * 127 and tasks.columns["banks"].sum() == 0 and waiting.columns["banks"].sum() == 2 * 127
    assert cycles(text(512), T1_BASE.but(banks=0))[0] == near
    padded = cycles(text(528))[0]
    assert near < padded < far


def test_a_slow_operation_hides_what_it_can():
    slow, fast = (cycles(text(stride).replace("add", "div"))[0] for stride in (16, 4))
    assert slow == fast  # four cycles to divide, four to read
