"""`libdevice`: the C library's functions for tiles, under the names that CUDA and Triton give them.

Floats are fp32 or fp64, and, beyond Triton, fp16 and bf16, which compute in fp32 and are rounded once where the result is a
float; a number is typed as if it stood alone. Names with `fast_` are the exact functions. Tests such as
`isnan` return int32 truth values.
"""

from __future__ import annotations

import math as _python
from builtins import abs as _abs
from collections.abc import Callable
from typing import Any

from .. import ops as _ops
from ..errors import require as _require
from ..ir.core import Value as _Value
from ..ir.spec import OpSpec as _OpSpec
from ..ir.types import DType as _DType
from ..ir.types import bf16 as _bf16
from ..ir.types import dtype_of as _dtype_of
from ..ir.types import f16 as _f16
from ..ir.types import f32 as _f32
from ..ir.types import f64 as _f64
from ..ir.types import i32 as _i32
from ..ir.types import i64 as _i64
from ..ir.types import u32 as _u32
from ..ir.types import u64 as _u64
from ..numerics import bessel as _bessel
from ..numerics import directed as _directed
from ..numerics import norms as _norms
from ..numerics import special as _special
from ..numerics import words as _words
from ..numerics.hyperbolic import through_f64 as _through_f64
from ..numerics.term import Term as _Term
from ..numerics.term import fma as _fma
from ..numerics.term import select as _select
from ..numerics.term import with_sign_of as _with_sign_of
from . import coerce as _coerce
from . import orders as _orders
from .core import Builtin as _Builtin
from .core import Context as _Context
from .core import beyond as _beyond
from .core import builtin as _builtin

_Program = Callable[..., _Term]
_FLOATS, _WORDS = (_f32, _f64), (_i32, _u32, _i64, _u64)


def _terms(ctx: _Context, values: tuple[Any, ...]) -> list[_Term]:
    """The arguments as tiles of one type and shape."""
    return [_Term(ctx.build, tile) for tile in _coerce.together(ctx.build, values, weak=False)]


def _function(name: str, program: _Program, doc: str, arity: int = 1, accepts: tuple[_DType, ...] = _FLOATS) -> _Builtin:
    """A function of one, two or three tiles of one type."""

    def check(ctx: _Context, *values: Any) -> _Value:
        terms = _terms(ctx, values)
        found = terms[0].value.type
        elem = _dtype_of(found)
        refusal = f"libdevice.{name} takes {' or '.join(map(str, accepts))}, got {found}"
        if accepts is not _FLOATS or elem not in (_f16, _bf16):
            _require(elem in accepts, refusal)
            return program(*terms).value
        _beyond(ctx.build, refusal, help="convert it first: x.to(tl.float32)")
        result = program(*(term.cast(_f32) for term in terms))
        return (result.cast(elem) if result.elem is _f32 else result).value

    def unary(ctx: _Context, x: Any) -> _Value:
        return check(ctx, x)

    def binary(ctx: _Context, x: Any, y: Any) -> _Value:
        return check(ctx, x, y)

    def ternary(ctx: _Context, x: Any, y: Any, z: Any) -> _Value:
        return check(ctx, x, y, z)

    def quaternary(ctx: _Context, x: Any, y: Any, z: Any, w: Any) -> _Value:
        return check(ctx, x, y, z, w)

    apply: Any = {1: unary, 2: binary, 3: ternary, 4: quaternary}[arity]
    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return _builtin(apply)


def _op(spec: _OpSpec) -> _Program:
    return lambda x, *others: x.apply(spec, *others)


def _truth(condition: _Term) -> _Term:
    return condition.cast(_i32)


def _bits_of(x: _Term) -> _Term:
    return x.apply(_ops.bitcast, to=_i32 if x.elem is _f32 else _i64)


def _rounded_away(x: _Term) -> _Term:
    whole = x.apply(_ops.trunc)
    step = _with_sign_of((_abs(x - whole) >= 0.5).cast(x.elem), x)
    return _select(x.equals(whole), x, _with_sign_of(_abs(whole + step), x))


def _nextafter(x: _Term, y: _Term) -> _Term:
    bits = _bits_of(x)
    grows = (y > x).cast(bits.elem)
    away = _select((x > 0.0), grows + grows - 1, 1 - (grows + grows))
    moved = (bits + away).floating(x.elem)
    smallest = _with_sign_of(bits.like(1).floating(x.elem), y)
    moved = _select(x.equals(0.0), smallest, moved)
    moved = _select(x.equals(y), y, moved)
    return _select(x.equals(x) & y.equals(y), moved, x + y)


