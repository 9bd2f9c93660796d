"""Computes `coefficients.py`: run `python -m tiledsl.numerics.fit`; it takes some seconds and always writes the same file.

Each polynomial has the least sum of weighted squared errors at Chebyshev's nodes, which is close to the least maximum.
The coefficients are rounded one by one, from the constant upwards, and those that follow are fitted again: they make
up for most of what a rounding lost. All of it is computed in `decimal`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, getcontext, localcontext
from pathlib import Path

import numpy as np

getcontext().prec = PRECISION = 400  # of pi; everything else takes the precision set below

Function = Callable[[Decimal], Decimal]
ONE = Decimal(1)


def series(first: Decimal, ratio: Callable[[int], Decimal]) -> Decimal:
    """The sum of terms, where term n + 1 is term n times ratio(n)."""
    total, term, n = Decimal(0), first, 0
    while abs(term) > Decimal(10) ** -getcontext().prec:
        total, term, n = total + term, term * ratio(n), n + 1
    return total


def arctan(x: Decimal) -> Decimal:
    return sum_of_odd(x, lambda n: Decimal(-1) ** n / (2 * n + 1))


def arctan_near(x: Decimal) -> Decimal:
    """The arc tangent up to 1, by half the angle twice, so that the series converges."""
    for _ in range(2):
        x = x / (1 + (1 + x * x).sqrt())
    return 4 * arctan(x)


def arcsin(x: Decimal) -> Decimal:
    return arctan_near(x / (1 - x * x).sqrt())


def sum_of_odd(x: Decimal, coefficient: Callable[[int], Decimal]) -> Decimal:
    """The sum of coefficient(n) * x**(2n + 1)."""
    total, power, n = Decimal(0), x, 0
    while abs(power) > Decimal(10) ** -getcontext().prec:
        total, power, n = total + coefficient(n) * power, power * x * x, n + 1
    return total


PI = 16 * arctan(ONE / 5) - 4 * arctan(ONE / 239)
getcontext().prec = 90
LN2 = Decimal(2).ln()
LN10 = Decimal(10).ln()


def sine(x: Decimal) -> Decimal:
    return series(x, lambda n: -x * x / ((2 * n + 2) * (2 * n + 3)))


def erf(x: Decimal) -> Decimal:
    """All terms of this series have one sign: nothing cancels."""
    return 2 / PI.sqrt() * (-x * x).exp() * series(x, lambda n: 2 * x * x / (2 * n + 3))


def tanh(x: Decimal) -> Decimal:
    square = (2 * x).exp()
    return (square - 1) / (square + 1)


def exponential_tail(r: Decimal) -> Decimal:
    """(exp(r) - 1 - r) / r**2"""
    return series(ONE / 2, lambda n: r / (n + 3))


def logarithm_tail(f: Decimal) -> Decimal:
    """(log(1 + f) - f + f**2 / 2) / f**3"""
    return ((1 + f).ln() - f + f * f / 2) / f**3


def arctangent_tail(z: Decimal) -> Decimal:
    """(atanh(s) - s - s**3 / 3) / s**5 for z = s**2"""
    return sum_of_odd(z.sqrt(), lambda n: ONE / (2 * n + 5)) / z.sqrt()


@dataclass(frozen=True)
class Fit:
    """What to approximate, where, with how many coefficients, in which format; errors count times the weight."""

    function: Function
    weight: Function
    low: Decimal
    high: Decimal
    count: int
    format: type[np.floating]


def coefficients(fit: Fit) -> tuple[float, ...]:
    """The rounded coefficients, from the constant upwards."""
    nodes = chebyshev_nodes(fit.low, fit.high, 3 * fit.count)
    weights = [fit.weight(x) for x in nodes]
    rest = [fit.function(x) * weight for x, weight in zip(nodes, weights, strict=True)]
    columns = [[weight * x**power for x, weight in zip(nodes, weights, strict=True)] for power in range(fit.count)]
    found: list[float] = []
    while columns:
        found.append(rounded(least_squares(columns, rest)[0], fit.format))
        fixed = columns.pop(0)
        rest = [value - Decimal(found[-1]) * unit for value, unit in zip(rest, fixed, strict=True)]
    return tuple(found)


def chebyshev_nodes(low: Decimal, high: Decimal, count: int) -> list[Decimal]:
    """Where to compare; off zero, where the functions are not defined."""
    cosines = [sine(PI * (2 * i + 1) / (2 * count) - PI / 2) for i in range(count)]
    nodes = [(low + high) / 2 + (high - low) / 2 * cosine for cosine in cosines]
    return [x if abs(x) > Decimal(10) ** -20 else Decimal(10) ** -20 for x in nodes]


def least_squares(columns: list[list[Decimal]], values: list[Decimal]) -> list[Decimal]:
    """The factors with which the columns come closest to the values, by the normal equations."""
    rows = [[dot(a, b) for b in columns] + [dot(a, values)] for a in columns]
    for i, pivot in enumerate(rows):
        for j, row in enumerate(rows):
            if i != j:
                factor = row[i] / pivot[i]
                rows[j] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def dot(a: list[Decimal], b: list[Decimal]) -> Decimal:
    return sum((x * y for x, y in zip(a, b, strict=True)), Decimal(0))


def rounded(value: Decimal, format: type[np.floating] | None) -> float:
    """The nearest number of a format."""
    return float(value) if format is np.float64 else float(np.float32(float(value)))


def parts(value: Decimal, *bits: int) -> tuple[float, ...]:
    """Numbers that sum to a value, each with so many significant bits."""
    found = []
    for count in bits:
        if value == 0:
            part = Decimal(0)
        else:
            exponent = int((abs(value).ln() / LN2).to_integral_value(rounding="ROUND_FLOOR"))
            unit = Decimal(2) ** (exponent + 1 - count)
            part = (value / unit).to_integral_value(rounding="ROUND_HALF_EVEN") * unit
        found.append(float(part))
        value -= part
    return tuple(found)


def half_turns(drop: int) -> tuple[float, ...]:
    """1 / pi in two parts, without its bits worth 2**drop or more."""
    return parts(1 / PI % Decimal(2) ** drop, 53, 53)


def words_per_pi() -> tuple[int, ...]:
    """The bits of 1 / pi from 2**63 down, in words of 64."""
    with localcontext(prec=PRECISION):
        bits = int(1 / PI * Decimal(2) ** (64 * 19))
    return tuple(bits >> (64 * i) & (2**64 - 1) for i in reversed(range(20)))


ERF_BORDER = {"f32": Decimal("1.09375"), "f64": Decimal("1.5")}  # here both polynomials of erf need as many coefficients


def inner_erf(format: str) -> tuple[Function, Function, Decimal, Decimal]:
    """erf(x) / x - 1 for z = x**2 up to the border, around the middle."""
    middle = ERF_BORDER[format] ** 2 / 2

    def ratio(z: Decimal) -> Decimal:
        x = (z + middle).sqrt()
        return erf(x) / x - 1

    return ratio, lambda z: ONE, -middle, middle


def outer_erf(format: str, end: int) -> tuple[Function, Function, Decimal, Decimal]:
    """The logarithm of 1 - erf(x) beyond the border."""

    def complement(t: Decimal) -> Decimal:
        return 1 - erf(ERF_BORDER[format] + t)

    return lambda t: complement(t).ln() / LN2, complement, Decimal(0), end - ERF_BORDER[format]


def fits() -> dict[str, dict[str, Fit]]:
    """Every polynomial, in both formats."""
    half_octave = LN2 / 2 + Decimal("1e-3")
    half = Decimal("0.502")
    root = Decimal(2).sqrt()
    below, above = 1 / root - 1, root - 1

    def both(function: Function, weight: Function, low: Decimal, high: Decimal, counts: tuple[int, int]) -> dict[str, Fit]:
        formats: dict[str, type[np.floating]] = {"f32": np.float32, "f64": np.float64}
        return {name: Fit(function, weight, low, high, n, format) for n, (name, format) in zip(counts, formats.items(), strict=True)}

    def half_sine(z: Decimal) -> Decimal:
        return sine(PI * z.sqrt()) / z.sqrt()

    quarter = Decimal("0.254")
    return {
        "EXP": both(exponential_tail, lambda r: r * r, -half_octave, half_octave, (5, 11)),
        "EXP2": both(lambda r: ((r * LN2).exp() - 1) / r, lambda r: r, -half, half, (6, 13)),
        "EXPM1": both(exponential_tail, lambda r: r, Decimal("-0.51"), Decimal("0.51"), (7, 13)),
        "LOG10": both(lambda f: ((1 + f).ln() - f) / f**2 / LN10, lambda f: f, below, above, (9, 20)),
        "LOG": both(logarithm_tail, lambda f: f * f, below, above, (8, 19)),
        "LOG2": both(lambda f: ((1 + f).ln() - f) / f**2 / LN2, lambda f: f, below, above, (9, 20)),
        "TANH": both(lambda z: (tanh(z.sqrt()) / z.sqrt() - 1) / z, lambda z: z, Decimal(0), ONE, (8, 17)),
        "ERF": {"f32": Fit(*inner_erf("f32"), 7, np.float32), "f64": Fit(*inner_erf("f64"), 16, np.float64)},
        "ERFC": {"f32": Fit(*outer_erf("f32", 4), 7, np.float32), "f64": Fit(*outer_erf("f64", 6), 16, np.float64)},
        "ERFC_EXP2": {  # what is less than 1 / 6 may be six times as far off
            "f32": Fit(lambda r: ((r * LN2).exp() - 1) / r, lambda r: r, -half, half, 5, np.float32),
            "f64": Fit(lambda r: ((r * LN2).exp() - 1) / r, lambda r: r, -half, half, 11, np.float64),
        },
        "POW_LOG2": {
            "f32": Fit(lambda f: (1 + f).ln() / f / LN2, lambda f: ONE, below, above, 15, np.float64),
            "f64": Fit(arctangent_tail, lambda z: ONE, Decimal(0), Decimal("0.0295"), 10, np.float64),
        },
        "POW_EXP2": {"f32": Fit(lambda r: ((r * LN2).exp() - 1) / r, lambda r: r, -half, half, 7, np.float64)},
        "ATAN": both(lambda z: (arctan_near(z.sqrt()) / z.sqrt() - 1) / z, lambda z: z, Decimal(0), ONE, (11, 22)),
        "ASIN": {"f64": Fit(lambda z: (arcsin(z.sqrt()) / z.sqrt() - 1) / z, lambda z: z, Decimal(0), quarter, 14, np.float64)},
        "SIN": {
            "f32": Fit(half_sine, lambda z: ONE, Decimal(0), quarter, 6, np.float64),
            "f64": Fit(lambda z: (sine(z.sqrt()) / z.sqrt() - 1) / z, lambda z: z, Decimal(0), Decimal("2.4675"), 9, np.float64),
        },
    }


def constants() -> dict[str, dict[str | int, tuple[int | float, ...]]]:
    """Every number that an algorithm needs more digits of than a float has."""
    return {
        "LN2": {"f32": parts(LN2, 16, 24), "f64": parts(LN2, 42, 53)},
        "THIRD": {"f64": parts(ONE / 3, 53, 53)},
        "TWO_LOG2_E": {"f64": parts(2 / LN2, 53, 53)},
        "LOG10_2": {"f32": parts(LN2 / LN10, 16, 24), "f64": parts(LN2 / LN10, 42, 53)},
        "LN10": {"f64": parts(LN10, 53, 53)},
        "LOG10_E": {"f32": parts(1 / LN10, 24, 24), "f64": parts(1 / LN10, 53, 53)},
        "LOG2_E": {"f32": parts(1 / LN2, 24, 24), "f64": parts(1 / LN2, 53, 53)},
        "PER_PI": {start: half_turns(24 - start) for start in (0, 48, 70, 92, 114)},
        "PER_PI_WORDS": {"u64": words_per_pi()},
        "ERF_BORDER": {name: (float(border),) for name, border in ERF_BORDER.items()},
        "HALF_PI": {"f32": parts(PI / 2, 24, 24), "f64": parts(PI / 2, 53, 53)},
    }


HEADER = '''"""Coefficients of the polynomials, from the constant upwards; written by `python -m tiledsl.numerics.fit`."""
'''


def table() -> str:
    """The text of `coefficients.py`."""
    lines = [HEADER]
    numbers = {name: {format: coefficients(fit) for format, fit in formats.items()} for name, formats in fits().items()}
    for name, formats in (constants() | numbers).items():
        lines.append(f"{name} = {{")
        for format, values in formats.items():
            texts = [hex(value) if isinstance(value, int) else repr(value) for value in values]
            if len(texts) <= 2:
                lines.append(f"    {format!r}: ({', '.join(texts)}{',' * (len(texts) == 1)}),")
            else:
                lines += [f"    {format!r}: (", *(f"        {text}," for text in texts), "    ),"]
        lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("coefficients.py").write_text(table(), encoding="utf-8")
