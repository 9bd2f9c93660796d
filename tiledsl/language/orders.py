"""Bessel functions of any order, from those of order 0 and 1, by the recurrence f(k + 1) = 2k / x f(k) - f(k - 1).

J is taken upwards where x is not below the order, and where it is, downwards from far above it (Miller), since upwards the
recurrence loses every digit there; Y is taken upwards. Each step is computed in two parts, so that steps add no error of their
own: what is off comes from orders 0 and 1. It takes as many steps as the largest order among the lanes, without those whose
result is 0 or infinite.
"""

from . import creation, math, reduction
from .core import constexpr, library
from .dtypes import float64, int64

__all__ = ["first_kind", "second_kind"]

BELOW = constexpr(745.2)  # exp(-745.2) is 0
BEYOND = constexpr(735.0)  # exp(735) is infinite, also when divided by the square root of the largest order
INFINITE, NEGATIVE = constexpr(float("inf")), constexpr(float("-inf"))
LARGE, SMALLER = constexpr(2.0**400), constexpr(2.0**-800)  # a value that is scaled down, and by how much


@library
def first_kind(n, x, j0, j1):  # type: ignore[no-untyped-def]
    """J of orders n (i64) at x (f64), all of one shape; j0 and j1 are those of order 0 and 1."""
    order, size = math.abs(n), math.abs(x)
    j1 = math.where(x < 0.0, -j1, j1)
    tiny = _depth(order, size) > BELOW
    runs = (order > 1) & (size == size) & (size < INFINITE) & ~tiny
    falls = runs & (size < order.to(float64))
    up = _upwards(math.where(runs & ~falls, order, 1), size, j0, j1)
    down = _downwards(math.where(falls, order, 0), size)
    result = math.where(order == 0, j0, math.where(falls, down, up))
    result = math.where(tiny | (size == INFINITE), 0.0, result)
    odd = (order & 1) != 0
    result = math.where(odd & ((n < 0) != (x < 0.0)), -result, result)
    return math.where(x == x, result, x)


@library
def second_kind(n, x, y0, y1):  # type: ignore[no-untyped-def]
    """Y of orders n (i64) at x (f64), all of one shape; y0 and y1 are those of order 0 and 1."""
    order = math.abs(n)
    huge = (_depth(order, x) > BEYOND) & (x > 0.0)
    runs = (order > 1) & (x > 0.0) & (x < INFINITE) & ~huge
    result = _upwards(math.where(runs, order, 1), x, y0, y1)
    result = math.where(order == 0, y0, math.where(huge, NEGATIVE, result))
    return math.where(((order & 1) != 0) & (n < 0), -result, result)


@library
def _depth(order, x):  # type: ignore[no-untyped-def]
    """A number d for which J is at most exp(-d), and Y at least exp(d) less its root: n (a - tanh a) with cosh a = n / x; 0 from n on."""
    top = order.to(float64)
    share = math.where(x < top, x / top, 1.0)
    slope = math.sqrt((1.0 - share) * (1.0 + share))
    return top * (math.log((1.0 + slope) / share) - slope)


@library
def _most(n):  # type: ignore[no-untyped-def]
    """The largest of all lanes."""
    if len(n.shape) == 0:
        return n
    else:
        return reduction.max(n)


@library
def _step(k, half, half_, a, a_, b, b_):  # type: ignore[no-untyped-def]
    """2k / x b - a, where half is 2 / x; every number in two parts. Products stand in an fma, so that no other sum takes them."""
    k = k.to(float64)
    f = math.fma(k, half, -0.0)
    f_ = math.fma(k, half_, math.fma(k, half, -f))
    p = math.fma(f, b, -0.0)
    p_ = math.fma(f, b_, math.fma(f_, b, math.fma(f, b, -p)))
    s = p - a
    took = s - p
    s_ = (p - (s - took)) - (a + took) + (p_ - a_)
    total = s + s_
    fits = math.abs(total) < INFINITE
    return math.where(fits, total, s), math.where(fits, s_ - (total - s), 0.0)


@library
def _inverse(x):  # type: ignore[no-untyped-def]
    """2 / x in two parts."""
    half = 2.0 / x
    return half, math.fma(-half, x, 2.0) / x


@library
def _upwards(order, x, first, second):  # type: ignore[no-untyped-def]
    """The value of an order from 1 on."""
    half, half_ = _inverse(x)
    a, b = first, second
    a_, b_ = creation.zeros_like(a), creation.zeros_like(b)
    for k in range(1, _most(order)):
        c, c_ = _step(creation.to_tensor(k), half, half_, a, a_, b, b_)
        runs = (k < order) & (math.abs(b) < INFINITE)
        a, a_, b, b_ = math.where(runs, b, a), math.where(runs, b_, a_), math.where(runs, c, b), math.where(runs, c_, b_)
    return b


@library
def _downwards(order, x):  # type: ignore[no-untyped-def]
    """J of an order above x: a sequence that begins so far above that what was wrong with its beginning is gone, over the root of
    the sum of its squares, which for J is 1 if those of both signs of the order are counted."""
    half, half_ = _inverse(x)
    top = order.to(float64)
    begin = math.where(order > 0, order + 18 + (9.0 * math.exp2(math.log2(top) / 3.0)).to(int64), 0)
    a = creation.zeros_like(x)
    b, a_, b_, found, scaled, total, total_ = a, a, a, a, a, a, a
    last = _most(begin)
    for i in range(0, last):
        k = last - i
        b = math.where(k == begin, 1.0, b)
        found = math.where(k == order, b, found)
        c, c_ = _step(k, half, half_, a, a_, b, b_)
        large = math.abs(c) > LARGE
        scale = math.where(large, SMALLER, 1.0)
        scaled = scaled + math.where(large & (k <= order), 1.0, 0.0)
        a, a_, b, b_ = b * scale, b_ * scale, c * scale, c_ * scale
        square = math.fma(a, a, -0.0)
        grown = math.fma(total, scale * scale, square)
        part = grown - square
        total, total_ = grown, math.fma(total_, scale * scale, math.fma(total, scale * scale, -part))
    square = math.fma(b, b, 0.0) * 0.5
    result = found / math.sqrt(2.0 * (total + (total_ + square)))
    result = result * math.where(scaled > 0.0, SMALLER, 1.0) * math.where(scaled > 1.0, SMALLER, 1.0)
    return math.where(scaled > 2.0, 0.0, result)
