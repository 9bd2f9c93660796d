"""Functions with an error bound: their definitions keep it, at every edge, in every format."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest

from tiledsl import config, ops
from tiledsl.interpreter import values
from tiledsl.ir.core import Block, Builder, Kernel, Value
from tiledsl.ir.parser import parse
from tiledsl.ir.spec import SPECS, OpSpec
from tiledsl.ir.types import DType, Pointer, Tile, bf16, f16, f32, f64
from tiledsl.machine import Machine
from tiledsl.numerics import FUNCTIONS, coefficients, fit, special_coefficients
from tiledsl.numerics.check import define, distance
from tiledsl.passes.contract import contract
from tiledsl.passes.dead import dead
from tiledsl.passes.numerics import numerics

UNARY = [spec for spec in FUNCTIONS if len(spec.operands) == 1]
BOUND_F64 = 2.0
EDGES = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1.5, -1.5, 1e6, 1e30, -1e30]
THRESHOLDS = [88.72284, 89.0, -87.33655, -103.97208, -104.0, 128.0, -126.0, -149.0, -150.0, 0.70710677, 1.4142135, 1.09375, 4.0, 10.0, 18.0]
THRESHOLDS += [709.782712893384, -708.4, -745.13, 1024.0, -1022.0, -1074.0, -1075.0]
THRESHOLDS += [2.0**48, 2.0**70, 2.0**92, 2.0**114, math.pi, math.pi / 2]
THRESHOLDS += [float.fromhex("0x1.47d0fep34"), float.fromhex("0x1.6ac5b262ca1ffp849")]  # near multiples of pi / 2


def near(values: list[float], dtype: type[np.floating], steps: int = 20) -> np.ndarray:
    """Values and their neighbours, with both signs; the ends of the normal and the denormal numbers too."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        centres = np.array([*values, float(info.tiny), float(info.max), float(info.smallest_subnormal)], dtype)
    found = [centres]
    for toward in (-np.inf, np.inf):
        step = centres
        for _ in range(steps):
            with np.errstate(over="ignore"):
                step = np.nextafter(step, dtype(toward))
            found.append(step)
    both = np.concatenate(found)
    return np.concatenate([both, -both])


def numbers(dtype: type[np.floating], count: int, scale: float = 1.0) -> np.ndarray:
    """Numbers of every magnitude, and as many of moderate ones."""
    random = np.random.default_rng(7)
    bits = np.dtype(dtype).itemsize * 8
    anything = random.integers(0, 2**bits, count, np.uint64).astype(f"u{bits // 8}").view(dtype)
    return np.concatenate([anything, (random.standard_normal(count) * scale).astype(dtype), random.uniform(0.5, 2, count).astype(dtype)])


def exceeding(spec: OpSpec, truth: np.ndarray, bound: float, *inputs: np.ndarray) -> list[tuple[float, ...]]:
    """Where the definition is further from the truth than the bound: inputs, result, truth, distance."""
    result = define(spec, *inputs)
    off = distance(result, truth)
    return [tuple(float(a[i]) for a in (*inputs, result, truth, off)) for i in np.flatnonzero(off > bound)[:5]]


def test_every_op_with_a_bound_is_defined() -> None:
    assert {spec for spec in SPECS.values() if spec.ulp} == set(FUNCTIONS)


