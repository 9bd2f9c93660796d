"""Memory accesses at a point: addresses, masks, and the vector or scalar instructions for them.

User memory may be unaligned, so accesses to it promise nothing. Lanes that are masked touch no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import Elem, i1
from tiledsl.ops.memory import split_block_operands

from .buffers import Scratch, row_major
from .code import Code, clamped, counting, splatted, spread
from .emit import Scalar
from .points import Index, Lanes, Point
from .types import Kind, decoded, encoded, memory, suffix, vector

Term = tuple[Index, Scalar]  # an index and its stride in elements
Way = int | str | Value  # a stride, or the tile of offsets that an axis has instead
WIDEST = 8  # bytes of the widest element


def number(text: str) -> Scalar:
    """An i64 operand: a known number if it is one."""
    return int(text) if text.lstrip("-").isdigit() else text


def pointer(code: Code, start: Lanes, terms: Sequence[Term], elem: Elem) -> Lanes:
    """The address start + sum of index * stride elements, summed from the outermost loop inwards."""
    size = elem.itemsize
    fixed = 0
    parts: list[tuple[int, str, Scalar, Scalar]] = []  # (depth, unit, factor, factor)
    for index, stride in terms:
        if isinstance(stride, int):
            fixed += index.offset * stride * size
        elif index.offset:
            parts.append((code.base, "i8", stride, index.offset * size))
        if index.base is None or stride == 0:
            continue
        unit = memory(elem) if stride == 1 else "i8"
        parts.append((max(index.depth, code.base), unit, index.base, 1 if stride == 1 else code_times(code, stride, size)))
    text, depth = start.text, start.depth
    for at, unit, x, y in sorted(parts, key=lambda part: part[0]):
        depth = max(depth, at)
        with code.b.at(depth):
            text = code.b.value(f"getelementptr {unit}, ptr {text}, i64 {code.b.mul(x, y)}")
    if fixed:
        with code.b.at(depth):
            text = code.b.value(f"getelementptr i8, ptr {text}, i64 {fixed}")
    return Lanes(text, 0, depth)


def code_times(code: Code, stride: Scalar, size: int) -> Scalar:
    """A stride in bytes, computed outside all loops of the nest."""
    with code.b.at(code.base):
        return code.b.mul(stride, size)


def dereferenced(code: Code, address: Lanes) -> Lanes:
    """A pointer from a scalar address."""
    with code.b.at(max(address.depth, code.base)):
        return Lanes(code.b.value(f"inttoptr i64 {address.text} to ptr"), 0, max(address.depth, code.base))


# --- scratch


def scratch_pointer(code: Code, piece: Scratch) -> Lanes:
    with code.b.at(0):
        return Lanes(code.b.value(f"getelementptr i8, ptr %arena, i64 {piece.offset}"), 0, code.base)


def read_scratch(code: Code, piece: Scratch, point: Point, shape: tuple[int, ...] | None = None, now: bool = False) -> Lanes:
    """A tile in memory at a point, possibly seen under another shape. now: it changes in this nest, so do not hoist."""
    strides = row_major(shape or piece.shape)
    at = pointer(code, scratch_pointer(code, piece), list(zip(point.indices, strides, strict=True)), piece.elem)
    if now:
        at = Lanes(at.text, 0, code.b.depth)
    if point.axis is None:
        return _read(code, piece.elem, at, None)
    stride = strides[point.axis]
    if stride == 1:
        return _read_vector(code, piece.elem, at, point.lanes, None, None)  # past the last element lies padding
    return _gather(code, piece.elem, _spaced(code, at, piece.elem, stride, point.lanes), point.lanes, _active(code, point), None)


def write_scratch(code: Code, piece: Scratch, point: Point, value: Lanes) -> None:
    """Write a tile in memory at a point, in the innermost loop."""
    at = pointer(code, scratch_pointer(code, piece), list(zip(point.indices, piece.strides, strict=True)), piece.elem)
    stride = 1 if point.axis is None else piece.strides[point.axis]
    write(code, piece.elem, at, point, stride, value, _active(code, point))


def _active(code: Code, point: Point) -> Lanes | None:
    return None if point.active is None else Lanes(point.active, point.lanes, code.b.depth)


# --- blocks


def ways(code: Code, op: Op) -> list[Way]:
    """How the indices of each axis of a block lie in memory: by a stride, or by offsets that are looked up."""
    tile, first = (op.operands[1], 2) if op.spec.name == "store_block" else (op.result, 1)
    return [way_of(code, value) for value in op.operands[first : first + tile.type.rank]]


def way_of(code: Code, value: Value) -> Way:
    if not value.type.shape:
        return number(code.scalars[value])
    return 1 if value in code.close else value


def start_of(code: Code, op: Op) -> Lanes:
    """The address that the indices of a block count from."""
    at = Lanes(code.scalars[op.operands[0]], 0, code.base)
    firsts = [code.spacing[v].first for v in op.operands[1 : 1 + op.result.type.rank] if v in code.close]
    return pointer(code, dereferenced(code, at), [(Index(first, 0, code.base), 1) for first in firsts], op.result.type.elem)


def looked_up(code: Code, table: Value, index: Index, lanes: int) -> Lanes:
    """The offset of an index, or of consecutive ones."""
    return read_scratch(code, code.scratch[table], Point((index,), 0 if lanes else None, lanes))


def element(code: Code, start: Lanes, point: Point, along: Sequence[Way], elem: Elem) -> tuple[Lanes, Scalar]:
    """The address of a point's element, or of all its elements; and the stride between them, 0 if they are one or all given."""
    terms: list[Term] = []
    for axis, (index, way) in enumerate(zip(point.indices, along, strict=False)):  # of a row, only the first ones
        if not isinstance(way, Value):
            terms.append((index, way))
        elif axis != point.axis:
            offset = looked_up(code, way, index, 0)
            terms.append((Index(offset.text, 0, offset.depth), 1))
    at = pointer(code, start, terms, elem)
    if point.axis is None:
        return at, 0
    last = along[point.axis]
    if not isinstance(last, Value):
        return at, last
    offsets = looked_up(code, last, point.indices[point.axis], point.lanes)
    depth = max(at.depth, offsets.depth)
    with code.b.at(depth):
        kind = vector("i64", point.lanes)
        return Lanes(code.b.value(f"getelementptr {memory(elem)}, ptr {at.text}, {kind} {offsets.text}"), point.lanes, depth), 0


