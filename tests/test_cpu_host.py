"""TILEDSL_CPU: the same processor with fewer instructions gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from tiledsl.backends.cpu.host import host, limited
from tiledsl.errors import LaunchError

SCRIPT = """
import hashlib
import numpy as np
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.softmax import softmax

rng = np.random.default_rng(0)
a, b = (rng.standard_normal((70, 70), np.float32) for _ in range(2))
out = softmax(matmul(a, b, backend="cpu"), backend="cpu")
print(hashlib.sha256(out.tobytes()).hexdigest())
"""


def outcome(name: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TILEDSL_CPU": name, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, env=environment)


def test_every_choice_gives_the_same_bits() -> None:
    found = {name: outcome(name).stdout for name in ("native", "avx2", "generic")}
    assert len(set(found.values())) == 1 and found["native"], found


def test_a_choice_that_there_is_not_is_named() -> None:
    ran = outcome("avx3")
    assert ran.returncode and "TILEDSL_CPU=avx3: there is no such choice" in ran.stderr and "avx2, generic" in ran.stderr
    with pytest.raises(LaunchError, match="does not have them"):
        limited(host().but(vector_bytes=32), "avx512")


@pytest.mark.parametrize("name,size", [("avx2", 32), ("generic", 16)])
def test_a_narrower_machine_has_shorter_vectors_and_no_wide_instructions(name: str, size: int) -> None:
    machine = limited(host(), name)
    assert machine.vector_bytes == size and "+avx512" not in machine.features and machine.name != host().name
    assert machine.rows * machine.columns <= 16
