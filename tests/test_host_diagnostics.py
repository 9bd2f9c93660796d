"""Mistakes outside of kernels: options, variables, packages, wrappers, each answered with what is wrong and what to do."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.bench import table
from tiledsl.errors import ConfigError, LaunchError
from tiledsl.kernels.attention import attention
from tiledsl.kernels.convolution import conv3x3, stencil
from tiledsl.kernels.cross_entropy import cross_entropy
from tiledsl.kernels.layer_norm import layer_norm
from tiledsl.kernels.matmul import matmul
from tiledsl.kernels.moves import histogram, take_rows, transpose
from tiledsl.kernels.rms_norm import rms_norm
from tiledsl.kernels.rope import rope
from tiledsl.kernels.rows import row_sum, row_topk
from tiledsl.kernels.running_sum import running_sum
from tiledsl.kernels.softmax import softmax

ONE, CUBE = np.ones(4, np.float32), np.ones((4, 4, 4), np.float32)


@tiledsl.jit
def fill(x, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(x + at, 1.0, mask=at < n)


@pytest.mark.parametrize("method", ["profile", "bisect"])
def test_a_method_that_launches_asks_for_a_grid(method: str) -> None:
    with pytest.raises(LaunchError, match=f"`{method}` runs the kernel, and is given no grid"):
        getattr(fill, method)(ONE.copy(), 4, BLOCK=4)
    tuned = tiledsl.autotune([tiledsl.Config({"BLOCK": 4})], key=["n"])(fill)
    with pytest.raises(LaunchError, match="`profile` runs the kernel"):
        tuned.profile(ONE.copy(), 4)


def test_a_key_of_autotune_that_is_no_parameter_is_told() -> None:
    with pytest.warns(UserWarning, match="key 'BLOK' is no parameter of `fill`.*did you mean `BLOCK`"):
        tiledsl.autotune([tiledsl.Config({"BLOCK": 4})], key=["n", "BLOK"])(fill)


def test_a_size_of_the_cache_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TILEDSL_CACHE", "1")
    monkeypatch.setenv("TILEDSL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TILEDSL_CACHE_SIZE", "big")
    with pytest.raises(ConfigError, match="TILEDSL_CACHE_SIZE='big' is not understood"):
        fill[(1,)](ONE.copy(), 4, BLOCK=64)


def test_a_peer_that_is_not_installed_is_told() -> None:
    assert table.absent(["numpy", "jax", "inductor"], ["numpy"]) == [
        "JAX is not installed, so it is left out: pip install jax\n",
        "inductor is not installed, so it is left out: pip install torch\n",
    ]


def test_assembly_is_listed_and_made_of_a_kernel_kept_on_disk(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, tiledsl, tiledsl.language as tl\n@tiledsl.jit\ndef k(x):\n    tl.store(x, 1.0)\n"
        "asm = k[(1,)](np.ones(1, np.float32), backend='cpu').asm\nprint([*asm], 'ret' in asm['asm'], 'written' in asm)\n"
    )
    environment = {"TILEDSL_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": ""}
    for _ in range(2):
        done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == "['tile', 'llvm', 'asm'] True False\n"


def test_a_backend_whose_package_is_broken_is_told_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    class Distribution:
        name = "acme-backend"

    class Entry:
        name, value, dist = "acme", "acme_gone:Backend", Distribution

    monkeypatch.setattr(metadata, "entry_points", lambda **_: [Entry])
    with pytest.raises(LaunchError) as caught:
        fill[(1,)](ONE.copy(), 4, BLOCK=4, backend="acme")
    said = str(caught.value)
    assert "the backend `acme` cannot be loaded: ModuleNotFoundError" in said
    assert "`acme-backend` offers it as the entry point acme = acme_gone:Backend" in said


def test_the_manual_of_a_machine_speaks_of_its_own_words() -> None:
    machine = registry.find(f"npu:{ROOT / 'examples' / 'sable' / 'sable' / 'sable.npu.toml'}")
    assert "becomes 160-bit instruction words" in machine.manual()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrapper, arguments",
    [
        (attention, [ONE] * 3), (conv3x3, [CUBE, CUBE]), (stencil, [CUBE]), (cross_entropy, [CUBE, ONE]), (layer_norm, [ONE] * 3),
        (matmul, [ONE, CUBE]), (transpose, [CUBE]), (take_rows, [ONE, ONE]), (histogram, [CUBE, 4]), (rms_norm, [CUBE, ONE]),
        (rope, [ONE] * 3), (row_sum, [ONE]), (row_topk, [CUBE, 2]), (running_sum, [ONE]), (softmax, [CUBE]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_a_ready_kernel_names_the_axes_that_it_takes(wrapper: Any, arguments: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"has the shape \(.*\), and should have (at least )?\d ax[ie]s: \w+"):
        wrapper(*arguments)
