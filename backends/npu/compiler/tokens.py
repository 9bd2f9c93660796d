"""Waits and posts: makes every two instructions of different queues that touch the same bytes run in program order.

Within a queue order is given, and the scalar unit issues in order. Between queues a token is needed only where the later
queue does not know yet, by an earlier token or by what it heard from a third queue, that the earlier instruction is
done. A token of queue p for queue q always uses the same semaphore; posts and waits pair up first with first. Where
control flow meets or parts, a barrier lets all engines finish, but for loops of straight code: they begin again while
engines are still at work on the iteration before. What an instruction must wait for there, its counterpart one iteration
earlier posts:

    nop post=s (a credit) ... head: q wait0=s ... p post=s ... jumpnz head ... nop wait0=s (the last post)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from ..isa.instructions import UNITS
from ..machine import Npu
from .names import DRAM, Label
from .schedule import Issue, Queue, Stream

SCALAR: Queue = ("S", 0)
Clock = dict[Queue, int]  # of each queue, the last instruction known to be done
JUMPS = ("jump", "jumpz", "jumpnz")
SPARE = 20  # semaphores that one instruction or the edges of a loop may still need


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
    within: dict[Issue, list[tuple[Queue, int]]] = field(default_factory=lambda: defaultdict(list))  # whom it waits for

    def add(self, issue: Issue) -> None:
        """One more instruction: find whom it must wait for."""
        queue = issue.queue
        mine = self.knows[queue]
        if queue != SCALAR:
            _merge(mine, self.knows[SCALAR])
        unknown = {q: n for q, n in self._needs(issue).items() if mine.get(q, 0) < n}
        for other, needed in unknown.items():
            if any(self.at_issue[q, n].get(other, 0) >= needed for q, n in unknown.items()):
                continue  # who is waited for anyhow has heard of it
            semaphore = self.semaphores.setdefault((other, queue), len(self.semaphores))
            self.posts[self.issues[other, needed]].append(semaphore)
            self.waits[issue].append(semaphore)
            self.within[issue].append((other, needed))
        for other, needed in unknown.items():
            _merge(mine, self.at_issue[other, needed] | {other: needed})
        self._issued(issue)

    def _needs(self, issue: Issue) -> Clock:
        """Of each other queue the last instruction that conflicts with what this one touches."""
        needs: Clock = {}
        early = bool(issue.common.get("early"))
        for other, ranges in self.touched.items():
            if other in (issue.queue, SCALAR):
                continue
            for space, low, high, writes in issue.touches:
                if early and space == DRAM and not writes:
                    continue
                for (where, first, after), (read, written) in ranges.items():
                    if where == space and first < high and low < after:
                        needs[other] = max(needs.get(other, 0), written, read if writes else 0)
        return {other: number for other, number in needs.items() if number}

    def again(self, issue: Issue, first: Clock, edges: list[tuple[Issue, Issue]]) -> bool:
        """An instruction of a loop's body in the next iteration; what it needs of the one before goes to `edges`. `first`:
        how many instructions of each queue an iteration has. False if tokens inside the iteration were not enough."""
        queue = issue.queue
        mine = self.knows[queue]
        if queue != SCALAR:
            _merge(mine, self.knows[SCALAR])
        for other, number in self.within.get(issue, ()):
            later = first[other] + number
            _merge(mine, self.at_issue[other, later] | {other: later})
        unknown = {q: n for q, n in self._needs(issue).items() if mine.get(q, 0) < n}
        if any(n > first[q] for q, n in unknown.items()):
            return False
        for other, needed in unknown.items():
            if not any(self.at_issue[q, n].get(other, 0) >= needed for q, n in unknown.items()):
                edges.append((self.issues[other, needed], issue))
        for other, needed in unknown.items():
            _merge(mine, self.at_issue[other, needed] | {other: needed})
        self._issued(issue)
        return True

    def _issued(self, issue: Issue) -> None:
        """Remember an instruction."""
        queue = issue.queue
        self.count[queue] += 1
        number = self.count[queue]
        self.issues[queue, number] = issue
        self.at_issue[queue, number] = dict(self.knows[queue])
        for space, low, high, writes in issue.touches:
            last = self.touched[queue].setdefault((space, low, high), [0, 0])  # read and write of these bytes
            last[writes] = number

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
    open_loops = _straight_loops(stream)
    busy = unsettled = False
    at = 0
    while at < len(stream):
        item = stream[at]
        at += 1
        if unsettled and (isinstance(item, Label) or item.name in JUMPS or item.queue[0] != "S" or item.touches):
            marked.append(_barrier(item))
            state.barrier()
            unsettled = False
        if isinstance(item, Label) or item.name in JUMPS:
            if busy:
                marked.append(_barrier(item))
                state.barrier()
                busy = False
            if at - 1 in open_loops:
                body = stream[at : open_loops[at - 1]]
                around = _loop(state, body)
                if around is not None:
                    end = stream[open_loops[at - 1]]
                    marked += [*around[0], item, *body, end, *around[1]]
                    unsettled = True  # until something comes for which that matters
                    at = open_loops[at - 1] + 1
                    continue
                for inner in body:  # tokens inside an iteration stand already
                    busy = busy or isinstance(inner, Issue) and inner.queue[0] != "S"
                marked += [item, *body]
                at = open_loops[at - 1]
                continue
        elif item.queue[0] != "S" or item.touches:
            busy = busy or item.queue[0] != "S"
            if len(state.semaphores) > machine.semaphores - SPARE:
                # too many pairs of queues talk to each other: start afresh behind a barrier
                marked.append(_barrier(item))
                state.barrier()
                state.semaphores.clear()
            state.add(item)
        marked.append(item)
    return [out for item in marked for out in _with_tokens(item, state)]


def _barrier(before: Issue | Label) -> Issue:
    return Issue("barrier", (), {}, SCALAR, (), before.loc if isinstance(before, Issue) else None)


def _straight_loops(stream: Stream) -> dict[int, int]:
    """Loops without other control flow in them: where their label stands, and where the jump back to it."""
    found: dict[int, int] = {}
    last = -1
    for at, item in enumerate(stream):
        if isinstance(item, Label):
            last = at
        elif item.name in JUMPS:
            if last >= 0 and item.name == "jumpnz" and item.operands[-1] is stream[last]:
                found[last] = at
            last = -1
        elif item.name in ("barrier", "halt"):
            last = -1
    return found


def _loop(state: _Synchroniser, body: Stream) -> tuple[Stream, Stream] | None:
    """Tokens for a loop's body, inside an iteration and from one to the next, and what stands before and after the loop for
    them. None if there are too few semaphores: then a barrier has to end every iteration."""
    issues = [x for x in body if isinstance(x, Issue) and (x.queue[0] != "S" or x.touches)]
    state.barrier()
    if len(state.semaphores) > state.machine.semaphores - SPARE:
        state.semaphores.clear()
    for issue in issues:
        state.add(issue)
    first: Clock = defaultdict(int, state.count)
    edges: list[tuple[Issue, Issue]] = []
    if not all(state.again(issue, first, edges) for issue in issues):
        return None
    pairs: dict[tuple[Queue, Queue], int] = {}
    for early, late in edges:
        pairs.setdefault((early.queue, late.queue), state.machine.semaphores - 1 - len(pairs))
    if len(pairs) + len(state.semaphores) > state.machine.semaphores:
        return None
    credits: Stream = []
    drains: Stream = []
    for early, late in edges:
        semaphore = pairs[early.queue, late.queue]
        state.posts[early].append(semaphore)
        state.waits[late].append(semaphore)
        credits.append(Issue("nop", (UNITS.index(early.queue[0]),), {"post": semaphore}, early.queue, (), early.loc))
        drains.append(Issue("nop", (UNITS.index(late.queue[0]),), {"wait0": semaphore}, late.queue, (), late.loc))
    return credits, drains


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
