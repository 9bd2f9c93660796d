"""The harness of `python -m tiledsl bench`: candidates take turns, and a row says what was measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tiledsl.bench import cold, kernels, latency, launches, limits, peers, table, timing
from tiledsl.bench.timing import Timing, compare
from tiledsl.kernels.sample import Work


class PlainNumba:
    """numba's names without its compiler: the functions as Python runs them, which takes no time to compile."""

    prange = range

    @staticmethod
    def njit(function=None, **options):  # type: ignore[no-untyped-def]
        return function if function is not None else lambda function: function


def test_candidates_take_turns() -> None:
    order: list[str] = []

    def candidate(name: str, seconds: float) -> None:
        order.append(name)
        time.sleep(seconds)

    found = compare({"a": lambda: candidate("a", 0.002), "b": lambda: candidate("b", 0.004)}, seconds=0.05, pause=0)
    turns = order[order.index("b") + 6 :]  # after three calls to warm up and three to measure
    assert turns[:6] == ["a", "b", "a", "b", "a", "b"]
    assert 0.002 <= found["a"].best <= found["a"].median and 0.004 <= found["b"].best
    assert found["a"].samples == found["b"].samples >= 5


def test_a_row_holds_times_and_ratios() -> None:
    timings = {"tiledsl": Timing(0.002, 0.003, 9), "numpy": Timing(0.006, 0.007, 9), "numba": Timing(0.003, 0.004, 9)}
    row = kernels.Row("softmax", {"rows": 2}, 1, timings, 0.75)
    assert table._time(Timing(9e-4, 1.84e-3, 9)) == "900 (1840) us"
    assert table.show(row, ["numpy", "torch", "numba"]) == "| softmax | rows=2 | 1 | 2 (3) ms | 75% | 3.00 |  | 1.50 | **1.50** |"
    assert len(table.heading(["numpy", "torch", "numba"])[0].split("|")) == len(table.show(row, ["numpy", "torch", "numba"]).split("|"))


def test_rows_are_written_as_csv_and_json(tmp_path: Path) -> None:
    rows = [kernels.Row("softmax", {"rows": 2}, 1, {"tiledsl": Timing(0.002, 0.003, 9), "numpy": Timing(0.006, 0.007, 9)}, 0.75)]
    table.write_csv(rows, tmp_path / "rows.csv")
    table.write_json(rows, tmp_path / "rows.json")
    found = json.loads((tmp_path / "rows.json").read_text())
    assert [one["candidate"] for one in found] == ["tiledsl", "numpy"] and found[1]["ratio"] == pytest.approx(3)
    with (tmp_path / "rows.csv").open() as file:
        assert [one["best"] for one in csv.DictReader(file)] == ["0.002", "0.006"]


def test_the_machine_has_limits() -> None:
    """And a kernel's share of them is that of the nearer one."""
    limit = limits.measured(1, 1)
    assert 1e9 < limit.flops < 1e13 and 1e8 < limit.read < 1e12 and 1e8 < limit.triad < 1e12
    limit = limits.Limits(1, flops=1e11, read=2e10, triad=1e10)
    assert limit.share(Work(flops=1e9, bytes=1e6), 0.02) == pytest.approx(0.5)
    assert limit.share(Work(flops=1e3, bytes=1e8), 0.02) == pytest.approx(0.5)
    assert limit.share(Work(bytes=1e8, reads_only=True), 0.02) == pytest.approx(0.25)
    assert limit.share(Work(bytes=1e6), 0.02) is None  # it may have stayed in a cache


def test_a_peer_is_asked_for_nothing_that_it_does_not_know() -> None:
    [sample] = [s for s in kernels.timed() if s.name == "attention"]
    arrays, settings = sample.inputs(np.random.default_rng(0), 1, 16, 16, causal=True, blocks=(16, 16))
    result = sample.run(*arrays, **settings, backend="cpu")
    assert {name for name, _ in peers.candidates(sample, arrays, settings, result, 1, ["numpy", "numba"])} == set()


