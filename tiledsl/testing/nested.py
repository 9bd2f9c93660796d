"""The ops of random programs that own blocks: loops, branches, reductions and scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..errors import TypeRuleError
from ..ir.core import Block, Builder, Value
from ..ir.spec import SPECS, OpSpec, infer_results
from ..ir.types import DType, Tile, i1, i32, i64
from . import accesses

if TYPE_CHECKING:  # programs draws from this file
    from .programs import Scope

DEEPEST = 2  # how far blocks nest


def _several(out: Any) -> tuple[Value, ...]:
    return out if isinstance(out, tuple) else (out,)


def _carried(scope: Scope) -> list[Value]:
    count = scope.pick([1, 0, 2])
    return [scope.value(scope.pick(scope.author.palette)) for _ in range(count)]


def _yields(inner: Scope, types: Sequence[Tile]) -> list[Value]:
    """What a block hands over, the newest first."""
    return [inner.value(t) for t in types]


def _keep_inside(inner: Scope, outer: Scope) -> None:
    """Now and then write a value from within a block; the last iteration's remains."""
    made = [v for v in inner.pool if v not in outer.pool]
    if made and inner.chance(4):
        accesses.store_out(inner, inner.pick(made[::-1]))


# --- loops

BOUNDS = [(0, 3, 1), (0, 1, 1), (0, 4, 1), (0, 0, 1), (3, 0, -1), (1, 6, 2), (5, -2, -3), (-2, 2, 1), (2, 1, 1), (0, 64, 16)]


def _for(scope: Scope) -> Sequence[Value]:
    if scope.depth >= DEEPEST:
        return []
    lo, hi, step = scope.pick(BOUNDS)
    dtype = scope.pick([i32, i64])
    bounds = [scope.integer(v, dtype) for v in (lo, hi, step)]
    initial = _carried(scope)
    index = Value(Tile(dtype), "i")
    args = [Value(v.type, "c") for v in initial]
    inner = scope.inner([index, *args])
    indices = range(lo, hi, step)
    inner.ranges[index] = (min(indices, default=0), max(indices, default=0))
    inner.statements()
    _keep_inside(inner, scope)
    inner.emit(ops.yield_, *_yields(inner, [v.type for v in initial]))
    return _several(scope.build.emit(ops.for_, *bounds, *initial, blocks=[inner.build.block]))


def _pointer_loop(scope: Scope) -> Sequence[Value]:
    """Walk through memory by a pointer that each iteration moves on, as a matmul does."""
    if scope.depth >= DEEPEST:
        return []
    tile = scope.pick(scope.author.palette)
    assert isinstance(tile.elem, DType)
    place = scope.author.buffers.input(tile.elem)
    trips, step = scope.pick([2, 1, 3, 4]), scope.pick([tile.size, 1, 16, 0])
    ramp = accesses.affine(scope, tile.shape)
    low, high = min(ramp.low, ramp.low + (trips - 1) * step), max(ramp.high, ramp.high + (trips - 1) * step)
    spread = scope.emit(ops.broadcast, place.base, shape=tile.shape) if tile.shape else place.base
    pointers = scope.emit(ops.offset, spread, ramp.whole)
    initial = _carried(scope)
    index = Value(Tile(i32), "k")
    args = [Value(pointers.type, "p"), *(Value(v.type, "c") for v in initial)]
    inner = scope.inner([index, *args])
    inner.ranges[index] = (0, trips - 1)
    elem = ramp.whole.type.elem
    assert isinstance(elem, DType)
    moved = inner.emit(ops.mul, index, inner.integer(step))
    moved = moved if elem is i32 else inner.emit(ops.cast, moved, to=elem)
    moved = inner.emit(ops.broadcast, moved, shape=tile.shape) if tile.shape else moved
    mask = accesses.bounds(inner, inner.emit(ops.add, ramp.whole, moved), low, high, place.size)
    inner.keep([accesses.read(inner, place.dtype, args[0], mask)])
    inner.statements()
    _keep_inside(inner, scope)
    by = inner.integer(step)
    by = inner.emit(ops.broadcast, by, shape=tile.shape) if tile.shape else by
    following = inner.emit(ops.offset, args[0], by)
    inner.emit(ops.yield_, following, *_yields(inner, [v.type for v in initial]))
    bounds = [scope.integer(v) for v in (0, trips, 1)]
    return _several(scope.build.emit(ops.for_, *bounds, pointers, *initial, blocks=[inner.build.block]))[1:]


