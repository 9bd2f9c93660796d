"""The value of a tile at a point: virtual tiles as expressions, the others read from memory.

Every expression is emitted in the outermost loop that knows the indices it depends on, and once there.
"""

from __future__ import annotations

from collections.abc import Callable

from tiledsl.errors import Unsupported
from tiledsl.ir.core import Op, Value

from .access import load_block, load_pointers, read_scratch, write_scratch
from .buffers import Scratch
from .code import Code, counting, each, spread
from .elementwise import RULES, elementwise
from .gather import read_gathered
from .plan import moved_axes
from .points import Index, Lanes, Point, at_constant
from .types import Kind, literal


def evaluate(code: Code, value: Value, point: Point) -> Lanes:
    """The elements of a value at a point."""
    if not value.type.shape:
        return Lanes(code.scalars[value], 0, code.base)
    value = code.stand_ins.get(value, value)
    key = (value, point)
    for region in code.b.regions[code.base :]:
        found = region.seen.get(key)
        if found is not None:
            return found
    lanes = _fresh(code, value, point)
    code.b.regions[lanes.depth].seen[key] = lanes
    return lanes


def _fresh(code: Code, value: Value, point: Point) -> Lanes:
    held = code.held.get((value, point.indices))
    if held is not None:
        return held
    filling = value in code.filling
    if code.plan.kept(value) and not filling:
        return read_scratch(code, code.scratch[value], point)
    assert value.source is not None
    lanes = compute(code, value.source, point)
    if filling:
        write_scratch(code, code.scratch[value], point, lanes)
    return lanes


def compute(code: Code, op: Op, point: Point) -> Lanes:
    """The result of a virtual op at a point."""
    rule = RULE.get(op.spec.name)
    if rule is not None:
        return rule(code, op, point)
    if op.spec.name in RULES:
        return apply(code, op, [evaluate(code, v, point) for v in op.operands])
    raise Unsupported(f"the CPU has no code for op {op.spec.name}", op.loc)


def apply(code: Code, op: Op, operands: list[Lanes]) -> Lanes:
    """An elementwise op on values of one point."""
    lanes = max((v.lanes for v in operands), default=0)
    depth = max((v.depth for v in operands), default=code.base)
    with code.b.at(max(depth, code.base)):
        texts = tuple(spread(code, o.type.elem, v, lanes) for o, v in zip(op.operands, operands, strict=True))
        kinds = tuple(Kind(o.type.elem, lanes) for o in op.operands)
        text = elementwise(code.b, op.spec.name, Kind(op.result.type.elem, lanes), kinds, *texts)
    return Lanes(text, lanes, depth)


def materialise(code: Code, value: Value) -> None:
    """Evaluate a whole tile into memory of its own."""
    code.take(value)
    code.filling.add(value)
    with code.nest():
        each(
            code,
            value.type.shape,
            lambda point: void(evaluate(code, value, point)),
            vector_axis(value.type.shape),
            split=common_bounds(code, value),
        )
    code.filling.discard(value)


def assign(code: Code, value: Value, piece: Scratch) -> None:
    """Evaluate a whole tile into given memory."""
    with code.nest():
        each(
            code,
            value.type.shape,
            lambda point: write_scratch(code, piece, point, evaluate(code, value, point)),
            vector_axis(value.type.shape),
            split=common_bounds(code, value),
        )


def void(_: object) -> None:
    """Evaluation was all that was wanted."""


def vector_axis(shape: tuple[int, ...]) -> int | None:
    """The axis that vectors run along: the last that has more than one element."""
    return max((axis for axis, extent in enumerate(shape) if extent > 1), default=None)


def common_bounds(code: Code, value: Value) -> tuple[str, str] | None:
    """(0, hi) of the vector axis that loads of an expression share; up to hi they need no mask."""
    axis = vector_axis(value.type.shape)
    found = set()
    for leaf, direct in code.plan.leaves(value, code.filling).items():
        op = leaf.source
        if direct and op is not None and op.spec.name == "load_block" and not code.plan.kept(leaf) and axis in op.attrs["checked"]:
            rank = leaf.type.rank
            lo, hi = op.operands[1 + rank + 2 * op.attrs["checked"].index(axis) :][:2]
            found.add((code.scalars[lo], code.scalars[hi]))
    if len(found) != 1:
        return None
    ((lo_text, hi_text),) = found
    return (lo_text, hi_text) if lo_text.lstrip("-").isdigit() and int(lo_text) <= 0 else None


# --- choice


def _select(code: Code, op: Op, point: Point) -> Lanes:
    condition, x, _ = op.operands
    box = code.boxes.get(condition)
    if box is not None and all(point.inside(axis, limits) for axis, limits in box.items()):
        return evaluate(code, x, point)
    return apply(code, op, [evaluate(code, v, point) for v in op.operands])


# --- creation and shape


def _constant(code: Code, op: Op, point: Point) -> Lanes:
    return Lanes(literal(op.result.type.elem, op.attrs["value"]), 0, code.base)


def _arange(code: Code, op: Op, point: Point) -> Lanes:
    return counting(code, point.indices[0], point.lanes if point.axis == 0 else 0, op.attrs["start"])


def _broadcast(code: Code, op: Op, point: Point) -> Lanes:
    (source,) = op.operands
    extents = source.type.shape
    if not extents:
        return evaluate(code, source, point)
    indices = tuple(at_constant(0) if extent == 1 else index for extent, index in zip(extents, point.indices, strict=True))
    axis = point.axis if point.axis is not None and extents[point.axis] > 1 else None
    return evaluate(code, source, point.moved(indices, axis))


def _transpose(code: Code, op: Op, point: Point) -> Lanes:
    order = op.attrs["order"]
    indices = tuple(point.indices[order.index(axis)] for axis in range(len(order)))
    return evaluate(code, op.operands[0], point.moved(indices, None if point.axis is None else order[point.axis]))


def _slice(code: Code, op: Op, point: Point) -> Lanes:
    # what is known of an index says nothing of the shifted one
    indices = tuple(Index(i.base, i.offset + start, i.depth) for i, start in zip(point.indices, op.attrs["starts"], strict=True))
    return evaluate(code, op.operands[0], point.moved(indices, point.axis))


def _reshape(code: Code, op: Op, point: Point) -> Lanes:
    (source,) = op.operands
    if not source.type.shape:
        return evaluate(code, source, point)
    axes = moved_axes(source.type.shape, op.result.type.shape)
    if axes is None:
        return read_scratch(code, code.scratch[source], point, op.result.type.shape)
    indices = tuple(at_constant(0) if axis is None else point.indices[axis] for axis in axes)
    axis = axes.index(point.axis) if point.axis in axes and point.axis is not None else None
    return evaluate(code, source, point.moved(indices, axis))


# --- reading


def _load(code: Code, op: Op, point: Point) -> Lanes:
    return load_pointers(code, op.result.type.elem, point, *(evaluate(code, v, point) for v in op.operands))


def _load_block(code: Code, op: Op, point: Point) -> Lanes:
    return load_block(code, op, point, lambda value: evaluate(code, value, point))


def _gather(code: Code, op: Op, point: Point) -> Lanes:
    source, index = op.operands
    return read_gathered(code, code.scratch[source], point, op.attrs["axis"], evaluate(code, index, point), index.type.elem)


RULE: dict[str, Callable[[Code, Op, Point], Lanes]] = {
    "select": _select,
    "constant": _constant,
    "arange": _arange,
    "broadcast": _broadcast,
    "slice": _slice,
    "transpose": _transpose,
    "reshape": _reshape,
    "load": _load,
    "load_block": _load_block,
    "gather": _gather,
}
