"""Which tiles follow from their index: element i of an affine tile is base + i0*step0 + i1*step1 + ...

Base and steps are sums of products of scalars of the kernel. A tile of pointers counts in elements from a scalar pointer.
What integers along one axis do otherwise (rows % M, numbers of pages) can be a part of it as well: offsets that are looked
up, table0[i0] + table1[i1] + ...
Masks become boxes: for each axis the indices between two such sums, conditions on scalars, and whatever remains.

A pointer tile that a loop advances by the same amount everywhere stays affine: its steps are those it starts with, and
its base is carried as a scalar. That is assumed first and checked at the end of the loop's block.

What may be assumed of integers that wrap is told in DECISIONS.md, "Addresses do not wrap".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.spec import OpSpec
from ..ir.types import DType, Pointer, Tile, i1, i32, i64
from .constants import constant_of

# --- sums of products of scalars

Product = tuple[Value, ...]  # of scalars, and of one tile in a table; in order of first appearance
Sum = dict[Product, int]  # product -> how many times; no zeros

ZERO: Sum = {}


def number(n: int) -> Sum:
    """A number as a sum."""
    return {(): n} if n else {}


def known(x: Sum) -> int | None:
    """The number that a sum is, if no scalar is in it."""
    return x.get((), 0) if not x or (len(x) == 1 and () in x) else None


def plus(x: Sum, y: Sum, times: int = 1) -> Sum:
    """x + times * y."""
    out = dict(x)
    for product, count in y.items():
        out[product] = out.get(product, 0) + times * count
    return {product: count for product, count in out.items() if count}


# --- forms


@dataclass(frozen=True)
class Affine:
    """base + sum of index[d] * steps[d]; the step of an axis of extent one is 0."""

    base: Sum
    steps: tuple[Sum, ...]
    pointer: Value | None = None  # what a tile of pointers counts from
    tame: bool = True  # made by adding scalars to index ranges, so that comparing it means comparing the numbers
    tables: tuple[Sum, ...] = ()  # what is looked up, an axis each; empty if nothing is

    @property
    def uniform(self) -> bool:
        return not any(self.steps) and not self.tables

    def arranged(self, axes: Iterable[int | None]) -> Affine:
        """With other axes: for each, which one it was."""
        picks = list(axes)
        steps, tables = (tuple(ZERO if a is None else axis[a] for a in picks) if axis else () for axis in (self.steps, self.tables))
        return replace(self, steps=steps, tables=tables)

    def scalars(self) -> Iterator[Value]:
        """Every scalar of the kernel in it."""
        if self.pointer is not None:
            yield self.pointer
        for part in (self.base, *self.steps, *self.tables):
            for product in part:
                yield from product


@dataclass(frozen=True)
class Bound:
    """The largest integer not above total / by."""

    total: Sum
    by: int = 1


Step = tuple[OpSpec, dict[str, Any]]  # an op on shapes, with its attributes


@dataclass(frozen=True)
class Box:
    """A mask: true where lows <= index < highs on each axis, all conditions hold, and all other masks do."""

    lows: tuple[tuple[Bound, ...], ...]
    highs: tuple[tuple[Bound, ...], ...]
    conditions: tuple[Value | Bound, ...] = ()  # scalars; a bound holds if it is negative
    others: tuple[tuple[Value, tuple[Step, ...]], ...] = ()  # masks, and the ops on shapes that they went through

    def scalars(self) -> Iterator[Value]:
        """Every scalar of the kernel in it."""
        for bound in (*(b for axis in (*self.lows, *self.highs) for b in axis), *self.conditions):
            if isinstance(bound, Value):
                yield bound
            else:
                for product in bound.total:
                    yield from product


def everything(rank: int) -> Box:
    """The mask that always holds."""
    return Box(((),) * rank, ((),) * rank)


@dataclass(frozen=True)
class Carried:
    """A loop carries tile number `place`; its base is carried as a scalar beside it."""

    place: int
    argument: Value  # stands for the scalar in the loop's block
    result: Value  # and after the loop


class Forms:
    """The affine tiles and boxes of a kernel, and the scalars that its loops must carry for them."""

    def __init__(self, kernel: Kernel, tables: bool = False):
        self.tables = tables
        self.affine: dict[Value, Affine] = {}
        self.boxes: dict[Value, Box] = {}
        self.carried: dict[Op, tuple[Carried, ...]] = {}
        self.order: dict[Value, int] = {}
        self.block(kernel.body)

    def form(self, value: Value) -> Affine | None:
        """The affine form of a scalar or tile, if it has one."""
        if value.type.shape:
            return self.affine.get(value)
        elem = value.type.elem
        if isinstance(elem, Pointer):
            return Affine(ZERO, (), value)
        if not elem.is_int:
            return None
        constant = constant_of(value)
        return Affine(number(int(constant)) if constant is not None else {(value,): 1}, ())

    def box(self, mask: Value) -> Box:
        """A mask as a box; at worst as a mask of its own."""
        if mask in self.boxes:
            return self.boxes[mask]
        if constant_of(mask) == 1:
            return everything(mask.type.rank)
        return replace(everything(mask.type.rank), others=((mask, ()),))

    def times(self, x: Sum, y: Sum) -> Sum:
        """x * y."""
        out: Sum = {}
        for p, m in x.items():
            for q, n in y.items():
                product = tuple(sorted(p + q, key=lambda v: self.order.setdefault(v, len(self.order)))) if p and q else p or q
                out[product] = out.get(product, 0) + m * n
        return {product: count for product, count in out.items() if count}

    # --- the walk

    def block(self, block: Block) -> None:
        for op in block.ops:
            if op.spec is ops.for_:
                self.loop(op)
            elif op.spec.effect == "control":
                for inner in op.blocks:
                    self.block(inner)
            elif len(op.results) == 1 and op.results[0].type.shape:
                self.tile(op, op.results[0])

    def tile(self, op: Op, result: Value) -> None:
        self.affine.pop(result, None)  # a loop's block may be walked again
        self.boxes.pop(result, None)
        if result.type.elem is i1:
            found = BOXES.get(op.spec)
            if found is not None and (box := found(self, op, result.type)) is not None:
                self.boxes[result] = box
            return
        rule = AFFINE.get(op.spec)
        form = rule(self, op, result.type) if rule is not None else None
        if form is not None and fits(form, result.type):
            self.affine[result] = form
        elif self.tables and form is None and _signed(result.type) and sum(extent > 1 for extent in result.type.shape) == 1:
            itself: Sum = {(result,): 1}
            parts = tuple(itself if extent > 1 else ZERO for extent in result.type.shape)
            self.affine[result] = Affine(ZERO, (ZERO,) * len(parts), None, False, parts)

    def loop(self, op: Op) -> None:
        """Assume of every affine tile the loop carries that its steps stay; drop those of which it turns out wrong."""
        (block,) = op.blocks
        arguments, starts = block.args[1:], op.operands[3:]
        for value in (*arguments, *op.results):
            self.affine.pop(value, None)  # of an earlier walk
        places = {i: form for i, v in enumerate(starts) if v.type.shape and (form := self.form(v)) is not None}
        while True:
            carried = tuple(Carried(i, _scalar(arguments[i]), _scalar(op.results[i])) for i in places)
            for c in carried:
                self.affine[arguments[c.place]] = _moved(places[c.place], c.argument)
            self.block(block)
            ends = {i: self.form(block.yields[i]) for i in places}
            again = False
            for i, end in ends.items():
                start = places[i]
                if end is None or end.steps != start.steps or end.tables != start.tables:
                    del places[i], self.affine[arguments[i]]
                elif start.tame and not end.tame:
                    places[i] = replace(start, tame=False)
                again |= places.get(i) is not start
            if not again:
                break
        self.carried[op] = carried
        for c in carried:
            self.affine[op.results[c.place]] = _moved(places[c.place], c.result)

    def needed(self, used: Iterable[Value]) -> dict[Op, tuple[Carried, ...]]:
        """Of the scalars that loops could carry, those that the used ones depend on."""
        home = {v: (op, c) for op, cs in self.carried.items() for c in cs for v in (c.argument, c.result)}
        todo, found = [v for v in used if v in home], set()
        while todo:
            op, c = home[todo.pop()]
            if (op, c) not in found:
                found.add((op, c))
                for value in (op.operands[3 + c.place], op.blocks[0].yields[c.place]):
                    form = self.form(value)
                    assert form is not None
                    todo += [v for v in form.scalars() if v in home]
        return {op: kept for op, cs in self.carried.items() if (kept := tuple(c for c in cs if (op, c) in found))}


def _scalar(tile: Value) -> Value:
    """A scalar to carry the base of a tile."""
    elem = tile.type.elem
    return Value(Tile(elem if isinstance(elem, Pointer) else i64), f"{tile.name}_at" if tile.name else "")


def _moved(form: Affine, base: Value) -> Affine:
    """The form with another base, carried as a scalar."""
    return replace(form, base=ZERO, pointer=base) if form.pointer is not None else replace(form, base={(base,): 1})


def fits(form: Affine, tile: Tile) -> bool:
    """False if it is known that some element wraps, which the form would not show."""
    if form.pointer is not None or not isinstance(tile.elem, DType):
        return True
    numbers = [known(form.base), *map(known, form.steps)]
    if None in numbers or form.tables:
        return True
    ends = [n * (extent - 1) for n, extent in zip(numbers[1:], tile.shape, strict=True) if n is not None]
    base = numbers[0] or 0
    limit = 1 << tile.elem.bits - 1
    return -limit <= base + sum(min(e, 0) for e in ends) and base + sum(max(e, 0) for e in ends) < limit


# --- integers and pointers: a rule per op

Rule = Callable[[Forms, Op, Tile], Affine | None]
AFFINE: dict[OpSpec, Rule] = {}
BOXES: dict[OpSpec, Callable[[Forms, Op, Tile], Box | None]] = {}


def affine(spec: OpSpec) -> Callable[[Rule], Rule]:
    """Register the rule of an op."""

    def register(fn: Rule) -> Rule:
        AFFINE[spec] = fn
        return fn

    return register


def _signed(tile: Tile) -> bool:
    return tile.elem in (i32, i64)


@affine(ops.constant)
def _constant(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return Affine(number(op.attrs["value"]), (ZERO,) * tile.rank) if _signed(tile) else None


@affine(ops.arange)
def _arange(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return Affine(number(op.attrs["start"]), (number(1) if tile.size > 1 else ZERO,))


@affine(ops.add)
def _add(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return _combined(forms, op, 1) if _signed(tile) else None


@affine(ops.sub)
def _sub(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return _combined(forms, op, -1) if _signed(tile) else None


@affine(ops.offset)
def _offset(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return _combined(forms, op, 1)


def _combined(forms: Forms, op: Op, times: int) -> Affine | None:
    x, y = map(forms.form, op.operands)
    if x is None or y is None:
        return None
    steps, tables = (
        tuple(plus(a, b, times) for a, b in zip_longest(p, q, fillvalue=ZERO)) for p, q in ((x.steps, y.steps), (x.tables, y.tables))
    )
    tame = x.tame and y.tame or x.pointer is not None
    return Affine(plus(x.base, y.base, times), steps, x.pointer, tame, tables if any(tables) else ())


@affine(ops.mul)
def _mul(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x, y = map(forms.form, op.operands)
    if x is None or y is None or not _signed(tile):
        return None
    if x.uniform:
        x, y = y, x
    if not y.uniform:
        return None
    steps, tables = (tuple(forms.times(s, y.base) for s in parts) for parts in (x.steps, x.tables))
    tame = x.tame and y.tame and (known(y.base) in (-1, 0, 1) or None not in map(known, (x.base, y.base, *x.steps)))
    return Affine(forms.times(x.base, y.base), steps, None, tame, tables if any(tables) else ())


@affine(ops.neg)
def _neg(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x = forms.form(op.operands[0])
    if x is None or not _signed(tile):
        return None
    steps, tables = (tuple(plus(ZERO, s, -1) for s in parts) for parts in (x.steps, x.tables))
    return replace(x, base=plus(ZERO, x.base, -1), steps=steps, tables=tables)


@affine(ops.cast)
def _cast(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    return forms.form(op.operands[0]) if op.operands[0].type.elem is i32 and tile.elem is i64 else None


@affine(ops.reshape)
def _reshape(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x, axes = forms.form(op.operands[0]), kept_axes(op.operands[0].type.shape, tile.shape)
    return None if x is None or axes is None else x.arranged(axes)


@affine(ops.broadcast)
def _broadcast(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x = forms.form(op.operands[0])
    return None if x is None else replace(x, steps=x.steps or (ZERO,) * tile.rank)


@affine(ops.slice_)
def _slice(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x = forms.form(op.operands[0])
    if x is None or x.tables:
        return None
    base = x.base
    for step, start in zip(x.steps, op.attrs["starts"], strict=True):
        base = plus(base, step, start)
    steps = tuple(step if extent > 1 else ZERO for step, extent in zip(x.steps, tile.shape, strict=True))
    return replace(x, base=base, steps=steps)


@affine(ops.transpose)
def _transpose(forms: Forms, op: Op, tile: Tile) -> Affine | None:
    x = forms.form(op.operands[0])
    return None if x is None else x.arranged(op.attrs["order"])


def kept_axes(before: tuple[int, ...], after: tuple[int, ...]) -> list[int | None] | None:
    """Which old axis each new one is (None: a new one of extent one), if a reshape only adds and drops such axes."""
    old = [d for d, extent in enumerate(before) if extent != 1]
    new = [d for d, extent in enumerate(after) if extent != 1]
    if any(a is None or b is None or before[a] != after[b] for a, b in zip_longest(old, new)):
        return None
    found = dict(zip(new, old, strict=True))
    return [found.get(d) for d in range(len(after))]


# --- masks: a rule per op


def _compare(swap: bool, or_equal: bool) -> Callable[[Forms, Op, Tile], Box | None]:
    """x < y (swapped: y < x), as a bound on the only axis along which x - y changes."""

    def rule(forms: Forms, op: Op, tile: Tile) -> Box | None:
        x, y = map(forms.form, reversed(op.operands) if swap else op.operands)
        if x is None or y is None or not _signed(op.operands[0].type) or not (x.tame and y.tame) or x.tables or y.tables:
            return None
        # total + sum of index * step < 0
        total = plus(plus(x.base, y.base, -1), number(-1 if or_equal else 0))
        steps = [plus(a, b, -1) for a, b in zip(x.steps, y.steps, strict=True)]
        axes = [d for d, step in enumerate(steps) if step]
        box = everything(tile.rank)
        if not axes:
            return replace(box, conditions=(Bound(total),))
        by = known(steps[axes[0]])
        if len(axes) > 1 or by is None:
            return None
        if by > 0:
            return replace(box, highs=_at(box.highs, axes[0], Bound(plus(number(by - 1), total, -1), by)))
        return replace(box, lows=_at(box.lows, axes[0], Bound(plus(total, number(-by)), -by)))

    return rule


def _at(axes: tuple[tuple[Bound, ...], ...], axis: int, bound: Bound) -> tuple[tuple[Bound, ...], ...]:
    return (*axes[:axis], (*axes[axis], bound), *axes[axis + 1 :])


BOXES |= {ops.lt: _compare(False, False), ops.le: _compare(False, True), ops.gt: _compare(True, False), ops.ge: _compare(True, True)}


def _and(forms: Forms, op: Op, tile: Tile) -> Box:
    x, y = map(forms.box, op.operands)
    lows = tuple(a + b for a, b in zip(x.lows, y.lows, strict=True))
    highs = tuple(a + b for a, b in zip(x.highs, y.highs, strict=True))
    return Box(lows, highs, x.conditions + y.conditions, x.others + y.others)


def _arranged(axes_of: Callable[[Op, Tile], list[int | None] | None]) -> Callable[[Forms, Op, Tile], Box | None]:
    """A mask that went through an op on shapes; axes_of says which axis of it each axis of the result is."""

    def rule(forms: Forms, op: Op, tile: Tile) -> Box | None:
        mask = op.operands[0]
        if not mask.type.shape:
            return replace(everything(tile.rank), conditions=(mask,))
        axes = axes_of(op, mask.type)
        if axes is None:
            return None
        x = forms.box(mask)
        lows = tuple(() if a is None else x.lows[a] for a in axes)
        highs = tuple(() if a is None else x.highs[a] for a in axes)
        return Box(lows, highs, x.conditions, tuple((m, (*path, (op.spec, op.attrs))) for m, path in x.others))

    return rule


BOXES |= {
    ops.and_: _and,
    ops.reshape: _arranged(lambda op, mask: kept_axes(mask.shape, op.attrs["shape"])),
    ops.broadcast: _arranged(lambda op, mask: list(range(mask.rank))),
    ops.transpose: _arranged(lambda op, mask: list(op.attrs["order"])),
}
