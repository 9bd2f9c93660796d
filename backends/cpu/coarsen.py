"""The loop of a matrix product, with several iterations run as one: a deeper block of A, a deeper block of B, one dot.

    for k in 0..K step 32:                            for n in 0..K // 32 // 8:
        acc = dot(A[:, k..k+32], B[k..k+32, :], acc)      acc = dot(A[:, k..k+256], B[k..k+256, :], acc)
                                                      for k in the rest: as before

The sums stay chains over k ascending, so no bit changes; but accumulators are read and written less often. This holds if a
block continues where that of the iteration before ended. Which scalars of the loop are linear is seen here; whether
their steps fit is asked when the kernel runs, by looking at the first, the second and the last iteration: what wraps, or
strides in some other way, takes the loop as it was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

from tiledsl import ops
from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.rebuild import Copier, rebuild
from tiledsl.ir.types import Pointer, Tile, i1, i32, i64
from tiledsl.machine import Machine
from tiledsl.passes import tidy
from tiledsl.passes.constants import constant_of

INDEX = Tile(i64)
THROUGH = (ops.cast, ops.transpose)  # may stand between a load and the dot


@dataclass
class Product:
    """A loop that only multiplies: its dot, the carried value that is the sum, the loads with the axis that is summed over."""

    loop: Op
    dot: Op
    place: int
    depth: int  # of one iteration
    tiles: dict[Op, int] = field(default_factory=dict)  # loads, and what they go through: the axis that k is

    @property
    def body(self) -> Block:
        return self.loop.blocks[0]

    @property
    def loads(self) -> list[tuple[Op, int]]:
        return [(op, axis) for op, axis in self.tiles.items() if op.spec is ops.load_block]


def coarsen(kernel: Kernel, machine: Machine, depth: int) -> Kernel:
    """Loops of products that take about `depth` steps of k per iteration, each followed by one for the rest."""
    new = rebuild(kernel, partial(_visit, depth))
    return kernel if new is kernel else tidy(new, machine)


def _visit(depth: int, build: Copier, op: Op, operands: list[Value]) -> Any:
    product = _product(op) if op.spec is ops.for_ else None
    if product is None or product.depth * 2 > depth:
        return None
    return _split(build, product, operands, depth // product.depth)


# --- what a loop must look like


def _product(loop: Op) -> Product | None:
    """The product that a loop computes, if it does nothing else."""
    body, step = loop.blocks[0], constant_of(loop.operands[2])
    dots = [op for op in body.ops if op.spec is ops.dot]
    if len(dots) != 1 or step is None or step <= 0 or loop.operands[2].type.elem not in (i32, i64):
        return None
    (dot,) = dots
    left, right, total = dot.operands
    if left.type.rank != 2 or total not in body.args or body.yields.count(dot.result) != 1:
        return None
    found = Product(loop, dot, body.yields.index(dot.result), left.type.shape[1])
    fits = body.args[1 + found.place] is total and _follow(found, left, 1) and _follow(found, right, 0)
    return found if fits and _nothing_else(found) else None


def _follow(found: Product, tile: Value, axis: int) -> bool:
    """Whether an operand is a block of memory that moves along its axis k, in the loop."""
    op = tile.source
    if op is None or op not in found.body.ops or op in found.tiles:
        return False
    found.tiles[op] = axis
    if op.spec in THROUGH:
        return _follow(found, op.operands[0], op.attrs["order"][axis] if op.spec is ops.transpose else axis)
    if op.spec is not ops.load_block or op.attrs["masked"] or op.operands[1 + axis].type.shape:
        return False
    linear = Degrees(found)
    moving = {0} | {end for a, end in _ends(op) if a == axis}
    low = next((op.operands[end - 1] for a, end in _ends(op) if a == axis), None)
    if low is not None and (constant_of(low) is None or constant_of(low) > 0):  # type: ignore[operator]
        return False
    return all(linear.of(v) <= (position in moving) for position, v in enumerate(op.operands))


def _ends(load: Op) -> list[tuple[int, int]]:
    """(axis, position of its upper bound among the operands) of the axes that a load checks."""
    first = 1 + load.result.type.rank
    return [(axis, first + 2 * n + 1) for n, axis in enumerate(load.attrs["checked"])]


def _nothing_else(found: Product) -> bool:
    """Whether the rest of the loop is arithmetic on scalars that can be foretold."""
    *ops_, last = found.body.ops
    rest = [op for op in ops_ if op is not found.dot and op not in found.tiles]
    if any(op.blocks or not op.spec.is_pure or any(v.type.shape for v in (*op.operands, *op.results)) for op in rest):
        return False
    linear = Degrees(found)
    places = [p for p in range(len(last.operands)) if p != found.place]
    return all(not last.operands[p].type.shape and linear.step(p) is not None for p in places)


class Degrees:
    """How scalars of the loop follow its index: 0 not at all, 1 linearly, 2 in some other way."""

    def __init__(self, product: Product):
        self.product, self.body = product, product.body
        self.inner = {r for op in self.body.ops for r in op.results}
        self.known: dict[Value, int] = {}

    def of(self, value: Value) -> int:
        if value not in self.known:
            self.known[value] = self._fresh(value)
        return self.known[value]

    def _fresh(self, value: Value) -> int:
        if value in self.body.args:
            place = self.body.args.index(value) - 1
            return 1 if place < 0 or self.step(place) is not None else 2
        if value not in self.inner:
            return 0
        op = value.source
        assert op is not None
        below = [self.of(v) for v in op.operands]
        if op.spec in (ops.add, ops.sub, ops.neg, ops.offset) or (op.spec is ops.cast and op.operands[0].type.elem is i32):
            return max(below)
        if op.spec is ops.mul:
            return min(2, sum(below))
        return 2 if any(below) else 0

    def step(self, place: int) -> list[Value] | None:
        """What each iteration adds to a carried scalar, if always the same."""
        value, amounts = self.body.yields[place], []
        arg = self.body.args[1 + place]
        if not isinstance(arg.type.elem, Pointer) and (not arg.type.elem.is_int or arg.type.elem is i1):
            return None  # many steps of a float are not one large step
        while value is not arg:
            op = value.source
            if value not in self.inner or op is None or op.spec not in (ops.add, ops.offset):
                return None
            value, amount = op.operands
            if amount in self.inner or amount in self.body.args:
                return None
            amounts.append(amount)
        return amounts


# --- the two loops


def _split(build: Copier, product: Product, operands: list[Value], times: int) -> Any:
    """The loop of long steps, and that of the rest; what stands for the results of the old one."""
    at = Index(build)
    low, high, step = at.wide(operands[0]), at.wide(operands[1]), at.number(int(constant_of(operands[2]) or 1))
    span = at.add(at.sub(high, low), at.sub(step, at.number(1)))
    count = build.emit(ops.maximum, build.emit(ops.idiv, span, step), at.number(0))
    long = at.mul(step, at.number(times))
    groups = build.emit(ops.idiv, count, at.number(times))
    groups = build.emit(ops.select, _regular(at, product, operands, count), groups, at.number(0))
    body = _long_step(build, product, low, long, times)
    carried = build.emit(ops.for_, at.number(0), groups, at.number(1), *operands[3:], blocks=[body])
    start = build.emit(ops.minimum, at.add(low, at.mul(groups, long)), build.emit(ops.maximum, low, high))  # fits the index's type
    rest = [at.narrow(start, operands[0]), *operands[1:3], *(carried if isinstance(carried, tuple) else [carried])]
    return build.emit(ops.for_, *rest, blocks=[build.copy_block(product.body)])


def _long_step(build: Copier, product: Product, low: Value, long: Value, times: int) -> Block:
    """The body of the loop of long steps, over their number."""
    old = product.body
    arguments = [Value(INDEX), *(Value(a.type, a.name) for a in old.args[1:])]
    at = Index(build.inside(Block(arguments)))
    first = at.narrow(at.add(low, at.mul(arguments[0], long)), old.args[0])
    here = _Iteration(at, product, dict(zip(old.args, [first, *arguments[1:]], strict=True)), times)
    total = here.tile(product.dot.result)
    ends = [total if place == product.place else here.advanced(place, at.number(times)) for place in range(len(old.yields))]
    at.build.emit(ops.yield_, *ends)
    return at.build.block


def _regular(at: Index, product: Product, operands: list[Value], count: Value) -> Value:
    """Whether every iteration's blocks begin where those of the one before ended."""
    one = at.number(1)
    last = at.sub(count, one)
    iterations = [_at(at, product, operands, number) for number in (at.number(0), one, last)]
    tests = []
    for load, axis in product.loads:
        depth = load.result.type.shape[axis]
        moves = {load.operands[0]: at.mul(at.number(depth), iterations[0].scalar(load.operands[1 + axis]))}
        moves |= {load.operands[end]: at.number(-depth) for a, end in _ends(load) if a == axis}
        for value, move in moves.items():
            first, second, final = (iteration.position(value) for iteration in iterations)
            tests.append(at.build.emit(ops.eq, at.sub(second, first), move))
            tests.append(at.build.emit(ops.eq, at.sub(final, first), at.mul(move, last)))
    return reduce(lambda x, y: at.build.emit(ops.and_, x, y), tests)


