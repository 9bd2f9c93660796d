"""Elementwise code piece by piece: neighbouring lines on tiles of one size become a loop over parts of them.

    a = load ...; b = a + 1; c = b * 2          for each part of a: b = part + 1; part of c = b * 2

What only these lines know is never whole. What lives in DRAM comes and goes part by part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tiledsl.backend.registers import Lifetime

from .layout import View, common_axes, dense
from .names import DRAM, Buffer, Reg
from .resident import Resident, replace_operands, views
from .write import Line, Operand

WRITES = {"dscat", "datom", "dcas"}  # to the user's memory, in the order of the elements
GROUPED = {"vec1", "vec2", "vec3", "vcast", "vcopy", "vfill", "vaddr", "viota", "accwr", "accrd", "dgat", *WRITES}


def is_grouped(line: Line) -> bool:
    """Whether a line computes element by element."""
    return line.name in GROUPED if line.custom is None else line.custom.elementwise


@dataclass
class Group:
    """Neighbouring elementwise lines that can go piece by piece together."""

    size: int = 0
    lines: list[Line] = field(default_factory=list)
    reads: set[Reg] = field(default_factory=set)

    def takes(self, line: Line) -> bool:
        """Whether a line can join: same size, DRAM in order, and what it shares with others is shared element by element."""
        if not self.lines:
            return True
        everyone = [*self.lines, line]
        sides = {"write" if x.name in WRITES else "read" for x in everyone if x.instruction is not None and x.instruction.traits}
        writers = sum(x.name in WRITES for x in everyone)
        if views(line)[0].size != self.size or len(sides) > 1 or writers > 1 or line.when is not None:
            return False
        extents = refined([v.shape for x in everyone for v in views(x)])
        if extents is None:
            return False
        written = {v.buffer for x in everyone for v in written_views(x)}
        maps: dict[Buffer, tuple[object, ...]] = {}
        for x in everyone:
            for v in views(x):
                if v.buffer in written:
                    shaped = v.reshape(extents)
                    assert shaped is not None
                    if maps.setdefault(v.buffer, (v.offset, shaped.strides, v.moved)) != (v.offset, shaped.strides, v.moved):
                        return False
        return True

    def add(self, line: Line) -> None:
        self.size = views(line)[0].size
        self.lines.append(line)
        self.reads.update(x for x in line.operands if isinstance(x, Reg))
        self.reads.update(v.moved for v in views(line) if v.moved is not None)


def roles(line: Line) -> list[str]:
    """What an instruction does with each of its operands."""
    assert line.instruction is not None
    found = [where.role for _, where in line.instruction.fields]
    if line.name == "dgat" and line.operands[0]:
        found[1] = "update"
    return found


def written_views(line: Line) -> list[View]:
    """The tiles that a line changes."""
    return [x for x, role in zip(line.operands, roles(line), strict=True) if isinstance(x, View) and role in ("write", "update")]


def refined(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Extents so fine that every one of the shapes is a merging of them; None if there are none."""
    sizes = {1, math.prod(shapes[0])}
    for shape in set(shapes):
        product = 1
        for extent in reversed(shape):
            product *= extent
            sizes.add(product)
    ordered = sorted(sizes)
    if any(b % a for a, b in zip(ordered, ordered[1:], strict=False)):
        return None
    return tuple(b // a for a, b in zip(ordered, ordered[1:], strict=False))[::-1]


Row = tuple[Line, list[Operand]]
Start = tuple[int, tuple[tuple[Reg, int], ...]]  # the number of a piece's first element: a constant, and registers times numbers


class Pieces:
    """Writes one group."""

    def __init__(self, write: Resident, group: Group, own: set[Buffer]):
        self.write, self.own = write, own
        everything = [v for line in group.lines for v in views(line)]
        extents = refined([v.shape for v in everything])
        assert extents is not None
        shaped = [v.reshape(extents) for v in everything]
        assert all(v is not None for v in shaped)
        merged, strides = common_axes([v for v in shaped if v is not None])
        parts = iter([replace(v, shape=tuple(merged), strides=tuple(s)) for v, s in zip(everything, strides, strict=True)])
        rows: list[Row] = [(line, [next(parts) if isinstance(x, View) else x for x in line.operands]) for line in group.lines]
        self.moved: dict[tuple[Reg | None, Reg, int], Reg] = {}
        self.limit = max(1, write.plan.budget // self._bytes_per_element(rows))
        self._nest(rows, (0, ()))

    def _bytes_per_element(self, rows: Sequence[Row]) -> int:
        """Of what pieces need in the scratchpad, where they need most."""
        lives: dict[Buffer, Lifetime] = {}
        sizes: dict[Buffer, int] = {}
        for i, (_, operands) in enumerate(rows):
            for v in operands:
                if isinstance(v, View) and (v.buffer in self.own or v.buffer.space == DRAM):
                    lives.setdefault(v.buffer, Lifetime(i, i)).touch(i)
                    sizes[v.buffer] = v.dtype.itemsize
        alive = [sum(sizes[b] for b, life in lives.items() if life.start <= i <= life.end) for i in range(len(rows))]
        return max([8, *alive])

    def _nest(self, rows: list[Row], start: Start) -> None:
        """Loops over the outer axes until a piece is small enough, then one over as many of the next as fit."""
        shape = next(x.shape for x in rows[0][1] if isinstance(x, View))
        inner = math.prod(shape[1:])
        if math.prod(shape) <= self.limit:
            self._body(rows, start)
        elif inner > self.limit:
            self._over(rows, start, 1, inner, lambda part, at: self._nest([(n, [_inner(x) for x in xs]) for n, xs in part], at))
        else:
            extent, most = shape[0], max(1, self.limit // inner)
            count = next(c for c in range(most, 0, -1) if extent % c == 0)
            self._over(rows, start, count if count * 4 > most else most, inner, self._body)

    def _over(self, rows: list[Row], start: Start, count: int, inner: int, body: Callable[[list[Row], Start], None]) -> None:
        extent = next(x.shape[0] for x in rows[0][1] if isinstance(x, View))
        times, rest = divmod(extent, count)
        constant, scaled = start
        if times > 1:
            self.write.repeat(times, lambda i: body(self._slid(rows, count, i), (constant, (*scaled, (i, count * inner)))))
        else:
            body([(n, [x.part(0, 0, count) if isinstance(x, View) else x for x in xs]) for n, xs in rows], start)
        if rest:
            done = times * count
            left = [(n, [x.part(0, done, extent) if isinstance(x, View) else x for x in xs]) for n, xs in rows]
            body(left, (constant + done * inner, scaled))

    def _slid(self, rows: list[Row], count: int, index: Reg) -> list[Row]:
        def slid(x: Operand) -> Operand:
            if not isinstance(x, View) or x.buffer in self.own:
                return replace(x, shape=(count, *x.shape[1:])) if isinstance(x, View) else x
            step = count * x.strides[0]
            if not step:
                return x.part(0, 0, count)
            key = (x.moved, index, step)
            if key not in self.moved:
                moved = self.write.slid(x, 0, count, index)
                assert isinstance(moved, View) and moved.moved is not None
                self.moved[key] = moved.moved
            return replace(x.part(0, 0, count), moved=self.moved[key])

        return [(line, [slid(x) for x in operands]) for line, operands in rows]

    def _body(self, rows: list[Row], start: Start) -> None:
        here: dict[object, View] = {}
        for line, operands in rows:
            self.write.loc = line.loc
            made: list[tuple[View, View]] = []
            found = list(operands)
            kinds = roles(line)
            for at in sorted(range(len(found)), key=lambda at: kinds[at] == "write"):  # what is read is not yet what is written
                x, role = found[at], kinds[at]
                if not isinstance(x, View) or x.buffer not in self.own and x.buffer.space != DRAM:
                    continue
                mine = x.buffer in self.own
                key = x.buffer if mine else (x.buffer, x.offset, x.strides, x.moved)
                if key not in here and not mine and role != "write":
                    here[key] = self.write.fetched(x)
                elif key not in here or role == "write" and not mine:
                    here[key] = dense(x.shape, x.dtype)
                found[at] = here[key].retyped(x.dtype)
                if role != "read" and not mine:
                    made.append((x, here[key].retyped(x.dtype)))
            if line.name == "viota":
                self._count(found, start)
            else:
                self._vector(replace_operands(line, found))
            for there, new in made:
                self.write.put(there, new)

    def _vector(self, line: Line) -> None:
        assert not any(isinstance(x, View) and x.buffer.space == DRAM for x in line.operands)
        self.write.vector(line.custom or line.name, *line.operands)

    def _count(self, operands: list[Operand], start: Start) -> None:
        """The numbers of a piece's elements."""
        to, first = operands
        assert isinstance(to, View) and isinstance(first, int)
        write, (constant, scaled) = self.write, start
        write.vector("viota", to, first + constant)
        if scaled:
            offset: Reg | int = 0
            for index, scale in scaled:
                offset = write.fresh("addr", offset, index, scale)
            cell = dense((), to.dtype)
            write("vfill", cell, offset)
            write.apply("add", to, to, cell.broadcast(to.shape))


def _inner(x: Operand) -> Operand:
    return replace(x, shape=x.shape[1:], strides=x.strides[1:]) if isinstance(x, View) else x
