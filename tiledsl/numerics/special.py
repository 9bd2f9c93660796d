"""Special functions: erfc and its kin, gamma. All compute in f64; f32 rounds once at the end.

Measured over samples, against mpmath: 0.51 ulp in f32; in f64, ulp: erfc 1.4, erfcx 1.8, normcdf 1.9, erfinv, erfcinv and
normcdfinv 1.9, tgamma 1.6, lgamma 2.0, of negative numbers within 2**-50 of its size nearby.
"""

from __future__ import annotations

import math

from .. import ops
from . import coefficients
from . import special_coefficients as table
from .exponential import EXP2_RANGE, scaled, split_in_three
from .hyperbolic import through_f64
from .powers import logarithm_in_two_parts
from .term import Term, at_most, fma, polynomial, select, sqrt, with_sign_of
from .trigonometric import sine_in_two_parts


def over(x: Term, low: float, high: float, coefficients: tuple[float, ...]) -> Term:
    """A polynomial that was fitted on low to high."""
    half = (high - low) / 2
    return polynomial(fma(x, 1 / half, -(low + high) / 2 / half), coefficients)


@through_f64
def erfcx(x: Term) -> Term:
    """exp(x**2) erfc(x); infinite for large negative numbers."""
    size = abs(x)
    ratio, ratio_ = scaled_tail(at_most(size, 2.0**500))
    outer = select(size > 2.0**500, 1 / math.sqrt(math.pi) / size, ratio + ratio_)
    octaves, power, power_ = gauss(at_most(size, 27.0), -1.0)
    below = fma(scaled(power_, octaves), 2.0, fma(scaled(power, octaves), 2.0, -outer))
    below = select(size > 26.7, math.inf, below)
    share = x.apply(ops.erf)
    rest = 1.0 - share
    rest_ = (1.0 - rest) - share
    near = scaled(fma(power, rest, fma(power, rest_, power_ * rest)), octaves)
    return select(size < 0.5, near, select(x < 0.0, below, outer))


def scaled_tail(x: Term) -> tuple[Term, Term]:
    """exp(x**2) erfc(x) in two parts, for an x that is not negative."""
    t = (x - 4.0) / (x + 4.0)
    bottom = fma(x, 2.0, 1.0)
    bottom_ = ((x + x) - bottom) + 1.0
    return quotient(over(t, -1.0, 1.0, table.ERFCX), bottom, bottom_)


def quotient(x: Term, y: Term, y_: Term) -> tuple[Term, Term]:
    """x / (y + y_) in two parts."""
    ratio = x / y
    return ratio, fma(-ratio, y_, fma(-ratio, y, x)) / y


def gauss(x: Term, factor: float) -> tuple[Term, Term, Term]:
    """exp(-factor x**2) as 2**n, in the low bits of a float, times a sum of two parts; the factor is a power of two."""
    square = x * x
    lost = fma(x, x, -square)
    octaves, power, power_ = exp_in_two_parts(square * -factor)
    return octaves, power, fma(power, lost * -factor, power_)


def tail_of(x: Term, scale: Term, factor: float) -> Term:
    """exp(-factor x**2) exp(y**2) erfc(y) with y = sqrt(factor) x."""
    octaves, power, power_ = gauss(x, factor)
    ratio, ratio_ = scaled_tail(scale)
    return scaled(fma(power, ratio, fma(power, ratio_, power_ * ratio)), octaves)


@through_f64
def erfc(x: Term) -> Term:
    """1 - erf(x), also where that is small."""
    size = at_most(abs(x), 28.0)
    tail = tail_of(size, size, 1.0)
    outer = select(x < 0.0, 2.0 - tail, tail)
    return select(abs(x) < 0.5, 1.0 - x.apply(ops.erf), outer)


@through_f64
def normcdf(x: Term) -> Term:
    """The share of a normal distribution below x."""
    size = at_most(abs(x), 39.0)
    angle = size * math.sqrt(0.5)
    tail = tail_of(size, angle, 0.5) * 0.5
    outer = select(x < 0.0, tail, 1.0 - tail)
    inner = fma(with_sign_of(angle, x).apply(ops.erf), 0.5, 0.5)
    return select(size < 0.7, inner, outer) + select(x.equals(x), x.like(0.0), math.nan)


@through_f64
def erfinv(x: Term) -> Term:
    """The inverse of erf; infinite at 1, NaN beyond."""
    size = abs(x)
    result = inverse_of_erf(x, x.like(0.0), (1.0 - size) * (size + 1.0))
    return select(size.equals(1.0), x * math.inf, select(size < 1.0, result, math.nan))


