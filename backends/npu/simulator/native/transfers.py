"""Native functions of the DMA: boxes, gathers and scatters, atomics. Every access is looked up among the launch's buffers."""

from __future__ import annotations

from tiledsl.ir.types import DType, i1, i64

from ....cpu.emit import Scalar
from ....cpu.host import host
from ...isa import alu
from .functions import Shape, native
from .layout import Box, Head, Tile
from .memory import cached_region, located, marked
from .tiles import spread
from .write import Function, Kind, apply, from_register, raw


def carrier(dtype: DType) -> DType:
    """As what elements are moved: their bits; an i1 becomes 0 or 1."""
    return i1 if dtype is i1 else raw(dtype)


class Counted:
    """How many elements a transfer touches."""

    def __init__(self, f: Function):
        self.f = f
        f.set("%core", Head.TOUCHED, 0)

    def add(self, count: Scalar) -> None:
        self.f.set("%core", Head.TOUCHED, self.f.b.add(self.f.word("%core", Head.TOUCHED), count))


@native("dld", "dst")
def transfer(f: Function, shape: Shape) -> None:
    b, loads = f.b, shape.name == "dld"
    masked = bool(shape.fixed["mask"])
    dtype = shape.tiles[0]
    shape.require(shape.box is dtype, not masked or shape.tiles[1] is i1)
    kind = carrier(dtype)
    box = f.at("%core", f.operand(shape.at["box" if loads else "to"]))
    for tile in ("%t0", "%t1")[: 1 + masked]:
        for word in (Tile.RANK, *range(Tile.EXTENTS, Tile.EXTENTS + 4)):
            f.require(f.test("eq", f.word(tile, word), f.word(box, word - Tile.EXTENTS + Box.EXTENTS if word != Tile.RANK else Box.RANK)))
    if loads:
        f.spread("%t0", dtype.itemsize)
        if masked:
            f.harmless("%t0", "%t1")
    fill = from_register(f, kind, f.word(box, Box.FILL)) if loads and not shape.fixed["keep"] else None
    region, counted = cached_region(f), Counted(f)
    extents, steps, lows, highs = ([f.word(box, table + d) for d in range(4)] for table in (Box.EXTENTS, Box.STRIDES, Box.LOW, Box.HIGH))
    tile_steps = [f.word("%t0", Tile.STRIDES + d) for d in range(4)]
    mask_steps = [f.word("%t1", Tile.STRIDES + d) for d in range(4)] if masked else []
    low = b.least(b.most(lows[3], 0), extents[3])
    high = b.most(b.least(highs[3], extents[3]), low)
    starts = [f.word("%t0", Tile.DATA), f.word(box, Box.BASE), *([f.word("%t1", Tile.DATA)] if masked else [])]

    def nest(axis: int, at: list[Scalar], inside: str | None) -> None:
        if axis == 3:
            assert inside is not None
            first = f.choose(inside, low, high)  # outside of the box in an outer axis nothing of the row is inside
            row = _Row(f, kind, [b.value(f"inttoptr i64 {at[0]} to ptr"), at[1], *at[2:]], tile_steps[3], steps[3], region)
            if masked:
                row.masked(first, high, b.value(f"inttoptr i64 {at[2]} to ptr"), mask_steps[3], loads, fill, counted)
            else:
                row.plain(first, high, loads, counted)
            if fill is not None:
                row.filled(0, first, fill)
                row.filled(high, extents[3], fill)
            return
        with b.loop(0, extents[axis]) as loop:
            here = f.both(f.test("sge", loop.index, lows[axis]), f.test("slt", loop.index, highs[axis]))
            by = [tile_steps[axis], steps[axis], *mask_steps[axis : axis + 1]]
            moved = [b.add(x, b.mul(loop.index, s)) for x, s in zip(at, by, strict=True)]
            nest(axis + 1, moved, here if inside is None else f.both(inside, here))

    nest(0, list(starts), None)


