"""Elementwise functions, casts and choice; also what `tl.math` offers.

Functions of floats take fp32 and fp64, and, beyond Triton, fp16 and bf16: these compute in fp32 and are rounded once.
"""

from __future__ import annotations

import inspect
import warnings
from enum import Enum
from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.formats import Special
from ..ir.spec import SPECS, OpSpec
from ..ir.types import DTYPES, DType, Pointer, bf16, dtype_of, f16, f32, f64, i1, i32, i64, u32, u64
from . import coerce
from .core import Builtin, Context, beyond, builtin, is_tensor, method, static_int, unwrap
from .creation import element
from .dtypes import dtype, pointer_type, short_name
from .operators import apply_binary


class PropagateNan(Enum):
    """What maximum and minimum do with NaN: NONE takes the other operand, ALL gives NaN."""

    NONE = 0
    ALL = 0xFFFF


SINGLE = (f32, f64)  # fp16 and bf16 compute in fp32 and round once


def _unary(name: str, spec: OpSpec, doc: str, accepts: tuple[DType, ...]) -> Builtin:
    """A function of one tile, defined for a few types only; where fp32 is one of several, fp16 and bf16 go beyond Triton."""
    converted = (f16, bf16) if accepts is SINGLE else ()

    def apply(ctx: Context, x: Any) -> Value:
        tile = coerce.tensor(ctx.build, x)
        refusal = f"Expected dtype {[short_name(t) for t in accepts]} but got {_spoken(tile)}"
        if isinstance(tile.type.elem, Pointer):
            raise coerce.no_number(tile)
        convert = "convert it first: x.to(tl.float32)"
        require(tile.type.elem in (*accepts, *converted), refusal, help=convert)
        if tile.type.elem in converted:
            beyond(ctx.build, refusal, convert)
        return ctx.build.emit(spec, tile)

    apply.__name__, apply.__doc__ = name, doc
    return method(builtin(apply))


def _spoken(tile: Value) -> str:
    return short_name(tile.type.elem) if isinstance(tile.type.elem, DType) else str(tile.type.elem)


exp = _unary("exp", ops.exp, "e to the power x.", SINGLE)
exp2 = _unary("exp2", ops.exp2, "2 to the power x.", SINGLE)
log = _unary("log", ops.log, "The natural logarithm.", SINGLE)
log2 = _unary("log2", ops.log2, "The logarithm to base 2.", SINGLE)
sin = _unary("sin", ops.sin, "The sine of x radians.", SINGLE)
cos = _unary("cos", ops.cos, "The cosine of x radians.", SINGLE)
tanh = _unary("tanh", ops.tanh, "The hyperbolic tangent.", SINGLE)
erf = _unary("erf", ops.erf, "The error function.", SINGLE)
sqrt = _unary("sqrt", ops.sqrt, "The square root, correctly rounded.", SINGLE)
sqrt_rn = _unary("sqrt_rn", ops.sqrt, "The square root, correctly rounded; fp32.", (f32,))
rsqrt = _unary("rsqrt", ops.rsqrt, "One over the square root.", SINGLE)
floor = _unary("floor", ops.floor, "The largest integer not above x.", SINGLE)
ceil = _unary("ceil", ops.ceil, "The smallest integer not below x.", SINGLE)


@method
@builtin
def sigmoid(ctx: Context, x: Any) -> Value:
    """1 / (1 + exp(-x)); fp16 and bf16 compute in fp32 and round once."""
    tile = coerce.tensor(ctx.build, x)
    require(tile.type.elem.is_float, f"sigmoid takes floats, got {tile.type}")
    if tile.type.elem not in SINGLE:
        beyond(ctx.build, f"Expected dtype ['fp32', 'fp64'] but got {_spoken(tile)}", "convert it first: x.to(tl.float32)")
    return ctx.build.emit(ops.sigmoid, tile)


