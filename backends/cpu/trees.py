"""The last steps of many reductions at once: the lanes of several vectors, each combined into one.

Each step combines the upper half of a vector's lanes into the lower. A vector of which half is left has room for another one: so
two at a time become one, until a single vector holds what every one of them came to. That takes a third of the instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiledsl.ir.types import Elem

from .code import Code
from .points import Lanes
from .types import register, vector

FEWEST = 4  # vectors that are worth it


def several(lanes: int, rows: int) -> int:
    """How many vectors of so many lanes to take at once, of `rows` there are; 0 if it is not worth it."""
    count = min(lanes, rows & -rows)
    return count if count >= FEWEST else 0


def combined_lanes(
    code: Code, combine: Callable[[Sequence[Lanes]], list[Lanes]], elems: Sequence[Elem], vectors: Sequence[Sequence[Lanes]]
) -> list[Lanes]:
    """A lane for every vector: what its own lanes come to, combined in the order of the numerics contract. Vectors are tuples of as
    many values as there are element types; of vectors and lanes there are powers of two, and no more vectors than lanes."""
    now = list(vectors)
    left = now[0][0].lanes  # lanes of each of the first vectors that are not combined yet
    while left > 1:
        left //= 2
        half, paired = len(now) // 2, len(now) > 1
        pairs = [(now[k], now[k + half]) for k in range(half)] or [(now[0], now[0])]
        now = []
        for x, y in pairs:
            parts = [_halves(code, elem, a, b, left, start, paired) for start in (0, left) for elem, a, b in zip(elems, x, y, strict=True)]
            now.append(combine(parts))
    return list(now[0])


def _halves(code: Code, elem: Elem, x: Lanes, y: Lanes, left: int, start: int, paired: bool) -> Lanes:
    """`left` lanes from `start` on of everything that two vectors hold, or one; what came first stays first."""
    picks = [
        source * x.lanes + part + start + lane
        for part in range(0, x.lanes, 2 * left)
        for source in range(1 + paired)
        for lane in range(left)
    ]
    kind = vector(register(elem), x.lanes)
    other = y.text if paired else "poison"
    chosen = ", ".join(f"i32 {pick}" for pick in picks)
    text = code.b.value(f"shufflevector {kind} {x.text}, {kind} {other}, {vector('i32', len(picks))} <{chosen}>")
    return Lanes(text, len(picks), max(x.depth, y.depth))
