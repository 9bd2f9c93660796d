"""Programs that meet: locks, tickets, stream-K, look-back; and waits without end, which are told instead of hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl import ops, watch
from tiledsl.errors import LaunchError, WaitError
from tiledsl.ir.parser import parse
from tiledsl.machine import Machine
from tiledsl.passes.common import common
from tiledsl.passes.dead import dead

PLACES = [
    pytest.param({"backend": "interpreter"}, id="interpreter"),
    pytest.param({"backend": "npu"}, id="npu"),
    pytest.param({"backend": "cpu", "num_threads": 1}, id="cpu-1"),
    pytest.param({"backend": "cpu", "num_threads": 2}, id="cpu-2"),
    pytest.param({"backend": "cpu", "num_threads": 9}, id="cpu-9"),
]
everywhere = pytest.mark.parametrize("where", PLACES)
TOGETHER = [False, True]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for an error that a test expects."""
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.4")


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 30


@tiledsl.jit
def spin_lock(lock, total, last, times):
    i = 0
    while i < times:
        while tl.atomic_cas(lock, 0, 1) != 0:
            pass
        tl.store(total, tl.load(total) + 1)
        tl.atomic_xchg(lock, 0)
        i += 1
    tl.store(last + tl.program_id(0), i)


@pytest.mark.parametrize("together", TOGETHER)
@everywhere
def test_a_spin_lock_keeps_others_out(where: dict, together: bool) -> None:
    times = 3000 if where["backend"] == "cpu" else 4
    lock, total, last = (np.zeros(n, np.int32) for n in (1, 1, 8))
    spin_lock[(8,)](lock, total, last, times, launch_cooperative_grid=together, **where)
    assert total[0] == 8 * times and lock[0] == 0 and (last == times).all()


