"""The table that `python -m tiledsl bench` prints, in Markdown."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence

from . import kernels, latency
from .timing import Timing

CANDIDATES = ("tiledsl", "numpy", "torch")
LATENCY = "latency"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; rows appear as they are done."""
    options = _options(arguments)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; best (median) of interleaved runs\n")
    if options.names != [LATENCY]:
        print("| kernel | shape | threads | tiledsl | NumPy | PyTorch | NumPy / tiledsl | PyTorch / tiledsl |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for row in kernels.rows(options.names, options.threads, options.seconds, options.backend):
            print(show(row), flush=True)
    if not options.names or LATENCY in options.names:
        print("\n| waiting for | best | limit |\n| --- | ---: | ---: |")
        for wait in latency.rows():
            limit = "" if wait.limit is None else _short(wait.limit)
            print(f"| {wait.what} | {_short(wait.seconds)} | {limit} |", flush=True)
    return 0


def show(row: kernels.Row) -> str:
    """One row in Markdown."""
    ours = row.timings["tiledsl"]
    times = [_time(row.timings.get(name)) for name in CANDIDATES]
    ratios = [f"{row.timings[name].best / ours.best:.2f}" if name in row.timings else "-" for name in CANDIDATES[1:]]
    return f"| {' | '.join([row.kernel, row.shape, str(row.threads), *times, *ratios])} |"


def _time(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    unit, factor = ("ms", 1e3) if timing.best >= 1e-3 else ("us", 1e6)
    return f"{timing.best * factor:.3g} ({timing.median * factor:.3g}) {unit}"


def _short(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e9:.0f} ns"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    names = [sample.name for sample in kernels.samples()]
    parser = argparse.ArgumentParser("python -m tiledsl bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names, LATENCY, []], help="what to measure; everything if not given")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=4.0, help="per row")
    parser.add_argument("--backend", default="cpu")
    return parser.parse_args(arguments)
