"""Numbers for names: scalar registers by linear scan, scratchpad and accumulators by lifetime, copies that need not be.

Lifetimes are intervals of positions in the code. Something made before a loop and used in it lives until the loop ends,
something made in a loop and used after it lives from where the loop begins; code comes from structured control flow, so
nothing is used before it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from tiledsl.backend.isa import Field
from tiledsl.backend.registers import Lifetime, linear_scan, outlast_loops
from tiledsl.errors import Unsupported
from tiledsl.ir.types import i64
from tiledsl.location import Loc

from ..isa.state import SPACES
from ..machine import Npu
from .layout import View, dense
from .names import Buffer, Label, Reg
from .write import Code, Line, Operand

SCRATCH = 4  # registers kept for values that live in the scratchpad
ALIGNMENT = 64
IN_PLACE = {"vec1", "vec2", "vec3", "vcast", "vcopy", "vaddr", "accwr"}  # may write where they read, element by element
COPIES = {"vcopy", "accwr"}
REMATERIALISED = {"movi", "arg", "pid", "npid"}

Thing = TypeVar("Thing")


def fields(line: Line) -> Iterator[tuple[Field, Operand]]:
    """The operands of a line with the fields they go to."""
    assert line.instruction is not None
    for (_, where), operand in zip(line.instruction.fields, line.operands, strict=True):
        yield where, operand


def loops(code: Code) -> list[tuple[int, int]]:
    """First and last position of each loop, inner ones before outer ones."""
    places = {item: i for i, item in enumerate(code) if isinstance(item, Label)}
    found = []
    for i, item in enumerate(code):
        if isinstance(item, Line):
            found += [(places[x], i) for x in item.operands if isinstance(x, Label) and places[x] < i]
    return found


def lifetimes(code: Code, things: Callable[[Line], Iterable[Thing]]) -> dict[Thing, Lifetime]:
    """When each thing that a line has to do with lives."""
    found: dict[Thing, Lifetime] = {}
    for i, item in enumerate(code):
        if isinstance(item, Line):
            for thing in things(item):
                found.setdefault(thing, Lifetime(i, i)).touch(i)
    outlast_loops(found, loops(code))
    for head, tail in loops(code):
        for life in found.values():
            if head < life.start <= tail < life.end:  # what a loop makes piece by piece is there all the while
                life.start = head
    return found


# --- scalar registers --------------------------------------------------------------------------------------------------------


def _regs(line: Line) -> list[Reg]:
    return [x for x in (*line.operands, *(v.moved for v in _views(line)), line.when) if isinstance(x, Reg)]


def registers(code: Code, machine: Npu) -> Code:
    """Give every scalar a register; those that find none live in the scratchpad and are fetched where they are used."""
    numbers, spilled = linear_scan(lifetimes(code, _regs), range(1, machine.scalar_registers - SCRATCH))
    for reg, number in numbers.items():
        reg.number = number
    return _spill(code, set(spilled), machine) if spilled else code


def _spill(code: Code, spilled: set[Reg], machine: Npu) -> Code:
    makers: dict[Reg, list[Line]] = {}
    for line in code:
        if isinstance(line, Line):
            for where, operand in fields(line):
                if isinstance(operand, Reg) and where.role in ("write", "update"):
                    makers.setdefault(operand, []).append(line)
    again = {r: m[0] for r, m in makers.items() if r in spilled and len(m) == 1 and m[0].name in REMATERIALISED and m[0].when is None}
    cells = {reg: dense((), i64) for reg in spilled if reg not in again}
    out: Code = []
    for line in code:
        if isinstance(line, Label) or not spilled.intersection(_regs(line)):
            out.append(line)
        elif not any(maker is line for maker in again.values()):
            out += _with_scratch(line, spilled, again, cells, machine.scalar_registers - SCRATCH)
    return out


def _with_scratch(line: Line, spilled: set[Reg], again: dict[Reg, Line], cells: dict[Reg, View], first: int) -> list[Line]:
    """A line whose spilled operands are fetched into scratch registers before it, and put back after it."""
    stand_in: dict[Reg, Reg] = {}
    before: list[Line] = []
    after: list[Line] = []
    for reg in dict.fromkeys(r for r in _regs(line) if r in spilled):
        stand_in[reg] = Reg(first + len(stand_in))
        roles = {where.role for where, operand in fields(line) if operand is reg}
        if reg is line.when or any(view.moved is reg for view in _views(line)):
            roles.add("read")
        if "read" in roles or "update" in roles or line.when is not None:
            if reg in again:
                made = again[reg]
                before.append(Line(made.name, (stand_in[reg], *made.operands[1:]), None, line.loc))
            else:
                before.append(Line("peek", (stand_in[reg], cells[reg]), None, line.loc))
        if "write" in roles or "update" in roles:
            after.append(Line("poke", (cells[reg], stand_in[reg]), None, line.loc))
    operands = tuple(_renamed(x, stand_in) for x in line.operands)
    when = stand_in.get(line.when, line.when) if line.when is not None else None
    return [*before, replace(line, operands=operands, when=when), *after]


def _renamed(operand: Operand, names: dict[Reg, Reg]) -> Operand:
    if isinstance(operand, View) and operand.moved is not None:
        return replace(operand, moved=names.get(operand.moved, operand.moved))
    return names.get(operand, operand) if isinstance(operand, Reg) else operand


# --- buffers -----------------------------------------------------------------------------------------------------------------


def buffers(code: Code, machine: Npu, overlapping: Collection[Label] = (), units: str = "LW") -> Code:
    """Give every buffer an offset; copies whose two ends can share one are dropped. What these units have to do with in loops that
    overlap their iterations has a place to itself."""
    lives = lifetimes(code, _buffers)
    apart = _transferred(code, overlapping, units)
    places = sharing(code, lives, apart.keys())
    for buffer, (head, tail) in apart.items():  # its place to itself for as long as the loop runs
        life = lives[places[buffer]]
        life.start, life.end = min(life.start, head), max(life.end, tail)
    for space, capacity in enumerate((machine.spm_bytes, machine.acc_bytes)):
        roots = [b for b in dict.fromkeys(places.values()) if b.space == space]
        try:
            _place(roots, {b: lives[b] for b in roots}, capacity, space, code)
        except Overflow as error:
            for buffer, home in places.items():
                error.sharing.setdefault(home, []).append(buffer)
            raise
    for buffer, home in places.items():
        buffer.offset = home.offset
    return [item for item in code if not (isinstance(item, Line) and _is_idle(item))]


def _transferred(code: Code, overlapping: Collection[Label], units: str) -> dict[Buffer, tuple[int, int]]:
    """What is loaded, or stored, in loops that overlap their iterations, with the loop."""
    return {
        buffer: (head, tail)
        for head, tail in loops(code)
        if code[head] in overlapping
        for line in code[head:tail]
        if isinstance(line, Line) and line.instruction is not None and line.instruction.unit in units
        for buffer in _buffers(line)
    }


def sharing(code: Code, lives: dict[Buffer, Lifetime] | None = None, apart: Collection[Buffer] = ()) -> dict[Buffer, Buffer]:
    """For each buffer the one whose place it may share, itself if it is alone; lifetimes of those become those of all. `apart`:
    what is alone, so that it can be filled again as soon as it has been read or stored."""
    lives = lifetimes(code, _buffers) if lives is None else lives
    shared = _Sharing(code, lives, apart)
    shared.merge_copies()
    shared.merge_in_place()
    return {b: shared.home(b) for b in lives}


def _views(line: Line) -> list[View]:
    return [x for x in line.operands if isinstance(x, View)]


def _buffers(line: Line) -> list[Buffer]:
    return [v.buffer for v in _views(line)]


def _is_idle(line: Line) -> bool:
    """A copy of something onto itself."""
    if line.name not in COPIES:
        return False
    to, source = _views(line)
    return (
        to.moved is source.moved
        and to.buffer.space == source.buffer.space
        and (to.buffer.offset + to.offset, to.shape, to.strides)
        == (
            source.buffer.offset + source.offset,
            source.shape,
            source.strides,
        )
    )


class _Sharing:
    """Which buffers are one: a copy's source and target, or an operand that ends where a result begins."""

    def __init__(self, code: Code, lives: dict[Buffer, Lifetime], apart: Collection[Buffer]):
        self.code, self.lives, self.apart = code, lives, apart
        self.parent: dict[Buffer, Buffer] = {}

    def home(self, buffer: Buffer) -> Buffer:
        while buffer in self.parent:
            buffer = self.parent[buffer]
        return buffer

    def lines(self, names: set[str]) -> Iterator[tuple[int, Line]]:
        for i, item in enumerate(self.code):
            if isinstance(item, Line) and item.name in names:
                yield i, item

    def merge_copies(self) -> None:
        """A copy's target takes the source's place if nothing needs the target while the source lives.

        ... last use of A ... S = f(A?) ... A = copy S (last use of S)   becomes   A = f(A?)
        """
        for i, line in self.lines(COPIES):
            to, source = _views(line)
            a, s = self.home(to.buffer), self.home(source.buffer)
            if a is s or a in self.apart or s in self.apart or a.space != s.space:
                continue
            if not (to.is_whole() and source.is_whole() and a.nbytes == s.nbytes):
                continue
            first = self.lives[s].start
            between = [at for at in self.lives[a].at if first <= at < i]
            made = self.code[first]
            in_place = between == [first] and isinstance(made, Line) and self._in_place(made, a)
            if self.lives[s].end == i and (not between or in_place):
                self._merge(a, s)

    def merge_in_place(self) -> None:
        """A result takes the place of an operand that dies with it."""
        for i, line in self.lines(IN_PLACE):
            to, *sources = _views(line)
            result = self.home(to.buffer)
            if not to.is_whole() or self.lives[result].start != i:
                continue
            for source in sources:
                dying = self.home(source.buffer)
                alone = dying in self.apart or result in self.apart
                fits = dying is not result and not alone and dying.space == result.space and dying.nbytes == result.nbytes
                if fits and self.lives[dying].end == i and self._in_place(line, dying):
                    self._merge(dying, result)
                    break

    def _in_place(self, line: Line, operand: Buffer) -> bool:
        """Whether a line may overwrite this operand with its result: it reads each element just before it writes it."""
        if line.name not in IN_PLACE:
            return False
        to, *sources = _views(line)
        mine = [v for v in sources if self.home(v.buffer) is operand]
        return to.is_whole() and all(v.is_whole() and v.dtype.itemsize == to.dtype.itemsize for v in mine)

    def _merge(self, kept: Buffer, gone: Buffer) -> None:
        one, other = self.lives[kept], self.lives[gone]
        self.parent[gone] = kept
        self.lives[kept] = Lifetime(min(one.start, other.start), max(one.end, other.end), sorted({*one.at, *other.at}))


