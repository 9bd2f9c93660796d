"""x[...]: what NumPy answers, on every backend with the same bits."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import AssertionFailed, CompilationError

BACKENDS = ("interpreter", "cpu", "npu")
COUNT = 0

STATIC = [
    "x[0]", "x[-1]", "x[1, 2]", "x[:, 3]", "x[:, -2:]", "x[1:]", "x[:2, 1:5]", "x[-2:, None]", "x[None, 1, ..., None]",
    "x[..., 0]", "x[...]", "x[None]", "x[::2]", "x[::-1, 1:6:2]", "x[:, ::-3]", "x[2:0:-1, 4]", "x[-100:100]",
    "x[1:][:, 1:][0]", "x[:, 0:1] + x[:1, :]", "x[:, 1:] - x[:, :-1]", "x.T[1:3] * 2", "(x[:, 2:] + 1)[:, 1:3]",
]  # fmt: skip


def kernel_of(expression: str, size: int) -> Any:
    """A kernel that stores an expression of x, a tile of 4 by 7 elements, and of the scalar i."""
    global COUNT
    COUNT += 1
    file = f"<index {COUNT}>"
    text = (
        "def indexed(out, source, i):\n"
        "    x = tl.load(source + tl.arange(0, 4)[:, None] * 7 + tl.arange(0, 7)[None, :])\n"
        f"    tl.store(out + tl.arange(0, {size}), tl.reshape({expression}, ({size},)))\n"
    )
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope: dict[str, Any] = {"tl": tl}
    exec(compile(text, file, "exec"), scope)
    return tiledsl.jit(scope["indexed"])


def found(expression: str, i: int = 0, **options: Any) -> None:
    """Hold every backend to NumPy."""
    x = np.random.default_rng(0).standard_normal((4, 7), np.float32)
    wanted = np.asarray(eval(expression, {"x": x, "i": i})).ravel()
    kernel = kernel_of(expression, wanted.size)
    for backend in BACKENDS:
        out = np.zeros(wanted.size, np.float32)
        kernel[(1,)](out, x, i, backend=backend, **options)
        np.testing.assert_array_equal(out, wanted, f"{expression} on {backend}")


@pytest.mark.parametrize("expression", STATIC)
def test_known_bounds(expression: str) -> None:
    found(expression)


@pytest.mark.parametrize("expression", ["x[i]", "x[i, i]", "x[:, i][1:]", "x[1:, i, None]", "x[2:][i - 1]"])
@pytest.mark.parametrize("i", [-1, 2])
def test_positions_of_the_running_kernel(expression: str, i: int) -> None:
    found(expression, i)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("i", [4, -5, 2**31 - 1])
def test_a_position_outside_gives_zero_or_a_failed_assertion(backend: str, i: int) -> None:
    kernel, x, out = kernel_of("x[i]", 7), np.ones((4, 7), np.float32), np.ones(7, np.float32)
    kernel[(1,)](out, x, i, backend=backend)
    assert not out.any()
    with pytest.raises(AssertionFailed, match=r"an index is out of range for an axis of extent 4\n.*<index \d+>:3"):
        kernel[(1,)](out, x, i, backend=backend, debug=True)


@tiledsl.jit
def carried(out, x, ROWS: tl.constexpr, N: tl.constexpr):
    tile = tl.load(x + tl.arange(0, ROWS)[:, None] * N + tl.arange(0, N)[None, :])
    total = tl.zeros((N,), tl.float32)
    for i in range(ROWS):
        total = total * 0.5 + tile[i]
        tile = tile + tile[ROWS - 1 - i] * 0.25
    tl.store(out + tl.arange(0, N - 2)[1:], total[2:-1])
    tl.store(out, total[0] + total[N - 1])


def test_tiles_that_a_loop_carries() -> None:
    x = np.random.default_rng(1).standard_normal((5, 9), np.float32)
    tile, total = x.copy(), np.zeros(9, np.float32)
    for i in range(5):
        total = total * np.float32(0.5) + tile[i]
        tile = tile + tile[4 - i] * np.float32(0.25)
    outs = []
    for backend in BACKENDS:
        out = np.zeros(7, np.float32)
        carried[(1,)](out, x, ROWS=5, N=9, backend=backend)
        outs.append(out)
    np.testing.assert_allclose(outs[0], [total[0] + total[8], *total[2:-1]], rtol=1e-5)
    assert outs[0].tobytes() == outs[1].tobytes() == outs[2].tobytes()


@tiledsl.jit
def shifted(x, N: tl.constexpr):
    row = tl.load(x + tl.arange(0, N))
    tl.store(x + tl.arange(0, N)[1:], row[:-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_shifted_tile_is_read_before_it_is_written(backend: str) -> None:
    x = np.arange(37, dtype=np.float32)
    shifted[(1,)](x, N=37, backend=backend)
    np.testing.assert_array_equal(x, [0, *range(36)])


@tiledsl.jit
def indexed_once(out, KIND: tl.constexpr):
    x, i = tl.zeros((4, 8), tl.float32), tl.program_id(0)
    if KIND == 0:
        x = x[0]
    elif KIND == 1:
        x = x[1:]
    elif KIND == 2:
        x = x[...]
    else:
        x = x[:, i, None]
    tl.store(out, tl.sum(x))


@pytest.mark.parametrize("kind", range(4))
def test_strict_mode_has_colons_and_none_only(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed_once[(1,)](np.ones(1, np.float32), KIND=kind)
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="unsupported tensor index"):
        indexed_once[(1,)](np.ones(1, np.float32), KIND=kind)


@tiledsl.jit
def colons_past_the_last_axis(x, out):
    whole, row = tl.load(x), tl.load(x + tl.arange(0, 4))
    tl.static_assert(whole[:].shape == () and whole[:, None].shape == (1,) and whole[None, :].shape == (1,))
    tl.static_assert(row[:, :, None].shape == (4, 1) and row[:, None, :].shape == (4, 1) and row[None, :, :].shape == (1, 4))
    tl.store(out + tl.arange(0, 4), row + whole[:, None])


def test_colons_past_the_last_axis_mean_nothing_as_in_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    out = np.zeros(4, np.float32)
    colons_past_the_last_axis[(1,)](np.arange(1, 5, dtype=np.float32), out)
    np.testing.assert_array_equal(out, [2, 3, 4, 5])
