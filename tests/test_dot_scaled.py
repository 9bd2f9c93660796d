"""Products with shared scales in every format and packing, and casts towards zero, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.ir.types import NARROW, DType, bf16, f8e4nv, f8e5, f16, f32
from tiledsl.testing.oracle import backends, same_bits

BACKENDS = pytest.mark.parametrize("backend", backends())
RNG = np.random.default_rng(5)
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
M, N, K = 16, 32, 64
TYPES = {"e4m3": f8e4nv, "e5m2": f8e5, "bf16": bf16, "fp16": f16}


@tiledsl.jit
def multiply(a, b, sa, sb, c, M: tl.constexpr, N: tl.constexpr, AM: tl.constexpr, AK: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
             G: tl.constexpr, FA: tl.constexpr, FB: tl.constexpr, PA: tl.constexpr, PB: tl.constexpr, SCALE: tl.constexpr):  # fmt: skip
    x = tl.load(a + tl.arange(0, AM)[:, None] * AK + tl.arange(0, AK)[None, :])
    y = tl.load(b + tl.arange(0, BK)[:, None] * BN + tl.arange(0, BN)[None, :])
    group = tl.arange(0, G)[None, :]
    if sa is not None:
        sa = tl.load(sa + tl.arange(0, M)[:, None] * G + group).to(SCALE, bitcast=True)
    if sb is not None:
        sb = tl.load(sb + tl.arange(0, N)[:, None] * G + group).to(SCALE, bitcast=True)
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    acc = tl.load(c + at)
    tl.store(c + at, tl.dot_scaled(x, sa, FA, y, sb, FB, acc, lhs_k_pack=PA, rhs_k_pack=PB))


def operand(name: str, shape: tuple[int, int], axis: int) -> tuple[np.ndarray, np.ndarray]:
    """(as stored, values) of a random operand; e2m1 is packed along an axis."""
    if name == "e2m1":
        codes = RNG.integers(0, 16, shape).astype(np.uint8)
        first, second = (np.take(codes, range(i, shape[axis], 2), axis) for i in (0, 1))
        return first | second << 4, E2M1[codes]
    values = TYPES[name].round(RNG.standard_normal(shape).astype(np.float32)).astype(np.float32)
    stored = TYPES[name].encode(values.astype(TYPES[name].numpy))
    return np.ascontiguousarray(stored).view(f"u{stored.itemsize}"), values


def factors(codes: np.ndarray, special: bool = False) -> np.ndarray:
    return np.where(codes == 255, np.nan, np.ldexp(1.0, codes.astype(int) - 127)).astype(np.float32)


def product(first: str, second: str, *, packed=(True, True), scaled=(True, True), nv: bool = False) -> None:
    """Close to what NumPy computes, and the same bits on every backend."""
    a, x = operand(first, (M, K), 1 if packed[0] else 0)
    b, y = operand(second, (K, N), 0 if packed[1] else 1)
    group = 16 if nv else 32
    shapes = ((M, K // group), (N, K // group))
    codes = [(RNG.integers(40, 80, s) if nv else RNG.integers(120, 134, s)).astype(np.uint8) for s in shapes]
    if not nv:
        codes[0][3, 1] = 255
    scales = [f8e4nv.decode(s) if nv else factors(s) for s in codes]
    c = RNG.standard_normal((M, N)).astype(np.float32)
    for i, on in enumerate(scaled):
        if on:
            wide = np.repeat(scales[i], group, 1)
            x, y = (x * wide, y) if i == 0 else (x, y * wide.T)
    expected = c + x.astype(np.float64) @ y.astype(np.float64)
    given = [s if on else None for s, on in zip(codes, scaled, strict=True)]
    results = []
    for backend in backends():
        out = c.copy()
        multiply[(1,)](a, b, *given, out, M=M, N=N, AM=a.shape[0], AK=a.shape[1], BK=b.shape[0], BN=b.shape[1], G=K // group, FA=first,
                       FB=second, PA=packed[0], PB=packed[1], SCALE=tl.float8e4nv if nv else tl.uint8, backend=backend)  # fmt: skip
        results.append(out)
    room = 1e-5 * (np.abs(x) @ np.abs(y) + 1)
    assert (np.isnan(expected) == np.isnan(results[0])).all()
    assert (np.abs(results[0] - expected) <= room)[~np.isnan(expected)].all()
    for backend, out in zip(backends(), results, strict=True):
        assert same_bits(f32, out, results[0]).all(), f"{backend} differs"


@pytest.mark.parametrize("second", ["e2m1", "e4m3", "e5m2", "bf16", "fp16"])
@pytest.mark.parametrize("first", ["e2m1", "e4m3", "e5m2", "bf16", "fp16"])
def test_every_pair_of_formats(first: str, second: str) -> None:
    product(first, second)


@pytest.mark.parametrize("formats", [("e2m1", "e2m1"), ("e2m1", "e5m2"), ("bf16", "e2m1")])
@pytest.mark.parametrize("packed", [(True, False), (False, True), (False, False)])
def test_four_bit_operands_are_packed_along_either_axis(packed: tuple[bool, bool], formats: tuple[str, str]) -> None:
    product(*formats, packed=packed)


@pytest.mark.parametrize("scaled", [(True, False), (False, True), (False, False)])
def test_scales_may_be_absent(scaled: tuple[bool, bool]) -> None:
    product("e5m2", "bf16", scaled=scaled)


def test_scales_may_be_floats_of_eight_bits() -> None:
    product("e2m1", "e2m1", nv=True)


@tiledsl.jit
def badly_scaled(c, COUNT: tl.constexpr):
    a, b = tl.full((16, 64), 0, tl.uint8), tl.full((64, 16), 0, tl.uint8)
    wrong, right = tl.full((16, COUNT), 0, tl.uint8), tl.full((16, 2), 0, tl.uint8)
    tl.store(c, tl.sum(tl.dot_scaled(a, wrong, "e5m2", b, right, "e5m2")))


@pytest.mark.parametrize(
    ("count", "message"),
    [(8, r"lhs_scale must be a tensor of shape \[..., 16, 2\]"), (4, r"must have the same scale factor; \(lhs: 16 vs rhs: 32\)")],
)
def test_the_shape_of_scales_is_checked(count: int, message: str) -> None:
    with pytest.raises(tiledsl.errors.CompilationError, match=message):
        badly_scaled[(1,)](np.zeros(1, np.float32), COUNT=count, backend="interpreter")


@tiledsl.jit
def truncate(values, out, n, TYPE: tl.constexpr, CODE: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    x = tl.load(values + i, mask=i < n)
    tl.store(out + i, x.to(TYPE, fp_downcast_rounding="rtz").to(CODE, bitcast=True), mask=i < n)


TL = {"f16": tl.float16, "bf16": tl.bfloat16, "f32": tl.float32, "f8e5": tl.float8e5, "f8e4nv": tl.float8e4nv, "f8e4b8": tl.float8e4b8,
      "f8e5b16": tl.float8e5b16, "f8e4b15": tl.float8e4b15}  # fmt: skip
CODES = {8: tl.uint8, 16: tl.uint16, 32: tl.uint32}


@BACKENDS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("elem", [f16, bf16, f32, *NARROW], ids=str)
def test_casts_towards_zero_take_the_nearest_number_that_is_not_larger(elem: DType, dtype: type, backend: str) -> None:
    if elem is f32 and dtype is np.float32:
        return
    scale = np.exp2(RNG.uniform(-30, 30, 2000))
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-30, -1e-8, 3e38, -3e38, 65519.0, 65520.0, 448.0, 460.0, 1 / 3]
    x = np.concatenate([RNG.standard_normal(2000) * scale, edges]).astype(dtype)
    codes = np.zeros(x.size, f"u{elem.bits // 8}")
    truncate[(1,)](x, codes, x.size, TYPE=TL[elem.name], CODE=CODES[elem.bits], BLOCK=4096, backend=backend)
    found = elem.decode(codes.view(elem.storage)).astype(np.float64)
    wide = x.astype(np.float64)
    nan = np.isnan(wide)
    if elem.format.special.name != "FINITE":
        assert np.isnan(found[nan]).all()
    found, wide = found[~nan], wide[~nan]
    assert (np.abs(found) <= np.abs(wide)).all()
    near = elem.round(x[~nan]).astype(np.float64)  # the nearest: the result, or its neighbour further out
    exact = np.abs(near) <= np.abs(wide)
    np.testing.assert_array_equal(found[exact], near[exact])
    outward = ~exact
    bits = np.abs(elem.encode(np.abs(near[outward]).astype(elem.numpy))).view(f"u{elem.bits // 8}").astype(np.int64)
    below = elem.decode((bits - 1).astype(f"u{elem.bits // 8}").view(elem.storage)).astype(np.float64)
    np.testing.assert_array_equal(np.abs(found[outward]), below)