def _place(roots: list[Buffer], lives: dict[Buffer, Lifetime], capacity: int, space: int, code: Code) -> None:
    """Large buffers first, each at the lowest offset where nothing that lives with it is."""
    order = sorted(roots, key=lambda b: (-b.nbytes, lives[b].start))
    starts, ends = (np.array([getattr(lives[b], edge) for b in order], np.int64) for edge in ("start", "end"))
    low, high = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    for i, buffer in enumerate(order):
        together = np.flatnonzero((starts[:i] <= ends[i]) & (ends[:i] >= starts[i]))
        offset = 0
        for j in together[np.argsort(low[together], kind="stable")]:
            if low[j] - offset >= buffer.nbytes:
                break
            offset = max(offset, int(high[j]))
        step = min(ALIGNMENT, 1 << max(buffer.nbytes - 1, 7).bit_length())  # larger ones come first, so offsets are multiples of it
        low[i], high[i] = offset, offset + -(-buffer.nbytes // step) * step
        buffer.offset = offset
        if offset + buffer.nbytes > capacity:
            raise _overflow(order, lives, capacity, space, code)


class Overflow(Unsupported):
    """The tiles of a kernel do not fit into a memory of the machine; `space` says which."""

    space: int = 0
    live: Sequence[Buffer] = ()  # the places that are taken where most are
    sharing: dict[Buffer, list[Buffer]]  # the buffers of each place


def _overflow(roots: list[Buffer], lives: dict[Buffer, Lifetime], capacity: int, space: int, code: Code) -> Overflow:
    """What is live where most is."""
    change = np.zeros(len(code) + 1, np.int64)  # of the bytes that are taken, from line to line
    np.add.at(change, [lives[b].start for b in roots], [b.nbytes for b in roots])
    np.subtract.at(change, [lives[b].end + 1 for b in roots], [b.nbytes for b in roots])
    where = int(np.argmax(np.cumsum(change)))
    live = [b for b in roots if lives[b].start <= where <= lives[b].end]
    line = code[where]
    notes = [f"{b.nbytes} bytes, made {_made(code, lives[b].start)}" for b in sorted(live, key=lambda b: -b.nbytes)[:8]]
    error = Overflow(
        f"the tiles alive here take {sum(b.nbytes for b in live)} bytes of {SPACES[space]}; a core has {capacity}",
        line.loc if isinstance(line, Line) else None,
        notes=notes,
        help="use smaller tiles, or fewer at a time",
    )
    error.space, error.live, error.sharing = space, live, {}
    return error


def _made(code: Code, position: int) -> str:
    line = code[position]
    loc: Loc | None = line.loc if isinstance(line, Line) else None
    return f"at {loc}" if loc else f"by instruction {position}"
