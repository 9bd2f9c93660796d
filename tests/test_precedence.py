"""`a < b & c < d` is answered with the parentheses that are meant; parentheses, and bits compared with a number, are Python's."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.frontend.precedence import problem


def answer(text: str) -> str:
    (statement,) = ast.parse(text).body
    found = [problem(node, text.splitlines()) for node in ast.walk(statement) if isinstance(node, ast.Compare)]
    return next((f"{p[0]}; {p[1]}" for p in found if p), "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("m = at < n & at >= 2", "(at < n) & (at >= 2)"),
        ("m = a < b | c > d & e == f", "(a < b) | (c > d) & (e == f)"),
        ("m = at < n & inside & at > 2", "(at < n) & inside & (at > 2)"),
        ("m = (at < 4) & at == 2", "(at < 4) & (at == 2)"),
        ("m = at == 2 & (at < 4)", "(at == 2) & (at < 4)"),
        ("f(a < b & c < d)", "(a < b) & (c < d)"),
        ("m = (a <\n     b & c < d)", "(a < b) & (c < d)"),
    ],
)
def test_the_parentheses_that_are_meant_are_named(written: str, meant: str) -> None:
    assert f"write {meant}, or (" in answer(written)


@pytest.mark.parametrize(
    "written",
    [
        "m = (a < b) & (c < d)",
        "m = x & 1 == 0",
        "m = a < (b & c) < d",
        "m = a < ( b & c\n ) < d",
        "m = (\na & b\n) < c < d",
        "m = a < b + c < d",
        "m = a < b < c",
        "m = 2 & 4 in (a, b)",
    ],
)
def test_what_python_reads_as_meant_is_left_alone(written: str) -> None:
    assert answer(written) == ""


@tiledsl.jit
def half_meant(out, x):
    at = tl.arange(0, 4)
    value = tl.load(x + at)
    tl.store(out + at, tl.where(value == 0 | (value != value), 1.0, 2.0))


def test_a_single_comparison_is_taken_at_its_word_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "0")  # what is kept on disk has been warned of
    x, out = np.array([0, 1, 3, np.nan], np.float32), np.empty(4, np.float32)
    with pytest.warns(UserWarning, match=r"this compares `0 \| \(value != value\)`; write \(value == 0\) \| \(value != value\)") as caught:
        half_meant[(1,)](out, x, backend="interpreter")
    assert caught[0].filename == __file__ and (out == [1, 2, 2, 2]).all()
