"""Functions that no machine computes exactly, each defined once by a program of exact ops.

`FUNCTIONS` says which program stands for which op; `passes/numerics.py` puts it there. The bounds in the docstrings are
measured: f32 over all inputs (`python -m tiledsl.numerics.check`), f64 over samples.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import ops
from ..ir.spec import OpSpec
from .exponential import erf, exp, exp2, sigmoid, tanh
from .logarithm import log, log2, rsqrt
from .powers import power
from .term import Term
from .trigonometric import cos, sin

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
}
