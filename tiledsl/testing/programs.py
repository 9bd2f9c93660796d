"""Random well-typed kernels, derived from the op declarations alone; shrinks to small ones.

Two habits make them find bugs: a palette of one or two types per program, so that values meet, and few kinds of op per
program (swarm), so that combinations are dense. Every value reaches memory, so that all of them are compared.
"""

from __future__ import annotations

import enum
import typing
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import Any, TypeVar

from hypothesis import strategies as st

from .. import ops
from ..errors import TypeRuleError
from ..ir.core import Block, Builder, Kernel, Value
from ..ir.spec import SPECS, OpSpec, infer_results
from ..ir.types import DTYPES, DType, Tile, f16, f32, i1, i32
from . import accesses, nested, phrases
from .cases import Array, Case
from .values import arrays, constants, numbers

T = TypeVar("T")
SHAPES = ((), (4,), (8,), (7,), (4, 8), (4, 4), (5, 3), (33,), (4, 1), (1, 8), (2, 3, 4), (16, 16), (3, 40), (64,), (1,), (2, 1, 5), (100,))
ELEMS = (*DTYPES.values(), *[f32] * 8, *[i32] * 4, *[f16] * 2)  # mostly those that users use most
LARGEST = 600  # elements of a tile
GRIDS = ((1, 1, 1), (3, 1, 1), (4, 1, 1), (2, 2, 1), (1, 2, 2))


def pure_specs(exact: bool = True) -> list[OpSpec]:
    """The ops that are drawn by their declaration alone; memory and control are written in `accesses` and `nested`."""
    return [s for s in SPECS.values() if s.effect == "pure" and not s.blocks and not s.variadic and (s.ulp is None or not exact)]


class Author:
    """Writes one random kernel: what all its blocks share."""

    def __init__(self, draw: st.DrawFn, exact: bool, about: OpSpec | None, most: int):
        self.draw = draw
        self.body = Block()
        self.args: list[Any] = []  # a callable makes its array when the kernel is done
        self.grid: tuple[int, int, int] = self.pick(GRIDS)
        self.programs = self.grid[0] * self.grid[1] * self.grid[2]
        drawn = about is not None and about in pure_specs(exact) and about not in WRITTEN
        at_home = [e for e in ELEMS if not drawn or about is None or _may_fit(about, (Tile(e),))]
        elems = draw(st.lists(st.sampled_from(at_home), min_size=1, max_size=2, unique=True))
        self.shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=2, unique=True))
        self.palette = [Tile(elem, shape) for elem in elems for shape in self.shapes]
        fitting = [s for s in pure_specs(exact) if _may_fit(s, tuple(self.palette))]
        self.menu: list[OpSpec | Action] = [*draw(st.lists(st.sampled_from(fitting), min_size=2, max_size=4))]
        if self.chance(2):  # casts and shapes join whatever else there is
            self.menu.append(self.pick([s for s in fitting if s.attrs]))
        if about is not None:
            self.menu += [about] * 2 if drawn else [action for spec, action in ACTIONS if spec is about]
        self.menu += draw(st.lists(st.sampled_from([action for _, action in ACTIONS]), max_size=3))
        if self.chance(3):
            self.menu.append(self.pick(phrases.EXACT if exact else phrases.PHRASES))
        self.wild = self.chance(2)  # whether memory is accessed in all ways, or plainly, which leaves room for the rest
        self.left = draw(st.integers(1, most))  # statements still to write
        self.buffers = accesses.Buffers(self)

    def pick(self, choices: Sequence[T]) -> T:
        """One of some choices; earlier ones are simpler."""
        return choices[self.draw(_below(len(choices)))] if len(choices) > 1 else choices[0]

    def chance(self, one_in: int) -> bool:
        """Rarely true; false is simpler."""
        return self.draw(_below(one_in)) == one_in - 1

    def param(self, name: str, type: Tile, arg: Any, divisible: int = 1) -> Value:
        """A new parameter of the kernel and the argument it receives."""
        value = Value(type, name, divisible=divisible)
        self.body.args.append(value)
        self.args.append(arg)
        return value

    def case(self) -> Case:
        """Write the kernel and fill its arrays."""
        scope = Scope(self, Builder(self.body), [], {}, depth=0)
        for tile in self.palette[: 1 + self.draw(_below(len(self.palette)))]:
            scope.fresh(tile)
        scope.statements()
        keep_all = self.chance(4)  # else only what nothing else uses: intermediate tiles need not exist in memory
        used = {v for op in self.body.walk() for v in op.operands}
        for value in scope.pool:
            if keep_all or value not in used:
                accesses.store_out(scope, value)
        args = [self.draw(a.contents()) if isinstance(a, accesses.Pending) else a for a in self.args]
        return Case(Kernel("random", self.body), self.grid, tuple(args))


