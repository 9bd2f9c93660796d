"""fp8 becomes bytes: values and pointers are u8, conversions are integer arithmetic, everything else happens in f32.

Backends never see these types, and every conversion has the same bits everywhere.
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..ir.core import Block, Builder, Kernel, Op, Value
from ..ir.formats import Format, Special
from ..ir.rebuild import Copier
from ..ir.types import NARROW, DType, Elem, Pointer, Tile, f32, f64, u8, u32
from ..machine import Machine
from ..numerics.term import Term, at_most, select


def narrow(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel with u8 in place of the fp8 types."""
    if not any(_is_narrow(t) for t in _types(kernel)):
        return kernel
    body = Block([_parameter(a) for a in kernel.body.args])
    copier = Copier(body, {}, _visit, lambda tile: tile.like(_bytes(tile.elem)))
    copier.splice(kernel.body, [_argument(copier, old, new) for old, new in zip(kernel.body.args, body.args, strict=True)])
    return Kernel(kernel.name, body)


def _parameter(old: Value) -> Value:
    """A pointer to fp8 becomes one to bytes; a number is passed as f64, and rounded by the kernel."""
    elem = f64 if old.type.elem in NARROW else _bytes(old.type.elem)
    return Value(Tile(elem), old.name, divisible=old.divisible)


def _argument(build: Builder, old: Value, new: Value) -> Value:
    elem = old.type.elem
    if isinstance(elem, DType) and elem in NARROW and elem.format is not None:
        return encoded(Term(build, new), elem.format).value
    return new


def _types(kernel: Kernel) -> list[Tile]:
    results = [r.type for op in kernel.body.walk() for r in op.results]
    return [*(a.type for a in kernel.body.args), *results]


def _is_narrow(tile: Tile) -> bool:
    elem = tile.elem
    return (elem.to if isinstance(elem, Pointer) else elem) in NARROW


def _bytes(elem: Elem) -> Elem:
    if isinstance(elem, Pointer):
        return Pointer(u8) if elem.to in NARROW else elem
    return u8 if elem in NARROW else elem


def _visit(build: Builder, op: Op, operands: list[Value]) -> Any:
    olds = [v.type.elem for v in op.operands]
    made = op.results[0].type.elem if op.results else None
    if made not in NARROW and not any(e in NARROW for e in olds):
        if op.spec is ops.pointer and op.attrs["to"] in NARROW:
            return build.emit(ops.pointer, *operands, to=u8)
        return None
    if op.spec is ops.constant:
        assert isinstance(made, DType)
        code = int(made.encode(op.spec.evaluate(**op.attrs)).reshape(-1)[0])
        return build.emit(ops.constant, value=code, type=op.results[0].type.like(u8))
    if op.spec is ops.bitcast:
        return build.emit(ops.bitcast, *operands, to=_bytes(op.attrs["to"]))
    if op.spec in (ops.dot, ops.sort) or ("elementwise" in op.spec.traits and op.spec is not ops.select):
        return _computed(
            build, op, [decoded(Term(build, v), e) if e in NARROW else Term(build, v) for v, e in zip(operands, olds, strict=True)]
        )
    return None  # moves values without looking at them


def _computed(build: Builder, op: Op, terms: list[Term]) -> Value:
    """The op in f32, its result rounded to the narrow type if it is one."""
    made = op.results[0].type.elem
    if op.spec is ops.cast:
        direct = made not in NARROW
        result = terms[0] if not direct and terms[0].elem is f64 else terms[0].cast(op.attrs["to"] if direct else f32)
    else:
        result = Term(build, build.emit(op.spec, *(t.value for t in terms), **op.attrs))
    if not isinstance(made, DType) or made not in NARROW or made.format is None:
        return result.value
    code = encoded(result, made.format)
    if op.spec is ops.sort and made.format.special is Special.IEEE:  # it moves values, and infinity is one
        infinite = unsigned(result) >> 24 & 0x80 | (made.format.largest_code + 1)
        code = select(abs(result).equals(math.inf), infinite.cast(u8), code)
    return code.value


def decoded(code: Term, elem: Elem) -> Term:
    """The f32 value of a code: its fields moved to where f32 has them, its exponent scaled to the other bias."""
    assert isinstance(elem, DType) and elem.format is not None
    layout = elem.format
    wide = code.cast(u32)
    size = wide & 0x7F
    moved = size << (23 - layout.mantissa)
    value = moved.floating(f32) * 2.0 ** (127 - layout.bias)
    if layout.special is Special.IEEE:
        top = (1 << layout.exponent) - 1 << layout.mantissa
        value = select(size >= top, (moved | 0x7F800000).floating(f32), value)
    elif layout.special is Special.FN:
        value = select(size.equals(0x7F), math.nan, value)
    signed = (unsigned(value) | (wide & 0x80) << 24).floating(f32)
    return select(wide.equals(0x80), math.nan, signed) if layout.special is Special.FNUZ else signed


def encoded(value: Term, layout: Format) -> Term:
    """The code nearest to an f32 or f64 value, ties to even, saturating."""
    x = to_odd(value) if value.elem is f64 else value
    size = at_most(abs(x), layout.largest)
    bits = unsigned(size)
    drop = 23 - layout.mantissa
    # a normal result: add just under half of what is dropped, and one more if the last kept bit is odd
    rounded = (bits + ((1 << drop - 1) - 1) + (bits >> drop & 1)) >> drop
    normal = rounded - ((127 - layout.bias) << layout.mantissa)
    # a subnormal one: adding a power of two rounds at the right place, and leaves the code in the low bits
    exponent = 24 - layout.bias - layout.mantissa
    subnormal = unsigned(size + 2.0**exponent) - ((127 + exponent) << 23)
    code = select(size < 2.0 ** (1 - layout.bias), subnormal, normal)
    signed = code | (unsigned(x) >> 24 & 0x80)
    if layout.special is Special.FNUZ:
        signed = select(code.equals(0), code, signed)
    return select(x.differs(x), layout.nan_code, signed).cast(u8)


def to_odd(x: Term) -> Term:
    """f64 to f32, rounded to odd: a second rounding to fewer bits is then correct."""
    near = x.cast(f32)
    back, bits = near.cast(f64), unsigned(near)
    away = (abs(back) > abs(x)).cast(u32)
    inexact = back.differs(x) & x.equals(x)
    return select(inexact, (bits - away) | 1, bits).floating(f32)


def unsigned(x: Term) -> Term:
    """The bits of an f32."""
    return x.apply(ops.bitcast, to=u32)