def _while(scope: Scope) -> Sequence[Value]:
    """A loop that a counter bounds, and that a drawn condition may end earlier."""
    if scope.depth >= DEEPEST:
        return []
    trips = scope.pick([2, 0, 1, 3])
    initial = [scope.constant(Tile(i32), 0), *_carried(scope)]
    test = scope.inner([Value(v.type, "t") for v in initial])
    go_on = test.emit(ops.lt, test.build.block.args[0], test.integer(trips))
    if test.chance(3):
        go_on = test.emit(ops.and_, go_on, test.value(Tile(i1)))
    test.emit(ops.yield_, go_on)
    args = [Value(v.type, "c") for v in initial]
    inner = scope.inner(args)
    inner.ranges[args[0]] = (0, max(trips - 1, 0))
    inner.statements()
    _keep_inside(inner, scope)
    counted = inner.emit(ops.add, args[0], inner.constant(Tile(i32), 1))
    inner.emit(ops.yield_, counted, *_yields(inner, [v.type for v in initial[1:]]))
    return _several(scope.build.emit(ops.while_, *initial, blocks=[test.build.block, inner.build.block]))


def _broken_loop(scope: Scope) -> Sequence[Value]:
    """A loop that a flag ends, and whose test is not computed once it is set: what `break` becomes."""
    if scope.depth >= DEEPEST:
        return []
    trips = scope.pick([3, 1, 2])
    initial = [scope.constant(Tile(i32), 0), scope.constant(Tile(i1), 0), *_carried(scope)]
    test = scope.inner([Value(v.type, "t") for v in initial])
    count, flag = test.build.block.args[:2]
    going = test.emit(ops.not_, flag)
    asked, stopped = test.inner([]), test.inner([])
    asked.emit(ops.yield_, asked.emit(ops.and_, asked.emit(ops.lt, count, asked.integer(trips)), asked.value(Tile(i1))))
    stopped.emit(ops.yield_, stopped.constant(Tile(i1), 0))
    test.emit(ops.yield_, test.build.emit(ops.if_, going, blocks=[asked.build.block, stopped.build.block]))
    args = [Value(v.type, "c") for v in initial]
    inner = scope.inner(args)
    inner.ranges[args[0]] = (0, trips - 1)
    inner.statements()
    _keep_inside(inner, scope)
    counted = inner.emit(ops.add, args[0], inner.constant(Tile(i32), 1))
    inner.emit(ops.yield_, counted, inner.value(Tile(i1)), *_yields(inner, [v.type for v in initial[2:]]))
    return _several(scope.build.emit(ops.while_, *initial, blocks=[test.build.block, inner.build.block]))


def _if(scope: Scope) -> Sequence[Value]:
    if scope.depth >= DEEPEST:
        return []
    condition = scope.value(Tile(i1))
    types = [v.type for v in _carried(scope)]
    blocks = []
    for _ in range(2):
        inner = scope.inner([])
        if inner.pick([True, False]):
            inner.statements()
        _keep_inside(inner, scope)
        inner.emit(ops.yield_, *_yields(inner, types))
        blocks.append(inner.build.block)
    return _several(scope.build.emit(ops.if_, condition, blocks=blocks))


# --- reductions and scans


def _folds(spec: OpSpec, elem: DType) -> bool:
    """Whether an op makes one element out of two of its kind."""
    scalar = Tile(elem)
    try:
        return len(spec.operands) == 2 and not spec.attrs and infer_results(spec, [scalar, scalar], {}) == (scalar,)
    except TypeRuleError:
        return False


def _folding(scope: Scope, elem: DType) -> OpSpec:
    """Any op that can combine two elements, or one that is often used for it."""
    folding = [s for s in SPECS.values() if s.is_pure and s.ulp is None and not s.variadic and _folds(s, elem)]
    usual = [s for s in (ops.add, ops.maximum, ops.mul) if s in folding]
    return scope.pick(usual if scope.chance(2) else folding)


