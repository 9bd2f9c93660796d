"""Random numbers as functions of a seed and a counter (Philox 4x32 and 4x64): the same everywhere, in any order.

A round takes a counter of four words and a key of two to

    (hi(B c2) ^ c1 ^ k0,  lo(B c2),  hi(A c0) ^ c3 ^ k1,  lo(A c0))

and raises the key. Counters of 32 bits have the seed's halves as key, counters of 64 bits the seed and zero.
"""

from . import creation, math
from .core import constexpr, library
from .dtypes import float32, int32, int64, uint32, uint64
from .static import static_assert, static_range

__all__ = [
    "pair_uniform_to_normal", "philox", "philox_impl", "rand", "rand4x", "randint", "randint4x", "randn", "randn4x",
    "uint32_to_uniform_float", "uint_to_uniform_float",
]  # fmt: skip

N_ROUNDS_DEFAULT = constexpr(10)

# by the width of a word: the multipliers of a round, and what the key is raised by
A = constexpr({32: 0xD2511F53, 64: 0xD2E7470EE14C6C93})
B = constexpr({32: 0xCD9E8D57, 64: 0xCA5A826395121157})
RAISE_0 = constexpr({32: 0x9E3779B9, 64: 0x9E3779B97F4A7C15})
RAISE_1 = constexpr({32: 0xBB67AE85, 64: 0xBB67AE8584CAA73B})


@library
def philox_impl(c0, c1, c2, c3, k0, k1, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """Four random words, of the counter's type (uint32 or uint64), for a counter and a key."""
    bits: constexpr = c0.dtype.primitive_bitwidth
    a, b = creation.full((), A[bits], c0.dtype), creation.full((), B[bits], c0.dtype)
    for _ in static_range(n_rounds):
        high_b, low_b, high_a, low_a = math.umulhi(b, c2), b * c2, math.umulhi(a, c0), a * c0
        c0, c1, c2, c3 = high_b ^ c1 ^ k0, low_b, high_a ^ c3 ^ k1, low_a
        k0, k1 = k0 + RAISE_0[bits], k1 + RAISE_1[bits]
    return c0, c1, c2, c3


@library
def philox(seed, c0, c1, c2, c3, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """Four random words for a seed and a counter of four integers of 32 or of 64 bits."""
    seed = creation.to_tensor(seed)
    static_assert(seed.dtype.is_int(), "the seed of random numbers is an integer")
    seed = seed.to(uint64)
    c0, c1, c2, c3 = creation.to_tensor(c0), creation.to_tensor(c1), creation.to_tensor(c2), creation.to_tensor(c3)
    if c0.dtype.primitive_bitwidth == 32:
        word = uint32
        low, high = (seed & 0xFFFFFFFF).to(uint32), (seed >> 32).to(uint32)
    else:
        static_assert(c0.dtype.primitive_bitwidth == 64, "a counter of random numbers has words of 32 or of 64 bits")
        word = uint64
        low, high = seed, creation.zeros_like(seed)
    return philox_impl(c0.to(word), c1.to(word), c2.to(word), c3.to(word), low, high, n_rounds)


@library
def randint4x(seed, offset, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """Four tiles of random 32-bit words (uint32), one of each for every offset; the cheapest way to many of them."""
    offset = creation.to_tensor(offset)
    low = offset.to(uint32)
    zero = creation.zeros_like(low)
    high = zero
    if offset.dtype.primitive_bitwidth > 32:
        high = (offset >> 32).to(uint32)
    return philox(seed, low, high, zero, zero, n_rounds)


@library
def randint(seed, offset, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """A random 32-bit word (uint32) for every offset."""
    word, _1, _2, _3 = randint4x(seed, offset, n_rounds)
    return word


@library
def uint_to_uniform_float(x):  # type: ignore[no-untyped-def]
    """32 or 64 random bits as a number (fp32) uniform in [0, 1)."""
    if x.dtype.primitive_bitwidth == 32:
        signed, scale = x.to(int32, bitcast=True), 4.6566127342e-10
    else:
        static_assert(x.dtype.primitive_bitwidth == 64, "a uniform number is made of 32 or of 64 bits")
        signed, scale = x.to(int64, bitcast=True), 1.0842020432385337e-19
    return math.where(signed < 0, -signed - 1, signed).to(float32) * scale


@library
def uint32_to_uniform_float(x):  # type: ignore[no-untyped-def]
    """The older name of uint_to_uniform_float."""
    return uint_to_uniform_float(x)


@library
def rand(seed, offset, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """A number (fp32) uniform in [0, 1) for every offset."""
    return uint_to_uniform_float(randint(seed, offset, n_rounds))


@library
def rand4x(seed, offsets, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """Four tiles of numbers (fp32) uniform in [0, 1)."""
    i0, i1, i2, i3 = randint4x(seed, offsets, n_rounds)
    return uint_to_uniform_float(i0), uint_to_uniform_float(i1), uint_to_uniform_float(i2), uint_to_uniform_float(i3)


@library
def pair_uniform_to_normal(u1, u2):  # type: ignore[no-untyped-def]
    """Two normal numbers from two uniform ones (Box and Muller): the first is the radius, kept away from zero."""
    u1 = math.maximum(1.0e-7, u1)
    angle = 6.283185307179586 * u2
    radius = math.sqrt(-2.0 * math.log(u1))
    return radius * math.cos(angle), radius * math.sin(angle)


@library
def randn(seed, offset, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """A number (fp32) of normal distribution, mean 0 and deviation 1, for every offset."""
    i0, i1, _2, _3 = randint4x(seed, offset, n_rounds)
    normal, _ = pair_uniform_to_normal(uint_to_uniform_float(i0), uint_to_uniform_float(i1))
    return normal


@library
def randn4x(seed, offset, n_rounds: constexpr = N_ROUNDS_DEFAULT):  # type: ignore[no-untyped-def]
    """Four tiles of normal numbers (fp32)."""
    u0, u1, u2, u3 = rand4x(seed, offset, n_rounds)
    n0, n1 = pair_uniform_to_normal(u0, u1)
    n2, n3 = pair_uniform_to_normal(u2, u3)
    return n0, n1, n2, n3