class Scope:
    """The block being written: what is visible in it, and what is known of its integers."""

    def __init__(self, author: Author, build: Builder, pool: list[Value], ranges: dict[Value, tuple[int, int]], depth: int):
        self.author, self.build, self.pool, self.ranges, self.depth = author, build, pool, ranges, depth
        self.pick, self.chance, self.draw = author.pick, author.chance, author.draw

    def emit(self, spec: OpSpec, *operands: Value, **attrs: Any) -> Any:
        return self.build.emit(spec, *operands, **attrs)

    def inner(self, args: Sequence[Value]) -> Scope:
        """A scope for a block nested in this one."""
        visible = [*self.pool, *(a for a in args if isinstance(a.type.elem, DType))]
        return Scope(self.author, self.build.nested(args), visible, dict(self.ranges), self.depth + 1)

    def statements(self) -> None:
        """Fill the block: the whole kernel with all that is left, a nested block with a few."""
        count = self.draw(st.integers(1, 4)) if self.depth else self.author.left
        for _ in range(count):
            if self.author.left <= 0:
                return
            self.author.left -= 1
            self.statement()

    def statement(self) -> None:
        what = self.pick(self.author.menu)
        made = self.by_declaration(what) if isinstance(what, OpSpec) else what(self)
        self.keep(made)

    def keep(self, made: Sequence[Value]) -> None:
        """Let later statements use these values."""
        self.pool += [v for v in made if isinstance(v.type.elem, DType) and v.type.size <= LARGEST]

    # --- operands

    def value(self, tile: Tile) -> Value:
        """A value of this type, old or new."""
        alike = [v for v in self.pool if v.type == tile]
        return self.pick(alike[::-1]) if alike and not self.chance(4) else self.fresh(tile)

    def fresh(self, tile: Tile) -> Value:
        """A new value of this type: a constant, a parameter, or loaded."""
        source = self.pick(["constant", "load", "parameter", "constant"])
        if source == "load":
            made = accesses.load(self, tile)
        elif source == "parameter":
            made = self.parameter(tile)
        else:
            made = self.constant(tile, self.draw(constants(_elem(tile))))
        self.keep([made])
        return made

    def constant(self, tile: Tile, value: int | float) -> Value:
        number = float(value) if tile.elem.is_float else int(value)
        made: Value = self.emit(ops.constant, value=number, type=tile)
        if not tile.shape and tile.elem.is_int:
            self.ranges[made] = (int(value), int(value))
        return made

    def integer(self, value: int, dtype: DType = i32) -> Value:
        """A known integer: a constant, or a parameter that happens to have this value."""
        if not self.chance(4):
            return self.constant(Tile(dtype), value)
        divisible = 16 if value % 16 == 0 and self.chance(2) else 1
        made = self.author.param("n", Tile(dtype), value, divisible)
        self.ranges[made] = (value, value)
        return made

    def parameter(self, tile: Tile) -> Value:
        elem = _elem(tile)
        scalar = self.author.param("s", tile.scalar(), self.draw(numbers(elem)))
        return self.emit(ops.broadcast, scalar, shape=tile.shape) if tile.shape else scalar

    # --- ops by declaration

    def by_declaration(self, spec: OpSpec) -> list[Value]:
        """One op of this kind on values there are, if its typing rule accepts any."""
        attrs: dict[str, Any] = {}
        if spec in OPERANDS:
            operands = OPERANDS[spec](self)
        elif len(spec.operands) == 1 and spec.attrs:
            operands = [self.any_value()]
        else:  # which types fit each other may depend on the attributes
            attrs = self._attributes(spec, ())
            operands = self._accepted(spec, attrs)
        if operands is None:
            return []
        attrs = attrs or self._attributes(spec, operands)
        try:
            out = self.emit(spec, *operands, **attrs)
        except TypeRuleError:
            return []
        return list(out) if isinstance(out, tuple) else [out]

    def any_value(self) -> Value:
        """One of the values there are, the newest first."""
        return self.pick(self.pool[::-1]) if self.pool else self.fresh(self.author.palette[0])

    def defined(self, x: Value) -> Value:
        """A value whose bits are defined: those of a NaN are not."""
        if not x.type.elem.is_float:
            return x
        number: Value = self.emit(ops.select, self.emit(ops.eq, x, x), x, self.constant(x.type, 1.0))
        return number

    def _accepted(self, spec: OpSpec, attrs: dict[str, Any]) -> list[Value] | None:
        """Operands whose types the typing rule accepts; optional ones may be absent."""
        palette = self.author.palette
        types = dict.fromkeys([*(v.type for v in self.pool[::-1]), *palette, *(t.like(i1) for t in palette)])
        if attrs:
            types |= dict.fromkeys(t.like(i32) for t in palette)
        count = self.pick(range(len(spec.operands), spec.required - 1, -1))
        accepted = _combinations(spec, list(types)[:8], count, tuple(attrs.items()))
        if not accepted:
            return None
        wide = [types for types in accepted if any(t.elem is not i1 for t in types)]
        chosen = self.pick(wide if wide and not self.chance(8) else accepted)
        if len(chosen) > 1 and self.chance(3):  # what rules look for: x + 0, x * 1, x / 2
            last = chosen[-1]
            return [*(self.value(t) for t in chosen[:-1]), self.constant(last, self.draw(constants(_elem(last))))]
        return [self.value(t) for t in chosen]

    def _attributes(self, spec: OpSpec, operands: Sequence[Value]) -> dict[str, Any]:
        return {k: self.draw(self._attribute(spec, k, kind, operands)) for k, kind in spec.attrs.items()}

    def _attribute(self, spec: OpSpec, key: str, kind: Any, operands: Sequence[Value]) -> st.SearchStrategy[Any]:
        if spec is ops.bitcast:
            return _same_width(operands)
        if spec is ops.broadcast:
            return _wider(self, operands)
        return ATTRIBUTES[key](operands) if key in ATTRIBUTES else self._by_annotation(kind)

    def _by_annotation(self, kind: Any) -> st.SearchStrategy[Any]:
        if kind is int:
            return st.integers(0, 8)
        if kind is bool:
            return st.booleans()
        if kind is float:
            return st.sampled_from([0.0, 1.0, -0.0, 2.5, float("inf"), float("nan")])
        if kind is Tile:
            return st.sampled_from(self.author.palette)
        if kind is DType:
            return st.sampled_from([_elem(t) for t in self.author.palette]) | st.sampled_from(list(DTYPES.values()))
        if typing.get_origin(kind) is tuple:
            return st.sampled_from(self.author.shapes)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return st.sampled_from(list(kind))
        return st.sampled_from([0, 1])


