"""sin, cos, tan and atan.

    x / pi = n + f,  abs(f) <= 1/2:      sin(x) = (-1)**n sin(pi f),  cos(x) = sin(x + pi / 2)

The bits of 1 / pi that give a multiple of 2 with every x of the same magnitude are left out, so that the product keeps
the bits of f however large x is. f32 computes in f64, with 106 bits of 1 / pi chosen by the magnitude of x. f64 takes
192 bits, from where the exponent of x says, and multiplies in integers.
"""

from __future__ import annotations

import math

from .. import ops
from . import coefficients as table
from .term import FORMATS, Term, f32, f64, fma, i64, polynomial, select, u64, with_sign_of


def sin(x: Term) -> Term:
    """The sine of x radians; NaN for infinities.

    At most 0.51 ulp off in f32, 1.5 in f64.
    """
    if x.elem is f32:
        return select(x.equals(0.0), x, sine_of_half_turns(x, 0.0).cast(f32))
    odd, angle, rest = angle_of(*times_per_pi(x))
    small = abs(x) < 0.5
    sine, sine_ = sine_in_two_parts(select(small, abs(x), angle), select(small, 0.0, rest))
    flips = (x.bits & x.format.sign) ^ select(small, odd.like(0), odd)
    return select(abs(x) < math.inf, ((sine + sine_).bits ^ flips).floating(f64), math.nan)


def cos(x: Term) -> Term:
    """The cosine of x radians; NaN for infinities.

    At most 0.51 ulp off in f32, 1.5 in f64.
    """
    if x.elem is f32:
        return sine_of_half_turns(x, 0.5).cast(f32)
    odd, angle, rest = angle_of(*half_turn_ahead(*times_per_pi(x)))
    small = abs(x) < 0.5
    near, near_ = complement(abs(x))
    sine, sine_ = sine_in_two_parts(select(small, near, angle), select(small, near_, rest))
    flips = select(small, odd.like(0), odd)
    return select(abs(x) < math.inf, ((sine + sine_).bits ^ flips).floating(f64), math.nan)


def tan(x: Term) -> Term:
    """The tangent of x radians; NaN for infinities.

    At most 0.51 ulp off in f32, 1.4 in f64.
    """
    if x.elem is f32:
        tangent = sine_of_half_turns(x, 0.0) / sine_of_half_turns(x, 0.5)
        return select(x.equals(0.0), x, tangent.cast(f32))
    product, small = times_per_pi(x), abs(x) < 0.5
    odd, angle, rest = angle_of(*product)
    sine, sine_ = sine_in_two_parts(select(small, abs(x), angle), select(small, 0.0, rest))
    even, angle, rest = angle_of(*half_turn_ahead(*product))
    near, near_ = complement(abs(x))
    cosine, cosine_ = sine_in_two_parts(select(small, near, angle), select(small, near_, rest))
    inverse = 1.0 / cosine
    quotient = sine * inverse
    lacking = fma(-quotient, cosine_, fma(-quotient, cosine, sine)) + sine_
    tangent = fma(lacking, inverse, quotient)
    flips = (x.bits & x.format.sign) ^ select(small, odd.like(0), odd ^ even)
    signed = (tangent.bits ^ flips).floating(f64)
    return select(x.equals(0.0), x, select(abs(x) < math.inf, signed, math.nan))


def atan(x: Term) -> Term:
    """The arc tangent, between -pi/2 and pi/2: t + t**3 P(t**2) for t = abs(x) up to 1, else pi/2 less that of 1/abs(x).

    At most 0.96 ulp off in f32, 0.97 in f64.
    """
    size = abs(x)
    large = size > 1.0
    inverse = 1.0 / size
    inverse_ = fma(-inverse, size, 1.0) * inverse
    t = select(large, inverse, size)
    square = t * t
    slope = fma(square, -0.5, 1.0)
    cube, curve = square * t, polynomial(square, table.ATAN[x.elem.name])
    cube_ = fma(square, t, -cube)
    quarter, quarter_ = (x.like(part) for part in table.HALF_PI[x.elem.name])
    rest = quarter - t
    rest_ = fma(-cube, curve, ((quarter - rest) - t) + fma(-cube_, curve, fma(-inverse_, slope, quarter_)))
    result = select(size < math.inf, select(large, rest + rest_, fma(cube, curve, t)), quarter)
    return with_sign_of(select(x.equals(x), result, x), x)