class _Row:
    """One row of a box: elements at equal distances in DRAM and in the tile."""

    def __init__(self, f: Function, kind: DType, at: list[Scalar], tile_step: str, step: str, region: str):
        self.f, self.kind, self.region = f, kind, region
        self.tile, self.address = str(at[0]), at[1]
        self.tile_step, self.step = tile_step, step

    def move(self, lanes: int, index: Scalar, loads: bool) -> None:
        f, b = self.f, self.f.b
        here = f.at(self.tile, b.mul(index, self.tile_step))
        there = b.value(f"inttoptr i64 {b.add(self.address, b.mul(index, self.step))} to ptr")
        source, target = (there, here) if loads else (here, there)
        f.write(Kind(self.kind, lanes), target, f.read(Kind(self.kind, lanes), source))

    def plain(self, first: Scalar, last: Scalar, loads: bool, counted: Counted) -> None:
        """All elements from the first to before the last."""
        f, b, size = self.f, self.f.b, self.kind.itemsize
        count = b.sub(last, first)

        def transfer() -> None:
            counted.add(count)
            one = b.add(self.address, b.mul(first, self.step))
            other = b.add(self.address, b.mul(b.sub(last, 1), self.step))
            lowest = b.least(one, other)
            bytes_ = b.add(b.sub(b.most(one, other), lowest), size)
            located(f, lowest, bytes_, not loads, self.region)
            lanes = host().vector_bytes // size
            dense = f.both(f.test("eq", self.tile_step, size), f.test("eq", self.step, size))
            whole = b.add(first, f.choose(dense, b.value(f"and i64 {count}, {-lanes}"), 0))
            with b.loop(first, whole, lanes) as loop:
                self.move(lanes, loop.index, loads)
            with b.loop(whole, last) as loop:
                self.move(0, loop.index, loads)
                if not loads:
                    marked(f, self.region, b.add(self.address, b.mul(loop.index, self.step)), size)
            if not loads:
                marked(f, self.region, one, b.mul(b.sub(whole, first), size))

        f.when(f.test("sgt", count, 0), transfer)

    def masked(self, first: Scalar, last: Scalar, mask: str, step: str, loads: bool, fill: str | None, counted: Counted) -> None:
        """Those of them where a mask holds; the others become the fill."""
        f, b, size = self.f, self.f.b, self.kind.itemsize
        with b.loop(first, last) as loop:
            chosen = f.read(Kind(i1, 0), f.at(mask, b.mul(loop.index, step)))
            address = b.add(self.address, b.mul(loop.index, self.step))

            def touch() -> None:
                located(f, address, size, not loads, self.region)
                self.move(0, loop.index, loads)
                counted.add(1)
                if not loads:
                    marked(f, self.region, address, size)

            f.when(chosen, touch)
            if fill is not None:
                target = f.at(self.tile, b.mul(loop.index, self.tile_step))
                f.when(f.opposite(chosen), lambda: f.write(Kind(self.kind, 0), target, fill))

    def filled(self, first: Scalar, last: Scalar, fill: str) -> None:
        """Elements that are not read."""
        f, b, size = self.f, self.f.b, self.kind.itemsize
        lanes = host().vector_bytes // size
        count = b.most(b.sub(last, first), 0)
        whole = b.add(first, f.choose(f.test("eq", self.tile_step, size), b.value(f"and i64 {count}, {-lanes}"), 0))
        with b.loop(first, whole, lanes) as loop:
            f.write(Kind(self.kind, lanes), f.at(self.tile, b.mul(loop.index, self.tile_step)), spread(f, self.kind, fill, lanes))
        with b.loop(whole, last) as loop:
            f.write(Kind(self.kind, 0), f.at(self.tile, b.mul(loop.index, self.tile_step)), fill)


# --- an address per element ------------------------------------------------------------------------------------------------


