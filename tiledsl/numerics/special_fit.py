"""Computes `special_coefficients.py`: run `python -m tiledsl.numerics.special_fit`; it needs mpmath, which nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath as mp

mp.mp.dps = 50


@dataclass(frozen=True)
class Fit:
    """What to approximate, where, with how many coefficients."""

    function: Callable[[Any], Any]
    low: float
    high: float
    count: int


def coefficients(fit: Fit) -> tuple[float, ...]:
    """From the constant upwards, those of a polynomial in u from -1 to 1, which stands for low to high."""
    middle, half = mp.mpf(fit.low + fit.high) / 2, mp.mpf(fit.high - fit.low) / 2
    found = mp.chebyfit(lambda u: fit.function(middle + half * u), [-1, 1], fit.count)
    return tuple(float(c) for c in reversed(found))


def in_two_parts(value: Any) -> tuple[float, float]:
    """A number as a sum of two."""
    return float(value), float(value - float(value))


def near(x: Any) -> Any:
    """Off the places where a formula divides zero by zero."""
    return x if abs(x) > mp.mpf(10) ** -12 else mp.mpf(10) ** -12


def amplitude(order: int, quarter: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """P and Q of J = sqrt(2 / pi x) (P cos t - Q sin t), Y = .. (P sin t + Q cos t), as functions of (8 / x)**2."""

    def parts(s: Any) -> tuple[Any, Any, Any]:
        x = 8 / mp.sqrt(near(s))
        t = x - quarter
        scale = mp.sqrt(mp.pi * x / 2)
        j, y = mp.besselj(order, x), mp.bessely(order, x)
        return x, scale * (j * mp.cos(t) + y * mp.sin(t)), scale * (y * mp.cos(t) - j * mp.sin(t))

    return lambda s: parts(s)[1], lambda s: parts(s)[0] * parts(s)[2]


def root(z: Any) -> Any:
    return mp.sqrt(near(z))


def fits() -> dict[str, Fit]:
    """Every polynomial."""
    p0, q0 = amplitude(0, mp.pi / 4)
    p1, q1 = amplitude(1, 3 * mp.pi / 4)
    return {
        "J0": Fit(lambda z: mp.besselj(0, mp.sqrt(z)), 0, 64, 22),
        "J1": Fit(lambda z: mp.besselj(1, root(z)) / root(z), 0, 64, 22),
        "Y0": Fit(lambda z: mp.bessely(0, root(z)) - 2 / mp.pi * mp.log(root(z)) * mp.besselj(0, root(z)), 0, 64, 22),
        "Y1": Fit(
            lambda z: (mp.bessely(1, root(z)) - 2 / mp.pi * (mp.log(root(z)) * mp.besselj(1, root(z)) - 1 / root(z))) / root(z), 0, 64, 22
        ),
        "P0": Fit(p0, 0, 1, 14),
        "Q0": Fit(q0, 0, 1, 14),
        "P1": Fit(p1, 0, 1, 14),
        "Q1": Fit(q1, 0, 1, 14),
        "I0_FAR": Fit(
            lambda s: (
                mp.besseli(0, 8 / near(s)) * mp.exp(-8 / near(s)) * mp.sqrt(8 / near(s))
                if s > 0.008
                else mp.hyp2f0(0.5, 0.5, near(s) / 16).real / mp.sqrt(2 * mp.pi)
            ),
            0,
            1,
            24,
        ),
        "I1_FAR": Fit(
            lambda s: (
                mp.besseli(1, 8 / near(s)) * mp.exp(-8 / near(s)) * mp.sqrt(8 / near(s))
                if s > 0.008
                else mp.hyp2f0(-0.5, 1.5, near(s) / 16).real / mp.sqrt(2 * mp.pi)
            ),
            0,
            1,
            24,
        ),
        "ERFCX": Fit(erfcx_rising, -1, 1, 28),
        "ERFINV_0": Fit(lambda w: (erfinv_near(near(w)) - mp.sqrt(mp.pi) / 2) / near(w), 0, 6.25, 23),
        "ERFINV_1": Fit(lambda s: erfinv_far(s), 2.5, 4.0, 24),
        "ERFINV_2": Fit(lambda s: erfinv_far(s), 4.0, 6.1, 24),
        "ERFINV_3": Fit(lambda t: erfinv_far(1 / t) * t, 1 / 27.5, 1 / 6, 24),
        "GAMMA": Fit(lambda f: mp.gamma(2 + f), 0, 1, 20),
        "LGAMMA_1": Fit(lambda x: mp.loggamma(1 + near(x)) / near(x), -0.5, 0.5, 28),
        "LGAMMA_2": Fit(lambda x: (mp.loggamma(2 + near(x)) / near(x) - mp.psi(0, 2)) / near(x), -0.5, 1, 24),
    }


def constants() -> dict[str, tuple[float, ...]]:
    """Series that need no fit, and numbers that an algorithm needs more digits of than a float has."""
    return {
        "DIGAMMA_2": in_two_parts(mp.psi(0, 2)),
        "HALF_ROOT_PI": in_two_parts(mp.sqrt(mp.pi) / 2),
        "ROOT_TWO": in_two_parts(mp.sqrt(2)),
        "HALF_LOG2_TAU": in_two_parts(mp.log(2 * mp.pi, 2) / 2),
        "STIRLING": tuple(float(mp.bernoulli(2 * n) / (2 * n * (2 * n - 1))) for n in range(1, 10)),
    }


def erfcx_rising(t: Any) -> Any:
    """(1 + 2x) exp(x**2) erfc(x) for x = 4 (1 + t) / (1 - t); at t = 1 x is infinite."""
    if t == 1:
        return 2 / mp.sqrt(mp.pi)
    x = 4 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.erfc(x) * mp.exp(x * x)


def erfinv_near(w: Any) -> Any:
    """erfinv(x) / x with w = -log(1 - x**2)"""
    x = mp.sqrt(1 - mp.exp(-w))
    return mp.erfinv(x) / x


def erfinv_far(s: Any) -> Any:
    """erfinv(x) / x with s = sqrt(-log(1 - x**2))"""
    room = mp.exp(-s * s)
    x = mp.sqrt(1 - room)
    return mp.findroot(lambda y: mp.log(mp.erfc(y)) - mp.log(room / (1 + x)), s) / x


def text() -> str:
    """The text of `special_coefficients.py`."""
    lines = [
        '"""Coefficients of polynomials on -1 to 1, from the constant upwards; written by `python -m tiledsl.numerics.special_fit`."""\n'
    ]
    numbers = {name: coefficients(fit) for name, fit in fits().items()}
    for name, values in (numbers | constants()).items():
        lines += [f"{name} = (", *(f"    {v!r}," for v in values), ")"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("special_coefficients.py").write_text(text(), encoding="utf-8")
