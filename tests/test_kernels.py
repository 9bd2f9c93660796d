"""Every kernel over its declared shapes: near its reference, and the same bits wherever it runs."""

from __future__ import annotations

import inspect
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tiledsl.kernels
from tiledsl.errors import CompilationError
from tiledsl.kernels.activation import gelu
from tiledsl.kernels.few_rows import few_rows
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.rms_norm import rms_norm
from tiledsl.kernels.sample import Sample, Shape
from tiledsl.kernels.softmax import softmax
from tiledsl.kernels.vector_add import vector_add

TARGETS = [("interpreter", 1), ("cpu", 1), ("cpu", 2), ("npu", 1)]
SAMPLES = [pytest.param(s, id=s.name) for s in tiledsl.kernels.samples()]
CASES = [
    pytest.param(s, shape, id=f"{s.name}-{'-'.join(map(str, shape.values()))}") for s in tiledsl.kernels.samples() for shape in s.tests
]


def several(results: Any) -> Sequence[np.ndarray]:
    return results if isinstance(results, tuple) else (results,)


def run(sample: Sample, shape: Shape, backend: str, threads: int) -> Sequence[np.ndarray]:
    """The results on a backend, for inputs that are the same each time."""
    arrays, settings = call(sample, shape)
    return several(sample.run(*arrays, **settings, backend=backend, num_threads=threads))


def call(sample: Sample, shape: Shape) -> tuple[tuple[Any, ...], dict[str, Any]]:
    rng = np.random.default_rng(zlib.crc32(f"{sample.name} {sorted(shape.items())}".encode()))
    return sample.inputs(rng, **shape)


@pytest.mark.parametrize("sample, shape", CASES)
def test_kernel_is_near_its_reference(sample: Sample, shape: Shape) -> None:
    arrays, settings = call(sample, shape)
    expected, allowed = several(sample.reference(*arrays, **settings)), several(sample.tolerance(*arrays, **settings))
    found = run(sample, shape, "interpreter", 1)
    for x, y, tolerance in zip(expected, found, allowed, strict=True):
        assert x.shape == y.shape
        off = np.abs(x.astype(np.float64) - y.astype(np.float64))
        assert np.all(off <= tolerance), f"off by {off.max()}, {np.max(off / np.maximum(tolerance, 1e-300)):.3g} of what is allowed"


@pytest.mark.parametrize("sample, shape", CASES)
@pytest.mark.parametrize("backend, threads", TARGETS[1:])
def test_kernel_gives_the_interpreters_bits(sample: Sample, shape: Shape, backend: str, threads: int) -> None:
    expected, found = run(sample, shape, *TARGETS[0]), run(sample, shape, backend, threads)
    for x, y in zip(expected, found, strict=True):
        wide = np.dtype(f"u{x.itemsize}")
        differ = (x.view(wide) != y.view(wide)) & ~((x != x) & (y != y))
        assert not differ.any(), f"{differ.sum()} of {x.size} differ: {x[differ][:4]} on the interpreter, {y[differ][:4]} on {backend}"


@pytest.mark.parametrize("dtype", ["f32", "bf16", "i8"])
def test_one_row_times_a_matrix_beyond_all_caches_is_shared_out_along_k(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[few_rows.__module__], "LARGE", 0)
    (sample,) = sys.modules[matmul.__module__].SAMPLES
    for k in (1100, 64, 7):  # shares of several blocks, of one, and empty ones
        shape = {"m": 1, "n": 70, "k": k, "dtype": dtype, "activation": "relu"}
        arrays, settings = call(sample, shape)
        expected, found = (run(sample, shape, *target)[0].astype(np.float64) for target in TARGETS[:2])
        reference, allowed = sample.reference(*arrays, **settings), sample.tolerance(*arrays, **settings)
        assert np.all(np.abs(found - reference) <= allowed)
        for target in TARGETS:
            assert run(sample, shape, *target)[0].astype(np.float64).tobytes() == expected.tobytes()


