"""Launches through `triton` that native code repeats: whatever a launch in Triton's way looks at is still looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import BuiltinFunctionType

import numpy as np
import pytest

from tiledsl.backends.cpu.native.launcher import method
from tiledsl.compat import triton
from tiledsl.compat.triton import knobs
from tiledsl.compat.triton import language as tl
from tiledsl.runtime.jit import PATIENCE

pytestmark = pytest.mark.skipif(method() is None, reason="launches stay in Python here")


@pytest.fixture
def kernel() -> Iterator[triton.JITFunction]:
    @triton.jit
    def scale(x, factor, BLOCK: tl.constexpr):
        at = tl.arange(0, BLOCK)
        tl.store(x + at, tl.load(x + at) * factor + 1.0)

    with knobs.runtime.scope(), knobs.language.scope():
        yield scale


def launch(kernel: triton.JITFunction, **options: object) -> triton.compiler.CompiledKernel:
    x = np.full(32, 2.0, np.float32)
    found = kernel[(1,)](x, 3.0, BLOCK=32, backend="cpu", **options)
    assert (x == 7.0).all()
    return found


def learnt(kernel: triton.JITFunction, **options: object) -> triton.compiler.CompiledKernel:
    for _ in range(PATIENCE + 3):
        found = launch(kernel, **options)
    assert isinstance(kernel[(1,)], BuiltinFunctionType)
    return found


def test_the_kernel_that_is_returned_is_the_one_of_the_options(kernel: triton.JITFunction) -> None:
    few, many = learnt(kernel, num_warps=2), learnt(kernel, num_warps=8)
    assert few is not many and (few.metadata.num_warps, many.metadata.num_warps) == (2, 8)
    assert launch(kernel, num_warps=2) is few and launch(kernel, num_warps=8) is many


def test_hooks_that_are_added_later_are_called(kernel: triton.JITFunction) -> None:
    learnt(kernel)
    seen: list[str] = []

    def enter(facts: object) -> None:
        seen.append("enter")

    def leave(facts: object) -> None:
        seen.append("leave")

    knobs.runtime.launch_enter_hook.add(enter)
    knobs.runtime.launch_exit_hook.add(leave)
    try:
        launch(kernel)
    finally:
        knobs.runtime.launch_enter_hook.remove(enter)
        knobs.runtime.launch_exit_hook.remove(leave)
    launch(kernel)
    assert seen == ["enter", "leave"]
    own = knobs.HookChain()
    own.add(enter)
    knobs.runtime.launch_enter_hook = own
    launch(kernel)
    kernel.add_pre_run_hook(lambda *args, **given: seen.append("before"))
    launch(kernel)
    assert seen[2:] == ["enter", "before", "enter"]


@pytest.mark.parametrize("change", ["knob", "variable"])
def test_knobs_that_change_options_are_looked_at(kernel: triton.JITFunction, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fused = learnt(kernel)
    if change == "knob":
        knobs.language.default_fp_fusion = False
    else:
        monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "0")
    apart = launch(kernel)
    assert apart is not fused and (fused.metadata.enable_fp_fusion, apart.metadata.enable_fp_fusion) == (True, False)


def test_debugging_is_looked_at(kernel: triton.JITFunction) -> None:
    usual = learnt(kernel)
    knobs.runtime.debug = True
    assert launch(kernel) is not usual
    knobs.runtime.debug = False
    assert launch(kernel) is usual


def test_a_kernel_that_was_forgotten_is_compiled_again(kernel: triton.JITFunction) -> None:
    first = learnt(kernel)
    kernel.device_caches[0][0].clear()
    second = launch(kernel)
    assert second is not first
    learnt(kernel)
    kernel.device_caches.clear()
    assert launch(kernel) is not second


def test_the_backend_of_the_environment_is_looked_at(kernel: triton.JITFunction) -> None:
    x = np.zeros(32, np.float32)
    for _ in range(PATIENCE + 3):
        usual = kernel[(1,)](x, 3.0, BLOCK=32)
    before = os.environ.get("TILEDSL_BACKEND")
    os.environ["TILEDSL_BACKEND"] = "interpreter"
    try:
        assert kernel[(1,)](x, 3.0, BLOCK=32) is not usual
    finally:
        os.environ.pop("TILEDSL_BACKEND")
        if before is not None:
            os.environ["TILEDSL_BACKEND"] = before
