"""An uncaught mistake shows the user's frames and the message: not how the compiler came to it."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import tiledsl
import tiledsl.language as tl
from tiledsl.errors import TileError
from tiledsl.frames import is_ours
from tiledsl.language.functions import constexpr_function


@tiledsl.jit
def undefined(x, N: tl.constexpr):
    tl.store(x, missing)  # noqa: F821


@constexpr_function
def fails(n):
    return 1 // n


@tiledsl.jit
def fails_in_a_function_of_the_user(x, N: tl.constexpr):
    tl.store(x, fails(N - N))


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
X = np.zeros(4, np.float32)
tuned = tiledsl.autotune([tiledsl.Config({"N": 1}), tiledsl.Config({"N": 2})], key=[])(undefined)
WAYS: dict[str, Callable[[], Any]] = {
    "launch": lambda: undefined[(1,)](X, N=1),
    "launch with a function as grid": lambda: undefined[lambda meta: (1,)](X, N=1),
    "missing argument": lambda: undefined[(1,)](X),
    "run": lambda: undefined.run(X, N=1, grid=(1,)),
    "warmup": lambda: undefined.warmup(X, N=1),
    "lower": lambda: undefined.lower(X, N=1),
    "show": lambda: undefined.show(X, N=1, stage="nothing"),
    "tuned": lambda: tuned[(1,)](X),
}


def frames(error: BaseException) -> list[str]:
    """The modules of a traceback, outermost first."""
    return [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]


@pytest.mark.parametrize("way", WAYS)
def test_a_traceback_ends_at_the_users_call(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TileError) as caught:
        WAYS[way]()
    assert [is_ours(name) for name in frames(caught.value)].count(True) <= 2
    monkeypatch.setenv("TILEDSL_TRACEBACK", "1")
    with pytest.raises(TileError) as whole:
        WAYS[way]()
    assert len(frames(whole.value)) > len(frames(caught.value))


def test_what_python_said_stays_the_cause_with_the_users_frames() -> None:
    with pytest.raises(TileError) as caught:
        fails_in_a_function_of_the_user[(1,)](X, N=1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert frames(caught.value.__cause__) == [__name__]


def test_a_kernel_without_a_file_is_refused_in_few_lines() -> None:
    code = "import numpy as np, tiledsl\n@tiledsl.jit\ndef f(x): pass\nf[(1,)](np.zeros(1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert "help: write it into a file" in done.stderr and len(done.stderr.splitlines()) <= 8, done.stderr


def test_kernels_of_the_package_are_users_code() -> None:
    assert is_ours("tiledsl.frontend.calls") and not is_ours("tiledsl.kernels.softmax") and not is_ours("tiledsl_like")


def test_a_script_that_fails_is_reported_as_python_does_with_file_and_launch(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "import numpy as np\nimport triton\n\n\n@triton.jit\ndef kernel(x):\n    y = missing\n\n\nkernel[(1,)](np.zeros(4))\n"
    )
    command = [sys.executable, "-m", "tiledsl", "run", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert "mine.py" in said[1] and "line 10" in said[1] and "kernel[(1,)]" in said[2]
    assert "  --> mine.py:7:9, in kernel" in said and len(said) < 16