@pytest.mark.parametrize("sample", SAMPLES)
def test_kernel_takes_tensors(sample: Sample) -> None:
    torch = pytest.importorskip("torch")
    for shape in sample.tests:
        arrays, settings = call(sample, shape)
        if any(a.dtype.name == "bfloat16" for a in arrays):
            tensors = [torch.from_numpy(a.view(np.int16)).view(torch.bfloat16) for a in arrays]
        else:
            tensors = [torch.from_numpy(a.copy(order="K")) for a in arrays]
        expected, found = run(sample, shape, "cpu", 1), several(sample.run(*tensors, **settings, backend="cpu"))
        for x, y in zip(expected, found, strict=True):
            assert isinstance(y, torch.Tensor)
            assert x.tobytes() == (y.view(torch.int16) if y.dtype is torch.bfloat16 else y).numpy().tobytes()


@pytest.mark.parametrize("sample", SAMPLES)
def test_kernel_neither_reads_nor_writes_beyond_what_it_is_given(sample: Sample) -> None:
    arrays, settings = call(sample, sample.tests[0])
    expected = several(sample.run(*arrays, **settings, backend="cpu"))
    for i in range(1, len(arrays)):
        fewer = [a[:-1] if i == j else a for j, a in enumerate(arrays)]
        try:
            found = several(sample.run(*fewer, **settings, backend="cpu"))
        except ValueError:
            continue
        assert found[0].shape != expected[0].shape  # it asked this array for its extents
    if "out" in inspect.signature(sample.run).parameters:
        for i in range(len(expected)):
            out = tuple(x[i == j :] for j, x in enumerate(expected))
            with pytest.raises(ValueError, match="out has the shape"):
                sample.run(*arrays, **settings, out=out if len(out) > 1 else out[0], backend="cpu")


@pytest.mark.parametrize("sample", SAMPLES)
def test_kernel_takes_arrays_of_any_layout(sample: Sample) -> None:
    arrays, settings = call(sample, sample.tests[0])
    spread = [np.repeat(a, 2, axis=-1)[..., ::2] for a in arrays]
    if "out" not in inspect.signature(sample.run).parameters:  # in place
        with pytest.raises(ValueError, match="row-major"):
            sample.run(*spread, **settings, backend="cpu")
        return
    expected = several(sample.run(*arrays, **settings, backend="cpu"))
    for x, y in zip(expected, several(sample.run(*spread, **settings, backend="cpu")), strict=True):
        assert x.tobytes() == y.tobytes()


def test_a_result_is_not_left_in_a_copy() -> None:
    out = np.zeros((4, 6), np.float32)
    with pytest.raises(ValueError, match="row-major"):
        softmax(np.ones((4, 3), np.float32), out=out[:, ::2])
    assert matmul(np.ones((4, 2), np.float32), np.ones((2, 3), np.float32), out=out[:, ::2]) is not None
    assert out.tolist() == 4 * [[2, 0, 2, 0, 2, 0]]


def test_integers_are_not_taken_for_floats() -> None:
    """What comes of them would be integers again, mostly 0."""
    x = np.arange(6).reshape(2, 3)
    for ready in (softmax, gelu, rms_norm):
        with pytest.raises(TypeError, match="elements of int64, where floats are needed"):
            ready(x, *[x[0]] * (ready is rms_norm))
    with pytest.raises(TypeError, match="x has elements of int64, y of float32"):
        vector_add(x, x.astype(np.float32))


def test_an_activation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(CompilationError, match="the activation is relu, leaky_relu, sigmoid, gelu or None"):
        matmul(np.ones((4, 2), np.float32), np.ones((2, 3), np.float32), activation="silu")


def test_a_product_of_bytes_is_int32_and_other_integers_are_refused() -> None:
    a, b = np.full((3, 40), 255, np.uint8), np.full((40, 2), 200, np.uint8)
    assert matmul(a, b).dtype == np.int32 and (matmul(a, b) == 40 * 255 * 200).all()
    with pytest.raises(CompilationError, match="Unsupported lhs dtype int16"):
        matmul(a.astype(np.int16), b.astype(np.int16))
