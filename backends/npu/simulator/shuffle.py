"""A run in another order: a seed chooses, step by step, which queue goes on. Tokens and barriers alone hold it to anything.

The scalar unit issues instructions with the registers and descriptors that they name, as they are; a queue carries out its own in
order, each when the tokens that it waits for are there. Every order that the machine may show has some seed. A program
without a race gives the same values in all of them.
"""

from __future__ import annotations

import copy
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tiledsl.backend.isa import Decoded

from ..isa.state import Core, Trap
from ..order import SCALAR, Queue, queue_of, tokens_of
from .run import Observer, Poll, execute, exhausted, lost


@dataclass(eq=False)
class Token:
    """What a post hands to the wait that pairs with it."""

    posted: bool = False


@dataclass
class Waiting:
    """An instruction in a queue: with the core as it was at issue, and its tokens."""

    core: Core | None  # None: its predicate skipped it, or it does nothing
    one: Decoded
    waits: list[Token]
    post: Token | None

    def ready(self) -> bool:
        return all(token.posted for token in self.waits)


@dataclass
class Shuffle:
    """One program on one core, its queues in an order that a seed chooses."""

    core: Core
    program: Sequence[Decoded]
    choice: random.Random
    queues: dict[Queue, deque[Waiting]] = field(default_factory=lambda: defaultdict(deque))
    tokens: dict[int, deque[Token]] = field(default_factory=lambda: defaultdict(deque))

    def run(self, observe: Observer | None = None, poll: Poll | None = None) -> int:
        """Execute until halt; returns how many instructions were issued."""
        core, issued, limit = self.core, 0, self.core.machine.watchdog
        with np.errstate(all="ignore"):
            while core.running:
                for _ in range(self.choice.choice((0, 0, 1, 4))):
                    self.advance()
                pc = core.pc
                core.pc = pc + 1
                if not 0 <= pc < len(self.program):
                    raise lost(pc, len(self.program))
                issued += 1
                if issued > limit:
                    raise exhausted(limit)
                one = self.program[pc]
                if observe is not None:
                    observe(core, pc, one)
                self.issue(one)
                if core.pc <= pc and poll is not None and one.instruction.name == "jump":
                    poll(core, pc)
        return issued

    def issue(self, one: Decoded) -> None:
        """What the scalar unit does with an instruction: carry it out, or put it into a queue."""
        waits, post = tokens_of(one)
        taken = [self._taken(wait) for wait in waits]
        given = Token() if post is not None else None
        if given is not None and post is not None:
            self.tokens[post].append(given)
        queue = queue_of(one)
        chosen = self.core.chooses(one)
        if queue != SCALAR:
            snapshot = None
            if chosen and one.instruction.name != "nop":
                snapshot = copy.copy(self.core)
                snapshot.r, snapshot.t, snapshot.g = list(self.core.r), list(self.core.t), list(self.core.g)
            self.queues[queue].append(Waiting(snapshot, one, taken, given))
            return
        everything = one.instruction.name in ("barrier", "halt")
        while not all(token.posted for token in taken) or everything and any(self.queues.values()):
            self.advance(must=True)
        if chosen:
            execute(self.core, one)
        if given is not None:
            given.posted = True

    def advance(self, must: bool = False) -> None:
        """Some queue carries out its next instruction, if one can."""
        ready = [queue for queue, waiting in self.queues.items() if waiting and waiting[0].ready()]
        if not ready:
            # a wait takes an earlier post, so the earliest of all that wait can always go on
            assert not must, "no queue can go on"
            return
        item = self.queues[self.choice.choice(ready)].popleft()
        if item.core is not None:
            execute(item.core, item.one)
        if item.post is not None:
            item.post.posted = True

    def _taken(self, semaphore: int) -> Token:
        if not self.tokens[semaphore]:
            raise Trap("SEM_UNDERFLOW", f"instruction {self.core.pc - 1} waits for s{semaphore}, which nothing has posted")
        return self.tokens[semaphore].popleft()


def shuffled(core: Core, program: Sequence[Decoded], seed: object, observe: Observer | None = None, poll: Poll | None = None) -> int:
    """Run a program in the order that a seed chooses; returns how many instructions were issued."""
    return Shuffle(core, program, random.Random(repr(seed))).run(observe, poll)
