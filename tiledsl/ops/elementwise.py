"""Ops that treat every element alike.

Operands of one op have one type: the frontend promotes and broadcasts before it emits. Each result is what the
declared function gives, correctly rounded once to the result's type; f16 and bf16 compute in f32. Integers wrap; i1
is an unsigned one-bit integer. NaN results are NaN, payload and sign free. Ops with a `ulp` are not exact: a shared
pass replaces them by exact ones, and their definition may differ from the function named here by that much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TypeRuleError, require
from ..ir.spec import OpSpec, export, op, parameters_of
from ..ir.types import DType, Pointer, Tile, dtype_of, f32, f64, i1, i32, i64, same, u32, u64
from . import exact
from .formula import computed, result_of

Accepts = Callable[[Tile], bool]


def number(tile: Tile) -> bool:
    return isinstance(tile.elem, DType)


def floating(tile: Tile) -> bool:
    return tile.elem.is_float


def integer(tile: Tile) -> bool:
    return tile.elem.is_int


def _wide_integer(tile: Tile) -> bool:
    return tile.elem in (i32, u32, i64, u64)


def elementwise(
    function: Callable[..., Any],
    name: str,
    doc: str,
    *,
    arity: int = 2,
    accepts: Accepts = number,
    result: DType | None = None,
    ulp: float | None = None,
    traits: tuple[str, ...] = (),
) -> OpSpec:
    """Declare an op that applies one NumPy function to tiles of one type."""

    def rule(*tiles: Tile) -> Tile:
        tile = same(*tiles)
        if not accepts(tile):
            raise TypeRuleError(f"{name.rstrip('_')} is not defined for {tile}")
        return tile.like(result) if result else tile

    def unary(x: Tile) -> Tile:
        return rule(x)

    def binary(x: Tile, y: Tile) -> Tile:
        return rule(x, y)

    def ternary(x: Tile, y: Tile, z: Tile) -> Tile:
        return rule(x, y, z)

    infer: Any = {1: unary, 2: binary, 3: ternary}[arity]
    infer.__name__, infer.__doc__ = name, doc
    return op(function, traits={"elementwise", *traits}, ulp=ulp)(infer)


# --- arithmetic


def modulo_two(function: Callable[..., Any]) -> Callable[..., Any]:
    """Arithmetic on i1 is arithmetic modulo two, which is not what NumPy does with bool."""

    def apply(*operands: np.ndarray) -> np.ndarray:
        if operands[0].dtype == bool:
            return (function(*(x.astype(np.uint8) for x in operands)) & 1).astype(bool)
        return function(*operands)

    return apply


add = elementwise(modulo_two(np.add), "add", "x + y; integers wrap.", traits=("commutative",))
sub = elementwise(modulo_two(np.subtract), "sub", "x - y; integers wrap.")
mul = elementwise(modulo_two(np.multiply), "mul", "x * y; integers wrap.", traits=("commutative",))
div = elementwise(np.divide, "div", "x / y, floats only; x / 0 is infinite or NaN.", accepts=floating)
idiv = elementwise(
    modulo_two(exact.divide), "idiv", "The quotient of integers, towards zero; x / 0 is all ones, MIN / -1 is MIN.", accepts=integer
)


def _rem(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.fmod(x, y) if x.dtype.kind == "f" else exact.remainder(x, y)


rem = elementwise(
    modulo_two(_rem),
    "rem",
    "What division towards zero leaves, with the sign of x (C's fmod for floats); integers: x % 0 is x, MIN % -1 is 0.",
)
neg = elementwise(modulo_two(np.negative), "neg", "-x: flips the sign of a float, also of zero and NaN; integers wrap.", arity=1)
abs_ = elementwise(np.abs, "abs_", "x without its sign; MIN stays MIN, unsigned integers stay as they are.", arity=1)
fma = elementwise(exact.fma, "fma", "x * y + z rounded once (f16 and bf16: in f32, then to the type).", arity=3, accepts=floating)
umulhi = elementwise(
    exact.multiply_high,
    "umulhi",
    "The upper half of the product of 32- or 64-bit integers taken as unsigned.",
    accepts=_wide_integer,
    traits=("commutative",),
)
sqrt = elementwise(np.sqrt, "sqrt", "The square root, correctly rounded; NaN below zero, -0 for -0.", arity=1, accepts=floating)
floor = elementwise(np.floor, "floor", "The largest integer not above x.", arity=1, accepts=floating)
ceil = elementwise(np.ceil, "ceil", "The smallest integer not below x.", arity=1, accepts=floating)
trunc = elementwise(np.trunc, "trunc", "x without its fraction.", arity=1, accepts=floating)
round_ = elementwise(np.rint, "round_", "The nearest integer, ties to even.", arity=1, accepts=floating)


def _pick(larger: bool, nan_wins: bool) -> Callable[..., Any]:
    def choose(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "f":
            return np.maximum(x, y) if larger else np.minimum(x, y)
        first = (x > y) if larger else (x < y)
        zeros = (x == y) & (np.signbit(y) if larger else np.signbit(x))  # -0 < +0
        ordered = np.where(first | zeros, x, y)
        x_nan, y_nan = np.isnan(x), np.isnan(y)
        if nan_wins:
            return np.where(x_nan, x, np.where(y_nan, y, ordered))
        return np.where(x_nan, y, np.where(y_nan, x, ordered))

    return choose


maximum = elementwise(
    _pick(True, False), "maximum", "The larger of x and y; the other one if one is NaN; +0 is larger than -0.", traits=("commutative",)
)
minimum = elementwise(
    _pick(False, False), "minimum", "The smaller of x and y; the other one if one is NaN; -0 is smaller than +0.", traits=("commutative",)
)
maximum_nan = elementwise(
    _pick(True, True),
    "maximum_nan",
    "The larger of x and y; NaN if either is; +0 is larger than -0.",
    accepts=floating,
    traits=("commutative",),
)
minimum_nan = elementwise(
    _pick(False, True),
    "minimum_nan",
    "The smaller of x and y; NaN if either is; -0 is smaller than +0.",
    accepts=floating,
    traits=("commutative",),
)

# --- bits


def _shift(left: bool) -> Callable[..., Any]:
    def shift(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if x.dtype == bool:
            return x & ~y  # a one-bit integer survives only a shift by nothing
        bits = x.dtype.itemsize * 8
        inside = (y >= 0) & (y < np.asarray(bits, x.dtype))
        amount = np.where(inside, y, np.zeros_like(y))
        moved = np.left_shift(x, amount) if left else np.right_shift(x, amount)
        keeps_sign = not left and x.dtype.kind == "i"
        beyond = np.where(x < 0, -1, 0) if keeps_sign else 0
        return np.where(inside, moved, beyond).astype(x.dtype)

    return shift


and_ = elementwise(np.bitwise_and, "and_", "The bits set in both.", accepts=integer, traits=("commutative",))
or_ = elementwise(np.bitwise_or, "or_", "The bits set in either.", accepts=integer, traits=("commutative",))
xor = elementwise(np.bitwise_xor, "xor", "The bits set in one of the two.", accepts=integer, traits=("commutative",))
not_ = elementwise(np.invert, "not_", "Every bit flipped.", arity=1, accepts=integer)
shl = elementwise(_shift(True), "shl", "x shifted left by y bits; 0 when y, taken as unsigned, is not below the width.", accepts=integer)
shr = elementwise(
    _shift(False),
    "shr",
    "x shifted right by y bits, keeping the sign of signed types; past the width only the sign remains.",
    accepts=integer,
)

# --- comparisons and choice


def _any(tile: Tile) -> bool:
    return True


eq = elementwise(np.equal, "eq", "x == y; false if either is NaN.", accepts=_any, result=i1, traits=("commutative",))
ne = elementwise(np.not_equal, "ne", "x != y; true if either is NaN.", accepts=_any, result=i1, traits=("commutative",))
lt = elementwise(np.less, "lt", "x < y; false if either is NaN.", accepts=_any, result=i1)
le = elementwise(np.less_equal, "le", "x <= y; false if either is NaN.", accepts=_any, result=i1)
gt = elementwise(np.greater, "gt", "x > y; false if either is NaN.", accepts=_any, result=i1)
ge = elementwise(np.greater_equal, "ge", "x >= y; false if either is NaN.", accepts=_any, result=i1)


@op(np.where, traits={"elementwise", "moves"})
def select(cond: Tile, x: Tile, y: Tile) -> Tile:
    """x where cond holds, else y; both are computed."""
    tile = same(x, y)
    require(cond == x.like(i1), f"condition {cond} does not match {x}")
    return tile


# --- conversions


def _cast(x: np.ndarray, *, to: DType) -> np.ndarray:
    if to is i1:
        return x != 0
    if to.is_float:
        if x.dtype.kind != "f" and to.bits < 32:  # an integer goes through f32
            x = x.astype(np.float32)
        return to.round(x if x.dtype.kind == "f" else x.astype(to.numpy))
    if x.dtype.kind == "f":
        return exact.float_to_int(x, to.numpy)
    return x.astype(to.numpy)


@op(_cast, traits={"elementwise"})
def cast(x: Tile, *, to: DType) -> Tile:
    """x converted: to a float, the nearest, ties to even (integers reach f16 and bf16 through f32); from a float to an
    integer, towards zero, saturating, NaN to 0; between integers, wrapping; to i1, whether x is not 0."""
    dtype_of(x)
    return x.like(to)


def _bitcast(x: np.ndarray, *, to: DType, types: tuple[Tile, ...]) -> np.ndarray:
    return to.decode(np.asarray(dtype_of(types[0]).encode(x), order="C").view(to.storage))


@op(_bitcast, traits={"elementwise", "typed", "moves"})
def bitcast(x: Tile, *, to: DType) -> Tile:
    """The bits of x read as another type of the same width."""
    require(dtype_of(x).bits == to.bits, f"cannot read the {dtype_of(x).bits} bits of {x.elem} as {to}, which has {to.bits}")
    return x.like(to)


# --- pointers


def _offset(ptr: np.ndarray, by: np.ndarray, *, types: tuple[Tile, ...]) -> np.ndarray:
    assert isinstance(types[0].elem, Pointer)
    return ptr + by.astype(np.int64) * types[0].elem.to.itemsize


@op(_offset, traits={"elementwise", "typed"})
def offset(ptr: Tile, by: Tile) -> Tile:
    """Each pointer moved by a number of elements; an unsigned number counts upward."""
    require(isinstance(ptr.elem, Pointer) and by.elem.is_int and ptr.shape == by.shape, f"cannot offset {ptr} by {by}")
    return ptr


@op(lambda ptr: ptr, traits={"elementwise"})
def address(ptr: Tile) -> Tile:
    """The byte address of each pointer, as an i64."""
    require(isinstance(ptr.elem, Pointer), f"{ptr} is not a tile of pointers")
    return ptr.like(i64)


@op(lambda x, *, to: x, traits={"elementwise"})
def pointer(x: Tile, *, to: DType) -> Tile:
    """Pointers to elements of a type, from byte addresses."""
    require(x.elem is i64, f"an address is an i64, got {x}")
    return x.like(Pointer(to))


# --- functions with an error bound, which a shared pass turns into exact ops


def inexact(function: Callable[..., Any], name: str, doc: str, *, arity: int = 1, ulp: float = 1.0, traits: tuple[str, ...] = ()) -> OpSpec:
    """Declare a function whose definition lies within ulp (in f32) of what NumPy computes in double precision."""

    def wide(*operands: np.ndarray) -> np.ndarray:
        return np.asarray(function(*(x.astype(np.float64) for x in operands))).astype(operands[0].dtype)

    return elementwise(wide, name, doc, arity=arity, accepts=floating, ulp=ulp, traits=traits)


exp = inexact(np.exp, "exp", "e to the power x.")
exp2 = inexact(np.exp2, "exp2", "2 to the power x.")
log = inexact(np.log, "log", "The natural logarithm; NaN below zero, -inf at zero.")
log2 = inexact(np.log2, "log2", "The logarithm to base 2; NaN below zero, -inf at zero.")
sin = inexact(np.sin, "sin", "The sine of x radians; NaN for infinities.")
cos = inexact(np.cos, "cos", "The cosine of x radians; NaN for infinities.")
tanh = inexact(np.tanh, "tanh", "The hyperbolic tangent.")
erf = inexact(np.vectorize(math.erf, otypes=[np.float64]), "erf", "The error function.")
sigmoid = inexact(lambda x: 1 / (1 + np.exp(-x)), "sigmoid", "1 / (1 + e to the power -x).")
rsqrt = inexact(lambda x: 1 / np.sqrt(x), "rsqrt", "One over the square root; infinite at zero with its sign, NaN below.")
pow_ = inexact(np.power, "pow_", "x to the power y, with the special cases of C's pow.", arity=2, ulp=2.0)
expm1 = inexact(np.expm1, "expm1", "e to the power x, minus 1, as precise near zero as elsewhere.")
log1p = inexact(np.log1p, "log1p", "The logarithm of 1 + x, as precise near zero as elsewhere; NaN below -1, -inf at -1.")
log10 = inexact(np.log10, "log10", "The logarithm to base 10; NaN below zero, -inf at zero.")
tan = inexact(np.tan, "tan", "The tangent of x radians; NaN for infinities.")
cbrt = inexact(np.cbrt, "cbrt", "The cube root, of negative numbers too.")
atan = inexact(np.arctan, "atan", "The arc tangent, between -pi/2 and pi/2.")
asin = inexact(np.arcsin, "asin", "The arc sine, between -pi/2 and pi/2; NaN beyond 1.")
acos = inexact(np.arccos, "acos", "The arc cosine, between 0 and pi; NaN beyond 1.")
atan2 = inexact(np.arctan2, "atan2", "The angle of the point (second operand, first operand), between -pi and pi.", arity=2)
sinh = inexact(np.sinh, "sinh", "The hyperbolic sine.")
cosh = inexact(np.cosh, "cosh", "The hyperbolic cosine.")
asinh = inexact(np.arcsinh, "asinh", "The inverse of sinh.")
acosh = inexact(np.arccosh, "acosh", "The inverse of cosh from 1 on; NaN below.")
atanh = inexact(np.arctanh, "atanh", "The inverse of tanh; infinite at 1 and -1, NaN beyond.")
exp10 = inexact(lambda x: np.power(10.0, x), "exp10", "10 to the power x.")
hypot = inexact(np.hypot, "hypot", "The square root of x**2 + y**2, without overflow on the way.", arity=2)

# --- ops that are made of others


def composed(
    definition: Callable[..., Any],
    name: str,
    doc: str,
    *,
    accepts: Accepts = number,
    ulp: float | None = None,
    traits: tuple[str, ...] = ("function",),
) -> OpSpec:
    """Declare an op, and the function `tl.<name>` if it has that trait, by a definition in other ops: its meaning, and what every
    backend runs.

    The definition is written on terms of one type and shape: with Python's operators, and with the ops above as functions.
    If all of these are exact, so is the op; else `ulp` says how far its result may lie from what NumPy makes of it."""
    names, *_ = parameters_of(definition)

    def infer(*tiles: Tile) -> Tile:
        tile = same(*tiles)
        if not accepts(tile):
            raise TypeRuleError(f"{name} is not defined for {tile}")
        return tile.like(result_of(definition, dtype_of(tile), len(tiles)))

    rule: Any = infer
    rule.__name__, rule.__doc__ = name, doc
    return op(computed(definition), traits=("elementwise", *traits), ulp=ulp, definition=definition, names=names)(rule)


def _scale(x: Any, n: Any) -> Any:
    """In f64, which has room for every product, so that it is rounded once."""
    wide = n.cast(f64)
    whole = wide.apply(floor)
    whole = (whole < -FURTHEST).apply(select, wide.like(-FURTHEST), whole)
    whole = (whole > FURTHEST).apply(select, wide.like(FURTHEST), whole)
    power = ((whole.cast(i64) + 1023) << 52).apply(bitcast, to=f64)
    limit = (wide < 0.0).apply(select, wide.like(0.0), wide)
    product = (x.cast(f64) * (abs(wide) < math.inf).apply(select, power, limit)).cast(f32)
    quiet = (x.apply(bitcast, to=i32) & 0x7FC00000).equals(0x7FC00000)
    return (quiet & abs(n).equals(math.inf)).apply(select, limit.cast(f32), product)


FURTHEST = 400.0  # octaves: more than from the smallest f32 to the largest

scale = composed(
    _scale,
    "scale",
    "x times 2 to the power floor(n), rounded once; f32 only. What definitions of functions end with, on machines that have it. "
    "As such machines do, a quiet NaN gives 0 for n = -inf, and infinity for n = inf.",
    accepts=lambda tile: tile.elem is f32,
    traits=(),
)


export(globals())  # the last line: every op above it