def _remainder(x: _Term, y: _Term) -> _Term:
    """x less the nearest multiple of y, ties to the even one."""
    size, divisor = _abs(x), _abs(y)
    rest = _select(divisor < divisor.like(_LARGEST[x.elem] / 2), size.apply(_ops.rem, divisor + divisor), size)
    half = divisor * 0.5
    small = divisor < 1e-30
    first = _select(small, (rest + rest > divisor).cast(x.elem), (rest > half).cast(x.elem)) > 0.0
    rest = _select(first, rest - divisor, rest)
    second = _select(small, (rest + rest >= divisor).cast(x.elem), (rest >= half).cast(x.elem)) > 0.0
    rest = _select(second & first, rest - divisor, rest)
    signed = (rest.bits ^ (x.bits & x.format.sign)).floating(x.elem)
    bad = ~(size < _python.inf) | divisor.equals(0.0) | ~y.equals(y)
    return _select(bad, _python.nan, signed)


_LARGEST = {_f32: 3.4028234663852886e38, _f64: 1.7976931348623157e308}


def _ilogb(x: _Term) -> _Term:
    form = x.format
    tiny = _abs(x) < 2.0 ** (1 - form.bias)
    bits = _abs(_select(tiny, x * 2.0**form.mantissa, x)).bits
    exponent = (bits >> form.mantissa).cast(_i32) - _select(tiny, x.like(form.bias + form.mantissa, _i32), form.bias)
    exponent = _select(x.equals(0.0), -(2**31), exponent)
    return _select(_abs(x) < _python.inf, exponent, _select(x.equals(x), exponent.like(2**31 - 1), -(2**31)))


def _ldexp(x: _Term, by: _Term) -> _Term:
    """x * 2**by in three exact steps but the last."""
    form, n = x.format, by
    for _ in range(2):
        step = _select(n > form.bias, n.like(form.bias), _select(n < -form.bias + 54 + 1, n.like(-form.bias + 54 + 1), n))
        step = _select(x.equals(0.0), step.like(0), step)
        x, n = x * (((step + form.bias).cast(form.integer)) << form.mantissa).floating(x.elem), n - step
    step = _select(n > form.bias, n.like(form.bias), _select(n < 1 - form.bias, n.like(1 - form.bias), n))
    scale = (((step + form.bias).cast(form.integer)) << form.mantissa).floating(x.elem)
    return _fma(x, scale, -0.0)  # a product that no sum is fused with


def _high_reciprocal(x: _Term) -> _Term:
    upper = -(1 << 32)
    return ((1.0 / (x.bits & upper).floating(x.elem)).bits & upper).floating(x.elem)


def _whole(rounding: _Program, to: _DType) -> _Program:
    return lambda x: rounding(x).cast(to)


def _pi_times(function: _OpSpec) -> _Program:
    """A function of pi x, x being reduced exactly first."""

    def program(x: _Term) -> _Term:
        elem, wide = x.elem, x.cast(_f64)
        rest = _fma((wide * 0.5).apply(_ops.round_), -2.0, wide)
        if function is _ops.cos:
            rest = _abs(rest)
            inner = _select(rest > 0.25, _sine_of_pi(0.5 - rest), (rest * _python.pi).apply(_ops.cos))
            return _select(rest > 0.75, -((1.0 - rest) * _python.pi).apply(_ops.cos), inner).cast(elem)
        return _with_zero(_sine_of_pi(rest), wide).cast(elem)

    return program


def _sine_of_pi(rest: _Term) -> _Term:
    folded = _select(_abs(rest) > 0.5, _with_sign_of(1.0 - _abs(rest), rest), rest)
    return (folded * _python.pi).apply(_ops.sin)


def _with_zero(result: _Term, x: _Term) -> _Term:
    return _select(result.equals(0.0), _with_sign_of(_abs(result), x), result)


