"""Functions of the language, written in the language itself."""

from . import math, reduction
from .core import library
from .dtypes import float32

__all__ = ["cdiv", "softmax", "swizzle2d"]


@library
def cdiv(x, div):  # type: ignore[no-untyped-def]
    """x / div, rounded up."""
    return (x + (div - 1)) // div


@library
def softmax(x, dim=None, keep_dims=False, ieee_rounding=False):  # type: ignore[no-untyped-def]
    """exp(x - max) / sum of it, along an axis (the first, if none is named)."""
    axis = 0 if dim is None else dim
    shifted = x - reduction.max(x, axis, keep_dims=True)
    powers = math.exp(shifted.to(float32))
    return powers / reduction.sum(powers, axis, keep_dims=True)


@library
def swizzle2d(i, j, size_i, size_j, size_g):  # type: ignore[no-untyped-def]
    """Row-major program indices (i, j) of a size_i by size_j grid, in groups of size_g rows."""
    ij = i * size_j + j
    size_gj = size_g * size_j
    group = ij // size_gj
    off_i = group * size_g
    size_g = math.minimum(size_i - off_i, size_g)
    ij = ij % size_gj
    return off_i + ij % size_g, ij // size_g
