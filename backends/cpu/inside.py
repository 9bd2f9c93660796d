"""Where nothing of a block is masked: the indices between all bounds that what is stored there asks about.

Loads of neighbours have bounds of their own, each a little different, and `where(inner, ..., other)` has a condition that
holds almost everywhere. The part within all of these is computed without a mask; what is left at the edges, with all of them.
"""

from __future__ import annotations

from tiledsl import ops
from tiledsl.ir.core import Value
from tiledsl.ir.types import dtype_of
from tiledsl.ops.memory import split_block_operands
from tiledsl.passes.affine import Bound, Sum

from .access import number
from .code import Code, Inside, width
from .emit import Scalar

Limits = tuple[str, str]


def inside_of(code: Code, value: Value, axis: int, known: dict[int, Limits]) -> Inside | None:
    """The bounds of loads and choices that a tile is computed from, index by index, besides those known; None if there are none."""
    found: list[tuple[int, Limits]] = []
    _collect(code, value, found, set())
    found = [pair for pair in dict.fromkeys(found) if known.get(pair[0]) != pair[1]]
    if not found or code.machine.unroll * width(code, value.type.shape[axis]) > value.type.shape[axis]:
        return None
    along = frozenset(limits for at, limits in found if at == axis)
    return Inside(along, tuple(pair for pair in found if pair[0] != axis))


def note_choices(code: Code, value: Value) -> None:
    """Learn the bounds of the choices that a tile is computed from, so that points which are known to lie inside need not choose."""
    _collect(code, value, [], set())


def _collect(code: Code, value: Value, found: list[tuple[int, Limits]], seen: set[Value]) -> None:
    op = value.source
    if value in seen or op is None or not value.type.shape or code.plan.kept(value):
        return
    seen.add(value)
    if op.spec is ops.load_block:
        if not op.attrs["masked"]:
            rank = value.type.rank
            _, bounds, *_ = split_block_operands(op.operands[1:], rank, op.attrs["checked"], False, op.attrs["filled"])
            found += [(axis, (code.scalars[lo], code.scalars[hi])) for axis, (lo, hi) in bounds.items()]
        return
    if "elementwise" not in op.spec.traits:
        return
    operands = op.operands
    if op.spec is ops.select and operands[0].type.shape:
        box = box_of(code, operands[0])
        if box is not None:
            found += box.items()
            operands = operands[1:]
    for operand in operands:
        if operand.type.shape == value.type.shape:
            _collect(code, operand, found, seen)


def box_of(code: Code, condition: Value) -> dict[int, Limits] | None:
    """The bounds between which a condition holds, if that is all there is to it."""
    if condition in code.boxes:
        return code.boxes[condition]
    box = code.forms().box(condition)
    if box.conditions or box.others or any(bound.by != 1 for axis in (*box.lows, *box.highs) for bound in axis):
        return None
    if any(v not in code.scalars for v in box.scalars()):
        return None
    with code.b.at(code.base):
        code.boxes[condition] = {
            axis: _limits(code, lows, highs, extent)
            for axis, (lows, highs, extent) in enumerate(zip(box.lows, box.highs, condition.type.shape, strict=True))
            if lows or highs
        }
    return code.boxes[condition]


def _limits(code: Code, lows: tuple[Bound, ...], highs: tuple[Bound, ...], extent: int) -> Limits:
    lo, hi = [_total(code, bound.total) for bound in lows], [_total(code, bound.total) for bound in highs]
    start: Scalar = lo[0] if lo else 0
    for one in lo[1:]:
        start = code.b.most(start, one)
    stop: Scalar = hi[0] if hi else extent
    for one in hi[1:]:
        stop = code.b.least(stop, one)
    return str(start), str(stop)


def _total(code: Code, total: Sum) -> Scalar:
    """A sum of products of scalars, in 64 bits."""
    out: Scalar = 0
    for product, times in total.items():
        term: Scalar = times
        for factor in product:
            term = code.b.mul(term, _wide(code, factor))
        out = code.b.add(out, term)
    return out


def _wide(code: Code, scalar: Value) -> Scalar:
    found, elem = number(code.scalars[scalar]), dtype_of(scalar.type)
    if isinstance(found, int) or elem.bits == 64:
        return found
    return code.b.value(f"{'sext' if elem.is_signed else 'zext'} i{elem.bits} {found} to i64")
