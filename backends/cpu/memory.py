"""Stores and atomics: the ops that change user memory, in program order."""

from __future__ import annotations

from collections.abc import Callable

from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import i1
from tiledsl.ops.memory import split_block_operands

from .access import block_mask, dereferenced, element, store_pointers, ways, write, write_scratch
from .alias import apart
from .code import Code, each
from .elementwise import elementwise, from_bits, to_bits
from .emit import Scalar
from .evaluate import evaluate, vector_axis
from .inside import inside_of
from .plan import tables
from .points import Index, Lanes, Point
from .stream import goes_past, light, until_aligned, worth_streaming, write_whole
from .turn import turned, turns
from .types import Kind, decoded, encoded, is_float


def store(code: Code, op: Op) -> None:
    """Write through a tile of pointers."""
    ptr, value, *mask = op.operands
    elem = value.type.elem

    def body(point: Point) -> None:
        lanes = [evaluate(code, v, point) for v in (ptr, value, *mask)]
        store_pointers(code, elem, point, lanes[0], lanes[1], lanes[2] if mask else None)

    with code.nest():
        each(code, value.type.shape, body, vector_axis(value.type.shape))


def store_block(code: Code, op: Op) -> None:
    """Write a block of user memory: bounds become trip counts, a mask remains a mask."""
    base, value, *rest = op.operands
    shape, elem = value.type.shape, value.type.elem
    _, bounds, mask, _ = split_block_operands(rest, len(shape), op.attrs["checked"], op.attrs["masked"], False)
    limits = {axis: (code.scalars[lo], code.scalars[hi]) for axis, (lo, hi) in bounds.items()}
    steps = ways(code, op)
    axis = vector_axis(shape)
    lies_apart = apart([(s if isinstance(s, int) else None, n) for s, n in zip(steps, shape, strict=True)])  # so that order is free
    if axis is not None and steps[axis] != 1 and 1 in steps and lies_apart:
        axis = steps.index(1) if shape[steps.index(1)] > 1 else axis
    turning = mask is None and len(shape) == 2 and steps[-1] == 1 and elem is not i1 and not tables(op) and turns(code, value)

    heavy = not light(code, value)
    long = mask is None and worth_streaming(elem, shape, axis, steps) and not heavy

    def body(point: Point) -> None:
        valid = block_mask(code, point, shape, bounds, None if mask is None else evaluate(code, mask, point))
        stored = evaluate(code, value, point)
        at, step = element(code, dereferenced(code, evaluate(code, base, point)), point, steps, elem)
        if long and point.active is None:
            write_whole(code, elem, past, at, point, stored)
        else:
            write(code, elem, at, point, step, stored, valid)

    def put(row: Index, column: Index, stored: Lanes) -> None:
        point = Point((row, column), 1, stored.lanes)
        at, step = element(code, dereferenced(code, evaluate(code, base, point)), point, steps, elem)
        write(code, elem, at, point, step, stored, block_mask(code, point, shape, bounds, None))

    def lead(head: tuple[Index, ...], start: Scalar) -> Scalar:
        at, _ = element(code, dereferenced(code, evaluate(code, base, Point(()))), Point(head), steps, elem)
        return until_aligned(code, elem, past, at, shape[-1], start)

    def by_squares() -> list[str]:
        turned(code, shape, elem, lambda place: evaluate(code, value, place), put, limits)
        return []

    def by_rows() -> list[str]:
        inside = inside_of(code, value, axis, limits) if axis is not None and axis == len(shape) - 1 else None
        each(code, shape, body, axis, limits, lead=lead if long else None, inside=inside, heavy=heavy)
        return []

    with code.nest():
        past = goes_past(code, elem, code.scalars[base]) if long else "false"
        if turning and lies_apart:
            by_squares()
        elif turning:
            size = code.b.call("i64", "llvm.abs.i64", ("i64", str(steps[0])), ("i1", "false"), immediate=(1,))
            code.b.branch(code.b.value(f"icmp sge i64 {size}, {shape[1]}"), [], by_squares, by_rows)
        else:
            by_rows()


