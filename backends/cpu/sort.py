"""Sorting the rows of a tile: a network of compare-exchanges, whole vectors at a time.

Rows become integers that order as their values do, in memory of their own, and are merged from runs of one vector to runs
of everything. A merge compares a run with the mirror image of its neighbour, then ever nearer elements. The smaller one
always goes to the front, so that what would lie behind the end need not exist. The last steps stay inside one register.

Where only the first few are asked for, runs grow no longer than those: then of every two only the smaller half goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tiledsl.ir.core import Op
from tiledsl.ir.types import Elem, bf16, f16, f32, f64, i8, i16, i32, i64

from .access import pointer, scratch_pointer
from .code import Code, each
from .emit import Builder, Scalar
from .evaluate import assign
from .points import Point
from .types import Kind, is_float

EXPONENT: dict[Elem, int] = {f16: 0x7C00, bf16: 0x7F80, f32: 0x7F800000, f64: 0x7FF0000000000000}  # the bits of infinity


def sort(code: Code, op: Op) -> None:
    """Sort the rows of a tile in memory."""
    (source,) = op.operands
    elem, shape = source.type.elem, source.type.shape
    lanes = code.machine.vector_bytes // elem.itemsize
    piece = code.take(op.result)
    assign(code, source, piece)
    run = max(lanes, 1 << (code.leading.get(op.result, shape[-1]) - 1).bit_length())
    run = run if run < shape[-1] else 0
    keys = code.arena.take(elem, (-(-shape[-1] // max(run, lanes)) * max(run, lanes),))
    name = f"sort.{elem}.{'down' if op.attrs['descending'] else 'up'}{f'.{run}' * (run > 0)}"
    if name not in code.functions:
        code.functions[name] = Network(name, elem, op.attrs["descending"], lanes, run, code.b.declared).function()

    def row(point: Point) -> None:
        at = pointer(code, scratch_pointer(code, piece), list(zip(point.indices, piece.strides, strict=False)), elem)
        code.b.line(f"call void @{name}(ptr {at.text}, ptr {scratch_pointer(code, keys).text}, i64 {shape[-1]})")

    with code.nest():
        each(code, shape[:-1], row, None)
    code.arena.give(keys)


class Network:
    """The function that sorts one row, for any number of elements; or finds the first `run` of them, a power of two, in order."""

    def __init__(self, name: str, elem: Elem, descending: bool, lanes: int, run: int, declared: set[str]):
        self.name, self.elem, self.descending, self.lanes, self.run = name, elem, descending, lanes, run
        self.b = Builder(declared)
        self.width = elem.itemsize * 8
        self.scalar, self.vector = f"i{self.width}", f"<{lanes} x i{self.width}>"
        self.signed = is_float(elem) or elem.is_signed

    def function(self) -> list[str]:
        """Its text."""
        b, lanes = self.b, self.lanes
        size = self.run or lanes
        end = b.value(f"and i64 {b.value(f'add i64 %n, {size - 1}')}, {-size}")
        self._converted("%row", "%keys", "%n", self._key)
        with b.loop("%n", end) as behind:
            self._store("%keys", behind.index, str((1 << self.width - self.signed) - 1), self.scalar)
        self._in_registers(end, [d for k in _powers(lanes) for d in (2 * k - 1, *reversed(_powers(k)))])
        if not self.run:
            self._merged(end, self._rounds(end, lanes))
        else:
            self._merged(end, str((size // lanes).bit_length() - 1))
            self._halved(end)
        self._converted("%keys", "%row", str(self.run) if self.run else "%n", self._value)
        head = f"define internal void @{self.name}(ptr noalias %row, ptr noalias %keys, i64 %n) nounwind {{"
        return [head, "entry:", *b.finish(), "ret void", "}"]

    # --- the steps of the network

    def _rounds(self, end: str, size: Scalar) -> str:
        """How often runs of a size are to be joined in twos until one is left."""
        last = self.b.value(f"sub i64 {self.b.value(f'udiv i64 {end}, {size}')}, 1")
        return self.b.value(f"sub i64 64, {self.b.call('i64', 'llvm.ctlz.i64', ('i64', last), ('i1', 'false'), immediate=(1,))}")

    def _merged(self, end: str, phases: str) -> None:
        """From runs of a vector in order to those so many times twice as long."""
        b, lanes = self.b, self.lanes
        with b.loop(0, phases, 1, [("i64", str(2 * lanes))]) as phase:
            (size,) = phase.carried
            self._mirrored(end, size)
            with b.loop(0, phase.index, 1, [("i64", b.value(f"lshr i64 {size}, 2"))]) as nearer:
                self._apart(end, nearer.carried[0])
                nearer.next = [b.effect(f"lshr i64 {nearer.carried[0]}, 1")]
            self._in_registers(end, [*reversed(_powers(lanes))])
            phase.next = [b.effect(f"shl i64 {size}, 1")]

    def _halved(self, end: str) -> None:
        """From runs in order to one of the smallest of all: what is smaller in two of them, put in order again."""
        b, lanes, size = self.b, self.lanes, self.run
        with b.loop(0, self._rounds(end, size), 1, [("i64", end)]) as turn:
            runs = b.value(f"udiv i64 {turn.carried[0]}, {size}")
            pairs, alone = b.value(f"lshr i64 {runs}, 1"), b.value(f"and i64 {runs}, 1")
            with b.loop(0, pairs) as pair:
                to, start = b.mul(pair.index, size), b.mul(pair.index, 2 * size)
                with b.loop(0, size, lanes) as loop:
                    x = self._load("%keys", b.add(start, loop.index))
                    mirror = b.sub(b.add(start, 2 * size - lanes), loop.index)
                    y = self._exchanged(self._load("%keys", mirror), lanes - 1)
                    self._store("%keys", b.add(to, loop.index), self._chosen("min", x, y))
            with b.loop(0, b.mul(alone, size), lanes) as loop:
                x = self._load("%keys", b.add(b.sub(turn.carried[0], size), loop.index))
                self._store("%keys", b.add(b.mul(pairs, size), loop.index), x)
            left = str(b.mul(b.add(pairs, alone), size))
            for distance in reversed(_powers(size)):
                if distance >= lanes:
                    self._apart(left, str(distance))
            self._in_registers(left, [*reversed(_powers(lanes))])
            turn.next = [left]

    def _mirrored(self, end: str, size: str) -> None:
        """In every run of `size`, element i with the one as far from its end."""
        b, lanes = self.b, self.lanes
        half, last = b.value(f"lshr i64 {size}, 1"), b.value(f"sub i64 {size}, {lanes}")
        with self._runs(end, size) as start:
            beyond = b.sub(b.add(start, size), end)  # what has no partner
            with b.loop(b.most(0, beyond), half, lanes) as loop:
                low, high = b.add(start, loop.index), b.sub(b.add(start, last), loop.index)
                x, y = self._load("%keys", low), self._exchanged(self._load("%keys", high), lanes - 1)
                self._store("%keys", low, self._chosen("min", x, y))
                self._store("%keys", high, self._exchanged(self._chosen("max", x, y), lanes - 1))

    def _apart(self, end: str, distance: str) -> None:
        """Every element with the one at a distance of at least a vector."""
        b = self.b
        with self._runs(end, b.value(f"shl i64 {distance}, 1")) as start:
            with b.loop(start, b.least(b.add(start, distance), b.sub(end, distance)), self.lanes) as loop:
                high = b.add(loop.index, distance)
                x, y = self._load("%keys", loop.index), self._load("%keys", high)
                self._store("%keys", loop.index, self._chosen("min", x, y))
                self._store("%keys", high, self._chosen("max", x, y))

    def _in_registers(self, end: str, flips: Sequence[int]) -> None:
        """In every vector, for one set of bits after another: each lane with the one whose number differs in just these bits."""
        lanes = self.lanes
        with self.b.loop(0, end, lanes) as loop:
            x = self._load("%keys", loop.index)
            for flip in flips:
                y = self._exchanged(x, flip)
                low, high = self._chosen("min", x, y), self._chosen("max", x, y)
                picks = ", ".join(f"i32 {k + lanes * (k ^ flip < k)}" for k in range(lanes))
                x = self.b.effect(f"shufflevector {self.vector} {low}, {self.vector} {high}, <{lanes} x i32> <{picks}>")
            self._store("%keys", loop.index, x)

    @contextmanager
    def _runs(self, end: str, size: str) -> Iterator[Scalar]:
        """Where every run of `size` starts."""
        b = self.b
        above = b.value(f"sub i64 {size}, 1")
        count = b.value(f"udiv i64 {b.value(f'add i64 {end}, {above}')}, {size}")
        with b.loop(0, count) as loop:
            yield b.mul(loop.index, size)

    # --- elements

    def _at(self, where: str, index: Scalar) -> str:
        return self.b.effect(f"getelementptr {self.scalar}, ptr {where}, i64 {index}")

    def _load(self, where: str, index: Scalar, kind: str = "") -> str:
        return self.b.effect(f"load {kind or self.vector}, ptr {self._at(where, index)}, align {self.elem.itemsize}")

    def _store(self, where: str, index: Scalar, value: str, kind: str = "") -> None:
        self.b.line(f"store {kind or self.vector} {value}, ptr {self._at(where, index)}, align {self.elem.itemsize}")

    def _exchanged(self, x: str, flip: int) -> str:
        """Lane k is what lane k ^ flip was."""
        picks = ", ".join(f"i32 {k ^ flip}" for k in range(self.lanes))
        return self.b.effect(f"shufflevector {self.vector} {x}, {self.vector} poison, <{self.lanes} x i32> <{picks}>")

    def _chosen(self, which: str, x: str, y: str) -> str:
        name = f"llvm.{'s' if self.signed else 'u'}{which}.v{self.lanes}{self.scalar}"
        return self.b.call(self.vector, name, (self.vector, x), (self.vector, y), pure=False)

    def _converted(self, source: str, target: str, count: Scalar, convert: Callable[[str, Kind], str]) -> None:
        """So many elements of a row through a function, in vectors and then one by one."""
        b = self.b
        whole = b.value(f"and i64 {count}, {-self.lanes}")
        for lo, hi, step, lanes in ((0, whole, self.lanes, self.lanes), (whole, count, 1, 0)):
            kind = Kind({8: i8, 16: i16, 32: i32, 64: i64}[self.width], lanes)
            with b.loop(lo, hi, step) as loop:
                self._store(target, loop.index, convert(self._load(source, loop.index, kind.text), kind), kind.text)

    def _key(self, x: str, kind: Kind) -> str:
        """An integer that orders as the value does, or the other way round if that is asked for."""
        if is_float(self.elem):
            size = self.b.value(f"and {kind.text} {x}, {kind.constant((1 << self.width - 1) - 1)}")
            strange = self.b.value(f"icmp ugt {kind.text} {size}, {kind.constant(EXPONENT[self.elem])}")
            largest = kind.constant((1 << self.width - 1) - 1)
            x = self.b.value(f"select {kind.mask} {strange}, {kind.text} {largest}, {kind.text} {self._ordered(x, kind)}")
        return self._upside_down(x, kind)

    def _value(self, key: str, kind: Kind) -> str:
        """The value again; a NaN is one of many."""
        key = self._upside_down(key, kind)
        return self._ordered(key, kind) if is_float(self.elem) else key

    def _ordered(self, x: str, kind: Kind) -> str:
        """The bits of a float as a signed integer that orders as it does, and back: negative ones count down."""
        sign = self.b.value(f"ashr {kind.text} {x}, {kind.constant(self.width - 1)}")
        return self.b.value(f"xor {kind.text} {x}, {self.b.value(f'and {kind.text} {sign}, {kind.constant((1 << self.width - 1) - 1)}')}")

    def _upside_down(self, x: str, kind: Kind) -> str:
        return self.b.value(f"xor {kind.text} {x}, {kind.constant(-1)}") if self.descending else x


def _powers(limit: int) -> list[int]:
    """The powers of two below a limit."""
    return [1 << k for k in range((limit - 1).bit_length())]
