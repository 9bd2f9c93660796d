"""exp, exp2, expm1 and what is made of them: sigmoid, tanh, erf.

    x = n ln2 + r,  abs(r) <= ln2 / 2:      exp(x) = 2**n (1 + r + r**2 P(r))

n is rounded by adding a magic number, which leaves it in the low bits of the sum: shifted left, they are the exponent
of 2**n. That is applied as two factors, so that a result below the normal numbers is rounded once.
"""

from __future__ import annotations

from .. import ops
from ..ir.types import f32
from . import coefficients as table
from .term import Term, at_least, at_most, fma, polynomial, select, with_sign_of

# beyond these the result is 0 or infinity
EXP_RANGE = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}
EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}
EXPM1_RANGE = {"f32": (-20.0, 89.0), "f64": (-40.0, 710.0)}  # below it the result is -1
SIGMOID_END = {"f32": 18.0, "f64": 40.0}  # beyond these sigmoid rounds to 1
# beyond these tanh and erf round to 1
TANH_END = {"f32": 10.0, "f64": 20.0}
ERF_END = {"f32": 4.0, "f64": 6.0}


def exp(x: Term) -> Term:
    """e to the power x.

    At most 0.91 ulp off in f32, 0.86 in f64.
    """
    low, high = EXP_RANGE[x.elem.name]
    octaves, rest = split(at_least(at_most(x, high), low))
    return scaled(exp_of_rest(rest), octaves)


def exp2(x: Term) -> Term:
    """2 to the power x.

    At most 0.88 ulp off in f32, 0.86 in f64.
    """
    low, high = EXP2_RANGE[x.elem.name]
    x = at_least(at_most(x, high), low)
    octaves = x + x.format.magic
    rest = x - (octaves - x.format.magic)
    return scaled(polynomial(rest, (1.0, *table.EXP2[x.elem.name])), octaves)


def expm1(x: Term) -> Term:
    """x + x**2 P(x) below 0.5, else 2**n (exp(r) - 1) + (2**n - 1), halved until the end so that 2**n stays finite.

    At most 0.93 ulp off in f32, 0.88 in f64.
    """
    low, high = EXPM1_RANGE[x.elem.name]
    inner = fma(x * x, polynomial(x, table.EXPM1[x.elem.name]), x)
    octaves, rest, rest_ = split_in_three(at_least(at_most(x, high), low))
    half = power_of_two((octaves - 1.0).bits << x.format.mantissa, x)
    rise = rest + fma(rest * rest, polynomial(rest, table.EXP[x.elem.name]), rest_)
    base = half - 0.5
    outer = base + fma(rise, half, (half - base) - 0.5)
    return select(abs(x) > 0.5, outer + outer, select(x.equals(0.0), x, inner))


def sigmoid(x: Term) -> Term:
    """1 / (1 + exp(-x)) as s / (s + exp(-r)) with x = n ln2 + r and s = 2**n. The sum is known in two parts, and the quotient
    corrected.

    At most 0.89 ulp off in f32, 0.86 in f64.
    """
    name = x.elem.name
    octaves, rest = split(at_least(at_most(x, SIGMOID_END[name]), EXP_RANGE[name][0]))
    tail = fma(rest, polynomial(rest, alternating(table.EXP[name])), -1.0)  # exp(-r) is 1 + r * tail
    scale = two_to(octaves)
    base = scale + 1.0
    base_ = scale - (base - 1.0)
    bottom = fma(rest, tail, base)
    bottom_ = fma(rest, tail, base - bottom) + base_
    inverse = 1.0 / bottom
    lacking = fma(-inverse, bottom_, fma(-inverse, bottom, 1.0))
    return fma(lacking, inverse, inverse) * scale


