"""Products of narrow floats with shared scales (microscaling formats), as conversions to fp32 and a dot."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.types import bf16, dtype_of, f8e4nv, f8e5, f16, f32, u8, u32
from . import coerce
from .arrange import join
from .core import Context, builtin, unwrap
from .creation import element
from .dtypes import dtype

FORMATS = {"e2m1": u8, "e4m3": f8e4nv, "e5m2": f8e5, "bf16": bf16, "fp16": f16}


@builtin
def dot_scaled(
    ctx: Context,
    lhs: Value,
    lhs_scale: Value | None,
    lhs_format: str,
    rhs: Value,
    rhs_scale: Value | None,
    rhs_format: str,
    acc: Value | None = None,
    fast_math: bool = False,
    lhs_k_pack: bool = True,
    rhs_k_pack: bool = True,
    out_dtype: dtype | None = None,
) -> Value:
    """acc + (lhs * lhs_scale) @ (rhs * rhs_scale), accumulated in fp32 in the order of dot.

    Formats are e2m1 (two per uint8, the first in the low bits; along K, or with k_pack=False along the other axis), e4m3,
    e5m2, bf16 and fp16. Scales are [M, K // 32] and [N, K // 32], or both K // 16, of uint8, standing for
    2 ** (code - 127), 255 for NaN, or of fp8e4nv; or None. Operands become fp32 exactly, and so do their products with scales, except what
    lies beyond fp32's range (infinite) or below its smallest numbers (rounded once).
    """
    build = ctx.build
    a = _unpacked(ctx, _read(build, lhs, lhs_format, "lhs"), lhs_format, -1 if unwrap(lhs_k_pack) else -2)
    b = _unpacked(ctx, _read(build, rhs, rhs_format, "rhs"), rhs_format, -2 if unwrap(rhs_k_pack) else -1)
    require(a.type.rank == b.type.rank and a.type.rank in (2, 3), f"dot_scaled takes tiles of two or three axes, got {a.type} and {b.type}")
    require(a.type.shape[-1] == b.type.shape[-2], f"dot_scaled: K is {a.type.shape[-1]} on the left and {b.type.shape[-2]} on the right")
    group = _group(a.type.shape[-1], unwrap(lhs_scale), unwrap(rhs_scale))
    a = _scaled(build, a, unwrap(lhs_scale), group, "lhs")
    b = _turned(build, _scaled(build, _turned(build, b), unwrap(rhs_scale), group, "rhs"))
    start, shape = unwrap(acc), (*a.type.shape[:-1], b.type.shape[-1])
    if start is None:
        start = coerce.constant(build, 0, f32, shape)
    require(start.type.shape == shape, f"accumulator {start.type} does not match {a.type} @ {b.type}")
    product = build.emit(ops.dot, a, b, coerce.cast(build, start, f32))
    result = dtype_of(start.type) if unwrap(out_dtype) is None else element(out_dtype)
    return coerce.cast(build, product, result)


def _read(build: Builder, x: Any, name: str, side: str) -> Value:
    """An operand in the type that its format names; bytes may hold fp8."""
    x, name = unwrap(x), unwrap(name)
    if name not in FORMATS:
        raise TypeRuleError(f"{side}_format {name!r} is not known", help=f"use one of {', '.join(FORMATS)}")
    require(isinstance(x, Value) and x.type.rank > 1, f"{side} of dot_scaled is a tile of two or three axes, got {coerce.describe(x)}")
    elem, wanted = dtype_of(x.type), FORMATS[name]
    if elem is wanted:
        return x
    if elem.bits == 8 and wanted.bits == 8 and (elem.is_int or wanted is u8):
        return build.emit(ops.bitcast, x, to=wanted)
    if elem.bits == wanted.bits == 16 and elem.is_int:
        return build.emit(ops.bitcast, x, to=wanted)
    raise TypeRuleError(f"{side} of format {name} cannot be {x.type}", help=f"its elements are {wanted}")


def _unpacked(ctx: Context, x: Value, name: str, axis: int) -> Value:
    """The values of an operand in fp32; pairs of e2m1 stand one after the other along an axis."""
    build = ctx.build
    if unwrap(name) != "e2m1":
        return coerce.cast(build, x, f32)
    halves = [_e2m1(build, x, low) for low in (0, 4)]
    pair = join.function(ctx, *halves)
    rank = x.type.rank
    at = axis % rank + 1
    order = (*range(at), rank, *range(at, rank))
    extents = list(x.type.shape)
    extents[axis] *= 2
    return build.emit(ops.reshape, build.emit(ops.transpose, pair, order=order), shape=tuple(extents))


def _e2m1(build: Builder, x: Value, low: int) -> Value:
    """Four bits from a place on: exponent and mantissa go where fp32 has them, then the bias is made up for."""

    def like(number: int | float, elem: Any = u32) -> Value:
        return coerce.constant(build, number, elem, x.type.shape)

    code = build.emit(ops.shr, coerce.cast(build, x, u32), like(low))
    size = build.emit(ops.shl, build.emit(ops.and_, code, like(7)), like(22))
    sign = build.emit(ops.shl, build.emit(ops.and_, code, like(8)), like(28))
    bits = build.emit(ops.or_, size, sign)
    return build.emit(ops.mul, build.emit(ops.bitcast, bits, to=f32), like(2.0**126, f32))


def _group(extent: int, lhs_scale: Any, rhs_scale: Any) -> int:
    """How many neighbours along K share a scale: 16 or 32, on both sides alike; a shape that says neither is refused later."""
    scales = [s for s in (lhs_scale, rhs_scale) if isinstance(s, Value) and s.type.shape]
    known = [n for n in (extent // s.type.shape[-1] for s in scales) if n in (16, 32)]
    if len(known) == 2:
        require(known[0] == known[1], f"Operands must have the same scale factor; (lhs: {known[0]} vs rhs: {known[1]})")
    return known[0] if known else 32


def _scaled(build: Builder, x: Value, scale: Any, group: int, side: str) -> Value:
    """Each group along the last axis times its scale."""
    if scale is None:
        return x
    elem = dtype_of(scale.type)
    require(elem.bits == 8 and (elem.is_int or elem is f8e4nv), f"{side}_scale is uint8 or fp8e4nv, got {scale.type}")
    shape = (*x.type.shape[:-1], x.type.shape[-1] // group)
    spoken = f"[..., {shape[-2]}, {shape[-1]}]"
    require(scale.type.shape == shape, f"{side}_scale must be a tensor of shape {spoken}. Got {list(scale.type.shape)}")
    factor = coerce.cast(build, scale, f32) if elem is f8e4nv else _e8m0(build, scale)
    split = (*shape, group)
    wide = coerce.broadcast_to(build, build.emit(ops.reshape, factor, shape=(*shape, 1)), split)
    return build.emit(ops.reshape, build.emit(ops.mul, build.emit(ops.reshape, x, shape=split), wide), shape=x.type.shape)


def _e8m0(build: Builder, code: Value) -> Value:
    """2 ** (code - 127); the smallest is no normal fp32, 255 is NaN."""

    def like(number: int) -> Value:
        return coerce.constant(build, number, u32, code.type.shape)

    wide = coerce.cast(build, build.emit(ops.bitcast, code, to=u8), u32)
    bits = build.emit(ops.shl, wide, like(23))
    bits = build.emit(ops.select, build.emit(ops.eq, wide, like(0)), like(1 << 22), bits)
    bits = build.emit(ops.select, build.emit(ops.eq, wide, like(255)), like(0x7FC00000), bits)
    return build.emit(ops.bitcast, bits, to=f32)


def _turned(build: Builder, x: Value) -> Value:
    """The last two axes exchanged."""
    rank = x.type.rank
    return build.emit(ops.transpose, x, order=(*range(rank - 2), rank - 1, rank - 2))
