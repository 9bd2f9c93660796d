"""Random numbers: published vectors, an independent Philox in Python's integers, and the same bits on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.testing.oracle import backends

BACKENDS = pytest.mark.parametrize("backend", backends())
CONSTANTS = {
    32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
    64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
}
# published with the generator: counter, key, result, all words of 32 bits
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def reference(counter: tuple[int, ...], key: tuple[int, ...], bits: int = 32, rounds: int = 10) -> tuple[int, ...]:
    """Philox in Python's integers."""
    (first, second), raises = CONSTANTS[bits]
    mask = (1 << bits) - 1
    for _ in range(rounds):
        a, b = first * counter[0], second * counter[2]
        counter = ((b >> bits) ^ counter[1] ^ key[0], b & mask, (a >> bits) ^ counter[3] ^ key[1], a & mask)
        key = tuple((k + r) & mask for k, r in zip(key, raises, strict=True))
    return counter


@tiledsl.jit
def words(counters, out, seed, N: tl.constexpr, ROUNDS: tl.constexpr):
    i = tl.arange(0, N)
    c0, c1 = tl.load(counters + 4 * i), tl.load(counters + 4 * i + 1)
    c2, c3 = tl.load(counters + 4 * i + 2), tl.load(counters + 4 * i + 3)
    r0, r1, r2, r3 = tl.philox(seed, c0, c1, c2, c3, ROUNDS)
    tl.store(out + 4 * i, r0)
    tl.store(out + 4 * i + 1, r1)
    tl.store(out + 4 * i + 2, r2)
    tl.store(out + 4 * i + 3, r3)


def test_the_reference_gives_the_published_vectors() -> None:
    for counter, key, result in VECTORS:
        assert reference(counter, key) == result


@BACKENDS
def test_philox_gives_the_published_vectors(backend: str) -> None:
    for counter, key, result in VECTORS:
        seed, out = key[0] | key[1] << 32, np.zeros(4, np.uint32)
        words[(1,)](np.array(counter, np.uint32), out, seed, N=1, ROUNDS=10, backend=backend)
        assert tuple(map(int, out)) == result


@BACKENDS
@pytest.mark.parametrize("rounds", [1, 7, 10])
@pytest.mark.parametrize("bits", [32, 64])
def test_philox_agrees_with_a_reference(bits: int, rounds: int, backend: str) -> None:
    counters = np.random.default_rng(bits).integers(0, 2**bits, (16, 4), np.uint64).astype(f"u{bits // 8}")
    for seed in (0, 7, 0x123456789ABCDEF0, 2**64 - 1):
        out = np.zeros_like(counters)
        words[(1,)](counters, out, seed, N=16, ROUNDS=rounds, backend=backend)
        key = (seed & 0xFFFFFFFF, seed >> 32) if bits == 32 else (seed, 0)
        expected = [reference(tuple(map(int, row)), key, bits, rounds) for row in counters]
        np.testing.assert_array_equal(out, np.array(expected, out.dtype))


@tiledsl.jit
def numbers(offsets, integer, uniform, normal, seed, N: tl.constexpr):
    i = tl.arange(0, N)
    at = tl.load(offsets + i)
    i0, i1, i2, i3 = tl.randint4x(seed, at)
    u0, u1, u2, u3 = tl.rand4x(seed, at)
    n0, n1, n2, n3 = tl.randn4x(seed, at)
    tl.store(integer + i, i0)
    tl.store(integer + N + i, i1)
    tl.store(integer + 2 * N + i, i2)
    tl.store(integer + 3 * N + i, i3)
    tl.store(integer + 4 * N + i, tl.randint(seed, at))
    tl.store(uniform + i, u0)
    tl.store(uniform + N + i, u1)
    tl.store(uniform + 2 * N + i, u2)
    tl.store(uniform + 3 * N + i, u3)
    tl.store(uniform + 4 * N + i, tl.rand(seed, at))
    tl.store(normal + i, n0)
    tl.store(normal + N + i, n1)
    tl.store(normal + 2 * N + i, n2)
    tl.store(normal + 3 * N + i, n3)
    tl.store(normal + 4 * N + i, tl.randn(seed, at))


