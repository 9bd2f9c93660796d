"""What every backend must pass: each op on each type it is defined for, then random programs, against the interpreter.

`python -m tiledsl check <backend>` prints the table. For each op that its declaration lets stand alone a minimal kernel
is built, which loads its operands from arrays full of special values, applies it, and stores what it makes. Memory,
control flow and folds are drawn by the generator, as programs about that op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from .. import ops
from ..backend import registry
from ..backend.base import Backend, Options
from ..errors import TileError, TypeRuleError, Unsupported
from ..ir.core import Block, Builder, Kernel, Value
from ..ir.spec import OpSpec, infer_results
from ..ir.types import DTYPES, DType, Pointer, Tile, i1, i32
from .accesses import ACTIONS as ACCESSES
from .cases import Array, Case
from .nested import ACTIONS as NESTED
from .oracle import Disagreement, compare
from .programs import cases, pure_specs
from .values import specials

REFERENCE = "interpreter"
EVERY = tuple(DTYPES.values())
LANES = 37  # neither a power of two nor a multiple of a vector
ATTRIBUTES: dict[str, list[object]] = {
    "axis": [0],
    "bins": [5],
    "order": [(0,)],
    "shape": [(LANES, 1)],
    "start": [3],
    "starts": [(5,)],
    "stops": [(LANES - 1,)],
    "stop": [3 + LANES],
}
QUIET = settings(derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@dataclass
class Row:
    """What became of one op: the types it works on, those without a rule, and the first disagreement of each kind."""

    name: str
    passed: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        bad = "".join(
            f"  {title}: {' '.join(names)}" for title, names in (("no rule", self.unsupported), ("differs", list(self.wrong))) if names
        )
        return f"{self.name:14} {len(self.passed):4} passed{bad}"


def check(backend: str, programs: int = 50, about: int = 10, elems: Sequence[DType] = EVERY) -> list[Row]:
    """A row for each op, on these types, one for `programs` random programs about anything, and those that the backend adds: its `cases`,
    if it has such a method, as (row, kind, tiles, what to make of them) for elements and lanes."""
    rows = [_alone(backend, spec, elems) for spec in pure_specs(exact=False) if spec not in (ops.pointer, ops.address, ops.offset)]
    for spec in dict.fromkeys(spec for spec, _ in [*ACCESSES, *NESTED]):
        rows.append(_drawn(backend, spec, about))
    rows.append(_drawn(backend, None, programs))
    return [*rows, *own(backend, elems)]


def passes(rows: Sequence[Row]) -> bool:
    """Whether a backend does all that is asked."""
    return not any(row.unsupported or row.wrong for row in rows)


def _alone(backend: str, spec: OpSpec, elems: Sequence[DType]) -> Row:
    row = Row(spec.name)
    for name, case in minimal(spec, elems):
        _try(row, name, case, backend)
    return row


def own(backend: str, elems: Sequence[DType]) -> Iterable[Row]:
    """A row for each kind of case that a backend adds."""
    rows: dict[str, Row] = {}
    for name, kind, case in added(registry.find(backend), elems):
        _try(rows.setdefault(name, Row(name)), kind, case, backend)
    return rows.values()


def added(backend: Backend, elems: Sequence[DType] = EVERY) -> Iterator[tuple[str, str, Case]]:
    """The cases that a backend adds to those of ops, as (row, kind, case)."""
    given = getattr(backend, "cases", None)
    for name, kind, tiles, make in given(elems, LANES) if given is not None else ():
        try:
            yield name, kind, case_of(f"own_{name}", tiles, make)
        except TypeRuleError:
            continue


def _try(row: Row, name: str, case: Case, backend: str) -> None:
    try:
        compare(case, [REFERENCE, backend], Options())
    except Unsupported:
        row.unsupported.append(name)
    except (Disagreement, TileError) as difference:  # a trap, say, while the others agree
        row.wrong[name] = str(difference)
    else:
        row.passed.append(name)


def _drawn(backend: str, spec: OpSpec | None, count: int) -> Row:
    row = Row(spec.name if spec else "any program")
    if not count:
        return row

    @settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(cases(exact=False, about=spec))
    def run(case: Case) -> None:
        _try(row, f"#{len(row.passed) + len(row.wrong) + len(row.unsupported)}", case, backend)

    run()
    return row


# --- minimal kernels


def minimal(spec: OpSpec, elems: Sequence[DType] = EVERY) -> Iterator[tuple[str, Case]]:
    """A kernel for every combination of operand types and attributes that the typing rule accepts, named by the types."""
    if spec is ops.dot:
        yield from _products(elems)
        return
    for first in elems if spec.operands else [elems[0]]:
        for types in _types(spec, first):
            tiles = [Tile(t, (LANES,)) for t in types]
            for attrs in _attributes(spec, elems):
                if accepted(spec, tiles, attrs):
                    to = attrs.get("to") or attrs.get("type") or ""
                    yield f"{first if types else ''}{f'->{to}' if to else ''}", _kernel(spec, tiles, attrs)


def _types(spec: OpSpec, first: DType) -> Iterator[tuple[DType, ...]]:
    """What types operands may have, around one: they need not be alike, and the last may be absent."""
    for count in range(spec.required, len(spec.operands) + 1):
        for types in dict.fromkeys(product([first, i1, i32], repeat=count)):
            if not types or first in types:
                yield types


def accepted(spec: OpSpec, tiles: Sequence[Tile], attrs: dict[str, Any]) -> bool:
    try:
        infer_results(spec, tiles, attrs)
    except TypeRuleError:
        return False
    return True


def _attributes(spec: OpSpec, elems: Sequence[DType]) -> Iterator[dict[str, object]]:
    """Values for the attributes of an op: every type there is, and one of anything else."""
    choices: list[list[object]] = []
    for name, kind in spec.attrs.items():
        if kind is DType:
            choices.append(list(elems))
        elif kind is Tile:
            choices.append([Tile(t, (LANES,)) for t in elems])
        elif kind is bool:
            choices.append([False, True])
        elif spec is ops.constant:
            choices.append([1, 1.0])
        elif spec is ops.broadcast:
            choices.append([(LANES,)])
        else:
            choices.append(ATTRIBUTES.get(name, [0, 1]))
    for values in product(*choices):
        yield dict(zip(spec.attrs, values, strict=True))


def _products(elems: Sequence[DType]) -> Iterator[tuple[str, Case]]:
    for elem, total in ops.ACCUMULATORS.items():
        if elem not in elems:
            continue
        for batch in ((), (3,)):
            tiles = [Tile(elem, (*batch, 5, 9)), Tile(elem, (*batch, 9, 6)), Tile(total, (*batch, 5, 6))]
            yield f"{elem}{list(batch) or ''}", _kernel(ops.dot, tiles, {})


def _kernel(spec: OpSpec, tiles: Sequence[Tile], attrs: dict[str, Any]) -> Case:
    def make(build: Builder, operands: list[Value]) -> Any:
        if spec is ops.bitcast and tiles[0].elem.is_float:  # the bits of a NaN are not defined
            one = build.emit(ops.constant, value=1.0, type=tiles[0])
            operands = [build.emit(ops.select, build.emit(ops.eq, *operands, *operands), *operands, one)]
        return build.emit(spec, *operands, **attrs)

    return case_of(f"one_{spec.name}", tiles, make)


def case_of(name: str, tiles: Sequence[Tile], make: Callable[[Builder, list[Value]], Any]) -> Case:
    """A kernel that loads tiles of special values, makes something of them and stores it."""
    build = Builder(Block())
    args: list[Array] = []
    made = make(build, [_loaded(build, args, tile, position) for position, tile in enumerate(tiles)])
    for result in made if isinstance(made, tuple) else (made,):
        elem = result.type.elem
        assert isinstance(elem, DType)
        build.emit(ops.store, _pointers(build, args, "out", elem, result.type, np.zeros(result.type.size, elem.storage)), result)
    return Case(Kernel(name, build.block), (1, 1, 1), tuple(args))


def _loaded(build: Builder, args: list[Array], tile: Tile, position: int) -> Value:
    elem = tile.elem
    assert isinstance(elem, DType)
    values = np.resize(np.array(specials(elem), elem.numpy), tile.size)
    mixed = np.random.default_rng(position).permutation(values)  # so that each meets others
    loaded: Value = build.emit(ops.load, _pointers(build, args, f"in{position}", elem, tile, elem.encode(mixed)))
    return loaded


def _pointers(build: Builder, args: list[Array], name: str, elem: DType, tile: Tile, stored: np.ndarray) -> Value:
    base = Value(Tile(Pointer(elem)), name)
    build.block.args.append(base)
    args.append(Array(name, elem, np.ascontiguousarray(stored)))
    lanes: Value | None = None  # row-major, a stride for each axis
    for axis, extent in enumerate(tile.shape):
        along = build.emit(ops.arange, start=0, stop=extent)
        step = build.emit(ops.constant, value=int(np.prod(tile.shape[axis + 1 :])), type=along.type)
        alone = tuple(extent if d == axis else 1 for d in range(tile.rank))
        shaped = build.emit(ops.broadcast, build.emit(ops.reshape, build.emit(ops.mul, along, step), shape=alone), shape=tile.shape)
        lanes = shaped if lanes is None else build.emit(ops.add, lanes, shaped)
    assert lanes is not None
    pointers: Value = build.emit(ops.offset, build.emit(ops.broadcast, base, shape=tile.shape), lanes)
    return pointers