def test_every_kernel_of_the_table_runs_next_to_its_rivals() -> None:
    for sample in kernels.timed():
        small = {name: min(extent, 64) if isinstance(extent, int) else extent for name, extent in sample.timed[0].items()}
        found = kernels.measure(sample, small, 1, 0.0, against=("numpy", "torch"))
        assert {"tiledsl", *(set(sample.rivals) & set(peers.installed()) - {"numba", "jax"})} == set(found)


def test_peers_compute_the_same() -> None:
    """What is timed is the kernel's own result, as far as peers write it where it can be read."""
    for sample in kernels.timed():
        arrays, settings = sample.inputs(np.random.default_rng(0), **sample.tests[-1])
        if any(a.dtype.name not in ("float32", "int32", "int64") for a in arrays):
            continue
        result = sample.run(*arrays, **settings, backend="cpu")
        several = result if isinstance(result, tuple) else (result,)
        asked = {name: value for name, value in settings.items() if name not in sample.tuning}
        if "numba" in sample.rivals and peers.accepts(sample.rivals["numba"], asked):
            out = [np.zeros_like(r) for r in several]
            sample.rivals["numba"](PlainNumba, **asked)(*arrays, *out)
            for x, y in zip(several, out, strict=True):
                np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-4, err_msg=sample.name)


@pytest.mark.parametrize("name", cold.SHAPES)
def test_what_numba_compiles_is_the_same_function(name: str) -> None:
    [sample] = [s for s in kernels.timed() if s.name == name]
    small = {axis: min(extent, 9) for axis, extent in cold.SHAPES[name].items()}
    arrays, settings = sample.inputs(np.random.default_rng(0), **small)
    exact = sample.reference(*arrays, **settings)
    out = np.full(exact.shape, np.nan, np.float32)
    (cold.RIVALS.get(name) or sample.rivals["numba"])(PlainNumba)(*arrays, out)
    np.testing.assert_allclose(out, exact, rtol=1e-4, atol=1e-4)


def test_waiting_is_measured_next_to_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for everything that has a target, and numba's time where numba does the same."""
    monkeypatch.setattr(latency, "_best", lambda words, processes, variables=None: 0.5 if "numba" in words else 0.02)
    monkeypatch.setattr(launches, "measured", lambda given, repetitions=0, calls=0: {name: 1e-7 for name in given})
    found = {row.what: row for row in latency.rows()}
    assert found["softmax, compiled and run"] == latency.Latency("softmax, compiled and run", 0.02, 0.025, 0.5)
    assert found["a launch with NumPy arrays"].numba == 1e-7 and found["handing an empty grid to two threads"].seconds == 0
    assert all(row.numba is None for row in latency.rows(against=("torch",)))


def test_bench_is_a_command() -> None:
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-m", "tiledsl"], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0
    assert "bench [KERNEL...]" in ran.stdout


def test_one_slow_call_does_not_shorten_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([timing.LEAST, timing.LEAST / 100, timing.LEAST / 100])
    monkeypatch.setattr(timing, "_sample", lambda run, calls: next(taken))
    assert timing._calls(lambda: None) == 100


def test_no_threads_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table._options(["softmax", "--threads", "0"])
    assert "0 threads measure nothing" in capsys.readouterr().err


def test_a_peer_that_cannot_be_held_to_the_threads_is_left_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (sample,) = [one for one in kernels.timed() if one.name == "matmul"]
    arrays, settings = sample.inputs(np.random.default_rng(0), m=2, n=3, k=4)
    result = sample.run(*arrays, **settings)

    def found(threads: int) -> list[str]:
        return [name for name, _ in peers.candidates(sample, arrays, settings, result, threads, ["numpy"])]

    monkeypatch.setattr(peers, "processors", lambda: 2)
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert (found(1), found(1), found(2)) == ([], [], ["numpy"])
    assert capsys.readouterr().out.count("threadpoolctl") == 1  # said once
    monkeypatch.setattr(peers, "find_spec", lambda name: name)
    assert found(1) == ["numpy"]