def uniform_of(bits: np.ndarray) -> np.ndarray:
    signed = bits.view(np.int32)
    return np.where(signed < 0, -signed - 1, signed).astype(np.float32) * np.float32(4.6566127342e-10)


def drawn(dtype: type, seed: int, backend: str, count: int = 256) -> tuple[np.ndarray, ...]:
    """(offsets, integers, uniform, normal), five rows each: the four of the 4x forms, then the single one."""
    offsets = np.random.default_rng(3).integers(0, 2**62, count).astype(dtype)
    integer, uniform, normal = np.zeros((5, count), np.uint32), np.zeros((5, count), np.float32), np.zeros((5, count), np.float32)
    numbers[(1,)](offsets, integer, uniform, normal, seed, N=count, backend=backend)
    return offsets, integer, uniform, normal


@BACKENDS
@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_numbers_are_functions_of_seed_and_offset(dtype: type, backend: str) -> None:
    seed = 0x5EED0BADC0FFEE
    offsets, integer, uniform, normal = drawn(dtype, seed, backend)
    wide = [int(o) & 0xFFFFFFFFFFFFFFFF if np.dtype(dtype).itemsize == 8 else int(o) & 0xFFFFFFFF for o in offsets]
    expected = [reference((o & 0xFFFFFFFF, o >> 32, 0, 0), (seed & 0xFFFFFFFF, seed >> 32)) for o in wide]
    np.testing.assert_array_equal(integer[:4], np.array(expected, np.uint32).T)
    np.testing.assert_array_equal(uniform[:4], uniform_of(integer[:4]))
    for rows in (integer, uniform, normal):
        np.testing.assert_array_equal(rows[4], rows[0])
    u = uniform.astype(np.float64)
    for i in (0, 2):
        radius = np.sqrt(-2 * np.log(np.maximum(1e-7, u[i])))
        np.testing.assert_allclose(normal[i], radius * np.cos(2 * np.pi * u[i + 1]), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(normal[i + 1], radius * np.sin(2 * np.pi * u[i + 1]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", [b for b in backends() if b != "interpreter"])
def test_normal_numbers_have_the_same_bits_everywhere(backend: str) -> None:
    for dtype in (np.int32, np.int64):
        expected, found = drawn(dtype, 11, "interpreter")[3], drawn(dtype, 11, backend)[3]
        np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_numbers_are_spread_as_they_should() -> None:
    _, integer, uniform, normal = drawn(np.int32, 1, "interpreter", 4096)
    assert (np.abs(uniform.mean(1) - 0.5) < 0.03).all() and (uniform >= 0).all() and (uniform < 1).all()
    assert (np.abs(normal.mean(1)) < 0.08).all() and (np.abs(normal.std(1) - 1) < 0.06).all()
    assert len(np.unique(integer[0])) > 4090


@tiledsl.jit
def limits(out, N: tl.constexpr):
    i = tl.arange(0, N)
    edges = tl.where(i < 2, i + 0x7FFFFFFF, -i).to(tl.uint32, bitcast=True)
    tl.store(out + i, tl.random.uint_to_uniform_float(edges))


def test_the_largest_uniform_number_is_below_one() -> None:
    out = np.zeros(4, np.float32)
    limits[(1,)](out, N=4, backend="interpreter")
    assert (out >= 0).all() and (out < 1).all() and out.max() == np.float32(1) - np.float32(2**-24)


@tiledsl.jit
def by_a_float(out):
    tl.store(out, tl.rand(0.5, tl.program_id(0)))


def test_a_seed_is_an_integer() -> None:
    with pytest.raises(tiledsl.errors.CompilationError, match="seed of random numbers is an integer"):
        by_a_float[(1,)](np.zeros(1, np.float32), backend="interpreter")