_UNARY: dict[str, tuple[_Program, str]] = {
    **{
        name: (_op(getattr(_ops, name)), str(getattr(_ops, name).doc) if hasattr(_ops.exp, "doc") else f"{name} of x.")
        for name in "exp exp2 exp10 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
        "erf cbrt rsqrt sqrt floor ceil trunc".split()
    },
    "abs": (_abs, "x without its sign."),
    "fabs": (_abs, "x without its sign."),
    "rint": (_op(_ops.round_), "The nearest integer, ties to even."),
    "nearbyint": (_op(_ops.round_), "The nearest integer, ties to even."),
    "round": (_rounded_away, "The nearest integer, ties away from zero."),
    "rcp_rn": (lambda x: 1.0 / x, "1 / x, correctly rounded."),
    "sqrt_rn": (_op(_ops.sqrt), "The square root, correctly rounded."),
    "rcbrt": (lambda x: _through_f64(lambda wide: 1.0 / wide.apply(_ops.cbrt))(x), "1 / cbrt(x)."),
    "rsqrt_rn": (_op(_ops.rsqrt), "1 / sqrt(x)."),
    "saturatef": (
        lambda x: _select(x > 0.0, x, 0.0).apply(_ops.minimum, 1.0),
        "x, but at least 0 and at most 1; NaN gives 0.",
    ),
    "isnan": (lambda x: _truth(x.differs(x)), "1 where x is NaN, else 0."),
    "isinf": (lambda x: _truth(_abs(x).equals(_python.inf)), "1 where x is infinite, else 0."),
    "finitef": (lambda x: _truth(_abs(x) < _python.inf), "1 where x is finite, else 0."),
    "isfinited": (lambda x: _truth(_abs(x) < _python.inf), "1 where x is finite, else 0."),
    "signbit": (lambda x: _truth(_bits_of(x) < 0), "1 where x has a minus sign, zeros and NaN included, else 0."),
    "ilogb": (_ilogb, "The exponent of x as an int32."),
    "logb": (
        lambda x: _select(_abs(x) < _python.inf, _select(x.equals(0.0), -_python.inf, _ilogb(x).cast(x.elem)), _abs(x)),
        "The exponent of x.",
    ),
    "sinpi": (_pi_times(_ops.sin), "The sine of pi x."),
    "cospi": (_pi_times(_ops.cos), "The cosine of pi x."),
    "fast_expf": (_op(_ops.exp), "exp."),
    "fast_exp10f": (_op(_ops.exp10), "exp10."),
    "fast_logf": (_op(_ops.log), "log."),
    "fast_log2f": (_op(_ops.log2), "log2."),
    "fast_log10f": (_op(_ops.log10), "log10."),
    "fast_sinf": (_op(_ops.sin), "sin."),
    "fast_cosf": (_op(_ops.cos), "cos."),
    "fast_tanf": (_op(_ops.tan), "tan."),
    "fast_tanhf": (_op(_ops.tanh), "tanh."),
    "llrint": (_whole(_op(_ops.round_), _i64), "The nearest integer, ties to even, as an int64."),
    "llround": (_whole(_rounded_away, _i64), "The nearest integer, ties away from zero, as an int64."),
}
_BINARY: dict[str, tuple[_Program, str]] = {
    "pow": (_op(_ops.pow_), "x to the power y."),
    "fast_powf": (_op(_ops.pow_), "x to the power y."),
    "fmod": (_op(_ops.rem), "What division towards zero leaves, with the sign of x."),
    "remainder": (_remainder, "What division by the nearest integer quotient leaves."),
    "atan2": (_op(_ops.atan2), "The angle of the point (y, x)."),
    "hypot": (_op(_ops.hypot), "sqrt(x * x + y * y) without overflow."),
    "copysign": (lambda x, y: _with_sign_of(_abs(x), y), "x with the sign of y."),
    "nextafter": (_nextafter, "The neighbour of x towards y."),
    "fdim": (lambda x, y: _select(x > y, x - y, _select(x.equals(x) & y.equals(y), x.like(0.0), _python.nan)), "x - y, or 0 if negative."),
    "fmax": (_op(_ops.maximum), "The larger; the other one if one is NaN."),
    "fmin": (_op(_ops.minimum), "The smaller; the other one if one is NaN."),
    "fast_dividef": (_op(_ops.div), "x / y."),
}
for _name, (_program, _doc) in _UNARY.items():
    globals()[_name] = _function(_name, _program, _doc)
for _name, (_program, _doc) in _BINARY.items():
    globals()[_name] = _function(_name, _program, _doc, 2)
