"""Rules that replace an op by something simpler with the same result, bit for bit (any NaN stands for any other).

A rule is named for what it sees and takes the op's operands; None means that it does not apply. What is true of numbers
may be false of floats: x + 0.0 is not x when x is -0.0, and x * 0.0 is not 0.0 when x is infinite.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ir.core import Builder, Kernel, Op, Value
from ..ir.query import made_by
from ..ir.rebuild import Copier, Rules, rebuild, rule
from ..ir.types import DType, Tile, i1, i64, u64
from ..machine import Machine
from .constants import constant_of, evaluate, filled, is_constant, is_ones, is_uniform, scalar_of

RULES: Rules = {}
Found = Value | None


def simplify(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with constants folded, identities removed, and branches and loops resolved where they are known."""
    return rebuild(kernel, visit)


def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
    """What stands for an op, itself simplified."""
    if op.spec.blocks:
        return control(build, op, operands) if not op.spec.is_pure else None
    if op.spec in (ops.store, ops.atomic_rmw) and len(operands) == 3:
        return write_known_mask(build, op, operands)
    made = build.block.ops
    before = len(made)
    out = replacement(build, op.spec, operands, op.attrs, op.results[0].type if len(op.results) == 1 else None)
    # a rule may leave an op that another rule replaces
    while out is not None and len(made) > before and (last := made[-1]) is out.source:
        made.pop()
        better = replacement(build, last.spec, last.operands, last.attrs, out.type)
        if better is None:
            made.append(last)
            break
        out = better
    return out


def replacement(build: Builder, spec: Any, operands: list[Value], attrs: dict[str, Any], result: Tile | None) -> Found:
    """What the first matching rule gives: rules of the op first, then those of all elementwise ops."""
    for fn in RULES.get(spec, ()):
        if (value := fn(build, *operands, **attrs)) is not None:
            return value
    if result is not None and "elementwise" in spec.traits:
        return elementwise(build, spec, operands, attrs, result)
    return None


def elementwise(build: Builder, spec: Any, operands: list[Value], attrs: dict[str, Any], result: Tile) -> Found:
    """Constants are computed now; what is the same for all elements is computed once, as a scalar."""
    if spec.ulp is None and isinstance(result.elem, DType) and (number := evaluate(spec, operands, attrs, result)) is not None:
        return filled(build, number, result)
    if result.shape and all(map(is_uniform, operands)):
        scalars = [scalar_of(build, v) for v in operands]
        made = build.emit(spec, *scalars, **attrs)
        return build.emit(ops.broadcast, made, shape=result.shape)
    return None


# --- arithmetic


@rule(RULES, ops.add)
def add_nothing(build: Builder, x: Value, y: Value) -> Found:
    nothing = -0.0 if x.type.elem.is_float else 0
    return x if is_constant(y, nothing) else y if is_constant(x, nothing) else None


@rule(RULES, ops.sub)
def subtract_nothing(build: Builder, x: Value, y: Value) -> Found:
    return x if is_constant(y, 0.0 if x.type.elem.is_float else 0) else None


@rule(RULES, ops.sub)
def subtract_itself(build: Builder, x: Value, y: Value) -> Found:
    return filled(build, 0, x.type) if x is y and x.type.elem.is_int else None


@rule(RULES, ops.mul)
def times_one(build: Builder, x: Value, y: Value) -> Found:
    return x if is_constant(y, 1) else y if is_constant(x, 1) else None


@rule(RULES, ops.mul)
def times_zero(build: Builder, x: Value, y: Value) -> Found:
    if not x.type.elem.is_int:
        return None
    return y if is_constant(y, 0) else x if is_constant(x, 0) else None


@rule(RULES, ops.div)
@rule(RULES, ops.idiv)
def divide_by_one(build: Builder, x: Value, y: Value) -> Found:
    return x if is_constant(y, 1) else None


@rule(RULES, ops.rem)
def remainder_of_one(build: Builder, x: Value, y: Value) -> Found:
    return filled(build, 0, x.type) if x.type.elem.is_int and is_constant(y, 1) else None


@rule(RULES, ops.neg)
def negate_twice(build: Builder, x: Value) -> Found:
    inner = made_by(x, ops.neg)
    return inner.operands[0] if inner else None


@rule(RULES, ops.maximum)
@rule(RULES, ops.minimum)
@rule(RULES, ops.maximum_nan)
@rule(RULES, ops.minimum_nan)
def choose_itself(build: Builder, x: Value, y: Value) -> Found:
    return x if x is y else None


