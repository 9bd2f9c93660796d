"""Launches in native code: whatever is called, the answer is that of the general way, and changes are noticed."""

from __future__ import annotations

import copy
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiledsl
import tiledsl.language as tl
from tiledsl import config
from tiledsl.backend import registry
from tiledsl.backends.cpu import direct
from tiledsl.backends.cpu.engine import Linked
from tiledsl.backends.cpu.native import elf, launcher
from tiledsl.errors import ConfigError, LaunchError
from tiledsl.runtime import jit
from tiledsl.runtime.jit import Launchable

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

pytestmark = pytest.mark.skipif(launcher.method() is None, reason="this Python's objects are laid out in another way")

FACTOR = tl.constexpr(3)


@tiledsl.jit
def mixed(out, x, n, a, flag, count: tl.int64, weight: tl.float64 = 0.5, BLOCK: tl.constexpr = 16, NAME: tl.constexpr = "plus"):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.load(x + at, mask=at < n, other=0).to(tl.float32)
    total = kept * a + weight.to(tl.float32) + count.to(tl.float32) * FACTOR
    if NAME == "plus":
        total += flag
    tl.store(out + at, total.to(out.dtype.element_ty), mask=at < n)


@tiledsl.jit
def double(out, x, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, 2 * tl.load(x + at))


class Slow(Exception):
    """The general way was taken."""


@pytest.fixture(autouse=True, scope="module")
def eager() -> Iterator[None]:
    """The second call is enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jit, "PATIENCE", 1)
        yield


@pytest.fixture
def only_native(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """From when it is called on, a launch by way of Python fails."""

    def refuse(*args: Any) -> None:
        raise Slow

    yield lambda: monkeypatch.setattr(Launchable, "_call", refuse)


def arrays(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(size, np.float32), np.arange(size, dtype=np.float32)


def taught(kernel: Any = double, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Arrays for which a kernel is launched in native code from now on."""
    out, x = arrays()
    for _ in range(3):
        kernel[(1,)](out, x, BLOCK=64, **more)
    return out, x


def test_the_first_launches_go_the_general_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "PATIENCE", 8)
    out, x = arrays()
    double._launchers.clear()
    for native in [*[False] * 9, True, True]:
        assert isinstance(double[(1,)], jit.Launcher) == (not native)
        double[(1,)](out, x, BLOCK=64)


def test_a_launch_that_is_repeated_is_answered_in_native_code(only_native: Callable[[], None]) -> None:
    out, x = taught()
    only_native()
    out[:] = 0
    double[(1,)](out, x, BLOCK=64)
    assert (out == 2 * x).all()
    with pytest.raises(Slow):
        double[(1,)](out.astype(np.float64), x, BLOCK=64)


def test_what_it_returns_is_what_the_general_way_returns() -> None:
    out, x = taught()
    assert double[(1,)](out, x, BLOCK=64) == double.launch((1,), (out, x), {"BLOCK": 64})
    assert double[(1,)](out, x, BLOCK=64).asm.keys() >= {"llvm"}


def test_llvms_own_loader_will_do(monkeypatch: pytest.MonkeyPatch, only_native: Callable[[], None]) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "0")
    monkeypatch.setattr(elf, "X86_64", 0)
    found = launcher.method.__wrapped__()
    assert isinstance(found.loaded, Linked)
    monkeypatch.setattr(direct, "method", lambda: found)
    double._launchers.clear()
    out, x = taught()
    only_native()
    out[:] = 0
    double[(1,)](out, x, BLOCK=64)
    assert (out == 2 * x).all()
    double._launchers.clear()


def test_without_it_launches_stay_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_is_familiar", lambda: False)
    monkeypatch.setattr(direct, "method", launcher.method.__wrapped__)
    double._launchers.clear()
    out, x = taught()
    assert isinstance(double[(1,)], jit.Launcher)
    double._launchers.clear()


# --- any call

