"""Special functions: erfc and its kin, gamma, Bessel. All compute in f64; f32 rounds once at the end.

Measured over samples, against mpmath: 0.51 ulp in f32. In f64, ulp: erfc 2.2, normcdf 2.4, erfinv 2.9, lgamma 1.4, tgamma 22
(negative numbers), I0 70, I1 26 (near zero). J and Y are within 2**-50 of their size nearby, so near a zero fewer digits hold;
lgamma of negative numbers likewise.
"""

from __future__ import annotations

import math

from .. import ops
from . import special_coefficients as table
from .exponential import exp_of_rest, scaled, split
from .hyperbolic import through_f64
from .term import Term, at_least, at_most, fma, polynomial, select, sqrt, with_sign_of


def over(x: Term, low: float, high: float, coefficients: tuple[float, ...]) -> Term:
    """A polynomial that was fitted on low to high."""
    half = (high - low) / 2
    return polynomial(fma(x, 1 / half, -(low + high) / 2 / half), coefficients)


@through_f64
def erfcx(x: Term) -> Term:
    """exp(x**2) erfc(x), for x from 0 to 28."""
    t = (x - 4.0) / (x + 4.0)
    return over(t, -1.0, 0.8, table.ERFCX) / fma(x, 2.0, 1.0)


def gauss(x: Term, factor: float) -> Term:
    """exp(-factor x**2), with what rounding takes from the square."""
    square = x * x
    lost = fma(x, x, -square) * -factor
    head = (square * -factor).apply(ops.exp)
    return fma(head, lost, head)


@through_f64
def erfc(x: Term) -> Term:
    """1 - erf(x), also where that is small."""
    size = at_most(abs(x), 28.0)
    tail = gauss(size, 1.0) * erfcx(size)
    outer = select(x < 0.0, 2.0 - tail, tail)
    return select(abs(x) < 0.5, 1.0 - x.apply(ops.erf), outer)


@through_f64
def normcdf(x: Term) -> Term:
    """The share of a normal distribution below x."""
    size = at_most(abs(x), 39.0)
    tail = gauss(size, 0.5) * erfcx(size * math.sqrt(0.5)) * 0.5
    return select(x < 0.0, tail, 1.0 - tail) + select(x.equals(x), x.like(0.0), math.nan)


@through_f64
def erfinv(x: Term) -> Term:
    """The inverse of erf; infinite at 1, NaN beyond."""
    size = abs(x)
    w = -((1.0 - size) * (size + 1.0)).apply(ops.log)
    s = sqrt(w)
    far = select(s > 4.0, over(s, 4.0, 6.1, table.ERFINV_2), over(s, 2.5, 4.0, table.ERFINV_1))
    result = x * select(w < 6.25, over(w, 0.0, 6.25, table.ERFINV_0), far)
    return select(size.equals(1.0), x * math.inf, select(size < 1.0, result, math.nan))


@through_f64
def tgamma(x: Term) -> Term:
    """The gamma function; NaN at negative integers."""
    size = abs(x)
    below = x < 0.5
    y = select(below, 1.0 - x, x)
    near = at_most(y, 12.0)
    product = y.like(1.0)
    for _ in range(9):
        big = near > 3.0
        near = select(big, near - 1.0, near)
        product = product * select(big, near, 1.0)
    low, lower = near < 2.0, near < 1.0
    above = select(lower, near, select(low, near - 1.0, near - 2.0))
    divisor = select(lower, near * (near + 1.0), select(low, near, 1.0))
    inner = over(above, 0.0, 1.0, table.GAMMA) * product / divisor
    root = at_most(y, 400.0).apply(ops.pow_, (at_most(y, 400.0) - 0.5) * 0.5)
    outer = root * ((-y).apply(ops.exp) * root) * stirling(y).apply(ops.exp) * math.sqrt(2 * math.pi)
    value = select(y < 12.0, inner, select(y > 180.0, math.inf, outer))
    reflected = math.pi / (sine_of_pi(x) * value)
    result = select(below, reflected, value)
    whole = x.apply(ops.floor).equals(x) & (x < 0.0)
    result = select(whole, math.nan, result)
    tiny = size < 2.0**-60
    return select(tiny, 1.0 / x, select(x.equals(math.inf), math.inf, result))


def stirling(y: Term) -> Term:
    """log gamma(y) - (y - 1/2) log(y) + y - log(2 pi) / 2, for y from 8 on."""
    inverse = 1.0 / y
    return inverse * polynomial(inverse * inverse, table.STIRLING)


def sine_of_pi(x: Term) -> Term:
    rest = x - (x * 0.5).apply(ops.round_) * 2.0
    folded = select(abs(rest) > 0.5, with_sign_of(1.0 - abs(rest), rest), rest)
    return (folded * math.pi).apply(ops.sin)


