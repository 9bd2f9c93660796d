"""Which rows and columns of a matrix product anybody asks for: those that stores at the edge of memory let through.

A sum may go through loops, further products and ops element by element; if it ends in nothing but stores with one upper bound
along an axis, what lies beyond that bound is never seen, and need not be multiplied: one row of 16, or 36 of 64.
"""

from __future__ import annotations

from tiledsl.ir.core import Block, Kernel, Op, Value
from tiledsl.ir.query import users
from tiledsl.ops.memory import split_block_operands

from .code import Code
from .elementwise import RULES
from .emit import Scalar
from .evaluate import compute
from .points import Point
from .types import literal

Ends = dict[int, Value]  # by axis, the index behind the last that is asked for


def asked(kernel: Kernel) -> dict[Value, Ends]:
    """The ends of the results of products, where they have any."""
    dots = [op.result for op in kernel.body.walk() if op.spec.name == "dot"]
    if not dots:
        return {}
    demand = Demand(kernel.body)
    return {result: ends for result in dots if (ends := demand.of(result, set()))}


class Demand:
    """What the users of a tile read of it."""

    def __init__(self, body: Block):
        self.users = users(body)
        self.owner = {block.ops[-1]: op for op in body.walk() for block in op.blocks if block.ops}

    def of(self, tile: Value, above: set[Value]) -> Ends | None:
        """The ends that all users of a tile keep to; None if nobody reads it, besides those who are being asked (above)."""
        if tile in above:
            return None
        found: Ends | None = None
        for op in self.users.get(tile, ()):
            ends = self._by(op, tile, above | {tile})
            if ends is not None:
                found = ends if found is None else {axis: end for axis, end in found.items() if ends.get(axis) is end}
        return found

    def _by(self, op: Op, tile: Value, above: set[Value]) -> Ends | None:
        if op.spec.name == "store_block":
            return _stored(op) if op.operands.count(tile) == 1 and op.operands[1] is tile else {}
        if op.spec.name == "dot":
            return self.of(op.result, above) if tile not in op.operands[:2] else {}
        if "elementwise" in op.spec.traits:
            return self.of(op.result, above) if op.result.type.shape == tile.type.shape else {}
        loop = self.owner.get(op, op)
        if loop.spec.name != "for":
            return {}
        first = 0 if loop is not op else 3
        places = [place - first for place, v in enumerate(op.operands) if v is tile]
        return self._all([v for place in places for v in (loop.results[place], loop.blocks[0].args[1 + place])], above)

    def _all(self, tiles: list[Value], above: set[Value]) -> Ends | None:
        found = [ends for v in tiles if (ends := self.of(v, above)) is not None]
        return {axis: end for axis, end in found[0].items() if all(e.get(axis) is end for e in found)} if found else None


def _stored(store: Op) -> Ends:
    shape = store.operands[1].type.shape
    _, bounds, *_ = split_block_operands(store.operands[2:], len(shape), store.attrs["checked"], store.attrs["masked"], False)
    return {axis: hi for axis, (_, hi) in bounds.items()}


def end_of(code: Code, result: Value, axis: int) -> Scalar:
    """How many rows or columns of a product to compute."""
    extent = result.type.shape[axis]
    end = code.asked.get(result, {}).get(axis)
    text = None if end is None else _now(code, end)
    if text is None:
        return extent
    number = int(text) if text.lstrip("-").isdigit() else text
    return code.b.most(code.b.least(number, extent), 0)


def _now(code: Code, scalar: Value) -> str | None:
    """A scalar, here, even if its place is after the product; None if it cannot be known yet."""
    if scalar in code.scalars:
        return code.scalars[scalar]
    op = scalar.source
    if op is None or not op.spec.is_pure or any(v.type.shape for v in (*op.operands, *op.results)):
        return None
    if op.spec.name == "constant":
        return literal(scalar.type.elem, op.attrs["value"])
    if op.spec.name not in RULES:
        return None
    found = {v: _now(code, v) for v in op.operands}
    known = {v: text for v, text in found.items() if text is not None}
    if len(known) < len(found):
        return None
    before = dict(code.scalars)
    code.scalars |= known
    with code.nest():
        text = compute(code, op, Point(())).text
    code.scalars = before
    return text
