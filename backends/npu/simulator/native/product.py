"""The native matrix product: operands are laid out side by side in the accumulator's type, then multiplied in register tiles.

to[m, n] += a[m, k] * b[k, n]: one chain per element, k ascending, one fused multiply-add per step.
"""

from __future__ import annotations

from tiledsl.ir.types import DType
from tiledsl.ops import ACCUMULATORS

from ....cpu.emit import Scalar
from ....cpu.host import host
from .functions import Shape, native
from .layout import Head, Tile
from .tiles import spread
from .write import Function, Kind, apply

ROWS = 6  # of the register tile
VECTORS = 2  # columns of the register tile, in vectors


@native("mm")
def mm(f: Function, shape: Shape) -> None:
    to, a, other = shape.tiles
    shape.require(a is other, ACCUMULATORS.get(a) is to)
    b, size = f.b, to.itemsize
    lanes = host().vector_bytes // size
    columns = lanes * VECTORS
    for t in ("%t0", "%t1", "%t2"):
        f.require(f.test("eq", f.word(t, Tile.RANK), 2))
    f.harmless("%t0", "%t1")
    f.harmless("%t0", "%t2")
    f.spread("%t0", size)
    (m, n), (m1, k), (k1, n1) = ([f.word(t, Tile.EXTENTS + axis) for axis in (2, 3)] for t in ("%t0", "%t1", "%t2"))
    f.require(f.both(f.test("eq", m, m1), f.test("eq", k, k1), f.test("eq", n, n1)))

    width = b.mul(b.value(f"sdiv i64 {b.add(n, columns - 1)}, {columns}"), columns)
    height = b.mul(b.value(f"sdiv i64 {b.add(m, ROWS - 1)}, {ROWS}"), ROWS)
    bytes_a, bytes_b, bytes_c = (b.mul(b.mul(x, y), size) for x, y in ((height, k), (k, width), (height, width)))
    f.require(f.test("sle", b.add(b.add(bytes_a, bytes_b), bytes_c), f.word("%core", Head.SCRATCH_BYTES)))
    left = b.value(f"inttoptr i64 {f.word('%core', Head.SCRATCH)} to ptr")
    right = f.at(left, bytes_a)
    sums = f.at(right, bytes_b)
    _lay_out(f, "%t1", a, left, to, k)
    _lay_out(f, "%t2", a, right, to, width)
    _lay_out(f, "%t0", to, sums, to, width)

    line = b.mul(width, size)
    with b.loop(0, height, ROWS) as i, b.loop(0, width, columns) as j:
        corner = f.at(sums, b.add(b.mul(i.index, line), b.mul(j.index, size)))
        cells = [(r, v, f.at(corner, b.add(b.mul(line, r), v * lanes * size))) for r in range(ROWS) for v in range(VECTORS)]
        kind = Kind(to, lanes)
        before = f.at(left, b.mul(b.mul(i.index, k), size))
        top = f.at(right, b.mul(j.index, size))
        with b.loop(0, k, carried=[(kind.text, f.read(kind, p)) for _, _, p in cells]) as loop:
            row = f.at(top, b.mul(loop.index, line))
            there = [f.read(kind, f.at(row, v * lanes * size)) for v in range(VECTORS)]
            made: list[str] = []
            for r, v, _ in cells:
                if v == 0:
                    one = f.read(Kind(to, 0), f.at(before, b.mul(b.add(b.mul(k, r), loop.index), size)))
                    here = spread(f, to, one, lanes)
                made.append(_step(f, to, lanes, here, there[v], loop.carried[len(made)]))
            loop.next = made
        for (_, _, p), value in zip(cells, loop.carried, strict=True):
            f.write(kind, p, value)
    _put_back(f, to, sums, width)


def _step(f: Function, to: DType, lanes: int, x: str, y: str, acc: str) -> str:
    if to.is_float:
        return apply(f, "fma", to, [to] * 3, lanes, [x, y, acc])
    return apply(f, "add", to, [to] * 2, lanes, [acc, apply(f, "mul", to, [to] * 2, lanes, [x, y])])


def _lay_out(f: Function, tile: str, dtype: DType, where: str, to: DType, width: Scalar) -> None:
    """Copy a matrix, converted, to rows of a width; what is right of it and below is left as it is."""
    b = f.b
    lanes = host().vector_bytes // max(4 if dtype.is_float else dtype.itemsize, to.itemsize)
    rows, columns = (f.word(tile, Tile.EXTENTS + axis) for axis in (2, 3))
    down, along = (f.word(tile, Tile.STRIDES + axis) for axis in (2, 3))
    data = b.value(f"inttoptr i64 {f.word(tile, Tile.DATA)} to ptr")
    whole = f.choose(f.test("eq", along, dtype.itemsize), b.value(f"and i64 {columns}, {-lanes}"), 0)
    with b.loop(0, rows) as i:
        source = f.at(data, b.mul(i.index, down))
        target = f.at(where, b.mul(b.mul(i.index, width), to.itemsize))

        def move(count: int, index: Scalar, stride: Scalar) -> None:
            value = apply(f, "cast", to, [dtype], count, [f.read(Kind(dtype, count), f.at(source, b.mul(index, stride)))])
            f.write(Kind(to, count), f.at(target, b.mul(index, to.itemsize)), value)

        with b.loop(0, whole, lanes) as j:
            move(lanes, j.index, dtype.itemsize)
        with b.loop(whole, columns) as j:
            move(0, j.index, along)


def _put_back(f: Function, to: DType, where: str, width: Scalar) -> None:
    """Copy the sums to their tile."""
    b = f.b
    lanes = host().vector_bytes // to.itemsize
    rows, columns = (f.word("%t0", Tile.EXTENTS + axis) for axis in (2, 3))
    down, along = (f.word("%t0", Tile.STRIDES + axis) for axis in (2, 3))
    data = b.value(f"inttoptr i64 {f.word('%t0', Tile.DATA)} to ptr")
    whole = f.choose(f.test("eq", along, to.itemsize), b.value(f"and i64 {columns}, {-lanes}"), 0)
    with b.loop(0, rows) as i:
        target = f.at(data, b.mul(i.index, down))
        source = f.at(where, b.mul(b.mul(i.index, width), to.itemsize))

        def move(count: int, index: Scalar, stride: Scalar) -> None:
            value = f.read(Kind(to, count), f.at(source, b.mul(index, to.itemsize)))
            f.write(Kind(to, count), f.at(target, b.mul(index, stride)), value)

        with b.loop(0, whole, lanes) as j:
            move(lanes, j.index, to.itemsize)
        with b.loop(whole, columns) as j:
            move(0, j.index, along)