@native("dgat", "dscat")
def gather(f: Function, shape: Shape) -> None:
    loads, masked = shape.name == "dgat", bool(shape.fixed["mask"])
    kinds = shape.tiles
    where, values = (1, 0) if loads else (0, 1)
    shape.require(kinds[where] is i64, not masked or kinds[2] is i1)
    kind = carrier(kinds[values])
    tiles = ["%t0", "%t1", "%t2"][: len(kinds)]
    for other in tiles[1:]:
        f.same_extents("%t0", other)
        if loads:
            f.harmless("%t0", other)
    if loads:
        f.spread("%t0", kind.itemsize)
    region, counted = cached_region(f), Counted(f)
    keep = loads and bool(shape.fixed["keep"])

    def touch(at: list[str]) -> None:
        address = f.read(Kind(i64, 0), at[where])
        located(f, address, kind.itemsize, not loads, region)
        f.set("%core", Head.LATEST, address)
        there = f.b.value(f"inttoptr i64 {address} to ptr")
        source, target = (there, at[values]) if loads else (at[values], there)
        f.write(Kind(kind, 0), target, f.read(Kind(kind, 0), source))
        counted.add(1)
        if not loads:
            marked(f, region, address, kind.itemsize)

    def element(at: list[str]) -> None:
        if not masked:
            touch(at)
            return
        chosen = f.read(Kind(i1, 0), at[2])
        f.when(chosen, lambda: touch(at))
        if loads and not keep:
            zero = Kind(kind, 0).constant(0)
            f.when(f.opposite(chosen), lambda: f.write(Kind(kind, 0), at[0], zero))

    elements(f, tiles, element)


def elements(f: Function, tiles: list[str], body: object) -> None:
    """body(pointers) for every element of tiles of one shape, in row-major order."""
    strides = [f.word(t, Tile.STRIDES + 3) for t in tiles]
    count = f.word(tiles[0], Tile.EXTENTS + 3)

    def row(starts: list[str]) -> None:
        with f.b.loop(0, count) as loop:
            body([f.at(p, f.b.mul(loop.index, s)) for p, s in zip(starts, strides, strict=True)])  # type: ignore[operator]

    f.rows(tiles, row)


@native("datom", "dcas")
def atomic(f: Function, shape: Shape) -> None:
    """First every address is looked at, so that nothing has changed where one is wrong; then they are updated in order."""
    b, swaps = f.b, shape.name == "dcas"
    kinds = shape.tiles
    masked = not swaps and bool(shape.fixed["mask"])
    to, where, *operands = kinds[: 4 if swaps else 3]
    shape.require(where is i64, all(k is to for k in operands), not masked or kinds[3] is i1, not (swaps and to is i1))
    name = "" if swaps else {"max": "maximum", "min": "minimum"}.get(alu.ATOMIC[shape.fixed["op"]], alu.ATOMIC[shape.fixed["op"]])
    shape.require(swaps or name == "xchg" or alu.defined(name, to))
    tiles = ["%t0", "%t1", "%t2", "%t3"][: len(kinds)]
    for other in tiles[1:]:
        f.same_extents("%t0", other)
        f.harmless("%t0", other)
    f.spread("%t0", to.itemsize)
    region, counted = cached_region(f), Counted(f)
    kind = Kind(to, 0)

    def look(at: list[str]) -> None:
        address = f.read(Kind(i64, 0), at[1])

        def found() -> None:
            located(f, address, to.itemsize, True, region)
            f.require(f.test("eq", f.word(region, 2), 0))

        f.when(f.read(Kind(i1, 0), at[3]), found) if masked else found()

    def update(at: list[str]) -> None:
        address = f.read(Kind(i64, 0), at[1])
        there = b.value(f"inttoptr i64 {address} to ptr")
        f.set("%core", Head.LATEST, address)
        counted.add(1)
        if swaps:
            bits = Kind(raw(to), 0)
            old, expected, new = (f.read(bits, p) for p in (there, at[2], at[3]))
            same = b.value(f"icmp eq {bits.text} {old}, {expected}")
            f.write(bits, there, b.value(f"select i1 {same}, {bits.text} {new}, {bits.text} {old}"))
            f.write(bits, at[0], old)
            return
        value, old = f.read(kind, at[2]), f.read(kind, there)
        f.write(kind, there, value if name == "xchg" else apply(f, name, to, [to, to], 0, [old, value]))
        f.write(kind, at[0], old)

    def element(at: list[str]) -> None:
        if not masked:
            update(at)
            return
        chosen = f.read(Kind(i1, 0), at[3])
        f.when(chosen, lambda: update(at))
        f.when(f.opposite(chosen), lambda: f.write(kind, at[0], kind.constant(0)))

    elements(f, tiles, look)
    elements(f, tiles, element)
