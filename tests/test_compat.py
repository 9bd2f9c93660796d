"""`import triton` on tiledsl: the alias, its modules, and what Triton programs ask of them."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tiledsl
from tiledsl import errors
from tiledsl.compat import triton
from tiledsl.compat.triton import language as tl
from tiledsl.compat.triton.compiler.errors import CompilationError, CompileTimeAssertionFailure

ROOT = Path(__file__).parent.parent
SCRIPT = """
import triton
import triton.language as tl
from triton.language.extra import libdevice
import tiledsl.compat.triton as ours
import triton.runtime.driver

assert triton is ours and tl is ours.language and triton.runtime.driver.active.get_current_device() == 0
import numpy as np

@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) + tl.load(y_ptr + offsets, mask=mask), mask=mask)

x, y = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32)
out = np.zeros_like(x)
add[lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)](x, y, out, 1000, BLOCK=256)
assert (out == x + y).all()
print("done", __name__)
"""


SWEEP = """
import os, time, torch, triton, triton.testing as tt
os.environ["TILEDSL_SWEEP_SECONDS"] = "1"
x = torch.ones(8, device="cuda:0")
assert torch.cuda.is_available() and x.is_cuda and x.cuda().is_cuda
assert x.get_device() == 0 and x.device.type == "cpu"  # programs that run on CPUs, too, compare it
rows = (100 * torch.randn(9000, 8)).half()
weight = torch.ones(8, dtype=torch.float16, requires_grad=True)
torch.nn.functional.layer_norm(rows, (8,), weight).sum().backward()
exact = (rows.double() - rows.double().mean(1, keepdim=True)) / rows.double().std(1, keepdim=True, correction=0)
assert (weight.grad - exact.sum(0)).abs().max() < 0.25  # as on a GPU: sums are in fp32; in fp16 they are off by 1
half = torch.randn(64, 64).half()
assert (half @ half.T == (half.float() @ half.T.float()).half()).all()  # sums of fp32, at the speed of fp32
torch.mm(half, half, out=(product := torch.empty_like(half)))
assert (product == half @ half).all()
try:
    half @ half.float()
    raise AssertionError("two types")
except RuntimeError as error:
    assert "dtype" in str(error)
chances = rows[:9].bfloat16().log_softmax(-1)
assert chances.dtype is torch.bfloat16 and (chances == rows[:9].bfloat16().float().log_softmax(-1).bfloat16()).all()
with torch.autocast("cuda", dtype=torch.bfloat16):
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
x.record_stream(torch.cuda.current_stream())
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
    @staticmethod
    def backward(ctx, grad):
        assert grad.is_cuda
        return grad * torch.full((), 2.0, device="cuda")
Double.apply(torch.ones(3, requires_grad=True)).sum().backward()
@torch.library.custom_op("tiledsl_test::triple", mutates_args=(), device_types="cuda")
def triple(x: torch.Tensor) -> torch.Tensor:
    assert x.is_cuda
    return x * torch.full((), 3.0, device="cuda")
assert (triple(torch.ones(2)) == 3).all()
torch.set_default_device("cuda")
with torch.device("cuda:0"):
    assert torch.ones(2).is_cuda
torch.set_default_device(None)
assert not torch.cuda.is_current_stream_capturing() and len(torch.cuda.mem_get_info()) == 2
assert triton.runtime.driver.active.get_current_target().backend == "cuda"
with torch.cuda._DeviceGuard(x.device.index):
    y = torch.empty_like(x)

@tt.perf_report(tt.Benchmark(["n"], [1, 2, 3, 4], "line", ["a"], ["a"], "slow", {}))
def measure(n, line):
    time.sleep(0.3)
    return float(n)

measure.run(print_data=True)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def python(*arguments, cwd):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(cwd / "cache")}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env, cwd=cwd, timeout=60)


@triton.jit
def double(x, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x + offsets, tl.load(x + offsets, mask=offsets < n) * 2, mask=offsets < n)


def test_only_the_time_in_kernels_is_measured_if_asked():
    def slow():
        time.sleep(0.02)
        double[(1,)](x, 8, BLOCK=8)

    x = np.ones(8, np.float32)
    assert triton.testing.do_bench(slow, warmup=0, rep=1, measure_time_with_hooks=True) < 10
    assert triton.testing.do_bench(slow, warmup=0, rep=1) >= 20


# --- the alias


def test_a_script_runs_unchanged(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = python("-m", "tiledsl", "run", "script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done __main__\n"


def test_a_script_that_reaches_foreign_memory_says_where(tmp_path):
    text = """
import numpy as np, triton, triton.language as tl

@triton.jit
def wild(x):
    tl.store(x + (1 << 50), 1.0)

wild[(1,)](np.zeros(4, np.float32))
"""
    (tmp_path / "script.py").write_text(text)
    done = python("-m", "tiledsl", "run", "script.py", cwd=tmp_path)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr and 'script.py", line 8 in <module>' in done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "tiledsl", "run", "script.py"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "TILEDSL_DEBUG": "1"},
    )  # fmt: skip
    assert done.returncode == 1 and "write outside" in done.stderr and "script.py:6" in done.stderr


