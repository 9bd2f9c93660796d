"""List scheduling: straight code in the order in which a machine can begin its instructions.

The scalar unit issues in order and queues are in order, so that what stands too late begins too late. Here time goes on instruction
by instruction: of those whose operands are under way, the one that can begin first is next; of several, the one with the longest
way to the end behind it. What the scalar unit computes for an instruction stands just before it, so that registers are short-lived.

    load a; load b; c = a * a; dot d, c; e = d + 1; f = b * b; dot g, f     becomes
    load a; load b; c = a * a; dot d, c; f = b * b; dot g, f; e = d + 1
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..machine import Npu
from .allocate import fields
from .estimate import DESCRIPTORS, Estimate, Took
from .layout import View
from .names import Buffer, Reg
from .write import Code, Line

CONTROL = {"jump", "jumpz", "jumpnz", "halt", "barrier"}
MOST = 2000  # lines of straight code that are looked at together

Key = Reg | int  # a scalar register, or the number of a box register


def reorder(code: Code, machine: Npu) -> Code:
    """The same program; only the order within straight code changes."""
    out: Code = []
    run: list[Line] = []
    estimate = Estimate(machine)
    for item in code:
        if isinstance(item, Line) and item.name not in CONTROL:
            run.append(item)
            continue
        out += _ordered(run, estimate)
        run = []
        out.append(item)
    return out + _ordered(run, estimate)


def _ordered(run: list[Line], estimate: Estimate) -> list[Line]:
    heavy = [not _is_light(line) for line in run]
    if sum(heavy) < 2 or len(run) > MOST:
        return run
    return [run[i] for i in _Scheduler(run, heavy, estimate).order()]


def _is_light(line: Line) -> bool:
    """Whether it is the scalar unit's own, and takes no part in memories."""
    instruction = line.instruction
    assert instruction is not None
    return instruction.unit == "S" and not instruction.traits and not any(isinstance(x, View) for x in line.operands)


class _Scheduler:
    """Straight code as a graph. Sets of lines are bits of a number."""

    def __init__(self, run: list[Line], heavy: list[bool], estimate: Estimate):
        self.run, self.heavy, self.machine = run, heavy, estimate.machine
        self.took: list[Took] = [estimate(line) for line in run]
        size = len(run)
        self.light = [0] * size  # what the scalar unit has to compute before a line
        self.needs = [0] * size  # the other lines before it, through what the scalar unit computes
        self.loose = [0] * size  # those of them that it must follow, but need not wait for
        for i, (before, follows) in enumerate(_dependencies(run)):
            for b in follows - before:
                self.loose[i] |= 1 << b
            for b in before | follows:
                if heavy[b]:
                    self.needs[i] |= 1 << b
                else:
                    self.light[i] |= 1 << b | self.light[b]
                    self.needs[i] |= self.needs[b]
        self.users: list[list[int]] = [[] for _ in run]
        self.left = [0] * size
        for i in range(size):
            if heavy[i]:
                for b in _bits(self.needs[i]):
                    self.users[b].append(i)
                    self.left[i] += 1
        self.way = [0.0] * size  # cycles from a line's begin to the end
        for i in reversed(range(size)):
            if heavy[i]:
                self.way[i] = sum(self.took[i]) + max((self.way[u] for u in self.users[i]), default=0.0)

    def order(self) -> Iterator[int]:
        """The lines in their new order."""
        done = 0
        now = 0.0  # of the scalar unit
        free: dict[str, float] = defaultdict(float)
        open_at = [0.0] * len(self.run)
        ready = [i for i, heavy in enumerate(self.heavy) if heavy and not self.left[i]]
        while ready:
            i = min(ready, key=lambda i: (max(now, free[self._unit(i)], open_at[i]), -self.way[i], i))
            ready.remove(i)
            for b in _bits(self.light[i] & ~done):
                now += self.took[b].busy
                done |= 1 << b
                yield b
            yield i
            done |= 1 << i
            now += DESCRIPTORS
            begin = max(now, free[self._unit(i)], open_at[i])
            busy, latency = self.took[i]
            free[self._unit(i)] = begin + busy
            if self._unit(i) == "S":
                now = begin + busy
            for user in self.users[i]:
                if not self.loose[user] >> i & 1:
                    open_at[user] = max(open_at[user], begin + busy + latency)
                self.left[user] -= 1
                if not self.left[user]:
                    ready.append(user)
        for i, heavy in enumerate(self.heavy):
            if not heavy and not done >> i & 1:
                yield i

    def _unit(self, i: int) -> str:
        instruction = self.run[i].instruction
        assert instruction is not None
        return "M" if instruction.unit == "V" and self.machine.vector_shares else instruction.unit


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _dependencies(run: list[Line]) -> Iterator[tuple[set[int], set[int]]]:
    """For each line those before it: they made what it reads, or have to do with what it changes; and those that it only follows:
    an early load need not wait for stores, but a store that came behind it would wait for the load."""
    writer: dict[Key, int] = {}
    readers: dict[Key, list[int]] = defaultdict(list)
    touched: dict[Buffer, list[tuple[int, int, bool, int]]] = defaultdict(list)
    dram: list[tuple[bool, int]] = []
    for i, line in enumerate(run):
        found: set[int] = set()
        follows: set[int] = set()
        reads, writes = _registers(line)
        for key in reads:
            if key in writer:
                found.add(writer[key])
        for key in writes:
            found.update(readers.pop(key, ()))
            if key in writer:
                found.add(writer[key])
            writer[key] = i
        for key in reads:
            readers[key].append(i)
        for where, x in fields(line):
            if not isinstance(x, View):
                continue
            low, high = x.span()
            changes = where.role == "write"
            for first, after, changed, other in touched[x.buffer]:
                if first < high and low < after and (changes or changed):
                    found.add(other)
            touched[x.buffer].append((low, high, changes, i))
        instruction = line.instruction
        assert instruction is not None
        for trait in instruction.traits:
            changes = trait == "dram_write"
            conflicting = {other for changed, other in dram if changes or changed}
            (follows if line.common.get("early") else found).update(conflicting)
            dram.append((changes, i))
        found.discard(i)
        yield found, follows


def _registers(line: Line) -> tuple[set[Key], set[Key]]:
    """The registers that a line reads, and those that it changes."""
    reads: set[Key] = set()
    writes: set[Key] = set()
    assert line.instruction is not None
    for where, x in fields(line):
        if isinstance(x, Reg):
            if where.role in ("read", "update"):
                reads.add(x)
            if where.role in ("write", "update"):
                writes.add(x)
        elif isinstance(x, View) and x.moved is not None:
            reads.add(x.moved)
        elif where.prefix == "g" and isinstance(x, int):
            (writes if line.instruction.unit == "S" else reads).add(x)
            if line.name != "gset":
                reads.add(x)
    if line.when is not None:
        reads |= writes | {line.when}
    return reads, writes