@method
@builtin
def abs(ctx: Context, x: Any) -> Value:
    """x without its sign, of any number type."""
    tile = coerce.tensor(ctx.build, x)
    dtype_of(tile.type)
    return ctx.build.emit(ops.abs_, tile)


def _all_nan(choice: Any) -> bool:
    """Whether NaN wins."""
    known = unwrap(choice)
    require(isinstance(known, PropagateNan), f"propagate_nan is tl.PropagateNan.NONE or tl.PropagateNan.ALL, got {coerce.describe(choice)}")
    return known is PropagateNan.ALL


def _extreme(name: str, plain: OpSpec, propagating: OpSpec, doc: str) -> Builtin:
    def apply(ctx: Context, x: Any, y: Any, propagate_nan: PropagateNan = PropagateNan.NONE) -> Value:
        a, b = coerce.operands(ctx.build, x, y, weak=False)
        if a.type.elem is bf16:
            a, b = coerce.cast(ctx.build, a, f32), coerce.cast(ctx.build, b, f32)
        all_nan = _all_nan(propagate_nan) and a.type.elem.is_float
        return ctx.build.emit(propagating if all_nan else plain, a, b)

    apply.__name__, apply.__doc__ = name, doc + " A number is typed as if it stood alone; bf16 gives fp32."
    return builtin(apply)


maximum = _extreme("maximum", ops.maximum, ops.maximum_nan, "The larger of x and y.")
minimum = _extreme("minimum", ops.minimum, ops.minimum_nan, "The smaller of x and y.")


@method
@builtin
def clamp(ctx: Context, x: Any, min: Any, max: Any, propagate_nan: PropagateNan = PropagateNan.NONE) -> Value:
    """x, but at least min and at most max; floats only. NaN gives min, or NaN with PropagateNan.ALL."""
    build = ctx.build
    tile = coerce.tensor(build, x)
    require(tile.type.elem.is_float, f"clamp takes floats, got {tile.type}")
    everywhere = _all_nan(propagate_nan)
    low = coerce.operands(build, tile, min, weak=False)
    lifted = build.emit(ops.maximum_nan if everywhere else ops.maximum, *(_single(ctx, v) for v in low))
    high = coerce.operands(build, lifted, max, weak=False)
    return build.emit(ops.minimum_nan if everywhere else ops.minimum, *high)


def _single(ctx: Context, x: Value) -> Value:
    return coerce.cast(ctx.build, x, f32) if x.type.elem is bf16 else x


@builtin
def where(ctx: Context, condition: Any, x: Any, y: Any) -> Value:
    """x where condition holds, else y; both are computed, all are broadcast."""
    build = ctx.build
    cond = coerce.tensor(build, condition)
    if cond.type.elem is not i1:
        warnings.warn(f"tl.where with a condition of {cond.type.elem}, not of int1, is deprecated: compare it", UserWarning, stacklevel=2)
        cond = coerce.condition(build, cond)
    a, b = coerce.operands(build, x, y)
    return build.emit(ops.select, *coerce.broadcast(build, cond, a, b))


@builtin
def fma(ctx: Context, x: Any, y: Any, z: Any) -> Value:
    """x * y + z, rounded once."""
    build = ctx.build
    a, b, c = coerce.together(build, (x, y, z), weak=False)
    if a.type.elem.is_int:
        return build.emit(ops.add, build.emit(ops.mul, a, b), c)
    return build.emit(ops.fma, a, b, c)


@builtin
def umulhi(ctx: Context, x: Any, y: Any) -> Value:
    """The upper half of the product of 32- or 64-bit integers."""
    a, b = coerce.operands(ctx.build, x, y, weak=False)
    require(a.type.elem in (i32, u32, i64, u64), f"Expected dtype ['int32', 'int64', 'uint32', 'uint64'] but got {_spoken(a)}")
    return ctx.build.emit(ops.umulhi, a, b)


