"""Which part of a tile anybody asks for.

Of a matrix product: the rows and columns that stores at the edge of memory let through. A sum may go through loops, further
products and ops element by element; if it ends in nothing but stores with one upper bound along an axis, what lies beyond that
bound is never seen, and need not be multiplied: one row of 16, or 36 of 64.

Of sorted rows: as many elements as are gathered from their beginning.
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
ANYTHING: Ends = {}


def asked(kernel: Kernel) -> dict[Value, Ends]:
    """The ends of the results of products, where they have any."""
    dots = [op.result for op in kernel.body.walk() if op.spec.name == "dot"]
    if not dots:
        return {}
    read = Demand(kernel.body).of(dots)
    return {result: ends for result in dots if (ends := read.get(result))}


def leading(kernel: Kernel) -> dict[Value, int]:
    """How many of the first elements of sorted rows are asked for, where it is not all of them."""
    rows = {op.result for op in kernel.body.walk() if op.spec.name == "sort"}
    reads = {row: [_last(op, row) for op in ops] for row, ops in users(kernel.body).items() if row in rows}
    return {row: 1 + max(places) for row, found in reads.items() if len(places := [n for n in found if n is not None]) == len(found)}


def _last(op: Op, row: Value) -> int | None:
    """The last element of a row that an op reads, if it gathers numbers that are known."""
    if op.spec.name != "gather" or op.operands[1] is row or op.attrs["axis"] != row.type.rank - 1:
        return None
    made = op.operands[1].source
    while made is not None and made.spec.name in ("broadcast", "reshape"):
        made = made.operands[0].source
    return made.attrs["stop"] - 1 if made is not None and made.spec.name == "arange" and made.attrs["start"] >= 0 else None


class Demand:
    """What the users of a tile read of it."""

    def __init__(self, body: Block):
        self.users = users(body)
        self.owner = {block.ops[-1]: op for op in body.walk() for block in op.blocks if block.ops}

    def of(self, tiles: list[Value]) -> dict[Value, Ends]:
        """The ends that all users of a tile keep to, for these and all that they become; no entry for what nobody reads.

        Starts from "nobody reads anything" and goes from the users to what they use until nothing changes: a tile that is
        carried around a loop is read by whoever reads what comes of it, and many ways to one store are looked at once.
        """
        reads = {tile: [self._by(op, tile) for op in self.users.get(tile, ())] for tile in self._reached(tiles)}
        found: dict[Value, Ends] = {}
        changed = True
        while changed:
            changed = False
            for tile, readers in reversed(reads.items()):
                ends = _shared([e for by in readers for e in (_known(by, found) if isinstance(by, list) else [by])])
                if ends is not None and found.get(tile) != ends:
                    found[tile] = ends
                    changed = True
        return found

    def _reached(self, tiles: list[Value]) -> dict[Value, None]:
        """Tiles and what becomes of them."""
        seen: dict[Value, None] = {}
        waiting = tiles[::-1]
        while waiting:
            tile = waiting.pop()
            if tile not in seen:
                seen[tile] = None
                waiting += [v for op in self.users.get(tile, ()) if isinstance(by := self._by(op, tile), list) for v in by]
        return seen

    def _by(self, op: Op, tile: Value) -> Ends | list[Value]:
        """What an op reads of a tile: the ends themselves, or whatever is read of these values."""
        if op.spec.name == "store_block":
            return _stored(op) if op.operands.count(tile) == 1 and op.operands[1] is tile else ANYTHING
        if op.spec.name == "dot":
            return [op.result] if tile not in op.operands[:2] else ANYTHING
        if "elementwise" in op.spec.traits:
            return [op.result] if op.result.type.shape == tile.type.shape else ANYTHING
        loop = self.owner.get(op, op)
        if loop.spec.name != "for":
            return ANYTHING
        first = 0 if loop is not op else 3
        places = [place - first for place, v in enumerate(op.operands) if v is tile]
        return [v for place in places for v in (loop.results[place], loop.blocks[0].args[1 + place])]


def _known(tiles: list[Value], found: dict[Value, Ends]) -> list[Ends]:
    return [found[tile] for tile in tiles if tile in found]


def _shared(found: list[Ends]) -> Ends | None:
    """The ends that all keep to; None where there is nobody."""
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
