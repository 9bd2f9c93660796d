"""`python -m tiledsl sweep`: which machines, which kernels, who computes; a table and a plot of what came out."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ..backends.npu.machine import PRESETS
from ..errors import LaunchError
from ..kernels.arrays import FLOATS
from .named import machine_named
from .sweep import Here, Point, front, run, varied
from .workloads import PHASES, chosen


def options_of(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """What the user asks for."""
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help="files, presets or backends; all presets if none is named")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=VALUE,...",
        help="these values instead; keys joined by + change together",
    )
    parser.add_argument("--phases", nargs="+", default=[], metavar="PHASE", help=f"{', '.join(PHASES)}; all if none is named")
    parser.add_argument("--dtype", default="f16", choices=FLOATS, help="of weights and activations (%(default)s)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes; 0: this one (%(default)s)")
    parser.add_argument("--dask", metavar="ADDRESS", help="a dask scheduler whose workers compute, instead of processes here")
    parser.add_argument("--results", type=Path, metavar="FILE.jsonl", help="keep what is measured; what is there is not measured again")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of time, energy and area; needs matplotlib")
    return parser.parse_args(arguments)


def main(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    for wanted, module in ((options.dask, "distributed"), (options.plot, "matplotlib")):
        if wanted and find_spec(module) is None:
            raise LaunchError(f"this needs {module}, which is not installed", help="pip install 'tiledsl[sweep]'")
    if options.jobs < 0:
        raise LaunchError(f"--jobs is {options.jobs}", help="how many processes; 0 for this one")
    if options.plot is not None:
        _require_picture(options.plot)
    machines = varied([machine_named(name) for name in options.machines or PRESETS], [axis(text) for text in options.vary])
    phases = chosen(options.phases, options.dtype)
    with executor(options) as pool, progress() as told:
        points = run(machines, phases, pool, options.results, told)
    print(table(points))
    if options.plot is not None:
        plot(points, options.plot)
        print(options.plot)
    return 1 if any(p.error for p in points) else 0


def axis(text: str) -> tuple[list[str], list[Any]]:
    """The keys and values of `spm.bytes=65536,131072`."""
    keys, _, values = text.partition("=")
    try:
        listed = list(tomllib.loads(f"values = [{values}]")["values"])
    except tomllib.TOMLDecodeError:
        listed = []
    if not listed:
        raise LaunchError(f"--vary {text}: the values are no list", help="--vary spm.bytes=65536,131072")
    return keys.split("+"), listed


@contextmanager
def executor(options: argparse.Namespace) -> Iterator[Executor]:
    """Who computes."""
    if options.dask:
        try:
            client = import_module("distributed").Client(options.dask)
        except (OSError, ValueError) as error:
            raise LaunchError(f"--dask {options.dask}: {error}", help="the address that `dask scheduler` prints, tcp://host:8786") from None
        try:
            yield client.get_executor()
        finally:
            client.close()
    elif options.jobs == 0:
        yield Here()
    else:
        with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
            yield pool


@contextmanager
def progress() -> Iterator[Any]:
    """A line about how far it is: the same one again on a terminal."""
    alone = sys.stderr.isatty()

    def told(line: str) -> None:
        print(f"\r\033[K{line}" if alone else line, end="" if alone else "\n", file=sys.stderr, flush=True)

    yield told
    if alone:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


# --- what came out -----------------------------------------------------------------------------------------------------

COLUMNS = ("machine", "MAC/cycle", "on chip", "GB/s", "cycles", "time", "energy", "area", "matrix", "DRAM", "best")


def table(points: Sequence[Point]) -> str:
    """A table for each phase, in Markdown, the fastest machine first; `best` marks those that no other is better than in time, energy
    and area at once."""
    lines = []
    for phase in dict.fromkeys(p.phase for p in points):
        here = [p for p in points if p.phase == phase]
        best = front(here)
        lines += [f"\n{phase}\n", f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
        for p in sorted(here, key=lambda p: (bool(p.error), p.seconds)):
            m = p.machine
            about = [m.name, f"{m.macs * m.cores}", f"{(m.spm_bytes + m.acc_bytes) * m.cores >> 10} KiB", f"{m.dram_gbytes:g}"]
            if p.error:
                lines.append(f"| {' | '.join(about)} | does not run: {p.error} |")
                continue
            found = [f"{p.cycles:,}", _short(p.seconds, "s"), _short(p.joules, "J"), f"{p.area:.3g} mm2"]
            lines.append(f"| {' | '.join([*about, *found, f'{p.products:.0%}', f'{p.bandwidth:.0%}', '*' if p in best else ''])} |")
    return "\n".join(lines)


LISTED = 16  # names that a picture has room for
TICKS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of a decade


def plot(points: Sequence[Point], path: Path) -> None:
    """Time over area, a picture for each phase; colour is energy, a ring marks the best, and a line what time so much area buys. Machines
    have numbers, which a list below explains; where there are many, the best have."""
    pyplot, ticker = import_module("matplotlib.pyplot"), import_module("matplotlib.ticker")
    phases = list(dict.fromkeys(p.phase for p in points if not p.error))
    best = [p for phase in phases for p in front([p for p in points if p.phase == phase])]
    named = list(dict.fromkeys(p.machine.name for p in points))
    if len(named) > LISTED:
        named = [name for name in named if any(p.machine.name == name for p in best)]
    columns = min(max(len(phases), 1), 2)
    rows = -(-len(phases) // columns) or 1
    below = 0.4 + 0.17 * len(named)  # inches
    figure, grid = pyplot.subplots(rows, columns, figsize=(6.5 * columns, 4.5 * rows + below), squeeze=False)
    for axes in grid.flat[len(phases) :]:
        axes.set_visible(False)
    for axes, phase in zip(grid.flat, phases, strict=False):
        here = sorted((p for p in points if p.phase == phase and not p.error), key=lambda p: (p.area, p.seconds))
        ringed = [p for p in here if p in best]
        fastest = [p.seconds for p in here]
        bought = [min(fastest[: i + 1]) for i in range(len(here))]
        energy = [p.joules for p in here]
        shown = axes.scatter([p.area for p in here], fastest, c=energy, norm="log", zorder=2)
        axes.scatter([p.area for p in ringed], [p.seconds for p in ringed], s=90, facecolors="none", edgecolors="black", linewidths=0.8)
        axes.step([p.area for p in here], bought, where="post", color="grey", linewidth=0.8, zorder=1)
        for p in here:
            if p.machine.name in named:
                number = str(named.index(p.machine.name) + 1)
                axes.annotate(number, (p.area, p.seconds), fontsize=8, xytext=(6, 4), textcoords="offset points")
        axes.set(title=phase, xlabel="area in mm2", ylabel="time", xscale="log", yscale="log")
        for axis, unit in ((axes.xaxis, ""), (axes.yaxis, "s")):
            axis.set_major_locator(ticker.LogLocator(subs=TICKS))
            axis.set_major_formatter(ticker.EngFormatter(unit))
            axis.set_minor_formatter(ticker.NullFormatter())
        scale = figure.colorbar(shown, ax=axes, label="energy", ticks=sorted({min(energy), max(energy)}))
        scale.ax.yaxis.set_major_formatter(ticker.EngFormatter("J"))
        scale.ax.yaxis.set_minor_locator(ticker.NullLocator())
    figure.tight_layout(rect=(0, below / figure.get_figheight(), 1, 1))
    figure.text(0.02, 0.01, "\n".join(f"{n}  {name}" for n, name in enumerate(named, 1)), fontsize=8, va="bottom", family="monospace")
    figure.savefig(path)
    pyplot.close(figure)


def _require_picture(path: Path) -> None:
    """Refuse where no picture can be written, before anything is measured."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    known = import_module("matplotlib.backend_bases").FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:] not in known:
        raise LaunchError(f"--plot {path}: there is no format `{path.suffix[1:]}`", help=f"one of {', '.join(known)}")
    path.touch()


def _short(value: float, unit: str) -> str:
    """A number with a prefix."""
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n")):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
