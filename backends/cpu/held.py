"""Small tiles that a loop only adds to, kept in registers from one iteration to the next.

    total = zeros(4, 16)                      %t0 .. %t7 = 0
    for k in ...:                             loop:  phi of %t0 .. %t7
        total += a[k] * b[:, k]                      %t0' .. %t7' = each vector's sum
                                              the tile's memory = %t0 .. %t7

Every vector is written out, so its place is known, and a carried tile at a point is the name of a value. Most
iterations lie within all bounds: for these the expression is written once more, without masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

from tiledsl import ops
from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import DType, i1
from tiledsl.ops.memory import split_block_operands

from .access import write_scratch
from .code import Code, spread, width
from .edges import Limits, whole
from .evaluate import evaluate, vector_axis
from .plan import is_scalar, is_virtual
from .points import Lanes, Point, at_constant
from .types import Kind

Bounds = tuple[Value, Value]  # of an axis, as a block of memory has them


def in_registers(code: Code, op: Op) -> bool:
    """Whether a `for` does nothing but compute the next of a few vectors from the last ones."""
    carried, body = op.operands[3:], op.blocks[0]
    tiles = [v for v in carried if v.type.shape]
    if not tiles or not all(_plain(v) for v in tiles):
        return False
    if sum(_registers(code, v) for v in tiles) > code.machine.vector_bytes // 4:  # half of them, of all processors that we know
        return False
    if any(vector_axis(v.type.shape) is not None and v.type.shape[-1] % _lanes(code, v) for v in tiles):
        return False
    simple = all(is_scalar(inner) or is_virtual(inner) and inner.result not in code.plan.memory for inner in body.ops[:-1])
    nexts = [v for v in body.yields if v.type.shape]
    return simple and all(code.plan.leaves(v).get(arg, True) for v in nexts for arg in body.args[1:])


def _plain(value: Value) -> bool:
    """Whether vectors of a tile are vectors in registers, too."""
    return isinstance(value.type.elem, DType) and value.type.elem is not i1 and vector_axis(value.type.shape) in (None, value.type.rank - 1)


def _lanes(code: Code, value: Value) -> int:
    return 0 if vector_axis(value.type.shape) is None else width(code, value.type.shape[-1])


def _registers(code: Code, value: Value) -> int:
    bits = max(value.type.elem.bits, 32)
    each = max(1, (_lanes(code, value) or 1) * bits // (8 * code.machine.vector_bytes))
    return value.type.size // (_lanes(code, value) or 1) * each


class Held:
    """The vectors of the tiles that a loop carries, which have the shapes of some values."""

    def __init__(self, code: Code, values: tuple[Value, ...]):
        self.code = code
        self.places = [(n, point) for n, v in enumerate(values) for point in _points(code, v)]
        self.kinds = [Kind(values[n].type.elem, point.lanes).text for n, point in self.places]

    def texts(self, values: tuple[Value, ...]) -> list[str]:
        """Tiles, vector by vector."""
        code = self.code
        with code.nest():
            return [spread(code, values[n].type.elem, evaluate(code, values[n], point), point.lanes) for n, point in self.places]

    def call(self, args: tuple[Value, ...], texts: list[str]) -> None:
        """From here on, block arguments are these vectors."""
        for (n, point), text in zip(self.places, texts, strict=True):
            self.code.held[args[n], point.indices] = Lanes(text, point.lanes, self.code.b.depth)

    def bounds(self, values: tuple[Value, ...]) -> dict[Bounds, int]:
        """The bounds of blocks of memory that tiles are computed from, each with the largest extent that is to lie within."""
        seen: set[Value] = set()
        pending, found = list(values), dict[Bounds, int]()
        while pending:
            value = pending.pop()
            if value in seen or not value.type.shape or self.code.plan.kept(value):
                continue
            seen.add(value)
            op = value.source
            assert op is not None
            pending += op.operands
            if op.spec is ops.load_block:
                rank, attrs = value.type.rank, op.attrs
                _, ends, *_ = split_block_operands(op.operands[1:], rank, attrs["checked"], attrs["masked"], attrs["filled"])
                for axis, pair in ends.items():
                    found[pair] = max(found.get(pair, 0), value.type.shape[axis])
        return found

    def whole(self, bounds: dict[Bounds, int]) -> str:
        """Whether all lies within bounds, in this iteration."""
        with self.code.nest():
            return whole(self.code, [(self._limits(pair), extent) for pair, extent in bounds.items()])

    @contextmanager
    def unmasked(self, bounds: dict[Bounds, int]) -> Iterator[None]:
        """Where all does."""
        with self.code.within(self._limits(pair) for pair in bounds):
            yield

    def _limits(self, pair: Bounds) -> Limits:
        lo, hi = pair
        return self.code.scalars[lo], self.code.scalars[hi]

    def write(self, results: tuple[Value, ...], texts: list[str]) -> None:
        """Memory for the tiles, holding these vectors."""
        code = self.code
        for result in results:
            code.take(result)
        with code.nest():
            for (n, point), text in zip(self.places, texts, strict=True):
                write_scratch(code, code.scratch[results[n]], point, Lanes(text, point.lanes, code.b.depth))


def _points(code: Code, value: Value) -> Iterator[Point]:
    """All of a tile, from vector to vector."""
    *outer, last = value.type.shape
    lanes = _lanes(code, value)
    for place in product(*map(range, outer), range(0, last, lanes or 1)):
        yield Point(tuple(map(at_constant, place)), value.type.rank - 1 if lanes else None, lanes)
