"""Where the cycles of a launch went: every one is accounted for, the critical path has no gaps, and people can read it."""

import gzip
import html
import json
import re

import numpy as np
import pytest
from test_npu_events import mixed

import tiledsl
import tiledsl.language as tl
from tiledsl.backends.npu.machine import T1_BASE
from tiledsl.backends.npu.timing import QUEUE_NAMES, Tasks, Timed
from tiledsl.backends.npu.timing.path import critical_path
from tiledsl.backends.npu.timing.slices import slices
from tiledsl.backends.npu.timing.tasks import KIND_TRANSFER


@tiledsl.jit
def halve(out, x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + at, mask=at < n)
    tl.store(out + at, values / 2, mask=at < n)


@pytest.fixture(scope="module")
def profile():
    x = np.arange(2000, dtype=np.float32)
    out = np.zeros_like(x)
    made = halve.profile(out, x, 2000, BLOCK=256, grid=(8,))
    np.testing.assert_array_equal(out, x / 2)
    return made


def run(seed=0, programs=11, cores=3, record=True):
    classes = [mixed(seed + n, 150) for n in range(2)]
    return Timed(classes, [n % 2 for n in range(programs)], cores, 24.0, record=record), classes


def test_every_cycle_of_a_queue_has_a_reason():
    for seed in range(5):
        timed, classes = run(seed)
        rows = slices(timed, classes)
        ends = timed.ends[timed.firsts[1:] - 1]
        assert abs(timed.busy[0] + timed.waited[0].sum() + timed.full.sum() - ends.sum()) < 1e-3
        for queue in np.unique(rows.queue)[1:]:
            mine = rows.queue == queue
            done = sum(rows.freed[mine & (rows.core == core)].max() for core in range(3))
            assert abs(timed.busy[queue] + timed.waited[queue].sum() - done) < 1e-3, QUEUE_NAMES[int(queue)]


def test_the_critical_path_has_no_gaps():
    for seed in range(10):
        timed, classes = run(seed)
        path = critical_path(timed, classes)
        assert path[0].start == 0 and path[-1].stop == timed.cycles
        assert all(a.stop == b.start and a.start < a.stop for a, b in zip(path, path[1:], strict=False))


def test_shortening_what_is_not_on_the_critical_path_gains_nothing():
    tasks = Tasks(T1_BASE)
    load = tasks.add("L", kind=KIND_TRANSFER, own=1000, moved=1000, latency=100, note=0)
    tasks.add("V", 500, note=1)
    tasks.add("M", 70, after=(load,), note=2)
    timed = Timed([tasks.finish()], [0], 1, 0.5, record=True)
    said = [(link.task, link.what, link.stop - link.start) for link in critical_path(timed, [tasks])]
    assert said == [(0, "issue", 1), (0, "work", 1000), (0, "bandwidth", 1000), (0, "latency", 100), (2, "work", 70)]


def test_what_is_not_kept_is_said():
    timed, classes = run(record=700)
    rows = slices(timed, classes)
    assert len(rows) == 4 * 151
    path = critical_path(timed, classes)
    assert {"not recorded", "work"} <= {link.what for link in path}
    assert abs(sum(link.stop - link.start for link in path) - timed.cycles) < 1e-6
    whole, _ = run(record=True)
    np.testing.assert_array_equal(timed.ends, whole.ends)


def test_a_profile_is_that_of_the_launch(profile):
    x, out = np.arange(2000, dtype=np.float32), np.zeros(2000, np.float32)
    launched = halve[(8,)](out, x, 2000, BLOCK=256, backend="npu")
    assert int(profile.cycles) == launched.report.cycles and launched.report.profile is None
    assert profile.limits.moved == launched.report.details["dram_bytes"]
    assert profile.energy == launched.report.details["energy"]
    assert {engine.name[0] for engine in profile.engines} == set("SLWV")
    assert sum(line.instructions for line in profile.by_line) == launched.report.details["instructions"]
    assert abs(sum(line.critical for line in profile.by_line) - profile.timed.cycles) < 1e-6


def test_its_text_names_the_lines_and_the_limit(profile):
    text = str(profile)
    assert "halve on t1-base: 8 x 1 x 1 programs in 4 runs on 4 cores" in text and "bound by DRAM" in text
    assert re.search(r"test_npu_profile.py:\d+  values = tl.load\(x \+ at, mask=at < n\)", text)
    assert re.search(r"energy: [0-9.]+ uJ \(dram \d+%", text)


def test_another_machine_may_be_named():
    x = np.zeros(64, np.float32)
    made = halve.profile(x, x, 64, BLOCK=64, grid=(1,), backend="npu:edge")
    assert made.machine.name == "edge" and "halve on edge" in str(made)


def test_a_trace_has_a_line_on_every_slice_and_slices_that_nest(profile, tmp_path):
    made = json.loads(gzip.decompress(profile.trace(tmp_path / "x.json.gz").read_bytes()))
    plain = json.loads(profile.trace(tmp_path / "x.json").read_text())
    assert made == plain
    slices_ = [event for event in made["traceEvents"] if event["ph"] == "X"]
    assert len(slices_) == sum(len(c) * n for c, n in zip(profile.classes, profile.runs_of, strict=True))
    assert all({"line", "source", "instruction", "pc", "run"} <= set(event["args"]) for event in slices_)
    ends = {}
    for event in sorted(slices_, key=lambda event: event["ts"]):
        lane = event["pid"], event["tid"]
        assert event["ts"] >= ends.get(lane, 0) - 1e-5 and event["dur"] >= 0
        ends[lane] = event["ts"] + event["dur"]
    begun = {event["id"]: event["ts"] for event in made["traceEvents"] if event["ph"] == "s"}
    ended = {event["id"]: event["ts"] for event in made["traceEvents"] if event["ph"] == "f"}
    assert begun.keys() == ended.keys() and all(begun[number] <= ended[number] for number in begun)
    rates = [event["args"]["GB/s"] for event in made["traceEvents"] if event["ph"] == "C" and "GB/s" in event["args"]]
    assert 0 < max(rates) <= 64.001 and rates[-1] == 0


def test_a_page_needs_nothing_else(profile, tmp_path):
    text = profile.html(tmp_path / "x.html").read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text).group(1))
    assert len(data["start"]) == len(data["lane"]) == len(profile.slices) and data["all"]
    assert html.escape(str(profile)) in text and "@" not in re.sub(r"<pre>.*?</pre>|<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=|https?://|@import|url\(", text)


def test_who_counts_no_cycles_has_no_profile():
    x = np.zeros(64, np.float32)
    with pytest.raises(tiledsl.LaunchError, match="`cpu` counts no cycles"):
        halve.profile(x, x, 64, BLOCK=64, grid=(1,), backend="cpu")
    with pytest.raises(tiledsl.LaunchError, match="without programs"):
        halve.profile(x, x, 64, BLOCK=64, grid=(0,))


def test_a_tuned_kernel_has_a_profile():
    x = np.zeros(64, np.float32)
    tuned = tiledsl.autotune([tiledsl.Config({"BLOCK": 64})], key=["n"])(halve)
    assert tuned.profile(x, x, 64, grid=(1,)).kernel == "halve"
