"""rsqrt and cbrt."""

from __future__ import annotations

import math

from .. import ops
from .term import Term, fma, select, sqrt, u32, with_sign_of

CBRT_STEPS = {"f32": 2, "f64": 3}


def rsqrt(x: Term) -> Term:
    """sqrt(1 / x), which is closer than 1 / sqrt(x); x is scaled so that 1 / x stays among the normal numbers.

    At most 0.85 ulp off in f32, 0.85 in f64.
    """
    step = (x.format.bias + 1) // 4 * 2 - 4
    small = x < 1.0
    inverse = 1.0 / (x * select(small, x.like(2.0**step), 2.0**-step))
    root = sqrt(inverse) * select(small, x.like(2.0 ** (step // 2)), 2.0 ** -(step // 2))
    return select(x > 0.0, root, select(x.equals(0.0), inverse, math.nan))


def cbrt(x: Term) -> Term:
    """The cube root, of negative numbers too: x z**2, z being 1 / cbrt(x), and a last step that knows x - cbrt(x)**3.

    z starts with minus a third of x's exponent; each step takes the error to its third power.
    At most 0.78 ulp off in f32, 0.66 in f64.
    """
    form = x.format
    tiny = abs(x) < 2.0 ** (1 - form.bias)
    size = select(tiny, abs(x) * 2.0**54, abs(x))
    z = cbrt_guess(size)
    for _ in range(CBRT_STEPS[x.elem.name]):
        error = fma(size * z * z, -z, 1.0)
        z = fma(z * error, fma(error, 2 / 9, 1 / 3), z)
    root = size * z * z
    square = root * root
    lacking = fma(fma(root, root, -square), -root, fma(square, -root, size))
    root = fma(lacking, z * z * (1 / 3), root)
    root = select(tiny, root * 2.0**-18, root)
    return select((size > 0.0) & (size < math.inf), with_sign_of(root, x), x)


def cbrt_guess(size: Term) -> Term:
    """1 / cbrt(size), to some 4 bits: a line through its logarithm."""
    form, spare = size.format, size.elem.bits - 32
    third = (size.bits >> spare).cast(u32).apply(ops.umulhi, 0x55555556)
    start = round((form.bias * 4 / 3 - 0.06) * (1 << form.mantissa - spare))
    return ((start - third).cast(form.integer) << spare).floating(size.elem)