# --- bits


@rule(RULES, ops.and_)
def and_known(build: Builder, x: Value, y: Value) -> Found:
    for a, b in ((x, y), (y, x)):
        if is_ones(b):
            return a
        if is_constant(b, 0):
            return b
    return x if x is y else None


@rule(RULES, ops.or_)
def or_known(build: Builder, x: Value, y: Value) -> Found:
    for a, b in ((x, y), (y, x)):
        if is_constant(b, 0):
            return a
        if is_ones(b):
            return b
    return x if x is y else None


@rule(RULES, ops.xor)
def xor_known(build: Builder, x: Value, y: Value) -> Found:
    if x is y:
        return filled(build, 0, x.type)
    return x if is_constant(y, 0) else y if is_constant(x, 0) else None


@rule(RULES, ops.not_)
def not_twice(build: Builder, x: Value) -> Found:
    inner = made_by(x, ops.not_)
    return inner.operands[0] if inner else None


@rule(RULES, ops.shl)
@rule(RULES, ops.shr)
def shift_by_nothing(build: Builder, x: Value, y: Value) -> Found:
    return x if is_constant(y, 0) or is_constant(x, 0) else None


# --- comparisons and choice


def compare_itself(holds: bool) -> Any:
    """An integer or a pointer compared with itself; a NaN is not equal to itself."""

    def known(build: Builder, x: Value, y: Value) -> Found:
        return filled(build, holds, x.type.like(i1)) if x is y and not x.type.elem.is_float else None

    return known


for _spec in (ops.eq, ops.le, ops.ge):
    rule(RULES, _spec)(compare_itself(True))
for _spec in (ops.ne, ops.lt, ops.gt):
    rule(RULES, _spec)(compare_itself(False))


@rule(RULES, ops.select)
def select_known(build: Builder, cond: Value, x: Value, y: Value) -> Found:
    known = constant_of(cond)
    return x if x is y or known == 1 else y if known == 0 else None


@rule(RULES, ops.select)
def select_truth(build: Builder, cond: Value, x: Value, y: Value) -> Found:
    return cond if x.type.elem is i1 and is_constant(x, 1) and is_constant(y, 0) else None


# --- conversions and pointers


@rule(RULES, ops.cast)
def cast_to_itself(build: Builder, x: Value, *, to: DType) -> Found:
    return x if x.type.elem is to else None


@rule(RULES, ops.cast)
def cast_integer_twice(build: Builder, x: Value, *, to: DType) -> Found:
    inner = made_by(x, ops.cast)
    if inner is None:
        return None
    start, middle = inner.operands[0].type.elem, x.type.elem
    if not (start.is_int and middle.is_int and to.is_int) or i1 in (middle, to):
        return None
    assert isinstance(start, DType) and isinstance(middle, DType)
    # the middle either keeps every value of the start, or every bit that is left at the end
    fits = middle.bits > start.bits and (middle.is_signed or not start.is_signed)
    fits = fits or middle.bits == start.bits and middle.is_signed == start.is_signed
    return build.emit(ops.cast, inner.operands[0], to=to) if fits or to.bits <= middle.bits else None


@rule(RULES, ops.bitcast)
def bitcast_again(build: Builder, x: Value, *, to: DType) -> Found:
    if x.type.elem is to:
        return x
    inner = made_by(x, ops.bitcast)
    if inner is None or x.type.elem.is_float:  # a NaN need not keep its bits
        return None
    return build.emit(ops.bitcast, inner.operands[0], to=to)


@rule(RULES, ops.offset)
def offset_by_nothing(build: Builder, ptr: Value, by: Value) -> Found:
    return ptr if is_constant(by, 0) else None


@rule(RULES, ops.offset)
def offset_twice(build: Builder, ptr: Value, by: Value) -> Found:
    inner = made_by(ptr, ops.offset)
    # in 64 bits the sum wraps as the address does; in fewer it would wrap before
    if inner is None or by.type.elem not in (i64, u64) or inner.operands[1].type.elem is not by.type.elem:
        return None
    return build.emit(ops.offset, inner.operands[0], build.emit(ops.add, inner.operands[1], by))


# --- shape


@rule(RULES, ops.reshape)
def reshape_known(build: Builder, x: Value, *, shape: tuple[int, ...]) -> Found:
    if x.type.shape == shape:
        return x
    if (number := constant_of(x)) is not None:
        return filled(build, number, Tile(x.type.elem, shape))
    if is_uniform(x):
        return build.emit(ops.broadcast, scalar_of(build, x), shape=shape)
    inner = made_by(x, ops.reshape)
    return build.emit(ops.reshape, inner.operands[0], shape=shape) if inner else None


