"""Sweeps: every machine and phase is measured once, by any executor; the best are those that nothing beats."""

from __future__ import annotations

import json
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiledsl.__main__ import main
from tiledsl.backends.npu.machine import T1_BASE, find
from tiledsl.errors import LaunchError
from tiledsl.explore import command
from tiledsl.explore.command import axis, plot, table
from tiledsl.explore.sweep import Here, Point, front, kept, key_of, measure, run, varied
from tiledsl.explore.workloads import PHASES, Step, chosen, sample
from tiledsl.kernels.softmax import softmax_kernel

EDGE = find("edge")
TINY = {"rows": (Step("softmax", {"rows": 4, "columns": 64}),), "product": (Step("matmul", {"m": 8, "n": 8, "k": 8}),)}


class Counting(Here):
    """How often something was submitted."""

    count = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        return super().submit(fn, *args, **kwargs)


def test_a_measurement_is_what_a_launch_reports() -> None:
    (found,) = measure(EDGE, TINY["rows"])
    (x,), _ = sample("softmax").inputs(np.random.default_rng(0), rows=4, columns=64)
    report = softmax_kernel[(4,)](np.empty_like(x), x, 64, BLOCK=64, backend="npu:edge").report
    assert (found["cycles"], found["seconds"]) == (report.cycles, report.seconds)
    assert found["joules"] == sum(report.details["energy"].values()) and found["dram_bytes"] == report.details["dram_bytes"]


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    results, heard, machines = tmp_path / "sweep.jsonl", [], [T1_BASE, EDGE]
    first = run(machines[:1], TINY, Here(), results, heard.append)
    results.write_text(results.read_text() + '{"key": "cut o')  # whoever wrote this was ended
    counting = Counting()
    points = run(machines, TINY, counting, results, heard.append)
    assert counting.count == 2 and points[:2] == first and [p.machine.name for p in points] == ["t1-base"] * 2 + ["edge"] * 2
    assert "2 of 4 were measured before" in heard and heard[-1].startswith("4 of 4: edge, ")
    assert len(list(kept(results))) == 4
    again = run(machines, TINY, counting, results)
    assert counting.count == 2 and again == points
    assert key_of(EDGE.but(lanes=99), "rows", TINY["rows"]) != key_of(EDGE, "rows", TINY["rows"])


def test_what_fails_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(StopIteration):  # there is no such kernel
        run([EDGE], {"none": (Step("none", {}),)}, Here())
    began = Counting()
    with pytest.raises(FileNotFoundError):
        run([EDGE], TINY, began, tmp_path / "nowhere" / "sweep.jsonl")
    assert began.count == 0


def test_what_was_done_before_a_failure_is_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(StopIteration):
        run([EDGE], {**TINY, "none": (Step("none", {}),)}, pool, tmp_path / "sweep.jsonl")
    assert len(list(kept(tmp_path / "sweep.jsonl"))) == 2


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("\n# mine\n")
    with pytest.raises(LaunchError, match="notes.md:2 is no result of a sweep"):
        run([EDGE], TINY, Here(), tmp_path / "notes.md")
    assert (tmp_path / "notes.md").read_text() == "\n# mine\n"


def test_threads_measure_the_same() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert run([T1_BASE, EDGE], TINY, pool) == run([T1_BASE, EDGE], TINY, Here())


def test_a_machine_that_does_not_run_a_kernel_is_told_of(tmp_path: Path) -> None:
    small = T1_BASE.but(name="small", program_words=16)
    points = run([small, EDGE], {"rows": TINY["rows"]}, Here())
    assert "this machine holds 16" in points[0].error and points[1].error == ""
    assert front(points) == points[1:] and "| small | 4096 | 5120 KiB | 64 | does not run: softmax rows=4" in table(points)


def test_the_best_are_those_that_nothing_beats() -> None:
    def at(seconds: float, joules: float, spm: int) -> Point:
        return Point(T1_BASE.but(spm_bytes=spm), "rows", 1, seconds, joules)

    fast, frugal, small = at(1, 5, 9), at(5, 1, 9), at(5, 5, 1)
    assert front([fast, frugal, small, at(5, 5, 9), at(1, 6, 9)]) == [fast, frugal, small]
    assert front([fast, at(1, 5, 9)]) == [fast, at(1, 5, 9)]  # equals do not beat each other


