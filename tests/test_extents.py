"""Tiles of any extents: every family of the language, on every backend, with the bits of the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError

BACKENDS = ("cpu", "npu")
EXTENTS = (3, 7, 12, 33, 48, 100)


@tiledsl.jit
def _plus(a, b):
    return a * 0.5 + b


@tiledsl.jit
def folds(out, scans, picks, x, N: tl.constexpr):
    at = tl.arange(0, N)
    row = tl.load(x + at)
    tl.store(out, tl.sum(row))
    tl.store(out + 1, tl.max(row))
    tl.store(out + 2, tl.reduce(row, 0, _plus))
    tl.store(out + 3, tl.argmin(row, 0).to(tl.float32))
    tl.store(out + 4, tl.sum(tl.exp(row), 0))
    tl.store(scans + at, tl.cumsum(row))
    tl.store(scans + N + at, tl.cumsum(row, reverse=True))
    tl.store(scans + 2 * N + at, tl.sort(row))
    tl.store(scans + 3 * N + at, tl.flip(row))
    tl.store(picks + tl.arange(0, 3), tl.topk(row, 3))


@tiledsl.jit
def arranged(out, x, y, M: tl.constexpr, N: tl.constexpr):
    rows, columns = tl.arange(0, M), tl.arange(0, N)
    at = rows[:, None] * N + columns[None, :]
    a = tl.load(x + at)
    b = tl.load(y + columns)[None, :] + tl.zeros((M, N), tl.float32)
    size: tl.constexpr = M * N
    flat = tl.arange(0, size)
    tl.store(out + flat, tl.ravel(a.T + tl.trans(b)))
    tl.store(out + size + flat, tl.reshape(tl.softmax(a, 1), (size,)))
    tl.store(out + 2 * size + columns[:, None] * M + rows[None, :], tl.sort(a.T) - tl.max(a, 1)[None, :])
    joined = tl.interleave(a, b)
    low, high = tl.split(tl.reshape(joined, (M, N, 2)))
    tl.store(out + 3 * size + at, low - high * tl.sum(a, axis=0)[None, :])
    tl.store(out + 4 * size + tl.arange(0, 2 * size), tl.ravel(tl.cat(a, b, dim=1)))


@tiledsl.jit
def product(out, x, y, z, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    acc = tl.load(z + m[:, None] * N + n[None, :])
    for _ in range(2):
        a = tl.load(x + m[:, None] * K + k[None, :])
        acc = tl.dot(a, tl.load(y + k[:, None] * N + n[None, :]), acc)
    tl.store(out + m[:, None] * N + n[None, :], acc)


@tiledsl.jit
def counted(out, x, mask, N: tl.constexpr, BINS: tl.constexpr):
    at = tl.arange(0, N)
    values = tl.load(x + at)
    tl.store(out + tl.arange(0, BINS), tl.histogram(values, BINS, mask=tl.load(mask + at) != 0))
    tl.store(out + BINS + at, tl.gather(values, (values * 7 + at) % N, 0))
    tl.atomic_add(out + 2 * BINS + N + at // 3, values)


@tiledsl.jit
def windowed(out, x, M: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    source = tl.make_block_ptr(x, (M, N), (N, 1), (0, 0), (ROWS, COLUMNS), (1, 0))
    target = tl.make_tensor_descriptor(out, (M, N), (N, 1), (ROWS, COLUMNS))
    for i in range(tl.cdiv(M, ROWS)):
        target.store([i * ROWS, 0], tl.load(source, boundary_check=(0, 1)) * 2)
        source = source.advance((ROWS, 0))


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def alike(kernel: Any, outputs: list[np.ndarray], *inputs: Any, **constants: int) -> list[np.ndarray]:
    """Run on every backend; the arrays as the interpreter leaves them."""
    found = {}
    for backend in ("interpreter", *BACKENDS):
        arrays = [np.zeros_like(o) for o in outputs]
        kernel[(1,)](*arrays, *inputs, **constants, backend=backend)
        found[backend] = arrays
    for backend in BACKENDS:
        for mine, truth in zip(found[backend], found["interpreter"], strict=True):
            np.testing.assert_array_equal(mine.view(np.uint32), truth.view(np.uint32), backend)
    return found["interpreter"]


@pytest.mark.parametrize("n", EXTENTS)
def test_folds(n: int) -> None:
    x = floats(n, seed=n)
    out, scans, picks = alike(folds, [floats(5), floats(4, n), floats(3)], x, N=n)
    np.testing.assert_allclose(out[[0, 1, 3, 4]], [x.sum(), x.max(), x.argmin(), np.exp(x).sum()], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scans[0], np.cumsum(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(scans[2:], [np.sort(x), x[::-1]])
    np.testing.assert_array_equal(picks, np.sort(x)[::-1][:3])


@pytest.mark.parametrize(("m", "n"), [(3, 5), (6, 48), (33, 7), (1, 100), (12, 12)])
def test_arrangements(m: int, n: int) -> None:
    x, y = floats(m, n), floats(n, seed=1)
    (out,) = alike(arranged, [floats(6, m * n)], x, y, M=m, N=n)
    whole = np.broadcast_to(y, (m, n))
    np.testing.assert_array_equal(out[0], (x.T + whole.T).ravel())
    np.testing.assert_array_equal(out[4:].ravel(), np.concatenate([x, whole], 1).ravel())


@pytest.mark.parametrize(("m", "n", "k"), [(3, 5, 7), (48, 24, 40), (17, 33, 1), (1, 100, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_products(m: int, n: int, k: int, dtype: type) -> None:
    x, y = ((floats(*shape) * 3).astype(dtype) for shape in ((m, k), (k, n)))
    z = floats(m, n).astype(np.int32 if dtype is np.int8 else np.float32)
    (out,) = alike(product, [z], x, y, z, M=m, N=n, K=k)
    np.testing.assert_allclose(out, z + 2 * (x.astype(np.float64) @ y.astype(np.float64)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("n", "bins"), [(5, 3), (48, 7), (100, 33)])
def test_counts(n: int, bins: int) -> None:
    x = np.random.default_rng(n).integers(0, bins + 2, n).astype(np.int32)
    mask = (x % 3 > 0).astype(np.int8)
    (out,) = alike(counted, [np.zeros(2 * bins + 2 * n, np.int32)], x, mask, N=n, BINS=bins)
    np.testing.assert_array_equal(out[:bins], np.bincount(x[mask != 0], minlength=bins)[:bins])


def test_windows() -> None:
    x = floats(11, 10)
    (out,) = alike(windowed, [x], x, M=11, N=10, ROWS=3, COLUMNS=12)
    np.testing.assert_array_equal(out, x * 2)


@tiledsl.jit
def with_extent(out, KIND: tl.constexpr):
    x = tl.zeros((4, 2), tl.float32)
    if KIND == 0:
        x = tl.broadcast_to(x[:, None, :], (4, 3, 2))
    elif KIND == 1:
        x = tl.reshape(x, (8, 1)).broadcast_to(8, 6)
    elif KIND == 2:
        x = tl.full((5,), 1.0, tl.float32)
    elif KIND == 3:
        x = tl.topk(tl.ravel(x), 3)
    else:
        x = tl.arange(2, 7)
    tl.store(out, tl.sum(x.to(tl.float32)))


@pytest.mark.parametrize("kind", range(5))
def test_what_triton_has_no_tile_for_is_refused_in_strict_mode(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="power of 2"):
        with_extent[(1,)](np.zeros(1, np.float32), KIND=kind)


@tiledsl.jit
def not_moved(x):
    source = tl.make_block_ptr(x, (4,), (1,), (0,), (4,), (0,))
    source.advance((1,))


def test_a_block_pointer_moved_for_nothing_is_refused() -> None:
    with pytest.raises(CompilationError, match=r"result of source.advance is not being used. Note that tl.advance"):
        not_moved[(1,)](np.zeros(4, np.float32))


@tiledsl.jit
def high_halves(out, x, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(out + at, tl.umulhi(tl.load(x + at), 0x40000000))


@pytest.mark.parametrize("size", [1, 5, 9, 17, 33])
def test_a_store_ends_with_its_tile(size: int) -> None:
    """The last vector has one lane, whose value is the lower half of something wider."""
    x = np.arange(4, 4 * size + 4, 4, np.int32)
    for backend in ("interpreter", *BACKENDS):
        out = np.full(size + 16, -1, np.int32)
        high_halves[(1,)](out, x, size, backend=backend)
        assert out.tolist() == [*range(1, size + 1), *[-1] * 16], backend
