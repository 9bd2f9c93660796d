"""Reductions, scans and dot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.spec import OpSpec
from ..ir.types import DType, Tile, bf16, dtype_of, f16, f32, i1, i32, u32
from ..ops import ACCUMULATORS
from . import coerce
from .core import Context, beyond, builtin, method, unwrap
from .creation import element
from .dtypes import dtype, short_name
from .shape import axis_of

Combine = Callable[[Context, list[Value]], Sequence[Value]]


def _fold(ctx: Context, spec: OpSpec, xs: Sequence[Value], combine: Combine, **attrs: Any) -> tuple[Value, ...]:
    """Emit a reduction or scan whose block is what combine builds."""
    scalars = [x.type.scalar() for x in xs]
    inner = ctx.nested(scalars * 2)
    results = combine(inner, inner.build.block.args)
    require([r.type for r in results] == scalars, f"the combining function returns {_types(results)} for {_types(xs)}")
    inner.build.emit(ops.yield_, *results)
    out = ctx.build.emit(spec, *xs, blocks=[inner.build.block], **attrs)
    return out if isinstance(out, tuple) else (out,)


def _types(values: Sequence[Value]) -> str:
    return ", ".join(str(v.type.scalar()) for v in values)


def _reduce(ctx: Context, xs: Sequence[Value], axis: Any, combine: Combine, keep_dims: Any) -> tuple[Value, ...]:
    """Combine along one axis, or along all of them with axis None."""
    build, shape = ctx.build, xs[0].type.shape
    if not shape:
        return tuple(xs)
    if unwrap(axis) is None:
        xs = [build.emit(ops.reshape, x, shape=(x.type.size,)) if x.type.rank > 1 else x for x in xs]
        out, kept = _fold(ctx, ops.reduce, xs, combine, axis=0), (1,) * len(shape)
    else:
        along = axis_of(axis, len(shape))
        out, kept = _fold(ctx, ops.reduce, xs, combine, axis=along), (*shape[:along], 1, *shape[along + 1 :])
    return tuple(build.emit(ops.reshape, x, shape=kept) for x in out) if unwrap(keep_dims) else out


def _by(spec: OpSpec) -> Combine:
    return lambda ctx, args: [ctx.build.emit(spec, *args)]


def _by_function(function: Any) -> Combine:
    def combine(ctx: Context, args: list[Value]) -> Sequence[Value]:
        out = ctx.call_per_lane(function, args, ())
        return [coerce.tensor(ctx.build, v) for v in (out if isinstance(out, tuple) else (out,))]

    return combine


def _widened(ctx: Context, x: Value, dtype: Any = None) -> Value:
    """Sums of narrow integers run in 32 bits, int1 and unsigned ones unsigned."""
    elem = dtype_of(x.type)
    if unwrap(dtype) is not None:
        return coerce.cast(ctx.build, x, element(dtype))
    if elem.is_int and elem.bits < 32:
        return coerce.cast(ctx.build, x, i32 if elem.is_signed else u32)
    return x


@method
@builtin
def sum(ctx: Context, input: Value, axis: Any = None, keep_dims: bool = False, dtype: dtype | None = None) -> Value:
    """The sum along an axis, or of all elements; integers below 32 bits give int32 or uint32."""
    return _reduce(ctx, [_widened(ctx, input, dtype)], axis, _by(ops.add), keep_dims)[0]


def _better(spec: OpSpec) -> Combine:
    """The combination behind argmax and argmin: NaN loses, and of equals the lower index wins."""

    at_least = {ops.gt: ops.ge, ops.lt: ops.le}[spec]

    def beats(ctx: Context, x: Value, y: Value) -> Value:
        if not x.type.elem.is_float:
            return ctx.build.emit(spec, x, y)
        reached = ctx.build.emit(at_least, y, x)  # also false if one is NaN
        # x, which a fold has just read, comes first: AVX-512 compares under the mask before, and a fold waits for y
        return ctx.build.emit(ops.and_, ctx.build.emit(ops.eq, x, x), ctx.build.emit(ops.not_, reached))

    def combine(ctx: Context, args: list[Value]) -> Sequence[Value]:
        value, index, other_value, other_index = args
        emit = ctx.build.emit
        lower = emit(ops.lt, index, other_index)
        wins = emit(ops.and_, emit(ops.not_, beats(ctx, other_value, value)), emit(ops.or_, beats(ctx, value, other_value), lower))
        return [emit(ops.select, wins, value, other_value), emit(ops.select, wins, index, other_index)]

    return combine


def _with_index(ctx: Context, x: Value, axis: Any, spec: OpSpec, keep_dims: Any) -> tuple[Value, ...]:
    if unwrap(axis) is None:  # the index of all elements counts in row-major order
        beyond(ctx.build, "a reduction that gives indices needs an axis", help="of all elements: pass tl.ravel(x), and axis 0")
        shape = x.type.shape
        flat = ctx.build.emit(ops.reshape, x, shape=(x.type.size,)) if x.type.rank != 1 else x
        out = _with_index(ctx, flat, 0, spec, False)
        return tuple(ctx.build.emit(ops.reshape, v, shape=(1,) * len(shape)) for v in out) if unwrap(keep_dims) else out
    along = axis_of(axis, x.type.rank)
    places = ctx.build.emit(ops.arange, start=0, stop=x.type.shape[along])
    aligned = ctx.build.emit(ops.reshape, places, shape=tuple(n if d == along else 1 for d, n in enumerate(x.type.shape)))
    return _reduce(ctx, [x, coerce.broadcast_to(ctx.build, aligned, x.type.shape)], along, _better(spec), keep_dims)


def _extreme(name: str, op: OpSpec, better: OpSpec, doc: str) -> Any:
    def apply(
        ctx: Context,
        input: Value,
        axis: Any = None,
        return_indices: bool = False,
        return_indices_tie_break_left: bool = True,
        keep_dims: bool = False,
    ) -> Any:
        x = input
        if x.type.elem is bf16:
            x = coerce.cast(ctx.build, x, f32)
        if unwrap(return_indices):
            return _with_index(ctx, x, axis, better, keep_dims)
        if dtype_of(x.type).bits < 32:
            x = coerce.cast(ctx.build, x, f32 if x.type.elem.is_float else i32)
        return _reduce(ctx, [x], axis, _by(op), keep_dims)[0]

    apply.__name__, apply.__doc__ = name, doc + " NaN is ignored; bf16 gives fp32, narrow types 32 bits unless indices are asked for."
    return method(builtin(apply))


max = _extreme("max", ops.maximum, ops.gt, "The largest element along an axis, or of all.")
min = _extreme("min", ops.minimum, ops.lt, "The smallest element along an axis, or of all.")


@method
@builtin
def argmax(ctx: Context, input: Value, axis: Any, tie_break_left: bool = True, keep_dims: bool = False) -> Value:
    """Where the largest element along an axis is, an int32; of equals the lowest index. NaN is ignored."""
    return _with_index(ctx, input, axis, ops.gt, keep_dims)[1]


@method
@builtin
def argmin(ctx: Context, input: Value, axis: Any, tie_break_left: bool = True, keep_dims: bool = False) -> Value:
    """Where the smallest element along an axis is, an int32; of equals the lowest index. NaN is ignored."""
    return _with_index(ctx, input, axis, ops.lt, keep_dims)[1]


@method
@builtin
def xor_sum(ctx: Context, input: Value, axis: Any = None, keep_dims: bool = False) -> Value:
    """The exclusive or of integers along an axis, or of all."""
    require(input.type.elem.is_int, f"xor_sum only supported for integers, got {input.type}")
    return _reduce(ctx, [input], axis, _by(ops.xor), keep_dims)[0]


@method
@builtin
def reduce_or(ctx: Context, input: Value, axis: Any, keep_dims: bool = False) -> Value:
    """The bitwise or of integers along an axis."""
    require(input.type.elem.is_int, f"reduce_or only supported for integers, got {input.type}")
    return _reduce(ctx, [input], axis, _by(ops.or_), keep_dims)[0]


@method
@builtin
def reduce(ctx: Context, input: Any, axis: Any, combine_fn: Any, keep_dims: bool = False) -> Any:
    """Combine a tile, or a tuple of tiles, by a jit function (a1.., b1..) -> result(s) on scalars."""
    several = isinstance(input, tuple)
    out = _reduce(ctx, list(input) if several else [input], axis, _by_function(combine_fn), keep_dims)
    return out if several else out[0]


def _scanned(ctx: Context, xs: Sequence[Value], axis: Any, combine: Combine, reverse: Any) -> tuple[Value, ...]:
    require(xs[0].type.rank > 0, f"a scan needs an axis, got {xs[0].type}")
    return _fold(ctx, ops.scan, xs, combine, axis=axis_of(axis, xs[0].type.rank), reverse=bool(unwrap(reverse)))


@method
@builtin
def cumsum(ctx: Context, input: Value, axis: Any = 0, reverse: bool = False, dtype: dtype | None = None) -> Value:
    """Running sums along an axis, in order; widened as in sum, bf16 gives fp32."""
    x = coerce.cast(ctx.build, input, f32) if input.type.elem is bf16 else input
    return _scanned(ctx, [_widened(ctx, x, dtype)], axis, _by(ops.add), reverse)[0]


@method
@builtin
def cumprod(ctx: Context, input: Value, axis: Any = 0, reverse: bool = False) -> Value:
    """Running products along an axis, in order; bf16 gives fp32."""
    x = coerce.cast(ctx.build, input, f32) if input.type.elem is bf16 else input
    return _scanned(ctx, [x], axis, _by(ops.mul), reverse)[0]


@method
@builtin
def associative_scan(ctx: Context, input: Any, axis: Any, combine_fn: Any, reverse: bool = False) -> Any:
    """Running combinations of a tile, or a tuple of tiles, by a jit function on scalars."""
    several = isinstance(input, tuple)
    out = _scanned(ctx, list(input) if several else [input], axis, _by_function(combine_fn), reverse)
    return out if several else out[0]


def any_of(ctx: Context, condition: Value) -> Value:
    """Whether a condition holds in any lane, as a scalar."""
    return _reduce(ctx, [condition], None, _by(ops.or_), False)[0]


@builtin
def dot(
    ctx: Context,
    input: Value,
    other: Value,
    acc: Value | None = None,
    input_precision: str | None = None,
    allow_tf32: bool | None = None,
    max_num_imprecise_acc: int | None = None,
    out_dtype: dtype | None = None,
) -> Value:
    """acc + input @ other: fp8, fp16, bf16 and fp32 accumulate in fp32, int8 in int32, fp64 in fp64, always exactly
    (input_precision is accepted and has no effect). fp8 and fp16 may return out_dtype fp16; two kinds of fp8 may meet."""
    a, b, acc = unwrap(input), unwrap(other), unwrap(acc)
    for side in (a, b):
        require(isinstance(side, Value), f"dot takes tiles, got {coerce.describe(side)}")
    precision = unwrap(input_precision)
    require(precision in (None, "tf32", "tf32x3", "ieee", "bf16x3", "bf16x6"), f"input_precision {precision!r} is not known")
    both = precision is not None and unwrap(allow_tf32) is not None
    require(not both, "Only one of input_precision and allow_tf32 can be specified", help="leave allow_tf32 out")
    build = ctx.build
    if a.type.elem is not b.type.elem and _is_fp8(a) and _is_fp8(b):
        a, b = coerce.cast(build, a, f16), coerce.cast(build, b, f16)  # which holds every fp8 number
    elem = dtype_of(a.type)
    same = f"Both operands must be same dtype. Got {short_name(elem)} and {_name(b)}"
    require(elem is b.type.elem, same, help="convert one: b.to(a.dtype)")
    if elem not in ACCUMULATORS:
        raise TypeRuleError(f"Unsupported lhs dtype {short_name(elem)}", help="dot takes fp16, bf16, fp32, fp64, int8 and uint8")
    limit = unwrap(max_num_imprecise_acc)
    if limit is not None and elem.is_float and elem.bits == 8:
        require(limit <= a.type.shape[-1], f"max_num_imprecise_acc ({limit}) must be <= K ({a.type.shape[-1]})")
    wide = ACCUMULATORS[elem]
    result = _result_dtype(elem, wide, acc, out_dtype)
    shape = _dot_shape(a.type, b.type)
    start = coerce.constant(build, 0, wide, shape) if acc is None else coerce.cast(build, acc, wide)
    require(start.type.shape == shape, f"accumulator {start.type} does not match {a.type} @ {b.type}")
    a, b, start = (_one_batch(build, t) for t in (a, b, start))
    out = coerce.cast(build, build.emit(ops.dot, a, b, start), result)
    return build.emit(ops.reshape, out, shape=shape) if len(shape) > 3 else out


def _one_batch(build: Builder, x: Value) -> Value:
    """All leading axes as one."""
    if x.type.rank <= 3:
        return x
    rows, columns = x.type.shape[-2:]
    return build.emit(ops.reshape, x, shape=(x.type.size // (rows * columns), rows, columns))


def _is_fp8(x: Value) -> bool:
    return x.type.elem.is_float and x.type.elem.bits == 8


def _name(x: Value) -> str:
    return short_name(x.type.elem) if isinstance(x.type.elem, DType) else str(x.type.elem)


RANKS = "a row and a column are x[None, :] and x[:, None]; a product of two vectors is tl.sum(a * b, axis=0)"


def _dot_shape(a: Tile, b: Tile) -> tuple[int, ...]:
    require(a.rank == b.rank and a.rank >= 2, f"dot takes two-dimensional tiles, or batches of them, got {a} and {b}", help=RANKS)
    require(a.shape[:-2] == b.shape[:-2], f"the batches differ: {a} and {b}")
    fits = a.shape[-1] == b.shape[-2]
    shapes = f"first input shape {list(a.shape)} and second input shape {list(b.shape)}"
    help = "transpose one: tl.dot(a, tl.trans(b))" if a.shape[-1] == b.shape[-1] else "load tiles of M x K and K x N"
    require(fits, f"{shapes} are not compatible for matmul: {a.shape[-1]} against {b.shape[-2]}", help=help)
    return (*a.shape[:-1], b.shape[-1])


def _result_dtype(elem: DType, wide: DType, acc: Any, out_dtype: Any) -> DType:
    asked = element(out_dtype) if unwrap(out_dtype) is not None else None
    require(asked is not bf16, "out_dtype=bfloat16 is unsupported. Please use out_dtype=float32/float16 and cast with .to(tl.bfloat16)")
    found = dtype_of(acc.type) if isinstance(acc, Value) else None
    short = elem.is_float and elem.bits <= 16 and elem is not bf16
    result = found or (asked if short and asked in (f16, f32) else None) or wide
    require(
        result is wide or (short and result is f16),
        f"dot of {short_name(elem)} accumulates in {short_name(wide)}, got {short_name(result)}",
    )
    require(elem is not i1, "dot is not defined for int1")
    return result
