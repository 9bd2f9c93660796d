"""The attributes of a tile inside a kernel: x.dtype, x.shape, x.T, and its methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import TypeRuleError, nearest
from ..ir.core import Value
from . import coerce
from .core import METHODS, Builtin, Context, beyond, builtin
from .dtypes import dtype
from .library import cdiv, softmax
from .math import cast
from .operators import apply_logical
from .shape import trans
from .types import block_type


class tensor:
    """The annotation for a tile; kernels make them with tl.load, tl.arange, tl.zeros and arithmetic."""


def _logical(symbol: str) -> Builtin:
    def apply(ctx: Context, x: Value, other: Any) -> Value:
        return apply_logical(ctx.build, symbol, x, coerce.tensor(ctx.build, other))

    apply.__name__, apply.__doc__ = f"logical_{symbol}", f"As the operator `{symbol}`."
    return builtin(apply)


METHODS.update(to=cast, logical_and=_logical("and"), logical_or=_logical("or"), cdiv=cdiv, softmax=softmax)


ATTRIBUTES: dict[str, Callable[[Context, Value], Any]] = {
    "dtype": lambda ctx, x: dtype.of(x.type.elem),
    "type": lambda ctx, x: block_type(dtype.of(x.type.elem), x.type.shape) if x.type.shape else dtype.of(x.type.elem),
    "shape": lambda ctx, x: x.type.shape,
    "numel": lambda ctx, x: x.type.size,
    "T": lambda ctx, x: _transposed(ctx, x),
}


def _transposed(ctx: Context, x: Value) -> Value:
    if x.type.rank != 2:
        beyond(ctx.build, "permute dims must have the same length as input shape", "name the axes: tl.permute(x, ...)")
    return trans.function(ctx, x)


ARRAYS = "of an array a kernel gets the address only: pass what it needs of shape and strides as numbers"
ELSEWHERE = {  # what tiles and arrays have in NumPy and PyTorch: what to write
    **dict.fromkeys(("astype", "type_as"), "write x.to(tl.float32)"),
    **{name: f"write x.to(tl.{to})" for name, to in (("float", "float32"), ("double", "float64"), ("half", "float16"))},
    **{name: f"write x.to(tl.{to})" for name, to in (("int", "int32"), ("long", "int64"), ("bool", "int1"))},
    "mean": "divide the sum by how many there are: tl.sum(x, axis=0) / n",
    **dict.fromkeys(("size", "stride", "strides", "ndim", "dim", "device", "is_contiguous"), ARRAYS),
}
LISTED = f"a tile has {', '.join(ATTRIBUTES)}, and many functions of tl as methods: tl.sum(x, 0) is x.sum(0)"


def attribute(ctx: Context, x: Value, name: str) -> Any:
    """What x.name is: a compile-time fact, or a method bound to x."""
    if name in ATTRIBUTES:
        return ATTRIBUTES[name](ctx, x)
    if name in METHODS:
        return BoundMethod(METHODS[name], x)
    raise TypeRuleError(f"a tile has no attribute `{name}`", help=ELSEWHERE.get(name) or nearest(name, [*ATTRIBUTES, *METHODS]) or LISTED)


class BoundMethod:
    """A method of one tile, or of an object made of tiles, ready to be called."""

    def __init__(self, method: Any, receiver: Any):
        self.method, self.receiver = method, receiver