for _name, (_program, _doc) in {
    "popc": (_words.count, "How many bits are set."),
    "clz": (_words.leading_zeros, "How many high bits are zero."),
    "ffs": (_words.first_set, "The place of the lowest bit set, from 1; 0 for zero."),
    "brev": (_words.reversed_bits, "The bits in the other order."),
}.items():
    globals()[_name] = _function(_name, _program, _doc, accepts=_WORDS)
for _name, _program, _doc, _arity in (
    ("mul24", _words.low_product, "The lower 32 bits of the product of the low 24 bits.", 2),
    ("hadd", _words.average, "(x + y) / 2 rounded down, without overflow.", 2),
    ("rhadd", _words.average_up, "(x + y) / 2 rounded up, without overflow.", 2),
    (
        "byte_perm",
        _words.chosen_bytes,
        "Four of the eight bytes of x and y, numbered by the low three bits of each half byte of a selector.",
        3,
    ),
):
    globals()[_name] = _function(_name, _program, _doc, _arity, (_i32, _u32))
for _name, _arity, _inverse in (
    ("rhypot", 2, True),
    ("norm3d", 3, False),
    ("rnorm3d", 3, True),
    ("norm4d", 4, False),
    ("rnorm4d", 4, True),
):
    _doc = f"{'1 / ' * _inverse}sqrt(x * x + y * y{' + z * z' * (_arity > 2)}{' + w * w' * (_arity > 3)}) without overflow."
    globals()[_name] = _function(_name, _norms.norm(_inverse), _doc, _arity)
rcp64h = _function("rcp64h", _high_reciprocal, "1 / x of the upper 32 bits of x, in the upper 32 bits.", accepts=(_f64,))
mulhi = _function("mulhi", _words.high_product, "The upper half of the product, of signed words too.", 2, _WORDS)
fma = _function("fma", _fma, "x * y + z, rounded once.", 3)

for _name, _doc in {
    "erfc": "1 - erf(x), also where that is small.",
    "normcdf": "The share of a normal distribution below x.",
    "erfcx": "exp(x**2) erfc(x).",
    "erfinv": "The inverse of erf.",
    "erfcinv": "The inverse of erfc.",
    "normcdfinv": "The inverse of normcdf.",
    "tgamma": "The gamma function.",
    "lgamma": "The logarithm of the size of the gamma function.",
    "j0": "The Bessel function of the first kind, of order 0.",
    "j1": "The Bessel function of the first kind, of order 1.",
    "y0": "The Bessel function of the second kind, of order 0.",
    "y1": "The Bessel function of the second kind, of order 1.",
    "cyl_bessel_i0": "The modified Bessel function of the first kind, of order 0.",
    "cyl_bessel_i1": "The modified Bessel function of the first kind, of order 1.",
}.items():
    globals()[_name] = _function(_name, getattr(_special, _name, None) or getattr(_bessel, _name), _doc)


def _of_order(name: str, letter: str, doc: str) -> _Builtin:
    """A Bessel function whose order is an argument."""
    by_recurrence = getattr(_orders, "first_kind" if letter == "j" else "second_kind")

    def apply(ctx: _Context, n: Any, x: Any) -> _Value:
        order, at = _coerce.broadcast(ctx.build, _coerce.tensor(ctx.build, n), _coerce.tensor(ctx.build, x))
        elem = _dtype_of(at.type)
        refusal = f"libdevice.{name} takes an integer and f32 or f64, got {order.type} and {at.type}"
        _require(_dtype_of(order.type).is_int and (elem in _FLOATS or elem in (_f16, _bf16)), refusal)
        if elem not in _FLOATS:
            _beyond(ctx.build, refusal, help="convert it first: x.to(tl.float32)")
        wide = _Term(ctx.build, at).cast(_f64)
        starts = [getattr(_bessel, f"{letter}{number}")(wide).value for number in (0, 1)]
        found = ctx.call(by_recurrence, (_coerce.cast(ctx.build, order, _i64), wide.value, *starts))
        result = _Term(ctx.build, found)
        return (result if elem is _f64 else result.cast(_f32).cast(elem)).value

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return _builtin(apply)


jn = _of_order("jn", "j", "The Bessel function of the first kind, of order n at x; it takes about n steps.")
yn = _of_order("yn", "y", "The Bessel function of the second kind, of order n at x; it takes about n steps.")