def _at(at: Index, product: Product, operands: list[Value], number: Value) -> _Iteration:
    """The scalars of one iteration."""
    args, step = product.body.args, at.wide(operands[2])
    start = _Iteration(at, product, dict(zip(args, [operands[0], *operands[3:]], strict=True)), 1)
    index = at.narrow(at.add(at.wide(operands[0]), at.mul(number, step)), args[0])
    carried = [v if v.type.shape else start.advanced(place, number) for place, v in enumerate(operands[3:])]
    return _Iteration(at, product, dict(zip(args, [index, *carried], strict=True)), 1, number)


@dataclass
class _Iteration:
    """What the body of the loop computes, for given arguments: with blocks so many `times` as deep."""

    at: Index
    product: Product
    known: dict[Value, Value]
    times: int
    number: Value | None = None

    def scalar(self, value: Value) -> Value:
        """A scalar of the body, computed here; one from before the loop as it is."""
        if value in self.known:
            return self.known[value]
        op = value.source
        if op not in self.product.body.ops:
            return self.at.build.new_of[value]
        new = self.at.build.emit(op.spec, *map(self.scalar, op.operands), loc=op.loc, **op.attrs)
        self.known[value] = new
        return new

    def tile(self, value: Value) -> Value:
        """A tile of the body, as many times as deep."""
        op = value.source
        if value in self.known or op is None or op not in self.product.body.ops:
            return self.scalar(value)
        attrs = op.attrs
        if op.spec is ops.load_block:
            axis = self.product.tiles[op]
            attrs = {**attrs, "shape": tuple(n * self.times if a == axis else n for a, n in enumerate(attrs["shape"]))}
        return self.at.build.emit(op.spec, *map(self.tile, op.operands), loc=op.loc, **attrs)

    def position(self, value: Value) -> Value:
        """A scalar as an i64; a pointer as its distance, in elements, from where it was before the loop."""
        if not isinstance(value.type.elem, Pointer):
            return self.at.wide(self.scalar(value))
        args, op = self.product.body.args, value.source
        if value in args:
            assert self.number is not None, "a carried scalar has a position within a long step only"
            steps = Degrees(self.product).step(args.index(value) - 1) or []
            return self.at.mul(self.number, self._total(steps))
        if op not in self.product.body.ops or op.spec is not ops.offset:
            return self.at.number(0)
        return self.at.add(self.position(op.operands[0]), self.at.wide(self.scalar(op.operands[1])))

    def advanced(self, place: int, times: Value) -> Value:
        """A carried scalar some iterations on."""
        arg = self.product.body.args[1 + place]
        total = self.at.mul(times, self._total(Degrees(self.product).step(place) or []))
        if isinstance(arg.type.elem, Pointer):
            return self.at.build.emit(ops.offset, self.known[arg], total)
        return self.at.build.emit(ops.add, self.known[arg], self.at.narrow(total, arg))

    def _total(self, steps: list[Value]) -> Value:
        return reduce(self.at.add, [self.at.wide(self.scalar(v)) for v in steps], self.at.number(0))


@dataclass
class Index:
    """Arithmetic on i64 scalars."""

    build: Copier

    def number(self, n: int) -> Value:
        return self.build.emit(ops.constant, value=n, type=INDEX)

    def add(self, x: Value, y: Value) -> Value:
        return self.build.emit(ops.add, x, y)

    def sub(self, x: Value, y: Value) -> Value:
        return self.build.emit(ops.sub, x, y)

    def mul(self, x: Value, y: Value) -> Value:
        return self.build.emit(ops.mul, x, y)

    def wide(self, x: Value) -> Value:
        return x if x.type == INDEX else self.build.emit(ops.cast, x, to=i64)

    def narrow(self, x: Value, like: Value) -> Value:
        """In another scalar's type, wrapping."""
        return x if like.type == INDEX else self.build.emit(ops.cast, x, to=like.type.elem)
