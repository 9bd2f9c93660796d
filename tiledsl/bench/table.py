"""The tables that `python -m tiledsl bench` prints, in Markdown; and the same rows as CSV or JSON, and as a plot."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from . import kernels, latency, limits, peers
from .timing import Timing

LATENCY = "latency"
TITLES = {"numpy": "NumPy", "torch": "PyTorch", "inductor": "inductor", "numba": "numba", "jax": "JAX"}


def main(arguments: Sequence[str]) -> int:
    """Measure and print; rows appear as they are done."""
    options = _options(arguments)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; best (median) of interleaved runs\n")
    done: list[kernels.Row] = []
    if options.names != [LATENCY]:
        for threads in options.threads if options.backend == "cpu" else ():
            print(machine(limits.measured(threads)))
        columns = [name for name in peers.installed() if name in options.against]
        if options.against is not peers.PEERS:  # somebody asked for them
            print(*absent(options.against, columns), sep="", end="", file=sys.stderr)
        print("\n" + "\n".join(heading(columns)))
        for row in kernels.rows(options.names, options.threads, options.seconds, options.backend, columns):
            done.append(row)
            print(show(row, columns), flush=True)
    for path, write in ((options.csv, write_csv), (options.json, write_json), (options.plot, plot)):
        if path is not None:
            write(done, path)
    if not options.names or LATENCY in options.names:
        print("\n| waiting for | tiledsl | target | numba |\n| --- | ---: | ---: | ---: |")
        for wait in latency.rows(against=options.against):
            times = ["" if t is None else _short(t) for t in (wait.seconds, wait.limit, wait.numba)]
            print(f"| {' | '.join([wait.what, *times])} |", flush=True)
    return 0


def absent(asked: Sequence[str], columns: Sequence[str]) -> list[str]:
    """A line for every peer that is asked for and not there."""
    package = {"inductor": "torch"}
    return [f"{TITLES[n]} is not installed, so it is left out: pip install {package.get(n, n)}\n" for n in asked if n not in columns]


def machine(limit: limits.Limits) -> str:
    """What the machine can do, in one line."""
    threads = f"{limit.threads} thread{'s' * (limit.threads > 1)}"
    return f"- {threads}: {limit.flops / 1e9:.0f} GFLOP/s, {limit.read / 1e9:.1f} GB/s read, {limit.triad / 1e9:.1f} GB/s read and written"


def heading(columns: Sequence[str]) -> list[str]:
    """The two first lines of the table of kernels."""
    names = ["kernel", "shape", "threads", "tiledsl", "of the limit", *(TITLES[name] for name in columns), "best peer"]
    return [f"| {' | '.join(names)} |", "| --- | --- |" + " ---: |" * (len(names) - 2)]


def show(row: kernels.Row, columns: Sequence[str]) -> str:
    """One row in Markdown; a peer's cell says how many times as long it takes."""
    share = "" if row.share is None else f"{row.share:.0%}"
    ratios = [_ratio(row.ratio(name)) for name in columns]
    best = row.best()
    cells = [
        row.kernel,
        row.label,
        str(row.threads),
        _time(row.timings["tiledsl"]),
        share,
        *ratios,
        "" if best is None else f"**{best:.2f}**",
    ]
    return f"| {' | '.join(cells)} |"


def records(rows: Sequence[kernels.Row]) -> Iterator[dict[str, Any]]:
    """A flat record for every candidate of every row; times in seconds."""
    for row in rows:
        for name, timing in row.timings.items():
            yield {
                "kernel": row.kernel, "shape": row.label, "threads": row.threads, "candidate": name,
                "best": timing.best, "median": timing.median, "samples": timing.samples,
                "ratio": row.ratio(name), "share": row.share if name == "tiledsl" else None,
            }  # fmt: skip


def write_json(rows: Sequence[kernels.Row], path: Path) -> None:
    """The records as a list."""
    path.write_text(json.dumps(list(records(rows)), indent=1) + "\n")


def write_csv(rows: Sequence[kernels.Row], path: Path) -> None:
    """The records as lines."""
    with path.open("w", newline="") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(
            file, ["kernel", "shape", "threads", "candidate", "best", "median", "samples", "ratio", "share"]
        )
        writer.writeheader()
        writer.writerows(records(rows))


def plot(rows: Sequence[kernels.Row], path: Path) -> None:
    """The ratio of every peer, a bar each, as a picture; needs matplotlib."""
    pyplot = import_module("matplotlib.pyplot")
    names = [name for name in peers.PEERS if any(name in row.timings for row in rows)]
    figure, axes = pyplot.subplots(figsize=(8, 0.5 + 0.22 * len(rows) * max(len(names), 1)))
    for k, name in enumerate(names):
        at = [i + (k + 0.5) / (len(names) + 1) for i, row in enumerate(rows) if name in row.timings]
        axes.barh(at, [row.ratio(name) for row in rows if name in row.timings], 1 / (len(names) + 1), label=TITLES[name])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks([i + 0.5 for i in range(len(rows))], [f"{row.kernel} {row.label}, {row.threads}" for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("time of a peer / time of tiledsl")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _time(timing: Timing) -> str:
    unit, factor = ("ms", 1e3) if timing.best >= 1e-3 else ("us", 1e6)
    best, median = (f"{t * factor:.0f}" if t * factor >= 1000 else f"{t * factor:.3g}" for t in (timing.best, timing.median))
    return f"{best} ({median}) {unit}"


def _short(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e9:.0f} ns"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} threads measure nothing")
    return number


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    names = [sample.name for sample in kernels.timed()]
    parser = argparse.ArgumentParser("python -m tiledsl bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, everything if not given: {', '.join([*names, LATENCY])}"
    )
    parser.add_argument("--threads", type=_positive, nargs="+", default=[1, 2], metavar="N", help="numbers of threads (1 2)")
    parser.add_argument("--seconds", type=float, default=4.0, help="per row (%(default)s)")
    against = f"of {', '.join(peers.PEERS)}: those that are installed; all if not given"
    parser.add_argument("--against", nargs="+", choices=peers.PEERS, default=peers.PEERS, metavar="PEER", help=against)
    parser.add_argument("--backend", default="cpu", help="(%(default)s)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the ratios there; needs matplotlib")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in [*names, LATENCY]:
            parser.error(f"there is nothing called {name!r} to measure; there is {', '.join([*names, LATENCY])}")
    return options
