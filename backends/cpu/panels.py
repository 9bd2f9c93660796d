"""The right operand of a matrix product, as panels of columns that the micro-kernel can walk.

Usually it is packed: panels one after the other, each with its rows one after the other. What does not change from program
to program is kept packed (strips.py). Where there are few rows of A, so that each element of B is used once only,
packing takes longer than it saves: then B is read where it is, unless it is at the edge, or comes up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import DType, dtype_of, f32

from .access import pointer, scratch_pointer
from .buffers import Scratch
from .code import Code
from .emit import Scalar
from .joint import Joint
from .offsets import copied
from .pack import packed_columns
from .points import Index
from .rows import in_place, walkable, whole_block
from .strips import Slot, slot_of
from .types import NARROW

DEPTH = 4  # steps of k that rows in user memory are taken at a time: so many are read side by side


@dataclass(frozen=True)
class Panels:
    """Where the first panel begins, what it has in memory, how many bytes lie between its rows, and between panels; and in how many
    pieces of k to take all panels, one piece after the other: rows of user memory are read along their pages, not across."""

    start: str
    elem: DType
    step: Scalar
    across: Scalar
    pieces: Scalar
    copy: Scratch | None = None  # scratch memory to be given back


def panels_of(
    code: Code, b: Value, elem: DType, columns: int, head: tuple[Index, ...], m: int, asked: Scalar, joint: Joint | None
) -> Panels:
    """B in panels of columns; head says which matrix of a batch. m: how many rows it is multiplied with. asked: how many of its
    columns are of use. joint: how many rows of B share a row of a panel."""
    k, n = b.type.shape[-2] // (1 if joint is None else joint.count), b.type.shape[-1]
    shape = (-(-n // columns), k, columns)
    op = _loaded(code, b) if m <= code.machine.rows and n % columns == 0 else None
    stored = elem if op is None or op.result.type.elem not in NARROW else dtype_of(op.result.type)
    if op is not None and not walkable(code, op, stored):
        op, stored = None, elem
    elem = stored  # what is narrow in memory remains so in panels, and is widened by who reads them
    slot = slot_of(code, b, elem, shape) if b in code.steady else None
    piece = code.arena.take(elem, shape) if slot is None else None
    steps = columns * elem.itemsize, k * columns * elem.itemsize, 1

    def packed() -> str:
        if piece is not None:
            pack(piece, ())
            return scratch_pointer(code, piece).text
        assert slot is not None
        pack(slot.pieces, (slot.number,))
        slot.fill(code)
        return kept(slot)

    def pack(into: Scratch, place: tuple[Index, ...]) -> None:
        copied(code, b, lambda: packed_columns(code, b, into, place, head, joint))

    def kept(slot: Slot) -> str:
        with code.nest():
            return pointer(code, scratch_pointer(code, slot.pieces), [(slot.number, prod(shape))], elem).text

    if op is None:
        if slot is None:
            return Panels(packed(), elem, *steps, piece)
        code.b.branch(slot.full, [], list, lambda: [packed()][:0])
        return Panels(kept(slot), elem, *steps)

    depth = DEPTH if k % DEPTH == 0 else k

    def there() -> list[str]:
        rows = in_place(code, op)
        if slot is not None:
            slot.note(code)
        return [rows.start, str(rows.stride), str(columns * elem.itemsize), str(k // depth)]

    def elsewhere() -> list[str]:
        return [packed(), *map(str, steps)]

    kinds = ["ptr", "i64", "i64", "i64"]
    whole = whole_block(code, op, asked, columns)
    if slot is None:
        found = there() if whole is None else code.b.branch(whole, kinds, there, elsewhere)
        return _either(found, elem, piece)
    first = slot.new if whole is None else code.b.value(f"and i1 {slot.new}, {whole}")
    found = code.b.branch(slot.full, kinds, lambda: [kept(slot), *map(str, steps)], lambda: code.b.branch(first, kinds, there, elsewhere))
    return _either(found, elem, None)


def _loaded(code: Code, value: Value) -> Op | None:
    """What a tile is loaded by, or one that it is exactly converted from."""
    op = value.source
    if op is not None and op.spec.name == "cast" and value.type.elem is f32 and not code.plan.kept(value):
        (given,) = op.operands
        return given.source if given.type.elem in NARROW else op
    return op


def _either(found: list[str], elem: DType, copy: Scratch | None) -> Panels:
    """Panels of which only the running kernel knows where they are."""
    start, step, across, pieces = found
    return Panels(start, elem, step, across, pieces, copy)