@through_f64
def erfcinv(x: Term) -> Term:
    """The inverse of erfc; infinite at 0 and 2, NaN beyond."""
    z = 1.0 - x
    result = inverse_of_erf(z, (1.0 - z) - x, x * (2.0 - x))
    edge = select(x.equals(0.0), x.like(math.inf), select(x.equals(2.0), x.like(-math.inf), math.nan))
    return select((x > 0.0) & (x < 2.0), result, edge)


@through_f64
def normcdfinv(x: Term) -> Term:
    """The inverse of normcdf; infinite at 0 and 1, NaN beyond."""
    z = fma(x, -2.0, 1.0)
    result = inverse_of_erf(z, fma(x, -2.0, 1.0 - z), x * (1.0 - x) * 4.0)
    edge = select(x.equals(0.0), x.like(-math.inf), select(x.equals(1.0), x.like(math.inf), math.nan))
    root, root_ = table.ROOT_TWO
    return select((x > 0.0) & (x < 1.0), 0.0 - fma(result, root, result * root_), edge)


def inverse_of_erf(x: Term, x_: Term, room: Term) -> Term:
    """The number whose erf is x + x_, where room = 1 - x**2, which may be far smaller than the last bit of x."""
    w = -room.apply(ops.log)
    s = sqrt(w)
    far = select(s > 4.0, over(s, 4.0, 6.1, table.ERFINV_2), over(s, 2.5, 4.0, table.ERFINV_1))
    furthest = s * over(1.0 / s, 1 / 27.5, 1 / 6.0, table.ERFINV_3)
    far = select(s > 6.0, furthest, far)
    start, start_ = table.HALF_ROOT_PI
    bend = w * over(w, 0.0, 6.25, table.ERFINV_0)
    near = bend + start
    close = w < 6.25
    factor = select(close, near, far)
    factor_ = select(close, ((near.like(start) - near) + bend) + start_, 0.0)
    return fma(x, factor, fma(x, factor_, x_ * factor))


@through_f64
def tgamma(x: Term) -> Term:
    """The gamma function; NaN at negative integers. Below 1/2 it is pi / (sin(pi x) gamma(1 - x))."""
    size = abs(x)
    below = x < 0.5
    y = select(below, 1.0 - x, x)
    rest = select(below, (1.0 - y) - x, 0.0)  # what rounding took from y counts by the slope, about log(y) - 1 / 2y
    logarithm, logarithm_ = logarithm_in_two_parts(at_most(y, 400.0))
    slope = fma(logarithm, math.log(2.0), -0.5 / y)
    near, near_ = gamma_near(y)
    far = gamma_far(at_most(y, 400.0), logarithm, logarithm_, select(below, x.like(-REFLECTED), 0.0))
    scale = select(y < 12.0, 1.0, select(below, x.like(2.0**-REFLECTED), 1.0))
    value, value_ = select(y < 12.0, near, far), select(y < 12.0, near_, 0.0)
    value_ = select(value < math.inf, fma(value, slope * rest, value_), 0.0)
    sine, sine_ = sine_of_pi_in_two_parts(x)
    bottom = sine * value
    bottom_ = fma(sine_, value, fma(sine, value_, fma(sine, value, -bottom)))
    pi, pi_ = (2.0 * part for part in coefficients.HALF_PI["f64"])
    ratio, ratio_ = quotient(x.like(pi), bottom, select(abs(bottom) < math.inf, bottom_, 0.0))
    ratio_ = ratio_ + pi_ / bottom
    reflected = select(abs(bottom) < math.inf, (ratio + ratio_) * scale, pi / bottom)
    result = select(below, reflected, value + value_)
    whole = x.apply(ops.floor).equals(x) & (x < 0.0)
    result = select(whole, math.nan, result)
    tiny = size < 2.0**-60
    return select(tiny, 1.0 / x, select(x.equals(math.inf), math.inf, result))


REFLECTED = 128.0  # octaves by which gamma(1 - x) is made smaller, so that it is finite wherever its inverse is not 0


