"""Banks of the scratchpad: lanes that want several words of one bank wait, and a profile says so."""

import numpy as np
import pytest
from test_npu_timing import cycles

import tiledsl
import tiledsl.language as tl
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


@tiledsl.jit
def product(out, a, b, N: tl.constexpr, TURNED: tl.constexpr):
    rows, columns = tl.arange(0, N)[:, None] * N, tl.arange(0, N)[None, :]
    right = tl.load(b + rows + columns)
    if TURNED:
        right = right.T
    tl.store(out + rows + columns, tl.dot(tl.load(a + rows + columns), right, input_precision="ieee"))


def test_the_vector_unit_multiplies_with_a_transposed_factor_as_fast():
    a, b = (np.random.default_rng(0).standard_normal((64, 64), np.float32) for _ in range(2))
    found = []
    for turned, right in ((False, b), (True, np.ascontiguousarray(b.T))):
        out = np.empty_like(a)
        cycles = product[(1,)](out, a, right, N=64, TURNED=turned, backend="npu:vector-only").report.cycles
        found.append((cycles, out.tobytes()))
    (plain, expected), (cycles, bits) = found
    assert bits == expected and cycles < 1.3 * plain, "one copy, instead of lanes that wait for banks at every step of k"
