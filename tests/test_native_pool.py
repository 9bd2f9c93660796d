"""The pool in native code: launches from many threads, in forked children, with signals, on one processor, at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from types import BuiltinFunctionType

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.backends.cpu import direct
from tiledsl.backends.cpu.native import pool
from tiledsl.runtime.jit import PATIENCE

pytestmark = pytest.mark.skipif(pool.native_pool() is None, reason="no native pool on this system")

BLOCK = 4096


@tiledsl.jit
def add_rounds(y, x, rounds, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.load(y + at)
    for _ in range(rounds):
        total += tl.load(x + at)
    tl.store(y + at, total)


def launched(programs: int, times: int, rounds: int = 1) -> bool:
    """Whether launches on two threads run every program once each."""
    y, x = np.zeros(programs * BLOCK, np.float32), np.ones(programs * BLOCK, np.float32)
    for _ in range(times):
        add_rounds[(programs,)](y, x, rounds, BLOCK=BLOCK, backend="cpu", num_threads=2)
    return bool((y == times * rounds).all())


def test_many_small_regions_from_several_threads_and_forks_in_their_middle() -> None:
    assert launched(16, 3)
    right: list[bool] = []
    users = [threading.Thread(target=lambda: right.append(launched(16, 300))) for _ in range(4)]
    for user in users:
        user.start()
    for _ in range(5):
        child = os.fork()
        if child == 0:
            os._exit(0 if launched(16, 20) else 1)
        assert os.waitpid(child, 0)[1] == 0
    for user in users:
        user.join()
    assert right == [True] * 4


def test_launches_do_not_ask_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched(32, 3)
    monkeypatch.setattr(direct, "run_grid", lambda *rest: pytest.fail("Python was asked"))
    assert launched(32, 5)


def test_work_is_shared() -> None:
    """The processor time of a long launch is more than the caller's own."""
    y, x = np.zeros(64 * BLOCK, np.float32), np.ones(64 * BLOCK, np.float32)
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    for _ in range(5):
        own, everyone = time.thread_time(), time.process_time()
        add_rounds[(64,)](y, x, 2000, BLOCK=BLOCK, backend="cpu", num_threads=2)
        own, everyone = time.thread_time() - own, time.process_time() - everyone
        if everyone > 1.2 * own:
            return
    pytest.fail(f"{own} of {everyone} seconds")


def test_who_has_nothing_to_do_sleeps() -> None:
    assert launched(64, 3)
    time.sleep(0.05)
    begin = time.process_time()
    time.sleep(0.4)
    assert time.process_time() - begin < 0.1


def test_the_struct_is_the_same_in_both_languages() -> None:
    found = pool.native_pool()
    assert found is not None
    elements = {"i32": 4, "i64": 8, "ptr": 8}
    fields = re.search(r"%Pool = type \{(.*?)\}", files("tiledsl.backends.cpu.native").joinpath("pool.ll").read_text())
    assert fields is not None
    sizes = [int(n or 1) * elements[t] for n, t in re.findall(r"(?:\[(\d+) x )?(i32|i64|ptr)", fields[1])]
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    named = {"generation": 0, "active": 2, "next": 4, "region": 6, "lock": 13, "workers": 17, "worth": 18, "futex": 19, "away": 20}
    named |= {"present": 21, "threads": 23}
    assert {name: offsets[i] for name, i in named.items()} == {name: getattr(pool._Shared, name).offset for name in named}


def test_helpers_are_kept_off_the_processor_of_who_wakes_them() -> None:
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("one processor")
    y, x = np.zeros(64 * BLOCK, np.float32), np.ones(64 * BLOCK, np.float32)
    for _ in range(20):
        time.sleep(0.002)  # they sleep, too
        add_rounds[(64,)](y, x, 100, BLOCK=BLOCK, backend="cpu", num_threads=2)
        masks = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
        if any(len(allowed - mask) == 1 for mask in masks):
            return
    pytest.fail(f"{allowed}: {masks}")


def test_on_one_processor_nobody_is_asked() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        y, x = np.zeros(16 * BLOCK, np.float32), np.ones(16 * BLOCK, np.float32)
        for _ in range(5):
            add_rounds[(16,)](y, x, 1, BLOCK=BLOCK, backend="cpu")
        assert (y == 5).all()
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a program of a terminal: a shell starts what runs in its background deaf to this signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_is_not_lost() -> None:
    assert launched(16, 3)
    for _ in range(5):  # one may come where Python drops exceptions, as in a callback of the garbage collector
        timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            timer.start()
            while timer.is_alive():
                launched(16, 20)
            time.sleep(0.1)
        except KeyboardInterrupt:
            break
    else:
        pytest.fail("no signal was heard")
    assert launched(16, 3)


class Interrupted(Exception):
    """What a handler raises."""


def interrupt(number: int, frame: object) -> None:
    raise Interrupted


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("repeated", [False, True], ids=["python", "native"])
def test_a_signal_ends_a_launch_that_takes_long(threads: int, repeated: bool) -> None:
    y, x = np.zeros(200 * BLOCK, np.float32), np.ones(200 * BLOCK, np.float32)

    def launch(rounds: int) -> None:
        add_rounds[(200,)](y, x, rounds, BLOCK=BLOCK, backend="cpu", num_threads=threads)

    for _ in range(PATIENCE + 3 if repeated else 1):
        launch(1)
    assert isinstance(add_rounds[(200,)], BuiltinFunctionType) or not repeated
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        begin = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interrupted):
            launch(200_000)
        assert time.perf_counter() - begin < 3  # of twenty seconds, or ten
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with pytest.raises(Interrupted):
            while True:
                launch(200)
    finally:
        signal.signal(signal.SIGALRM, before)
    y[:] = 0
    launch(3)
    assert (y == 3).all()


def test_a_signal_that_comes_while_threads_are_started_leaves_none_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pool.native_pool()
    assert found is not None
    monkeypatch.setattr(found._shared, "workers", found._shared.workers)
    masked = signal.pthread_sigmask
    unblocked = masked(signal.SIG_BLOCK, ())

    def heard(how: int, signals: object) -> object:
        before = masked(how, signals)
        if how == signal.SIG_BLOCK and signals:
            raise Interrupted
        return before

    monkeypatch.setattr(signal, "pthread_sigmask", heard)
    with pytest.raises(Interrupted):
        found._ask_for(found._shared.workers + 1)
    assert masked(signal.SIG_BLOCK, ()) == unblocked


def test_the_interpreter_ends_while_threads_spin() -> None:
    code = "from test_native_pool import launched; assert launched(64, 10, 50)"
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": path})
