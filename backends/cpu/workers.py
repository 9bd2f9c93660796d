"""A pool of Python threads: for grids whose programs may wait for each other, and where there is no native pool."""

from __future__ import annotations

import os
import threading
from itertools import count
from queue import SimpleQueue

from .entry import Run
from .machine import processors
from .scratch import arena_of


class Region:
    """One grid being run. Whoever helps joins it first; the caller leaves once its helpers have, and waits for nobody else."""

    def __init__(self, run: Run, args: int, first: int, total: int, chunk: int, scratch: int):
        self.run, self.args, self.first, self.total, self.chunk, self.scratch = run, args, first, total, chunk, scratch
        self.tickets = count()  # next() on it is atomic
        self.lock, self.left = threading.Lock(), threading.Event()
        self.helpers, self.closed = 0, False

    def work(self) -> None:
        """Run chunks until there are no more."""
        arena = arena_of(self.scratch)
        while (first := self.first + next(self.tickets) * self.chunk) < self.total:
            self.run(self.args, first, min(first + self.chunk, self.total), arena)

    def help(self) -> None:
        """Work on it, unless it is over already: then its arguments are gone."""
        with self.lock:
            if self.closed:
                return
            self.helpers += 1
        try:
            self.work()
        finally:
            with self.lock:
                self.helpers -= 1
                if not self.helpers:
                    self.left.set()

    def finish(self) -> None:
        """Work on it, then wait for those who joined; also if a signal interrupts: they use the caller's arguments."""
        try:
            self.work()
        except BaseException:
            self.total = 0  # no more chunks
            raise
        finally:
            self._part()

    def _part(self) -> None:
        with self.lock:
            self.closed = True
            alone = not self.helpers
            self.left.clear()
        interrupt: BaseException | None = None
        while not alone:
            try:
                alone = self.left.wait()
            except BaseException as error:  # raised by a signal's handler
                interrupt, self.total = error, 0
        if interrupt is not None:
            raise interrupt


class Pool:
    """Threads that wait for regions. Threads do not survive a fork: a child process makes its own pool."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.queue: SimpleQueue[Region] = SimpleQueue()
        self.workers = 0

    def run(self, region: Region, helpers: int) -> None:
        """Run a region with so many threads besides this one; if another launch has them, without."""
        if not self.busy.acquire(blocking=False):
            region.work()
            return
        try:
            while self.workers < helpers:
                self.workers += 1
                threading.Thread(target=self._serve, daemon=True, name=f"tiledsl-{self.workers}").start()
            for _ in range(helpers):
                self.queue.put(region)
            region.finish()
        finally:
            self.busy.release()

    def _serve(self) -> None:
        while True:
            self.queue.get().help()


_pool = Pool()


def _renew() -> None:
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def run_shared(run: Run, args: int, first: int, total: int, chunk: int, scratch: int, helpers: int) -> None:
    """Run programs first..total in chunks, with so many threads besides this one."""
    _pool.run(Region(run, args, first, total, chunk, scratch), helpers)


def run_apart(run: Run, args: int, total: int, scratch: int, threads: int | None) -> None:
    """Run programs that may wait for those before them: each begins as soon as a thread is free, in ascending order."""
    workers = min(threads or processors(), total)
    if workers <= 1:
        run(args, 0, total, arena_of(scratch))
    else:
        _pool.run(Region(run, args, 0, total, 1, scratch), workers - 1)


def run_together(run: Run, args: int, total: int, scratch: int) -> None:
    """Run all programs at once, each on a thread of its own."""
    region = Region(run, args, 0, total, 1, scratch)
    helpers = [threading.Thread(target=region.help, daemon=True) for _ in range(total - 1)]
    for helper in helpers:
        helper.start()
    region.finish()
    for helper in helpers:
        helper.join()
