"""`python -m tiledsl sim`, `trace`, `roofline`: the launches of a script, explained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_command import said

from tiledsl.backend import registry
from tiledsl.backends.npu import Backend as Npu
from tiledsl.backends.npu.machine import find

SCRIPT = """
import sys
import numpy as np
import tiledsl
import tiledsl.language as tl

@tiledsl.jit
def fill(out, value, BLOCK: tl.constexpr):
    tl.store(out + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.full((BLOCK,), 0.0, tl.float32) + value)

out = np.empty(256, np.float32)
for value in range(int(sys.argv[1])):
    fill[(4,)](out, float(value), BLOCK=64)
    assert (out == value).all()
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", [])
    monkeypatch.setattr("sys.path", ["", *sys.path])
    monkeypatch.setattr("tiledsl.compat.triton.run.find_spec", lambda name: None)  # PyTorch takes seconds to import; this script has none
    (tmp_path / "fill.py").write_text(SCRIPT)
    return str(tmp_path / "fill.py")


def test_sim_prints_every_launch(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = registry.default()
    code, text = said(capsys, "sim", script, "2")
    assert code == 0 and text.count("fill on t1-base: 4 x 1 x 1 programs") == 2 and "fill.py:9" in text
    code, text = said(capsys, "sim", "--machine", "edge", script, "1")
    assert code == 0 and "fill on edge" in text and registry.default() == before


def test_trace_writes_two_files_a_launch(script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "trace", "-o", str(tmp_path / "out"), script, "2")
    names = [f"{n:03}-fill.{end}" for n in range(2) for end in ("html", "json.gz")]
    assert code == 0 and sorted(path.name for path in (tmp_path / "out").iterdir()) == names and "000-fill.html" in text


def test_roofline_has_a_row_a_launch(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "roofline", script, "2")
    head, *rows = text.splitlines()
    assert code == 0 and head.startswith("kernel") and len(rows) == 2 and all(row.endswith("DRAM") for row in rows)


def test_what_cannot_be_watched_is_said(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "sim", script, "0")
    assert code == 1 and "nothing was launched on npu" in text and "help: " in text
    code, text = said(capsys, "sim", "--machine", "egde", script, "1")
    assert code == 1 and "did you mean `edge`?" in text
    code, text = said(capsys, "sim", "missing.py")
    assert code == 2 and "missing.py: there is no such file" in text
    (Path(script).parent / "file").touch()
    code, text = said(capsys, "trace", "-o", str(Path(script).parent / "file" / "traces"), script, "1")
    assert code == 1 and "file/traces: Not a directory" in text


def test_the_machine_of_a_package_is_watched(script: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {**registry._registered, "coral": Npu(find("edge"), name="coral")})
    code, text = said(capsys, "sim", "--machine", "coral", script, "1")
    assert code == 0 and "fill on edge" in text
