"""Time as a simulation of events: every core's queues, and one DRAM whose bandwidth all transfers under way share.

Within a core nothing has to be searched: an instruction's start follows from those before it in its queue and in the program.
Only transfers meet those of other cores, so that only where one begins or ends is an event:

    resolve   go on with every queue of a core until all of them wait for a transfer whose end is not known yet
    share     rates of the transfers under way: equal parts of the bandwidth, but none above the rate of its own channel
    advance   to the next begin or end of a transfer

The one function below is Python; it is compiled by numba where there is much to do.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .tasks import KIND_BARRIER, KIND_SCALAR, KIND_TRANSFER, QUEUE_NAMES, QUEUES, Tasks

WORTH_COMPILING = 100_000  # instructions of a launch, or thrice as many of several; below, numba's import takes longer than Python does


def simulate(
    kind: Any,
    queue: Any,
    cost: Any,
    own: Any,
    moved: Any,
    latency: Any,
    stall: Any,
    first: Any,
    second: Any,
    before: Any,
    after: Any,
    room: Any,
    window: Any,
    heads: Any,
    used: Any,
    offsets: Any,
    program_class: Any,
    core_first: Any,
    bandwidth: float,
    end_of: Any,
    busy: Any,
    waited: Any,
    starved: Any,
    full: Any,
    recorded: Any,
    began: Any,
    freed_at: Any,
    seen_at: Any,
    cause: Any,
    entered: Any,
    held: Any,
    ender: Any,
) -> int:
    """Run the programs core_first[c] to core_first[c + 1] on each core c, one after the other; counts what was issued.

    Per instruction: `first` and `second`, the posts it waits for; `before` and `after`, its neighbours in its queue; `room`,
    the one that has to have left the queue before it enters; `window`, the one that has to have arrived before it starts.
    `used`: the queues that any program uses. `recorded`: per program, where its instructions' rows are; negative: nowhere.
    A row: when it `entered` its queue and who `held` it up there, when it `began` and who was the `cause` that it did not sooner.
    """
    cores = len(core_first) - 1
    longest = 1
    for c in range(len(offsets) - 1):
        longest = max(longest, offsets[c + 1] - offsets[c])
    issue = np.full((cores, longest), -1.0)
    start = np.full((cores, longest), -1.0)
    free = np.full((cores, longest), -1.0)  # when the unit is
    visible = np.full((cores, longest), -1.0)  # when others see what it did
    head = np.full((cores, QUEUES), -1)  # the first instruction of each queue whose start is not known
    place = np.zeros(cores, np.int64)  # the instruction to issue
    current = core_first[:-1].copy()  # the program
    now = np.zeros(cores)
    last = np.zeros(cores)  # the latest effect
    last_by = np.full(cores, -1)  # whose
    vacant = np.zeros((cores, QUEUES))  # since when a queue's unit has nothing to do
    fresh = np.ones(cores, np.bool_)
    # transfers, at most one in each queue: 0 none, 1 to begin, 2 under way
    state = np.zeros(cores * QUEUES, np.int64)
    holder = np.zeros(cores * QUEUES, np.int64)
    when = np.zeros(cores * QUEUES)
    left = np.zeros(cores * QUEUES)
    cap = np.zeros(cores * QUEUES)
    rate = np.zeros(cores * QUEUES)
    live = np.zeros(cores * QUEUES, np.int64)  # slots in use
    count = 0
    issued = 0
    time = 0.0
    woken = np.ones(cores, np.bool_)
    while True:
        for core in range(cores):
            if not woken[core]:
                continue
            woken[core] = False
            moving = True
            while moving and current[core] < core_first[core + 1]:
                moving = False
                p = current[core]
                base = offsets[program_class[p]]
                length = offsets[program_class[p] + 1] - base
                if fresh[core]:
                    for q in used:
                        head[core, q] = heads[program_class[p], q]
                    for i in range(length):
                        issue[core, i] = start[core, i] = free[core, i] = visible[core, i] = -1.0
                    place[core] = 0
                    last_by[core] = -1
                    fresh[core] = False
                # queues, in any order: each goes on as far as its instructions' starts are known
                for q in used:
                    while True:
                        i = head[core, q]
                        if i < 0 or issue[core, i] < 0:
                            break
                        g = base + i
                        s, why, who = issue[core, i], -1, 0
                        b = before[g]
                        opened = vacant[core, q]
                        if b >= 0:
                            if free[core, b] < 0:
                                break
                            if opened > s:
                                s, why, who = opened, b, q
                        w = first[g]
                        if w >= 0:
                            if visible[core, w] < 0:
                                break
                            if visible[core, w] > s:
                                s, why, who = visible[core, w], w, queue[base + w]
                        w = second[g]
                        if w >= 0:
                            if visible[core, w] < 0:
                                break
                            if visible[core, w] > s:
                                s, why, who = visible[core, w], w, queue[base + w]
                        w = window[g]
                        if w >= 0:
                            if visible[core, w] < 0:
                                break
                            if visible[core, w] > s:
                                s, why, who = visible[core, w], w, q
                        if s > opened:
                            waited[q, who] += s - opened
                        start[core, i] = s
                        if recorded[p] >= 0:
                            r = recorded[p] + i
                            began[r] = s
                            cause[r] = why
                        moving = True
                        head[core, q] = after[g]
                        if kind[g] == KIND_TRANSFER and moved[g] > 0:
                            slot = core * QUEUES + q
                            state[slot] = 1
                            holder[slot] = i
                            when[slot] = s + cost[g]
                            left[slot] = moved[g]
                            cap[slot] = moved[g] / own[g] if own[g] > 0 else np.inf
                            live[count] = slot
                            count += 1
                            break
                        f = s + cost[g] + own[g]
                        free[core, i] = f
                        visible[core, i] = f + latency[g]
                        vacant[core, q] = f
                        busy[q] += f - s
                        if f + latency[g] > last[core]:
                            last[core] = f + latency[g]
                            last_by[core] = i
                        if recorded[p] >= 0:
                            freed_at[recorded[p] + i], seen_at[recorded[p] + i] = f, f + latency[g]
                # the scalar unit
                while place[core] < length:
                    i = place[core]
                    g = base + i
                    t = now[core] + 1.0 + stall[g]
                    if kind[g] == KIND_SCALAR or kind[g] == KIND_BARRIER:
                        ready = t
                        known = True
                        why = -1
                        for w in (first[g], second[g]):
                            if w >= 0:
                                if visible[core, w] < 0:
                                    known = False
                                elif visible[core, w] > ready:
                                    ready = visible[core, w]
                                    why = w
                        if kind[g] == KIND_BARRIER:
                            for q in used:
                                if head[core, q] >= 0 and head[core, q] < i or state[core * QUEUES + q] != 0:
                                    known = False
                        if not known:
                            break
                        if kind[g] == KIND_BARRIER and last[core] > ready:
                            ready = last[core]
                            why = last_by[core]
                        waited[0, 0 if why < 0 else queue[base + why]] += ready - t
                        t = ready + cost[g]
                        busy[0] += cost[g]
                        start[core, i] = ready
                        free[core, i] = visible[core, i] = t
                        if t >= last[core]:
                            last[core] = t
                            last_by[core] = i
                        if recorded[p] >= 0:
                            r = recorded[p] + i
                            began[r], freed_at[r], seen_at[r], cause[r] = ready, t, t, why
                            entered[r] = now[core] + 1.0 + stall[g]
                    else:
                        w = room[g]
                        if w >= 0:
                            if start[core, w] < 0:
                                break
                            if start[core, w] > t:
                                full[queue[g]] += start[core, w] - t
                                t = start[core, w]
                                if recorded[p] >= 0:
                                    held[recorded[p] + i] = w
                        issue[core, i] = t
                        if recorded[p] >= 0:
                            entered[recorded[p] + i] = t
                    busy[0] += 1.0 + stall[g]
                    now[core] = t
                    place[core] = i + 1
                    issued += 1
                    moving = True
                if place[core] == length:
                    done = True
                    for q in used:
                        if head[core, q] >= 0 or state[core * QUEUES + q] != 0:
                            done = False
                    if done:
                        ender[p] = place[core] - 1
                        if last[core] > now[core]:
                            now[core] = last[core]
                            ender[p] = last_by[core]
                        end_of[p] = now[core]
                        current[core] = p + 1
                        fresh[core] = True
                        moving = True
        if count == 0:
            break
        # rates: equal parts, what slow channels leave goes to the others
        rest, many = bandwidth, 0
        for k in range(count):
            slot = live[k]
            rate[slot] = -1.0
            if state[slot] == 2:
                many += 1
        again = True
        while again and many > 0:
            again = False
            part = rest / many
            for k in range(count):
                slot = live[k]
                if state[slot] == 2 and rate[slot] < 0 and cap[slot] <= part:
                    rate[slot] = cap[slot]
                    rest -= cap[slot]
                    many -= 1
                    again = True
        following = np.inf
        for k in range(count):
            slot = live[k]
            if state[slot] == 1:
                following = min(following, when[slot])
            else:
                if rate[slot] < 0:
                    rate[slot] = rest / many
                following = min(following, time + left[slot] / rate[slot])
        step = following - time
        k = 0
        while k < count:
            slot = live[k]
            if state[slot] == 1:
                if when[slot] <= following:
                    state[slot] = 2
                k += 1
                continue
            end = time + left[slot] / rate[slot]
            left[slot] -= rate[slot] * step
            if end > following and left[slot] > 1e-6:  # late in a long launch, what is left may take no time that a float can tell
                k += 1
                continue
            core, q, i = slot // QUEUES, slot % QUEUES, holder[slot]
            p = current[core]
            g = offsets[program_class[p]] + i
            free[core, i] = following
            vacant[core, q] = following
            visible[core, i] = following + latency[g]
            busy[q] += following - start[core, i]
            starved[q] += max(0.0, following - start[core, i] - cost[g] - own[g])
            if visible[core, i] > last[core]:
                last[core] = visible[core, i]
                last_by[core] = i
            if recorded[p] >= 0:
                freed_at[recorded[p] + i], seen_at[recorded[p] + i] = following, visible[core, i]
            state[slot] = 0
            woken[core] = True
            count -= 1
            live[k] = live[count]
        time = following
    return issued


@cache
def _compiled() -> Callable[..., int]:
    import numba  # a second to import, which short launches do without

    made: Callable[..., int] = numba.njit(cache=True)(simulate)
    return made


@dataclass
class _Effort:
    """What Python has simulated so far."""

    instructions: int = 0


_effort = _Effort()


def chosen(amount: int) -> Callable[..., int]:
    """The simulation for so many instructions: compiled where that pays, would have paid, or has been paid for."""
    if _compiled.cache_info().currsize or amount > WORTH_COMPILING or _effort.instructions + amount > 3 * WORTH_COMPILING:
        return _compiled()
    _effort.instructions += amount
    return simulate


class Timed:
    """When everything in a launch took place, and what each unit waited for."""

    def __init__(self, classes: list[Tasks], programs: list[int], cores: int, bandwidth: float, record: int | bool = 0, run: Any = None):
        """`programs`: the class of each; program p runs on core p modulo `cores`, behind those of lower numbers. `record`: of how
        many instructions, at most, to keep the times; True: of all."""
        order = [p for core in range(cores) for p in range(core, len(programs), cores)]
        self.programs, self.cores = order, cores
        sizes = [len(c) for c in classes]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        kinds = np.array([programs[p] for p in order] or [0], np.int64)
        self.kinds = kinds
        self.firsts = np.cumsum([0, *(len(range(core, len(programs), cores)) for core in range(cores))]).astype(np.int64)
        lengths = np.array([sizes[programs[p]] for p in order] or [0], np.int64)
        amount = int(lengths.sum())
        self.recorded = _rows(lengths, self.firsts, amount if record is True else record)
        rows = max(1, int(lengths[self.recorded >= 0].sum()))
        self.ends = np.zeros(len(kinds))
        self.ender = np.zeros(len(kinds), np.int64)
        self.busy, self.waited = np.zeros(QUEUES), np.zeros((QUEUES, QUEUES))
        self.starved, self.full = np.zeros(QUEUES), np.zeros(QUEUES)
        self.began, self.freed, self.seen, self.entered = (np.zeros(rows) for _ in range(4))
        self.cause, self.held = np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
        columns = [np.concatenate([c.columns[name] for c in classes]) for name in Tasks.NAMES]
        heads = np.stack([c.heads for c in classes])
        used = np.flatnonzero((heads >= 0).any(axis=0))
        outcome = (self.ends, self.busy, self.waited, self.starved, self.full, self.recorded, self.began, self.freed, self.seen, self.cause)
        more = (self.entered, self.held, self.ender)
        start = run or chosen(amount)
        self.issued = start(*columns, heads, used, offsets, kinds, self.firsts, float(bandwidth), *outcome, *more)
        self.cycles = float(self.ends.max()) if programs else 0.0

    def spread(self, order: list[int], source: np.ndarray, later: np.ndarray, times: int, part: tuple[Timed, Timed]) -> Timed:
        """More programs, none recorded: each what the one at `source` is, so much later. What was counted between the two of `part`
        counts so many times more."""
        made = copy(self)
        made.programs, made.firsts = order, self.firsts + times * np.arange(len(self.firsts))
        made.kinds, made.ender, made.recorded = self.kinds[source], self.ender[source], self.recorded[source]
        made.ends = self.ends[source] + later
        made.cycles = float(made.ends.max())
        for name in ("busy", "waited", "starved", "full", "issued"):
            without, with_it = (getattr(one, name) for one in part)
            setattr(made, name, getattr(self, name) + times * (with_it - without))
        return made

    def lost(self) -> dict[str, dict[str, int]]:
        """Cycles that each queue stood still, by what it waited for: another queue, the memory's bandwidth; `full` held S up."""
        found: dict[str, dict[str, int]] = {}
        rows = np.column_stack([self.waited, self.starved, self.full]).tolist()
        for name, row in zip(QUEUE_NAMES, rows, strict=True):
            reasons = zip((*QUEUE_NAMES, "bandwidth", "full"), row, strict=True)
            kept = {reason: int(cycles) for reason, cycles in reasons if cycles >= 1}
            if kept:
                found[name] = kept
        return found


def _rows(lengths: np.ndarray, firsts: np.ndarray, most: int) -> np.ndarray:
    """Where the rows of each program are, -1 for those without: the first and the last of every core are kept for longest."""
    rows, used = np.full(len(lengths), -1, np.int64), 0
    if most <= 0:
        return rows
    turns = np.concatenate([np.minimum(np.arange(n), np.arange(n)[::-1]) for n in np.diff(firsts)])
    for p in np.argsort(turns, kind="stable"):
        if used + lengths[p] > most:
            break
        rows[p], used = used, used + lengths[p]
    return rows