def _by_op(scope: Scope, elem: DType) -> Block:
    """(a, b) -> op(a, b), for any op that can."""
    args = [Value(Tile(elem), name) for name in "ab"]
    build = Builder(Block(args))
    build.emit(ops.yield_, build.emit(_folding(scope, elem), *args))
    return build.block


def _abreast(scope: Scope, *elems: DType) -> Block:
    """Several at once, each by an op of its own; the last also hears of the first, where they are of one type."""
    args = [Value(Tile(elem), f"{name}{i}") for name in "ab" for i, elem in enumerate(elems)]
    build, count = Builder(Block(args)), len(elems)
    made = [build.emit(_folding(scope, elem), args[i], args[count + i]) for i, elem in enumerate(elems)]
    if elems[0] is elems[-1]:
        made[-1] = build.emit(_folding(scope, elems[0]), made[-1], args[0])
    build.emit(ops.yield_, *made)
    return build.block


def _best(scope: Scope, elem: DType, index: DType) -> Block:
    """(value, index) pairs: the larger or smaller value, of equals the lower index."""
    a, i, b, j = args = [Value(Tile(t), name) for t, name in zip((elem, index, elem, index), "aibj", strict=True)]
    build = Builder(Block(args))
    better = build.emit(scope.pick([ops.gt, ops.lt]), a, b)
    tied = build.emit(ops.and_, build.emit(ops.eq, a, b), build.emit(ops.lt, i, j))
    first = build.emit(ops.or_, better, tied)
    build.emit(ops.yield_, build.emit(ops.select, first, a, b), build.emit(ops.select, first, i, j))
    return build.block


def _chain(scope: Scope, elem: DType, _: DType) -> Block:
    """Pairs that compose x -> a x + b: associative, not commutative."""
    a, b, c, d = args = [Value(Tile(elem), name) for name in "abcd"]
    build = Builder(Block(args))
    moved = build.emit(ops.add, build.emit(ops.mul, c, b), d)
    build.emit(ops.yield_, build.emit(ops.mul, a, c), moved)
    return build.block


def _fold(spec: OpSpec) -> Callable[[Scope], Sequence[Value]]:
    def statement(scope: Scope) -> Sequence[Value]:
        ranked = [v for v in scope.pool if v.type.rank]
        x = scope.pick(ranked[::-1]) if ranked else scope.value(Tile(scope.author.palette[0].elem, (scope.pick([8, 5, 33, 70]),)))
        axis = scope.pick(range(x.type.rank))
        combine: Any = scope.pick([_by_op, _best, _chain, _abreast])
        if combine is _by_op:
            xs = [x]
        elif combine is _best:
            xs = [x, _positions(scope, x.type.shape, axis)]
        elif combine is _chain:
            xs = [x, scope.value(x.type)]
        else:
            others = [_dtype(t) for t in scope.author.palette]
            xs = [x, *(scope.value(x.type.like(scope.pick(others))) for _ in range(scope.pick([2, 1, 3])))]
        more: dict[str, Any] = {"reverse": scope.chance(2)} if spec is ops.scan else {}
        return _several(scope.build.emit(spec, *xs, axis=axis, blocks=[combine(scope, *map(_dtype, (v.type for v in xs)))], **more))

    return statement


def _dtype(tile: Tile) -> DType:
    assert isinstance(tile.elem, DType)
    return tile.elem


def _positions(scope: Scope, shape: tuple[int, ...], axis: int) -> Value:
    lanes = scope.emit(ops.arange, start=0, stop=shape[axis])
    along = tuple(n if d == axis else 1 for d, n in enumerate(shape))
    spread: Value = scope.emit(ops.broadcast, scope.emit(ops.reshape, lanes, shape=along), shape=shape)
    return spread


ACTIONS: list[tuple[OpSpec, Callable[[Any], Sequence[Value]]]] = [
    (ops.for_, _for),
    (ops.if_, _if),
    (ops.reduce, _fold(ops.reduce)),
    (ops.for_, _pointer_loop),
    (ops.while_, _while),
    (ops.while_, _broken_loop),
    (ops.scan, _fold(ops.scan)),
]