@rule(RULES, ops.broadcast)
def broadcast_known(build: Builder, x: Value, *, shape: tuple[int, ...]) -> Found:
    if x.type.shape == shape:
        return x
    if (number := constant_of(x)) is not None:
        return filled(build, number, Tile(x.type.elem, shape))
    inner = made_by(x, ops.broadcast)
    return build.emit(ops.broadcast, inner.operands[0], shape=shape) if inner else None


@rule(RULES, ops.slice_)
def slice_known(build: Builder, x: Value, *, starts: tuple[int, ...], stops: tuple[int, ...]) -> Found:
    shape = tuple(b - a for a, b in zip(starts, stops, strict=True))
    if shape == x.type.shape:
        return x
    if (number := constant_of(x)) is not None:
        return filled(build, number, Tile(x.type.elem, shape))
    if is_uniform(x):
        return build.emit(ops.broadcast, scalar_of(build, x), shape=shape)
    if (counted := made_by(x, ops.arange)) is not None:
        first = counted.attrs["start"]
        return build.emit(ops.arange, start=first + starts[0], stop=first + stops[0])
    inner = made_by(x, ops.slice_)
    if inner is None:
        return None
    before = inner.attrs["starts"]
    starts, stops = (tuple(a + b for a, b in zip(before, bounds, strict=True)) for bounds in (starts, stops))
    return build.emit(ops.slice_, inner.operands[0], starts=starts, stops=stops)


@rule(RULES, ops.transpose)
def transpose_known(build: Builder, x: Value, *, order: tuple[int, ...]) -> Found:
    if order == tuple(range(len(order))):
        return x
    shape = tuple(x.type.shape[i] for i in order)
    if is_uniform(x):
        return build.emit(ops.broadcast, scalar_of(build, x), shape=shape)
    inner = made_by(x, ops.transpose)
    if inner is None:
        return None
    return build.emit(ops.transpose, inner.operands[0], order=tuple(inner.attrs["order"][i] for i in order))


@rule(RULES, ops.arange)
def arange_of_one(build: Builder, *, start: int, stop: int) -> Found:
    from_start = Tile(ops.arange.infer(start=start, stop=stop).elem, (1,))
    return filled(build, start, from_start) if stop - start == 1 else None


# --- memory


@rule(RULES, ops.load)
def load_known_mask(build: Builder, ptr: Value, mask: Value | None = None, other: Value | None = None) -> Found:
    if mask is None:
        return None
    if is_ones(mask):
        return build.emit(ops.load, ptr)
    if is_constant(mask, 0):
        assert not ptr.type.elem.is_float
        return other or filled(build, 0, Tile(ptr.type.elem.to, ptr.type.shape))  # type: ignore[union-attr]
    return None


def write_known_mask(build: Builder, op: Op, operands: list[Value]) -> Any:
    """A write whose mask always or never holds; the old values of masked lanes are 0."""
    if is_ones(operands[2]):
        return build.emit(op.spec, *operands[:2], **op.attrs)
    if is_constant(operands[2], 0):
        return tuple(filled(build, 0, result.type) for result in op.results)
    return None


# --- control


def control(build: Copier, op: Op, operands: list[Value]) -> Any:
    """A branch whose condition is known, a loop that runs not at all or once: what is left of it."""
    if op.spec is ops.if_:
        known = constant_of(operands[0])
        return None if known is None else _results(op, build.inline(op.blocks[0 if known else 1], ()))
    if op.spec is ops.for_:
        bounds = [constant_of(v) for v in operands[:3]]
        if None in bounds:
            return None
        turns = range(bounds[0], bounds[1], bounds[2] or 1)  # type: ignore[arg-type]
        if not turns:  # not by len, which counts to 2**63 - 1 only
            return _results(op, operands[3:])
        if not turns[1:]:
            return _results(op, build.inline(op.blocks[0], [operands[0], *operands[3:]]))
    if op.spec is ops.while_:
        return _skipped(build, op, operands)
    return None


def _skipped(build: Copier, op: Op, operands: list[Value]) -> Any:
    """A loop whose condition is the constant false."""
    last = op.blocks[0].yields[0]
    return _results(op, operands) if is_constant(last, 0) else None


def _results(op: Op, values: Any) -> tuple[Value, ...]:
    return tuple(values)
