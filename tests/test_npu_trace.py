"""The executed trace: a reader of it sees what an observer of the running core saw."""

import numpy as np

from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import Core
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.run import decode, run
from tiledsl.backends.npu.simulator.trace import Recorder, replay, tile_operands
from tiledsl.backends.npu.timing import Listener
from tiledsl.ir.types import f32
from tiledsl.memory import Buffer, Memory

LOOP = """
    arg r1, #0
    movi r2, #4
    movi r4, #3
    movi r5, #1
    movi r6, #7
    tset t0, spm, f32, #64
    tdim t0, #2, #32
    tdim t0, #8, #4
head:
    gset g0, f32, r1
    gdim g0, r2, #2
    gdim g0, r2, #8
    gbox g0, #1, r0, r6
    gbox g0, #0, r0, r5
    dld #0, t0, g0, - post=s0
    nop V wait0=s0 when=r5 unless=#1
    vec2 add, t0, t0, t0
    addr r1, r1, r2, #2
    addr r4, r4, r5, #-1
    barrier
    jumpnz r4, head
    halt
"""


def test_a_replayed_trace_is_what_an_observer_saw():
    x = np.arange(64, dtype=np.float32)
    program = decode(T1.assemble(LOOP))
    seen, recorder, clock = [], Recorder(), Listener(T1_BASE)

    def observe(core, pc, one):
        unit = one.instruction.unit
        seen.append((pc, [core.tile(n) for n in tile_operands(one)] if unit == "V" else [], core.box(0) if unit == "L" else None))

    core = Core(T1_BASE, Memory([Buffer(x.ctypes.data, x.nbytes, f32, True, x, "x")]), [x.ctypes.data], (0, 0, 0), (1, 1, 1))

    def both(core, pc, one):
        recorder(core, pc, one)
        observe(core, pc, one)
        clock(core, pc, one)

    run(core, program, both)
    trace = recorder.trace()
    before, seen = seen, []
    again = Listener(T1_BASE)
    replay(trace, program, T1_BASE, observe)
    replay(trace, program, T1_BASE, again)
    assert seen == before and again.tasks.rows == clock.tasks.rows and len(trace.steps) == len(before)
    loads = trace.steps[trace.steps["box"] >= 0]
    assert loads["touched"].tolist() == [7, 7, 7] and len(set(loads["box"].tolist())) == 3
    assert trace.steps["done"][trace.steps["pc"] == 14].tolist() == [0, 0, 0]
    assert trace.boxes["extents"][0].tolist() == [1, 1, 2, 8] and trace.tiles["strides"][0].tolist() == [0, 0, 32, 4]