@builtin
def fdiv(ctx: Context, x: Any, y: Any, ieee_rounding: bool = False) -> Value:
    """x / y of floats, correctly rounded."""
    a, b = coerce.operands(ctx.build, x, y, weak=False)
    require(a.type.elem.is_float, f"fdiv takes floats, got {a.type} and {b.type}")
    return ctx.build.emit(ops.div, a, b)


@builtin
def div_rn(ctx: Context, x: Any, y: Any) -> Value:
    """x / y of fp32, correctly rounded."""
    a, b = coerce.operands(ctx.build, x, y, weak=False)
    require(a.type.elem is f32, f"Expected dtype ['fp32'] but got {_spoken(a)}")
    return ctx.build.emit(ops.div, a, b)


def _arithmetic(name: str, symbol: str, doc: str) -> Builtin:
    def apply(ctx: Context, x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
        return apply_binary(ctx.build, symbol, coerce.tensor(ctx.build, x) if not is_tensor(unwrap(y)) else x, y)

    apply.__name__, apply.__doc__ = name, doc
    return builtin(apply)


add = _arithmetic("add", "Add", "x + y.")
sub = _arithmetic("sub", "Sub", "x - y.")
mul = _arithmetic("mul", "Mult", "x * y.")


@method
@builtin
def cast(ctx: Context, input: Any, dtype: dtype, fp_downcast_rounding: str | None = None, bitcast: bool = False) -> Value:
    """Convert to another type: to floats to nearest even, or towards zero with fp_downcast_rounding="rtz"; from float to
    int towards zero and saturating; to int1 whether it is not zero. With bitcast=True the bits are read anew; widths
    must be equal."""
    build = ctx.build
    tile, to = coerce.tensor(build, input), unwrap(dtype)
    rounding = unwrap(fp_downcast_rounding)
    if rounding not in (None, "rtne", "rtz"):
        raise TypeRuleError(f"fp_downcast_rounding {rounding!r} is not known", help='use "rtne" or "rtz"')
    if isinstance(to, pointer_type) or isinstance(tile.type.elem, Pointer):
        return _cast_pointer(ctx, tile, to)
    elem = element(to)
    if unwrap(bitcast):
        if dtype_of(tile.type).bits != elem.bits:
            raise TypeRuleError(f"Cannot bitcast data-type of size {dtype_of(tile.type).bits} to data-type of size {elem.bits}")
        return build.emit(ops.bitcast, tile, to=elem)
    if elem is tile.type.elem:  # whatever rounding is asked for: kernels name it without knowing the type
        return tile
    if rounding and not (elem.is_float and tile.type.elem.is_float and elem.bits < tile.type.elem.bits):
        raise TypeRuleError("fp_downcast_rounding is for casts of floats to narrower floats only")
    return _truncated(build, tile, elem) if rounding == "rtz" else coerce.cast(build, tile, elem)


def _truncated(build: Builder, x: Value, to: DType) -> Value:
    """x rounded towards zero: the nearest number, one code back where that lies further out."""
    near = coerce.cast(build, x, to)
    sizes = (build.emit(ops.abs_, v) for v in (coerce.cast(build, near, dtype_of(x.type)), x))
    codes = DTYPES[f"u{to.bits}"]
    step = coerce.cast(build, build.emit(ops.gt, *sizes), codes)
    code = build.emit(ops.sub, build.emit(ops.bitcast, near, to=codes), step)
    if to.format is not None and to.format.special is Special.FNUZ:  # it has no negative zero, whose code is NaN
        underflow = build.emit(ops.eq, code, coerce.constant(build, 0x80, codes, x.type.shape))
        underflow = build.emit(ops.and_, underflow, coerce.cast(build, step, i1))
        code = build.emit(ops.select, underflow, coerce.constant(build, 0, codes, x.type.shape), code)
    return build.emit(ops.bitcast, code, to=to)


def _cast_pointer(ctx: Context, tile: Value, to: Any) -> Value:
    build = ctx.build
    require(not tile.type.elem.is_float, f"cannot convert {tile.type} to a pointer", help="convert it to tl.int64 first")
    whole = build.emit(ops.address, tile) if isinstance(tile.type.elem, Pointer) else coerce.cast(build, tile, i64)
    if isinstance(to, pointer_type):
        return build.emit(ops.pointer, whole, to=to.element_ty.elem)
    elem = element(to)
    require(elem.is_int, f"cannot convert {tile.type} to {short_name(elem)}", help="convert it to tl.int64 first")
    if elem.bits not in (1, 64) and isinstance(tile.type.elem, Pointer):
        beyond(build, f"cannot cast {tile.type} to {short_name(elem)}", "convert it to tl.int64 first")
    return coerce.cast(build, whole, elem)


def _require_one_per_axis(ctx: Context, name: str, input: Any, values: Any) -> None:
    """A promise is made of compile-time ints, one per axis; it has no effect, so other ones matter to Triton alone."""
    known, rank = unwrap(values), input.type.rank or 1 if is_tensor(input) else 1
    items = known if isinstance(known, (tuple, list)) else (known,)
    help = "give it a list of compile-time ints, one per axis"
    if any(static_int(item) is None for item in items):
        beyond(ctx.build, f"{name} takes constexpr values, got {coerce.describe(values)}", help)
    elif len(items) != rank:
        beyond(ctx.build, f"Shape of input to {name} does not match the length of values", help)


@builtin
def multiple_of(ctx: Context, input: Any, values: Any) -> Any:
    """A promise about divisibility; returns input."""
    _require_one_per_axis(ctx, "multiple_of", input, values)
    return input


@builtin
def max_contiguous(ctx: Context, input: Any, values: Any) -> Any:
    """A promise about contiguity; returns input."""
    _require_one_per_axis(ctx, "max_contiguous", input, values)
    return input


@builtin
def max_constancy(ctx: Context, input: Any, values: Any) -> Any:
    """A promise about equal neighbours; returns input."""
    _require_one_per_axis(ctx, "max_constancy", input, values)
    return input


@builtin
def assume(ctx: Context, cond: Any) -> None:
    """A promise that a condition holds; without effect."""
    known = unwrap(cond)
    if is_tensor(known) and (known.type.shape or known.type.elem is not i1):
        beyond(ctx.build, f"assume takes an int1 scalar, got {known.type}", "compare it, and reduce it to a scalar")


@builtin
def debug_barrier(ctx: Context) -> None:
    """Threads of one program meet; a program here is one thread, so nothing happens."""


def _declared(spec: OpSpec) -> Builtin:
    """The function that an op is by its declaration alone; operands meet as those of operators do."""
    signature = inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in spec.operands])

    def apply(ctx: Context, *args: Any, **kwargs: Any) -> Value:
        beyond(ctx.build, f"triton.language has no `{spec.name}`", help="write it with the functions that Triton has")
        return ctx.build.emit(spec, *coerce.together(ctx.build, signature.bind(*args, **kwargs).args))

    apply.__name__, apply.__doc__ = spec.name, spec.doc
    made = builtin(apply)
    made.__signature__ = signature
    return made


DECLARED = {name: _declared(spec) for name, spec in SPECS.items() if "function" in spec.traits and name not in globals()}
globals().update(DECLARED)

__all__ = [
    "PropagateNan", "abs", "add", "assume", "cast", "ceil", "clamp", "cos", "debug_barrier", "div_rn", "erf", "exp", "exp2",
    "fdiv", "floor", "fma", "log", "log2", "max_constancy", "max_contiguous", "maximum", "minimum", "mul", "multiple_of",
    "rsqrt", "sigmoid", "sin", "sqrt", "sqrt_rn", "sub", "tanh", "umulhi", "where",
]  # fmt: skip
__all__ += DECLARED