VIEWS: dict[str, Callable[[np.ndarray], Any]] = {
    "whole": lambda a: a,
    "odd": lambda a: a[1:],
    "every other": lambda a: a[::2],
    "reversed": lambda a: a[::-1],
    "two axes": lambda a: a.reshape(8, -1).T,
    "empty": lambda a: a[:0],
    "read-only": lambda a: (a.setflags(write=False), a)[1],
    "subclass": lambda a: a.view(np.matrix),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": list,
    "none": lambda a: None,
}
if torch is not None:
    VIEWS["tensor"] = torch.from_numpy
    VIEWS["odd tensor"] = lambda a: torch.from_numpy(a)[1:]
    VIEWS["tensor of two axes"] = lambda a: torch.from_numpy(a.reshape(8, -1)).T
    VIEWS["tensor that requires a gradient"] = lambda a: torch.from_numpy(a).requires_grad_()
    VIEWS["conjugate"] = lambda a: torch.conj(torch.from_numpy(a))
    VIEWS["wrapped tensor"] = lambda a: torch.nn.Parameter(torch.from_numpy(a), requires_grad=False)
DTYPES = [np.float32, np.float64, np.int32, np.uint8]
COMMON = st.sampled_from(["whole", "whole", "odd", "tensor"] if torch is not None else ["whole", "whole", "odd"])
VIEW = st.one_of(COMMON, COMMON, st.sampled_from(sorted(VIEWS)))
NUMBERS = [1, 2, 16, 17, 48, -16, 2**31, 2**31 + 16, -(2**40), 2**63, 2**64, True, np.int64(16), 1.0, None]
NUMBER = st.one_of(st.sampled_from([16, 17, 33]), st.sampled_from(NUMBERS))
REAL = st.sampled_from([2.0, 0.5, -0.0, 1e300, float("nan"), 3, True, np.float32(2)])
CALLS = st.fixed_dictionaries(
    {
        "out": VIEW,
        "x": VIEW,
        "dtype": st.sampled_from(DTYPES),
        "n": NUMBER,
        "a": REAL,
        "flag": st.sampled_from([True, False, 1, 0]),
        "count": NUMBER,
        "overlap": st.integers(0, 9).map(lambda n: n == 0),
        "more": st.sampled_from(
            [{}, {}, {"BLOCK": 32}, {"BLOCK": 16, "NAME": "minus"}, {"NAME": "pl" + "us"}, {"weight": 0.25}, {"num_warps": 4}]
            + [
                {"num_threads": 1},
                {"num_threads": 0},
                {"weight": 1},
                {"BLOCK": 16.0},
                {"unknown": 1},
                {"n": 3},
                {"enable_fp_fusion": False},
                {"backend": "interpreter"},
            ]
        ),
        "positional": st.integers(4, 6),
        "grid": st.sampled_from([(1,), (1,), (2,), (1, 1), (2, 1, 1), (0,), (1.0,), [2], 1, (-1,), lambda meta: (meta["BLOCK"] // 16,)]),
    }
)


def answer(call: dict[str, Any], launch: Callable[..., Any]) -> tuple[bytes, str]:
    """What a call leaves in its arrays, or says. Both ways get arrays of their own, at addresses that are alike."""
    memory = np.zeros(4096 + 64, np.uint8)
    memory = memory[-memory.ctypes.data % 64 :][:4096]
    first = memory[:512].view(call["dtype"])
    second = first if call["overlap"] else memory[1024:1536].view(call["dtype"])  # room for kernels that run past the end
    second[:] = np.arange(second.size) % 50
    try:
        args = [VIEWS[call["out"]](first), VIEWS[call["x"]](second), call["n"], call["a"], call["flag"], call["count"]]
    except (TypeError, ValueError, RuntimeError):  # a view that this dtype does not have
        return b"", ""
    names = ["out", "x", "n", "a", "flag", "count"]
    positional = call["positional"]
    named = dict(zip(names[positional:], args[positional:], strict=True))
    try:
        launch(call["grid"], args[:positional], {**named, **call["more"]})
    except (LaunchError, tiledsl.CompilationError, tiledsl.MemoryFault, TypeError, ValueError, OverflowError, RuntimeError) as error:
        return memory.tobytes(), f"{type(error).__name__} {error}"
    return memory.tobytes(), ""


@settings(max_examples=max(config.fuzz() // 20, 40), deadline=None, derandomize=not config.fuzz(), database=None)
@given(st.lists(CALLS, min_size=1, max_size=4), st.integers(2, 4))
def test_both_ways_give_the_same_result_or_the_same_error(calls: list[dict[str, Any]], rounds: int) -> None:
    mixed._launchers.clear()
    for _ in range(rounds):
        for call in calls:
            expected = answer(call, lambda grid, args, named: mixed.launch(grid, tuple(args), named))
            assert answer(call, lambda grid, args, named: mixed[grid](*args, **named)) == expected


# --- changes


def test_a_hook_is_called(only_native: Callable[[], None]) -> None:
    out, x = taught()
    called: list[int] = []
    double.add_pre_run_hook(lambda *args, **given: called.append(1))
    try:
        double[(1,)](out, x, BLOCK=64)
    finally:
        double.pre_run_hooks = []
    assert called == [1]
    double[(1,)](out, x, BLOCK=64)
    assert called == [1]


def test_another_backend_is_noticed(monkeypatch: pytest.MonkeyPatch, only_native: Callable[[], None]) -> None:
    out, x = taught()
    only_native()
    double[(1,)](out, x, BLOCK=64)
    monkeypatch.setenv("TILEDSL_BACKEND", "interpreter")
    with pytest.raises(Slow):
        double[(1,)](out, x, BLOCK=64)
    monkeypatch.delenv("TILEDSL_BACKEND")
    monkeypatch.setattr(registry, "_default", registry._default)
    double[(1,)](out, x, BLOCK=64)
    tiledsl.use("interpreter")
    with pytest.raises(Slow):
        double[(1,)](out, x, BLOCK=64)
    with pytest.raises(Slow):
        double[(1,)](out, x, BLOCK=64, backend="cpu")


def test_another_backend_of_the_same_name_is_noticed(only_native: Callable[[], None]) -> None:
    out, x = taught()
    only_native()
    double[(1,)](out, x, BLOCK=64)
    registry.register(registry.find("interpreter"))
    try:
        with pytest.raises(Slow):
            double[(1,)](out, x, BLOCK=64)
    finally:
        registry._registered.pop("interpreter")


def test_a_copy_launches_itself(only_native: Callable[[], None]) -> None:
    out, x = taught()
    other = copy.copy(double)
    other.debug = True
    only_native()
    with pytest.raises(Slow):
        other[(1,)](out, x, BLOCK=64)


def test_it_is_learnt_anew_after_a_change(only_native: Callable[[], None]) -> None:
    out, x = taught()
    for _ in range(100):
        double.debug = False
        double[(1,)](out, x, BLOCK=64)
    taught()
    only_native()
    double[(1,)](out, x, BLOCK=64)


def test_the_environment_is_read_at_every_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    out, x = taught()
    monkeypatch.setenv("TILEDSL_NUM_THREADS", "many")
    with pytest.raises(ConfigError):
        double[(1,)](out, x, BLOCK=64)


SCALE = tl.constexpr(2)


@tiledsl.jit
def scaled(out, x, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, SCALE * tl.load(x + at))


def test_a_captured_value_that_changes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    out, x = taught(scaled)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", tl.constexpr(2))
    scaled[(1,)](out, x, BLOCK=64)
    assert (out == 2 * x).all()
    monkeypatch.setattr(SCALE, "value", 5)
    with pytest.raises(RuntimeError, match="SCALE has changed"):
        scaled[(1,)](out, x, BLOCK=64)
    monkeypatch.setattr(sys.modules[__name__], "SCALE", tl.constexpr(4))
    with pytest.raises(RuntimeError, match="SCALE has changed"):
        scaled[(1,)](out, x, BLOCK=64)


def test_a_variable_of_an_enclosing_function_that_changes_is_an_error() -> None:
    factor = tl.constexpr(2)

    @tiledsl.jit
    def inner(out, x, BLOCK: tl.constexpr):
        at = tl.arange(0, BLOCK)
        tl.store(out + at, factor * tl.load(x + at))

    out, x = taught(inner)
    inner[(1,)](out, x, BLOCK=64)
    factor = tl.constexpr(7)
    with pytest.raises(RuntimeError, match="factor has changed"):
        inner[(1,)](out, x, BLOCK=64)


def test_a_grid_that_equals_another_is_still_no_grid() -> None:
    out, x = taught()
    for grid in ((1.0,), (np.float64(1),), ("1",)):
        with pytest.raises(LaunchError, match="a grid is made of ints"):
            double[grid](out, x, BLOCK=64)


def test_the_number_of_threads_can_be_set_for_all_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int | None] = []
    run = direct.run_grid
    monkeypatch.setattr(direct, "native_pool", lambda: None)
    monkeypatch.setattr(direct, "run_grid", lambda *rest: used.append(rest[-1]) or run(*rest))
    out, x = np.zeros(64 * 4, np.float32), np.arange(64 * 4, dtype=np.float32)
    monkeypatch.delenv("TILEDSL_NUM_THREADS", raising=False)
    for count in (2, 3, None):
        tiledsl.set_num_threads(count)
        for _ in range(3):
            ranks[(4,)](out, x, 2, BLOCK=64)
    assert used == [2, 3, None]
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(LaunchError, match="num_threads"):
            tiledsl.set_num_threads(wrong)  # type: ignore[arg-type]


def test_one_thread_does_without_python(monkeypatch: pytest.MonkeyPatch, only_native: Callable[[], None]) -> None:
    out, x = np.zeros(64 * 4, np.float32), np.arange(64 * 4, dtype=np.float32)
    for _ in range(3):
        ranks[(4,)](out, x, 2, BLOCK=64, num_threads=1)
    expected, out[:] = out.copy(), 0
    only_native()
    monkeypatch.setattr(direct, "run_grid", lambda *rest: pytest.fail("Python was asked"))
    ranks[(4,)](out, x, 2, BLOCK=64, num_threads=1)
    assert np.array_equal(out, expected) and out.any()


# --- many, at once, and long


def test_call_sites_and_sizes_beyond_what_is_kept_go_the_general_way() -> None:
    for size in range(2 * launcher.MOST):
        out, x = np.zeros(256, np.float32), np.arange(256, dtype=np.float32)
        for _ in range(2):
            double[(1,)](out[size % 4 :], x, BLOCK=2 ** (size % 8))
        assert (out[size % 4 :][: 2 ** (size % 8)] == 2 * x[: 2 ** (size % 8)]).all()
    for size in range(300):
        double[(1, size + 1)](out, x, BLOCK=4)
    assert len(double._launchers) <= 256


def test_nothing_is_leaked_and_nothing_freed_too_early() -> None:
    out, x = taught()
    returned = double[(1,)](out, x, BLOCK=64)
    gc.collect()
    before = [sys.getrefcount(o) for o in (out, x, returned, None, x.dtype)]
    for _ in range(1000):
        double[(1,)](out, x, BLOCK=64)
    gc.collect()
    after = [sys.getrefcount(o) for o in (out, x, returned, None, x.dtype)]
    assert np.abs(np.subtract(after, before)).max() < 500, (before, after)

    def forgotten() -> Callable[..., Any]:
        @tiledsl.jit
        def short(out, x, BLOCK: tl.constexpr):
            at = tl.arange(0, BLOCK)
            tl.store(out + at, 2 * tl.load(x + at))

        taught(short)
        return short[(1,)]

    launch = forgotten()
    gc.collect()
    launch(out, x, BLOCK=64)
    assert (out == 2 * x).all()


@tiledsl.jit
def ranks(out, x, n, BLOCK: tl.constexpr):
    row = tl.program_id(0) * BLOCK
    at = tl.arange(0, BLOCK)
    values = tl.load(x + row + at)
    for _ in range(n):
        values = tl.sort(values)
    tl.store(out + row + at, values)


@pytest.mark.parametrize("programs", [1, 5])
def test_threads_have_scratch_memory_of_their_own(programs: int) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).standard_normal(programs * 64, np.float32)
        expected = np.sort(x.reshape(programs, 64), axis=1).ravel()
        for _ in range(100):
            out = np.zeros_like(x)
            ranks[(programs,)](out, x, 3, BLOCK=64)
            wrong.extend(np.flatnonzero(out != expected))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_long_launch_lets_other_threads_run() -> None:
    x = np.random.default_rng(0).standard_normal(64, np.float32)
    out = np.zeros_like(x)
    for _ in range(3):
        ranks[(1,)](out, x, 2, BLOCK=64)
    seen: list[bool] = []
    running = threading.Event()

    def watch() -> None:
        running.wait()
        seen.append(done)

    done = False
    watcher = threading.Thread(target=watch)
    watcher.start()
    running.set()
    ranks[(1,)](out, x, 200_000, BLOCK=64)
    done = True
    watcher.join()
    assert seen == [False]