Action = Callable[[Scope], Sequence[Value]]


def _elem(tile: Tile) -> DType:
    assert isinstance(tile.elem, DType)
    return tile.elem


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


Attributes = tuple[tuple[str, Any], ...]


@lru_cache(maxsize=100_000)
def _accepts(spec: OpSpec, types: tuple[Tile, ...], attrs: Attributes) -> bool:
    """Whether a typing rule accepts these operands, and makes something that may be kept."""
    try:
        return all(isinstance(t.elem, DType) and t.size <= LARGEST for t in infer_results(spec, types, dict(attrs)))
    except TypeRuleError:
        return False


def _combinations(spec: OpSpec, types: Sequence[Tile], count: int, attrs: Attributes = ()) -> list[tuple[Tile, ...]]:
    """The operand types, out of some, that a typing rule accepts."""
    return [chosen for chosen in product(types, repeat=count) if _accepts(spec, chosen, attrs)]


WRITTEN = (ops.constant, ops.pointer, ops.address, ops.offset)  # where values are made, and by `accesses`


@lru_cache(maxsize=4096)
def _may_fit(spec: OpSpec, palette: tuple[Tile, ...]) -> bool:
    """Whether an op has a place among these types; with attributes it is tried when drawn."""
    if spec in WRITTEN:
        return False
    return bool(spec.attrs) or spec in OPERANDS or bool(_combinations(spec, [*palette, *(t.like(i1) for t in palette)], len(spec.operands)))