def sine_of_half_turns(x: Term, ahead: float) -> Term:
    """sin(x + ahead * pi) of an f32, in f64."""
    size = abs(x)
    high, low = (x.like(part, f64) for part in table.PER_PI[0])
    for start in (48, 70, 92, 114):
        beyond, (next_high, next_low) = size > 2.0**start, table.PER_PI[start]
        high, low = select(beyond, next_high, high), select(beyond, next_low, low)
    wide = x.cast(f64)
    product = wide * high
    lost = fma(wide, low, fma(wide, high, -product))
    n = (product + ahead) + FORMATS[f64].magic  # in the low bits
    f = (product - (n - FORMATS[f64].magic) + ahead) + lost
    sine = f * polynomial(f * f, table.SIN["f32"])
    return (sine.bits ^ (n.bits << 63)).floating(f64)


def complement(angle: Term) -> tuple[Term, Term]:
    """pi / 2 less an angle up to 1/2, in two parts."""
    quarter, quarter_ = (angle.like(part) for part in table.HALF_PI["f64"])
    near = quarter - angle
    return near, ((quarter - near) - angle) + quarter_


def sine_in_two_parts(angle: Term, rest: Term) -> tuple[Term, Term]:
    """sin(angle + rest) for abs(angle) <= pi / 2 and a rest below its last bit; a_ is what rounding took from a."""
    square = angle * angle
    slope = fma(square, -0.5, 1.0)
    curve = polynomial(square, table.SIN["f64"])
    bend = square * curve
    bend_ = fma(fma(angle, angle, -square), curve, fma(square, curve, -bend))
    cubic = angle * bend
    cubic_ = fma(angle, bend_, fma(angle, bend, -cubic))
    total = angle + cubic
    return total, ((angle - total) + cubic) + fma(rest, slope, cubic_)


def times_per_pi(x: Term) -> tuple[Term, Term]:
    """abs(x) / pi modulo 2 for an f64 from 1/2 on, in fixed point: a bit for 1, 127 bits for the fraction."""
    form = x.format
    exponent = (abs(x).bits >> form.mantissa) - (form.bias + form.mantissa)
    significand = ((x.bits & ((1 << form.mantissa) - 1)) | (1 << form.mantissa)).cast(u64)
    first, second, third = window(exponent + 63)
    carried = significand.apply(ops.umulhi, third)
    low = significand * second + carried
    high = significand * first + significand.apply(ops.umulhi, second) + select(low < carried, low.like(1), 0)
    return high, low


def half_turn_ahead(high: Term, low: Term) -> tuple[Term, Term]:
    """Half of pi more."""
    return high + (1 << 62), low


def angle_of(high: Term, low: Term) -> tuple[Term, Term, Term]:
    """The parity of n as a sign bit, and pi f in two parts."""
    odd = (high + (1 << 62)).cast(i64) & FORMATS[f64].sign
    fraction = (high << 1 | low >> 63).cast(i64)
    top = (fraction >> 32).cast(f64) * 2.0**-32
    middle = (fraction & 0xFFFFFFFF).cast(f64) * 2.0**-64
    near = top + middle
    near_ = fma((low << 1).cast(f64), 2.0**-128, (top - near) + middle)
    f = near + near_
    f_ = (near - f) + near_
    pi, pi_ = (2 * part for part in table.HALF_PI["f64"])
    angle = f * pi
    return odd, angle, fma(f_, pi, fma(f, pi_, fma(f, pi, -angle)))


def window(start: Term) -> tuple[Term, Term, Term]:
    """The 192 bits of 1 / pi from a place on, 0 being the bit worth 2**63: words are chosen by halving, then shifted."""
    index, shift = start >> 6, (start & 63).cast(u64)
    words = [shift.like(word) for word in table.PER_PI_WORDS["u64"]]
    for step in (16, 8, 4, 2, 1):
        far = (index & step).differs(0)
        words = [select(far, words[i + step], words[i]) if i + step < len(words) else words[i] for i in range(step + 3)]
    left = 64 - shift
    first, second, third = ((words[i] << shift) | (words[i + 1] >> left) for i in range(3))
    return first, second, third
