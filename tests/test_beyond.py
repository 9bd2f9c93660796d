"""What goes beyond Triton is noted with its line, and refused where TILEDSL_STRICT_TRITON asks for it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import CompilationError


@tiledsl.jit
def fill(x, BLOCK: tl.constexpr):
    for _ in tl.static_range(3):
        at = tl.arange(0, BLOCK)
        tl.store(x + at, 1.0)


def test_a_line_is_noted_once(capfd: pytest.CaptureFixture[str]) -> None:
    (note,) = fill.notes(np.zeros(6, np.float32), BLOCK=6)
    assert str(note).splitlines()[0] == "beyond Triton: arange's range must be a power of 2"
    assert "at = tl.arange(0, BLOCK)" in str(note) and note.help == "it is 6: use 8 and mask the rest"
    assert not fill.notes(np.zeros(8, np.float32), BLOCK=8)
    fill[(1,)](np.zeros(6, np.float32), BLOCK=6)
    assert capfd.readouterr() == ("", "")


def test_notes_are_printed_when_asked_for(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TILEDSL_NOTES", "1")
    fill[(1,)](np.zeros(10, np.float32), BLOCK=10)
    assert capfd.readouterr().err.startswith("beyond Triton: arange's range must be a power of 2\n  --> test_beyond.py:")


def test_a_version_that_goes_beyond_triton_is_not_run_in_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros(12, np.float32)
    fill[(1,)](x, BLOCK=12)
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="power of 2"):
        fill[(1,)](x, BLOCK=12)
    monkeypatch.delenv("TILEDSL_STRICT_TRITON")
    fill[(1,)](x, BLOCK=12)


@tiledsl.jit
def large(x, WHAT: tl.constexpr):
    if WHAT == "tile":
        tl.store(x, tl.sum(tl.zeros((2048, 1), tl.float32) + tl.zeros((1, 1024), tl.float32)))
    elif WHAT == "argmax":
        tl.store(x, tl.argmax(tl.zeros((4, 4), tl.float32), None))
    elif WHAT == "mask":
        tl.store(x, tl.max(tl.load(x, mask=tl.arange(0, 4) < 0, other=0)))
    else:
        tl.store(x, tl.max(tl.zeros((4, 4), tl.float32), return_indices=True)[1])


@pytest.mark.parametrize(
    "what, refusal",
    [
        ("tile", r"numel \(2097152\) exceeds"),
        ("argmax", "needs an axis"),
        ("max", "needs an axis"),
        ("mask", "Mask argument cannot be block type if pointer argument is not a block"),
    ],
)
def test_more_than_triton_takes_is_noted(monkeypatch: pytest.MonkeyPatch, what: str, refusal: str) -> None:
    x = np.ones(1, np.int32)
    large[(1,)](x, WHAT=what)
    assert x[0] == 0 and [n for n in large.notes(x, WHAT=what) if re.search(refusal, str(n))]
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match=refusal):
        large[(1,)](x, WHAT=what)


@tiledsl.jit
def constant_twice(x):
    step: tl.constexpr = 1
    step: tl.constexpr = step + 1
    tl.store(x, step)


def test_a_constant_bound_again_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros(1, np.int32)
    constant_twice[(1,)](x)
    (note,) = constant_twice.notes(x)
    assert x[0] == 2 and "step: tl.constexpr = step + 1" in str(note)
    monkeypatch.setenv("TILEDSL_STRICT_TRITON", "1")
    with pytest.raises(CompilationError, match="step is already defined. constexpr cannot be reassigned."):
        constant_twice[(1,)](x)


def test_the_page_of_examples_runs(tmp_path: Path) -> None:
    page = (ROOT / "tiledsl" / "docs" / "beyond_triton.md").read_text()
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    made = runpy.run_path(str(script))
    x, out = made["x"], made["out"]
    rows = x.ravel()[:32].reshape(4, 8)
    weights = np.array([1, 0.5, 0.25, 0.125], np.float32)[:, None]
    np.testing.assert_allclose(out.ravel()[:5], ((weights * rows).sum(0) + rows.max(0))[:5], rtol=1e-5)
    np.testing.assert_allclose(out[1:].sum(1), 1, rtol=1e-5)
    notes = [n for k in ("softmax", "differences", "find", "combine") for n in made[k].notes(*arguments(k, made), **constants(k))]
    assert len(notes) > 8 and all(n.help and n.loc for n in notes)


def arguments(kernel: str, made: dict[str, Any]) -> tuple[Any, ...]:
    x, out, found = made["x"], made["out"], made["found"]
    return {"softmax": (out, x), "differences": (out, x, 2), "find": (found, found, 7, 4), "combine": (out, x, 5)}[kernel]


def constants(kernel: str) -> dict[str, int]:
    return {"softmax": {"N": 1000}, "find": {}}.get(kernel, {"N": 8})
