"""Measuring and comparing: what `triton.testing` offers."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ... import config
from . import knobs

RETURN_MODES = ("min", "max", "mean", "median", "all")


def do_bench(
    fn: Callable[[], Any],
    warmup: float = 25,
    rep: float = 100,
    grad_to_none: Sequence[Any] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
    measure_time_with_hooks: bool = False,
) -> Any:
    """How long a call takes, in milliseconds: after calls for `warmup` ms, of calls for `rep` ms, at least one each (the
    first, which may compile, warms up); with `measure_time_with_hooks`, how long the kernels in it run."""
    assert return_mode in RETURN_MODES, f"return_mode is {return_mode!r}, one of {', '.join(RETURN_MODES)}"
    _repeat(fn, warmup, grad_to_none)
    times = _kernel_times(fn, rep, grad_to_none) if measure_time_with_hooks else _repeat(fn, rep, grad_to_none)
    return _summary(times, quantiles, return_mode)


def do_bench_cudagraph(
    fn: Callable[[], Any],
    rep: float = 20,
    grad_to_none: Sequence[Any] | None = None,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
) -> Any:
    """As do_bench: a CPU has no graphs."""
    return do_bench(fn, 0, rep, grad_to_none, quantiles, return_mode)


def _repeat(fn: Callable[[], Any], milliseconds: float, grad_to_none: Sequence[Any] | None) -> list[float]:
    times: list[float] = []
    spent = 0.0
    while not times or spent < milliseconds:
        for x in grad_to_none or ():
            x.grad = None
        started = time.perf_counter()
        fn()
        times.append((time.perf_counter() - started) * 1e3)
        spent += times[-1]
    return times


def _kernel_times(fn: Callable[[], Any], milliseconds: float, grad_to_none: Sequence[Any] | None) -> list[float]:
    """As _repeat, of what lies between the hooks of launches."""
    hooks = knobs.runtime
    times: list[float] = []

    def enter(facts: Any) -> None:
        times[-1] -= time.perf_counter() * 1e3

    def leave(facts: Any) -> None:
        times[-1] += time.perf_counter() * 1e3

    def call() -> None:
        times.append(0.0)
        fn()

    hooks.launch_enter_hook.add(enter)
    hooks.launch_exit_hook.add(leave)
    try:
        _repeat(call, milliseconds, grad_to_none)
    finally:
        hooks.launch_enter_hook.remove(enter)
        hooks.launch_exit_hook.remove(leave)
    return times


def _summary(times: Sequence[float], quantiles: Sequence[float] | None, return_mode: str) -> Any:
    ordered = sorted(times)
    if quantiles is not None:
        found = [_quantile(ordered, q) for q in quantiles]
        return found[0] if len(found) == 1 else found
    if return_mode == "all":
        return list(times)
    if return_mode == "median":
        return _quantile(ordered, 0.5)
    return sum(times) / len(times) if return_mode == "mean" else ordered[0 if return_mode == "min" else -1]


def _quantile(ordered: Sequence[float], q: float) -> float:
    """By linear interpolation."""
    if not 0 <= q <= 1:
        raise ValueError(f"quantiles lie between 0 and 1, got {q}")
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (at - low)) + ordered[high] * (at - low)


def assert_close(x: Any, y: Any, atol: float | None = None, rtol: float | None = None, err_msg: str = "") -> None:
    """Fail unless two arrays agree within atol (0.01 if None) plus rtol (0 if None) times the second."""
    import numpy as np

    a, b = _array(x), _array(y)
    atol = 1e-2 if atol is None else atol(b.dtype) if callable(atol) else atol
    rtol = 0.0 if rtol is None else rtol(b.dtype) if callable(rtol) else rtol
    if a.size > 1 or b.size > 1:
        np.testing.assert_allclose(a, b, atol=atol, rtol=rtol, equal_nan=True, err_msg=err_msg)
    elif not np.allclose(a, b, atol=atol, rtol=rtol, equal_nan=True):
        raise AssertionError(f"{err_msg} {a} is not close to {b} (atol={atol}, rtol={rtol})")


def _array(x: Any) -> Any:
    import numpy as np

    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    return np.asarray(x)


class Benchmark:
    """A plot of one figure: along x the values of some arguments, a line per value of another."""

    def __init__(
        self,
        x_names: Sequence[str],
        x_vals: Sequence[Any],
        line_arg: str,
        line_vals: Sequence[Any],
        line_names: Sequence[str],
        plot_name: str,
        args: dict[str, Any],
        xlabel: str = "",
        ylabel: str = "",
        x_log: bool = False,
        y_log: bool = False,
        styles: Any = None,
    ):
        self.x_names, self.x_vals, self.x_log = x_names, x_vals, x_log
        self.line_arg, self.line_vals, self.line_names = line_arg, line_vals, line_names
        self.y_log, self.styles, self.xlabel, self.ylabel = y_log, styles, xlabel, ylabel
        self.plot_name, self.args = plot_name, args


class Mark:
    """A function with benchmarks; `run` calls it for every point."""

    def __init__(self, fn: Callable[..., Any], benchmarks: Benchmark | Sequence[Benchmark]):
        self.fn, self.benchmarks = fn, benchmarks

    def run(self, show_plots: bool = False, print_data: bool = False, save_path: str = "", return_df: bool = False, **kwargs: Any) -> Any:
        """Measure all points; print, plot, save or return them."""
        benches = [self.benchmarks] if isinstance(self.benchmarks, Benchmark) else list(self.benchmarks)
        if save_path:
            os.makedirs(save_path, exist_ok=True)
        frames = []
        for bench in benches:
            names, rows = self._measure(bench, kwargs)
            if show_plots or save_path:
                _plot(bench, names, rows, save_path, show_plots)
            if save_path:
                _save(os.path.join(save_path, f"{bench.plot_name}.csv"), names, rows)
            if print_data:
                print(f"{bench.plot_name}:")
                print(_table(names, rows))
            frames.append(_frame(names, rows) if return_df else None)
        if return_df:
            return frames[0] if isinstance(self.benchmarks, Benchmark) else frames
        return None

    def _measure(self, bench: Benchmark, kwargs: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
        names = [*bench.x_names, *(f"{name}{f' ({bench.ylabel})' if bench.ylabel else ''}" for name in bench.line_names)]
        rows: list[list[Any]] = []
        limit, started, longest = config.sweep_seconds(), time.perf_counter(), 0.0
        for x in bench.x_vals:
            begun = time.perf_counter()
            if limit and rows and begun - started + longest > limit:
                print(f"{bench.plot_name}: {len(rows)} of {len(bench.x_vals)} points, {config.sweep_seconds.name}={limit}", file=sys.stderr)
                break
            point = list(x) if isinstance(x, tuple | list) else [x] * len(bench.x_names)
            if len(point) != len(bench.x_names):
                raise ValueError(f"{len(bench.x_names)} names for {len(point)} values: {x}")
            here = dict(zip(bench.x_names, point, strict=True))
            row = list(point)
            for value in bench.line_vals:
                found = self.fn(**here, **{bench.line_arg: value}, **bench.args, **kwargs)
                row.append(found[0] if isinstance(found, tuple | list) else found)
            rows.append(row)
            longest = max(longest, time.perf_counter() - begun)
        return names, rows


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [["", *names], *([str(i), *(f"{v:.6f}" if isinstance(v, float) else str(v) for v in row)] for i, row in enumerate(rows))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names) + 1)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _save(path: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with open(path, "w") as file:
        for row in [names, *rows]:
            file.write(",".join(map(str, row)) + "\n")


def _frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    import pandas

    return pandas.DataFrame(rows, columns=list(names))


def _plot(bench: Benchmark, names: Sequence[str], rows: Sequence[Sequence[Any]], save_path: str, show: bool) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return  # the figures are printed and saved as text all the same
    plt.figure()
    axes = plt.subplot()
    first = len(bench.x_names)
    for i, name in enumerate(bench.line_names):
        color, style = bench.styles[i] if bench.styles else (None, None)
        axes.plot([row[0] for row in rows], [row[first + i] for row in rows], label=name, color=color, ls=style)
    axes.legend()
    axes.set_xlabel(bench.xlabel or bench.x_names[0])
    axes.set_ylabel(bench.ylabel)
    axes.set_xscale("log" if bench.x_log else "linear")
    axes.set_yscale("log" if bench.y_log else "linear")
    if save_path:
        plt.savefig(os.path.join(save_path, f"{bench.plot_name}.png"))
    if show:
        plt.show()


def perf_report(benchmarks: Benchmark | Sequence[Benchmark]) -> Callable[[Callable[..., Any]], Mark]:
    """Mark a function as one to measure: `function.run(print_data=True)`."""
    return lambda fn: Mark(fn, benchmarks)


def get_dram_gbps(device: Any = None) -> float:
    """Bandwidth of the memory as the driver's figures give it, in GB/s."""
    from .runtime.driver import driver

    figures = driver.active.utils.get_device_properties(0)  # type: ignore[attr-defined]
    return figures["mem_clock_rate"] * figures["mem_bus_width"] * 2 / 1e6 / 8


def get_max_tensorcore_tflops(dtype: Any, clock_rate: float, device: Any = None) -> float:
    """What the cores can multiply and add, in TFLOPS, at a clock in kHz: 32 float32 per core and cycle."""
    return get_max_simd_tflops(dtype, clock_rate, device)


def get_max_simd_tflops(dtype: Any, clock_rate: float, device: Any = None) -> float:
    """As get_max_tensorcore_tflops."""
    from .backends.driver import cores

    return cores() * 32 * clock_rate * 1e3 / 1e12


def nvsmi(attrs: Sequence[str]) -> list[int]:
    """Nothing is known of a GPU here: zeros."""
    return [0] * len(attrs)


@contextmanager
def set_gpu_clock(ref_sm_clock: int = 1350, ref_mem_clock: int = 1215) -> Iterator[tuple[float, float]]:
    """Clocks stay as they are; gives (TFLOPS, GB/s)."""
    yield get_max_simd_tflops(None, ref_sm_clock * 1e3), get_dram_gbps()


def cuda_memcheck(**target_kwargs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leaves a test as it is: accesses out of bounds are errors here anyway."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> Any:
            return test(*args, **kwargs)

        return run

    return decorate
