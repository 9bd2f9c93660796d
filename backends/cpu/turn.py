"""Squares of a tile turned in registers, where it is read along one axis and written along the other.

Gathering the elements of a row one by one, each from another line of memory, takes many times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tiledsl.ir.core import Value
from tiledsl.ir.types import Elem

from .access import ways
from .code import Code, clamped, floored, spread, width
from .emit import Scalar
from .evaluate import vector_axis
from .points import Index, Lanes, Point, at_constant
from .types import Kind, vector

SMALLEST = 4  # lanes of a square worth turning


def side(code: Code, shape: Sequence[int]) -> int:
    """Lanes of the squares that the last two axes are cut into."""
    return min(width(code, extent) for extent in shape[-2:])


def squared(code: Code, shape: Sequence[int]) -> bool:
    """Whether whole squares cover a tile, and are worth turning."""
    lanes = side(code, shape)
    return lanes >= SMALLEST and not shape[-2] % lanes and not shape[-1] % lanes


def turns(code: Code, value: Value) -> bool:
    """Whether a tile's memory runs down its columns, and whole squares cover it."""
    shape = value.type.shape
    return len(shape) > 1 and contiguous_axis(code, value) == len(shape) - 2 and squared(code, shape)


def contiguous_axis(code: Code, value: Value) -> int | None:
    """The axis along which the memory behind a tile is contiguous, if one is."""
    op = value.source
    if not value.type.shape:
        return None
    if code.plan.kept(value):
        return vector_axis(value.type.shape)
    assert op is not None
    if op.spec.name == "load_block":
        return next((axis for axis, way in enumerate(ways(code, op)) if way == 1 and value.type.shape[axis] > 1), None)
    if op.spec.name == "transpose":
        axis = contiguous_axis(code, op.operands[0])
        return None if axis is None else op.attrs["order"].index(axis)
    if "elementwise" in op.spec.traits:
        return next((axis for axis in (contiguous_axis(code, v) for v in op.operands) if axis is not None), None)
    return None


def turned(
    code: Code,
    shape: Sequence[int],
    elem: Elem,
    read: Callable[[Point], Lanes],
    put: Callable[[Index, Index, Lanes], None],
    limits: Mapping[int, tuple[str, str]] = MappingProxyType({}),
) -> None:
    """Read squares of a matrix down their columns, hand out their rows: put(row, first column, lanes). limits: bounds of its two
    axes; squares outside are left out."""
    lanes, b = side(code, shape), code.b
    (rows, to_row), (columns, to_column) = (_squares(code, limits.get(axis), shape[axis - 2], lanes) for axis in (0, 1))
    with b.loop(columns, to_column, lanes) as across:
        column = _index(across.index, b.depth)
        with b.loop(rows, to_row, lanes) as down:
            row = _index(down.index, b.depth)
            vectors = [read(Point((row, column.plus(k)), 0, lanes)) for k in range(lanes)]
            texts = transposed(code, Kind(elem, lanes), [spread(code, elem, v, lanes) for v in vectors])
            for k, text in enumerate(texts):
                put(row.plus(k), column, Lanes(text, lanes, b.depth))


def _squares(code: Code, limits: tuple[str, str] | None, extent: int, lanes: int) -> tuple[Scalar, Scalar]:
    """Where the first square with anything within bounds begins, and where to stop."""
    if limits is None:
        return 0, extent
    lo, hi = clamped(code, limits, extent)
    return floored(code, lo, lanes), hi


def _index(position: Scalar, depth: int) -> Index:
    return at_constant(position) if isinstance(position, int) else Index(position, 0, depth)


def transposed(code: Code, kind: Kind, rows: list[str]) -> list[str]:
    """As many vectors as they have lanes, rows and columns exchanged: swap the off-diagonal quarters of every square of
    2s x 2s lanes, for s = half the side, a quarter, ... 1.

        a b    a c
        c d -> b d
    """
    lanes = len(rows)
    s = lanes // 2
    while s:
        for i in (i for i in range(lanes) if not i & s):
            upper = [lane if not lane & s else lanes + lane - s for lane in range(lanes)]
            lower = [lane + s if not lane & s else lanes + lane for lane in range(lanes)]
            rows[i], rows[i + s] = (_shuffled(code, kind, rows[i], rows[i + s], picks) for picks in (upper, lower))
        s //= 2
    return rows


def _shuffled(code: Code, kind: Kind, x: str, y: str, picks: list[int]) -> str:
    chosen = ", ".join(f"i32 {pick}" for pick in picks)
    return code.b.value(f"shufflevector {kind.text} {x}, {kind.text} {y}, {vector('i32', kind.lanes)} <{chosen}>")