@tiledsl.jit
def tile_lock(lock, sums, x, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    while tl.atomic_xchg(lock, 1, sem="acquire") == 1:
        pass
    tl.store(sums + at, tl.load(sums + at) + tl.load(x + tl.program_id(0) * BLOCK + at))
    tl.debug_barrier()
    tl.atomic_xchg(lock, 0, sem="release")


@everywhere
def test_a_tile_is_read_and_written_under_the_lock(where: dict) -> None:
    x = np.random.default_rng(0).integers(-9, 9, (200, 64)).astype(np.float32)
    sums, lock = np.zeros(64, np.float32), np.zeros(1, np.int32)
    tile_lock[(200,)](lock, sums, x, BLOCK=64, **where)
    assert (sums == x.sum(0)).all() and lock[0] == 0


@tiledsl.jit
def handshake(flags, x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    if tl.program_id(0) == 0:
        values = tl.load(x + at)
        tl.atomic_xchg(flags, 1)
        while tl.load(flags + 1) == 0:
            pass
        tl.store(out + at, values)
        tl.store(out + BLOCK + at, tl.load(x + at))
    else:
        while tl.load(flags) == 0:
            pass
        tl.store(x + at, tl.full((BLOCK,), -1, tl.int32))
        tl.atomic_xchg(flags + 1, 1)


@everywhere
def test_what_was_read_before_a_release_is_not_read_after_it(where: dict) -> None:
    x, out, flags = np.arange(64, dtype=np.int32), np.zeros(128, np.int32), np.zeros(2, np.int32)
    handshake[(2,)](flags, x, out, BLOCK=64, launch_cooperative_grid=True, **where)
    assert out[:64].tolist() == list(range(64)) and (out[64:] == -1).all()


@tiledsl.jit
def tickets(state, order):
    mine = tl.atomic_add(state, 1)
    serving = tl.atomic_add(state + 1, 0)
    while serving != mine:
        serving = tl.atomic_add(state + 1, 0)
    tl.store(order + mine, tl.load(order + mine) + 1 + tl.load(order + tl.maximum(mine - 1, 0)))
    tl.atomic_add(state + 1, 1)


@pytest.mark.parametrize("together", TOGETHER)
@everywhere
def test_a_ticket_lock_serves_in_order(where: dict, together: bool) -> None:
    state, order = np.zeros(2, np.int32), np.zeros(30, np.int32)
    tickets[(30,)](state, order, launch_cooperative_grid=together, **where)
    assert state.tolist() == [30, 30] and order.tolist() == list(range(1, 31))


@tiledsl.jit
def stream_k(a, b, c, locks, tiles_n, k_steps, per_program, total, BLOCK: tl.constexpr):
    """Each program takes an equal share of all steps; a tile's first program writes it, the others wait and add."""
    first = tl.program_id(0) * per_program
    end = tl.minimum(first + per_program, total)
    i = tl.arange(0, BLOCK)
    while first < end:
        tile = first // k_steps
        stop = tl.minimum((tile + 1) * k_steps, end)
        rows, columns = (tile // tiles_n) * BLOCK + i, (tile % tiles_n) * BLOCK + i
        width, depth = tiles_n * BLOCK, k_steps * BLOCK
        acc = tl.zeros((BLOCK, BLOCK), tl.float32)
        for step in range(first - tile * k_steps, stop - tile * k_steps):
            k = step * BLOCK + i
            acc = tl.dot(tl.load(a + rows[:, None] * depth + k[None, :]), tl.load(b + k[:, None] * width + columns[None, :]), acc)
        out = c + rows[:, None] * width + columns[None, :]
        if first % k_steps == 0:
            tl.store(out, acc)
            if stop % k_steps != 0:
                tl.atomic_xchg(locks + tile, 1)
        else:
            while tl.atomic_cas(locks + tile, 1, 1) != 1:
                pass
            tl.atomic_add(out, acc)
        first = stop


@everywhere
def test_stream_k_fixes_up_tiles_that_programs_share(where: dict) -> None:
    draw = np.random.default_rng(1)
    a, b = draw.integers(-8, 8, (32, 96)).astype(np.float32), draw.integers(-8, 8, (96, 48)).astype(np.float32)
    c, locks = np.zeros((32, 48), np.float32), np.zeros(6, np.int32)
    stream_k[(8,)](a, b, c, locks, 3, 6, 5, 36, BLOCK=16, **where)  # integers: no order of sums changes a bit
    assert (c == a @ b).all()


@tiledsl.jit
def look_back(x, out, sums, prefixes, flags, n, BLOCK: tl.constexpr):
    """Prefix sums in one pass: a program adds up the sums of those before it, back to one that knows its whole prefix."""
    pid = tl.program_id(0)
    at = pid * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + at, mask=at < n, other=0)
    total = tl.sum(values, axis=0)
    tl.store(sums + pid, total)
    tl.atomic_xchg(flags + pid, 1)
    before = total * 0
    back = pid - 1
    while back >= 0:
        flag = tl.atomic_add(flags + back, 0)
        while flag == 0:
            flag = tl.atomic_add(flags + back, 0)
        if flag == 2:
            before += tl.load(prefixes + back)
            back = -1
        else:
            before += tl.load(sums + back)
            back -= 1
    tl.store(prefixes + pid, before + total)
    tl.atomic_xchg(flags + pid, 2)
    tl.store(out + at, before + tl.cumsum(values, axis=0), mask=at < n)


@pytest.mark.parametrize("together", TOGETHER)
@everywhere
def test_decoupled_look_back(where: dict, together: bool) -> None:
    n, block = (1700, 64) if where["backend"] == "cpu" else (700, 64)
    x = np.random.default_rng(2).integers(-99, 99, n).astype(np.int32)
    out, programs = np.zeros_like(x), -(-n // block)
    scratch = [np.zeros(programs, np.int32) for _ in range(3)]
    look_back[(programs,)](x, out, *scratch, n, BLOCK=block, launch_cooperative_grid=together, **where)
    assert (out == np.cumsum(x)).all()


# --- waits for programs that have not started, and for nobody


@tiledsl.jit
def from_above(flags, out):
    p = tl.program_id(0)
    if p + 1 < tl.num_programs(0):
        while tl.load(flags + p + 1, volatile=True) == 0:
            pass
        tl.store(out + p, tl.load(out + p + 1) + 1)
    tl.atomic_xchg(flags + p, 1)


@everywhere
def test_programs_of_a_cooperative_grid_may_wait_for_later_ones(where: dict) -> None:
    flags, out = np.zeros(20, np.int32), np.zeros(20, np.int32)
    from_above[(20,)](flags, out, launch_cooperative_grid=True, **where)
    assert out.tolist() == list(range(19, -1, -1))


@everywhere
def test_waiting_for_a_program_that_has_not_started_is_told(where: dict) -> None:
    flags, out = np.zeros(40, np.int32), np.zeros(40, np.int32)
    with pytest.raises(WaitError) as caught:
        from_above[(40,)](flags, out, **where)
    said = str(caught.value)
    assert "program (0, 0, 0) waits for `flags` element 1, and nothing changes that" in said
    assert "while tl.load(flags + p + 1, volatile=True) == 0:" in said and "launch_cooperative_grid=True" in said
    assert caught.value.loc is not None and caught.value.loc.function == "from_above"


@tiledsl.jit
def never(lock, count, COUNTS: tl.constexpr):
    turns = 0
    while tl.atomic_cas(lock + 3, 0, 1) != 0:
        if COUNTS:
            turns += 1
    tl.store(count, turns)


@pytest.mark.parametrize("together", TOGETHER)
@everywhere
def test_waiting_for_nobody_is_told(where: dict, together: bool) -> None:
    lock = np.ones(4, np.int32)
    with pytest.raises(WaitError, match=r"program \(0, 0, 0\) waits for `lock` element 3") as caught:
        never[(1,)](lock, lock, COUNTS=False, launch_cooperative_grid=together, **where)
    assert ("let another program write" in str(caught.value)) == together
    never[(1,)](np.zeros(4, np.int32), lock, COUNTS=False, **where)  # and the next launch runs


@everywhere
def test_counting_turns_is_no_progress(where: dict) -> None:
    lock = np.ones(4, np.int32)
    with pytest.raises(WaitError):
        never[(3,)](lock, lock, COUNTS=True, **where)


@tiledsl.jit
def stuck_at_work(flags, x, HOW: tl.constexpr):
    """Loops that wait for nobody and do something meanwhile."""
    at = tl.arange(0, 32)
    if HOW == "carries a tile":
        seen = tl.load(flags + at)
        while tl.max(seen) == 0:
            seen = tl.load(flags + at)
    elif HOW == "stores the same tile":
        while tl.load(flags) == 0:
            tl.store(x + at, at)
    elif HOW == "stores the same":
        while tl.load(flags) == 0:
            tl.store(x, 1)
    elif HOW == "pauses":
        while tl.load(flags) == 0:
            pause = 0
            while pause < 20:
                pause += 1
    elif HOW == "sums tiles":
        total = tl.zeros((32,), tl.int32)
        turns = 0
        while tl.load(flags) == 0:
            total += tl.load(flags + at)
            turns += 1
        tl.store(x + at, total)
        tl.store(x, turns)
    tl.store(x, 7)


@pytest.mark.parametrize("how", ["carries a tile", "stores the same tile", "stores the same", "pauses", "sums tiles"])
@everywhere
def test_a_wait_that_does_something_is_told(where: dict, how: str) -> None:
    flags, x = np.zeros(32, np.int32), np.zeros(32, np.int32)
    with pytest.raises(WaitError, match=r"program \(0, 0, 0\) waits"):
        stuck_at_work[(2,)](flags, x, HOW=how, **where)
    stuck_at_work[(2,)](np.ones(32, np.int32), x, HOW=how, **where)
    assert x[0] == 7


@tiledsl.jit
def two_in_three_axes(flags):
    p = tl.program_id(0) + 2 * tl.program_id(1)
    if p == 3:
        while tl.min(tl.load(flags + tl.arange(0, 4))) == 0:
            pass
    tl.atomic_xchg(flags + p, 1)


@everywhere
def test_a_wait_for_a_tile_names_the_program(where: dict) -> None:
    with pytest.raises(WaitError, match=r"program \(1, 1, 0\) waits"):
        two_in_three_axes[(2, 2)](np.zeros(4, np.int32), **where)


def test_more_programs_than_can_run_at_once_are_refused() -> None:
    for backend in ("interpreter", "cpu", "npu"):
        with pytest.raises(LaunchError, match="5000 programs cannot run at once"):
            from_above[(5000,)](np.zeros(5000, np.int32), np.zeros(5000, np.int32), launch_cooperative_grid=True, backend=backend)


def test_a_kernel_that_waits_for_nobody_may_be_as_large_as_it_likes_and_cooperative() -> None:
    count = np.zeros(1, np.int32)
    _count[(5000,)](count, launch_cooperative_grid=True, backend="cpu")
    assert count[0] == 5000


@tiledsl.jit
def _count(count):
    tl.atomic_add(count, 1)


# --- what works is not stopped


@tiledsl.jit
def chase(links, found, start):
    at = start
    while tl.load(links + at) >= 0:
        at = tl.load(links + at)
    tl.store(found, at)


@tiledsl.jit
def halve(x, error, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    while tl.load(error) > 0:
        y = tl.load(x + at) // 2
        tl.store(x + at, y)
        tl.store(error, tl.max(y))


@tiledsl.jit
def fill_slowly(done, x, n):
    """Ends by what it stores, one element at a time; what decides stays the same until then."""
    i = 0
    while tl.load(done) == 0:
        tl.store(x + i, i)
        i += 1
        if i == n:
            tl.store(done, 1)


@tiledsl.jit
def count_in_memory(done, n):
    """The same, where nothing but memory knows how far it has come."""
    while tl.load(done) == 0:
        tl.store(done + 1, tl.load(done + 1) + 1)
        if tl.load(done + 1) == n:
            tl.store(done, 1)


@pytest.mark.parametrize("backend", ["cpu", "interpreter", "npu"])
def test_loops_that_store_outlast_the_limit(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.0001")
    n = 200_000 if backend == "cpu" else 300
    done, x = np.zeros(2, np.int32), np.zeros(n, np.int32)
    fill_slowly[(1,)](done, x, n, backend=backend)
    assert (x == np.arange(n)).all()
    done[:] = 0
    count_in_memory[(1,)](done, n, backend=backend)
    assert done.tolist() == [1, n]


def test_loops_that_work_outlast_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "0.0001")
    n = 400_000
    links, found = np.append(np.arange(1, n), -1).astype(np.int32), np.zeros(1, np.int32)
    for backend in ("cpu", "interpreter", "npu"):
        start = 0 if backend == "cpu" else n - 300
        chase[(1,)](links, found, start, backend=backend)
        assert found[0] == n - 1
        x = np.full(64, 2**30, np.int32)
        halve[(1,)](x, np.ones(1, np.int32), BLOCK=64, backend=backend)
        assert not x.any()


@tiledsl.jit
def wait_for_host(flag, out):
    while tl.load(flag, volatile=True) == 0:
        pass
    tl.store(out, tl.load(flag))


@everywhere
def test_the_host_may_write_what_a_program_waits_for(where: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_WAIT_LIMIT", "20")
    flag, out = np.zeros(1, np.int32), np.zeros(1, np.int32)
    timer = threading.Timer(0.15, lambda: flag.fill(7))
    timer.start()
    wait_for_host[(1,)](flag, out, **where)
    timer.join()
    assert out[0] == 7


@pytest.mark.parametrize("kind", ["interrupted", "fault"])
def test_an_error_in_one_program_ends_those_that_wait_for_it(kind: str) -> None:
    turns = watch.Turns(3)

    def program(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt if kind == "interrupted" else ValueError("no")
        while True:
            turns.hand_over(number)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt if kind == "interrupted" else ValueError):
        turns.run(program)
    assert threading.active_count() == before


# --- what the passes may do with memory that others write

FLAG = """kernel @flag(%p: *i32, %o: *i32) {
  %zero: i32 = constant {value=0, type=i32}
  %first: i32 = load %p
  while {
  ^():
    %again: i32 = load %p
    %go: i1 = eq %again, %zero
    yield %go
  ^():
    yield
  }
  %after: i32 = load %p
  %sum: i32 = add %first, %after
  store %o, %sum
}
"""


def test_reads_before_in_and_after_a_wait_are_three_reads() -> None:
    kernel = dead(common(parse(FLAG), Machine("any")), Machine("any"))
    assert sum(op.spec is ops.load for op in kernel.body.walk()) == 3
    assert any(op.spec is ops.while_ for op in kernel.body.walk())
