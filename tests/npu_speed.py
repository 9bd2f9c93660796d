"""How fast the accelerator's simulator is on this machine, and how much of the modelled machine's peaks ready kernels reach on it.

python tests/npu_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from tiledsl.backend import registry
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.isa.state import Core
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.account import Account
from tiledsl.backends.npu.simulator.fast import FastCore, load
from tiledsl.backends.npu.simulator.run import decode, run
from tiledsl.backends.npu.simulator.trace import Trace
from tiledsl.backends.npu.timing import Timed
from tiledsl.backends.npu.timing.events import _compiled
from tiledsl.backends.npu.timing.profile import Profile
from tiledsl.kernels.attention import attention
from tiledsl.kernels.layer_norm import layer_norm
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.softmax import softmax
from tiledsl.memory import Memory

SCALE_SIM = 0.97e6  # multiply-adds a second, the median of 66 full runs of version 3.0.0
SETUP = """
tset t0, {space}, f32, #0
tdim t0, #{n}, #{row}
tdim t0, #{n}, #4
tset t1, spm, f32, #0
tdim t1, #{n}, #{row}
tdim t1, #{n}, #4
tset t2, spm, f32, #262144
tdim t2, #{n}, #{row}
tdim t2, #{n}, #4
poke t0, r0
poke t1, r0
poke t2, r0
movi r1, #{times}
movi r2, #1
head:
{body}
addr r1, r1, r2, #-1
jumpnz r1, head
halt
"""


def program(n: int, times: int, body: str, space: str = "spm") -> str:
    """A loop over some instructions on n x n tiles."""
    return SETUP.format(n=n, row=4 * n, times=times, body=body, space=space)


def rate(text: str, slow: bool = False) -> float:
    """Instructions a second, the best of three runs."""
    words, best = decode(T1.assemble(text)), 0.0
    fast = FastCore(T1_BASE, patience=0)
    fast.attach(load(words, T1_BASE), Memory([]), [], (1, 1, 1))
    for _ in range(3):
        start = time.perf_counter()
        issued = run(Core(T1_BASE, Memory([]), [], (0, 0, 0), (1, 1, 1)), words) if slow else fast.run(0, (0, 0, 0))
        best = max(best, issued / (time.perf_counter() - start))
    return best


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, the best of five after the first."""
    call()
    found = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def timing_rate(call: Callable[[], object]) -> tuple[float, float]:
    """Instructions a second: from the traces of a launch to its cycles, and of that the event loop, compiled; the best of five."""
    kept: list[tuple[Account, list[Trace]]] = []
    called = Account.__call__

    def keep(account: Account, trace: Trace) -> None:
        if not kept or kept[-1][0] is not account:
            kept.append((account, []))
        kept[-1][1].append(replace(trace, steps=trace.steps.copy(), tiles=trace.tiles.copy(), boxes=trace.boxes.copy()))
        called(account, trace)

    with patch.object(Account, "__call__", keep):
        call()
    account, traces = kept[0]
    collecting, running = [], []
    for _ in range(5):
        start = time.process_time()
        again = Account(account.prices, account.programs)
        for trace in traces:
            called(again, trace)
        timed = again.timed(account.machine.cores)
        assert timed.issued == sum(len(trace.steps) for trace in traces)
        collecting.append(timed.issued / (time.process_time() - start))
        programs = [again.chosen[number] for number in range(again.programs)]
        start = time.process_time()
        Timed(again.classes, programs, account.machine.cores, account.machine.dram_bytes_per_cycle, run=_compiled())
        running.append(timed.issued / (time.process_time() - start))
    return max(collecting), max(running)


def shares() -> Iterator[tuple[str, str, float]]:
    """(kernel, limit, share): how near ready kernels come to what one part of the machine could do, the launch included."""
    draw = np.random.default_rng(0).standard_normal
    square, wide, heads = (draw(shape, np.float32) for shape in ((1024, 1024), (4096, 1024), (1, 1024, 64)))
    asked = (
        ("matmul 1024 x 1024 x 1024", "matrix", lambda: matmul(square, square, backend="npu")),
        ("attention 1024 x 64", "matrix", lambda: attention(heads, heads, heads, backend="npu")),
        ("softmax 4096 x 1024", "dram", lambda: softmax(wide, backend="npu")),
        ("layer_norm 4096 x 1024", "dram", lambda: layer_norm(wide, wide[0], wide[1], backend="npu")),
    )
    found: list[Profile] = []
    with registry.standing_in(Backend().telling(found.append)):
        for name, limit, call in asked:
            call()
            yield name, limit, getattr(found[-1].limits, limit) / found[-1].cycles


def main() -> None:
    for name, limit, share in shares():
        print(f"{name:28} on t1-base reaches     {share:8.1%} of the {'matrix unit' if limit == 'matrix' else 'bandwidth'}")
    mixed = "vec2 add, t0, t0, t1\nvec1 neg, t0, t0"
    print(f"4x4 tiles, half of them vector instructions  {rate(program(4, 500_000, mixed)) / 1e6:8.1f} M instructions/s")
    print(f"the same by the reference interpreter        {rate(program(4, 2000, mixed), slow=True) / 1e6:8.3f} M instructions/s")
    for n in (16, 32, 64, 128):
        times = 40_000_000 // n**3 * 8
        made = rate(program(n, times, "mm t0, t1, t2", "acc")) / 3 * n**3
        print(f"product of {n:3} x {n:3} x {n:3}, f32                 {made / 1e9:8.1f} G multiply-adds/s")
    q = np.random.default_rng(0).standard_normal((1, 1024, 64)).astype(np.float32)
    print(f"attention 1024 x 64, functional and timed    {seconds(lambda: attention(q, q, q, backend='npu')):8.3f} s")
    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    made = 1024**3 / seconds(lambda: matmul(a, a, backend="npu"))
    print(f"matmul 1024 x 1024 x 1024, with its time     {made / 1e9:8.1f} G multiply-adds/s, {made / SCALE_SIM:,.0f} times SCALE-Sim's")
    x = np.random.default_rng(0).standard_normal((2048, 1024)).astype(np.float32)
    for name, call in (("attention", lambda: attention(q, q, q, backend="npu")), ("softmax", lambda: softmax(x, backend="npu"))):
        whole, events = timing_rate(call)
        print(f"time of {name:36} {whole / 1e6:8.1f} M instructions/s from traces to cycles, {events / 1e6:.1f} M/s by events")


if __name__ == "__main__":
    main()
