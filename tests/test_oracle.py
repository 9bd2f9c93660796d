"""The tests of the tests: rewrites that are wrong must be caught by random programs, and right ones left in peace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from tiledsl import config, ops
from tiledsl.errors import MemoryFault
from tiledsl.ir.core import Block, Builder, Kernel, Op, Value
from tiledsl.ir.rebuild import Copier, Rules, apply_rules, rebuild, rule
from tiledsl.ir.spec import OpSpec
from tiledsl.ir.types import DTYPES, Tile, f32, i1, i32, i64
from tiledsl.ir.verify import verify
from tiledsl.machine import Machine
from tiledsl.passes import common
from tiledsl.passes.pipeline import Pass
from tiledsl.testing.oracle import Disagreement, agrees_before_and_after, explain, run_case, same_bits
from tiledsl.testing.programs import Case, cases

Rewrite = Callable[[Kernel, Machine], Kernel]
ANY = Machine("any")
ENOUGH = 600  # examples within which every wrong rule must be found
WRONG: dict[str, Rewrite] = {}
ABOUT: dict[str, OpSpec] = {}  # an op without which a rewrite has nothing to do


def wrong_rule(spec: OpSpec) -> Callable[[Callable[..., Any]], None]:
    """Plant a rule as a rewrite of its own, named by its function."""

    def plant(fn: Callable[..., Any]) -> None:
        table: Rules = {}
        rule(table, spec)(fn)
        WRONG[fn.__name__], ABOUT[fn.__name__] = lambda kernel, machine: apply_rules(kernel, table), spec

    return plant


def wrong_pass(spec: OpSpec) -> Callable[[Callable[[Kernel], Kernel]], None]:
    """Plant a rewrite of whole kernels that have this op."""

    def plant(fn: Callable[[Kernel], Kernel]) -> None:
        WRONG[fn.__name__], ABOUT[fn.__name__] = lambda kernel, machine: fn(kernel), spec

    return plant


def number(value: Value) -> int | float | None:
    """The constant a value is, seen through broadcasts."""
    source = value.source
    while source is not None and source.spec is ops.broadcast:
        source = source.operands[0].source
    return source.attrs["value"] if source is not None and source.spec is ops.constant else None


def zero(build: Builder, tile: Tile) -> Value:
    made: Value = build.emit(ops.constant, value=0.0 if tile.elem.is_float else 0, type=tile)
    return made


# --- arithmetic


@wrong_rule(ops.mul)
def times_zero_is_zero(build: Builder, x: Value, y: Value) -> Value | None:
    return zero(build, x.type) if number(y) == 0 or number(x) == 0 else None


@wrong_rule(ops.sub)
def less_itself_is_zero(build: Builder, x: Value, y: Value) -> Value | None:
    return zero(build, x.type) if x is y else None


@wrong_rule(ops.eq)
def equals_itself(build: Builder, x: Value, y: Value) -> Value | None:
    return build.emit(ops.constant, value=1, type=x.type.like(i1)) if x is y else None


@wrong_rule(ops.add)
def plus_zero_is_itself(build: Builder, x: Value, y: Value) -> Value | None:
    return x if x.type.elem.is_float and number(y) == 0 and math.copysign(1, number(y) or 0.0) > 0 else None


@wrong_rule(ops.lt)
def less_is_not_greater_or_equal(build: Builder, x: Value, y: Value) -> Value | None:
    return build.emit(ops.not_, build.emit(ops.ge, x, y)) if x.type.elem.is_float else None


@wrong_rule(ops.maximum)
def maximum_by_comparison(build: Builder, x: Value, y: Value) -> Value:
    return build.emit(ops.select, build.emit(ops.gt, x, y), x, y)


@wrong_rule(ops.minimum_nan)
def nan_loses(build: Builder, x: Value, y: Value) -> Value:
    return build.emit(ops.minimum, x, y)


@wrong_rule(ops.neg)
def negative_by_subtraction(build: Builder, x: Value) -> Value | None:
    return build.emit(ops.sub, zero(build, x.type), x) if x.type.elem.is_float else None


@wrong_rule(ops.fma)
def fused_is_two_steps(build: Builder, x: Value, y: Value, z: Value) -> Value:
    return build.emit(ops.add, build.emit(ops.mul, x, y), z)


@wrong_rule(ops.select)
def arms_swapped(build: Builder, cond: Value, x: Value, y: Value) -> Value:
    return build.emit(ops.select, cond, y, x)


# --- integers and casts


@wrong_rule(ops.shr)
def shift_without_sign(build: Builder, x: Value, y: Value) -> Value | None:
    if not x.type.elem.is_signed:
        return None
    unsigned = DTYPES[f"u{x.type.elem.bits}"]
    shifted = build.emit(ops.shr, build.emit(ops.bitcast, x, to=unsigned), build.emit(ops.bitcast, y, to=unsigned))
    return build.emit(ops.bitcast, shifted, to=x.type.elem)


@wrong_rule(ops.shl)
def shift_modulo_width(build: Builder, x: Value, y: Value) -> Value | None:
    if x.type.elem is i1:
        return None
    low = build.emit(ops.constant, value=x.type.elem.bits - 1, type=x.type)
    return build.emit(ops.shl, x, build.emit(ops.and_, y, low))


@wrong_rule(ops.idiv)
def halving_by_shift(build: Builder, x: Value, y: Value) -> Value | None:
    one = build.emit(ops.constant, value=1, type=x.type)
    return build.emit(ops.shr, x, one) if number(y) == 2 else None


@wrong_rule(ops.rem)
def remainder_of_a_power_of_two(build: Builder, x: Value, y: Value) -> Value | None:
    by = number(y)
    if not x.type.elem.is_int or not by or by <= 0 or int(by) & (int(by) - 1):
        return None
    return build.emit(ops.and_, x, build.emit(ops.constant, value=int(by) - 1, type=x.type))


@wrong_rule(ops.cast)
def cast_wraps_where_it_saturates(build: Builder, x: Value, *, to: Any) -> Value | None:
    if not x.type.elem.is_float or not to.is_int or to.bits > 32 or to is i1:
        return None
    return build.emit(ops.cast, build.emit(ops.cast, x, to=i64), to=to)


# --- shapes and folds


@wrong_rule(ops.transpose)
def square_needs_no_transpose(build: Builder, x: Value, *, order: tuple[int, ...]) -> Value | None:
    return x if x.type.rank > 1 and len(set(x.type.shape)) == 1 else None


@wrong_pass(ops.reduce)
def operands_of_a_fold_swapped(kernel: Kernel) -> Kernel:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec not in (ops.reduce, ops.scan):
            return None
        block = build.copy_block(op.blocks[0])
        half = len(block.args) // 2
        swapped = Block(block.args[half:] + block.args[:half], block.ops)
        return build.emit(op.spec, *operands, **op.attrs, blocks=[swapped])

    return rebuild(kernel, visit)


@wrong_pass(ops.reduce)
def reduced_in_two_halves(kernel: Kernel) -> Kernel:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec is not ops.reduce or len(operands) != 1:
            return None
        axis, shape = op.attrs["axis"], operands[0].type.shape
        if shape[axis] % 2:
            return None
        halves = build.emit(ops.reshape, operands[0], shape=(*shape[:axis], 2, shape[axis] // 2, *shape[axis + 1 :]))
        partial = build.emit(ops.reduce, halves, axis=axis + 1, blocks=[build.copy_block(op.blocks[0])])
        return build.emit(ops.reduce, partial, axis=axis, blocks=[build.copy_block(op.blocks[0])])

    return rebuild(kernel, visit)


# --- memory and control


def _without(spec: OpSpec, kept: int, name: str) -> None:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        return build.emit(op.spec, *operands[:kept], **op.attrs) if op.spec is spec and len(operands) > kept else None

    WRONG[name], ABOUT[name] = lambda kernel, machine: rebuild(kernel, visit), spec


_without(ops.load, 1, "load_without_mask")
_without(ops.load, 2, "load_without_other")
_without(ops.store, 2, "store_without_mask")
_without(ops.atomic_rmw, 2, "atomic_without_mask")


@wrong_pass(ops.store)
def load_reused_across_a_store(kernel: Kernel) -> Kernel:
    seen: dict[tuple[Any, ...], Value] = {}

    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec is not ops.load:
            return None
        key = (id(build.block), *operands)
        if key not in seen:
            seen[key] = build.copy(op, operands)
        return seen[key]

    return rebuild(common(kernel, ANY), visit)


@wrong_pass(ops.store)
def stores_sink_to_the_end(kernel: Kernel) -> Kernel:
    body = kernel.body
    return Kernel(kernel.name, Block(body.args, sorted(body.ops, key=lambda op: op.spec is ops.store)))


@wrong_rule(ops.atomic_rmw)
def atomic_as_load_and_store(build: Builder, ptr: Value, value: Value, mask: Value | None = None, *, kind: ops.Atomic) -> Value | None:
    if kind is not ops.Atomic.ADD:
        return None
    masks = [] if mask is None else [mask]
    old = build.emit(ops.load, ptr, *masks)
    build.emit(ops.store, ptr, build.emit(ops.add, old, value), *masks)
    return old


@wrong_pass(ops.for_)
def loop_runs_at_least_once(kernel: Kernel) -> Kernel:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec is not ops.for_:
            return None
        build.inline(op.blocks[0], [operands[0], *operands[3:]])
        return build.copy(op, operands) if op.results else None

    return rebuild(kernel, visit)


@wrong_pass(ops.for_)
def carried_value_never_changes(kernel: Kernel) -> Kernel:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec is not ops.for_ or not op.results:
            return None
        build.copy(op, operands)
        return tuple(operands[3:])

    return rebuild(kernel, visit)


@wrong_pass(ops.if_)
def both_branches_run(kernel: Kernel) -> Kernel:
    def visit(build: Copier, op: Op, operands: list[Value]) -> Any:
        if op.spec is not ops.if_:
            return None
        then, otherwise = (build.inline(b, []) for b in op.blocks)
        spread = [operands[0] if not a.type.shape else build.emit(ops.broadcast, operands[0], shape=a.type.shape) for a in then]
        return tuple(build.emit(ops.select, c, a, b) for c, a, b in zip(spread, then, otherwise, strict=True))

    return rebuild(kernel, visit)


@wrong_rule(ops.program_id)
def every_program_is_the_first(build: Builder, *, axis: int) -> Value:
    return build.emit(ops.constant, value=0, type=Tile(i32))


def until_caught(name: str, count: int, about: OpSpec | None) -> int | None:
    """How many random programs it takes to see that a rewrite is wrong, or None."""
    drawn = 0

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(cases(about=about))
    def run(case: Case) -> None:
        nonlocal drawn
        drawn += 1
        if ABOUT[name] in {op.spec for op in case.kernel.body.walk()}:
            planted = WRONG[name](case.kernel, ANY)
            if changed(case.kernel, planted) and differs(case, run_case(case), planted):
                raise Caught

    try:
        run()
    except Caught:
        return drawn
    return None


class Caught(Exception):
    """A random program saw the difference."""


def changed(kernel: Kernel, planted: Kernel) -> bool:
    """Whether a rewrite found something to do."""
    plain = rebuild(kernel)
    return size(plain) != size(planted) or repr(plain) != repr(planted)


def size(kernel: Kernel) -> int:
    return sum(len(op.operands) for op in kernel.body.walk())


def differs(case: Case, expected: list[np.ndarray], planted: Kernel) -> bool:
    """Whether a rewritten kernel is seen to be wrong."""
    verify(planted)
    try:
        return bool(explain(case, expected, run_case(case.of(planted)), "before", "after"))
    except MemoryFault:
        return True


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rewrite_is_caught(name: str) -> None:
    """By few programs about its op; TILEDSL_FUZZ=<n> looks for it among n programs about anything."""
    n = config.fuzz()
    assert until_caught(name, n or ENOUGH, None if n else ABOUT[name]) is not None


def test_a_wrong_pass_is_named_and_shrunk() -> None:
    steps = [Pass("copy", lambda kernel, machine: rebuild(kernel), ""), Pass("planted", WRONG["arms_swapped"], "")]
    shrinking = settings(max_examples=100, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink])  # explains nothing
    with pytest.raises(Disagreement, match="after the pass `planted`") as caught:
        given(cases(about=ops.select, most=4))(shrinking(lambda case: agrees_before_and_after(case, steps)))()
    assert str(caught.value).count("\n") < 40, "a failure shrinks to a kernel that can be read"


def test_a_right_rewrite_passes() -> None:
    @settings(max_examples=30, derandomize=True, database=None)
    @given(cases())
    def run(case: Case) -> None:
        agrees_before_and_after(case, [Pass("copy", lambda kernel, machine: rebuild(kernel), "changes nothing")])

    run()


def test_the_oracle_tells_zeros_apart_and_nans_not() -> None:
    x, y = np.array([0.0, 0.0, np.nan, 1.0], np.float32), np.array([0.0, -0.0, -np.nan, 1.0], np.float32)
    assert same_bits(f32, x, y).tolist() == [True, False, True, True]
