"""What is ordered before what: vector clocks over the queues of a core, fed instruction by instruction in program order.

A queue is in order; a wait hears all that the queue of its post knew, and that the posting instruction is done; what the scalar
unit knows, everything that it issues later knows; a barrier tells everyone everything. Two accesses of different queues to the
same bytes, one of them a write, must be ordered by that, or they are a race: some run of the machine would see it.
`check` feeds it with what words say, the simulators with what was executed.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tiledsl.backend.isa import Decoded

from .isa.instructions import NO_SEMAPHORE, UNITS
from .isa.state import Trap
from .machine import Npu

Queue = tuple[str, int]  # unit and channel
SCALAR: Queue = ("S", 0)
DRAM = 2  # the third space, after those of descriptors
SPACES = ("spm", "acc", "DRAM")
EVERYWHERE = 1 << 62
MOST_POSTED = 255  # what a semaphore counts to
CROWDED = 64  # accesses of a queue, after which those that can matter no longer are dropped


class Access(NamedTuple):
    """Bytes that an instruction touches."""

    space: int
    low: int
    high: int  # after the last
    writes: bool
    early: bool = False  # a read that may come before all earlier writes


@dataclass
class Posted:
    """A token that nobody has taken yet: who posted it, and what its queue knew."""

    pc: int
    clock: dict[Queue, int]


@dataclass
class Order:
    """The state of a core's queues between two instructions."""

    queues: frozenset[Queue] = frozenset()  # those that exist, the scalar unit apart
    issued: int = 0  # instances: an instruction in a loop has many
    knows: dict[Queue, dict[Queue, int]] = field(default_factory=lambda: defaultdict(dict))  # of each other queue, the last done
    history: dict[Queue, dict[Access, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))  # instance and pc
    posted: dict[int, deque[Posted]] = field(default_factory=lambda: defaultdict(deque))

    def issue(self, pc: int, queue: Queue, accesses: Iterable[Access], waits: Iterable[int], post: int | None) -> None:
        """One instruction; a trap where it takes a token that is not there, posts one too many, or races."""
        self.issued += 1
        mine = self.knows[queue]
        if queue != SCALAR:
            _hear(mine, self.knows[SCALAR])
        for wait in waits:
            if not self.posted[wait]:
                raise Trap("SEM_UNDERFLOW", f"instruction {pc} waits for s{wait}, which nothing has posted")
            _hear(mine, self.posted[wait].popleft().clock)
        history = self.history[queue]
        for access in accesses:
            self._ordered(pc, queue, mine, access)
            history[access] = self.issued, pc
        if len(history) > CROWDED:
            self._forget(queue)
        if post is not None:
            if len(self.posted[post]) == MOST_POSTED:
                raise Trap("SEM_OVERFLOW", f"instruction {pc} posts s{post}, which holds {MOST_POSTED} posts that nothing has waited for")
            self.posted[post].append(Posted(pc, mine | {queue: self.issued}))

    def settle(self) -> None:
        """A barrier: everything is done, and everyone knows. Tokens stay."""
        self.knows.clear()
        self.history.clear()
        for tokens in self.posted.values():
            for token in tokens:
                token.clock = {}

    def end(self) -> None:
        """The program is over: no token may be left."""
        for semaphore, tokens in sorted(self.posted.items()):
            if tokens:
                raise Trap("SEM_LEAK", f"s{semaphore} is posted by instruction {tokens[0].pc} and never waited for")

    def _ordered(self, pc: int, queue: Queue, mine: dict[Queue, int], access: Access) -> None:
        space, low, high, writes, early = access
        for other, accesses in self.history.items():
            if other in (queue, SCALAR):
                continue
            heard = mine.get(other, 0)
            for (where, first, after, wrote, _), (instance, earlier) in accesses.items():
                if where == space and first < high and low < after and (writes or wrote and not early) and heard < instance:
                    bytes_ = "" if space == DRAM else f"bytes {max(first, low)} to {min(after, high)} of "
                    verbs = " and ".join("write" if w else "read" for w in (wrote, writes))
                    raise Trap("RACE", f"instructions {earlier} and {pc} touch {bytes_}{SPACES[space]} ({verbs}), and nothing orders them")

    def _forget(self, queue: Queue) -> None:
        """Drop accesses that every other queue knows to be done; where that is not enough, the next time."""
        known = [self.knows[other].get(queue, 0) for other in self.queues if other != queue]
        least = max(min(known, default=0), self.knows[SCALAR].get(queue, 0))
        self.history[queue] = {a: i for a, i in self.history[queue].items() if i[0] > least}

    # --- where ways through a program meet -----------------------------------------------------------------------------

    def copy(self) -> Order:
        """A state of its own."""
        return deepcopy(self)

    def summary(self) -> Any:
        """What decides about all that follows: equal for states that no instruction can tell apart."""
        times = {q: sorted({instance for instance, _ in accesses.values()}) for q, accesses in self.history.items()}

        def clock(found: dict[Queue, int]) -> tuple[Any, ...]:
            ranks = ((q, sum(time <= known for time in times.get(q, ()))) for q, known in found.items())
            return tuple(sorted((q, rank) for q, rank in ranks if rank))

        knows = tuple(sorted((q, ranked) for q, found in self.knows.items() if (ranked := clock(found))))
        history = tuple(sorted((q, a, times[q].index(i)) for q, accesses in self.history.items() for a, (i, _) in accesses.items()))
        posted = tuple(sorted((s, tuple(clock(t.clock) for t in tokens)) for s, tokens in self.posted.items() if tokens))
        return knows, history, posted


def queues_of(machine: Npu) -> frozenset[Queue]:
    """The queues of a machine, the scalar unit apart."""
    channels = {"L": machine.load_channels, "W": machine.store_channels, "M": 1, "V": 1, "X": 1}
    return frozenset((unit, channel) for unit, count in channels.items() for channel in range(count))


def queue_of(one: Decoded) -> Queue:
    """The queue an instruction goes through."""
    return UNITS[one["unit"]] if one.instruction.name == "nop" else one.instruction.unit, one.common["channel"]


def tokens_of(one: Decoded) -> tuple[tuple[int, ...], int | None]:
    """The semaphores an instruction waits for, and the one it posts."""
    waits = tuple(w for w in (one.common["wait0"], one.common["wait1"]) if w != NO_SEMAPHORE)
    return waits, None if one.common["post"] == NO_SEMAPHORE else one.common["post"]


def _hear(mine: dict[Queue, int], other: dict[Queue, int]) -> None:
    for queue, instance in other.items():
        if mine.get(queue, 0) < instance:
            mine[queue] = instance
