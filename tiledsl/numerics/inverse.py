"""asin, acos and atan2. All compute in f64; f32 rounds once at the end.

asin(s) = s + s z P(z),  z = s**2,  for s up to 1/2;   beyond, asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2))
"""

from __future__ import annotations

import math

from . import coefficients as table
from .hyperbolic import through_f64
from .term import Term, fma, polynomial, select, sqrt, with_sign_of

QUARTER, QUARTER_ = table.HALF_PI["f64"]


@through_f64
def asin(x: Term) -> Term:
    """The arc sine; NaN beyond 1.

    At most 0.51 ulp off in f32, 1 in f64.
    """
    size = abs(x)
    s, tail, inner = parts(size)
    outer, outer_ = quarter_less(s + s)
    outer = outer + fma(tail, -2.0, outer_)
    return with_sign_of(select(size > 0.5, outer, inner), x)


@through_f64
def acos(x: Term) -> Term:
    """The arc cosine; NaN beyond 1.

    At most 0.51 ulp off in f32, 1 in f64.
    """
    size = abs(x)
    s, tail, _ = parts(size)
    signed = with_sign_of(s, x)
    middle, middle_ = quarter_less(signed)
    middle = middle + (middle_ - with_sign_of_any(tail, x))
    beyond, beyond_ = quarter_less(s)
    beyond = beyond + (beyond_ - tail)
    near = s + tail
    outer = select(x < 0.0, beyond, near)
    return select(size > 0.5, outer + outer, middle)


def parts(size: Term) -> tuple[Term, Term, Term]:
    """s, what asin(s) has beyond it (with what rounding took from s), and their sum."""
    far = size > 0.5
    z = select(far, (1.0 - size) * 0.5, size * size)
    s = select(far, sqrt(z), size)
    lost = select(far & (z > 0.0), fma(-s, s, z) / (s + s), 0.0)
    tail = fma(s, z * polynomial(z, table.ASIN["f64"]), lost)
    return s, tail, s + tail


def quarter_less(x: Term) -> tuple[Term, Term]:
    """pi / 2 less a number that is not larger, in two parts."""
    rest = QUARTER - x
    return rest, ((QUARTER - rest) - x) + QUARTER_


def with_sign_of_any(x: Term, sign: Term) -> Term:
    """x, negated where another number is negative."""
    return (x.bits ^ (sign.bits & sign.format.sign)).floating(x.elem)


@through_f64
def atan2(y: Term, x: Term) -> Term:
    """The angle of the point (x, y), between -pi and pi, with the special cases of C's atan2.

    At most 0.51 ulp off in f32, 1.5 in f64.
    """
    a, b = abs(y), abs(x)
    steep = a > b
    large, small = select(steep, a, b), select(steep, b, a)
    both = small.equals(large)  # infinite or zero ones too
    t = select(both, 1.0, small / large)
    t = select(large.equals(0.0), 0.0, t)
    regular = (large < math.inf) & (large > 0.0) & ~both
    t_ = select(regular, fma(-t, large, small) / large, 0.0)
    square = t * t
    tail = fma(square * t, polynomial(square, table.ATAN["f64"]), t_ / (square + 1.0))
    base, base_ = quarter_less(t)
    angle, angle_ = select(steep, base, t), select(steep, base_ - tail, tail)
    half = 2.0 * QUARTER
    rest = half - angle
    rest_ = (((half - rest) - angle) + 2.0 * QUARTER_) - angle_
    negative = (x.bits & x.format.sign).differs(0)
    result = with_sign_of(select(negative, rest + rest_, angle + angle_), y)
    return select(x.equals(x) & y.equals(y), result, math.nan)
