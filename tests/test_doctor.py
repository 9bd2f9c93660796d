"""The doctor: slow ways come from the compiler, and what mends them from better machines that were compiled for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tiledsl.__main__ import main
from tiledsl.backends.npu.machine import T1_BASE, Npu, find
from tiledsl.explore.changes import best, changed, changes, doubled, mend, reads
from tiledsl.explore.doctor import examine, told

EDGE = find("edge")


def mended(machine: Npu, works: Callable[[Npu], bool]) -> list[str]:
    values = mend(machine, works, works)
    return ["nothing"] if values is None else [str(change) for change in changes(machine, values)]


def test_the_least_change_is_found() -> None:
    assert mended(EDGE, lambda m: m.spm_bytes >= 100_000) == ["spm.bytes = 131_072 (now 65_536)"]
    assert mended(EDGE, lambda m: m.dram_latency <= EDGE.dram_latency // 3) == ["dram.latency_cycles = 30 (now 120)"]
    assert mended(EDGE, lambda m: m.multiplies("bf16")) == ["matrix.rate.bf16 = 1 (now 0)"]
    assert mended(EDGE, lambda m: m.spm_bytes > 1 << 40) == ["nothing"]


def test_what_goes_together_is_found_together() -> None:
    found = mended(find("vector-only"), lambda m: m.acc_bytes > 0 and m.multiplies("f32"))
    assert [text.partition(" ")[0] for text in found] == ["matrix.rate.f32", "acc.bytes", "matrix.rows", "matrix.cols"]
    assert "matrix.rows = 32 (now 0)" in found  # as much as t1-base has


def test_better_is_said_by_the_declarations() -> None:
    values = best(T1_BASE)
    assert values["spm_bytes"] > T1_BASE.spm_bytes and values["dma_setup"] == 0 and values["burst"] == 1
    assert not {"watchdog", "name", "word_bits"} & values.keys() and "vector_shares" not in values  # it is at its best
    assert changed(T1_BASE, {"dma_setup": 0}) == T1_BASE.but(dma_setup=0)
    assert {"lanes": 256} in list(doubled(T1_BASE)) and {"dram_latency": 60} in list(doubled(T1_BASE))


def test_what_is_read_is_known() -> None:
    assert reads(EDGE, lambda m: m.macs) >= {"matrix_rows", "matrix_columns", "matrix_units"}
    assert "lanes" not in reads(EDGE, lambda m: m.macs)


def test_a_diagnosis() -> None:
    found = examine(EDGE, ["matmul", "take_rows", "exp"])
    text = told(found)
    products = next(f for f in found.findings if f.way == "multiplies f32 on the vector unit")
    assert products.users == ["matmul"] and str(products.mends["matmul"][0]) == "matrix.rate.f32 = 1 (now 0)"
    before, after = products.gain["matmul"]
    assert after < before and f"{before:,}" in text and "matmul.py:" in text
    gathers = next(f for f in found.findings if f.way == "reads element by element")
    assert gathers.price is not None and "no number of the file mends it" in text and "depends most on" in text
    assert "exp 3" in text and not any("exp" in user for f in found.findings for user in f.users)


def test_types_that_words_do_not_know_are_computed_with_others() -> None:
    assert {name.partition(" of ")[2] for name in examine(T1_BASE, ["add"]).long} >= {"f8e5", "f8e4nv"}


def test_a_machine_without_slow_ways_and_names_that_nobody_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "t1-base", "add", "softmax"]) == 0
    assert "no slow path" in capsys.readouterr().out
    assert main(["doctor", "t1-base", "sofmax"]) == 1
    assert "did you mean `softmax`?" in capsys.readouterr().err
