"""Where native code cannot be had in our way: object files in LLVM's loader, or launches and threads in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiledsl.backends.cpu.engine import llvm
from tiledsl.backends.cpu.native.kept import MODULES, source

PROGRAM = """
import sys
import numpy as np
import tiledsl
import tiledsl.language as tl
from tiledsl.backends.cpu import native, workers
from tiledsl.backends.cpu.native import elf, launcher, load, pool

def unsuitable(data):
    raise elf.Unsuitable("as for another processor")

def refused(start, size):
    raise load.Unloadable("memory cannot be made executable")

HOW = sys.argv[1]
if HOW == "objects":
    elf.flatten = unsuitable
elif HOW == "refused":
    load._protect = refused
else:
    launcher._is_familiar = lambda: False
    pool.FUTEX.clear()

@tiledsl.jit
def grow(x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x + at, tl.load(x + at, mask=at < n) + 1.0, mask=at < n)

x = np.zeros(100_000, np.float32)
for _ in range(20):
    grow[(98,)](x, x.size, BLOCK=1024, backend="cpu", num_threads=2)
assert (x == 20).all()
launched = type(grow[(98,)]).__name__
assert launched == ("Launcher" if HOW == "python" else "builtin_function_or_method"), launched
assert (pool.native_pool() is None) == (HOW == "python")
"""


@pytest.mark.parametrize("how", ["objects", "refused", "python"])
def test_kernels_run_without_images(how: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    path = os.pathsep.join(filter(None, sys.path))
    variables = os.environ | {"PYTHONPATH": path, "TILEDSL_CACHE_DIR": str(tmp_path), "TILEDSL_CACHE": "1"}
    for _ in range(2):  # compiled, then kept
        ran = subprocess.run([sys.executable, str(file), how], env=variables, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("name", sorted(MODULES))
def test_native_code_compiles_for_other_processors(name: str) -> None:
    binding = llvm()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        target = binding.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this LLVM knows no other processors")
    machine = target.create_target_machine(cpu="neoverse-n1", opt=3, reloc="pic", codemodel="small")
    module = binding.parse_assembly(source(name))
    module.triple, module.data_layout = "aarch64-unknown-linux-gnu", str(machine.target_data)
    module.verify()
    assert machine.emit_object(module)[18:20] == (183).to_bytes(2, "little")  # EM_AARCH64
