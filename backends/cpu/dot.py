"""Matrix products: a register-tiled micro-kernel that walks rows of A and panels of B, the sum in a memory tile.

    A: M x K, row-major            B: panels of NR columns, K x NR each          C: M x N, row-major, accumulated in place

The micro-kernel keeps MR x NR sums in registers and adds one outer product per k, so that every sum is one chain of
fused multiply-adds over k ascending. Where rows and panels lie, and whether they are copied, say rows.py and panels.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tiledsl.ir.core import Op, Value
from tiledsl.ir.types import DType, dtype_of, i8, i16, i32, u8

from .access import pointer, scratch_pointer
from .buffers import Scratch
from .code import Code, width
from .demand import end_of
from .edges import steps
from .emit import Builder, Scalar
from .evaluate import assign
from .panels import Panels, panels_of
from .points import Index, Lanes, at_constant
from .rows import Rows, rows_of
from .types import Kind, register, vector

AHEAD = 16  # rows of B in user memory are fetched into the second level of caches so much before they are needed
LINE = 64
PAIRS = {  # multiply 16-bit integers and add neighbours: feature and name, by 32-bit lanes; LLVM joins the sum, where it can
    4: ("+sse2", "llvm.x86.sse2.pmadd.wd"),
    8: ("+avx2", "llvm.x86.avx2.pmadd.wd"),
    16: ("+avx512bw", "llvm.x86.avx512.pmaddw.d.512"),
}
UNROLL = 4  # most steps of k per iteration of the micro-kernel
ENOUGH = 32  # multiply-adds per iteration: beside so many, counting and branching cost nothing


def dot(code: Code, op: Op) -> None:
    """acc + a @ b into the memory of the result."""
    a, b, acc = op.operands
    elem = dtype_of(acc.type)
    carried = code.plan.in_place.get(op.result)
    target = code.scratch[op.result] = code.scratch[carried] if carried is not None else code.arena.take(elem, acc.type.shape)
    if acc is not carried:
        assign(code, acc, target)
    if a.type.rank == 2:
        _one(code, op, target, ())
        return
    with code.nest(), code.b.loop(0, a.type.shape[0]) as batch:
        _one(code, op, target, (_index(code, batch.index),))


def _one(code: Code, op: Op, target: Scratch, head: tuple[Index, ...]) -> None:
    """One matrix product; head says which of a batch."""
    (a, b, _), elem = op.operands, target.elem
    assert isinstance(elem, DType)
    m, k, n = *a.type.shape[-2:], b.type.shape[-1]
    columns = _columns(code, elem, m, n)
    pairs = _pairs(code, a, elem, columns)
    group = 2 if pairs else 1
    right = panels_of(code, b, elem, columns, head, few=m <= 2 * code.machine.rows, group=group)
    into = pointer(code, scratch_pointer(code, target), [(i, m * n) for i in head], elem)
    left = rows_of(code, a, i16 if pairs else elem, head)
    sums = panels(m, code.machine.rows)[0][0] * -(-columns // code.machine.lanes(elem.bits))
    unroll = _unrolled(k // group, sums)
    depth = k // group if pairs else steps(code, a, b, unroll)
    asked = tuple(end_of(code, op.result, op.result.type.rank + axis) for axis in (-2, -1))
    _multiply(code, left, right, into, (m, n), (*asked, depth), columns, unroll, elem, pairs)
    for copy in (left.copy, right.copy):
        if copy is not None:
            code.arena.give(copy)


def _pairs(code: Code, a: Value, elem: DType, columns: int) -> str:
    """The instruction that adds two products of 16-bit integers to each sum, where the machine has it and it is exact."""
    exact = a.type.elem in (i8, u8) and elem is i32  # and so is b's, by the rules of the op
    if not exact or a.type.shape[-1] % 2:
        return ""
    feature, name = PAIRS.get(min(code.machine.lanes(elem.bits), columns), ("none", ""))
    return name if feature in code.machine.features.split(",") else ""


def _columns(code: Code, elem: DType, m: int, n: int) -> int:
    """NR: a power of two, up to as many vectors as there are sums for; few rows leave room for more. The last panel may be cut,
    but computes whole vectors all the same; single ones keep the units less busy."""
    sums, lanes = code.machine.rows * code.machine.columns, code.machine.lanes(elem.bits)
    vectors = max(code.machine.columns, 1 << (sums // max(rows for rows, _ in panels(m, code.machine.rows))).bit_length() - 1)

    def cost(columns: int) -> tuple[float, int, int]:
        count = -(-n // columns)
        return count * max(columns, lanes) * (1.25 if columns <= lanes else 1), count * columns, -columns

    sizes = [1 << k for k in range((lanes * vectors).bit_length())]
    return min((size for size in sizes if n % size == 0 or size >= width(code, n)), key=cost)


def panels(m: int, most: int) -> list[tuple[int, int]]:
    """(rows, count): m rows as panels of at most `most`, in as few and as equal sizes as possible."""
    for rows in range(min(m, most), most * 3 // 4 - 1, -1):
        if rows and m % rows == 0:
            return [(rows, m // rows)]
    count = -(-m // most)
    small, more = divmod(m, count)
    return [(rows, number) for rows, number in ((small + 1, more), (small, count - more)) if number]


def _multiply(
    code: Code,
    left: Rows,
    right: Panels,
    target: Lanes,
    sizes: tuple[int, int],
    asked: tuple[Scalar, ...],
    columns: int,
    unroll: int,
    elem: DType,
    pairs: str,
) -> None:
    """Call the micro-kernel for every panel of rows and of columns. asked: of the rows, columns and steps, those that count."""
    m, n = sizes
    down_to, across_to, depth = asked
    b, size = code.b, elem.itemsize
    with (
        code.nest(),
        _pieces(code, left, right, b.mul(depth, size), size) as (from_left, from_right, end),
        b.loop(0, _groups(code, across_to, -(-n // columns) * columns, columns)) as panel,
    ):
        across = _index(code, panel.index)
        with b.at(max(across.depth, code.base)):
            place = b.mul(b.add(across.base or 0, across.offset), right.across)
            packed = b.value(f"getelementptr i8, ptr {from_right}, i64 {place}")
            cut = n % columns and b.least(b.sub(n, b.mul(b.add(across.base or 0, across.offset), columns)), columns)
        first = 0
        for rows, count in panels(m, code.machine.rows):
            name = _micro_kernel(code, elem, rows, columns, n, unroll, right.far, bool(n % columns), pairs)
            with b.loop(0, _groups(code, b.sub(down_to, first), rows * count, rows)) as group:
                down = _index(code, group.index)
                with b.at(max(down.depth, code.base)):
                    row = b.add(b.mul(down.base or 0, rows), down.offset * rows + first)
                    a = b.value(f"getelementptr i8, ptr {from_left}, i64 {b.mul(row, left.stride)}")
                c = pointer(code, target, [(at_constant(first), n), (across, columns), (down, rows * n)], elem).text
                b.line(f"call void @{name}(ptr {a}, i64 {left.stride}, ptr {packed}, i64 {right.step}, ptr {c}, i64 {end}, i64 {cut})")
            first += rows * count


def _groups(code: Code, asked: Scalar, extent: int, size: int) -> Scalar:
    """In how many groups of a size lie the first so many of an extent; one is taken in any case."""
    count, b = extent // size, code.b
    if count == 1 or isinstance(asked, int):
        return count if isinstance(asked, str) else max(min(-(-asked // size), count), 1)
    with b.at(code.base):
        return b.most(b.least(b.value(f"sdiv i64 {b.add(asked, size - 1)}, {size}"), count), 0)


@contextmanager
def _pieces(code: Code, left: Rows, right: Panels, whole: Scalar, size: int) -> Iterator[tuple[str, str, Scalar]]:
    """A loop over pieces of k: where A and B begin in each, and how many bytes of a row of A it takes."""
    if right.pieces == 1:
        yield left.start, right.start, whole
        return
    b = code.b
    end = b.value(f"udiv i64 {whole}, {right.pieces}")
    taken = b.value(f"udiv i64 {end}, {size}")
    with b.loop(0, right.pieces) as piece:
        a = b.value(f"getelementptr i8, ptr {left.start}, i64 {b.mul(piece.index, end)}")
        there = b.mul(b.mul(piece.index, taken), right.step)
        code.base = b.depth
        yield a, b.value(f"getelementptr i8, ptr {right.start}, i64 {there}"), end


def _unrolled(k: int, sums: int) -> int:
    """How many steps of k an iteration of the micro-kernel takes, that has so many vectors of sums: as few as keep it busy,
    for LLVM takes its time over each."""
    most = min(UNROLL, -(-ENOUGH // sums))
    return next(steps for steps in (UNROLL, 2, 1) if steps <= most and k % steps == 0)


def _index(code: Code, index: int | str) -> Index:
    return at_constant(index) if isinstance(index, int) else Index(index, 0, code.b.depth)


def _micro_kernel(code: Code, elem: DType, rows: int, columns: int, width: int, unroll: int, far: bool, cut: bool, pairs: str) -> str:
    """A function C[rows, columns] += A[rows, k] @ B[k, columns], written once per kernel of the user; C has rows of `width`.
    Rows of A lie `stride` bytes apart, and have k elements in `end` bytes; rows of B lie `step` bytes apart: far, if they may
    come from user memory, and are fetched ahead. cut: C may have fewer columns.
    pairs: elements of A and B are two 16-bit integers each, multiplied by this."""
    name = f"multiply.{elem}.{rows}x{columns}.{width}.{unroll}{'.far' * far}{'.cut' * cut}{'.pairs' * bool(pairs)}"
    if name not in code.functions:
        code.functions[name] = []
        b, lanes = Builder(code.b.declared), code.machine.lanes(elem.bits)
        body = _micro_kernel_body(b, lanes, elem, (rows, columns), width, unroll, far, cut, pairs)
        parameters = "ptr noalias readonly %a, i64 %stride, ptr noalias readonly %b, i64 %step, ptr noalias %c, i64 %end, i64 %columns"
        head = f"define internal void @{name}({parameters}) nounwind noinline {{"
        code.functions[name] = [head, "entry:", *body, "ret void", "}"]
    return name


def _micro_kernel_body(
    b: Builder, lanes: int, elem: DType, sizes: tuple[int, int], width: int, unroll: int, far: bool, cut: bool, pairs: str
) -> list[str]:
    rows, columns = sizes
    lanes = min(lanes, columns)
    kind = Kind(elem, lanes if lanes > 1 else 0)
    scalar, size = register(elem), elem.itemsize
    vectors = columns // lanes
    places = [b.value(f"getelementptr {scalar}, ptr %c, i64 {i * width + j * lanes}") for i in range(rows) for j in range(vectors)]
    masks = [_below(b, lanes, b.sub("%columns", j * lanes)) for j in range(vectors)] if cut else []
    sums = [(kind.text, _read(b, kind, at, size, masks[n % vectors] if cut else "")) for n, at in enumerate(places)]
    starts = [b.value(f"getelementptr i8, ptr %a, i64 {b.mul('%stride', i)}") for i in range(rows)]
    ahead = b.mul("%step", AHEAD)
    with b.loop(0, "%end", unroll * size, [*sums, ("ptr", "%b")]) as loop:
        *totals, b_here = loop.carried
        heres = [b.value(f"getelementptr i8, ptr {start}, i64 {loop.index}") for start in starts]
        for step in range(unroll):
            across = [b.value(f"getelementptr {scalar}, ptr {b_here}, i64 {j * lanes}") for j in range(vectors)]
            row = [b.effect(f"load {kind.text}, ptr {at}, align {size}") for at in across]
            for line in range(0, columns * size if far else 0, LINE):
                at = b.value(f"getelementptr i8, ptr {b.value(f'getelementptr i8, ptr {b_here}, i64 {ahead}')}, i64 {line}")
                b.call("void", "llvm.prefetch.p0", ("ptr", at), ("i32", "0"), ("i32", "2"), ("i32", "1"), immediate=(1, 2, 3))
            for i in range(rows):
                one = b.effect(f"load {scalar}, ptr {b.value(f'getelementptr {scalar}, ptr {heres[i]}, i64 {step}')}, align 1")
                wide = _spread(b, kind, scalar, one)
                for j in range(vectors):
                    totals[i * vectors + j] = _multiply_add(b, kind, wide, row[j], totals[i * vectors + j], pairs)
            b_here = b.value(f"getelementptr i8, ptr {b_here}, i64 %step")
        loop.next = [*totals, b_here]
    for n, (at, total) in enumerate(zip(places, loop.carried, strict=False)):
        _write(b, kind, at, size, masks[n % vectors] if cut else "", total)
    return b.finish()


def _below(b: Builder, lanes: int, count: Scalar) -> str:
    """A mask of the first lanes."""
    few = b.value(f"trunc i64 {count} to i32")
    low = b.value(f"insertelement {vector('i32', lanes)} poison, i32 {few}, i64 0")
    all_ = b.value(f"shufflevector {vector('i32', lanes)} {low}, {vector('i32', lanes)} poison, {vector('i32', lanes)} zeroinitializer")
    return b.value(f"icmp slt {vector('i32', lanes)} <{', '.join(f'i32 {k}' for k in range(lanes))}>, {all_}")


def _read(b: Builder, kind: Kind, at: str, size: int, mask: str) -> str:
    if not mask:
        return b.effect(f"load {kind.text}, ptr {at}, align {size}")
    given = ("ptr", at), ("i32", str(size)), (kind.mask, mask), (kind.text, "zeroinitializer")
    return b.call(kind.text, f"llvm.masked.load.{kind.suffix}.p0", *given, pure=False, immediate=(1,))


def _write(b: Builder, kind: Kind, at: str, size: int, mask: str, total: str) -> None:
    if not mask:
        b.line(f"store {kind.text} {total}, ptr {at}, align {size}")
        return
    given = (kind.text, total), ("ptr", at), ("i32", str(size)), (kind.mask, mask)
    b.call("void", f"llvm.masked.store.{kind.suffix}.p0", *given, immediate=(2,))


def _spread(b: Builder, kind: Kind, scalar: str, one: str) -> str:
    if not kind.lanes:
        return one
    low = b.value(f"insertelement {kind.text} poison, {scalar} {one}, i64 0")
    return b.value(f"shufflevector {kind.text} {low}, {kind.text} poison, {vector('i32', kind.lanes)} zeroinitializer")


def _multiply_add(b: Builder, kind: Kind, x: str, y: str, total: str, pairs: str) -> str:
    if pairs:
        halves = vector("i16", 2 * kind.lanes)
        split = [(halves, b.value(f"bitcast {kind.text} {v} to {halves}")) for v in (x, y)]
        return b.value(f"add {kind.text} {total}, {b.call(kind.text, pairs, *split)}")
    if kind.elem.is_float:
        return b.call(kind.text, f"llvm.fma.{kind.suffix}", (kind.text, x), (kind.text, y), (kind.text, total))
    return b.value(f"add {kind.text} {total}, {b.value(f'mul {kind.text} {x}, {y}')}")
