"""The pool that runs a grid: every program once, under concurrent launches, after a fork, when helpers come late."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from tiledsl.backend.base import Buffer, Options, Program
from tiledsl.backends import cpu
from tiledsl.backends.cpu import Backend, threads
from tiledsl.backends.cpu import workers as pool
from tiledsl.ir.parser import parse
from tiledsl.ir.types import i32

COUNT = """kernel @count(%y: *i32) {
  %x: i32 = program_id {axis=0}
  %p: *i32 = offset %y, %x
  %one: i32 = constant {value=1, type=i32}
  %old: i32 = atomic_rmw %p, %one {kind=add}
}
"""


def launch_counting(backend: Backend, program: Program, total: int, workers: int) -> np.ndarray:
    counts = np.zeros(total, np.int32)
    backend.launch(
        program, (total, 1, 1), [Buffer(counts.ctypes.data, counts.nbytes, i32, True, counts, "y")], Options(num_threads=workers)
    )
    return counts


@pytest.fixture(params=["native", "python"])
def eager(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers are woken however little there is to do: those of either pool."""
    if request.param == "python":
        monkeypatch.setattr(threads, "native_pool", lambda: None)
    monkeypatch.setattr(threads, "WAKING", -1.0)
    monkeypatch.setattr(cpu, "BRIEF", -1)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("total", [1, 2, 17, 1000])
def test_every_program_runs_once(eager: None, total: int, workers: int) -> None:
    backend = Backend()
    program = backend.compile(parse(COUNT), Options())
    for _ in range(20):
        assert (launch_counting(backend, program, total, workers) == 1).all()


def test_launches_from_several_threads(eager: None) -> None:
    backend = Backend()
    program = backend.compile(parse(COUNT), Options())
    wrong: list[int] = []

    def hammer() -> None:
        for _ in range(50):
            wrong.extend(np.flatnonzero(launch_counting(backend, program, 300, 3) != 1))

    users = [threading.Thread(target=hammer) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not wrong


def test_a_helper_that_comes_late_finds_nothing() -> None:
    ran: list[tuple[int, int]] = []
    region = pool.Region(lambda args, first, last, arena: ran.append((first, last)), 0, 0, 10, 4, 64)
    region.finish()
    region.help()
    assert ran == [(0, 4), (4, 8), (8, 10)]


def test_the_caller_waits_for_helpers_that_joined() -> None:
    done: list[int] = []

    def slow(args: int, first: int, last: int, arena: int) -> None:
        time.sleep(0.01)
        done.append(first)

    pool.Pool().run(pool.Region(slow, 0, 0, 20, 1, 64), 2)
    assert sorted(done) == list(range(20))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_makes_its_own_pool(eager: None) -> None:
    backend = Backend()
    program = backend.compile(parse(COUNT), Options())
    assert (launch_counting(backend, program, 100, 2) == 1).all()
    child = os.fork()
    if child == 0:
        os._exit(0 if (launch_counting(backend, program, 100, 2) == 1).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (launch_counting(backend, program, 100, 2) == 1).all()
