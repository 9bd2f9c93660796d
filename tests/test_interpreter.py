"""The reference computes what the contract says, and names the buffer, the lane and the line of a wrong access."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiledsl import ops
from tiledsl.errors import MemoryFault
from tiledsl.interpreter import interpret, values
from tiledsl.ir.core import Block, Builder, Kernel, Value
from tiledsl.ir.parser import parse
from tiledsl.ir.spec import OpSpec
from tiledsl.ir.types import DTYPES, DType, Tile, bf16, f16, f32, f64, i8, i16, i32, i64, u8, u32, u64
from tiledsl.memory import Buffer
from tiledsl.testing.values import numbers

INTEGERS = [i8, u8, i16, i32, u32, i64, u64]
NAN, INF = math.nan, math.inf


def apply(spec: OpSpec, dtype: DType, *operands: Any, **attrs: Any) -> Any:
    """One op on numbers of a type."""
    build = Builder(Block())
    given = [build.emit(ops.constant, value=float(x) if dtype.is_float else int(x), type=Tile(dtype)) for x in operands]
    result: Value = build.emit(spec, *given, **attrs)
    return values(Kernel("one", build.block))[result].item()


def same(x: float, y: float) -> bool:
    return (math.isnan(x) and math.isnan(y)) or (x == y and math.copysign(1, x) == math.copysign(1, y))


def wrapped(value: int, dtype: DType) -> int:
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.is_signed and value >> (dtype.bits - 1) else value


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@given(data=st.data())
def test_integers_are_those_of_python_wrapped(dtype: DType, data: st.DataObject) -> None:
    x, y = data.draw(numbers(dtype)), data.draw(numbers(dtype))
    assert apply(ops.add, dtype, x, y) == wrapped(x + y, dtype)
    assert apply(ops.sub, dtype, x, y) == wrapped(x - y, dtype)
    assert apply(ops.mul, dtype, x, y) == wrapped(x * y, dtype)
    assert apply(ops.neg, dtype, x) == wrapped(-x, dtype)
    quotient = -1 if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    assert apply(ops.idiv, dtype, x, y) == wrapped(quotient, dtype)
    assert apply(ops.rem, dtype, x, y) == (x if y == 0 else wrapped(x - quotient * y, dtype))
    inside = 0 <= y < dtype.bits
    assert apply(ops.shl, dtype, x, y) == (wrapped(x << y, dtype) if inside else 0)
    assert apply(ops.shr, dtype, x, y) == (x >> y if inside else -1 if x < 0 else 0)
    if dtype.bits >= 32:
        unsigned = (x % (1 << dtype.bits)) * (y % (1 << dtype.bits)) >> dtype.bits
        assert apply(ops.umulhi, dtype, x, y) == wrapped(unsigned, dtype)


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@given(data=st.data())
def test_narrow_floats_round_the_exact_result_once(dtype: DType, data: st.DataObject) -> None:
    """Sums and products of two are exact in float64, or close enough that rounding twice is rounding once."""
    x, y = data.draw(numbers(dtype)), data.draw(numbers(dtype))
    with np.errstate(all="ignore"):
        for spec, wide in ((ops.add, np.add), (ops.sub, np.subtract), (ops.mul, np.multiply), (ops.div, np.divide)):
            expected = float(dtype.round(np.asarray(wide(np.float64(x), np.float64(y)))))
            assert same(apply(spec, dtype, x, y), expected), (spec, x, y)


@pytest.mark.parametrize(
    ("spec", "x", "y", "expected"),
    [
        (ops.maximum, NAN, 1.0, 1.0),
        (ops.maximum, -0.0, 0.0, 0.0),
        (ops.minimum, 0.0, -0.0, -0.0),
        (ops.minimum, 1.0, NAN, 1.0),
        (ops.maximum_nan, NAN, 1.0, NAN),
        (ops.minimum_nan, 1.0, NAN, NAN),
        (ops.rem, -5.5, 2.0, -1.5),
        (ops.rem, 1.0, 0.0, NAN),
        (ops.div, -1.0, 0.0, -INF),
        (ops.add, INF, -INF, NAN),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [f16, bf16, f32, f64], ids=str)
def test_edges_of_floats(dtype: DType, spec: OpSpec, x: float, y: float, expected: float) -> None:
    assert same(apply(spec, dtype, x, y), expected)


def test_fma_rounds_once() -> None:
    x = 1 + 2.0**-12
    assert apply(ops.fma, f32, x, x, -(1 + 2.0**-11)) == 2.0**-24
    x = 1 + 2.0**-27
    assert apply(ops.fma, f64, x, x, -(1 + 2.0**-26)) == 2.0**-54


@pytest.mark.parametrize("to", INTEGERS, ids=str)
def test_floats_become_integers_by_saturating(to: DType) -> None:
    info = np.iinfo(to.numpy)
    assert apply(ops.cast, f64, INF, to=to) == apply(ops.cast, f64, 1e300, to=to) == info.max
    assert apply(ops.cast, f64, -INF, to=to) == info.min
    assert apply(ops.cast, f32, NAN, to=to) == 0
    assert apply(ops.cast, f32, 2.9, to=to) == 2
    assert apply(ops.cast, f32, -0.9, to=to) == 0


def test_casts_to_bf16_round_once_from_double() -> None:
    halfway = 1 + 2.0**-8
    assert apply(ops.cast, f64, halfway, to=bf16) == 1.0
    assert apply(ops.cast, f64, halfway + 2.0**-40, to=bf16) == 1 + 2.0**-7
    assert apply(ops.cast, f64, 3.4e38, to=bf16) == INF


def reduction(xs: list[float]) -> float:
    """The order of the contract, spelled out once more: 32 partials, then halving."""
    total = [np.float32(x) for x in xs[:32]]
    for i in range(32, len(xs)):
        total[i % 32] += np.float32(xs[i])
    while len(total) > 1:
        half = (len(total) + 1) // 2
        total = [total[j] + total[j + half] if j + half < len(total) else total[j] for j in range(half)]
    return float(total[0])


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 31, 32, 33, 63, 64, 100, 129])
def test_a_sum_follows_the_order_of_the_contract(length: int) -> None:
    xs = np.random.default_rng(length).normal(size=length).astype(np.float32)
    out = np.zeros(1, np.float32)
    kernel = parse(
        f"""kernel @f(%p: *f32, %o: *f32) {{
  %q: *f32[{length}] = broadcast %p {{shape=[{length}]}}
  %i: i32[{length}] = arange {{start=0, stop={length}}}
  %r: *f32[{length}] = offset %q, %i
  %x: f32[{length}] = load %r
  %s: f32 = reduce %x {{axis=0}} {{
  ^(%a: f32, %b: f32):
    %c: f32 = add %a, %b
    yield %c
  }}
  store %o, %s
}}"""
    )
    interpret(kernel, (1,), [bound("p", xs, f32), bound("o", out, f32)])
    assert out[0] == reduction(list(xs))


def test_dot_is_one_chain_of_fma() -> None:
    random = np.random.default_rng(0)
    a, b, c = (random.normal(size=shape).astype(np.float32) for shape in ((3, 9), (9, 4), (3, 4)))
    found = ops.dot.evaluate(a, b, c)
    for i in range(3):
        for j in range(4):
            total = np.float64(c[i, j])
            for k in range(9):  # the product is exact in float64, and the sum is rounded to odd by nobody: close enough to check the order
                total = np.float64(np.float32(np.float64(a[i, k]) * np.float64(b[k, j]) + total))
            assert abs(found[i, j] - total) <= np.spacing(np.float32(abs(total)))


# --- memory


def bound(name: str, array: np.ndarray, dtype: DType, writable: bool = True) -> Buffer:
    return Buffer(array.ctypes.data, array.nbytes, dtype, writable, array, name)


LOAD = parse(
    """kernel @f(%p: *i32, %n: i32, %o: *i32) {
  %q: *i32[4] = broadcast %p {shape=[4]}
  %i: i32[4] = arange {start=0, stop=4}
  %b: i32[4] = broadcast %n {shape=[4]}
  %j: i32[4] = mul %i, %b
  %r: *i32[4] = offset %q, %j
  %x: i32[4] = load %r
  %s: *i32[4] = broadcast %o {shape=[4]}
  %t: *i32[4] = offset %s, %i
  store %t, %x
}""",
    "kernel.tile",
)


def run_load(stride: int, size: int = 10, writable: bool = True) -> list[int]:
    x, out = np.arange(size, dtype=np.int32), np.zeros(4, np.int32)
    interpret(LOAD, (1,), [bound("p", x, i32), stride, bound("o", out, i32, writable)])
    return out.tolist()


def test_a_strided_load() -> None:
    assert run_load(3) == [0, 3, 6, 9]
    assert run_load(0) == [0, 0, 0, 0]


def test_a_read_outside_names_buffer_lane_and_line() -> None:
    with pytest.raises(MemoryFault, match=r"read outside `\w+`") as fault:
        run_load(4)
    assert "(lane [3] of [4])" in fault.value.message
    assert fault.value.loc is not None and (fault.value.loc.file, fault.value.loc.line) == ("kernel.tile", 7)
    with pytest.raises(MemoryFault, match="read outside"):
        run_load(-(10**6))


def test_a_write_to_a_read_only_array_is_refused() -> None:
    with pytest.raises(MemoryFault, match="read-only"):
        run_load(1, writable=False)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_what_is_stored_is_what_is_loaded(dtype: DType) -> None:
    """Every code of a narrow type, and random ones of a wide type; of floats, all but the payload of a NaN."""
    bits = min(dtype.bits, 16)
    codes = np.arange(2 if dtype.bits == 1 else 1 << bits, dtype=np.uint64)
    if dtype.bits > 16:
        codes = np.random.default_rng(0).integers(0, 1 << 63, 1000, np.uint64)
    stored = codes.astype(f"u{dtype.itemsize}").view(dtype.storage)
    decoded = dtype.decode(stored)
    again = dtype.encode(decoded)
    if dtype.is_float:
        numbers_only = ~np.isnan(decoded)
        assert np.isnan(dtype.decode(again)[~numbers_only]).all()
        stored, again = stored[numbers_only], again[numbers_only]
    np.testing.assert_array_equal(again, stored)
