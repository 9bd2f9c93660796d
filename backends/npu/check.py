"""The race checker: from the words alone, are any two conflicting accesses of different queues ordered?

It is a reader of its own: it knows nothing of how the compiler placed tokens. Descriptors are followed through the words
that set them; a wait hears all that its post's queue knew then. Code is read from top to bottom, so nothing may be under
way where a jump starts or lands, and descriptors set before a landing count for nothing after it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tiledsl.backend.isa import Decoded

from .isa.instructions import NO_SEMAPHORE, NO_TILE, T1, UNITS
from .isa.state import DTYPE_OF, TileDescriptor, Trap
from .machine import Npu

Queue = tuple[str, int]
Access = tuple[int, int, int, bool]
SCALAR: Queue = ("S", 0)
EVERYWHERE = 1 << 40


def verify(words: Sequence[int], machine: Npu) -> None:
    """Raise a trap RACE, SEM_UNDERFLOW, SEM_LEAK or ILLEGAL if a program's order is not established by its words."""
    program = [T1.decode(word) for word in words]
    landings = {one["target"] for one in program if one.instruction.name.startswith("jump")}
    reader = _Reader(machine)
    for pc, one in enumerate(program):
        if pc in landings:
            reader.boundary(pc, "is jumped to")
            reader.tiles.clear()
        reader.read(pc, one)
        if one.instruction.name.startswith("jump"):
            reader.boundary(pc, "jumps")
    for semaphore, posts in reader.posted.items():
        if posts:
            raise Trap("SEM_LEAK", f"s{semaphore} is posted by instruction {posts[0][0]} and never waited for")


@dataclass
class _Reader:
    machine: Npu
    tiles: dict[int, TileDescriptor] = field(default_factory=dict)
    anywhere: set[int] = field(default_factory=set)  # descriptors that a register has moved
    knows: dict[Queue, dict[Queue, int]] = field(default_factory=lambda: defaultdict(dict))
    history: dict[Queue, dict[Access, int]] = field(default_factory=lambda: defaultdict(dict))  # the last of each, by pc
    posted: dict[int, deque[tuple[int, dict[Queue, int]]]] = field(default_factory=lambda: defaultdict(deque))
    running: dict[Queue, int] = field(default_factory=dict)  # the last instruction of each engine, by pc

    def read(self, pc: int, one: Decoded) -> None:
        name = one.instruction.name
        if name in ("barrier", "halt"):
            self._settle()
            return
        if name in ("tset", "tdim", "tadv"):
            self._describe(one)
            return
        queue = (UNITS[one["unit"]] if name == "nop" else one.instruction.unit, one.common["channel"])
        mine = self.knows[queue]
        if queue != SCALAR:
            _hear(mine, self.knows[SCALAR])
        for wait in (one.common["wait0"], one.common["wait1"]):
            if wait != NO_SEMAPHORE:
                if not self.posted[wait]:
                    raise Trap("SEM_UNDERFLOW", f"instruction {pc} waits for s{wait}, which nothing has posted")
                _hear(mine, self.posted[wait].popleft()[1])
        for access in self._accesses(one):
            self._ordered(pc, queue, access)
            self.history[queue][access] = pc
        if queue != SCALAR:
            self.running[queue] = pc
        if one.common["post"] != NO_SEMAPHORE:
            self.posted[one.common["post"]].append((pc, mine | {queue: pc}))

    def boundary(self, pc: int, why: str) -> None:
        """A place where control flow meets or parts."""
        if self.running:
            raise Trap("RACE", f"instruction {pc} {why} while instruction {max(self.running.values())} may be under way")

    def _settle(self) -> None:
        for state in (self.knows, self.history, self.running):
            state.clear()

    def _describe(self, one: Decoded) -> None:
        number = one["to"]
        if one.instruction.name == "tset":
            self.tiles[number] = TileDescriptor(one["space"], DTYPE_OF[one["dtype"]], one["base"])
            self.anywhere.discard(number)
        elif one.instruction.name == "tdim":
            t = self.tiles[number]
            self.tiles[number] = TileDescriptor(t.space, t.dtype, t.base, (*t.extents, one["extent"]), (*t.strides, one["stride"]))
        else:
            self.anywhere.add(number)

    def _accesses(self, one: Decoded) -> list[Access]:
        found: list[Access] = [(2, 0, EVERYWHERE, trait == "dram_write") for trait in one.instruction.traits]
        for (label, where), number in zip(one.instruction.fields, one.operands, strict=True):
            if where.prefix == "t" and where.role in ("read", "write") and number != NO_TILE:
                if number not in self.tiles:
                    raise Trap("ILLEGAL", f"{one.instruction.name}: {label} = t{number} is not set on every way to here")
                t = self.tiles[number]
                low, high = (0, EVERYWHERE) if number in self.anywhere else t.span()
                found.append((t.space, low, high, where.role == "write"))
        return found

    def _ordered(self, pc: int, queue: Queue, access: Access) -> None:
        space, low, high, writes = access
        mine = self.knows[queue]
        for other, accesses in self.history.items():
            if other in (queue, SCALAR):
                continue
            for (where, first, after, wrote), earlier in accesses.items():
                conflict = where == space and first < high and low < after and (writes or wrote)
                if conflict and mine.get(other, -1) < earlier:
                    raise Trap("RACE", f"instructions {earlier} and {pc} touch bytes {max(first, low)} to {min(after, high)}, unordered")


def _hear(mine: dict[Queue, int], other: dict[Queue, int]) -> None:
    for queue, pc in other.items():
        if mine.get(queue, -1) < pc:
            mine[queue] = pc
