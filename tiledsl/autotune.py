"""Choosing a kernel's compile-time arguments: by measuring (`autotune`), or by rule (`heuristics`)."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .backend import registry
from .errors import ArgumentError, AutotunerError, ConflictingArguments, MemoryFault, StaticAssertionError, Unsupported, nearest
from .frames import entrance
from .runtime.jit import Launchable
from .runtime.launch import IGNORED, heard, profiled

Hook = Callable[..., Any]
Times = list[float]  # median and quantiles, in milliseconds
FAR = 4  # a launch that takes so many times the best config's time is not measured again


class Config:
    """One choice: values of compile-time parameters, and launch options."""

    def __init__(
        self,
        kwargs: Mapping[str, Any],
        num_warps: int = 4,
        num_stages: int = 3,
        num_ctas: int = 1,
        maxnreg: int | None = None,
        pre_hook: Hook | None = None,
        ir_override: str | None = None,
        num_cpu_threads: int | None = None,
    ):
        self.kwargs = dict(kwargs)
        self.num_warps, self.num_stages, self.num_ctas, self.maxnreg = num_warps, num_stages, num_ctas, maxnreg
        self.pre_hook, self.ir_override, self.num_cpu_threads = pre_hook, ir_override, num_cpu_threads or None

    def all_kwargs(self) -> dict[str, Any]:
        """The keywords of a launch with this choice."""
        options = {
            name: getattr(self, name) for name in ("num_warps", "num_ctas", "num_stages", "maxnreg", "ir_override", "num_cpu_threads")
        }
        return {**self.kwargs, **{name: value for name, value in options.items() if value is not None}}

    def __str__(self) -> str:
        options = {name: getattr(self, name) for name in ("num_warps", "num_ctas", "num_stages", "maxnreg")}
        return ", ".join(f"{name}: {value}" for name, value in {**self.kwargs, **options}.items())

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (*self.all_kwargs().items(), self.pre_hook)


class Tuned:
    """What wraps a kernel: launches go through `run`."""

    def __init__(self, fn: Any):
        self.fn = fn
        self.arg_names: list[str] = fn.arg_names
        self.__name__, self.__doc__ = getattr(fn, "__name__", ""), fn.__doc__

    @property
    def base_fn(self) -> Launchable:
        """The kernel under all wrappers."""
        fn = self.fn
        while isinstance(fn, Tuned):
            fn = fn.fn
        return fn

    def __getitem__(self, grid: object) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.run(*args, grid=grid, warmup=False, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.base_fn(*args, **kwargs)

    def run(self, *args: Any, grid: Any = None, warmup: bool = False, **kwargs: Any) -> Any:
        """Launch, or only compile."""
        raise NotImplementedError

    def warmup(self, *args: Any, grid: Any = None, **kwargs: Any) -> Any:
        """Compile only."""
        return self.run(*args, grid=grid, warmup=True, **kwargs)

    @entrance
    def profile(self, *args: Any, grid: Any = None, **kwargs: Any) -> Any:
        """What explains the cycles of a launch, see `Launchable.profile`."""
        return profiled(self.run, args, {**kwargs, "grid": grid})

    def _settled(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The kernel under the wrappers below this one, and the keywords that it gets."""
        return self.fn._settled(args, kwargs) if isinstance(self.fn, Tuned) else (self.fn, dict(kwargs))

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {**dict(zip(self.arg_names, args, strict=False)), **kwargs}


