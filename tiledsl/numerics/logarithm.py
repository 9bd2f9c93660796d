"""log, log2, log10 and log1p.

x = 2**n (1 + f),  sqrt(1/2) <= 1 + f < sqrt(2):      log(x) = n ln2 + f - f**2 / 2 + f**3 P(f)
"""

from __future__ import annotations

import math

from . import coefficients as table
from .term import Term, fma, polynomial, select


def log(x: Term) -> Term:
    """The natural logarithm; NaN below zero, -inf at zero.

    At most 0.93 ulp off in f32, 0.88 in f64.
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


def log10(x: Term) -> Term:
    """The logarithm to base 10; NaN below zero, -inf at zero.

    At most 0.95 ulp off in f32, 0.92 in f64.
    """
    n, f = split(x)
    high, low = table.LOG10_2[x.elem.name]
    scale, scale_ = table.LOG10_E[x.elem.name]
    curve = f * f * polynomial(f, table.LOG10[x.elem.name])
    return with_edges(x, fma(n, high, fma(f, scale, fma(f, scale_, fma(n, low, curve)))))


def log1p(x: Term) -> Term:
    """log(1 + x), with what the sum 1 + x rounds away brought back; NaN below -1, -inf at -1.

    At most 0.96 ulp off in f32, 0.88 in f64.
    """
    total = x + 1.0
    part = total - 1.0
    lost = (1.0 - (total - part)) + (x - part)
    n, f = split(total)
    direct = n.equals(0.0)
    f = select(direct, x, f)
    high, low = table.LN2[x.elem.name]
    curve = fma(f * f, fma(f, polynomial(f, table.LOG[x.elem.name]), -0.5), select(direct, 0.0, lost / total))
    result = with_edges(total, fma(n, high, fma(n, low, curve) + f))
    return select(x.equals(0.0), x, result)


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