# --- atomics: one lane after another


def atomic_rmw(code: Code, op: Op) -> None:
    """Combine values into memory, in row-major order of the lanes."""
    ptr, value, *mask = op.operands
    _each_lane(code, op, mask[0] if mask else None, lambda at, point: _update(code, op, at, evaluate(code, value, point)))


def atomic_cas(code: Code, op: Op) -> None:
    """Compare and swap the bits of memory."""
    ptr, expected, value = op.operands
    elem = value.type.elem
    kind, bits = Kind(elem, 0), f"i{8 * elem.itemsize}"

    def swap(at: str, point: Point) -> str:
        old, new = (_stored_bits(code, kind, evaluate(code, v, point).text) for v in (expected, value))
        pair = code.b.effect(f"cmpxchg ptr {at}, {bits} {old}, {bits} {new} seq_cst seq_cst")
        return _from_stored(code, kind, code.b.effect(f"extractvalue {{ {bits}, i1 }} {pair}, 0"))

    _each_lane(code, op, None, swap)


def _each_lane(code: Code, op: Op, mask: Value | None, update: Callable[[str, Point], str]) -> None:
    """Run an update for every lane whose mask holds and keep what was in memory before; 0 for the others."""
    result = op.result
    shape, kind = result.type.shape, Kind(result.type.elem, 0)
    piece = code.take(result) if shape else None
    b = code.b

    def body(point: Point) -> None:
        at = dereferenced(code, evaluate(code, op.operands[0], point)).text
        if mask is None:
            old = update(at, point)
        else:
            holds = evaluate(code, mask, point).text
            old = b.when(holds, kind.text, lambda: update(at, point), kind.constant(0))
        if piece is not None:
            write_scratch(code, piece, point, Lanes(old, 0, b.depth))
        else:
            code.scalars[result] = old

    with code.nest():
        each(code, shape, body, None)


NATIVE = {"add": "add", "and": "and", "or": "or", "xor": "xor", "xchg": "xchg"}


def _update(code: Code, op: Op, at: str, value: Lanes) -> str:
    """One atomic read-modify-write; what was there before."""
    name, elem = op.attrs["kind"].value, op.result.type.elem
    kind = Kind(elem, 0)
    bits = f"i{8 * elem.itemsize}"
    if name == "xchg" or not is_float(elem) and elem is not i1:
        verb = NATIVE.get(name) or ("" if elem.is_signed else "u") + name
        old = code.b.effect(f"atomicrmw {verb} ptr {at}, {bits} {_stored_bits(code, kind, value.text)} seq_cst")
        return _from_stored(code, kind, old)
    return _swap_until_done(code, kind, bits, at, {"max": "maximum", "min": "minimum"}.get(name, name), value.text)


def _swap_until_done(code: Code, kind: Kind, bits: str, at: str, name: str, value: str) -> str:
    """Compute the new value from the old and try to swap it in, until nobody interferes."""
    b = code.b
    first = b.effect(f"load atomic {bits}, ptr {at} seq_cst, align {kind.elem.itemsize}")

    def attempt(seen: str) -> tuple[str, str]:
        new = elementwise(b, name, kind, (kind, kind), _from_stored(code, kind, seen), value)
        pair = b.effect(f"cmpxchg ptr {at}, {bits} {seen}, {bits} {_stored_bits(code, kind, new)} seq_cst seq_cst")
        return b.effect(f"extractvalue {{ {bits}, i1 }} {pair}, 0"), b.effect(f"extractvalue {{ {bits}, i1 }} {pair}, 1")

    return _from_stored(code, kind, b.until(bits, first, attempt))


def _stored_bits(code: Code, kind: Kind, value: str) -> str:
    """The integer that memory holds for a value."""
    return encoded(code.b, kind, value) if kind.elem is i1 else to_bits(code.b, kind, value)


def _from_stored(code: Code, kind: Kind, bits: str) -> str:
    return decoded(code.b, kind, bits) if kind.elem is i1 else from_bits(code.b, kind, bits)
