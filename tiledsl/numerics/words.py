"""Functions of the bits of a word, 32 or 64 of them."""

from __future__ import annotations

from .. import ops
from ..ir.types import i32, u32, u64
from .term import Term, select


def count(x: Term) -> Term:
    """How many bits are set, by adding neighbouring fields."""
    wide = u64 if x.elem.bits == 64 else u32
    x, bits = x.cast(wide), x.elem.bits
    mask = (1 << bits) - 1
    x = x - ((x >> 1) & (0x5555555555555555 & mask))
    x = (x & (0x3333333333333333 & mask)) + ((x >> 2) & (0x3333333333333333 & mask))
    x = (x + (x >> 4)) & (0x0F0F0F0F0F0F0F0F & mask)
    return ((x * (0x0101010101010101 & mask)) >> (bits - 8)).cast(i32)


def leading_zeros(x: Term) -> Term:
    x, bits = x.cast(u64 if x.elem.bits == 64 else u32), x.elem.bits
    shift = 1
    while shift < bits:
        x, shift = x | (x >> shift), shift * 2
    return bits - count(x)


def first_set(x: Term) -> Term:
    """The place of the lowest bit set, from 1; 0 for zero."""
    lowest = x & -x
    return select(x.equals(0), lowest.like(0, i32), x.elem.bits - leading_zeros(lowest))


def reversed_bits(x: Term) -> Term:
    word, bits = x.elem, x.elem.bits
    x, shift = x.cast(u64 if bits == 64 else u32), bits // 2
    while shift:
        mask = sum(((1 << shift) - 1) << at for at in range(0, bits, 2 * shift))
        x, shift = ((x >> shift) & mask) | ((x & mask) << shift), shift // 2
    return x.cast(word)


def high_product(x: Term, y: Term) -> Term:
    high = x.apply(ops.umulhi, y)
    if not x.elem.is_signed:
        return high
    return high - select(x < 0, y, 0) - select(y < 0, x, 0)


def low_product(x: Term, y: Term) -> Term:
    """The lower half of the product of the low 24 bits."""
    return ((x << 8) >> 8) * ((y << 8) >> 8)


def average(x: Term, y: Term) -> Term:
    return (x & y) + ((x ^ y) >> 1)


def average_up(x: Term, y: Term) -> Term:
    return (x | y) - ((x ^ y) >> 1)


def chosen_bytes(x: Term, y: Term, selector: Term) -> Term:
    """Byte i of the result is the one that bits 4i to 4i + 2 of the selector number, of x from 0 and of y from 4."""
    low, high, which = (t.cast(u32) for t in (x, y, selector))
    total = which.like(0)
    for i in range(4):
        place = (which >> (4 * i)) & 7
        word = select(place < 4, low, high)
        total = total | (((word >> ((place & 3) << 3)) & 0xFF) << (8 * i))
    return total.cast(x.elem)
