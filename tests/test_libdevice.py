"""`libdevice` against NumPy and SciPy in double precision, and the same bits on every backend."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.language import libdevice
from tiledsl.numerics.check import distance
from tiledsl.testing.oracle import backends

BACKENDS = backends()
RNG = np.random.default_rng(2)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 3e38, 1e-40, -1e-45, 2.0**31, 2.0**63, 1e10]


@tiledsl.jit
def apply(x, y, z, out, F: tl.constexpr, ARITY: tl.constexpr, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    a, b, c = tl.load(x + i), tl.load(y + i), tl.load(z + i)
    if ARITY == 1:
        tl.store(out + i, F(a))
    elif ARITY == 2:
        tl.store(out + i, F(a, b))
    else:
        tl.store(out + i, F(a, b, c))


def run(name: str, *inputs: np.ndarray, result: type | None = None) -> np.ndarray:
    """A function's results, on which all backends agree bit for bit."""
    size, block = inputs[0].size, 256
    padded = [np.concatenate([x, np.ones(-size % block, x.dtype)]) for x in inputs]
    padded += [padded[0]] * (3 - len(padded))
    outs = []
    for backend in BACKENDS:
        out = np.zeros(padded[0].size, result or inputs[0].dtype)
        apply[(out.size // block,)](*padded, out, F=getattr(libdevice, name), ARITY=len(inputs), N=block, backend=backend)
        outs.append(out[:size])
    for backend, out in zip(BACKENDS, outs, strict=True):
        same = (out.view(f"u{out.itemsize}") == outs[0].view(f"u{out.itemsize}")) | ((out != out) & (outs[0] != outs[0]))
        assert same.all(), f"{name}: {backend} differs"
    return outs[0]


def numbers(dtype: type, count: int = 1500) -> np.ndarray:
    bits = RNG.integers(0, 2**64, count, np.uint64)
    anything = bits.view(np.float64) if dtype is np.float64 else (bits >> np.uint64(32)).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        return np.concatenate([anything.astype(dtype), (RNG.standard_normal(count) * 3).astype(dtype), np.array(SPECIAL, dtype)])


ELEMENTARY = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "atanh": np.arctanh,
    "cbrt": np.cbrt, "cosh": np.cosh, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log10": np.log10,
    "log1p": np.log1p, "log2": np.log2, "sinh": np.sinh, "tan": np.tan, "tanh": np.tanh, "fast_expf": np.exp,
    "rsqrt": lambda x: 1 / np.sqrt(x), "exp10": lambda x: 10.0**x,
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTARY)
def test_elementary_functions_are_within_their_bounds(name: str) -> None:
    for dtype, wide, bound in ((np.float32, np.float64, 1.1), (np.float64, np.longdouble, 2.0)):
        x = numbers(dtype, 700)
        if wide is np.longdouble and np.finfo(wide).nmant < 63:
            continue
        with np.errstate(all="ignore"):
            truth = ELEMENTARY[name](x.astype(wide))
            assert (distance(run(name, x), truth) <= bound).all()


EXACT = {
    "rint": np.rint, "nearbyint": np.rint, "trunc": np.trunc, "floor": np.floor, "ceil": np.ceil, "abs": np.abs, "sqrt": np.sqrt,
    "round": lambda x: np.where(np.abs(x) < 2.0**52, np.copysign(np.floor(np.abs(x.astype(np.longdouble)) + 0.5), x), x).astype(x.dtype),
    "rcp_rn": lambda x: 1 / x,
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_roundings_are_exact(name: str, dtype: type) -> None:
    x = numbers(dtype)
    with np.errstate(all="ignore"):
        truth = EXACT[name](x)
    found = run(name, x)
    assert ((found == truth) & (np.signbit(found) == np.signbit(truth)) | (np.isnan(found) & np.isnan(truth))).all()


PAIRS = {
    "fmod": np.fmod, "copysign": np.copysign, "nextafter": np.nextafter, "div_rn": np.divide, "fast_dividef": np.divide,
    "fmax": np.fmax, "fmin": np.fmin, "add_rn": np.add, "remainder": np.vectorize(
        lambda x, y: math.remainder(x, y) if math.isfinite(x) and y == y and y else math.nan, otypes=[np.float64]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_two_numbers_are_exact(name: str, dtype: type) -> None:
    x, y = numbers(dtype, 400), numbers(dtype, 400)
    y = np.where(np.arange(y.size) % 7 == 0, x, RNG.permutation(y))
    if name in ("fmod", "remainder"):
        x, y = (RNG.standard_normal(800) * 100).astype(dtype), RNG.standard_normal(800).astype(dtype)
    with np.errstate(all="ignore"):
        truth = PAIRS[name](x, y).astype(dtype)
    found = run(name, x, y)
    assert ((found == truth) | (np.isnan(found) & np.isnan(truth))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tests_of_floats_give_truth_values(dtype: type) -> None:
    x = numbers(dtype, 100)
    for name, truth in (("isnan", np.isnan), ("isinf", np.isinf), ("finitef", np.isfinite), ("signbit", np.signbit)):
        np.testing.assert_array_equal(run(name, x, result=np.int32), truth(x).astype(np.int32))


def test_short_floats_are_computed_in_fp32_and_rounded_once() -> None:
    x = RNG.standard_normal(300).astype(np.float16)
    for name in ("tan", "expm1", "round"):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(run(name, x), run(name, x.astype(np.float32)).astype(np.float16))
    np.testing.assert_array_equal(run("isnan", x, result=np.int32), np.isnan(x))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_functions_of_bits(dtype: type) -> None:
    bits = np.dtype(dtype).itemsize * 8
    x = np.concatenate([RNG.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 200, dtype), 1 << np.arange(bits, dtype=dtype)])
    x[:3] = 0, 1, -1
    words = [int(v) & (2**bits - 1) for v in x]
    assert run("popc", x, result=np.int32).tolist() == [w.bit_count() for w in words]
    assert run("clz", x, result=np.int32).tolist() == [bits - w.bit_length() for w in words]
    assert run("ffs", x, result=np.int32).tolist() == [(w & -w).bit_length() for w in words]
    assert [int(v) & (2**bits - 1) for v in run("brev", x)] == [int(f"{w:0{bits}b}"[::-1], 2) for w in words]


def toward(exact: Fraction, mode: str, dtype: type) -> float:
    """An exact number rounded in a mode, found among the neighbours of the nearest."""
    down = {"rd": True, "ru": False, "rz": exact > 0}[mode]
    near = dtype(float(exact))
    around = [v for v in (np.nextafter(near, dtype(-np.inf)), near, np.nextafter(near, dtype(np.inf))) if np.isfinite(v)]
    fits = [v for v in around if (Fraction(float(v)) <= exact if down else Fraction(float(v)) >= exact)]
    return max(fits) if down else min(fits)


OPERATIONS = {
    "add": lambda x, y, z: x + y,
    "sub": lambda x, y, z: x - y,
    "mul": lambda x, y, z: x * y,
    "div": lambda x, y, z: x / y,
    "fma": lambda x, y, z: x * y + z,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["rd", "ru", "rz"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_arithmetic_in_other_roundings_is_exact(name: str, mode: str, dtype: type) -> None:
    x, y, z = ((RNG.standard_normal(256) * np.exp2(RNG.integers(-30, 30, 256))).astype(dtype) for _ in range(3))
    arity = 3 if name == "fma" else 2
    found = run(f"{name}_{mode}", *(x, y, z)[:arity])
    for i in range(x.size):
        exact = OPERATIONS[name](*(Fraction(float(v[i])) for v in (x, y, z)))
        assert found[i] == toward(exact, mode, dtype), (x[i], y[i], z[i])


def test_conversions_by_name() -> None:
    x = np.array([1.5, 2.5, -1.5, -0.5, 3e9, -3e9, np.nan, 7.0], np.float32)
    assert run("float2int_rn", x, result=np.int32).tolist() == [2, 2, -2, 0, 2**31 - 1, -(2**31), 0, 7]
    assert run("float2int_rd", x, result=np.int32).tolist() == [1, 2, -2, -1, 2**31 - 1, -(2**31), 0, 7]
    assert run("float2ll_ru", x, result=np.int64).tolist() == [2, 3, -1, 0, 3000000000, -3000000000, 0, 7]
    assert run("llrint", x, result=np.int64).tolist() == [2, 2, -2, 0, 3000000000, -3000000000, 0, 7]
    assert run("float_as_int", x, result=np.int32).tolist() == x.view(np.int32).tolist()


# name: SciPy's name, where to look, and the distance allowed: ulps of fp32, then relative to fp64's epsilon (or, where the
# function has zeros, to 1); SciPy's own error counts too
SPECIALS = {
    "erfc": ("erfc", -6, 9, 128), "normcdf": ("ndtr", -12, 6, 128), "erfinv": ("erfinv", -1, 1, 16), "tgamma": ("gamma", -20, 34, 64),
    "lgamma": ("gammaln", 0, 100, 16), "j0": ("j0", -60, 60, 16), "j1": ("j1", -60, 60, 16), "y0": ("y0", 0.1, 60, 32),
    "y1": ("y1", 0.1, 60, 64), "cyl_bessel_i0": ("i0", -80, 80, 128), "cyl_bessel_i1": ("i1", -80, 80, 128),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECIALS)
def test_special_functions_agree_with_scipy(name: str) -> None:
    special = pytest.importorskip("scipy.special")
    theirs, low, high, room = SPECIALS[name]
    for dtype in (np.float32, np.float64):
        x = np.concatenate([RNG.uniform(low, high, 500), RNG.uniform(max(low, 0.01), min(high, 3), 200)]).astype(dtype)
        truth = getattr(special, theirs)(x.astype(np.float64))
        found = run(name, x)
        allowed = room * np.finfo(np.float64).eps * np.maximum(np.abs(truth), 0.0 if name[0] not in "ljy" else 1.0)
        if dtype is np.float32:
            allowed = allowed + np.spacing(np.abs(truth.astype(dtype))) * 0.51
        assert (np.abs(found - truth) <= allowed).all()


def test_special_functions_at_the_edges() -> None:
    edges = {
        "erfc": ([0.0, np.inf, -np.inf, np.nan], [1.0, 0.0, 2.0, np.nan]),
        "normcdf": ([0.0, np.inf, -np.inf, np.nan], [0.5, 1.0, 0.0, np.nan]),
        "erfinv": ([0.0, 1.0, -1.0, 1.5, np.nan], [0.0, np.inf, -np.inf, np.nan, np.nan]),
        "tgamma": ([0.0, -0.0, 1.0, 5.0, np.inf, -1.0, np.nan, 200.0], [np.inf, -np.inf, 1.0, 24.0, np.inf, np.nan, np.nan, np.inf]),
        "lgamma": ([0.0, 1.0, 2.0, np.inf, -1.0, np.nan], [np.inf, 0.0, 0.0, np.inf, np.inf, np.nan]),
        "j0": ([0.0, np.inf, np.nan], [1.0, 0.0, np.nan]),
        "j1": ([0.0, np.inf, np.nan], [0.0, 0.0, np.nan]),
        "y0": ([0.0, -1.0, np.inf, np.nan], [-np.inf, np.nan, 0.0, np.nan]),
        "y1": ([0.0, -1.0, np.inf, np.nan], [-np.inf, np.nan, 0.0, np.nan]),
        "cyl_bessel_i0": ([0.0, np.inf, -np.inf, np.nan], [1.0, np.inf, np.inf, np.nan]),
        "cyl_bessel_i1": ([0.0, np.inf, -np.inf, np.nan], [0.0, np.inf, -np.inf, np.nan]),
    }
    for name, (x, truth) in edges.items():
        np.testing.assert_allclose(run(name, np.array(x)), np.array(truth), rtol=70 * 2.0**-52, atol=0, err_msg=name)
