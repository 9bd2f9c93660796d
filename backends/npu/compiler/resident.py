"""Tiles that live in DRAM, a piece at a time: boxes over a core's scratch memory, and views that a loop moves along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tiledsl.ir.types import i64

from ..machine import Npu
from .layout import Box, View, dense
from .names import DRAM, Buffer, Reg
from .write import NONE, ZERO, Line, Operand, Writer, code_of

Piece = View | Box
FOLDS = ("reduce", "scan", "perm")  # along one axis of three, which their last operand names


@dataclass
class Plan:
    """How tiles that do not fit are dealt with."""

    budget: int  # bytes of the scratchpad for pieces that are being worked on
    argument: int  # the launch argument that says where a core's scratch memory starts
    pieces: bool = False  # whether elementwise code on large tiles goes piece by piece
    elsewhere: dict[Buffer, Buffer] = field(default_factory=dict)  # what lives in DRAM, and where
    homes: dict[Buffer, Buffer] = field(default_factory=dict)
    scratch: int = 0  # bytes of DRAM used so far

    def spill(self, members: Sequence[Buffer], sharing: Mapping[Buffer, Buffer]) -> None:
        """Buffers get places in DRAM; those that share one in the code as it was lowered, one for all."""
        for buffer in members:
            home = sharing[buffer]
            if home not in self.homes:
                self.homes[home] = Buffer(max(b.nbytes for b, h in sharing.items() if h is home), DRAM, self.scratch)
                self.scratch += -(-self.homes[home].nbytes // 64) * 64
            self.elsewhere[buffer] = self.homes[home]


class Resident(Writer):
    """A writer that brings pieces of tiles into the scratchpad and back."""

    def __init__(self, machine: Npu, plan: Plan):
        super().__init__(machine)
        self.plan = plan
        self.boxes = 0

    def __call__(self, name: str, *operands: Operand, when: Reg | None = None) -> None:
        tiles = [x for x in operands if isinstance(x, View)]
        if name in FOLDS and len(tiles[0].shape) > self.machine.descriptor_rank:
            self._narrow(name, operands, tiles)
        else:
            super().__call__(name, *operands, when=when)

    def line_as_it_is(self, line: Line) -> None:
        """A line whose tiles are in the scratchpad."""
        if line.name in FOLDS:
            self(line.name, *line.operands)
        else:
            self.code.append(line)

    def _narrow(self, name: str, operands: Sequence[Operand], tiles: Sequence[View]) -> None:
        """A fold of (outer, along, inner) where descriptors have two axes: without an axis of extent one, or outer by outer."""

        def on(parts: Sequence[Piece], axis: int) -> None:
            rest = iter(parts)
            self(name, *(next(rest) if isinstance(x, View) else x for x in operands[:-1]), axis)

        if all(v.shape[2] == 1 for v in tiles):
            on([replace(v, shape=v.shape[:2], strides=v.strides[:2]) for v in tiles], 1)
        elif all(v.shape[0] == 1 for v in tiles):
            on([replace(v, shape=v.shape[1:], strides=v.strides[1:]) for v in tiles], 0)
        else:
            self.over(0, tiles, 1, lambda parts: on(parts, 1))

    # --- what a loop moves ---------------------------------------------------------------------------------------------

    def part(self, thing: Piece, axis: int, start: int, stop: int) -> Piece:
        """The elements start <= i < stop along an axis."""
        if isinstance(thing, View):
            return thing.part(axis, start, stop)
        if start == 0:
            return replace(thing, shape=_with(thing.shape, axis, stop))
        return self._box_part(thing, axis, self.literal(start), stop - start)

    def slid(self, thing: Piece, axis: int, count: int, index: Reg) -> Piece:
        """The elements index * count <= i < (index + 1) * count along an axis."""
        if isinstance(thing, Box):
            return self._box_part(thing, axis, self.fresh("addr", ZERO, index, count), count)
        step = count * thing.strides[axis]
        first = thing.part(axis, 0, count)
        return replace(first, moved=self.fresh("addr", thing.moved or ZERO, index, step)) if step else first

    def _box_part(self, box: Box, axis: int, start: Reg, count: int) -> Box:
        base = self.fresh("addr", box.base, self.alu("mul", i64, start, box.strides[axis]), 1)
        around = box.bounds[axis]
        bounds = None
        if around is not None:
            bounds = self.fresh("addr", around[0], start, -1), self.fresh("addr", around[1], start, -1)
        return replace(box, base=base, shape=_with(box.shape, axis, count), bounds=_with(box.bounds, axis, bounds))

    def over(self, axes: int | Sequence[int], things: Sequence[Piece], count: int, body: Callable[[Sequence[Piece]], None]) -> None:
        """The code of a body for `count` elements at a time along an axis of each, then for what is left."""
        along = [axes] * len(things) if isinstance(axes, int) else axes
        pairs = list(zip(things, along, strict=True))
        times, rest = divmod(things[0].shape[along[0]], count)
        if times > 1:
            self.repeat(times, lambda index: body([self.slid(x, axis, count, index) for x, axis in pairs]))
        elif times:
            body([self.part(x, axis, 0, count) for x, axis in pairs])
        if rest:
            body([self.part(x, axis, times * count, times * count + rest) for x, axis in pairs])

    # --- DRAM ----------------------------------------------------------------------------------------------------------

    def settled(self, line: Line) -> Line:
        """A line whose operands are where they live."""
        return replace_operands(line, [self.home(x) if isinstance(x, View) else x for x in line.operands])

    def home(self, view: View) -> View:
        """A view of a tile where it lives."""
        return replace(view, buffer=self.plan.elsewhere[view.buffer]) if view.buffer in self.plan.elsewhere else view

    def fetched(self, view: View) -> View:
        """The same elements in the scratchpad; repeated ones once."""
        if view.buffer.space != DRAM:
            return view
        once = replace(view, shape=tuple(n if s else 1 for n, s in zip(view.shape, view.strides, strict=True)))
        made = dense(once.shape, view.dtype)
        self._transfer("dld", once, made)
        return made.broadcast(view.shape)

    def room(self, view: View) -> View:
        """Where to make what is meant for a view."""
        return dense(view.shape, view.dtype) if view.buffer.space == DRAM else view

    def put(self, view: View, made: View) -> None:
        """Bring what was made to where it is meant to be."""
        if view.buffer.space == DRAM:
            self._transfer("dst", view, made)
        elif view != made:
            self.move(view, made)

    def _transfer(self, name: str, there: View, here: View) -> None:
        axes = [d for d, extent in enumerate(there.shape) if extent > 1]
        base = self.fresh("addr", self.fresh("arg", self.plan.argument), self.literal(1), there.buffer.offset + there.offset)
        if there.moved is not None:
            base = self.fresh("addr", base, there.moved, 1)
        shape = tuple(there.shape[d] for d in axes)
        box = Box(there.dtype, base, shape, tuple(self.literal(there.strides[d]) for d in axes), (None,) * len(axes))
        part = replace(here, shape=shape, strides=tuple(here.strides[d] for d in axes))
        self.transfer(Line(name, (0, part, box, NONE) if name == "dld" else (box, part, NONE), None, self.loc))

    def transfer(self, line: Line) -> None:
        """A transfer between a box and the scratchpad: the box becomes a descriptor."""
        (box,) = (x for x in line.operands if isinstance(x, Box))
        number = self.boxes = (self.boxes + 1) % self.machine.global_descriptors
        self("gset", number, code_of(box.dtype), box.base)
        for axis, (extent, stride) in enumerate(zip(box.shape, box.strides, strict=True)):
            self("gdim", number, stride, extent)
            around = box.bounds[axis]
            if around is not None:
                self("gbox", number, axis, *around)
        if box.fill is not None:
            self("gfill", number, box.fill)
        self.code.append(replace_operands(line, [number if x is box else x for x in line.operands]))


def replace_operands(line: Line, operands: Sequence[Operand]) -> Line:
    """The same instruction on other operands."""
    return replace(line, operands=tuple(operands))


def _with(items: tuple[Any, ...], axis: int, item: object) -> tuple[Any, ...]:
    return (*items[:axis], item, *items[axis + 1 :])


def views(line: Line) -> list[View]:
    """The tiles of a line."""
    return [x for x in line.operands if isinstance(x, View)]