def gamma_near(y: Term) -> tuple[Term, Term]:
    """The gamma function from 1/2 to 12, in two parts: that of 2 to 3 times or divided by what lies between."""
    near = at_most(y, 12.0)
    product, product_ = y.like(1.0), y.like(0.0)
    for _ in range(9):
        big = near > 3.0
        near = select(big, near - 1.0, near)
        factor = select(big, near, 1.0)
        grown = product * factor
        product, product_ = grown, fma(product_, factor, fma(product, factor, -grown))
    low, lower = near < 2.0, near < 1.0
    above = select(lower, near, select(low, near - 1.0, near - 2.0))
    following = near + 1.0
    twice = near * following
    twice_ = fma(near, (1.0 - following) + near, fma(near, following, -twice))
    divisor, divisor_ = select(lower, twice, select(low, near, 1.0)), select(lower, twice_, 0.0)
    ratio, ratio_ = quotient(product, divisor, divisor_)
    ratio_ = ratio_ + product_ / divisor
    gamma = over(above, 0.0, 1.0, table.GAMMA)
    value = gamma * ratio
    return value, fma(gamma, ratio_, fma(gamma, ratio, -value))


def gamma_far(y: Term, logarithm: Term, logarithm_: Term, octaves: Term) -> Term:
    """The gamma function from 12 on, by 2 to the power of Stirling's series in two parts; times so many octaves more."""
    scale, scale_ = coefficients.LOG2_E["f64"]
    less = y - 0.5
    first, second = less * logarithm, y * scale
    first_ = fma(less, logarithm_, fma(less, logarithm, -first))
    second_ = fma(y, scale_, fma(y, scale, -second))
    total = first - second
    part = total - first
    total_ = (first - (total - part)) - (second + part) + (first_ - second_)
    constant, constant_ = table.HALF_LOG2_TAU
    total_ = total_ + (fma(stirling(y), scale, constant_) + constant)
    total = at_most(total, EXP2_RANGE["f64"][1] + REFLECTED)
    shifted = total + total_ + y.format.magic
    rest = (total - (shifted - y.format.magic)) + total_
    return scaled(polynomial(rest, (1.0, *coefficients.EXP2["f64"])), shifted + octaves)


def sine_of_pi_in_two_parts(x: Term) -> tuple[Term, Term]:
    """sin(pi x), and what rounding took from it."""
    rest = fma((x * 0.5).apply(ops.round_), -2.0, x)
    size = abs(rest)
    folded = select(size > 0.5, 1.0 - size, size)
    pi, pi_ = (2.0 * part for part in coefficients.HALF_PI["f64"])
    angle = folded * pi
    sine, sine_ = sine_in_two_parts(angle, fma(folded, pi_, fma(folded, pi, -angle)))
    sign = rest.bits & rest.format.sign
    return (sine.bits ^ sign).floating(x.elem), (sine_.bits ^ sign).floating(x.elem)


def stirling(y: Term, more: float = 0.0) -> Term:
    """log gamma(y) - (y - 1/2) log(y) + y - log(2 pi) / 2, for y from 8 on; plus a number."""
    inverse = 1.0 / y
    return fma(inverse, polynomial(inverse * inverse, table.STIRLING), more)


def sine_of_pi(x: Term) -> Term:
    rest = fma((x * 0.5).apply(ops.round_), -2.0, x)
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
    slope, slope_ = table.DIGAMMA_2
    bend = second * over(second, -0.5, 1.0, table.LGAMMA_2)
    rise = bend + slope
    rise_ = ((rise.like(slope) - rise) + bend) + slope_
    above = fma(second, rise, second * rise_)
    inner = select(near < 1.5, first * over(first, -0.5, 0.5, table.LGAMMA_1), above)
    inner = inner + select(small, -size.apply(ops.log), product.apply(ops.log))
    outer = fma(size - 0.5, size.apply(ops.log) - 1.0, stirling(size, 0.5 * math.log(2 * math.pi) - 0.5))
    value = select(size < 9.0, inner, select(size < math.inf, outer, size))
    reflected = -(abs(sine_of_pi(x)) * size).apply(ops.log) + math.log(math.pi) - value
    whole = x.apply(ops.floor).equals(x) & (x < 0.0)
    result = select(whole, math.inf, select((x < 0.0) & (size > 2.0**-60), reflected, value))
    return select(size.equals(math.inf), math.inf, result)


def exp_in_two_parts(x: Term) -> tuple[Term, Term, Term]:
    """n, in the low bits of a float, and y + y_ with exp(x) = 2**n (y + y_)."""
    octaves, rest, rest_ = split_in_three(x)
    tail = fma(rest, polynomial(rest, coefficients.EXP["f64"]), 1.0)
    power = fma(rest, tail, 1.0)
    return octaves, power, fma(power, rest_, fma(rest, tail, 1.0 - power))
