"""Running a grid on several threads, where that is worth it."""

from __future__ import annotations

import time

from tiledsl.forks import lock

from .entry import AGAIN, Run
from .machine import processors
from .native.pool import native_pool
from .scratch import arena_of

CHUNKS = 8  # per worker: small enough that a slow worker holds nobody up
PATIENCE = 0.1  # seconds that a signal may have to wait
WAKING = 40e-6  # seconds of work below which another thread comes too late
BRIEF = 1 << 15  # elements computed in less than that


def run_grid(run: Run, args: int, total: int, scratch: int, threads: int | None) -> None:
    """Run programs 0..total on up to so many threads (None: one per processor)."""
    workers = min(threads or processors(), total)
    arena = arena_of(scratch)
    if workers <= 1:
        _run_alone(run, args, total, arena)
        return
    pool = native_pool()
    if pool is not None:
        pool.run(run, args, total, workers, scratch, arena, WAKING)
        return
    chunk = max(1, total // (workers * CHUNKS))
    start = time.perf_counter()
    run(args, 0, chunk, arena)  # and see how long it takes: waking others must be worth it
    left = (time.perf_counter() - start) / chunk * (total - chunk)
    if left < WAKING:
        run(args, chunk, total, arena)
        return
    with lock:  # a child must not inherit the lock of a module that is being imported
        from .workers import run_shared  # where there is a native pool, nobody needs it
    run_shared(run, args, chunk, total, chunk, scratch, workers - 1)


def _run_alone(run: Run, args: int, total: int, arena: int) -> None:
    """Run all programs on this thread, in pieces between which Python hears signals."""
    start, first, size = time.perf_counter(), 0, max(total // 64, 1)
    while first < total:
        last = min(first + size, total)
        run(args, first | AGAIN * bool(first), last, arena)
        size = max(int(PATIENCE * last / (time.perf_counter() - start + 1e-9)), 1)
        first = last
