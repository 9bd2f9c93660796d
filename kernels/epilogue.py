"""What a matrix product does to its sums before it stores them."""

from __future__ import annotations

import tiledsl
import tiledsl.language as tl


@tiledsl.jit
def activate(x, ACTIVATION: tl.constexpr):
    """x through the named function; as it is for None."""
    if ACTIVATION == "relu":
        x = tl.where(x > 0, x, 0)
    elif ACTIVATION == "leaky_relu":
        x = tl.where(x >= 0, x, 0.01 * x)
    elif ACTIVATION == "sigmoid":
        x = tl.sigmoid(x)
    elif ACTIVATION == "gelu":
        x = 0.5 * x * (1.0 + tl.erf(x * 0.7071067811865476))
    else:
        tl.static_assert(ACTIVATION is None, "the activation is relu, leaky_relu, sigmoid, gelu or None")
    return x
