"""kernel[grid](...): binding, grids, options, what is refused and how, and looking at stages."""

import re
import threading

import numpy as np
import pytest

import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backend.base import Program, Report
from tiledsl.errors import ArgumentError, LaunchError, UnknownArgument
from tiledsl.machine import Machine
from tiledsl.passes import SHARED
from tiledsl.runtime import cache
from tiledsl.runtime.jit import jit


class Recorder:
    """A backend that compiles nothing and remembers what it was asked for."""

    name = "recorder"
    machine = Machine("recorder")
    passes = SHARED

    def __init__(self):
        self.compiled, self.launches = [], []

    def compile(self, kernel, options):
        self.compiled.append((kernel, options))
        return Program(self.name, kernel.name, tuple(a.type for a in kernel.body.args), b"", {"machine": "nop"})

    def launch(self, program, grid, args, options):
        self.launches.append((grid, list(args), options))
        return Report(cycles=7)


@pytest.fixture
def recorder(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path))
    backend = Recorder()
    registry.register(backend)
    cache.kernels.clear()
    monkeypatch.setattr(registry, "_default", "recorder")
    yield backend
    registry._registered.pop("recorder")


def make_axpy():
    @jit
    def axpy(x, y, out, n, a=2.0, BLOCK: tl.constexpr = 16):
        """a * x + y"""
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        mask = i < n
        tl.store(out + i, a * tl.load(x + i, mask=mask) + tl.load(y + i, mask=mask), mask=mask)

    return axpy


@pytest.fixture
def axpy(recorder):
    return make_axpy()


@pytest.fixture
def arrays():
    return [np.arange(100, dtype=np.float32), np.ones(100, np.float32), np.zeros(100, np.float32)]


# --- what works