def load_block(code: Code, op: Op, point: Point, evaluate: Callable[[Value], Lanes]) -> Lanes:
    """A block of user memory at a point."""
    elem = op.result.type.elem
    shape = op.attrs["shape"]
    strides, bounds, mask, other = split_block_operands(
        op.operands[1:], len(shape), op.attrs["checked"], op.attrs["masked"], op.attrs["filled"]
    )
    at, step = element(code, start_of(code, op), point, ways(code, op), elem)
    if bounds:  # what is known to be inside is so only where these indices are
        relied = [point.indices[axis] for axis in bounds if point.indices[axis].within]
        relied += [index for index in point.indices if index.beside]
        here = [code.depth_of_whole] * any(_ends(code, ends) in code.whole for ends in bounds.values())
        at = replace(at, depth=max([at.depth, *here, *(index.depth for index in relied)]))
    valid = block_mask(code, point, shape, bounds, None if mask is None else evaluate(mask))
    fill = None if other is None or valid is None else evaluate(other)
    if at.lanes:
        return _gather(code, elem, at, point.lanes, valid, fill)
    if point.axis is None:
        return _read(code, elem, at, valid, fill)
    if step == 0 and (valid is None or not valid.lanes):
        return _read(code, elem, at, valid, fill)
    if step == 1:
        return _read_vector(code, elem, at, point.lanes, valid, fill)
    return _gather(code, elem, _spaced(code, at, elem, step, point.lanes), point.lanes, valid, fill)


