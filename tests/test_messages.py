"""Prints and assertions of running kernels, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import AssertionFailed
from tiledsl.messages import Message
from tiledsl.testing.oracle import backends

BACKENDS = pytest.mark.parametrize("backend", backends())


@tiledsl.jit
def speaking(x, n, N: tl.constexpr):
    i = tl.arange(0, N)
    value = tl.load(x + i)
    tl.device_print("x", value)
    print("n", n)
    tl.device_print("", value > 1, value.to(tl.int16))
    tl.device_print("hex", i[:, None] * 16 + tl.arange(0, 2)[None, :], hex=True)
    tl.device_print("done")


@BACKENDS
def test_prints_come_line_by_line(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.array([0.5, -2, 3, np.inf], np.float32)
    speaking[(1,)](x, 42, N=4, backend=backend)
    found = capsys.readouterr().out.splitlines()
    assert found[:5] == [
        "pid (0, 0, 0) idx (0) x: 0.500000",
        "pid (0, 0, 0) idx (1) x: -2.000000",
        "pid (0, 0, 0) idx (2) x: 3.000000",
        "pid (0, 0, 0) idx (3) x: inf",
        "pid (0, 0, 0) idx () n: 42",
    ]
    assert "pid (0, 0, 0) idx (2): (operand 0) 1" in found and "pid (0, 0, 0) idx (1): (operand 1) -2" in found
    assert "pid (0, 0, 0) idx (3, 1) hex: 0x00000031" in found and found[-1] == "pid (0, 0, 0) done"


@tiledsl.jit
def checking(x, n, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    value = tl.load(x + i)
    tl.device_assert(value >= 0, "negative input", mask=i < n)
    assert n < 100, "n is small"
    tl.store(x + i, value + 1)


@BACKENDS
def test_assertions_fail_the_launch_in_debug_mode_only(backend: str) -> None:
    x = np.array([1, 2, 3, 4, 5, -6, 7, 8], np.float32)
    checking[(2,)](x.copy(), 8, N=4, backend=backend)
    checking[(2,)](x.copy(), 5, N=4, backend=backend, debug=True)
    with pytest.raises(AssertionFailed, match="negative input") as caught:
        checking[(2,)](x.copy(), 8, N=4, backend=backend, debug=True)
    assert isinstance(caught.value, RuntimeError) and "tl.device_assert(value >= 0" in str(caught.value)
    with pytest.raises(AssertionFailed, match="n is small"):
        checking[(2,)](np.abs(x), 200, N=4, backend=backend, debug=True)


def test_a_kernel_that_speaks_is_cached_with_what_it_says(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path))
    for _ in range(2):
        fresh = tiledsl.jit(speaking.fn)
        fresh[(1,)](np.ones(4, np.float32), 3, N=4, backend="cpu")
    once, again = np.array_split(capsys.readouterr().out.splitlines(), 2)
    assert list(once) == list(again)
    message = Message("x", speaking.loc, hex=True, operands=(("f32", (2, 3)),))
    assert Message.of(message.record()).record() == message.record()
