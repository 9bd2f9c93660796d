"""Choosing configs as Triton does it: our tuner, its listener told, its results kept if asked."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ....autotune import Autotuner as OurAutotuner
from ....autotune import Config, Tuned
from ....autotune import Heuristics as OurHeuristics
from ....errors import AutotunerError
from .. import knobs, testing
from ..errors import OutOfResources
from .cache import get_cache_manager
from .jit import JITFunction, KernelInterface


class Autotuner(OurAutotuner, KernelInterface):
    """Measures every config once per key. Libraries derive from it, so its parameters are Triton's."""

    def __init__(
        self,
        fn: Any,
        arg_names: Sequence[str],
        configs: Sequence[Config],
        key: Sequence[str],
        reset_to_zero: Sequence[str] | None = None,
        restore_value: Sequence[str] | None = None,
        pre_hook: Callable[..., Any] | None = None,
        post_hook: Callable[..., Any] | None = None,
        prune_configs_by: Mapping[str, Any] | None = None,
        warmup: float | None = None,
        rep: float | None = None,
        use_cuda_graph: bool = False,
        do_bench: Callable[..., Any] | None = None,
        cache_results: bool = False,
    ):
        if use_cuda_graph and do_bench is None:
            do_bench = testing.do_bench_cudagraph
        super().__init__(fn, configs, key, reset_to_zero, restore_value, pre_hook, post_hook, prune_configs_by, warmup, rep, do_bench)
        self.arg_names = list(arg_names)
        self.cache_results, self.use_cuda_graph = cache_results, use_cuda_graph
        self.num_warmups, self.num_reps = warmup, rep
        self.nargs: dict[str, Any] = {}  # the positional arguments of the launch that is being tuned, by name
        self.user_defined_pre_hook, self.user_defined_post_hook = pre_hook is not None, post_hook is not None

    def run(self, *args: Any, **kwargs: Any) -> Any:
        self.nargs = dict(zip(self.arg_names, args, strict=False))
        return super().run(*args, **kwargs)

    # what classes derived from this one call

    def prune_configs(self, kwargs: Mapping[str, Any]) -> list[Config]:
        """The configs worth measuring for `nargs` and these keywords."""
        return self._pruned(self.nargs, kwargs)

    def _bench(self, *args: Any, config: Config, grid: Any = None, warmup: bool = False, **meta: Any) -> list[float]:
        """How long a config takes: median and quantiles, in milliseconds."""
        return self._measure(config, args, meta, self._named(args, meta), grid)

    # --- choosing

    def _choose(self, args: Sequence[Any], kwargs: Mapping[str, Any], named: dict[str, Any], grid: Any) -> Config:
        key = self.key(named)
        if key in self.cache:
            return self.cache[key]
        kept = self._read(key) if self.cache_results or knobs.autotuning.cache else None
        if kept is not None:
            self.cache[key], self.configs_timings = min(kept, key=lambda c: kept[c]), kept
            self._tell(key, None, True)
            return self.cache[key]
        found = super()._choose(args, kwargs, named, grid)
        if self.cache_results or knobs.autotuning.cache:
            self._write(key)
        if knobs.autotuning.print:
            print(f"Triton autotuning for function {self.base_fn.__name__},\nwith key as {key},\nfinished after "
                  f"{self.bench_time:.2f}s,\nbest config selected: {found};")  # fmt: skip
        self._tell(key, self.bench_time, False)
        return found

    def _tell(self, key: tuple[Any, ...], duration: float | None, hit: bool) -> None:
        if knobs.autotuning.listener is not None:
            knobs.autotuning.listener(
                fn=self.base_fn,
                key=key,
                best_config=self.cache[key],
                configs_timings=self.configs_timings,
                duration=duration,
                cache_hit=hit,
            )

    # --- kept results

    def _file(self, key: tuple[Any, ...]) -> tuple[Any, str]:
        text = "\0".join([getattr(self.base_fn, "cache_key", ""), str(key), *map(str, self.configs)])
        return get_cache_manager(hashlib.sha256(text.encode()).hexdigest()), f"{self.base_fn.__name__[:150]}.autotune.json"

    def _read(self, key: tuple[Any, ...]) -> dict[Config, list[float]] | None:
        if any(c.pre_hook is not None for c in self.configs):
            return None
        manager, name = self._file(key)
        path = manager.get_file(name)
        if path is None:
            return None
        with open(path) as file:
            times = json.load(file)
        return {c: times[str(c)] for c in self.configs if str(c) in times} or None

    def _write(self, key: tuple[Any, ...]) -> None:
        manager, name = self._file(key)
        manager.put(json.dumps({str(c): list(times) for c, times in self.configs_timings.items()}), name, binary=False)

    # --- measuring

    def _measure(
        self, config: Config, args: Sequence[Any], kwargs: Mapping[str, Any], named: dict[str, Any], grid: Any, best: float = math.inf
    ) -> list[float]:
        try:
            return super()._measure(config, args, kwargs, named, grid, best)
        except OutOfResources:
            return [float("inf")] * 3


def autotune(
    configs: Sequence[Config],
    key: Sequence[str],
    prune_configs_by: Mapping[str, Any] | None = None,
    reset_to_zero: Sequence[str] | None = None,
    restore_value: Sequence[str] | None = None,
    pre_hook: Callable[..., Any] | None = None,
    post_hook: Callable[..., Any] | None = None,
    warmup: float | None = None,
    rep: float | None = None,
    use_cuda_graph: bool = False,
    do_bench: Callable[..., Any] | None = None,
    cache_results: bool = False,
) -> Callable[[Any], Autotuner]:
    """Launch the fastest of several configs, found by measuring when `key` arguments change."""

    def wrap(fn: Any) -> Autotuner:
        return Autotuner(
            fn, fn.arg_names, configs, key, reset_to_zero, restore_value, pre_hook, post_hook, prune_configs_by, warmup, rep,
            use_cuda_graph, do_bench, cache_results,
        )  # fmt: skip

    return wrap


class Heuristics(OurHeuristics, KernelInterface):
    """Computes arguments from the others, in order."""

    def __init__(self, fn: Any, arg_names: Sequence[str], values: Mapping[str, Callable[[dict[str, Any]], Any]]):
        super().__init__(fn, values)
        self.arg_names = list(arg_names)


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[Any], Heuristics]:
    """Compute arguments from the others: {"EVEN": lambda args: args["n"] % args["BLOCK"] == 0}."""
    return lambda fn: Heuristics(fn, fn.arg_names, values)


__all__ = ["Autotuner", "AutotunerError", "Config", "Heuristics", "JITFunction", "OutOfResources", "Tuned", "autotune", "heuristics"]
