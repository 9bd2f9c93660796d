"""Choosing configs by measuring, and arguments by rule."""

import numpy as np
import pytest

import tiledsl.language as tl
from tiledsl.autotune import Config, autotune, heuristics
from tiledsl.errors import AutotunerError, ConflictingArguments, MemoryFault
from tiledsl.runtime.jit import jit


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    monkeypatch.setenv("TILEDSL_BACKEND", "interpreter")
    monkeypatch.setenv("TILEDSL_CACHE", "0")


@jit
def fill(out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(out + i, mask=i < n) + BLOCK, mask=i < n)


def grid(args):
    return (-(-args["n"] // args["BLOCK"]),)


CONFIGS = [Config({"BLOCK": size}, num_warps=size // 8) for size in (16, 32, 64)]


class Bench:
    """Stands for a clock: the time of a config is a table's."""

    def __init__(self, times):
        self.times, self.calls = iter(times), 0

    def __call__(self, launch, quantiles):
        self.calls += 1
        launch()
        t = next(self.times)
        return [t, t, t]


def zeros():
    return np.zeros(64, np.float32)


def test_the_fastest_config_runs():
    bench = Bench([3, 1, 2])
    tuned = autotune(CONFIGS, key=["n"], do_bench=bench, restore_value=["out"])(fill)
    out = zeros()
    tuned[grid](out, 64)
    assert tuned.best_config is CONFIGS[1]
    assert tuned.configs_timings[CONFIGS[2]] == [2, 2, 2]
    assert (out == 32).all()  # the measured launches left nothing behind
    tuned[grid](out, 64)
    assert bench.calls == 3


@jit
def by_groups(out, group, BLOCK: tl.constexpr, ROOMY: tl.constexpr):
    for k in range(0, tl.num_programs(0)):
        tl.store(out + tl.arange(0, 16), tl.full([16], k // (group // BLOCK), tl.float32))


def test_a_config_under_which_the_kernel_divides_by_zero_is_not_chosen():
    bench = Bench([3, 1, 2])
    ruled = heuristics({"ROOMY": lambda args: args["group"] >= args["BLOCK"]})(by_groups)
    tuned = autotune([Config({"BLOCK": size}) for size in (16, 128, 32)], key=["group"], do_bench=bench)(ruled)
    tuned[(1,)](zeros(), 64)
    assert tuned.best_config.kwargs == {"BLOCK": 32}
    assert tuned.configs_timings[tuned.configs[1]] == [np.inf] * 3
    alone = autotune([Config({"BLOCK": size}) for size in (128, 256)], key=["group"], do_bench=Bench([2, 1]))(ruled)
    alone[(1,)](zeros(), 64)  # there is no other: it runs
    assert alone.best_config in alone.configs


def test_measuring_needs_no_help():
    tuned = autotune(CONFIGS, key=["n"], warmup=0, rep=1)(fill)
    tuned[grid](zeros(), 64)
    assert tuned.best_config in CONFIGS
    assert all(low <= middle <= high for middle, low, high in tuned.configs_timings.values())
    assert tuned.bench_time > 0


def test_a_modelled_machine_is_asked_for_its_cycles():
    tuned = autotune(CONFIGS, key=["n"])(fill)
    tuned[grid](zeros(), 64, backend="npu")
    cycles = [t[0] for t in tuned.configs_timings.values()]
    assert all(c == int(c) for c in cycles)
    assert tuned.configs_timings[tuned.best_config][0] == min(cycles)


def test_a_long_launch_is_measured_once():
    ran = []

    def launch(only_compile=False):
        ran.append(only_compile)
        return 1e4, None

    assert autotune(CONFIGS, key=["n"], rep=50)(fill)._time(launch, np.inf) == [1e4] * 3
    assert ran == [True, False]


def test_configs_that_make_the_same_launch_are_measured_once():
    @jit
    def staged(out, n, BLOCK: tl.constexpr, num_stages: tl.constexpr):
        i = tl.arange(0, BLOCK)
        tl.store(out + i, num_stages, mask=i < n)

    def launches(kernel):
        seen = []
        configs = [Config({"BLOCK": size}, num_warps=w, num_stages=s) for size in (16, 32) for w in (4, 8) for s in (1, 2)]
        hook = lambda named, reset_only=False: seen.append((named["BLOCK"], named["num_stages"]))  # noqa: E731
        tuned = autotune(configs, key=["n"], rep=1e-3, pre_hook=hook)(kernel)
        tuned[(1,)](zeros(), 8)
        assert list(tuned.configs_timings) == configs
        return set(seen)

    assert launches(fill) == {(16, 1), (32, 1)}
    assert launches(staged) == {(16, 1), (16, 2), (32, 1), (32, 2)}  # here it is a parameter


def test_choices_are_remembered_by_key_dtype_and_backend():
    bench = Bench(range(100))
    tuned = autotune(CONFIGS, key=["n"], do_bench=bench)(fill)
    for out, n, options in (
        (zeros(), 64, {}),
        (zeros(), 32, {}),
        (zeros().astype(np.float64), 64, {}),
        (zeros(), 64, {"backend": "cpu"}),
        (zeros(), 64, {}),
        (zeros(), 64, {"backend": "interpreter"}),
    ):
        tuned[grid](out, n, **options)
    assert bench.calls == 4 * 3
    assert len(tuned.cache) == 4


def test_one_config_is_not_measured():
    tuned = autotune(CONFIGS[:1], key=[], do_bench=None)(fill)
    out = zeros()
    tuned[grid](out, 64)
    assert (out == 16).all()
    assert tuned.configs_timings == {}


def test_a_tuned_argument_may_not_be_given():
    tuned = autotune(CONFIGS, key=["n"], do_bench=Bench(range(9)))(fill)
    with pytest.raises(ValueError, match="Conflicting meta-parameters: BLOCK: the autotuner of `fill` chooses them") as caught:
        tuned[grid](zeros(), 64, BLOCK=16)
    assert isinstance(caught.value, ConflictingArguments)


def test_configs_that_do_not_compile_lose():
    @jit
    def picky(out, n, BLOCK: tl.constexpr):
        tl.static_assert(BLOCK == 32)
        tl.store(out, BLOCK)

    tuned = autotune(CONFIGS, key=[], warmup=0, rep=1)(picky)
    tuned[(1,)](zeros(), 64)
    assert tuned.best_config.kwargs == {"BLOCK": 32}
    assert tuned.configs_timings[CONFIGS[0]] == [float("inf")] * 3


def test_configs_are_pruned():
    bench = Bench(range(9))
    prune = {"early_config_prune": lambda configs, named, **kwargs: [c for c in configs if c.kwargs["BLOCK"] <= named["n"]]}
    tuned = autotune(CONFIGS, key=["n"], prune_configs_by=prune, do_bench=bench)(fill)
    tuned[grid](zeros(), 32)
    assert list(tuned.configs_timings) == CONFIGS[:2]
    with pytest.raises(AutotunerError, match="No valid autotuner configs after pruning"):
        tuned[grid](zeros(), 8)
    model = {"perf_model": lambda out, n, BLOCK, **options: -BLOCK, "top_k": 2}
    tuned = autotune(CONFIGS, key=["n"], prune_configs_by=model, do_bench=bench)(fill)
    tuned[grid](zeros(), 64)
    assert list(tuned.configs_timings) == [CONFIGS[2], CONFIGS[1]]


def test_arrays_are_zeroed_before_each_launch_and_after_tuning():
    tuned = autotune(CONFIGS, key=["n"], do_bench=Bench([1, 2, 3]), reset_to_zero=["out"])(fill)
    out = zeros() + 5
    tuned[grid](out, 64)
    assert (out == 16).all()


def test_hooks_see_the_arguments():
    seen = []
    configs = [Config({"BLOCK": 16}, pre_hook=lambda named: seen.append(("config", named["BLOCK"]))), Config({"BLOCK": 32})]
    tuned = autotune(
        configs,
        key=["n"],
        do_bench=Bench([1, 2]),
        pre_hook=lambda named, reset_only=False: seen.append(("before", named["BLOCK"], reset_only)),
        post_hook=lambda named, exception: seen.append(("after", named["BLOCK"], exception)),
    )(fill)
    tuned[grid](zeros(), 64)
    assert seen == [
        ("config", 16),
        ("before", 16, False),
        ("after", 16, None),
        ("before", 32, False),
        ("after", 32, None),
        ("before", 16, True),
        ("config", 16),
    ]


@jit
def whole_blocks(out, BLOCK: tl.constexpr):
    tl.store(out + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), BLOCK)


@pytest.mark.parametrize("backend", ["interpreter", "npu"])
def test_a_config_that_leaves_the_arrays_is_not_chosen(backend):
    out, configs = zeros(), [Config({"BLOCK": 128}), Config({"BLOCK": 32})]
    with pytest.warns(UserWarning, match=r"BLOCK: 128, .* `whole_blocks` is not chosen: error: write outside `out`: element 64 of 64"):
        autotune(configs, key=[])(whole_blocks)[(1,)](out, backend=backend)
    assert (out[:32] == 32).all()
    with pytest.raises(MemoryFault, match="element 64 of 64"), pytest.warns(UserWarning):
        autotune([Config({"BLOCK": 128}), Config({"BLOCK": 256})], key=[])(whole_blocks)[(1,)](out, backend=backend)


def test_heuristics_see_the_arguments_and_each_other():
    @jit
    def kernel(out, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
        tl.store(out, BLOCK if EVEN else -BLOCK)

    ruled = heuristics({"BLOCK": lambda a: a["n"] * 2, "EVEN": lambda a: a["BLOCK"] % 4 == 0})(kernel)
    out = zeros()
    ruled[(1,)](out, 8)
    assert out[0] == 16
    ruled[lambda a: (a["BLOCK"] // 6,)](out, n=3)
    assert out[0] == -6


def test_autotune_and_heuristics_stack_either_way():
    @jit
    def kernel(out, n, BLOCK: tl.constexpr, TWICE: tl.constexpr):
        tl.store(out, BLOCK + TWICE)

    rule = heuristics({"TWICE": lambda a: 2 * (a["BLOCK"] if "BLOCK" in a else a["n"])})
    for wrapped, expected in (
        (autotune(CONFIGS, key=["n"], do_bench=Bench([2, 1, 3]))(rule(kernel)), 96),
        (rule(autotune(CONFIGS, key=["n"], do_bench=Bench([2, 1, 3]))(kernel)), 32 + 14),
    ):
        out = zeros()
        wrapped[(1,)](out, 7)
        assert out[0] == expected
        assert wrapped.base_fn is kernel
        assert wrapped.arg_names == kernel.arg_names


def test_configs_read_and_compare_like_values():
    assert str(Config({"BLOCK": 16}, num_warps=2)) == "BLOCK: 16, num_warps: 2, num_ctas: 1, num_stages: 3, maxnreg: None"
    assert Config({"BLOCK": 16}) == Config({"BLOCK": 16})
    assert len({Config({"BLOCK": 16}), Config({"BLOCK": 16}), Config({"BLOCK": 16}, num_warps=8)}) == 2
    assert Config({"BLOCK": 16}, maxnreg=9).all_kwargs() == {"BLOCK": 16, "num_warps": 4, "num_ctas": 1, "num_stages": 3, "maxnreg": 9}


def test_warmup_compiles_every_config_and_runs_none():
    out = zeros()
    done = autotune(CONFIGS, key=["n"])(fill).warmup(out, 64)
    assert len({d.kernel.key for d in done}) == len(CONFIGS)
    assert not out.any()


def test_a_tuned_kernel_is_not_called_directly():
    with pytest.raises(RuntimeError, match="launch it with"):
        autotune(CONFIGS, key=[])(fill)(zeros(), 64)
