"""Computes `special_coefficients.py`: run `python -m tiledsl.numerics.special_fit`; it needs mpmath, which nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp

mp.mp.dps = 50


def fit(function: Callable[[Any], Any], low: float, high: float, count: int) -> tuple[float, ...]:
    """Coefficients, from the constant upwards, of a polynomial in u from -1 to 1, which stands for low to high."""
    middle, half = mp.mpf(low + high) / 2, mp.mpf(high - low) / 2
    found = mp.chebyfit(lambda u: function(middle + half * u), [-1, 1], count)
    return tuple(float(c) for c in reversed(found))


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


def tables() -> dict[str, tuple[float, ...]]:
    """Every polynomial."""
    p0, q0 = amplitude(0, mp.pi / 4)
    p1, q1 = amplitude(1, 3 * mp.pi / 4)
    return {
        "J0": fit(lambda z: mp.besselj(0, mp.sqrt(z)), 0, 64, 22),
        "J1": fit(lambda z: mp.besselj(1, root(z)) / root(z), 0, 64, 22),
        "Y0": fit(lambda z: mp.bessely(0, root(z)) - 2 / mp.pi * mp.log(root(z)) * mp.besselj(0, root(z)), 0, 64, 22),
        "Y1": fit(
            lambda z: (mp.bessely(1, root(z)) - 2 / mp.pi * (mp.log(root(z)) * mp.besselj(1, root(z)) - 1 / root(z))) / root(z), 0, 64, 22
        ),
        "P0": fit(p0, 0, 1, 14),
        "Q0": fit(q0, 0, 1, 14),
        "P1": fit(p1, 0, 1, 14),
        "Q1": fit(q1, 0, 1, 14),
        "I0": fit(lambda z: mp.besseli(0, mp.sqrt(z)), 0, 64, 26),
        "I1": fit(lambda z: mp.besseli(1, root(z)) / root(z), 0, 64, 26),
        "I0_FAR": fit(
            lambda s: (
                mp.besseli(0, 8 / near(s)) * mp.exp(-8 / near(s)) * mp.sqrt(8 / near(s))
                if s > 0.008
                else mp.hyp2f0(0.5, 0.5, near(s) / 16).real / mp.sqrt(2 * mp.pi)
            ),
            0,
            1,
            24,
        ),
        "I1_FAR": fit(
            lambda s: (
                mp.besseli(1, 8 / near(s)) * mp.exp(-8 / near(s)) * mp.sqrt(8 / near(s))
                if s > 0.008
                else mp.hyp2f0(-0.5, 1.5, near(s) / 16).real / mp.sqrt(2 * mp.pi)
            ),
            0,
            1,
            24,
        ),
        "ERFCX": fit(
            lambda t: (1 + 2 * (4 * (1 + t) / (1 - t))) * mp.erfc(4 * (1 + t) / (1 - t)) * mp.exp((4 * (1 + t) / (1 - t)) ** 2), -1, 0.8, 26
        ),
        "ERFINV_0": fit(lambda w: mp.erfinv(mp.sqrt(1 - mp.exp(-near(w)))) / mp.sqrt(1 - mp.exp(-near(w))), 0, 6.25, 23),
        "ERFINV_1": fit(lambda s: erfinv_far(s), 2.5, 4.0, 24),
        "ERFINV_2": fit(lambda s: erfinv_far(s), 4.0, 6.1, 24),
        "GAMMA": fit(lambda f: mp.gamma(2 + f), 0, 1, 20),
        "LGAMMA_1": fit(lambda x: mp.loggamma(1 + near(x)) / near(x), -0.5, 0.5, 28),
        "LGAMMA_2": fit(lambda x: mp.loggamma(2 + near(x)) / near(x), -0.5, 1, 24),
        "STIRLING": tuple(float(mp.bernoulli(2 * n) / (2 * n * (2 * n - 1))) for n in range(1, 10)),
    }


def erfinv_far(s: Any) -> Any:
    """erfinv(x) / x with s = sqrt(-log(1 - x**2))"""
    with mp.workdps(70):
        x = mp.sqrt(1 - mp.exp(-s * s))
        return mp.findroot(lambda y: mp.log(mp.erfc(y)) - mp.log(1 - x), s) / x


def text() -> str:
    """The text of `special_coefficients.py`."""
    lines = [
        '"""Coefficients of polynomials on -1 to 1, from the constant upwards; written by `python -m tiledsl.numerics.special_fit`."""\n'
    ]
    for name, values in tables().items():
        lines += [f"{name} = (", *(f"    {v!r}," for v in values), ")"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("special_coefficients.py").write_text(text(), encoding="utf-8")