@pytest.mark.parametrize("spec", UNARY, ids=str)
def test_f32_definitions_keep_their_bound(spec: OpSpec) -> None:
    strided = np.arange(0, 2**32, 100003, np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([strided, near(EDGES + THRESHOLDS, np.float32), numbers(np.float32, 5000, 10.0)])
    with np.errstate(all="ignore"):
        assert not exceeding(spec, spec.evaluate(x.astype(np.float64)), spec.ulp, x)


LONG = {
    ops.exp: np.exp,
    ops.exp2: np.exp2,
    ops.log: np.log,
    ops.log2: np.log2,
    ops.sin: np.sin,
    ops.cos: np.cos,
    ops.tanh: np.tanh,
    ops.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    ops.rsqrt: lambda x: 1 / np.sqrt(x),
    ops.expm1: np.expm1,
    ops.log1p: np.log1p,
    ops.log10: np.log10,
    ops.tan: np.tan,
    ops.atan: np.arctan,
    ops.cbrt: np.cbrt,
    ops.pow_: np.power,
    ops.asin: np.arcsin,
    ops.acos: np.arccos,
    ops.sinh: np.sinh,
    ops.cosh: np.cosh,
    ops.asinh: np.arcsinh,
    ops.acosh: np.arccosh,
    ops.atanh: np.arctanh,
    ops.exp10: lambda x: np.power(np.longdouble(10), x),
}
long_double = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double has no more digits than double here")


@long_double
@pytest.mark.parametrize("spec", [spec for spec in UNARY if spec in LONG], ids=str)
def test_f64_definitions_keep_their_bound(spec: OpSpec) -> None:
    x = np.concatenate([near(EDGES + THRESHOLDS, np.float64, 3), numbers(np.float64, 500, 50.0)])
    with np.errstate(all="ignore"):
        assert not exceeding(spec, LONG[spec](x.astype(np.longdouble)), BOUND_F64, x)


def test_erf_of_f64_agrees_with_its_series() -> None:
    x = np.concatenate([np.linspace(-6.5, 6.5, 201), [0.97, np.nextafter(0.97, 1), 1e-10]])
    result = define(ops.erf, x)
    for value, got in zip(x, result, strict=True):
        truth = fit.erf(Decimal(float(value)))
        assert abs(Decimal(float(got)) - truth) <= Decimal(BOUND_F64) * Decimal(float(np.spacing(abs(float(truth)))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow_has_the_special_cases_of_c(dtype: type[np.floating]) -> None:
    edges = np.array([*EDGES, 2.0**24, 2.0**24 + 1, 0.3, 7.0, -7.0], dtype)
    x, y = (a.ravel() for a in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.float64), y.astype(np.float64))
        assert not exceeding(ops.pow_, truth.astype(np.longdouble), 2.0, x, y)


@long_double
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pow_keeps_its_bound(dtype: type[np.floating]) -> None:
    random = np.random.default_rng(3)
    x = np.exp(random.standard_normal(4000) * random.choice([1e-6, 0.1, 1.0, 20.0], 4000)).astype(dtype)
    x = np.where(x == 1, dtype(1.5), x)
    span = np.log2(float(np.finfo(dtype).max)) * 1.1
    y = (random.uniform(-span, span, 4000) / np.log2(x)).astype(dtype)
    with np.errstate(all="ignore"):
        truth = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
    assert not exceeding(ops.pow_, truth, 2.0, x, y)


@long_double
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("spec", "truth"), [(ops.atan2, np.arctan2), (ops.hypot, np.hypot)], ids=str)
def test_functions_of_two_numbers_keep_their_bound(spec: OpSpec, truth: Callable[..., np.ndarray], dtype: type[np.floating]) -> None:
    edges = np.array([*EDGES, 2.0**-120, 1e37, np.finfo(dtype).tiny], dtype)
    random = np.random.default_rng(4)
    pairs = [np.meshgrid(edges, edges), random.standard_normal((2, 4000)) * np.exp(random.standard_normal((2, 4000)) * 20)]
    x, y = (np.concatenate([np.ravel(p[i]) for p in pairs]).astype(dtype) for i in (0, 1))
    with np.errstate(all="ignore"):
        assert not exceeding(spec, truth(x.astype(np.longdouble), y.astype(np.longdouble)), 1.0 if dtype is np.float32 else BOUND_F64, x, y)


@pytest.mark.parametrize("elem", [f16, bf16], ids=str)
@pytest.mark.parametrize("spec", UNARY, ids=str)
def test_half_precision_goes_through_f32(spec: OpSpec, elem: DType) -> None:
    some = elem.decode(np.arange(0, 2**16, 11, dtype=np.uint16).view(elem.storage))
    result = define(spec, some, elem=elem)
    through = elem.round(define(spec, some.astype(np.float32)))
    assert np.array_equal(result, through, equal_nan=True)


@pytest.mark.parametrize("shape", [(), (4, 2)])
def test_definitions_suit_any_shape(shape: tuple[int, ...]) -> None:
    x = np.full(shape, 0.75, np.float32)
    for spec in UNARY:
        assert define(spec, x).shape == shape


def test_combining_blocks_are_defined_too() -> None:
    text = """
kernel @total() {
  %i: i32[40] = arange {start=0, stop=40}
  %x: f32[40] = cast %i {to=f32}
  %r: f32 = reduce %x {axis=0} {
  ^(%a: f32, %b: f32):
    %d: f32 = sub %b, %a
    %e: f32 = exp %d
    %l: f32 = log1p %e
    %s: f32 = add %a, %l
    yield %s
  }
}
"""
    kernel = numerics(parse(text), Machine("any"))
    assert all(op.spec.ulp is None for op in kernel.body.walk())
    truth = np.log(np.sum(np.exp(np.arange(40.0))))
    assert values(kernel)[kernel.body.ops[-1].result] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("spec", UNARY, ids=str)
def test_only_exact_ops_remain(spec: OpSpec) -> None:
    build = Builder(Block([Value(Tile(f32, (8,)), "x")]))
    build.emit(spec, *build.block.args)
    kernel = numerics(Kernel("only", build.block), Machine("any"))
    assert all(op.spec.ulp is None for op in kernel.body.walk())


@pytest.mark.parametrize("elem", [f32, f64], ids=str)
@pytest.mark.parametrize("spec", FUNCTIONS, ids=str)
def test_fusing_products_and_sums_leaves_definitions_alone(spec: OpSpec, elem: DType) -> None:
    build = Builder(Block([Value(Tile(elem, (8,))) for _ in spec.operands]))
    build.emit(spec, *build.block.args)
    kernel = numerics(Kernel("alone", build.block), Machine("any"))
    assert repr(contract(kernel, Machine("any"))) == repr(kernel)


def test_coefficients_are_what_the_fit_gives() -> None:
    text = fit.table()
    with open(coefficients.__file__, encoding="utf-8") as file:
        assert file.read() == text


@pytest.mark.parametrize("name", ["J0", "P0", "ERFCX", "GAMMA"])
def test_coefficients_of_special_functions_are_what_the_fit_gives(name: str) -> None:
    """Some of them; `python -m tiledsl.numerics.special_fit` writes all, and must leave the file as it is."""
    pytest.importorskip("mpmath")
    from tiledsl.numerics import special_fit  # needs mpmath

    assert special_fit.coefficients(special_fit.fits()[name]) == getattr(special_coefficients, name)
    assert special_fit.constants().items() <= vars(special_coefficients).items()


@pytest.mark.skipif(not config.fuzz(), reason="takes seconds; TILEDSL_FUZZ asks for it")
def test_all_coefficients_of_special_functions_are_what_the_fit_gives() -> None:
    pytest.importorskip("mpmath")
    from tiledsl.numerics import special_fit  # needs mpmath

    with open(special_coefficients.__file__, encoding="utf-8") as file:
        assert file.read() == special_fit.text()


def test_atan_stays_within_one_ulp_where_it_is_worst() -> None:
    """Above 1, close to it: 1.08 ulp when the product of its polynomial was rounded before it was added."""
    x = np.arange(0x3F7F0000, 0x3F830000, dtype=np.uint32).view(np.float32)
    assert not exceeding(ops.atan, np.arctan(x.astype(np.float64)), 0.97, x)


@pytest.mark.parametrize(("spec", "fused", "all_of_them"), [(ops.erf, 13, 41), (ops.sigmoid, 14, 37), (ops.exp, 9, 25)], ids=str)
def test_what_activations_cost(spec: OpSpec, fused: int, all_of_them: int) -> None:
    """Steps of the functions that kernels wait for, in f32: a processor fuses once a cycle, and does two things in all."""
    build = Builder(Block([Value(Tile(f32, (4,))), Value(Tile(Pointer(f32), (4,)))]))
    x, place = build.block.args
    build.emit(ops.store, place, build.emit(spec, x))
    kernel = dead(numerics(Kernel("one", build.block), Machine("any")), Machine("any"))
    steps = [op.spec for op in kernel.body.ops if op.spec not in (ops.constant, ops.store)]
    assert steps.count(ops.fma) <= fused
    assert len(steps) <= all_of_them