def tanh(x: Term) -> Term:
    """x + x**3 P(x**2) below 1, else 1 - 2 / (exp(2 abs(x)) + 1).

    At most 0.96 ulp off in f32, 0.95 in f64.
    """
    size = abs(x)
    square = x * x
    inner = fma(square * size, polynomial(square, table.TANH[x.elem.name]), size)
    octaves, rest = split(at_most(size, TANH_END[x.elem.name]) * 2.0)
    outer = 1.0 - 2.0 / (shifted(exp_of_rest(rest), octaves) + 1.0)
    return with_sign_of(select(size > 1.0, outer, inner), x)


def erf(x: Term) -> Term:
    """x + x P(x**2) up to 1.1 (f64: 1.5), beyond that 1 - 2**Q(abs(x)). Each element chooses the coefficients of one polynomial.

    At most 0.95 ulp off in f32, 1.1 in f64.
    """
    name = x.elem.name
    size, border = abs(x), table.ERF_BORDER[name][0]
    far = size > border
    place = select(far, at_most(size, ERF_END[name]) - border, fma(x, x, -border * border / 2))
    chosen = [select(far, size.like(outer), inner) for inner, outer in zip(table.ERF[name], table.ERFC[name], strict=True)]
    total = polynomial(place, chosen)
    octaves = total + x.format.magic
    power = polynomial(total - (octaves - x.format.magic), (1.0, *table.ERFC_EXP2[name]))
    return select(far, with_sign_of(1.0 - shifted(power, octaves), x), fma(x, total, x))


def split(x: Term) -> tuple[Term, Term]:
    """n, in the low bits of a float, and r, with x = n ln2 + r."""
    octaves, rest, _ = split_in_three(x)
    return octaves, rest


def split_in_three(x: Term) -> tuple[Term, Term, Term]:
    """n, r and what rounding took from r. The product of n with the high part of ln2 is exact."""
    high, low = table.LN2[x.elem.name]
    octaves = fma(x, table.LOG2_E[x.elem.name][0], x.format.magic)
    n = octaves - x.format.magic
    start = fma(n, -high, x)
    rest = fma(n, -low, start)
    return octaves, rest, fma(n, -low, start - rest)


def exp_of_rest(rest: Term) -> Term:
    """exp(r) for abs(r) <= ln2 / 2."""
    return polynomial(rest, (1.0, 1.0, *table.EXP[rest.elem.name]))


def alternating(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    """Those of the polynomial of -x."""
    return tuple(-c if i % 2 else c for i, c in enumerate(coefficients))


def scaled(y: Term, octaves: Term) -> Term:
    """y, from 1/2 to 2, times 2**n, for every n that a result can need; rounded once when it is below the normal numbers."""
    if scales(octaves):
        return y.apply(ops.scale, octaves - y.format.magic)
    first, second = factors(octaves)
    return y * first * second


def two_to(octaves: Term) -> Term:
    """2**n, 0 or infinite where it is no number."""
    if scales(octaves):
        return octaves.like(1.0).apply(ops.scale, octaves - octaves.format.magic)
    first, second = factors(octaves)
    return first * second


def scales(octaves: Term) -> bool:
    """Whether the machine multiplies by powers of two."""
    return ops.scale.name in octaves.native and octaves.elem is f32


def factors(octaves: Term) -> tuple[Term, Term]:
    """Two powers of two, both normal numbers, whose product is 2**n."""
    bits, shift = octaves.bits, octaves.format.mantissa
    all_of_n, half_of_n = bits << shift, bits >> 1 << shift
    return power_of_two(half_of_n, octaves), power_of_two(all_of_n - half_of_n, octaves)


def power_of_two(exponent: Term, like: Term) -> Term:
    """2**n as a normal number, n given where the exponent stands."""
    return (exponent + like.format.one).floating(like.elem)


def shifted(y: Term, octaves: Term) -> Term:
    """y times 2**n where y and the product are normal numbers: n is added to the exponent."""
    return (y.bits + (octaves.bits << y.format.mantissa)).floating(y.elem)
