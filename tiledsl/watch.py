"""Programs that wait for each other: who waits, who takes the next turn, and when waiting has no end.

A program that waits polls: again and again it tells what its loop saw. Waiting has no end when for some seconds every
program that has started saw the same as before; a program that computes does not poll, however long it takes. Where loops
store while they wait, what the arrays of the launch hold must have stayed the same for some time more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from . import config
from .errors import LaunchError, WaitError
from .location import Loc

MOST_TOGETHER = 1024  # programs of a cooperative launch: each has a thread
SETTLED = 0.01  # seconds without news after which polling gets slower


@dataclass
class Seen:
    """What a worker's program saw in its loop when it last polled, and since when."""

    program: int
    place: int
    state: Hashable
    address: int
    stores: bool
    last: float


class Watch:
    """The waiting of one launch. A worker is whoever runs programs one after another."""

    def __init__(self, limit: float | None = None, memory: Callable[[], int] | None = None):
        """`memory`: a number that stands for what the arrays of the launch hold."""
        self.limit = config.wait_limit() if limit is None else limit
        self.memory = memory
        self.held: int | None = None  # what `memory` said when it last looked as if waiting had no end
        self.lock = threading.Lock()
        self.running: dict[int, Seen | None] = {}
        self.news = time.monotonic()
        self.stuck: Seen | None = None  # the lowest program, once waiting has no end
        self.interrupt: BaseException | None = None

    @property
    def over(self) -> bool:
        """Whether programs should stop where they are."""
        return self.stuck is not None or self.interrupt is not None

    def enter(self, worker: int) -> None:
        """A worker begins to run programs."""
        with self.lock:
            self.running[worker] = None
            self.news = time.monotonic()

    def leave(self, worker: int) -> None:
        """A worker has run its programs."""
        with self.lock:
            del self.running[worker]
            self.news = time.monotonic()

    def poll(self, worker: int, program: int, place: int, state: Hashable, address: int = 0, stores: bool = False) -> bool:
        """Tell what a loop saw, and whether it stores; whether the program should stop."""
        now = time.monotonic()
        mine = self.running[worker]
        if mine is None or (mine.program, mine.place, mine.state) != (program, place, state):
            with self.lock:
                self.running[worker] = Seen(program, place, state, address, stores, now)
                self.news, self.held = now, None
            return self.over
        mine.last = now
        if self.limit and now - self.news > self.limit and not self.over:
            with self.lock:
                everyone = [seen for seen in self.running.values() if seen is not None and now - seen.last < self.limit / 2]
                if len(everyone) == len(self.running) and now - self.news > self.limit:
                    if any(seen.stores for seen in everyone) and self._changed():
                        self.news = now - self.limit / 2  # look again after as long
                    else:
                        self.stuck = min(everyone, key=lambda seen: seen.program)
        return self.over

    def _changed(self) -> bool:
        """Whether the arrays hold something else than when this was last asked, with nothing new since."""
        before, self.held = self.held, None if self.memory is None else self.memory()
        return before is None or before != self.held

    def rest(self) -> None:
        """Let others run; longer, the longer nothing has happened."""
        quiet = time.monotonic() - self.news
        time.sleep(0 if quiet < SETTLED else min(quiet / 100, 1e-3))

    def check(self, places: Sequence[Loc | None], grid: Sequence[int], cooperative: bool, name: Callable[[int], str]) -> None:
        """Raise what ended the launch early, if something did; `name` says what is at an address."""
        if self.interrupt is not None:
            raise self.interrupt
        if self.stuck is not None:
            seen = self.stuck
            place = places[seen.place] if 0 <= seen.place < len(places) else None
            raise diagnosis(seen.program, place, grid, cooperative, name(seen.address), self.limit)


def diagnosis(program: int, place: Loc | None, grid: Sequence[int], cooperative: bool, what: str, limit: float) -> WaitError:
    """The error of a program that waits without end."""
    width, height = grid[0], grid[1]
    number = (program % width, program // width % height, program // (width * height))
    waits = f"waits for {what}" if what else "waits in a loop"
    if cooperative:
        help = "let another program write what this loop reads, before it waits itself"
    else:
        help = "wait for programs of a lower number only, or launch with launch_cooperative_grid=True: then all of them run at once"
    return WaitError(
        f"program {number} {waits}, and nothing changes that",
        place,
        notes=(
            f"for {limit:g} seconds every program that has started has waited; TILEDSL_WAIT_LIMIT sets this limit, 0 for none",
            "all programs of the grid run at once" if cooperative else "programs start in ascending order, as others end",
        ),
        help=help,
    )


def require_room(total: int, most: int = MOST_TOGETHER) -> None:
    """Refuse a cooperative launch of more programs than can run at once."""
    if total > most:
        raise LaunchError(
            f"{total} programs cannot run at once; launch_cooperative_grid=True takes up to {most} here",
            help=f"launch up to {most} programs, and let each do more",
        )


def named(address: int, buffers: Sequence[tuple[int, int, int, str]]) -> str:
    """What is at an address, among (first, after last, size of an element, name)."""
    for start, stop, size, name in buffers:
        if name and start <= address < stop:
            return f"`{name}` element {(address - start) // size}"
    return ""


class Unwind(BaseException):
    """Ends a program whose launch is over."""


class Turns:
    """Runs programs in turns, one at a time, in ascending order; each runs until it ends or waits."""

    def __init__(self, total: int):
        self.turn = [threading.Semaphore(0) for _ in range(total)]
        self.back = threading.Semaphore(0)
        self.ended = [False] * total
        self.error: BaseException | None = None
        self.over = False

    def run(self, program: Callable[[int], None]) -> None:
        """Run program(0), program(1), ... until all have ended; raise the first error."""
        threads = [threading.Thread(target=self._serve, args=(program, i), daemon=True) for i in range(len(self.turn))]
        waiting = deque(range(len(threads)))
        started = 0
        try:
            while waiting and self.error is None:
                number = waiting.popleft()
                if number == started:
                    threads[number].start()
                    started += 1
                self.turn[number].release()
                self.back.acquire()
                if not self.ended[number]:
                    waiting.append(number)
        finally:
            self.over = True
            for number in range(started):
                self.turn[number].release()
            for thread in threads[:started]:
                thread.join()
        if self.error is not None:
            raise self.error

    def hand_over(self, number: int) -> None:
        """Called by a program that waits: the others first."""
        self.back.release()
        self.turn[number].acquire()
        if self.over:
            raise Unwind

    def _serve(self, program: Callable[[int], None], number: int) -> None:
        self.turn[number].acquire()
        try:
            if not self.over:
                program(number)
        except Unwind:
            pass
        except BaseException as error:
            self.error = self.error or error
        finally:
            self.ended[number] = True
            self.back.release()
