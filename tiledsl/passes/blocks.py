"""Turns loads and stores through affine pointer tiles into block transfers: a base, a stride per axis, bounds.

    x + (pid * 64 + arange(64)), mask: < n      ->  base x + pid * 64, stride 1, 0 <= index < n - pid * 64
    a += BLOCK_K * stride in a loop             ->  the loop carries the scalar base; strides stay
    x + (rows % M)[:, None] * n + arange(64)    ->  base x, an offset for every row instead of a stride, where the machine can

What is not affine stays as it is: the access, or the part of its mask. Index arithmetic is scalar, in i64. The pointer
tiles themselves are left to `dead`, if nothing else uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from .. import ops
from ..ir.core import Block, Builder, Kernel, Op, Value
from ..ir.rebuild import Copier
from ..ir.types import Tile, i64
from ..machine import Machine
from .affine import ZERO, Affine, Bound, Box, Forms, Sum, everything, known
from .constants import is_constant, is_uniform, scalar_of

INDEX = Tile(i64)


def blocks(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with block transfers where pointers are affine; itself if they nowhere are."""
    forms = Forms(kernel, machine.offsets)
    accesses: dict[Op, tuple[Affine, Box]] = {}
    for op in kernel.body.walk():
        if op.spec in (ops.load, ops.store) and op.operands[0].type.shape:
            form = forms.form(op.operands[0])
            if form is not None and _is_block(op, form):
                mask = _mask_of(op, op.operands)
                accesses[op] = (form, everything(len(form.steps)) if mask is None else forms.box(mask))
    if not accesses:
        return kernel
    return _Rewrite(forms, accesses).kernel(kernel)


def _is_block(op: Op, form: Affine) -> bool:
    """Whether an access is better as a block: some axis at least has a stride; of a store, the one that vectors run along."""
    strided = (
        [not table for table, extent in zip(form.tables, op.operands[0].type.shape, strict=True) if extent > 1] if form.tables else [True]
    )
    return strided[-1] if op.spec is ops.store else any(strided)


def _mask_of(op: Op, operands: Sequence[Value]) -> Value | None:
    place = op.spec.operands.index("mask")
    return operands[place] if len(operands) > place else None


def _number(bound: Bound) -> int | None:
    """The bound, if no scalar is in it."""
    total = known(bound.total)
    return None if total is None else total // bound.by


def _holds(box: Box, axis: int, extent: int) -> bool:
    """Whether every index of an axis is known to lie between its bounds."""
    lows, highs = map(_number, box.lows[axis]), map(_number, box.highs[axis])
    return all(n is not None and n <= 0 for n in lows) and all(n is not None and n >= extent for n in highs)


