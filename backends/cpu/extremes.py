"""The largest and the smallest of many floats, where the processor has one instruction that takes the number of two operands
of which one may be NaN, and orders zeros by their signs: vrange of AVX-512. Elsewhere it takes six.

It hands on a signalling NaN as a quiet one instead of the other operand. So elements are made quiet first, off the chain of
operations that a fold waits for; a partial result is never signalling.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiledsl.ir.core import Block
from tiledsl.ir.types import Elem

from .code import Code, spread
from .points import Lanes
from .types import Kind

WHICH = {"minimum": 4, "maximum": 5}  # 4: with the sign of the one that is chosen
FEATURES = {16: "+avx512dq", 8: "+avx512vl", 4: "+avx512vl"}  # by lanes; those below 16 need both
LEAST = 4  # lanes of the smallest register


def folded(code: Code, block: Block, kind: Kind, old: Lanes, new: Lanes) -> Lanes | None:
    """A quiet partial result combined with new elements, by a block of one op; None if that or the processor is another."""
    if not _suits(code, block, kind):
        return None
    return Lanes(_range(code, block, kind.lanes, old.text, _quiet(code, kind, new)), kind.lanes, code.b.depth)


def both(code: Code, block: Block, elem: Elem, pair: Sequence[Lanes]) -> list[Lanes] | None:
    """Two vectors of quiet values combined, by a block of one op; None if that or the processor is another."""
    x, y = pair
    if not _suits(code, block, Kind(elem, x.lanes)):
        return None
    return [Lanes(_range(code, block, x.lanes, x.text, y.text), x.lanes, code.b.depth)]


def quieted(code: Code, block: Block, kind: Kind, partials: list[Lanes]) -> list[Lanes]:
    """Partial results as `both` asks for them, where it is of use."""
    if not _suits(code, block, kind):
        return partials
    return [Lanes(_quiet(code, kind, x), kind.lanes, code.b.depth) for x in partials]


def last_of(code: Code, block: Block, kind: Kind, partials: list[Lanes], quiet: bool) -> Lanes | None:
    """The extreme of all lanes of some partial results, by the same instruction; None where there is none."""
    if not _suits(code, block, kind):
        return None
    lanes, texts = kind.lanes, [x.text if quiet else _quiet(code, kind, x) for x in partials]
    while len(texts) > 1:
        half = len(texts) // 2
        texts = [_range(code, block, lanes, texts[k], texts[k + half]) for k in range(half)]
    (total,) = texts
    while lanes > LEAST:
        lanes //= 2
        low, high = (_moved(code, 2 * lanes, total, [start + k for k in range(lanes)]) for start in (0, lanes))
        total = _range(code, block, lanes, low, high)
    for step in (2, 1):  # half a register is no register: what the upper lanes come to is of no use
        total = _range(code, block, lanes, total, _moved(code, lanes, total, [(k + step) % lanes for k in range(lanes)]))
    return Lanes(code.b.value(f"extractelement {_text(lanes)} {total}, i64 0"), 0, code.b.depth)


def _text(lanes: int) -> str:
    return f"<{lanes} x float>"


def _suits(code: Code, block: Block, kind: Kind) -> bool:
    features = code.machine.features.split(",")
    if len(block.args) != 2 or not block.ops:
        return False
    needed = {FEATURES.get(kind.lanes, "none"), FEATURES[16]}
    return block.ops[0].spec.name in WHICH and kind.text == _text(kind.lanes) and needed <= set(features)


def _quiet(code: Code, kind: Kind, x: Lanes) -> str:
    return code.b.call(kind.text, f"llvm.canonicalize.v{kind.lanes}f32", (kind.text, spread(code, kind.elem, x, kind.lanes)))


def _moved(code: Code, lanes: int, x: str, picks: list[int]) -> str:
    places = ", ".join(f"i32 {pick}" for pick in picks)
    return code.b.value(f"shufflevector {_text(lanes)} {x}, {_text(lanes)} poison, <{len(picks)} x i32> <{places}>")


def _range(code: Code, block: Block, lanes: int, x: str, y: str) -> str:
    text, which = _text(lanes), str(WHICH[block.ops[0].spec.name])
    operands = [(text, x), (text, y), ("i32", which), (text, "poison"), (f"i{max(lanes, 8)}", "-1"), ("i32", "4")]
    few = lanes < 16  # only the widest says how to round
    name = f"llvm.x86.avx512.mask.range.ps.{32 * lanes}"
    return code.b.call(text, name, *operands[: 5 if few else 6], immediate=(2,) if few else (2, 5))