def block_mask(
    code: Code, point: Point, shape: tuple[int, ...], bounds: dict[int, tuple[Value, Value]], mask: Lanes | None
) -> Lanes | None:
    """Which lanes of a block are valid; None if all are known to be."""
    found = [mask] if mask is not None else []
    asked = {axis: _ends(code, ends) for axis, ends in bounds.items()}
    asked = {axis: limits for axis, limits in asked.items() if limits not in code.whole and not point.inside(axis, limits)}
    for axis, limits in asked.items():
        if axis != point.axis or not point.lanes:
            found += _inside(code, point.indices[axis], limits, shape[axis])
    if point.axis in asked and point.lanes:
        whole = conjunction(code, [one for one in found if not one.lanes])
        found = [one for one in found if one.lanes]
        found += _lanes_inside(code, point, asked[point.axis], shape[point.axis], whole)
    if point.active is not None:
        found.append(Lanes(point.active, point.lanes, code.b.depth))
    return conjunction(code, found)


def _ends(code: Code, ends: tuple[Value, Value]) -> tuple[str, str]:
    lo, hi = ends
    return code.scalars[lo], code.scalars[hi]


def _inside(code: Code, index: Index, limits: tuple[str, str], extent: int) -> list[Lanes]:
    """lo <= index < hi, for one index."""
    with code.b.at(code.base):
        lo, hi = clamped(code, limits, extent)
    depth = max(index.depth, code.base)
    with code.b.at(depth):
        start = code.b.add(index.base or 0, index.offset)
        found = [Lanes(code.b.value(f"icmp slt i64 {start}, {hi}"), 0, depth)]
        return found if lo == 0 else [Lanes(code.b.value(f"icmp sge i64 {start}, {lo}"), 0, depth), *found]


def _lanes_inside(code: Code, point: Point, limits: tuple[str, str], extent: int, whole: Lanes | None) -> list[Lanes]:
    """lo <= index < hi, for consecutive indices, and none of them unless a condition on all of them holds: then there is nothing
    below the upper bound, which costs less than one mask and another."""
    assert point.axis is not None
    with code.b.at(code.base):
        lo, hi = clamped(code, limits, extent)
        short = _narrow(code, hi)
    depth = code.base
    if whole is not None:
        depth = max(depth, whole.depth)
        with code.b.at(depth):
            short = code.b.value(f"select i1 {whole.text}, i32 {short}, i32 0")
    place = counting(code, point.indices[point.axis], point.lanes, 0)  # extents fit an i32
    found = [_compared(code, place, "slt", Lanes(short, 0, depth))]
    return found if lo == 0 else [_compared(code, place, "sge", Lanes(_narrow(code, lo), 0, code.base)), *found]


def _narrow(code: Code, limit: Scalar) -> str:
    with code.b.at(code.base):
        return str(limit) if isinstance(limit, int) else code.b.value(f"trunc i64 {limit} to i32")


def _compared(code: Code, place: Lanes, how: str, limit: Lanes) -> Lanes:
    """Which of some consecutive indices are below a limit, or not below it."""
    with code.b.at(limit.depth):
        bound = splatted(code, "i32", limit.text, place.lanes)
    depth = max(place.depth, limit.depth, code.base)
    with code.b.at(depth):
        return Lanes(code.b.value(f"icmp {how} {vector('i32', place.lanes)} {place.text}, {bound}"), place.lanes, depth)


def conjunction(code: Code, masks: list[Lanes]) -> Lanes | None:
    """All of some masks; None for none."""
    if not masks:
        return None
    total = masks[0]
    for mask in masks[1:]:
        lanes, depth = max(total.lanes, mask.lanes), max(total.depth, mask.depth, code.base)
        with code.b.at(depth):
            x, y = (spread(code, i1, m, lanes) for m in (total, mask))
            total = Lanes(x if x == y else code.b.value(f"and {vector('i1', lanes)} {x}, {y}"), lanes, depth)
    return total


# --- tiles of pointers


