"""Functions that no machine computes exactly, each defined once by a program of exact ops.

`FUNCTIONS` says which program stands for which op; `passes/numerics.py` puts it there. The bounds in the docstrings are
measured: f32 over all inputs (`python -m tiledsl.numerics.check`), f64 over samples.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import ops
from ..ir.spec import OpSpec
from .exponential import erf, exp, exp2, expm1, sigmoid, tanh
from .hyperbolic import acosh, asinh, atanh, cosh, exp10, hypot, sinh
from .inverse import acos, asin, atan2
from .logarithm import log, log1p, log2, log10
from .powers import power
from .roots import cbrt, rsqrt
from .term import Term
from .trigonometric import atan, cos, sin, tan

FUNCTIONS: dict[OpSpec, Callable[..., Term]] = {
    ops.exp: exp,
    ops.exp2: exp2,
    ops.log: log,
    ops.log2: log2,
    ops.sin: sin,
    ops.cos: cos,
    ops.tanh: tanh,
    ops.erf: erf,
    ops.sigmoid: sigmoid,
    ops.rsqrt: rsqrt,
    ops.pow_: power,
    ops.expm1: expm1,
    ops.log1p: log1p,
    ops.log10: log10,
    ops.cbrt: cbrt,
    ops.tan: tan,
    ops.atan: atan,
    ops.asin: asin,
    ops.acos: acos,
    ops.atan2: atan2,
    ops.sinh: sinh,
    ops.cosh: cosh,
    ops.asinh: asinh,
    ops.acosh: acosh,
    ops.atanh: atanh,
    ops.exp10: exp10,
    ops.hypot: hypot,
}