# arithmetic rounded up, down, to zero and to nearest
for _mode in ("rn", "rz", "rd", "ru"):
    for _name, _arity in _directed.ARITY.items():
        _full = f"{_name}_{_mode}"
        globals()[_full] = _function(_full, _directed.program(_name, _mode), f"{_name}, rounded {_directed.MODES[_mode]}.", _arity)

# conversions between numbers, by their names: float2int_rz, double2uint_ru, int2float_rn, ...
_ROUNDINGS: dict[str, _Program] = {
    "rn": _op(_ops.round_),
    "rz": _op(_ops.trunc),
    "rd": _op(_ops.floor),
    "ru": _op(_ops.ceil),
}
_INTEGERS = {"int": _i32, "uint": _u32, "ll": _i64, "ull": _u64}
for _source, _elem in (("float", _f32), ("double", _f64)):
    for _target, _to in _INTEGERS.items():
        for _mode, _program in _ROUNDINGS.items():
            _full = f"{_source}2{_target}_{_mode}"
            globals()[_full] = _function(_full, _whole(_program, _to), f"x as {_to}, saturating; NaN gives 0.", accepts=(_elem,))
        for _mode in _ROUNDINGS if _to.bits > 32 or _elem is _f32 else ("rn",):  # an f64 holds every 32-bit integer
            _full, _said = f"{_target}2{_source}_{_mode}", f"x as {_elem}, rounded {_directed.MODES[_mode]}."
            globals()[_full] = _function(
                _full, lambda x, elem=_elem, mode=_mode: _directed.from_integer(x, elem, mode), _said, accepts=(_to,)
            )
for _mode in _ROUNDINGS:
    _full, _said = f"double2float_{_mode}", f"x as f32, rounded {_directed.MODES[_mode]}."
    globals()[_full] = _function(_full, lambda x, mode=_mode: _directed.narrowed(x, mode), _said, accepts=(_f64,))


def _reading(name: str, elem: _DType, to: _DType) -> _Builtin:
    return _function(name, lambda x: x.apply(_ops.bitcast, to=to), f"The bits of x as {to}.", accepts=(elem,))


double2hiint = _function("double2hiint", lambda x: (x.bits >> 32).cast(_i32), "The upper 32 bits of x.", accepts=(_f64,))
double2loint = _function("double2loint", lambda x: x.bits.cast(_i32), "The lower 32 bits of x.", accepts=(_f64,))
hiloint2double = _function(
    "hiloint2double",
    lambda high, low: ((high.cast(_i64) << 32) | low.cast(_u32).cast(_i64)).floating(_f64),
    "The f64 of these upper and lower 32 bits.",
    2,
    (_i32, _u32),
)


@_builtin
def sad(ctx: _Context, x: Any, y: Any, z: Any) -> _Value:
    """abs(x - y) + z, wrapping, of 32-bit integers."""
    a, b = _terms(ctx, (x, y))
    _require(a.elem in (_i32, _u32), f"libdevice.sad takes i32 or u32, got {a.value.type}")
    distance = a.apply(_ops.maximum, b) - a.apply(_ops.minimum, b)
    total, more = _coerce.broadcast(ctx.build, distance.value, _coerce.cast(ctx.build, _coerce.tensor(ctx.build, z), a.elem))
    return (_Term(ctx.build, total) + _Term(ctx.build, more)).value


for _full, _elem, _to in (
    ("float_as_int", _f32, _i32), ("float_as_uint", _f32, _u32), ("int_as_float", _i32, _f32), ("uint_as_float", _u32, _f32),
    ("double_as_longlong", _f64, _i64), ("longlong_as_double", _i64, _f64),
):  # fmt: skip
    globals()[_full] = _reading(_full, _elem, _to)


@_builtin
def ldexp(ctx: _Context, x: Any, exponent: Any) -> _Value:
    """x * 2**exponent, rounded once."""
    number, by = _coerce.broadcast(ctx.build, _coerce.tensor(ctx.build, x), _coerce.tensor(ctx.build, exponent))
    _require(number.type.elem in _FLOATS and by.type.elem.is_int, f"ldexp takes a float and an integer, got {number.type} and {by.type}")
    return _ldexp(_Term(ctx.build, number), _Term(ctx.build, _coerce.cast(ctx.build, by, _i32))).value


scalbn = ldexp
