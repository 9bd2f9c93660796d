"""log, log2 and rsqrt.

    x = 2**n (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2):      log(x) = n ln2 + f - f**2 / 2 + f**3 P(f)
"""

from __future__ import annotations

import math

from . import coefficients as table
from .term import Term, fma, polynomial, select, sqrt


def log(x: Term) -> Term:
    """The natural logarithm; NaN below zero, -inf at zero.

    At most 0.93 ulp off in f32, 0.93 in f64.
    """
    n, f = split(x)
    high, low = table.LN2[x.elem.name]
    curve = f * f * fma(f, polynomial(f, table.LOG[x.elem.name]), -0.5)
    return with_edges(x, fma(n, high, fma(n, low, curve) + f))


def log2(x: Term) -> Term:
    """The logarithm to base 2; NaN below zero, -inf at zero.

    At most 0.98 ulp off in f32, 1.03 in f64.
    """
    n, f = split(x)
    high, low = table.LOG2_E[x.elem.name]
    curve = f * f * polynomial(f, table.LOG2[x.elem.name])
    return with_edges(x, n + fma(f, high, fma(f, low, curve)))


def rsqrt(x: Term) -> Term:
    """sqrt(1 / x), which is closer than 1 / sqrt(x); x is scaled so that 1 / x stays among the normal numbers.

    At most 0.85 ulp off in f32, 0.85 in f64.
    """
    step = (x.format.bias + 1) // 4 * 2 - 4
    small = x < 1.0
    inverse = 1.0 / (x * select(small, x.like(2.0**step), 2.0**-step))
    root = sqrt(inverse) * select(small, x.like(2.0 ** (step // 2)), 2.0 ** -(step // 2))
    return select(x > 0.0, root, select(x.equals(0.0), inverse, math.nan))


def split(x: Term) -> tuple[Term, Term]:
    """n and f with x = 2**n (1 + f), for x above zero."""
    form = x.format
    smallest_normal = 2.0 ** (1 - form.bias)
    tiny = x < smallest_normal
    bits = select(tiny, x * 2.0**form.mantissa, x).bits
    octaves = (bits - root_bits(x)) >> form.mantissa
    f = (bits - (octaves << form.mantissa)).floating(x.elem) - 1.0
    return octaves.cast(x.elem) - select(tiny, x.like(form.mantissa), 0.0), f


def root_bits(x: Term) -> int:
    """The bits of sqrt(1/2), rounded up."""
    steps = 1 << x.format.mantissa
    return x.format.one - steps + math.ceil((math.sqrt(2.0) - 1.0) * steps)


def with_edges(x: Term, result: Term) -> Term:
    """A logarithm of x, also where x is zero, negative, infinite or NaN."""
    result = select(x.equals(math.inf), x, result)
    return select(x > 0.0, result, select(x.equals(0.0), x.like(-math.inf), math.nan))
