"""The harness of `python -m tiledsl bench`: candidates take turns, and a row says what was measured."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tiledsl.bench import kernels, table
from tiledsl.bench.timing import Timing, compare


def test_candidates_take_turns() -> None:
    order: list[str] = []

    def candidate(name: str, seconds: float) -> None:
        order.append(name)
        time.sleep(seconds)

    found = compare({"a": lambda: candidate("a", 0.002), "b": lambda: candidate("b", 0.004)}, seconds=0.05, pause=0)
    turns = order[order.index("b") + 4 :]  # after three calls to warm up and one to measure
    assert turns[:6] == ["a", "b", "a", "b", "a", "b"]
    assert 0.002 <= found["a"].best <= found["a"].median and 0.004 <= found["b"].best
    assert found["a"].samples == found["b"].samples >= 5


def test_a_row_holds_times_and_ratios() -> None:
    row = kernels.Row("softmax", "rows=2", 1, {"tiledsl": Timing(0.002, 0.003, 9), "numpy": Timing(0.006, 0.007, 9)})
    assert table.show(row) == "| softmax | rows=2 | 1 | 2 (3) ms | 6 (7) ms | - | 3.00 | - |"


def test_every_kernel_of_the_table_runs_next_to_its_rivals() -> None:
    for sample in kernels.samples():
        small = {name: min(extent, 64) for name, extent in sample.timed[0].items()}
        assert {"tiledsl", *sample.rivals} - {"torch"} <= set(kernels.measure(sample, small, 1, 0.0))


def test_bench_is_a_command() -> None:
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-m", "tiledsl"], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0
    assert "bench [kernels...]" in ran.stdout
