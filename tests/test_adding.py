"""Adding an op takes what the tour says, and no more: its recipe, followed on a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT

from tiledsl import language, ops
from tiledsl.ir.spec import OpSpec

RECIPE = re.search(r"^## Add an op\n.*?```python\n(.*?)```", (ROOT / "tiledsl" / "README.md").read_text(), re.DOTALL | re.MULTILINE)
FILE = Path("tiledsl", "ops", "elementwise.py")

USE = """
import inspect
import sys

import numpy as np
from hypothesis import Phase, given, settings

import tiledsl
import tiledsl.language as tl
from tiledsl import __main__ as command, manual, ops
from tiledsl.interpreter import values
from tiledsl.ir.core import Block, Builder, Kernel
from tiledsl.ir.parser import parse
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import Tile, f32
from tiledsl.ir.verify import verify
from tiledsl.testing.oracle import RAW, compare
from tiledsl.testing.programs import cases

spec = SPECS["lerp"]
assert ops.lerp is spec

# printed, parsed, verified, interpreted
build = Builder(Block())
x, y, t = (build.emit(ops.constant, value=v, type=Tile(f32, (4,))) for v in (1.0, 3.0, 0.25))
made = build.emit(spec, x, y, t)
kernel = Kernel("between", build.block)
again = parse(repr(kernel))
assert repr(again) == repr(kernel) and "lerp %" in repr(kernel)
verify(again)
np.testing.assert_array_equal(values(kernel)[made], np.full(4, 1.5, np.float32))

# documented
command.main(["ops", "lerp"])
pages = manual.pages()
assert "### lerp\\n\\n`lerp(x, y, t)`" in pages["ops.md"]
assert "### `tl.lerp(x, y, t)`" in pages["language.md"] and "Becomes the op [`lerp`](ops.md#lerp)." in pages["language.md"]

# drawn at random, and every backend agrees with what it means
class Drawn(Exception): pass

@settings(max_examples=500, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
@given(cases())
def look(case):
    if any(op.spec is spec for op in case.kernel.body.walk()):
        raise Drawn

try:
    look()
    raise AssertionError("no random program has the op")
except Drawn:
    pass

@settings(max_examples=4, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
@given(cases(about=spec))
def agree(case):
    compare(case, [RAW, "interpreter", "cpu", "npu"])

agree()

# called
@tiledsl.jit
def blend(out, x, y, t, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b = tl.load(x + i), tl.load(y + i)
    tl.store(out + i, tl.lerp(a, b, t) + tl.math.lerp(a[:, None], b, t=0.5).sum(1) + tl.lerp(1, 2.0, a))

x, y = np.random.default_rng(0).standard_normal((2, 64), np.float32)
for dtype in (np.float32, np.float16, np.float64):
    found = []
    for backend in ("interpreter", "cpu", "npu"):
        out = np.zeros(64, dtype)
        blend[(1,)](out, x.astype(dtype), y.astype(dtype), 0.3, N=64, backend=backend)
        found.append(out)
    assert found[0].any() and len({out.tobytes() for out in found}) == 1, found
assert [n for n, v in vars(tl).items() if n not in sys.argv[1].split(",") and not inspect.ismodule(v)] == ["lerp"]
"""


def test_the_recipe_for_an_op_is_all_that_it_takes(tmp_path: Path) -> None:
    assert RECIPE is not None and len(RECIPE[1].splitlines()) < 10
    shutil.copytree(ROOT / "tiledsl", tmp_path / "tiledsl")
    for folder in ("backends", "kernels"):  # where they are installed
        shutil.copytree(ROOT / folder, tmp_path / "tiledsl" / folder)
    *before, last = (tmp_path / FILE).read_text().splitlines(keepends=True)
    (tmp_path / FILE).write_text("".join([*before, RECIPE[1], last]))
    (tmp_path / "use.py").write_text(USE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TILEDSL_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, str(tmp_path / "use.py"), ",".join(dir(language))]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "a straight line between" in done.stdout


@pytest.mark.parametrize("family", sorted((ROOT / "tiledsl" / "ops").glob("*.py")), ids=lambda p: p.stem)
def test_every_op_of_a_family_is_offered_by_the_vocabulary(family: Path) -> None:
    module = import_module("tiledsl.ops" if family.stem == "__init__" else f"tiledsl.ops.{family.stem}")
    declared = {name for name, value in vars(module).items() if isinstance(value, OpSpec)}
    assert {name for name in declared if getattr(ops, name, None) is not getattr(module, name)} == set()
    offered = {name for name in vars(ops) if not name.startswith("_")}
    assert not offered & {"np", "math", "Any", "OpSpec", "require"}
