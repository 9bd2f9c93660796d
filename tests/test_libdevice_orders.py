"""Bessel functions whose order is an argument: their bounds, their edges, and the same bits on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError
from tiledsl.language import libdevice
from tiledsl.testing.oracle import backends

RNG = np.random.default_rng(5)
N = 32


@tiledsl.jit
def apply(n, x, out, F: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(out + i, F(tl.load(n + i), tl.load(x + i)))


@tiledsl.jit
def single(n, x, out, F: tl.constexpr):
    tl.store(out, F(tl.load(n), tl.load(x)))
    tl.store(out + 1, F(3, tl.load(x)))


def run(name: str, n: np.ndarray, x: np.ndarray, backend: str = "cpu", **options: bool) -> np.ndarray:
    out = np.zeros_like(x)
    apply[(1,)](n, x, out, getattr(libdevice, name), len(x), backend=backend, **options)
    return out


@pytest.mark.parametrize("name", ["jn", "yn"])
def test_bessel_functions_of_any_order_keep_their_bound(name: str) -> None:
    mp = pytest.importorskip("mpmath").mp
    truly = mp.besselj if name == "jn" else mp.bessely
    for orders, x in (
        (RNG.integers(0, 4, N), RNG.uniform(0.1, 12, N)),
        (RNG.integers(2, 60, N), RNG.uniform(0.1, 90, N)),
        (RNG.integers(2, 20, N), 2.0 ** RNG.uniform(-30, 3, N)),
        (near := RNG.integers(100, 130, N), near * RNG.uniform(0.95, 1.05, N)),
    ):
        for dtype, bound in ((np.float32, 0.51), (np.float64, 2.0)):
            n, at = orders.astype(np.int32), x.astype(dtype)
            with mp.workdps(50):
                truth = [truly(int(a), mp.mpf(float(b))) for a, b in zip(n, at, strict=True)]
                fits = [abs(t) < float(np.finfo(dtype).max) for t in truth]
                found = run(name, n, at)
                off = np.array([float(abs(mp.mpf(float(f)) - t)) for f, t in zip(found, truth, strict=True)])
                sizes = np.array([float(abs(t)) for t in truth])
            near_by = np.maximum(sizes, np.where(at < n, 0, np.sqrt(2 / np.pi / at.astype(np.float64))))
            if name == "yn":
                near_by = np.maximum(sizes, np.sqrt(2 / np.pi / np.maximum(at, n.astype(dtype)).astype(np.float64)))
            with np.errstate(over="ignore"):
                allowed = bound * np.spacing(sizes.astype(dtype)).astype(np.float64) + 2.0**-50 * near_by
            fine = np.where(fits, off <= allowed, np.isinf(found))
            assert fine.all(), (n[~fine], at[~fine], found[~fine])


@pytest.mark.parametrize("name", ["jn", "yn"])
def test_every_backend_gives_the_same_bits_fused_or_not(name: str) -> None:
    n, x = RNG.integers(-9, 12, N).astype(np.int32), RNG.uniform(-1, 14, N)
    first = run(name, n, x, "interpreter")
    for backend in backends():
        assert np.array_equal(run(name, n, x, backend), first, equal_nan=True), backend
    assert np.array_equal(run(name, n, x, enable_fp_fusion=False), first, equal_nan=True)


def test_at_the_edges() -> None:
    inf, nan = np.inf, np.nan
    n = np.array([2, 3, -3, 5, 9, 0, 1, 0, 2**31 - 1, -(2**31), 100, 4], np.int32)
    x = np.array([inf, -inf, 0.0, nan, -0.0, 0.0, 0.0, inf, 1.0, 1.0, 1e-300, 1e-320])
    np.testing.assert_allclose(run("jn", n, x), [0, 0, 0, nan, 0, 1, 0, 0, 0, 0, 0, 0], rtol=2.0**-52)
    assert np.array_equal(run("yn", n, x), [0, nan, inf, nan, -inf, -inf, -inf, 0, -inf, -inf, -inf, -inf], equal_nan=True)
    signs = run("jn", np.array([3, -3, 3, -3], np.int32), np.array([2.0, 2.0, -2.0, -2.0]))
    assert np.array_equal(np.sign(signs), [1, -1, -1, 1]) and len(set(np.abs(signs))) == 1


def test_of_one_number() -> None:
    x, out = np.full(1, 2.5, np.float32), np.zeros(2, np.float32)
    single[(1,)](np.full(1, 3, np.int32), x, out, libdevice.jn)
    assert out.tolist() == pytest.approx([0.21660039, 0.21660039])


def test_an_order_that_is_no_integer_is_refused() -> None:
    x = np.ones(N, np.float32)
    with pytest.raises(CompilationError, match="jn takes an integer and f32 or f64"):
        run("jn", x, x)


def test_every_name_of_tritons_libdevice_is_there() -> None:
    """In groups, as the names are made: (stems, endings)."""
    modes = ("rn", "rz", "rd", "ru")
    rounded = [f"{f}_{mode}" for f in "fma div rcp sqrt add mul sub double2float".split() for mode in modes]
    for source, target in (("float", "int"), ("float", "uint"), ("float", "ll"), ("float", "ull"), ("ll", "float"), ("ull", "float"),
                           ("double", "int"), ("double", "uint"), ("double", "ll"), ("double", "ull"), ("ll", "double"), ("ull", "double"),
                           ("int", "float"), ("uint", "float")):  # fmt: skip
        rounded += [f"{source}2{target}_{mode}" for mode in modes]
    plain = """clz popc byte_perm mulhi mul24 brev sad abs floor rcp64h rsqrt ceil trunc exp2 saturatef fast_dividef sqrt
        int2double_rn uint2double_rn hiloint2double double2loint double2hiint int_as_float float_as_int uint_as_float float_as_uint
        longlong_as_double double_as_longlong fast_sinf fast_cosf fast_log2f fast_logf fast_expf fast_tanf fast_exp10f fast_log10f
        fast_powf hadd rhadd rsqrt_rn ffs rint llrint nearbyint isnan signbit copysign finitef isinf nextafter sin cos sinpi cospi tan
        log2 exp exp10 cosh sinh tanh atan2 atan asin acos log log10 log1p acosh asinh atanh expm1 hypot rhypot norm3d rnorm3d norm4d
        rnorm4d cbrt rcbrt j0 j1 y0 y1 yn jn cyl_bessel_i0 cyl_bessel_i1 erf erfinv erfc erfcx erfcinv normcdfinv normcdf lgamma ldexp
        scalbn fmod remainder fma pow tgamma round llround fdim ilogb logb isfinited""".split()
    assert [name for name in [*plain, *rounded] if not hasattr(libdevice, name)] == []
