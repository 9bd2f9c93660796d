"""Matrix products in parts: through the accumulators, or as fused multiply-adds of the vector unit, k ascending."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiledsl.ir.types import DType

from ..isa.state import ACC
from .layout import View, dense
from .names import DRAM
from .resident import Piece, Resident
from .write import Line, multiplies

UNROLLED = 8  # steps of k that stand in a row
FEW_ROWS = 4  # of sums, for which a copy of the right factor would not pay


def _tiles(line: Line) -> tuple[View, View, View]:
    to, a, b = line.operands
    assert isinstance(to, View) and isinstance(a, View) and isinstance(b, View)
    return to, a, b


def accumulate(write: Resident, line: Line) -> None:
    """A product of the matrix unit; of what lives in DRAM, as much at a time as fits."""
    place, a, b = _tiles(line)
    if all(x.buffer.space != DRAM for x in (a, b)):
        write.code.append(line)
        return

    def block(to: View, a: View, b: View, depth: int) -> None:
        _over(write, (1, 0), (a, b), depth, lambda a, b: write("mm", to, write.fetched(a), write.fetched(b)))

    _parted(write, place, a, b, block)


def product(write: Resident, line: Line) -> None:
    """to += a * b in the scratchpad: block by block through the accumulators, or on the vector unit."""
    to, a, b = _tiles(line)

    def through_accumulators(to: View, a: View, b: View, depth: int) -> None:
        here = write.fetched(to)
        place = dense(to.shape, to.dtype, ACC)
        write.move(place, here)
        _over(write, (1, 0), (a, b), depth, lambda a, b: write("mm", place, write.fetched(a), write.fetched(b)))
        write.move(here, place)
        write.put(to, here)

    def on_the_vector_unit(to: View, a: View, b: View, depth: int) -> None:
        here = write.fetched(to)
        _over(write, (1, 0), (a, b), depth, lambda a, b: _steps(write, here, a, b))
        write.put(to, here)

    _parted(write, to, a, b, through_accumulators if multiplies(write.machine, a.dtype) else on_the_vector_unit)


def _steps(write: Resident, to: View, a: View, b: View) -> None:
    def some(left: View, right: View) -> None:
        for k in range(left.shape[1]):
            column, row = left.part(1, k, k + 1).broadcast(to.shape), right.part(0, k, k + 1).broadcast(to.shape)
            _multiply_add(write, to, column, row)

    left, right = (_widened(write, write.fetched(x), to.dtype) for x in (a, b))
    if _is_scattered(to, right):
        right = write.copied(right)
    _over(write, (1, 0), (left, right), UNROLLED, some)


def _over(write: Resident, axes: Sequence[int], things: Sequence[View], count: int, body: Callable[[View, View], None]) -> None:
    def two(parts: Sequence[Piece]) -> None:
        left, right = parts
        assert isinstance(left, View) and isinstance(right, View)
        body(left, right)

    write.over(axes, things, count, two)


def _widened(write: Resident, view: View, dtype: DType) -> View:
    if view.dtype == dtype:
        return view
    made = dense(view.shape, dtype)
    write.vector("vcast", made, view)
    return made


def _is_scattered(to: View, right: View) -> bool:
    """Whether many rows of sums each read a row whose elements lie apart: lanes would wait for banks as many times."""
    return to.shape[0] > FEW_ROWS and right.shape[1] > 1 and right.strides[1] != right.dtype.itemsize


def _multiply_add(write: Resident, to: View, a: View, b: View) -> None:
    if to.dtype.is_float:
        write.apply("fma", to, a, b, to)
        return
    products = dense(to.shape, to.dtype)
    write.apply("mul", products, a, b)
    write.apply("add", to, to, products)


def _parted(write: Resident, to: View, a: View, b: View, block: Callable[[View, View, View, int], None]) -> None:
    """Blocks of rows and columns, and a depth, such that what is fetched and what is widened for them fits."""
    (rows, columns), depth = to.shape, a.shape[1]
    size = to.dtype.itemsize

    def each(x: View, count: int) -> int:
        anew = x.dtype != to.dtype or x is b and x.buffer.space != DRAM and _is_scattered(to, b)
        widened = size * (anew and not multiplies(write.machine, x.dtype))
        return count * (x.dtype.itemsize * (x.buffer.space == DRAM) + widened)

    def needed() -> tuple[int, int]:
        there = rows * columns * size * (to.buffer.space == DRAM)
        return there, each(a, rows * depth) + each(b, depth * columns)

    room = write.machine.acc_bytes // 2 // size  # half of the accumulators, so that two blocks can be under way
    if to.buffer.space != ACC and multiplies(write.machine, a.dtype):
        columns = max(1, min(columns, room))
        rows = max(1, min(rows, room // columns))
    step = max(write.machine.sum_chunk, 1) if multiplies(write.machine, a.dtype) else 1  # sums of the matrix unit stay whole
    while sum(needed()) > write.plan.budget and (rows * columns > 1 or depth > step):
        if depth > step and (needed()[1] > needed()[0] or rows * columns == 1):
            depth = -(-depth // (2 * step)) * step
        elif rows >= columns:
            rows = -(-rows // 2)
        else:
            columns = -(-columns // 2)

    def row(to: View, a: View) -> None:
        _over(write, (1, 1), (to, b), columns, lambda to, b: block(to, a, b, depth))

    _over(write, (0, 0), (to, a), rows, row)
