"""Every mistake that a user of Triton makes is answered with its line, a caret and something to type, on every backend alike."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import tiledsl
from tiledsl.errors import TileError

CASES = runpy.run_path(str(Path(__file__).parent / "files" / "mistakes.py"))["CASES"]


def answer(name: str, backend: str) -> str:
    fn, grid, args, options = CASES[name]
    with pytest.raises(TileError) as caught:
        tiledsl.jit(fn)[grid](*args, **options, backend=backend)
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered_with_its_place_and_a_help(name: str) -> None:
    said = answer(name, "interpreter")
    lines = said.splitlines()
    assert lines[0].startswith("error: ") and lines[1].startswith(f"  --> mistakes.py:{lines[2].split(' | ')[0].strip()}:"), said
    assert lines[3].strip(" |^") == "" and "^" in lines[3], said
    assert any(line.startswith("help: ") and len(line) > len("help: x") for line in lines), said
    assert said == answer(name, "cpu")