def load_pointers(code: Code, elem: Elem, point: Point, address: Lanes, mask: Lanes | None = None, other: Lanes | None = None) -> Lanes:
    """What pointers point to."""
    lanes = max(v.lanes for v in (address, mask, other) if v is not None)
    valid = conjunction(code, [m for m in (mask, _active(code, point) if lanes else None) if m is not None])
    if not lanes:
        return _read(code, elem, dereferenced(code, address), valid, other)
    return _gather(code, elem, pointers(code, address, lanes), lanes, valid, other)


def pointers(code: Code, address: Lanes, lanes: int) -> Lanes:
    """A vector of pointers from addresses."""
    depth = max(address.depth, code.base)
    with code.b.at(depth):
        wide = Lanes(address.text, address.lanes, depth)
        text = wide.text if wide.lanes else splatted(code, "i64", wide.text, lanes)
        return Lanes(code.b.value(f"inttoptr {vector('i64', lanes)} {text} to {vector('ptr', lanes)}"), lanes, depth)


def store_pointers(code: Code, elem: Elem, point: Point, address: Lanes, value: Lanes, mask: Lanes | None) -> None:
    """Write through pointers; the highest lane with an address wins."""
    valid = conjunction(code, [m for m in (mask, _active(code, point)) if m is not None])
    if not point.lanes:
        write(code, elem, dereferenced(code, address), point, 1, value, valid)
        return
    _scatter(code, elem, pointers(code, address, point.lanes), point.lanes, value, valid)


# --- instructions


def _read(code: Code, elem: Elem, at: Lanes, mask: Lanes | None, other: Lanes | None = None) -> Lanes:
    """One element; of a masked one nothing is touched unless the mask holds."""
    depth = max(at.depth, mask.depth if mask else 0, other.depth if other else 0, code.base)
    kind, stored = Kind(elem, 0), memory(elem)
    with code.b.at(depth):
        if mask is None:
            return Lanes(decoded(code.b, kind, code.b.effect(f"load {stored}, ptr {at.text}, align 1")), 0, depth)
        one = vector(stored, 1)
        valid = code.b.value(f"insertelement <1 x i1> poison, i1 {mask.text}, i64 0")
        fill = "zeroinitializer"
        if other is not None:
            fill = code.b.value(f"insertelement {one} poison, {stored} {encoded(code.b, kind, other.text)}, i64 0")
        name = f"llvm.masked.load.{suffix(stored, 1)}.p0"
        found = code.b.call(one, name, ("ptr", at.text), ("i32", "1"), ("<1 x i1>", valid), (one, fill), pure=False, immediate=(1,))
        return Lanes(decoded(code.b, kind, code.b.value(f"extractelement {one} {found}, i64 0")), 0, depth)


def _read_vector(code: Code, elem: Elem, at: Lanes, lanes: int, mask: Lanes | None, other: Lanes | None) -> Lanes:
    """Consecutive elements."""
    depth = max(at.depth, mask.depth if mask else 0, other.depth if other else 0, code.base)
    kind, stored = Kind(elem, lanes), vector(memory(elem), lanes)
    with code.b.at(depth):
        if mask is None:
            return Lanes(decoded(code.b, kind, code.b.effect(f"load {stored}, ptr {at.text}, align 1")), lanes, depth)
        name = f"llvm.masked.load.{suffix(memory(elem), lanes)}.p0"
        found = code.b.call(
            stored,
            name,
            ("ptr", at.text),
            ("i32", "1"),
            (kind.mask, spread(code, i1, mask, lanes)),
            (stored, _fill(code, kind, other)),
            pure=False,
            immediate=(1,),
        )
        return Lanes(decoded(code.b, kind, found), lanes, depth)