@through_f64
def lgamma(x: Term) -> Term:
    """The logarithm of the size of the gamma function."""
    size = abs(x)
    small = size < 0.5
    near = select(small, size + 1.0, at_most(size, 9.0))
    product = near.like(1.0)
    for _ in range(7):
        big = near > 3.0
        near = select(big, near - 1.0, near)
        product = product * select(big, near, 1.0)
    first, second = near - 1.0, near - 2.0
    first = select(small, size, first)
    inner = select(near < 1.5, first * over(first, -0.5, 0.5, table.LGAMMA_1), second * over(second, -0.5, 1.0, table.LGAMMA_2))
    inner = inner + select(small, -size.apply(ops.log), product.apply(ops.log))
    outer = fma(size - 0.5, size.apply(ops.log) - 1.0, stirling(size) + (0.5 * math.log(2 * math.pi) - 0.5))
    value = select(size < 9.0, inner, select(size < math.inf, outer, size))
    reflected = -(abs(sine_of_pi(x)) * size).apply(ops.log) + math.log(math.pi) - value
    whole = x.apply(ops.floor).equals(x) & (x < 0.0)
    result = select(whole, math.inf, select((x < 0.0) & (size > 2.0**-60), reflected, value))
    return select(size.equals(math.inf), math.inf, result)


def first_kind(order: int, near: tuple[float, ...], p: tuple[float, ...], q: tuple[float, ...]):  # type: ignore[no-untyped-def]
    """J of an order, 0 or 1."""

    @through_f64
    def program(x: Term) -> Term:
        size = abs(x)
        inner = over(at_most(size * size, 64.0), 0.0, 64.0, near)
        inner = inner * size if order else inner
        wave, _ = waves(size, order, p, q)
        result = select(size < 8.0, inner, select(size < math.inf, wave, at_most(size, 1.0) * 0.0))
        return (result.bits ^ (x.bits & x.format.sign)).floating(x.elem) if order else result

    return program


def second_kind(order: int, near: tuple[float, ...], first: tuple[float, ...], p: tuple[float, ...], q: tuple[float, ...]):  # type: ignore[no-untyped-def]
    """Y of an order, 0 or 1; -inf at zero, NaN below."""

    @through_f64
    def program(x: Term) -> Term:
        square = at_most(x * x, 64.0)
        regular, j = over(square, 0.0, 64.0, near), over(square, 0.0, 64.0, first)
        logarithm = x.apply(ops.log) * (2 / math.pi)
        if order:
            inner = fma(x, regular, fma(logarithm, x * j, -2 / math.pi / x))
        else:
            inner = fma(logarithm, j, regular)
        _, wave = waves(x, order, p, q)
        result = select(x < 8.0, inner, select(x < math.inf, wave, at_most(x, 1.0) * 0.0))
        return select(x > 0.0, result, select(x.equals(0.0), x.like(-math.inf), math.nan))

    return program


def waves(x: Term, order: int, p: tuple[float, ...], q: tuple[float, ...]) -> tuple[Term, Term]:
    """J and Y far out: sqrt(1 / pi x) (P (c + s) - Q (s - c)), and the like."""
    x = at_least(x, 8.0)
    inverse = 8.0 / x
    s = inverse * inverse
    even, odd = over(s, 0.0, 1.0, p), over(s, 0.0, 1.0, q) / x
    sine, cosine = x.apply(ops.sin), x.apply(ops.cos)
    total, rest = sine + cosine, sine - cosine
    if order:
        total, rest = rest, -total  # a quarter turn further
    size = sqrt(1.0 / (x * math.pi))
    return size * fma(even, total, -(odd * rest)), size * fma(even, rest, odd * total)


def modified(order: int, near: tuple[float, ...], far: tuple[float, ...]):  # type: ignore[no-untyped-def]
    """I of an order, 0 or 1."""

    @through_f64
    def program(x: Term) -> Term:
        size = abs(x)
        inner = over(at_most(size * size, 64.0), 0.0, 64.0, near)
        inner = inner * size if order else inner
        octaves, rest = split(at_most(size, 720.0))
        part = scaled(exp_of_rest(rest), octaves - 8.0)
        beyond = at_least(size, 8.0)
        outer = part * (over(8.0 / beyond, 0.0, 1.0, far) / sqrt(beyond)) * 256.0
        result = select(size < 8.0, inner, select(size > 715.0, math.inf, outer))
        result = select(size.equals(size), result, math.nan)
        return (result.bits ^ (x.bits & x.format.sign)).floating(x.elem) if order else result

    return program


j0, j1 = first_kind(0, table.J0, table.P0, table.Q0), first_kind(1, table.J1, table.P1, table.Q1)
y0, y1 = second_kind(0, table.Y0, table.J0, table.P0, table.Q0), second_kind(1, table.Y1, table.J1, table.P1, table.Q1)
cyl_bessel_i0, cyl_bessel_i1 = modified(0, table.I0, table.I0_FAR), modified(1, table.I1, table.I1_FAR)
