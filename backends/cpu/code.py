"""The state of code generation for one kernel, and loops over the elements of tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.types import Elem, i32
from tiledsl.passes.affine import Forms

from .buffers import Arena, Scratch
from .emit import Builder, Scalar
from .machine import HostMachine
from .plan import Plan
from .points import Index, Lanes, Point, at_constant
from .types import register, vector

STRAIGHT = 4  # so many vectors are written out instead of looped over

Body = Callable[[Point], None]
Lead = Callable[[tuple[Index, ...], Scalar], Scalar]


@dataclass(frozen=True)
class Spacing:
    """How the elements of a tile of offsets follow each other."""

    even: str  # whether all by the same step
    first: str
    step: str


@dataclass(frozen=True)
class Inside:
    """The part of a block in which nothing that is computed there is masked."""

    along: frozenset[tuple[str, str]]  # bounds of the vector axis
    down: tuple[tuple[int, tuple[str, str]], ...]  # and of others


@dataclass
class Code:
    """One function being written: what values are called, where tiles are, how deep we are."""

    b: Builder
    machine: HostMachine
    plan: Plan
    scalars: dict[Value, str] = field(default_factory=dict)
    scratch: dict[Value, Scratch] = field(default_factory=dict)
    arena: Arena = field(default_factory=Arena)
    functions: dict[str, list[str]] = field(default_factory=dict)  # micro-kernels by name
    filling: set[Value] = field(default_factory=set)  # tiles being written down right now: compute, do not read
    stand_ins: dict[Value, Value] = field(default_factory=dict)  # tiles that are in memory elsewhere, and here are these expressions
    offsets: set[Value] = field(default_factory=set)  # tiles of offsets whose spacing is worth knowing
    spacing: dict[Value, Spacing] = field(default_factory=dict)  # of tiles of offsets
    held: dict[tuple[Value, tuple[Index, ...]], Lanes] = field(default_factory=dict)  # vectors of carried tiles that are in registers
    whole: frozenset[tuple[str, str]] = frozenset()  # bounds within which everything lies, here
    depth_of_whole: int = 0  # of the region in which that is so
    close: frozenset[Value] = frozenset()  # tiles of offsets that are known to be consecutive numbers, here
    forms: Callable[[], Forms] = field(default=lambda: Forms(Kernel("", Block())))  # of the kernel's tiles, when somebody asks
    boxes: dict[Value, dict[int, tuple[str, str]]] = field(default_factory=dict)  # masks that hold between bounds, by axis
    asked: dict[Value, dict[int, Value]] = field(default_factory=dict)  # of results of products: what demand.py knows
    leading: dict[Value, int] = field(default_factory=dict)  # of sorted rows: the same
    steady: dict[Value, tuple[Value, ...]] = field(default_factory=dict)  # right operands that strips.py may keep
    turn: Scalar = 0  # the number of the iteration, of the innermost `for`
    turns: Scalar = 1  # and how many there are
    large: str = "false"  # whether the launch writes more than the caches hold
    runs: Scalar = 1  # how many times the launch runs what is being written: programs, and iterations of loops that store
    program: str = "0"  # the number of the program, an i64
    poll: int = 0  # the slot of the function to call while waiting, after the parameters
    waits: dict[Op, int] = field(default_factory=dict)  # loops that may wait, by their number
    base: int = 0  # depth of the region around the current nest

    @contextmanager
    def knowing(self, tables: Iterable[Value]) -> Iterator[None]:
        """Code that runs only where these tiles of offsets are consecutive numbers."""
        before, self.close = self.close, self.close | frozenset(tables)
        yield
        self.close = before

    @contextmanager
    def within(self, limits: Iterable[tuple[str, str]]) -> Iterator[None]:
        """Code that runs only where everything lies within these bounds."""
        before, self.whole, self.depth_of_whole = (self.whole, self.depth_of_whole), frozenset(limits), self.b.depth
        yield
        self.whole, self.depth_of_whole = before

    @contextmanager
    def nest(self) -> Iterator[None]:
        """Loops over elements; what they learn about memory is forgotten afterwards."""
        before, self.base = self.base, self.b.depth
        region = self.b.regions[-1]
        kept, region.seen = region.seen, {}
        boxes, self.boxes = self.boxes, {}
        yield
        self.base, region.seen, self.boxes = before, kept, boxes

    def take(self, value: Value) -> Scratch:
        """Scratch memory for a tile."""
        piece = self.scratch[value] = self.arena.take(value.type.elem, value.type.shape)
        return piece


def width(code: Code, extent: int) -> int:
    """Lanes for an axis: a full vector, or the largest power of two that is not more than the extent."""
    lanes = code.machine.lanes()
    while lanes > extent:
        lanes //= 2
    return lanes


def each(
    code: Code,
    shape: Sequence[int],
    body: Body,
    axis: int | None,
    bounds: dict[int, tuple[str, str]] | None = None,
    split: tuple[str, str] | None = None,
    head: tuple[Index, ...] = (),
    lead: Lead | None = None,
    inside: Inside | None = None,
    heavy: bool = False,
) -> None:
    """Run body for every point of a shape in row-major order: vectors along `axis`, single elements along the others.

    bounds: for some axes (lo, hi) outside which nothing is to be done. split: (0, hi) of the vector axis; up to hi the
    points know that they are inside, so that loads with the same bounds need no mask. lead: how many elements of the
    vector axis, from an index on, to treat one by one (under a mask) before whole vectors begin. inside: where whole vectors
    need no masks at all; the rest of a row is treated as if it were shorter than a vector. heavy: one vector after the other, as
    each keeps the processor busy, and the constants of two do not fit its registers.
    """
    here = len(head)
    if here == len(shape):
        lanes = 0 if axis is None else _lanes_of(code, shape[axis])
        body(Point(head, axis if lanes else None, lanes))
        return
    limits = (bounds or {}).get(here)

    def inner(index: Index, active: str | None = None) -> None:
        if active is None:
            each(code, shape, body, axis, bounds, split, (*head, index), lead, inside, heavy)
        else:
            each(code, shape, lambda p: body(replace(p, active=active)), axis, bounds, split, (*head, index), lead, inside, heavy)

    if here != axis:
        _count(code, shape[here], limits, inner)
    elif limits is not None or lead is not None or inside is not None:
        limits = limits or ("0", str(shape[here]))
        _strip_within(code, shape[here], limits, inner, None if lead is None else partial(lead, head), inside, head, heavy)
    else:
        _strip(code, shape[here], split, inner, heavy)


def _lanes_of(code: Code, extent: int) -> int:
    lanes = width(code, extent)
    return lanes if extent > 1 else 0


def clamped(code: Code, limits: tuple[str, str], extent: int) -> tuple[Scalar, Scalar]:
    """Bounds cut to 0..extent, with hi not below lo."""
    lo, hi = (int(t) if t.lstrip("-").isdigit() else t for t in limits)
    lo = code.b.least(code.b.most(lo, 0), extent)
    return lo, code.b.most(code.b.least(hi, extent), lo)


def floored(code: Code, number: Scalar, step: int) -> Scalar:
    """The largest multiple of a power of two that is not above a number."""
    return code.b.value(f"and i64 {number}, {-step}") if isinstance(number, str) else number // step * step


def _count(code: Code, extent: int, limits: tuple[str, str] | None, inner: Callable[[Index], None]) -> None:
    lo, hi = (0, extent) if limits is None else clamped(code, limits, extent)
    if isinstance(lo, int) and isinstance(hi, int) and lo >= hi:
        return
    within = frozenset() if limits is None else frozenset([limits])
    with code.b.loop(lo, hi) as loop:
        inner(_index(code, loop.index, 0, within))


def _index(code: Code, start: Scalar, offset: int, within: frozenset[tuple[str, str]]) -> Index:
    if isinstance(start, int):
        return Index(None, start + offset, 0, within)
    return Index(start, offset, code.b.depth, within)


def _strip(code: Code, extent: int, split: tuple[str, str] | None, inner: Callable[..., None], heavy: bool) -> None:
    """All of an axis in vectors; the last few elements under a mask."""
    lanes = width(code, extent)
    whole = extent // lanes
    unroll = code.machine.unroll if whole % code.machine.unroll == 0 and not heavy else 1
    if split is not None and whole * lanes == extent and whole > 1:
        step = lanes * unroll
        _, hi = clamped(code, split, extent)
        middle = floored(code, hi, step)
        _vectors(code, 0, middle, lanes, unroll, Index(None, 0, 0, frozenset([split])), inner)
        _vectors(code, middle, extent, lanes, unroll, at_constant(0), inner)
        return
    if whole <= STRAIGHT:
        for k in range(whole):
            inner(at_constant(k * lanes))
    else:
        _vectors(code, 0, whole * lanes, lanes, unroll, at_constant(0), inner)
    if extent % lanes:
        inner(at_constant(whole * lanes), lanes_below(code, extent - whole * lanes, lanes))


def _vectors(code: Code, lo: Scalar, hi: Scalar, lanes: int, unroll: int, known: Index, inner: Callable[..., None]) -> None:
    if isinstance(lo, int) and isinstance(hi, int) and lo >= hi:
        return
    with code.b.loop(lo, hi, lanes * unroll) as loop:
        for k in range(unroll):
            inner(replace(_index(code, loop.index, k * lanes, known.within), beside=known.beside))


def _strip_within(
    code: Code,
    extent: int,
    limits: tuple[str, str],
    inner: Callable[..., None],
    lead: Callable[[Scalar], Scalar] | None,
    inside: Inside | None,
    head: tuple[Index, ...],
    heavy: bool,
) -> None:
    """The part of an axis inside bounds known at run time: whole vectors, then what is before and behind them under a mask."""
    lanes = width(code, extent)
    lo, hi = clamped(code, limits, extent)
    known = Index(None, 0, 0, frozenset([limits]))
    unroll = code.machine.unroll if extent >= lanes * code.machine.unroll and not heavy else 1
    first, last = lo, hi
    if inside is not None:
        known = replace(known, within=known.within | inside.along, beside=frozenset((head[axis], ends) for axis, ends in inside.down))
        first, last = _shrunk(code, extent, lo, hi, inside, head)
    if lead is not None:
        first = code.b.least(code.b.add(first, lead(first)), last)
    step = lanes * unroll
    middle = code.b.add(first, floored(code, code.b.sub(last, first), step))
    _vectors(code, first, middle, lanes, unroll, known, inner)
    sides = lead is not None or inside is not None
    if isinstance(middle, int) and isinstance(hi, int) and middle >= hi and not sides:
        return

    def rest(start: Scalar, stop: Scalar) -> None:
        with code.b.loop(start, stop, lanes) as loop:
            index = _index(code, loop.index, 0, frozenset([limits]))
            left = code.b.sub(stop, loop.index)
            inner(index, lanes_below(code, left, lanes) if lanes > 1 else None)

    if not sides:
        rest(middle, hi)
        return
    with code.b.loop(0, 2) as side:
        before = code.b.value(f"icmp eq i64 {side.index}, 0")
        start, stop = (code.b.value(f"select i1 {before}, i64 {x}, i64 {y}") for x, y in ((lo, middle), (first, hi)))
        rest(start, stop)


def _shrunk(code: Code, extent: int, lo: Scalar, hi: Scalar, inside: Inside, head: tuple[Index, ...]) -> tuple[Scalar, Scalar]:
    """What of lo..hi lies inside; nothing if another index does not."""
    b, first, last = code.b, lo, hi
    for limits in sorted(inside.along):
        start, stop = clamped(code, limits, extent)
        first, last = b.most(first, start), b.least(last, stop)
    first = b.least(first, hi)
    for axis, limits in inside.down:
        index, (start, stop) = head[axis], (int(t) if t.lstrip("-").isdigit() else t for t in limits)
        here = b.add(index.base or 0, index.offset)
        for holds in (f"icmp sge i64 {here}, {start}", f"icmp slt i64 {here}, {stop}"):
            last = b.value(f"select i1 {b.value(holds)}, i64 {last}, i64 {first}")
    return first, b.most(last, first)


def lanes_below(code: Code, limit: Scalar, lanes: int) -> str:
    """A mask of the lanes whose number is below a limit."""
    number = f"<{lanes} x i32>"
    iota = "<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">"
    if isinstance(limit, int):
        return "<" + ", ".join(f"i1 {'true' if k < limit else 'false'}" for k in range(lanes)) + ">"
    near = code.b.most(code.b.least(limit, lanes), 0)
    count = splatted(code, "i32", code.b.value(f"trunc i64 {near} to i32"), lanes)
    return code.b.value(f"icmp slt {number} {iota}, {count}")


def splatted(code: Code, scalar: str, text: str, lanes: int) -> str:
    """One scalar in every lane."""
    if not text.startswith("%"):
        return f"splat ({scalar} {text})"
    kind = vector(scalar, lanes)
    one = code.b.value(f"insertelement {kind} poison, {scalar} {text}, i64 0")
    return code.b.value(f"shufflevector {kind} {one}, {kind} poison, {vector('i32', lanes)} zeroinitializer")


def spread(code: Code, elem: Elem, value: Lanes, lanes: int) -> str:
    """A value with as many lanes as asked for (0: as it is)."""
    if not lanes or value.lanes:
        return value.text
    with code.b.at(max(value.depth, code.base)):
        return splatted(code, register(elem), value.text, lanes)


def counting(code: Code, index: Index, lanes: int, start: int) -> Lanes:
    """start + index, as i32."""
    first = start + index.offset
    steps = "<" + ", ".join(f"i32 {first + k}" for k in range(lanes)) + ">"
    if index.base is None:
        return Lanes(steps if lanes else str(first), lanes, code.base)
    depth = max(index.depth, code.base)
    with code.b.at(depth):
        low = code.b.value(f"trunc i64 {index.base} to i32")
        if not lanes:
            return Lanes(low if first == 0 else code.b.value(f"add i32 {low}, {first}"), 0, depth)
        wide = spread(code, i32, Lanes(low, 0, depth), lanes)
        return Lanes(code.b.value(f"add {vector('i32', lanes)} {wide}, {steps}"), lanes, depth)