def test_axes_make_machines() -> None:
    found = varied([EDGE], [axis("spm.bytes=65536,131072"), axis("matrix.rows+matrix.cols=4,8"), axis("matrix.rate.f16=1")])
    assert [(m.spm_bytes >> 10, m.matrix_rows, m.matrix_columns) for m in found] == [(64, 4, 4), (64, 8, 8), (128, 4, 4), (128, 8, 8)]
    assert all(m.multiplies("f16") and m.memories["spm"] == m.spm_bytes for m in found) and not EDGE.multiplies("f16")
    assert found[0].name == "edge spm.bytes=65536 matrix.rows+matrix.cols=4 matrix.rate.f16=1"
    assert varied([EDGE], []) == [EDGE]
    with pytest.raises(LaunchError, match="there is no key `spm.bites`"):
        varied([EDGE], [axis("spm.bites=1")])
    with pytest.raises(LaunchError, match="matrix.rows is 4 and matrix.cols is 0"):
        varied([find("vector-only")], [axis("matrix.rows=4")])
    with pytest.raises(LaunchError, match="the values are no list"):
        axis("spm.bytes=[")


def test_every_phase_is_made_of_kernels_that_take_its_shapes() -> None:
    for steps in chosen([], "f16").values():
        for step in steps:
            sample(step.kernel).inputs(np.random.default_rng(0), **step.shape)
    assert set(PHASES) == {"decode", "prefill", "forward", "backward"}
    with pytest.raises(LaunchError, match="there is no phase `decod`"):
        chosen(["decod"], "f16")


def test_the_command_prints_a_table_and_keeps_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "sweep.jsonl"
    asked = ["sweep", "t1-base", "--vary", "vector.lanes=64", "--phases", "decode", "--results", str(results)]
    assert main([*asked, "--jobs", "1"]) == 0  # in a process of its own
    said = capsys.readouterr()
    assert "| t1-base vector.lanes=64 | 4096 | 5120 KiB | 64 | " in said.out and "1 of 1: " in said.err
    assert {json.loads(line)["machine"] for line in results.read_text().splitlines()} == {"t1-base vector.lanes=64"}
    assert main([*asked, "--jobs", "0"]) == 0
    assert capsys.readouterr().out == said.out


def test_what_is_not_installed_is_said_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert main(["sweep", "edge", "--plot", "sweep.png"]) == 1
    assert "matplotlib, which is not installed" in capsys.readouterr().err


def test_arguments_that_cannot_be_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "edge", "--jobs", "-1"]) == 1
    assert "--jobs is -1" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_picture_that_cannot_be_written_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, message in (("sweep.xyz", "there is no format `xyz`"), ("nowhere/sweep.png", "No such file or directory")):
        assert main(["sweep", "edge", "--plot", str(tmp_path / name)]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    points = run([T1_BASE, EDGE], TINY, Here())
    plot([*points, Point(EDGE, "rows", error="does not run")], tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(find_spec("distributed") is None, reason="dask is not installed")
def test_workers_of_a_cluster_measure_the_same(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            executor: Executor = client.get_executor()
            assert run([T1_BASE, EDGE], TINY, executor, tmp_path / "sweep.jsonl") == run([T1_BASE, EDGE], TINY, Here())
        assert main(["sweep", "edge", "--phases", "decode", "--dask", cluster.scheduler_address]) == 0


def test_without_memory_and_issue_everything_is_faster() -> None:
    points = run([find("ideal"), T1_BASE], {"prefill": chosen(["prefill"], "f16")["prefill"][:2]}, Here())
    assert 2 * points[0].cycles < points[1].cycles


@pytest.mark.parametrize("text", ["matrix.rows", "matrix.rows=", "matrix.rows=16,,"])
def test_a_key_without_values_is_refused(text: str) -> None:
    with pytest.raises(LaunchError, match="the values are no list"):
        axis(text)
