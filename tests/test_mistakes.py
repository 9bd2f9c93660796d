"""Every mistake that a user of Triton makes is answered with its line, a caret and something to type, on every backend alike."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path

import pytest

import tiledsl
from tiledsl.errors import TileError

FILES = sorted((Path(__file__).parent / "files" / "mistakes").glob("*.py"))
CASES = {name: case for file in FILES for name, case in runpy.run_path(str(file))["CASES"].items()}


def answer(name: str, backend: str) -> str:
    fn, grid, args, options = CASES[name]
    with pytest.raises(TileError) as caught:
        tiledsl.jit(fn)[grid](*args, **{"backend": backend, **options})
    return str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_answered_with_its_place_and_a_help(name: str) -> None:
    said, file = answer(name, "interpreter"), Path(CASES[name][0].__code__.co_filename).name
    lines = said.splitlines()
    assert lines[0].startswith("error: ") and lines[1].startswith(f"  --> {file}:{lines[2].split(' | ')[0].strip()}:"), said
    assert lines[3].strip(" |^") == "" and "^" in lines[3], said
    assert any(line.startswith("help: ") and len(line) > len("help: x") for line in lines), said
    assert said == answer(name, "cpu")


@tiledsl.jit
def kernel(x):
    pass


def around(fn):
    @functools.wraps(fn)
    def call(*args):
        return fn(*args)

    return call


WHILE_DECORATING = {
    "leave out one of the two decorators": lambda: tiledsl.jit(kernel),
    "put @tiledsl.jit below the other decorators": lambda: tiledsl.jit(around(kernel.fn))[(1,)](1),
    "write it with `def`": lambda: tiledsl.jit(lambda x: x)[(1,)](1),
    "options of a launch are given to it": lambda: tiledsl.jit(num_warps=4),
    "write tiledsl.Config({'N': 1})": lambda: tiledsl.autotune([{"N": 1}], key=[])(kernel),
    "write lambda args: 3": lambda: tiledsl.heuristics({"N": 3})(kernel),
}


@pytest.mark.parametrize("help", WHILE_DECORATING)
def test_a_mistake_in_decorating_is_answered_with_a_help(help: str) -> None:
    with pytest.raises(TileError) as caught:
        WHILE_DECORATING[help]()
    assert caught.value.diagnostic.help.startswith(help)