def test_a_kernel_computes(arrays):
    x, y, out = arrays
    make_axpy()[lambda a: (-(-a["n"] // a["BLOCK"]),)](x, y, out, n=100, BLOCK=32, backend="interpreter")
    np.testing.assert_array_equal(out, 2 * x + y)


def test_views_are_read_where_they_lie(arrays):
    x, y, _ = arrays
    out = np.zeros(10, np.float32)
    make_axpy()[(1,)](x[50:60], y[:10], out, 10, backend="interpreter")
    np.testing.assert_array_equal(out, 2 * x[50:60] + 1)


BACKENDS = ["interpreter", "cpu", "npu"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_view_that_runs_backwards_is_read_from_its_first_element(arrays, backend):
    @jit
    def reverse(x, out, stride, n: tl.constexpr):
        i = tl.arange(0, n)
        tl.store(out + i * stride, tl.load(x + i * stride) + 1)

    x, _, out = arrays
    reverse[(1,)](x[::-1][:32], out[::-1][:32], -1, 32, backend=backend)
    np.testing.assert_array_equal(out[-32:], x[-32:] + 1)
    assert not out[:-32].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_of_every_kind_reach_every_backend(backend):
    @jit
    def copy(x, out, n: tl.constexpr):
        i = tl.arange(0, n)
        tl.store(out + i, tl.load(x + i))

    kinds = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
    values = [np.arange(16).astype(kind) for kind in kinds]
    try:
        import ml_dtypes

        values.append(np.arange(16).astype(ml_dtypes.bfloat16))
    except ImportError:
        pass
    for x in values:
        out = np.zeros_like(x)
        x.flags.writeable = False
        copy[(1,)](x, out, 16, backend=backend)
        np.testing.assert_array_equal(out, x, err_msg=str(x.dtype))
    torch = pytest.importorskip("torch")
    for dtype in (torch.bool, torch.int8, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x, out = torch.arange(16).to(dtype), torch.zeros(16, dtype=dtype)
        copy[(1,)](x, out, 16, backend=backend)
        assert torch.equal(x, out)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scalars_reach_every_backend_with_their_types(backend):
    @jit
    def kernel(ints, floats, i, big, huge, declared: tl.int64, small: tl.int8, f, wide: tl.float64, half: tl.float16, flag, off):
        tl.store(ints + 0, i)
        tl.store(ints + 1, big)
        tl.store(ints + 2, huge.to(tl.int64))
        tl.store(ints + 3, declared)
        tl.store(ints + 4, small)
        tl.store(ints + 5, tl.where(flag, 1, 0) + tl.where(off, 10, 20))
        tl.store(floats + 0, f)
        tl.store(floats + 1, wide)
        tl.store(floats + 2, half)

    ints, floats = np.zeros(6, np.int64), np.zeros(3, np.float64)
    kernel[(1,)](ints, floats, -7, 2**40, 2**63 + 5, 1, -128, 0.1, 0.1, 0.1, True, False, backend=backend)
    assert ints.tolist() == [-7, 2**40, 5 - 2**63, 1, -128, 21]
    assert floats.tolist() == [float(np.float32(0.1)), 0.1, float(np.float16(0.1))]


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (3, (3, 1, 1)),
        ((3,), (3, 1, 1)),
        ([3, 2], (3, 2, 1)),
        ((3, 2, 5), (3, 2, 5)),
        ((np.int64(3),), (3, 1, 1)),
        (lambda a: (a["n"] // a["BLOCK"], len(a["x"])), (6, 100, 1)),
        (lambda a: 4, (4, 1, 1)),
    ],
)
def test_grids_have_one_to_three_axes(axpy, recorder, arrays, grid, expected):
    axpy[grid](*arrays, 100)
    assert recorder.launches[-1][0] == expected


@pytest.mark.parametrize("grid", [0, (0,), (3, 0), (1, 2, 0)])
def test_an_empty_grid_launches_nothing(axpy, recorder, arrays, grid):
    axpy[grid](*arrays, 100)
    assert recorder.launches == []


def test_arguments_are_bound_like_python_does(axpy, recorder, arrays):
    x, y, out = arrays
    axpy[(1,)](x, out=out, y=y, n=5, a=0.5)
    _, bound, _ = recorder.launches[-1]
    assert [b.name for b in bound[:3]] == ["x", "y", "out"]
    assert bound[3:] == [5, 0.5]
    axpy[(1,)](x, y, out, 5)
    assert recorder.launches[-1][1][4] == 2.0


def test_the_report_of_a_launch_comes_back(axpy, arrays):
    done = axpy[(1,)](*arrays, 5)
    assert done.report.cycles == 7
    assert done.asm == {"machine": "nop"}
    assert done.kernel.name == "axpy"


def test_the_options_of_triton_are_accepted(axpy, recorder, arrays):
    axpy[(1,)](*arrays, 5, num_warps=8, num_stages=2, num_ctas=1, maxnreg=64)
    assert len(recorder.launches) == 1


def test_options_reach_the_backend(axpy, recorder, arrays):
    axpy[(1,)](*arrays, 5, num_threads=2, enable_fp_fusion=False, deterministic=True, fast_math=True)
    options = recorder.launches[-1][2]
    assert (options.num_threads, options.enable_fp_fusion, options.deterministic, options.fast_math) == (2, False, True, True)
    axpy[(1,)](*arrays, 5, num_cpu_threads=3)
    assert recorder.launches[-1][2].num_threads == 3
    axpy[(1,)](*arrays, 5, num_threads=0)
    assert recorder.launches[-1][2].num_threads is None  # as Triton's CPU backend means it


def test_versions_follow_types_values_and_alignment(axpy, recorder, arrays):
    def versions(*args, **options):
        before = len(recorder.compiled)
        axpy[(1,)](*args, **options)
        return len(recorder.compiled) - before

    assert versions(*arrays, 5) == 1
    assert versions(*arrays, 7) == 0
    assert versions(*arrays, 16) == 1
    assert versions(*arrays, 1) == 1
    assert versions(*arrays, 5, BLOCK=8) == 1
    assert versions(*[a.astype(np.float16) for a in arrays], 5) == 1
    assert versions(*[a[1:] for a in arrays], 5) == 1
    assert versions(*arrays, 5, num_threads=2) == 0
    assert versions(*arrays, 5, fast_math=True) == 1


def test_parameters_can_be_kept_from_specialisation(recorder, arrays):
    def kernel(x, n, m):
        tl.store(x, n + m)

    plain = jit(do_not_specialize=["n"], do_not_specialize_on_alignment=[2])(kernel)
    for n, m in ((1, 5), (16, 48), (7, 3)):
        plain[(1,)](arrays[0], n, m)
    assert len(recorder.compiled) == 1


def test_tuples_and_none_are_arguments(recorder, arrays):
    @jit
    def pick(xs, bias, out):
        value = tl.load(xs[1]) + xs[0]
        if bias is not None:
            value += tl.load(bias)
        tl.store(out, value)

    x, y, out = arrays
    pick[(1,)]((3, x[5:]), None, out, backend="interpreter")
    assert out[0] == 8
    pick[(1,)]((3, x[5:]), y, out, backend="interpreter")
    assert out[0] == 9


def test_a_jit_function_is_an_argument(arrays):
    @jit
    def double(x):
        return x + x

    @jit
    def square(x):
        return x * x

    @jit
    def apply(x, out, f: tl.constexpr):
        tl.store(out, f(tl.load(x)))

    x, _, out = arrays
    for f, expected in ((double, 14), (square, 49), (double, 14)):
        apply[(1,)](x[7:], out, f, backend="interpreter")
        assert out[0] == expected


def test_scalars_reach_the_kernel_with_their_types(arrays):
    @jit
    def kernel(out, i, big: tl.int64, f, wide: tl.float64, flag):
        tl.store(out, tl.where(flag, i + big + f + wide, 0.0))

    out = np.zeros(1, np.float64)
    kernel[(1,)](out, 3, 2, 0.5, 0.1, True, backend="interpreter")
    assert out[0] == 5.6


def test_warmup_compiles_and_runs_nothing(axpy, recorder, arrays):
    axpy.warmup(*arrays, 5, grid=(1,))
    assert len(recorder.compiled) == 1
    assert recorder.launches == []
    axpy.warmup(tl.float32, tl.float32, np.dtype(np.float32), 5)  # dtypes stand for arrays
    axpy.run(*arrays, 5, grid=(1,), warmup=True)
    assert len(recorder.compiled) == 1
    axpy.run(*arrays, 5, grid=(1,))
    assert len(recorder.launches) == 1


def test_hooks_run_before_a_launch(axpy, arrays):
    seen = []
    axpy.add_pre_run_hook(lambda *args, **given: seen.append((len(args), given)))
    axpy[(1,)](*arrays, 5, BLOCK=4)
    assert seen == [(4, {"BLOCK": 4})]


def test_what_triton_programs_read_of_a_kernel(axpy):
    assert axpy.arg_names == ["x", "y", "out", "n", "a", "BLOCK"]
    assert [p.is_constexpr for p in axpy.params] == [False] * 5 + [True]
    assert axpy.__name__ == "axpy"
    assert axpy.__doc__ == "a * x + y"
    assert axpy.src.lstrip().startswith("@jit\n")
    assert list(axpy.signature.parameters) == axpy.arg_names
    assert re.fullmatch("[0-9a-f]{64}", axpy.cache_key)
    assert axpy.fn.__name__ == "axpy"


def test_threads_share_one_compilation(axpy, recorder, arrays):
    start = threading.Barrier(8)

    def launch():
        start.wait()
        axpy[(1,)](*arrays, 5)

    threads = [threading.Thread(target=launch) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(recorder.launches) == 8
    assert len(recorder.compiled) == 1


# --- captured values


SCALE = tl.constexpr(2)


def test_a_captured_value_may_not_change_after_compilation(recorder, arrays, monkeypatch):
    @jit
    def kernel(x):
        tl.store(x, SCALE)

    kernel[(1,)](arrays[0])
    monkeypatch.setitem(globals(), "SCALE", tl.constexpr(2))  # the same value again is no change
    kernel[(1,)](arrays[0])
    monkeypatch.setitem(globals(), "SCALE", tl.constexpr(3))
    with pytest.raises(RuntimeError, match="SCALE has changed since we compiled this kernel, from constexpr\\[2\\] to constexpr\\[3\\]"):
        kernel[(1,)](arrays[0])


def test_a_name_that_was_missing_may_be_defined_later(recorder, arrays, monkeypatch):
    @jit
    def kernel(x):
        tl.store(x, LATER)  # noqa: F821

    with pytest.raises(Exception, match="LATER"):
        kernel[(1,)](arrays[0])
    monkeypatch.setitem(globals(), "LATER", tl.constexpr(3))
    kernel[(1,)](arrays[0])
    monkeypatch.setitem(globals(), "LATER", tl.constexpr(4))
    with pytest.raises(RuntimeError, match="LATER"):
        kernel[(1,)](arrays[0])


# --- what is refused


def refusal(kind, launch) -> str:
    """The whole text of the error, with lines and columns of this file left out."""
    with pytest.raises(kind) as caught:
        launch()
    text = re.sub(r"\.py:\d+:\d+", ".py:L:C", str(caught.value))
    return re.sub(r"^ *\d+ \|", "  |", re.sub(r"^     \|", "  |", text, flags=re.M), flags=re.M)


def test_a_read_only_array_is_refused_where_the_kernel_stores(axpy, recorder, arrays):
    x, y, out = arrays
    x.flags.writeable = out.flags.writeable = False
    assert (
        refusal(LaunchError, lambda: axpy[(1,)](x, y, out, 5))
        == """\
error: `axpy` stores to `out`, which is read-only
  --> test_runtime_launch.py:L:C, in axpy
  |     def axpy(x, y, out, n, a=2.0, BLOCK: tl.constexpr = 16):
  |                    ^^^
help: pass a writable array, such as out.copy()"""
    )
    assert recorder.launches == []
    out.flags.writeable = True
    axpy[(1,)](x, y, out, 5)  # x is only read


def test_a_missing_constant_is_named(recorder, arrays):
    @jit
    def kernel(x, BLOCK: tl.constexpr):
        tl.store(x, BLOCK)

    assert (
        refusal(ArgumentError, lambda: kernel[(1,)](arrays[0], BLOK=3))
        == """\
error: the launch of `kernel` is missing the compile-time argument `BLOCK`
  --> test_runtime_launch.py:L:C, in kernel
  |     def kernel(x, BLOCK: tl.constexpr):
  |                   ^^^^^^^^^^^^^^^^^^^
note: it was called with `BLOK=`, which is no parameter
help: pass BLOCK=..."""
    )


def test_a_missing_argument_is_named(axpy, arrays):
    assert "is missing the argument `n`" in refusal(TypeError, lambda: axpy[(1,)](*arrays))


def test_too_many_arguments_are_counted(axpy, arrays):
    assert "takes 6 arguments, got 7" in refusal(ArgumentError, lambda: axpy[(1,)](*arrays, 5, 2.0, 16, 3))


def test_an_argument_given_twice_is_named(axpy, arrays):
    assert "got two values for `y`" in refusal(ArgumentError, lambda: axpy[(1,)](*arrays, 5, y=3))


def test_an_unknown_keyword_names_the_nearest(axpy, arrays):
    assert (
        refusal(KeyError, lambda: axpy[(1,)](*arrays, 5, num_wraps=4))
        == """\
error: Keyword argument num_wraps was specified but unrecognised: it is neither a parameter of `axpy` nor an option
  --> test_runtime_launch.py:L:C, in axpy
  |     def axpy(x, y, out, n, a=2.0, BLOCK: tl.constexpr = 16):
  |     ^^^
note: parameters: x, y, out, n, a, BLOCK
note: options: num_threads, num_cpu_threads, backend, enable_fp_fusion, deterministic, fast_math, debug, launch_cooperative_grid
help: did you mean `num_warps`?"""
    )
    assert issubclass(UnknownArgument, LaunchError)


def test_an_array_elsewhere_is_refused(axpy, arrays):
    class OnADevice:
        device, dtype, shape = "cuda:0", "torch.float32", (4,)

        def data_ptr(self):
            return 64

    assert (
        refusal(LaunchError, lambda: axpy[(1,)](OnADevice(), *arrays[1:], 5))
        == """\
error: `x` is on the device `cuda:0`, kernels run on the CPU
  --> test_runtime_launch.py:L:C, in axpy
  |     def axpy(x, y, out, n, a=2.0, BLOCK: tl.constexpr = 16):
  |              ^
help: pass x.cpu()"""
    )


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ((), "a grid has 1 to 3 axes, got 0"),
        ((1, 2, 3, 4), "a grid has 1 to 3 axes, got 4"),
        ((-1,), r"a grid axis counts 0 to 2147483647 programs, got \(-1,\)"),
        ((2**31,), "a grid axis counts 0 to 2147483647"),
        ((1.5,), r"a grid is made of ints, got \(1.5,\)"),
        (None, "a grid is made of ints, got None"),
        (lambda a: "abc", "a grid is made of ints, got 'abc'"),
    ],
)
def test_a_wrong_grid_is_refused(axpy, arrays, grid, message):
    with pytest.raises(LaunchError, match=message) as caught:
        axpy[grid](*arrays, 5)
    assert "help: kernel[(n,)](...)" in str(caught.value)


def test_a_wrong_number_of_threads_is_refused(axpy, arrays):
    for threads in (-1, "all", 1.5, True):
        with pytest.raises(LaunchError, match="`num_threads` is"):
            axpy[(1,)](*arrays, 5, num_threads=threads)


def test_a_direct_call_says_how_to_launch(axpy, arrays):
    with pytest.raises(RuntimeError, match=r"launch it with axpy\[grid\]\(...\)"):
        axpy(*arrays, 5)


def test_what_a_function_for_the_grid_raises_is_told_once(axpy, arrays):
    with pytest.raises(ZeroDivisionError) as caught:
        axpy[lambda args: (args["n"] // 0,)](*arrays, 5)
    assert caught.value.__context__ is None


def test_an_unknown_backend_lists_the_known(axpy, arrays):
    with pytest.raises(LaunchError, match="there is no backend `cqu`") as caught:
        axpy[(1,)](*arrays, 5, backend="cqu")
    assert "did you mean `cpu`" in str(caught.value)


def test_jit_takes_functions():
    with pytest.raises(TypeError, match="jit takes a function"):
        jit(3)
    with pytest.raises(LaunchError, match="`kernel` has no parameter 'm'"):

        @jit(do_not_specialize=["m"])
        def kernel(n):
            pass


# --- choosing a backend


def test_the_backend_is_chosen_by_use_or_the_environment(monkeypatch, tmp_path, arrays):
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(registry, "_default", None)
    monkeypatch.setenv("TILEDSL_BACKEND", "interpreter")
    axpy = make_axpy()
    assert axpy[(1,)](*arrays, 5).kernel.program.backend == "interpreter"
    registry.use("cpu")
    assert axpy[(1,)](*arrays, 5).kernel.program.backend == "cpu"
    assert axpy[(1,)](*arrays, 5, backend="interpreter").kernel.program.backend == "interpreter"


# --- stages


def test_every_stage_can_be_shown(axpy, arrays, capsys):
    stages = dict(axpy.stages(*arrays, 5))
    assert list(stages)[:2] == ["source", "frontend"]
    assert {step.name for step in SHARED} <= set(stages)
    assert list(stages)[-2:] == ["final", "machine"]
    for stage, text in stages.items():
        axpy.show(*arrays, 5, stage=stage, grid=(1,))
        assert capsys.readouterr().out == text + "\n"


def test_an_unknown_stage_lists_those_there_are(axpy, arrays):
    with pytest.raises(LaunchError, match="there is no stage `fin`\nnote: stages: source, frontend, narrow, simplify"):
        axpy.show(*arrays, 5, stage="fin")


def test_the_tile_program_can_be_had(axpy, arrays):
    kernel = axpy.lower(*arrays, 5, BLOCK=8)
    assert [str(p.type) for p in kernel.body.args] == ["*f32", "*f32", "*f32", "i32", "f32"]
