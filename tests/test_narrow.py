"""fp8: every code and every rounding, by the carrier, by the pass that backends rely on, and against ml_dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.ir.types import NARROW, f8e4b15, f8e5
from tiledsl.testing.oracle import backends

PUBLIC = {
    "f8e5": "float8_e5m2",
    "f8e4nv": "float8_e4m3fn",
    "f8e4b8": "float8_e4m3fnuz",
    "f8e5b16": "float8_e5m2fnuz",
}
TL = {"f8e5": tl.float8e5, "f8e4nv": tl.float8e4nv, "f8e4b8": tl.float8e4b8, "f8e5b16": tl.float8e5b16, "f8e4b15": tl.float8e4b15}


def interesting() -> np.ndarray:
    """Values near every code of every format, midpoints between them, and what is beyond."""
    exact = np.unique(np.concatenate([t.decode(np.arange(256, dtype=np.uint8)) for t in NARROW]))
    exact = np.sort(exact[np.isfinite(exact)])
    middle = (exact[1:] + exact[:-1]) / 2
    near = [np.nextafter(x, np.float32(d)) for x in (exact, middle) for d in (np.inf, -np.inf)]
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e30, -1e30, 1e-30, -1e-30, 1e-45], np.float32)
    return np.concatenate([exact, middle, *near, special]).astype(np.float32)


@pytest.mark.parametrize("elem", NARROW, ids=str)
def test_codes_and_values_are_one_to_one(elem) -> None:
    codes = np.arange(256, dtype=np.uint8)
    values = elem.decode(codes)
    back = elem.encode(values)
    finite = np.isfinite(values)
    assert (back[finite] == codes[finite]).all()
    assert np.isnan(elem.decode(back[np.isnan(values)])).all()


@pytest.mark.parametrize("elem", [t for t in NARROW if t is not f8e4b15], ids=str)
def test_values_and_rounding_are_those_of_ml_dtypes(elem) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    public = getattr(ml_dtypes, PUBLIC[elem.name])
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(elem.decode(codes), codes.view(public).astype(np.float32))
    x = interesting()
    x = x[np.abs(x) <= elem.format.largest]  # beyond, we saturate
    np.testing.assert_array_equal(elem.encode(x), x.astype(public).view(np.uint8))


def test_overflow_saturates_and_nan_stays() -> None:
    x = np.array([1e9, -np.inf, np.nan], np.float32)
    assert f8e5.round(x)[:2].tolist() == [57344.0, -57344.0] and np.isnan(f8e5.round(x))[2]


@tiledsl.jit
def convert(codes, values, out, wide, n, TYPE: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    code = tl.load(codes + i, mask=i < 256).to(TYPE, bitcast=True)
    tl.store(wide + i, code.to(tl.float32), mask=i < 256)
    rounded = tl.load(values + i, mask=i < n).to(TYPE)
    tl.store(out + i, rounded.to(tl.uint8, bitcast=True), mask=i < n)


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("elem", NARROW, ids=str)
def test_every_backend_converts_alike(elem, dtype, backend: str) -> None:
    values = interesting().astype(dtype)
    if dtype is np.float64:
        values = np.nextafter(values, np.inf)  # what a first rounding to f32 would get wrong
    codes, out = np.arange(256, dtype=np.uint8), np.zeros(values.size, np.uint8)
    wide = np.zeros(256, np.float32)
    block = tiledsl.next_power_of_2(values.size)
    convert[(1,)](codes, values, out, wide, values.size, TYPE=TL[elem.name], BLOCK=block, backend=backend)
    np.testing.assert_array_equal(wide, elem.decode(codes))
    nan = np.isnan(values)
    np.testing.assert_array_equal(out[~nan], elem.encode(elem.round(values))[~nan])
    np.testing.assert_array_equal(elem.decode(out[nan]), elem.decode(elem.encode(values[nan])))


@tiledsl.jit
def product(a, b, c, N: tl.constexpr):
    i = tl.arange(0, N)
    at = i[:, None] * N + i[None, :]
    x, y = tl.load(a + at), tl.load(b + at)
    tl.store(c + at, tl.dot(x, y) + (x * y + x).to(tl.float32))


@pytest.mark.parametrize("backend", backends())
@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn"])
def test_arrays_of_fp8_are_arguments_and_multiply(name: str, backend: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((16, 16)).astype(getattr(ml_dtypes, name)) for _ in range(2))
    c, expected = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    product[(1,)](a, b, expected, N=16, backend="interpreter")
    product[(1,)](a, b, c, N=16, backend=backend)
    np.testing.assert_array_equal(c, expected)
    x, y = a.astype(np.float32), b.astype(np.float32)
    rounded = ((x * y).astype(a.dtype).astype(np.float32) + x).astype(a.dtype).astype(np.float32)
    np.testing.assert_allclose(c, x @ y + rounded, rtol=1e-5, atol=1e-5)
