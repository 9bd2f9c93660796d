"""Time by events: compiled or not it is the same; cores share one memory; lost cycles have a reason."""

import random
from functools import cache

import numpy as np
import pytest

from tiledsl.backends.npu.machine import T1_BASE, find
from tiledsl.backends.npu.timing import QUEUE_NAMES, Tasks, Timed, events, rounds
from tiledsl.backends.npu.timing.events import _compiled, chosen, simulate
from tiledsl.backends.npu.timing.tasks import KIND_BARRIER, KIND_SCALAR, KIND_TRANSFER


def mixed(seed, count=300, machine=T1_BASE):
    """Tasks of every kind that wait for earlier ones."""
    draw = random.Random(seed)
    tasks = Tasks(machine)
    for i in range(count):
        after = tuple(draw.randrange(i) for _ in range(draw.randrange(3))) if i else ()
        kind = draw.random()
        if kind < 0.4:
            moved = draw.choice([0, 64, 4096, 100_000])
            channel = draw.randrange(2)
            tasks.add(draw.choice("LW"), 16, channel=channel, kind=KIND_TRANSFER, own=moved / 32, moved=moved, latency=120, after=after)
        elif kind < 0.8:
            tasks.add(draw.choice("MVX"), draw.randrange(200), latency=draw.choice([0, 62]), after=after)
        else:
            tasks.add("S", draw.choice([0, 4]), kind=draw.choice([KIND_SCALAR] * 9 + [KIND_BARRIER]), after=after)
    tasks.add("S", kind=KIND_BARRIER)
    return tasks.finish()


def stream(transfers, machine=T1_BASE):
    tasks = Tasks(machine)
    for i in range(transfers):
        tasks.add("L", 0, channel=i % 4, kind=KIND_TRANSFER, own=1024, moved=1 << 15)
    return tasks.finish()


def test_compiled_or_not_it_is_the_same():
    classes = [mixed(seed) for seed in range(3)]
    programs = [n % 3 for n in range(10)]
    plain, fast = (Timed(classes, programs, 4, 48.0, record=True, run=run) for run in (simulate, _compiled()))
    for name in ("ends", "busy", "waited", "starved", "full", "began", "freed", "seen", "cause"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(fast, name), name)
    assert plain.issued == fast.issued == 301 * 10


def test_nothing_begins_before_what_it_waits_for():
    for seed in range(20):
        tasks = mixed(seed, 120)
        timed = Timed([tasks], [0], 1, 24.0, record=True)
        columns = tasks.columns
        for name, done in (("first", timed.seen), ("second", timed.seen), ("before", timed.freed), ("window", timed.seen)):
            chosen = columns[name] >= 0
            assert (timed.began[chosen] >= done[columns[name][chosen]]).all(), (seed, name)
        # no more than the memory gives, no less than each needs by itself
        assert timed.cycles >= columns["moved"].sum() / 24.0
        assert (timed.freed - timed.began >= columns["cost"] + columns["own"] - 1e-6).all()


def test_cores_share_one_memory():
    alone = Timed([stream(32)], [0], 1, 64.0).cycles
    together = Timed([stream(32)], [0] * 4, 4, 64.0).cycles
    wide = Timed([stream(32)], [0] * 4, 4, 1e9)
    assert abs(alone - 32 * 512) < 64 and abs(together / alone - 4) < 0.02
    assert wide.cycles < 8 * 1024 + 64 and wide.starved.sum() == 0


def test_what_a_slow_channel_leaves_the_others_use():
    tasks = Tasks(T1_BASE)
    tasks.add("L", channel=0, kind=KIND_TRANSFER, own=10_000, moved=10_000)  # one byte a cycle, whatever there is
    tasks.add("L", channel=1, kind=KIND_TRANSFER, own=100, moved=63_000)
    timed = Timed([tasks.finish()], [0], 1, 64.0, record=True)
    assert abs(timed.freed[1] - 1001) < 3


def test_lost_cycles_have_a_reason():
    tasks = Tasks(T1_BASE.but(queue_depth=2))
    load = tasks.add("L", kind=KIND_TRANSFER, own=1000, moved=1000)
    tasks.add("M", 10, after=(load,))
    for _ in range(4):
        tasks.add("V", 100)
    timed = Timed([tasks.finish()], [0], 1, 0.5)
    assert timed.lost()["M"]["L0"] > 1990 and timed.lost()["L0"] == {"S": 1, "bandwidth": 1000}
    at = {name: i for i, name in enumerate(QUEUE_NAMES)}
    assert timed.waited[at["M"], at["L0"]] > 1990 and abs(timed.starved[at["L0"]] - 1000) < 1 and timed.full[at["V"]] > 90


def test_few_transfers_are_under_way_at_once():
    def far(depth):
        tasks = Tasks(find("t1-base").but(inflight=depth))
        for _ in range(32):
            tasks.add("L", kind=KIND_TRANSFER, own=2, moved=64, latency=1000)
        return Timed([tasks.finish()], [0], 1, 64.0).cycles

    assert far(1) > 32_000 and far(8) < 5_000 and far(32) < 1_200


def test_what_has_been_compiled_is_used():
    assert chosen(10**6) is _compiled() and chosen(1) is _compiled()


def test_short_launches_add_up(monkeypatch):
    monkeypatch.setattr(events, "_compiled", cache(lambda: "compiled"))
    monkeypatch.setattr(events, "_effort", events._Effort())
    assert [events.chosen(60_000) for _ in range(7)] == [events.simulate] * 5 + ["compiled"] * 2


@pytest.mark.parametrize(
    ("cores", "programs"), [(1, [0] * 40), (4, [0] * 50), (3, [1] * 3 + [0] * 60 + [1, 2]), (2, [0] * 30 + [1, 0, 2] * 3)]
)
def test_equal_rounds_need_not_be_simulated(cores, programs):
    """Those that are taken from the one before end when, and wait as long as, those that are simulated."""
    classes = [mixed(seed, 120) for seed in range(3)]
    simulated = []

    def counting(*arguments):
        simulated.append(len(arguments[16]))
        return simulate(*arguments)

    whole = Timed(classes, programs, cores, 24.0, run=simulate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "chosen", lambda amount: counting)
        some = rounds.timed(classes, programs, cores, 24.0)
    assert sum(simulated) < len(programs) and some.issued == whole.issued
    for name in ("ends", "busy", "waited", "starved", "full", "kinds", "firsts", "ender", "programs", "recorded", "cycles"):
        np.testing.assert_allclose(getattr(some, name), getattr(whole, name), rtol=1e-9, atol=1e-6, err_msg=name)


def test_rounds_of_several_classes_are_simulated():
    assert rounds.longest([0, 0, 0, 1] * 9, 4) == (0, 0) and rounds.longest([], 4) == (0, 0)
    assert rounds.longest([0, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1], 2) == (1, 2)


def test_late_in_a_long_launch_transfers_end():
    """Where what is left of one takes less time than a float there can tell."""
    tasks = Tasks(T1_BASE)
    tasks.add("S", 2.0**34, kind=KIND_SCALAR)
    for i in range(20):
        tasks.add("L", channel=i % 4, kind=KIND_TRANSFER, own=0.01 * i, moved=100 + 7 * i)
    assert 2**34 < Timed([tasks.finish()], [0], 1, 1e4, run=_compiled()).cycles < 2**34 + 100
