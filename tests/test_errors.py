"""A diagnostic says what, where, by which calls, and what to try; whole messages of the frontend are golden files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl import config
from tiledsl.errors import CompilationError, TileError, TypeRuleError, nearest
from tiledsl.location import Loc


def test_a_diagnostic_points_at_the_line_and_follows_the_calls(tmp_path: Path) -> None:
    file = tmp_path / "softmax.py"
    file.write_text("a = 1\n    y = a + b\nrow_sum(x)\n")
    loc = Loc(str(file), 2, 8, 13, "row_sum", Loc(str(file), 3, 0, 10))
    error = TypeRuleError("operands differ: f32[64], f32[32]", loc, label="`+`", notes=["`b` is short"], help="broadcast it")
    assert str(error).splitlines() == [
        "error: operands differ: f32[64], f32[32]",
        "  --> softmax.py:2:9, in row_sum",
        "   2 |     y = a + b",
        "     |         ^^^^^ `+`",
        "note: called from softmax.py:3:1",
        "   3 | row_sum(x)",
        "     | ^^^^^^^^^^",
        "note: `b` is short",
        "help: broadcast it",
    ]


def test_columns_count_bytes_and_carets_characters(tmp_path: Path) -> None:
    file = tmp_path / "greek.py"
    file.write_text("αβ = γ\n")
    lines = str(TileError("what", Loc(str(file), 1, 7, 9))).splitlines()
    assert lines[-1] == "     |      ^"


def test_a_place_is_given_once() -> None:
    first, second = Loc("a.py", 1), Loc("b.py", 2)
    assert TileError("x").at(first).at(second).loc == first


def test_errors_survive_pickling() -> None:
    error = CompilationError("x", Loc("a.py", 1), notes=["n"], help="h")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is CompilationError and again.diagnostic == error.diagnostic


def test_the_nearest_name() -> None:
    assert nearest("ofset", ["offset", "load"]) == "did you mean `offset`?"
    assert nearest("zzz", ["offset"]) == ""


def test_of_many_calls_the_first_and_the_last_are_shown() -> None:
    place = None
    for line in range(1, 103):
        place = Loc("deep.py", line, called_from=place)
    lines = str(TileError("deep", place)).splitlines()
    assert [x for x in lines if x.startswith("note")] == [
        *(f"note: called from deep.py:{n}:1" for n in (101, 100, 99, 98)),
        "note: ... 96 more calls",
        "note: called from deep.py:1:1",
    ]


@tiledsl.jit
def one(x):
    tl.store(x, 1.0)


def test_what_a_launch_returns_is_spoken_in_a_line() -> None:
    shown = repr(one[(1,)](np.zeros(1, np.float32), backend="interpreter"))
    assert shown.startswith("<launch of one") and "asm: tile" in shown and len(shown) < 100


def test_the_stages_of_a_launch_are_those_that_the_readme_names() -> None:
    launches = {name: one[(1,)](np.zeros(1, np.float32), backend=name) for name in ("cpu", "interpreter", "npu")}
    assert "ret" in launches["cpu"].asm["asm"] and launches["cpu"].asm.keys() == {"tile", "llvm", "asm"}
    assert launches["interpreter"].asm.keys() == {"tile"} and launches["npu"].asm.keys() == {"asm", "report"}


def test_a_stage_that_is_no_pass_leads_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (config.show, config.stop_after):
        for asked, stage in (("llvm", "llvm"), ("bogus", "frontend")):
            monkeypatch.setenv(variable.name, asked)
            with pytest.raises(TileError, match=rf"kernel.show\(arguments, stage='{stage}'\)"):
                one[(1,)](np.zeros(1, np.float64), backend="interpreter")
        monkeypatch.delenv(variable.name)
