"""What classes and annotations of the user say to the frontend: operators of aggregates, globals declared to be constants."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.compat import triton
from tiledsl.errors import CompilationError

FACTOR: tl.constexpr = 4
COUNT: int = 4


@triton.aggregate
class Complex:
    re: tl.tensor
    im: tl.tensor

    @triton.jit
    def __mul__(self, other):
        return Complex(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    @triton.jit
    def __add__(self, other):
        return Complex(self.re + other, self.im)

    @triton.jit
    def __neg__(self):
        return Complex(-self.re, -self.im)

    @triton.jit
    def __lt__(self, other):
        return self.re * self.re + self.im * self.im < other.re * other.re + other.im * other.im

    @triton.jit
    def __eq__(self, other):
        return (self.re == other.re) & (self.im == other.im)


@triton.jit
def compute(out, x, N: tl.constexpr):
    i = tl.arange(0, N)
    a = Complex(tl.load(x + i), tl.load(x + N + i))
    b = -(a * a) + 1
    b *= a
    tl.store(out + i, b.re)
    tl.store(out + N + i, b.im)
    tl.store(out + 2 * N + i, (a < b).to(tl.float32))
    tl.store(out + 3 * N + i, (a == a).to(tl.float32))


def test_operators_of_an_aggregate_are_its_jit_methods():
    x = np.arange(-8, 8, dtype=np.float32)
    out = np.full(32, -9, np.float32)
    compute[(1,)](out, x, 8, backend="interpreter")
    a = x[:8] + 1j * x[8:]
    b = (-(a * a) + 1) * a
    assert out.tolist() == [*b.real, *b.imag, *(abs(a) < abs(b)), *[1] * 8]


@tiledsl.jit
def times(out, x):
    tl.store(out, tl.load(x) * FACTOR)


@tiledsl.jit
def count(out):
    tl.store(out, COUNT)


def test_a_global_annotated_as_constexpr_is_one(monkeypatch):
    x, out = np.array([3], np.int32), np.zeros(1, np.int32)
    times[(1,)](out, x, backend="interpreter")
    assert out[0] == 12
    monkeypatch.setitem(globals(), "FACTOR", 5)
    with pytest.raises(RuntimeError, match="FACTOR has changed"):  # never the stale value
        times[(1,)](out, x, backend="interpreter")


def test_strict_mode_refuses_it_as_triton_does_now(monkeypatch):
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="Cannot access global variable FACTOR"):
        times[(1,)](np.zeros(1, np.int32), np.zeros(1, np.int32), backend="interpreter")


def test_a_global_with_another_annotation_is_refused():
    with pytest.raises(CompilationError, match="Cannot access global variable COUNT"):
        count[(1,)](np.zeros(1, np.int32), backend="interpreter")


@triton.jit
def old_name(out, x):
    tl.store(out, triton.language.libdevice.erf(tl.load(x)))


def test_libdevice_is_where_triton_2_has_it():
    x, out = np.array([0.5], np.float32), np.zeros(1, np.float32)
    old_name[(1,)](out, x, backend="interpreter")
    assert abs(out[0] - 0.5204999) < 1e-6