class Autotuner(Tuned):
    """Measures every config once per key: the values of the `key` arguments, the dtypes of all arrays, the backend."""

    def __init__(
        self,
        fn: Any,
        configs: Sequence[Config],
        key: Sequence[str],
        reset_to_zero: Sequence[str] | None = None,
        restore_value: Sequence[str] | None = None,
        pre_hook: Hook | None = None,
        post_hook: Hook | None = None,
        prune_configs_by: Mapping[str, Any] | None = None,
        warmup: float | None = None,
        rep: float | None = None,
        do_bench: Hook | None = None,
    ):
        super().__init__(fn)
        self.configs = list(configs) or [Config({})]
        for config in self.configs:
            if not isinstance(config, Config):
                raise ArgumentError(f"autotune chooses between configs, got {config!r}", help=f"write tiledsl.Config({config!r})")
        self.keys = list(key)
        self.reset_to_zero, self.restore_value = list(reset_to_zero or ()), list(restore_value or ())
        self._restored: dict[str, Any] = {}
        self.pre_hook, self.post_hook = pre_hook or self._prepare, post_hook or self._restore
        prune = prune_configs_by or {}
        self.perf_model, self.early_config_prune = prune.get("perf_model"), prune.get("early_config_prune")
        self.configs_top_k = prune.get("top_k", 1.0)
        self.warmup_ms, self.rep_ms = 5.0 if warmup is None else warmup, 50.0 if rep is None else rep
        self.do_bench = do_bench
        self.cache: dict[tuple[Any, ...], Config] = {}
        self.configs_timings: dict[Config, Times] = {}
        self.best_config: Config = self.configs[0]
        self.bench_time = 0.0

    @entrance
    def run(self, *args: Any, grid: Any = None, warmup: bool = False, **kwargs: Any) -> Any:
        named = self._named(args, kwargs)
        config = self.configs[0] if len(self.configs) == 1 else self._choose(args, kwargs, named, grid)
        self._require_free(config, named)
        self.best_config = config
        if config.pre_hook is not None and not warmup:
            config.pre_hook({**named, **config.all_kwargs()})
        return self.fn.run(*args, grid=grid, warmup=warmup, **{**kwargs, **config.all_kwargs()})

    def warmup(self, *args: Any, grid: Any = None, **kwargs: Any) -> list[Any]:
        """Compile every config that may be measured."""
        configs = self._pruned(dict(zip(self.arg_names, args, strict=False)), kwargs)
        return [self.fn.warmup(*args, grid=grid, **{**kwargs, **c.all_kwargs()}) for c in configs]

    def _choose(self, args: Sequence[Any], kwargs: Mapping[str, Any], named: dict[str, Any], grid: Any) -> Config:
        key = self.key(named)
        if key not in self.cache:
            started = time.perf_counter()
            configs = self._pruned(dict(zip(self.arg_names, args, strict=False)), kwargs)
            timings: dict[Config, Times] = {}
            measured: list[tuple[Any, Config]] = []
            for c in configs:
                self._require_free(c, named)
                what = self._launched(c, args, kwargs, grid)
                same = next((other for seen, other in measured if _alike(seen, what)), None)
                best = min((times[0] for times in timings.values()), default=math.inf)
                timings[c] = self._measure(c, args, kwargs, named, grid, best) if same is None else [*timings[same]]
                measured.append((what, c))
            self.bench_time = time.perf_counter() - started
            self.configs_timings = timings
            self.cache[key] = self._fastest(timings, args, kwargs)
            self.pre_hook({**named, **self.cache[key].all_kwargs()}, reset_only=True)
        return self.cache[key]

    def _launched(self, config: Config, args: Sequence[Any], kwargs: Mapping[str, Any], grid: Any) -> Any:
        """What a launch with a config depends on: configs that agree in it are measured once, as those of Triton programs
        that differ only in how they steer a GPU."""
        base, given = self._settled(args, {**kwargs, **config.all_kwargs()})
        if self.do_bench is not None or not isinstance(base, Launchable):
            return config  # measured by others, or a launch of others
        known = {*base.arg_names, *heard(registry.find(given.get("backend") or registry.default()))}
        used = {name: value for name, value in given.items() if name not in IGNORED or name in known}
        return [used, base.extents(grid, tuple(args), given), config.pre_hook]

    def _fastest(self, timings: dict[Config, Times], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Config:
        """The config with the least time. One that has the kernel divide integers by zero, where other targets trap or go
        on with anything, counts as one that does not run: its time is made infinite."""
        for config in sorted(timings, key=lambda c: timings[c]):
            base, given = self._settled(args, {**kwargs, **config.all_kwargs()})
            if not isinstance(base, Launchable) or math.isinf(timings[config][0]) or base.divides_by_zero(tuple(args), given) is None:
                return config
            timings[config] = [math.inf] * 3
        return min(timings, key=lambda c: timings[c])

    def key(self, named: Mapping[str, Any]) -> tuple[Any, ...]:
        """What a choice is remembered under."""
        values = [_comparable(named[name]) for name in self.keys if name in named]
        dtypes = [str(value.dtype) for value in named.values() if hasattr(value, "dtype")]
        return (*values, *dtypes, named.get("backend") or registry.default())

    def _pruned(self, named: dict[str, Any], kwargs: Mapping[str, Any]) -> list[Config]:
        """The configs worth measuring, as `prune_configs_by` says."""
        configs = list(self.configs)
        if self.early_config_prune is not None:
            configs = self.early_config_prune(configs, named, **kwargs)
        if not configs:
            raise AutotunerError(
                "Autotuner error: No valid autotuner configs after pruning. `early_config_prune` should return at least one config."
            )
        if self.perf_model is not None:
            top = self.configs_top_k
            count = int(len(self.configs) * top) if isinstance(top, float) and top <= 1.0 else int(top)
            estimates = {c: self.perf_model(**{**named, **kwargs, **c.all_kwargs()}) for c in configs}
            configs = sorted(configs, key=lambda c: estimates[c])[: max(count, 1)]
        return configs

    def _require_free(self, config: Config, named: Mapping[str, Any]) -> None:
        taken = sorted(named.keys() & config.kwargs.keys())
        if taken:
            raise ConflictingArguments(
                f"Conflicting meta-parameters: {', '.join(taken)}: the autotuner of `{self.base_fn.name}` chooses them",
                help="leave them out of the call",
            )

    # --- measuring

    def _measure(
        self, config: Config, args: Sequence[Any], kwargs: Mapping[str, Any], named: dict[str, Any], grid: Any, best: float = math.inf
    ) -> Times:
        """How long a config takes, roughly if that is far more than the best so far; infinite if it does not compile, or
        accesses what it may not: it may be meant for other arguments, but whoever meant it for these is told."""
        full = {**named, **config.all_kwargs()}

        def launch(only_compile: bool = False) -> tuple[float, Any]:
            if config.pre_hook is not None:
                config.pre_hook(full)
            self.pre_hook(full)
            started = time.perf_counter()
            try:
                done = self.fn.run(*args, grid=grid, warmup=only_compile, **{**kwargs, **config.all_kwargs()})
                elapsed = (time.perf_counter() - started) * 1e3
            except Exception as error:
                self.post_hook(full, exception=error)
                raise
            self.post_hook(full, exception=None)
            return elapsed, getattr(done, "report", None)

        try:
            if self.do_bench is not None:
                found = self.do_bench(launch, quantiles=(0.5, 0.2, 0.8))
                return list(found) if isinstance(found, tuple | list) else [found]
            return self._time(launch, best)
        except MemoryFault as fault:
            warnings.warn(f"the config `{config}` of `{self.base_fn.name}` is not chosen: {fault}", stacklevel=2)
        except (Unsupported, StaticAssertionError):
            pass
        return [math.inf] * 3

    def _time(self, launch: Callable[..., tuple[float, Any]], best: float) -> Times:
        launch(only_compile=True)
        first, report = launch()
        if report is not None and report.cycles is not None:  # a modelled machine: the same every time
            return [float(report.cycles)] * 3
        times = [first if first > self.rep_ms else launch()[0]]  # in a short one, what only a first launch does would show
        if times[0] < min(self.rep_ms, FAR * best):  # else it is long enough, or has lost
            _repeat(launch, self.warmup_ms - times[0])
            times = _repeat(launch, self.rep_ms)
        times.sort()
        return [times[int(fraction * len(times))] for fraction in (0.5, 0.2, 0.8)]

    def _prepare(self, named: Mapping[str, Any], reset_only: bool = False) -> None:
        """The usual hook before a measured launch."""
        for name in self.reset_to_zero:
            if named[name] is not None:
                _fill_zero(named[name])
        if not reset_only:
            self._restored = {name: _copy(named[name]) for name in self.restore_value if named[name] is not None}

    def _restore(self, named: Mapping[str, Any], exception: Exception | None = None) -> None:
        """The usual hook after one."""
        for name, saved in self._restored.items():
            _assign(named[name], saved)
        self._restored = {}


def _repeat(launch: Callable[[], tuple[float, Any]], milliseconds: float) -> Times:
    """The times of launches, as many as fit, at least one."""
    times = [launch()[0]]
    while sum(times) < milliseconds:
        times.append(launch()[0])
    return times


def _alike(one: Any, other: Any) -> bool:
    """Whether these are the same objects or equal numbers and words, in lists and dicts of the same form."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_alike, one, other))
    return one is other or (type(one) is type(other) and isinstance(one, bool | int | float | str) and one == other)


def _comparable(value: Any) -> Any:
    return value if getattr(type(value), "__hash__", None) else repr(value)


def _fill_zero(array: Any) -> None:
    array.zero_() if hasattr(array, "zero_") else array.fill(0)


def _copy(array: Any) -> Any:
    return array.clone() if hasattr(array, "clone") else array.copy()


def _assign(array: Any, saved: Any) -> None:
    if hasattr(array, "copy_"):
        array.copy_(saved)
    else:
        array[...] = saved


class Heuristics(Tuned):
    """Computes arguments from the others, in order; each sees those before it."""

    def __init__(self, fn: Any, values: Mapping[str, Callable[[dict[str, Any]], Any]]):
        super().__init__(fn)
        self.values = dict(values)
        for name, rule in self.values.items():
            if not callable(rule):
                raise ArgumentError(f"the heuristic of `{name}` is {rule!r}, and no function", help=f"write lambda args: {rule!r}")

    @entrance
    def run(self, *args: Any, grid: Any = None, warmup: bool = False, **kwargs: Any) -> Any:
        return self.fn.run(*args, grid=grid, warmup=warmup, **self._computed(args, kwargs))

    def _computed(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords, and those of the rules."""
        found = dict(kwargs)
        for name, rule in self.values.items():
            found[name] = rule(self._named(args, found))
        return found

    def _settled(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        return super()._settled(args, self._computed(args, kwargs))


def autotune(
    configs: Sequence[Config],
    key: Sequence[str],
    prune_configs_by: Mapping[str, Any] | None = None,
    reset_to_zero: Sequence[str] | None = None,
    restore_value: Sequence[str] | None = None,
    pre_hook: Hook | None = None,
    post_hook: Hook | None = None,
    warmup: float | None = None,
    rep: float | None = None,
    use_cuda_graph: bool = False,
    do_bench: Hook | None = None,
    cache_results: bool = False,
) -> Callable[[Any], Autotuner]:
    """Launch the fastest of several configs, found by measuring when `key` arguments change. Choices are remembered in
    this process; `use_cuda_graph` and `cache_results` are accepted and change nothing."""

    def wrap(fn: Any) -> Autotuner:
        for name in key:
            if name not in fn.arg_names:  # no error: programs of Triton do so, and run
                known = nearest(name, fn.arg_names) or f"parameters: {', '.join(fn.arg_names)}"
                said = f"autotune: key {name!r} is no parameter of `{fn.__name__}` and tells no launches apart; {known}"
                warnings.warn(said, stacklevel=2)
        return Autotuner(fn, configs, key, reset_to_zero, restore_value, pre_hook, post_hook, prune_configs_by, warmup, rep, do_bench)

    return wrap


def heuristics(values: Mapping[str, Callable[[dict[str, Any]], Any]]) -> Callable[[Any], Heuristics]:
    """Compute arguments from the others: {"EVEN": lambda args: args["n"] % args["BLOCK"] == 0}."""
    return lambda fn: Heuristics(fn, values)
