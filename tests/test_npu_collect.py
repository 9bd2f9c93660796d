"""Tasks in bulk: what is made of traces is what the listener makes, instruction by instruction."""

from __future__ import annotations

import random

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.backend.registry import standing_in
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.simulator.account import Account
from tiledsl.backends.npu.simulator.fast import FastCore, load
from tiledsl.backends.npu.simulator.run import decode
from tiledsl.backends.npu.simulator.trace import Player, Trace
from tiledsl.backends.npu.timing import Listener, Prices, Tasks, priced, tasks_of
from tiledsl.backends.npu.timing.collect import _one_by_one, paired
from tiledsl.kernels.attention import attention
from tiledsl.kernels.softmax import softmax
from tiledsl.memory import Memory

NONE = 63
LONG = """
tset t0, spm, f32, #0
tdim t0, #{n}, #4
tset t1, spm, f32, #65536
tdim t1, #{n}, #4
poke t0, r0
movi r1, #{times}
movi r2, #1
movi r3, #64
head:
vec2 add, t1, t0, t0 post=s1
reduce add, t1, t1, #0 wait0=s1 when=r2 unless=#1
tadv t0, r3
vec1 neg, t1, t1 post=s2
nop X wait0=s2
addr r1, r1, r2, #-1
jumpnz r1, head
halt
"""


def compare(one: Tasks, other: Tasks) -> None:
    for name in Tasks.NAMES:
        np.testing.assert_array_equal(one.columns[name], other.columns[name], name)
    np.testing.assert_array_equal(one.heads, other.heads)
    np.testing.assert_array_equal(np.array(one.notes), np.array(other.notes))


@pytest.mark.parametrize("what", ["softmax", "attention"])
def test_kernels_cost_what_the_listener_says(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[Tasks, Listener]] = []
    called = Account.__call__

    def both(self: Account, trace: Trace) -> None:
        prices, listener = Prices(self.prices.program, self.machine), Listener(self.machine)
        made = tasks_of(prices, [priced(prices, trace)])
        Player(self.prices.program, self.machine).play(trace, listener)
        pairs.append((made, listener))
        called(self, trace)

    monkeypatch.setattr(Account, "__call__", both)
    x = np.random.default_rng(0).standard_normal((11, 70)).astype(np.float32)
    softmax(x, backend="npu") if what == "softmax" else attention(x[None, :, :16], x[None, :, :16], x[None, :, :16], backend="npu")
    assert pairs
    for made, listener in pairs:
        compare(made, listener.tasks.finish())


def test_runs_in_pieces_are_whole_again() -> None:
    program = decode(T1.assemble(LONG.format(n=64, times=5000)))
    core, loaded = FastCore(T1_BASE), load(program, T1_BASE)
    core.attach(loaded, Memory([]), [], (1, 1, 1))
    account, listener, player = Account(Prices(loaded.shown, T1_BASE), 2), Listener(T1_BASE), Player(loaded.shown, T1_BASE)
    pieces = []

    def sink(trace: Trace) -> None:
        pieces.append(len(trace.steps))
        player.play(trace, listener)
        account(trace)

    core.run(0, (0, 0, 0), sink)
    listener, kept = Listener(T1_BASE), listener
    core.run(1, (1, 0, 0), sink)
    account.timed(2)
    assert len(pieces) >= 4 and len(account.classes) == 1 and account.chosen == {0: 0, 1: 0}
    assert 2 * len(account.pieces) == 2 * len(account.alike) == len(pieces), "those of the second program are known from the first"
    compare(account.classes[0], kept.tasks.finish())


@tiledsl.jit
def summed(x, out, n, N: tl.constexpr):
    at = tl.arange(0, N)
    total = tl.zeros((), tl.float32)
    for i in range(n + tl.program_id(0) // 2):
        total += tl.sum(tl.load(x + i * N + at))
    tl.store(out + tl.program_id(0), total)


def test_what_is_remembered_of_launches_changes_no_report() -> None:
    x, out = np.ones(640, np.float32), np.zeros(10, np.float32)
    calls = [(x, 2, 9), (x[1:], 2, 9), (x, 3, 9), (x, 2, 10)]  # places, values and grids differ

    def report(backend: Backend, call: tuple[np.ndarray, int, int]) -> dict[str, object]:
        with standing_in(backend):
            made = summed[(call[2],)](call[0], out, call[1], N=64, backend=backend.name).report
        return {"cycles": made.cycles, **made.details}

    kept = Backend(name="npu:kept")
    fresh = [report(Backend(name="npu:fresh"), call) for call in calls]
    assert len({str(one) for one in fresh}) > 2
    assert [report(kept, call) for call in calls * 3] == fresh * 3


def test_waits_are_paired_with_posts() -> None:
    draw = random.Random(0)
    for honest in (True, False) * 20:
        waits, posts, tokens = [], [], [0] * 4
        for _ in range(200):
            both = [NONE, NONE]
            for slot in range(2):
                semaphore = draw.randrange(4)
                if draw.random() < 0.3 and (tokens[semaphore] or not honest):
                    both[slot] = semaphore
                    tokens[semaphore] -= 1
            post = draw.randrange(4) if draw.random() < 0.5 else NONE
            if post != NONE:
                tokens[post] += 1
            waits.append(both)
            posts.append(post)
        arrays = np.array(waits, np.uint8), np.array(posts, np.uint8)
        for one, other in zip(paired(*arrays), _one_by_one(*arrays), strict=True):
            np.testing.assert_array_equal(one, other)


TWICE = """
movi r1, #2
movi r2, #1
tset t0, spm, f32, #0
tdim t0, #640, #4
head:
vfill t0, r0
tset t0, spm, i64, #0
tdim t0, #640, #8
addr r1, r1, r2, #-1
jumpnz r1, head
halt
"""


def test_one_word_on_two_shapes_has_two_costs() -> None:
    program = decode(T1.assemble(TWICE))
    core, loaded = FastCore(T1_BASE), load(program, T1_BASE)
    core.attach(loaded, Memory([]), [], (1, 1, 1))
    prices, listener, pieces = Prices(loaded.shown, T1_BASE), Listener(T1_BASE), []
    player = Player(loaded.shown, T1_BASE)

    def sink(trace: Trace) -> None:
        pieces.append(priced(prices, trace))
        player.play(trace, listener)

    core.run(0, (0, 0, 0), sink)
    tasks = tasks_of(prices, pieces)
    compare(tasks, listener.tasks.finish())
    assert tasks.columns["cost"][tasks.notes == 4].tolist() == [4 + 5, 4 + 10]
