"""`triton.language.standard`: what Triton writes in the language itself, with the helpers that kernels in the wild import."""

from ....language import *
from ....language import max, maximum, min, minimum, sum
from ....language.core import library
from ....language.functions import constexpr_function


@constexpr_function
def _log2(i):  # type: ignore[no-untyped-def]
    """The logarithm of a power of two."""
    return int(i).bit_length() - 1


@constexpr_function
def _is_power_of_two(i):  # type: ignore[no-untyped-def]
    return i > 0 and i & (i - 1) == 0


@library
def _sum_combine(a, b):  # type: ignore[no-untyped-def]
    """a + b."""
    return a + b


@library
def _prod_combine(a, b):  # type: ignore[no-untyped-def]
    """a * b."""
    return a * b


@library
def _xor_combine(a, b):  # type: ignore[no-untyped-def]
    """a ^ b."""
    return a ^ b


@library
def _or_combine(a, b):  # type: ignore[no-untyped-def]
    """a | b."""
    return a | b


@library
def _elementwise_max(a, b):  # type: ignore[no-untyped-def]
    """The larger."""
    return maximum(a, b)


@library
def _elementwise_min(a, b):  # type: ignore[no-untyped-def]
    """The smaller."""
    return minimum(a, b)