class _Rewrite:
    """Rebuilds a kernel with the accesses as blocks, and the loops with the bases they carry."""

    def __init__(self, forms: Forms, accesses: dict[Op, tuple[Affine, Box]]):
        self.forms, self.accesses = forms, accesses
        used = [v for form, box in accesses.values() for part in (form, box) for v in part.scalars()]
        self.carried = forms.needed(used)
        self.yields = {op.blocks[0].ops[-1]: op for op in self.carried}
        self.made: dict[tuple[Any, ...], Value] = {}  # index arithmetic, by block

    def kernel(self, kernel: Kernel) -> Kernel:
        return Kernel(kernel.name, Copier(Block(), {}, self.visit).copy_block(kernel.body))

    def visit(self, build: Copier, op: Op, operands: list[Value]) -> Any:
        if op in self.accesses:
            return self.access(build, op, operands)
        if op in self.carried:
            return self.loop(build, op, operands)
        if op in self.yields:
            loop = self.yields[op]
            bases = [self.base(build, op.operands[c.place]) for c in self.carried[loop]]
            return build.emit(ops.yield_, *operands, *bases)
        return None

    def loop(self, build: Copier, op: Op, operands: list[Value]) -> Any:
        """The loop, carrying scalars behind the values that it carries already; `dead` drops those not used."""
        carried, (old,) = self.carried[op], op.blocks
        starts = [self.base(build, op.operands[3 + c.place]) for c in carried]
        arguments = [Value(a.type, a.name) for a in (*old.args, *(c.argument for c in carried))]
        build.new_of.update(zip((c.argument for c in carried), arguments[len(old.args) :], strict=True))
        inner = Copier(Block(arguments), build.new_of, self.visit)
        inner.splice(old, arguments[: len(old.args)])
        results = build.emit(ops.for_, *operands, *starts, blocks=[inner.block], **op.attrs)
        results = results if isinstance(results, tuple) else (results,)
        for c, result in zip(carried, results[len(op.results) :], strict=True):
            build.new_of[c.result] = result
            result.name = c.result.name
        return results[: len(op.results)]

    # --- accesses

    def access(self, build: Copier, op: Op, operands: list[Value]) -> Any:
        form, box = self.accesses[op]
        base = self.pointer(build, form)
        shape = op.operands[0].type.shape
        strides = [self.sum(build, step) for step in form.steps]
        for axis, table in enumerate(form.tables):
            if table:
                strides[axis] = self.looked_up(build, shape[axis], strides[axis], table)
        checked, bounds = self.bounds(build, box, shape)
        mask = self.mask(build, box)
        rest = [*strides, *bounds, *([] if mask is None else [mask])]
        masked = mask is not None
        if op.spec is ops.store:
            return build.emit(ops.store_block, base, operands[1], *rest, checked=checked, masked=masked)
        other = operands[2] if len(operands) > 2 and (checked or masked) else None
        filled = other is not None and is_uniform(other) and not is_constant(other, 0)
        if other is not None and filled:
            rest.append(scalar_of(build, other))
        loaded = build.emit(ops.load_block, base, *rest, shape=shape, checked=checked, masked=masked, filled=filled)
        if other is None or is_uniform(other):
            return loaded
        return build.emit(ops.select, operands[1], loaded, other)

    def bounds(self, build: Copier, box: Box, shape: tuple[int, ...]) -> tuple[tuple[int, ...], list[Value]]:
        """The checked axes, and lo and hi of each. Conditions that do not hold leave the first of them empty."""
        ends = {d: self.ends(build, box, d, extent) for d, extent in enumerate(shape) if not _holds(box, d, extent)}
        if box.conditions:
            first = min(ends, default=0)
            lo, hi = ends.get(first) or self.ends(build, box, first, shape[first])
            ends[first] = (lo, build.emit(ops.select, self.condition(build, box), hi, self.constant(build, 0)))
        return tuple(ends), [end for pair in ends.values() for end in pair]

    def ends(self, build: Copier, box: Box, axis: int, extent: int) -> tuple[Value, Value]:
        """The largest of the lower bounds and the least of the upper ones; 0 and the extent if there are none."""
        return (
            self.tightest(build, box.lows[axis], 0, max, ops.maximum),
            self.tightest(build, box.highs[axis], extent, min, ops.minimum),
        )

    def tightest(self, build: Copier, bounds: Sequence[Bound], limit: int, best: Any, spec: Any) -> Value:
        number = best([limit, *(n for bound in bounds if (n := _number(bound)) is not None)])
        values = [self.quotient(build, bound) for bound in bounds if known(bound.total) is None]
        if not values or number != limit:
            values.append(self.constant(build, number))
        out = values[0]
        for value in values[1:]:
            out = build.emit(spec, out, value)
        return out

    def condition(self, build: Copier, box: Box) -> Value:
        """All conditions on scalars together."""
        out: Value | None = None
        for condition in box.conditions:
            if isinstance(condition, Value):
                holds = build.new_of[condition]
            else:
                holds = build.emit(ops.lt, self.sum(build, condition.total), self.sum(build, ZERO))
            out = holds if out is None else build.emit(ops.and_, out, holds)
        assert out is not None
        return out

    def mask(self, build: Copier, box: Box) -> Value | None:
        """What of a mask is no box."""
        out: Value | None = None
        for mask, path in box.others:
            value = build.new_of[mask]
            for spec, attrs in path:
                value = build.emit(spec, value, **attrs)
            out = value if out is None else build.emit(ops.and_, out, value)
        return out

    # --- index arithmetic

    def base(self, build: Copier, tile: Value) -> Value:
        """The base of an affine tile, as a scalar."""
        form = self.forms.form(tile)
        assert form is not None
        return self.sum(build, form.base) if form.pointer is None else self.pointer(build, form)

    def pointer(self, build: Copier, form: Affine) -> Value:
        assert form.pointer is not None
        start = build.new_of[form.pointer]
        return self.once(build, ops.offset, start, self.sum(build, form.base)) if form.base else start

    def sum(self, build: Copier, total: Sum) -> Value:
        """A sum of products, computed in i64."""
        number = total.get((), 0)
        terms = sorted(((n, product) for product, n in total.items() if product), key=lambda term: term[0] < 0)
        # what is subtracted after what is added; the number last, or first if there is nothing else to subtract from
        out = self.constant(build, number) if not terms or (number and terms[0][0] == -1) else None
        last = 0 if out is not None else number
        for n, product in terms:
            value = self.wide(build, build.new_of[product[0]])
            for factor in product[1:]:
                value = self.once(build, ops.mul, value, self.wide(build, build.new_of[factor]))
            if out is not None and n == -1:
                out = self.once(build, ops.sub, out, value)
                continue
            if n != 1:
                value = self.once(build, ops.mul, value, self.constant(build, n))
            out = value if out is None else self.once(build, ops.add, out, value)
        assert out is not None
        return self.once(build, ops.add, out, self.constant(build, last)) if last else out

    def looked_up(self, build: Copier, extent: int, stride: Value, table: Sum) -> Value:
        """The offset of every index of an axis: index * stride, and what is looked up."""
        tile = Tile(i64, (extent,))
        numbers = self.once(build, ops.cast, self.once(build, ops.arange, start=0, stop=extent), to=i64)
        parts = [self.once(build, ops.mul, numbers, self.spread(build, stride, tile))] if not is_constant(stride, 0) else []
        for product, count in table.items():
            scale = self.sum(build, {tuple(v for v in product if not v.type.shape): count})
            for value in (build.new_of[v] for v in product if v.type.shape):
                flat = value if value.type.rank == 1 else self.once(build, ops.reshape, value, shape=(extent,))
                found = flat if flat.type == tile else self.once(build, ops.cast, flat, to=i64)
                parts.append(found if is_constant(scale, 1) else self.once(build, ops.mul, found, self.spread(build, scale, tile)))
        return reduce(lambda x, y: self.once(build, ops.add, x, y), parts)

    def spread(self, build: Copier, scalar: Value, tile: Tile) -> Value:
        return self.once(build, ops.broadcast, scalar, shape=tile.shape)

    def quotient(self, build: Copier, bound: Bound) -> Value:
        """A bound as a scalar. Below zero it is rounded up, not down, which is the same to an index: too low."""
        total = self.sum(build, bound.total)
        return total if bound.by == 1 else self.once(build, ops.idiv, total, self.constant(build, bound.by))

    def wide(self, build: Copier, scalar: Value) -> Value:
        return scalar if scalar.type == INDEX else self.once(build, ops.cast, scalar, to=i64)

    def constant(self, build: Copier, number: int) -> Value:
        return self.once(build, ops.constant, value=number, type=INDEX)

    def once(self, build: Builder, spec: Any, *operands: Value, **attrs: Any) -> Value:
        """An op, or the same one made earlier in this block."""
        key = (build.block, spec, operands, tuple(attrs.items()))
        if key not in self.made:
            self.made[key] = build.emit(spec, *operands, **attrs)
        return self.made[key]
