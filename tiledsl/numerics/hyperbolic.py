"""sinh, cosh and their inverses; exp10, hypot. All compute in f64; f32 rounds once at the end."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import coefficients as table
from .exponential import exp_of_rest, scaled, split
from .logarithm import log1p
from .term import Term, at_least, at_most, f64, fma, polynomial, select, sqrt, with_sign_of

SINH = tuple(1.0 / math.factorial(n) for n in range(3, 22, 2))
EXP_END = 711.0  # half of e to this power is infinite
HUGE = 2.0**60  # from here on x * x + 1 is x * x


def through_f64(program: Callable[..., Term]) -> Callable[..., Term]:
    """A program for f64, for f32 too."""

    def apply(*terms: Term) -> Term:
        elem = terms[0].elem
        return program(*terms) if elem is f64 else program(*(t.cast(f64) for t in terms)).cast(elem)

    apply.__name__, apply.__doc__ = program.__name__, program.__doc__
    return apply


@through_f64
def sinh(x: Term) -> Term:
    """x + x**3 P(x**2) below 1, else h - 1 / 4h with h = exp(x) / 2.

    At most 0.51 ulp off in f32, 1.7 in f64.
    """
    size = abs(x)
    square = size * size
    inner = fma(size * square, polynomial(square, SINH), size)
    half = half_exp(size)
    return with_sign_of(select(size < 1.0, inner, half - 0.25 / half), x)


@through_f64
def cosh(x: Term) -> Term:
    """h + 1 / 4h with h = exp(abs(x)) / 2.

    At most 0.51 ulp off in f32, 1.6 in f64.
    """
    half = half_exp(abs(x))
    return half + 0.25 / half


def half_exp(x: Term) -> Term:
    """exp(x) / 2 for an x that is not negative: finite where the half is."""
    octaves, rest = split(at_most(x, EXP_END))
    return scaled(exp_of_rest(rest), octaves - 1.0)


@through_f64
def asinh(x: Term) -> Term:
    """log1p(x + x**2 / (1 + sqrt(x**2 + 1))).

    At most 0.51 ulp off in f32, 2 in f64.
    """
    size = abs(x)
    inner = size + size * size / (sqrt(fma(size, size, 1.0)) + 1.0)
    return with_sign_of(log1p_or_huge(size, inner), x)


@through_f64
def acosh(x: Term) -> Term:
    """log1p(t + sqrt(t (t + 2))) with t = x - 1; NaN below 1.

    At most 0.51 ulp off in f32, 2 in f64.
    """
    t = x - 1.0
    return select(x < 1.0, math.nan, log1p_or_huge(x, t + sqrt(t * (t + 2.0))))


def log1p_or_huge(size: Term, inner: Term) -> Term:
    """log1p(inner), or log(2 size) where size is huge."""
    far = size > HUGE
    result = log1p(select(far, size, inner))
    return result + select(far, result.like(math.log(2.0)), 0.0)


@through_f64
def atanh(x: Term) -> Term:
    """log1p(2x / (1 - x)) / 2; infinite at 1, NaN beyond.

    At most 0.51 ulp off in f32, 2 in f64.
    """
    size = abs(x)
    twice, room = size + size, 1.0 - size
    inner = select(size < 0.5, fma(twice, size / room, twice), twice / room)
    return with_sign_of(log1p(inner) * 0.5, x)


@through_f64
def exp10(x: Term) -> Term:
    """10 to the power x: x = n log10(2) + r, then 2**n exp(r ln10).

    At most 0.51 ulp off in f32, 1.2 in f64.
    """
    high, low = table.LOG10_2["f64"]
    scale, scale_ = table.LN10["f64"]
    x = at_least(at_most(x, 310.0), -325.0)
    octaves = fma(x, 1.0 / high, x.format.magic)
    n = octaves - x.format.magic
    rest = fma(n, -low, fma(n, -high, x))
    angle = rest * scale
    angle_ = fma(rest, scale_, fma(rest, scale, -angle))
    power = exp_of_rest(angle)
    return scaled(fma(power, angle_, power), octaves)


@through_f64
def hypot(x: Term, y: Term) -> Term:
    """sqrt(x**2 + y**2), scaled so that squares stay finite; infinite if either is, even beside NaN.

    At most 0.51 ulp off in f32, 1.1 in f64.
    """
    a, b = abs(x), abs(y)
    swapped = a < b
    large, small = select(swapped, b, a), select(swapped, a, b)
    far, near = large > 2.0**500, large < 2.0**-400
    scale = select(far, x.like(2.0**-600), select(near, x.like(2.0**600), 1.0))
    back = select(far, x.like(2.0**600), select(near, x.like(2.0**-600), 1.0))
    large, small = large * scale, small * scale
    square = large * large
    rest = fma(large, large, -square)
    other = fma(small, small, rest)
    root = sqrt(square + other)
    return select(a.equals(math.inf) | b.equals(math.inf), math.inf, root * back)