# --- what a declaration does not tell: operands that must fit each other, attributes that must fit an operand


def _matrices(scope: Scope) -> list[Value] | None:
    """Operands of a dot product."""
    elems = [e for t in scope.author.palette if (e := _elem(t)) in ops.ACCUMULATORS] or list(ops.ACCUMULATORS)
    a = scope.pick(elems)
    m, k, n = (scope.pick([4, 8, 1, 5, 16, 33]) for _ in range(3))
    batch = scope.pick([(), (), (2,), (1, 3)])
    return [scope.value(Tile(t, (*batch, *shape))) for t, shape in ((a, (m, k)), (a, (k, n)), (ops.ACCUMULATORS[a], (m, n)))]


OPERANDS: dict[OpSpec, Callable[[Scope], list[Value] | None]] = {
    ops.dot: _matrices,
    ops.bitcast: lambda scope: [scope.defined(scope.any_value())],
}


def _wider(scope: Scope, operands: Sequence[Value]) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes a tile may be broadcast to."""
    shape = operands[0].type.shape
    return st.sampled_from([tuple(n if n > 1 else 3 for n in shape)] if shape else [*scope.author.shapes, (3, 7)])


def _shapes(operands: Sequence[Value]) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes a tile may be reshaped to."""
    n = operands[0].type.size
    halves = [(d, n // d) for d in range(2, n) if n % d == 0]
    return st.sampled_from([*halves, (n,), (n, 1), (1, n), *[(2, n // 4, 2)] * (n % 4 == 0), *[()] * (n == 1)])


def _orders(operands: Sequence[Value]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.permutations(range(operands[0].type.rank)).map(tuple)


def _same_width(operands: Sequence[Value]) -> st.SearchStrategy[DType]:
    return st.sampled_from([t for t in DTYPES.values() if t.bits == _elem(operands[0].type).bits])


def _bounds(first: bool) -> Callable[[Sequence[Value]], st.SearchStrategy[tuple[int, ...]]]:
    """Where a part of a tile starts, or stops: near the ends of every axis, so that most draws fit each other."""

    def draw(operands: Sequence[Value]) -> st.SearchStrategy[tuple[int, ...]]:
        near = [(n, range(min(3, (n + 1) // 2))) for n in operands[0].type.shape]
        return st.tuples(*(st.sampled_from([k if first else n - k for k in ks]) for n, ks in near))

    return draw


ATTRIBUTES: dict[str, Callable[[Sequence[Value]], st.SearchStrategy[Any]]] = {
    "shape": _shapes,
    "order": _orders,
    "axis": lambda operands: st.integers(0, 1),
    "starts": _bounds(True),
    "stops": _bounds(False),
    "bins": lambda operands: st.sampled_from([5, 1, 16]),
    "stop": lambda operands: st.sampled_from([9, 16, 40]),
}
ACTIONS: list[tuple[OpSpec, Action]] = [*accesses.ACTIONS, *nested.ACTIONS]


@st.composite
def _case(draw: st.DrawFn, exact: bool, about: OpSpec | None, most: int) -> Case:
    return Author(draw, exact, about, most).case()


def cases(exact: bool = True, about: OpSpec | None = None, most: int = 30) -> st.SearchStrategy[Case]:
    """Random launches of up to `most` statements; all about one op if one is named. With exact=False also ops that before
    the `numerics` pass are defined only within a bound."""
    # a list of one, because Hypothesis spends five of six examples on variations of the one before, which share its ops
    # and types, but for what is drawn inside of unique lists
    return st.lists(_case(exact, about, most), min_size=1, max_size=1, unique_by=id).map(lambda drawn: drawn[0])


def kernels(exact: bool = True) -> st.SearchStrategy[Kernel]:
    """Random kernels, when arguments do not matter."""
    return cases(exact).map(lambda case: case.kernel)


__all__ = ["Array", "Author", "Case", "Scope", "arrays", "cases", "kernels", "pure_specs"]
