"""Every example runs from a bare checkout, agrees with itself (it exits with 0) and stays short enough to read."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parent.parent.joinpath("examples").glob("*.py"))
LINES = {"your_own_accelerator.py": 299}
NEEDS = {"06_train_mlp.py": "sklearn"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    module = NEEDS.get(path.name)
    if module and importlib.util.find_spec(module) is None:
        pytest.skip(f"{path.name} needs {module}")
    ran = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES.get(path.name, 99)