def test_a_script_finds_cuda_and_ends_its_sweeps_early(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "script.py").write_text(SWEEP)
    done = python("-m", "tiledsl", "run", "--quick", "script.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "slow: 3 of 4 points, TILEDSL_SWEEP_SECONDS=1\n" in done.stderr
    assert done.stdout.startswith("slow:\n"), done.stdout


def test_processes_that_a_script_starts_import_triton_too(tmp_path):
    (tmp_path / "script.py").write_text(
        "import multiprocessing\nimport triton\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=triton.cdiv, args=(7, 2))\n"
        "    child.start(); child.join(); print(child.exitcode)\n"
    )
    done = python("-m", "tiledsl", "run", "script.py", cwd=tmp_path)
    assert done.stdout == "0\n", done.stderr


def test_importing_tiledsl_installs_nothing(tmp_path):
    done = python("-c", "import sys, tiledsl, tiledsl.compat.triton; print('triton' in sys.modules)", cwd=tmp_path)
    assert done.stdout == "False\n", done.stderr


def test_another_triton_is_not_replaced(tmp_path):
    (tmp_path / "triton.py").write_text("")
    done = python("-c", "import triton\nfrom tiledsl.compat.triton import install\ninstall()", cwd=tmp_path)
    assert "ImportError: `triton` is already imported" in done.stderr


def test_names_are_those_of_tiledsl():
    assert tl.load is tiledsl.language.load and tl.constexpr is tiledsl.language.constexpr
    assert issubclass(triton.JITFunction, tiledsl.runtime.jit.Launchable)
    assert triton.TritonError is errors.TileError and issubclass(CompilationError, errors.CompilationError)


# --- launching


def test_a_launch_returns_the_kernel():
    x = np.arange(8, dtype=np.float32)
    kernel = double[(1,)](x, 8, BLOCK=8, num_warps=2)
    assert x[3] == 6 and kernel.name == "double" and kernel.metadata.num_warps == 2
    assert "kernel @double" in kernel.asm["ttir"]
    kernel[(1,)](x, 8, 8)
    assert x[3] == 12


def test_a_compiled_kernel_takes_all_arguments_or_those_of_a_run():
    x = np.ones(4, np.float32)
    kernel = double[(1,)](x, 3, BLOCK=4)
    kernel[(1,)](x, 3, 4)
    kernel[(1,)](x, 1)  # compiled for any n, not for 1
    assert x.tolist() == [8, 4, 4, 1]


def test_parameters_tell_how_they_are_specialised():
    @triton.jit(do_not_specialize=["n"])
    def kernel(x, n, m: tl.int64, BLOCK: tl.constexpr = 8):
        pass

    assert [(p.num, p.do_not_specialize, p.annotation_type, p.is_constexpr) for p in kernel.params] == [
        (0, False, "", False), (1, True, "", False), (2, False, "i64", False), (3, False, "", True)
    ]  # fmt: skip
    assert kernel.params[2].default is inspect.Parameter.empty and kernel.params[3].default == 8


def test_hooks_are_called_around_compilation_and_launch():
    @triton.jit
    def kernel(x):
        tl.store(x, 1.0)

    seen = []
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.jit_cache_hook = lambda **told: seen.append(told["compile"]["signature"])
        triton.knobs.runtime.jit_post_compile_hook = lambda **told: seen.append(told["fn"].name.rpartition(".")[2])
        triton.knobs.runtime.launch_enter_hook.add(enter := lambda facts: seen.append(facts.get()["name"]))
        kernel[(1,)](np.zeros(1, np.float32))
        kernel[(1,)](np.zeros(1, np.float32))
        triton.knobs.runtime.launch_enter_hook.remove(enter)
    assert seen == [{"x": "*fp32"}, "kernel", "kernel", "kernel"]


def test_a_kernel_can_be_compiled_from_a_signature():
    source = triton.compiler.ASTSource(double, {"x": "*fp16", "n": "i32", "BLOCK": "constexpr"}, {"BLOCK": 16})
    assert "*f16" in triton.compile(source).asm["ttir"]


def test_a_specialisation_can_be_preloaded():
    told = []
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.jit_cache_hook = lambda **given: told.append(given["compile"]["specialization_data"])
        first = double.warmup(np.dtype("float32"), 100, BLOCK=64, grid=(1,))
        double.device_caches.clear()
        again = double.preload(told[0])
        assert again.hash == first.hash
        assert double.warmup(np.dtype("float32"), 100, BLOCK=64, grid=(1,)) is again
    assert len(told) == 2


def test_a_changed_source_is_compiled_again():
    @triton.jit
    def kernel(x):
        tl.store(x, 1.0)

    x = np.zeros(1, np.float32)
    kernel[(1,)](x)
    kernel._unsafe_update_src(kernel.src.replace("1.0", "2.0"))
    kernel[(1,)](x)
    assert x[0] == 2


# --- errors


@triton.jit
def inner():
    return unknown  # noqa: F821


def test_an_error_is_one_per_level_of_the_calls():
    @triton.jit
    def outer():
        # a comment
        inner()

    with pytest.raises(CompilationError) as caught:
        outer.warmup(grid=(1,))
    assert str(caught.value).startswith("at 3:4:\ndef outer():")
    assert str(caught.value.__cause__).startswith("at 2:11:\ndef inner():")
    assert "`unknown` is not defined" in str(caught.value.__cause__)
    assert caught.value.node.lineno == 3 and "inner()" in caught.value.src


def test_a_static_assertion_has_a_class_of_its_own():
    @triton.jit
    def kernel(N: tl.constexpr):
        tl.static_assert(N > 1, "too small")

    with pytest.raises(CompileTimeAssertionFailure, match="too small"):
        kernel[(1,)](1)


# --- knobs


def test_a_scope_restores_values_and_variables(monkeypatch):
    monkeypatch.setenv("TRITON_PRINT_AUTOTUNING", "0")
    with triton.knobs.autotuning.scope():
        triton.knobs.autotuning.print = True
        assert os.environ["TRITON_PRINT_AUTOTUNING"] == "1"
    assert not triton.knobs.autotuning.print and os.environ["TRITON_PRINT_AUTOTUNING"] == "0"


# --- tuning


def test_configs_are_chosen_by_measuring_and_told():
    told = []

    @triton.autotune([triton.Config({"BLOCK": 16}), triton.Config({"BLOCK": 64})], key=["n"], warmup=0, rep=0)
    @triton.jit
    def kernel(x, n, BLOCK: tl.constexpr):
        offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        tl.store(x + offsets, 1.0, mask=offsets < n)

    x = np.zeros(100, np.float32)
    with triton.knobs.autotuning.scope():
        triton.knobs.autotuning.listener = lambda **given: told.append(given["cache_hit"])
        for _ in range(2):
            kernel[lambda meta: (triton.cdiv(100, meta["BLOCK"]),)](x, 100)
        triton.knobs.autotuning.listener = None
    assert x.all() and told == [False] and len(kernel.cache) == 1 and kernel.best_config in kernel.configs


def test_tuners_may_be_derived_from():
    class Last(triton.runtime.Autotuner):
        """Takes the last config that can be measured."""

        def run(self, *args, **kwargs):
            self.nargs = dict(zip(self.arg_names, args, strict=False))
            self.best_config = [c for c in self.prune_configs(kwargs) if self._bench(*args, config=c, **kwargs)[0] < np.inf][-1]
            return self.fn.run(*args, **kwargs, **self.best_config.all_kwargs())

    sizes = [triton.Config({"BLOCK": block}) for block in (4, 8, 16)]
    prune = {"early_config_prune": lambda configs, named, **kwargs: [c for c in configs if c.kwargs["BLOCK"] <= named["n"]]}
    tuned = Last(double, double.arg_names, sizes, ["n"], None, ["x"], prune_configs_by=prune)
    x = np.ones(8, np.float32)
    tuned[(1,)](x, 8)
    assert tuned.best_config is sizes[1] and x.tolist() == [2] * 8


def test_configs_of_a_matrix_product_are_ordered_by_an_estimate():
    from tiledsl.compat.triton.ops.matmul_perf_model import early_config_prune, estimate_matmul_time

    a, b, c = (SimpleNamespace(element_size=lambda: 4) for _ in range(3))
    sizes = [(32, 32), (128, 128), (1 << 12, 1 << 12)]
    configs = [triton.Config({"BLOCK_M": m, "BLOCK_N": n, "BLOCK_K": 32, "SPLIT_K": 1}) for m, n in sizes]
    kept = early_config_prune(configs, {"A": a})
    assert kept == configs[:2]
    small, large = (estimate_matmul_time(A=a, B=b, C=c, M=512, N=512, K=512, **config.all_kwargs()) for config in kept)
    assert 0 < large < small  # which reads every operand four times as often


@triton.jit
def multiply_and_add(x):
    tl.store(x, tl.load(x) * tl.load(x + 1) + tl.load(x + 2))


def test_fusing_can_be_turned_off_by_a_variable(monkeypatch):
    exact = 1 + 2**-23
    fused, rounded = (np.array([exact, exact, -1 - 2**-22], np.float32) for _ in range(2))
    multiply_and_add[(1,)](fused)
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "0")
    multiply_and_add[(1,)](rounded)
    assert fused[0] == 2.0**-46 and rounded[0] == 0


def test_what_tests_of_kernels_import_answers_for_a_cpu():
    pytest.importorskip("torch")
    from tiledsl.compat.triton import _internal_testing as answers

    assert answers.is_cpu() and not answers.is_cuda() and not answers.is_hip_cdna3()
    for name in answers.dtypes_with_bfloat16:
        x = answers.numpy_random(16, name)
        assert (answers.to_numpy(answers.to_triton(x, "cpu", name)) == x).all() and x.all(), name
