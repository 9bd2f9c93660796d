"""Waits and posts: makes every two instructions of different queues that touch the same bytes run in program order.

Within a queue order is given, and the scalar unit issues in order. Between queues a token is needed only where the later
queue does not know yet, by an earlier token or by what it heard from a third queue, that the earlier instruction is
done. A token of queue p for queue q always uses the same semaphore; posts and waits pair up first with first. Where
control flow meets or parts, a barrier lets all engines finish.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from ..isa.instructions import UNITS
from ..machine import Npu
from .names import Label
from .schedule import Issue, Queue, Stream, Touch

SCALAR: Queue = ("S", 0)
Clock = dict[Queue, int]  # of each queue, the last instruction known to be done


@dataclass
class _Synchroniser:
    """The state between two barriers."""

    machine: Npu
    semaphores: dict[tuple[Queue, Queue], int] = field(default_factory=dict)
    count: dict[Queue, int] = field(default_factory=lambda: defaultdict(int))
    knows: dict[Queue, Clock] = field(default_factory=lambda: defaultdict(dict))
    at_issue: dict[tuple[Queue, int], Clock] = field(default_factory=dict)
    issues: dict[tuple[Queue, int], Issue] = field(default_factory=dict)
    touched: dict[Queue, dict[tuple[int, int, int], list[int]]] = field(default_factory=lambda: defaultdict(dict))
    posts: dict[Issue, list[int]] = field(default_factory=lambda: defaultdict(list))
    waits: dict[Issue, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, issue: Issue) -> None:
        """One more instruction: find whom it must wait for."""
        queue = issue.queue
        mine = self.knows[queue]
        if queue != SCALAR:
            _merge(mine, self.knows[SCALAR])
        unknown = {q: n for q, n in self._needs(queue, issue.touches).items() if mine.get(q, 0) < n}
        for other, needed in unknown.items():
            if any(self.at_issue[q, n].get(other, 0) >= needed for q, n in unknown.items()):
                continue  # who is waited for anyhow has heard of it
            semaphore = self.semaphores.setdefault((other, queue), len(self.semaphores))
            self.posts[self.issues[other, needed]].append(semaphore)
            self.waits[issue].append(semaphore)
        for other, needed in unknown.items():
            _merge(mine, self.at_issue[other, needed] | {other: needed})
        self.count[queue] += 1
        number = self.count[queue]
        self.issues[queue, number] = issue
        self.at_issue[queue, number] = dict(mine)
        for space, low, high, writes in issue.touches:
            last = self.touched[queue].setdefault((space, low, high), [0, 0])  # read and write of these bytes
            last[writes] = number

    def _needs(self, queue: Queue, touches: tuple[Touch, ...]) -> Clock:
        """Of each other queue the last instruction that conflicts with these accesses."""
        needs: Clock = {}
        for other, ranges in self.touched.items():
            if other in (queue, SCALAR):
                continue
            for space, low, high, writes in touches:
                for (where, first, after), (read, written) in ranges.items():
                    if where == space and first < high and low < after:
                        needs[other] = max(needs.get(other, 0), written, read if writes else 0)
        return {other: number for other, number in needs.items() if number}

    def barrier(self) -> None:
        """Everything is done, and everyone knows."""
        for state in (self.knows, self.at_issue, self.issues, self.touched):
            state.clear()
        self.count.clear()


def _merge(into: Clock, other: Clock) -> None:
    for queue, number in other.items():
        if into.get(queue, 0) < number:
            into[queue] = number


def synchronise(stream: Stream, machine: Npu) -> Stream:
    """The stream with tokens and barriers."""
    state = _Synchroniser(machine)
    marked: Stream = []
    busy = False
    for item in stream:
        if isinstance(item, Issue) and item.name in ("jump", "jumpz", "jumpnz") or isinstance(item, Label):
            if busy:
                marked.append(Issue("barrier", (), {}, ("S", 0), (), item.loc if isinstance(item, Issue) else None))
                state.barrier()
                busy = False
        elif item.queue[0] != "S" or item.touches:
            busy = busy or item.queue[0] != "S"
            if len(state.semaphores) > machine.semaphores - 20:
                # too many pairs of queues talk to each other: start afresh behind a barrier
                marked.append(Issue("barrier", (), {}, ("S", 0), (), item.loc))
                state.barrier()
                state.semaphores.clear()
            state.add(item)
        marked.append(item)
    return [out for item in marked for out in _with_tokens(item, state)]


def _with_tokens(item: Issue | Label, state: _Synchroniser) -> Stream:
    """An instruction with its tokens; those that its word has no room for go to instructions that do nothing."""
    if isinstance(item, Label) or not (state.posts.get(item) or state.waits.get(item)):
        return [item]
    waits, posts = state.waits.get(item, []), state.posts.get(item, [])
    idle = (UNITS.index(item.queue[0]),)
    early = [Issue("nop", idle, _waits(waits[i : i + 2]), item.queue, (), item.loc) for i in range(2, len(waits), 2)]
    late = [Issue("nop", idle, {"post": post}, item.queue, (), item.loc) for post in posts[1:]]
    tokens = _waits(waits[:2]) | ({"post": posts[0]} if posts else {})
    main = Issue(item.name, item.operands, item.common | tokens, item.queue, item.touches, item.loc)
    return [*early, main, *late]


def _waits(semaphores: list[int]) -> dict[str, int]:
    return dict(zip(("wait0", "wait1"), semaphores, strict=False))
