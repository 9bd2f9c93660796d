"""Running a grid: a pool of threads that lives on, and chunks of programs handed out as they are asked for."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from collections.abc import Callable
from itertools import count

from .machine import processors

CHUNKS = 8  # per worker: small enough that a slow worker holds nobody up
PAGE = 2 << 20

Run = Callable[[int, int, int, int], None]  # (args, first, last, arena), without the interpreter lock


class Scratch(threading.local):
    """Each thread's scratch memory; it only grows."""

    memory: mmap.mmap | None = None

    def of(self, size: int) -> int:
        """The address of so many bytes, on a page boundary."""
        if self.memory is None or len(self.memory) < size:
            # private, or a forked child would scribble over its parent's tiles
            self.memory = mmap.mmap(-1, -(-max(size, 1) // PAGE) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        return self.address


_scratch = Scratch()


class Region:
    """One grid being run by several threads."""

    def __init__(self, run: Run, args: int, total: int, chunk: int, scratch: int):
        self.run, self.args, self.total, self.chunk, self.scratch = run, args, total, chunk, scratch
        self.tickets = count()  # next() on it is atomic
        self.error: BaseException | None = None

    def work(self) -> None:
        """Run chunks until there are no more."""
        arena = _scratch.of(self.scratch)
        while (first := next(self.tickets) * self.chunk) < self.total:
            self.run(self.args, first, min(first + self.chunk, self.total), arena)


class Pool:
    """Threads that wait for regions. A child process after fork makes its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process = os.getpid()
        self.inbox: list[tuple[threading.Event, list[tuple[Region, threading.Event]]]] = []

    def grow(self, workers: int) -> None:
        while len(self.inbox) < workers:
            mail: tuple[threading.Event, list[tuple[Region, threading.Event]]] = (threading.Event(), [])
            self.inbox.append(mail)
            threading.Thread(target=_serve, args=mail, daemon=True, name=f"tiledsl-{len(self.inbox)}").start()

    def run(self, region: Region, workers: int) -> None:
        """Help with a region from this thread and so many others; a pool in use leaves the caller alone with it."""
        if not self.lock.acquire(blocking=False):
            region.work()
            return
        try:
            self.grow(workers)
            finished = []
            for wake, mail in self.inbox[:workers]:
                done = threading.Event()
                mail.append((region, done))
                wake.set()
                finished.append(done)
            region.work()
            for done in finished:
                done.wait()
        finally:
            self.lock.release()


def _serve(wake: threading.Event, mail: list[tuple[Region, threading.Event]]) -> None:
    while True:
        wake.wait()
        wake.clear()
        while mail:
            region, done = mail.pop(0)
            try:
                region.work()
            finally:
                done.set()


_pool = Pool()


def run_grid(run: Run, args: int, total: int, scratch: int, threads: int | None) -> None:
    """Run programs 0..total on up to so many threads (None: one per processor)."""
    global _pool
    workers = min(threads or processors(), total)
    if workers <= 1:
        run(args, 0, total, _scratch.of(scratch))
        return
    if _pool.process != os.getpid():
        _pool = Pool()  # threads do not survive a fork
    chunk = max(1, total // (workers * CHUNKS))
    _pool.run(Region(run, args, total, chunk, scratch), workers - 1)
