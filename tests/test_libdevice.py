"""`libdevice` against NumPy and SciPy in double precision, and the same bits on every backend."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl import ops
from tiledsl.ir.core import Block, Builder, Kernel, Value
from tiledsl.ir.types import Pointer, Tile
from tiledsl.language import libdevice
from tiledsl.machine import Machine
from tiledsl.numerics.check import distance
from tiledsl.passes.contract import contract
from tiledsl.passes.dead import dead
from tiledsl.testing import phrases
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


# name: mpmath's function, where to look; then the distance allowed in f64: 2 ulp, or where the function has zeros, a share of
# its size nearby
SPECIALS: dict[str, tuple[Callable[..., Any], float, float]] = {
    "erfc": (lambda mp, x: mp.erfc(x), -6, 26),
    "erfcx": (lambda mp, x: mp.erfc(x) * mp.exp(x * x), -5, 60),
    "erfinv": (lambda mp, x: mp.erfinv(x), -1, 1),
    "erfcinv": (lambda mp, x: mp.findroot(lambda y: mp.log(mp.erfc(y)) - mp.log(x), start(x)), 0, 2),
    "normcdf": (lambda mp, x: mp.erfc(-x / mp.sqrt(2)) / 2, -37, 8),
    "normcdfinv": (lambda mp, x: -mp.sqrt(2) * mp.findroot(lambda y: mp.log(mp.erfc(y)) - mp.log(2 * x), start(2 * x)), 0, 1),
    "tgamma": (lambda mp, x: mp.gamma(x), -20, 170),
    "lgamma": (lambda mp, x: mp.log(mp.gamma(x)), 0, 100),
    "cyl_bessel_i0": (lambda mp, x: mp.besseli(0, x), -700, 700),
    "cyl_bessel_i1": (lambda mp, x: mp.besseli(1, x), -700, 700),
    "rcbrt": (lambda mp, x: mp.sign(x) / mp.cbrt(abs(x)), -100, 100),
    "j0": (lambda mp, x: mp.besselj(0, x), -60, 60),
    "j1": (lambda mp, x: mp.besselj(1, x), -60, 60),
    "y0": (lambda mp, x: mp.bessely(0, x), 0.1, 60),
    "y1": (lambda mp, x: mp.bessely(1, x), 0.1, 60),
}
WITH_ZEROS = {"j0", "j1", "y0", "y1"}


def start(x: Any) -> float:
    """Where to begin looking for the number whose erfc is x."""
    return statistics.NormalDist().inv_cdf(1 - float(x) / 2) / math.sqrt(2) if x > 1e-12 else math.sqrt(-math.log(float(x)))


@pytest.mark.parametrize("name", SPECIALS)
def test_special_functions_keep_their_bound(name: str) -> None:
    mp = pytest.importorskip("mpmath").mp
    function, low, high = SPECIALS[name]
    for dtype, bound in ((np.float32, 0.51), (np.float64, 2.0)):
        x = np.concatenate([RNG.uniform(low, high, 24), np.clip(RNG.uniform(-9, 9, 24), low, high), 2.0 ** -RNG.uniform(1, 20, 24)])
        x = x.astype(dtype)
        x = x[(x > low) & (x < high)]
        with mp.workdps(40):
            truth = [function(mp, mp.mpf(float(v))) for v in x]
            finite = np.array([abs(t) < float(np.finfo(dtype).max) for t in truth])
            x, truth = x[finite], [t for t, fits in zip(truth, finite, strict=True) if fits]
            found = run(name, x)
            off = np.array([float(abs(mp.mpf(float(f)) - t)) for f, t in zip(found, truth, strict=True)])
        allowed = bound * np.spacing(np.abs(np.array([float(t) for t in truth]).astype(dtype))).astype(np.float64)
        if name in WITH_ZEROS:
            allowed = allowed + 2.0**-50
        assert (off <= allowed).all(), (x[off > allowed], (off / allowed).max())


def test_integer_functions_with_names_of_their_own() -> None:
    x, y = (RNG.integers(-(2**31), 2**31, 200).astype(np.int32) for _ in range(2))
    wide, other = x.astype(np.int64), y.astype(np.int64)
    low = [(v + 2**23) % 2**24 - 2**23 for v in (wide, other)]
    np.testing.assert_array_equal(run("mul24", x, y), (low[0] * low[1]).astype(np.int32))
    np.testing.assert_array_equal(run("hadd", x, y), (wide + other) >> 1)
    np.testing.assert_array_equal(run("rhadd", x, y), (wide + other + 1) >> 1)
    np.testing.assert_array_equal(run("sad", x, y, x), (np.abs(wide - other) + wide).astype(np.int32))
    unsigned = [v.view(np.uint32) for v in (x, y)]
    low = [v.astype(np.uint64) & 0xFFFFFF for v in unsigned]
    np.testing.assert_array_equal(run("mul24", *unsigned), (low[0] * low[1]).astype(np.uint32))
    np.testing.assert_array_equal(run("rhadd", *unsigned), (unsigned[0].astype(np.uint64) + unsigned[1] + 1) >> 1)
    numbered = np.stack([*x.view(np.uint8).reshape(-1, 4).T, *y.view(np.uint8).reshape(-1, 4).T])
    selector = RNG.integers(0, 2**31, 200).astype(np.int32)
    taken = [np.take_along_axis(numbered, ((selector >> 4 * i) & 7)[None], 0)[0] for i in range(4)]
    np.testing.assert_array_equal(run("byte_perm", x, y, selector), np.stack(taken, 1).copy().view(np.int32)[:, 0])


def test_halves_of_a_number() -> None:
    x = numbers(np.float64, 100)
    x = x[x == x]
    words = x.view(np.int32).reshape(-1, 2)
    np.testing.assert_array_equal(run("double2loint", x, result=np.int32), words[:, 0])
    np.testing.assert_array_equal(run("double2hiint", x, result=np.int32), words[:, 1])
    np.testing.assert_array_equal(run("hiloint2double", words[:, 1].copy(), words[:, 0].copy(), result=np.float64), x)
    assert run("rcp64h", np.array([4.0, 3.0, np.inf, 0.0])).tolist() == [0.25, float.fromhex("0x1.5555500000000p-2"), 0.0, np.inf]


@pytest.mark.parametrize("mode", ["rd", "ru", "rz"])
@pytest.mark.parametrize(("source", "dtype"), [("int", np.int32), ("uint", np.uint32), ("ll", np.int64), ("ull", np.uint64)])
def test_integers_become_floats_in_every_rounding(source: str, dtype: type, mode: str) -> None:
    info = np.iinfo(dtype)
    x = RNG.integers(info.min, info.max, 200, dtype) >> RNG.integers(0, 30, 200).astype(dtype)
    x[:5] = 0, 1, info.max, info.min, info.max - 1
    targets = (("float", np.float32), ("double", np.float64)) if info.bits == 64 else (("float", np.float32),)
    for name, to in targets:
        found = run(f"{source}2{name}_{mode}", x, result=to)
        assert found.tolist() == [toward(Fraction(int(v)), mode, to) for v in x]


@pytest.mark.parametrize("mode", ["rd", "ru", "rz"])
def test_doubles_become_floats_in_every_rounding(mode: str) -> None:
    x = RNG.standard_normal(300) * np.exp2(RNG.integers(-160, 120, 300))
    found = run(f"double2float_{mode}", x, result=np.float32)
    assert found.tolist() == [toward(Fraction(float(v)), mode, np.float32) for v in x]
    largest = float(np.finfo(np.float32).max)
    ends = {"rd": [largest, -math.inf], "ru": [math.inf, -largest], "rz": [largest, -largest]}[mode]
    assert run(f"double2float_{mode}", np.array([1e39, -1e39, math.inf, -math.inf]), result=np.float32).tolist() == [
        *ends, math.inf, -math.inf]  # fmt: skip


@pytest.mark.parametrize(("name", "inverse"), [("hypot", False), ("rhypot", True), ("norm3d", False), ("rnorm3d", True)])
def test_lengths_of_vectors(name: str, inverse: bool) -> None:
    count = 3 if "3" in name else 2
    for dtype, bound in ((np.float32, 0.51), (np.float64, 2.0)):
        limit = np.finfo(dtype).maxexp - 2
        parts = [(RNG.standard_normal(300) * np.exp2(RNG.integers(-limit // 2, limit // 2, 300))).astype(dtype) for _ in range(count)]
        total = sum(np.array([Fraction(float(v)) ** 2 for v in p]) for p in parts)
        found = run(name, *parts)
        for f, square in zip(found, total, strict=True):  # compare squares, exactly: twice the relative distance
            exact = 1 / square if inverse else square
            assert abs(Fraction(float(f)) ** 2 / exact - 1) <= 2.01 * bound * Fraction(float(np.spacing(abs(f)))) / Fraction(float(f))
    edges = [np.array([np.inf, 0.0, np.nan]), np.array([np.nan, 0.0, 1.0]), np.array([1.0, 0.0, 1.0])][:count]
    np.testing.assert_array_equal(run(name, *edges), [0.0, np.inf, np.nan] if inverse else [np.inf, 0.0, np.nan])


def test_special_functions_at_the_edges() -> None:
    edges = {
        "erfc": ([0.0, np.inf, -np.inf, np.nan], [1.0, 0.0, 2.0, np.nan]),
        "normcdf": ([0.0, np.inf, -np.inf, np.nan], [0.5, 1.0, 0.0, np.nan]),
        "erfcx": ([0.0, np.inf, -np.inf, np.nan], [1.0, 0.0, np.inf, np.nan]),
        "erfcinv": ([1.0, 0.0, 2.0, -1.0, 2.5, np.nan], [0.0, np.inf, -np.inf, np.nan, np.nan, np.nan]),
        "normcdfinv": ([0.5, 0.0, 1.0, -1.0, 1.5, np.nan], [0.0, -np.inf, np.inf, np.nan, np.nan, np.nan]),
        "rcbrt": ([8.0, 0.0, -0.0, np.inf, np.nan], [0.5, np.inf, -np.inf, 0.0, np.nan]),
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
        np.testing.assert_allclose(run(name, np.array(x)), np.array(truth), rtol=2.0**-52, atol=0, err_msg=name)


SIGNATURES = [(name, types) for name in phrases.FUNCTIONS for types in phrases.operand_types(name)]


def test_no_function_is_changed_by_fusing_products_and_sums() -> None:
    """Its operands are products, and a sum takes its result: still the last bits do not depend on `enable_fp_fusion`."""
    changed = []
    for name, types in SIGNATURES:
        build = Builder(Block([Value(Tile(elem, (8,))) for elem in types]))
        operands = [build.emit(ops.mul, x, x) for x in build.block.args]
        result = phrases.FUNCTIONS[name].function(phrases.Plain(build), *operands)
        build.emit(ops.store, *_sum_and_place(build, result))
        kernel = dead(Kernel("fused", build.block), Machine("any"))
        if repr(contract(kernel, Machine("any"))) != repr(kernel):
            changed.append((name, types))
    assert not changed


def _sum_and_place(build: Builder, x: Value) -> tuple[Value, Value]:
    """x plus a parameter, and pointers to put it."""
    more, place = Value(x.type), Value(x.type.like(Pointer(x.type.elem)))
    build.block.args += [more, place]
    return place, build.emit(ops.add, x, more)