def _gather(code: Code, elem: Elem, at: Lanes, lanes: int, mask: Lanes | None, other: Lanes | None) -> Lanes:
    """Elements from anywhere."""
    depth = max(at.depth, mask.depth if mask else 0, other.depth if other else 0, code.base)
    kind, stored = Kind(elem, lanes), vector(memory(elem), lanes)
    with code.b.at(depth):
        valid = "splat (i1 true)" if mask is None else spread(code, i1, mask, lanes)
        name = f"llvm.masked.gather.{suffix(memory(elem), lanes)}.v{lanes}p0"
        found = code.b.call(
            stored,
            name,
            (vector("ptr", lanes), at.text),
            ("i32", "1"),
            (kind.mask, valid),
            (stored, _fill(code, kind, other)),
            pure=False,
            immediate=(1,),
        )
        return Lanes(decoded(code.b, kind, found), lanes, depth)


def _fill(code: Code, kind: Kind, other: Lanes | None) -> str:
    return "zeroinitializer" if other is None else encoded(code.b, kind, spread(code, kind.elem, other, kind.lanes))


def _spaced(code: Code, at: Lanes, elem: Elem, stride: Scalar, lanes: int) -> Lanes:
    """Pointers to elements a stride apart."""
    kind = vector("i64", lanes)
    with code.b.at(at.depth):
        if isinstance(stride, int):
            steps = "<" + ", ".join(f"i64 {k * stride}" for k in range(lanes)) + ">"
        else:
            iota = "<" + ", ".join(f"i64 {k}" for k in range(lanes)) + ">"
            steps = code.b.value(f"mul {kind} {iota}, {splatted(code, 'i64', stride, lanes)}")
        return Lanes(code.b.value(f"getelementptr {memory(elem)}, ptr {at.text}, {kind} {steps}"), lanes, at.depth)


def write(code: Code, elem: Elem, at: Lanes, point: Point, stride: Scalar, value: Lanes, mask: Lanes | None) -> None:
    """Write the elements of a point at an address, lanes a stride apart; in the innermost loop."""
    lanes = point.lanes
    if lanes and stride != 1:
        _scatter(code, elem, _spaced(code, at, elem, stride, lanes), lanes, value, mask)
        return
    b, kind, stored = code.b, Kind(elem, lanes), memory(elem)
    text = encoded(b, kind, spread(code, elem, value, lanes))
    if mask is None:
        b.line(f"store {vector(stored, lanes)} {text}, ptr {at.text}, align 1")
        return
    valid = spread(code, i1, mask, lanes)
    if lanes and elem.itemsize < WIDEST:
        valid = b.value(f"and {kind.mask} {valid}, {_opaque_true(code, lanes)}")
    if not lanes:
        text = b.value(f"insertelement <1 x {stored}> poison, {stored} {text}, i64 0")
        valid = b.value(f"insertelement <1 x i1> poison, i1 {valid}, i64 0")
    count = lanes or 1
    b.call(
        "void",
        f"llvm.masked.store.{suffix(stored, count)}.p0",
        (vector(stored, count), text),
        ("ptr", at.text),
        ("i32", "1"),
        (vector("i1", count), valid),
        immediate=(2,),
    )


def _opaque_true(code: Code, lanes: int) -> str:
    """A mask of ones that LLVM cannot see through: where it knows that only one lane of a masked store is active, it
    (22.1, x86) writes 32 bits of narrow elements, and 64 of what was truncated from 64."""
    with code.b.at(0):
        zero = code.b.value('call i32 asm "", "=r,0"(i32 0)')
        return code.b.value(f"icmp eq {vector('i32', lanes)} {splatted(code, 'i32', zero, lanes)}, zeroinitializer")


def _scatter(code: Code, elem: Elem, at: Lanes, lanes: int, value: Lanes, mask: Lanes | None) -> None:
    kind, stored = Kind(elem, lanes), vector(memory(elem), lanes)
    text = encoded(code.b, kind, spread(code, elem, value, lanes))
    valid = "splat (i1 true)" if mask is None else spread(code, i1, mask, lanes)
    # overlapping lanes are written in order, so the highest wins
    code.b.call(
        "void",
        f"llvm.masked.scatter.{suffix(memory(elem), lanes)}.v{lanes}p0",
        (stored, text),
        (vector("ptr", lanes), at.text),
        ("i32", "1"),
        (kind.mask, valid),
        immediate=(2,),
    )
