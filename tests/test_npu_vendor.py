"""A vendor's machine: its own words, its own instructions, installed as a package of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiledsl
import tiledsl.language as tl
from tiledsl.__main__ import main
from tiledsl.backend import registry
from tiledsl.backend.isa import Illegal
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.isa.encoding import PLACES, SLOTS, instruction_set
from tiledsl.backends.npu.isa.instructions import T1
from tiledsl.backends.npu.machine import T1_BASE, read
from tiledsl.backends.npu.simulator.checked import Checks
from tiledsl.errors import LaunchError, TileError
from tiledsl.explore.named import machine_named
from tiledsl.ir.types import DTYPES
from tiledsl.testing import conformance

ROOT = Path(__file__).parent.parent
SABLE = ROOT / "examples" / "sable"
MACHINE = read(SABLE / "sable" / "sable.npu.toml")
OWN = instruction_set(MACHINE)

HOOKS = """
import numpy as np
from tiledsl.backends.npu.isa.custom import Extension
from tiledsl.backends.npu.isa.instructions import Imm, ScalarA, TileA, TileB, TileTo
from tiledsl.backends.npu.isa.state import to_values

EXTENSION = Extension()
"""
CAPPED = """
@EXTENSION.instruction(0x80, unit="V", match="minimum(add(a, b), c)", cost=lambda machine, tiles: 1.0)
def capped(core, to: TileTo, a: TileA, b: Imm, c: ScalarC):
    "to = a + b, but no more than c."
    core.put(to, np.minimum(core.get(a) + b, to_values(core.r[c], core.tile(to).dtype)))
"""
ROLLED = """
def turned(op):
    if op.spec.name == "sub" and len(op.result.type.shape) == 2:
        return {"a": op.operands[0], "b": op.operands[1]}

@EXTENSION.instruction(0x81, unit="X", match=turned, cost=lambda machine, tiles: 500.0, elementwise=False)
def rolled(core, to: TileTo, a: TileA, b: TileB):
    "to = a - b."
    core.put(to, core.get(a) - core.get(b))
"""


@pytest.fixture(autouse=True)
def vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known by name in one test alone."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def vendor(folder: Path, hooks: str = "", text: str = "") -> Backend:
    """The backend of a machine with instructions of its own."""
    (folder / "hooks.py").write_text(HOOKS.replace("ScalarA,", "ScalarC,") + hooks)
    path = folder / "mine.npu.toml"
    path.write_text('[npu]\nname = "mine"\n' + ('hooks = "hooks.py"\n' if hooks else "") + text)
    return Backend(read(path), name="mine")


@tiledsl.jit
def capped_sum(x, out, cap, N: tl.constexpr):
    at = tl.arange(0, N)
    raised = tl.load(x + at) + 7
    tl.store(out + at, tl.minimum(raised, cap))
    tl.store(out + N + at, tl.minimum(raised, 100))
    tl.store(out + 2 * N + at, tl.load(x + at) + 70)


@tiledsl.jit
def differences(x, y, out, M: tl.constexpr, N: tl.constexpr):
    at = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(out + at, tl.load(x + at) - tl.load(y + at))


@tiledsl.jit
def rectified(x, out, slope, N: tl.constexpr):
    at = tl.arange(0, N)
    values = tl.load(x + at)
    below = values * slope
    tl.store(out + at, tl.where(values >= 0, values, below))


def run(backend: Backend, kernel: tiledsl.JITFunction, *arguments: object, **constants: int) -> str:
    """Launch a kernel on a backend; its assembly."""
    registry.register(backend)
    return kernel[(1,)](*arguments, **constants, backend=backend.name).asm["asm"]


# --- the package -----------------------------------------------------------------------------------------------------------


def test_an_installed_package_passes_the_check(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77")  # an older one needs `wheel`, too
    shutil.copytree(SABLE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--target", tmp_path / "site", tmp_path / "source"], check=True, timeout=120)
    paths = [str(tmp_path / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    asked = [sys.executable, "-m", "tiledsl", "check", "sable", "2", "--about", "0", "--types", "i32"]
    ran = subprocess.run(asked, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "`sable` agrees with the interpreter" in ran.stdout and "leaky             1 passed" in ran.stdout


def test_the_package_is_short() -> None:
    files = [path for path in SABLE.rglob("*") if path.suffix in (".py", ".toml", ".md")]
    assert sum(len(path.read_text().splitlines()) for path in files) < 300


def test_kernels_use_its_instruction() -> None:
    x, out, expected = np.linspace(-5, 5, 64, dtype=np.float32), np.empty(64, np.float32), np.empty(64, np.float32)
    text = run(Backend(MACHINE, name="sable"), rectified, x, out, 0.25, N=64)
    rectified[(1,)](x, expected, 0.25, N=64, backend="interpreter")
    assert out.tobytes() == expected.tobytes()
    assert "leaky" in text and "vec3" not in text and "vec2" not in text  # what it stands for is not computed, too
    half = x.astype(np.float16)
    assert "leaky" not in run(Backend(MACHINE, name="sable"), rectified, half, half.copy(), 0.25, N=64)  # it says f32 and i32


@pytest.mark.parametrize("seed", [1, 2])
def test_it_keeps_to_tokens_in_every_order(seed: int) -> None:
    x, out, expected = np.linspace(-5, 5, 64, dtype=np.float32), np.empty(64, np.float32), np.empty(64, np.float32)
    assert "leaky" in run(Backend(MACHINE, checks=Checks(order=seed), name="sable"), rectified, x, out, 0.5, N=64)
    rectified[(1,)](x, expected, 0.5, N=64, backend="interpreter")
    assert out.tobytes() == expected.tobytes()


def test_vectors_hold_its_words_and_run_again(tmp_path: Path) -> None:
    backend = Backend(MACHINE, name="sable")
    x, out = np.linspace(-5, 5, 64, dtype=np.float32), np.empty(64, np.float32)
    run(backend.recorder(tmp_path), rectified, x, out, 0.5, N=64)
    (place,) = tmp_path.iterdir()
    words = (place / "program.hex").read_text().split()
    assert {len(word) for word in words} == {40} and f"{OWN.by_name['leaky'].opcode:02x}" in {word[:2] for word in words}
    assert "leaky" in (place / "retired.log").read_text() and "leaky" in (place / "program.txt").read_text()
    assert list(backend.replayed(tmp_path)) == [("0000-rectified", [])]


def test_the_suite_of_vectors_has_its_instructions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry.register(Backend(MACHINE, name="sable"))
    asked = ["vectors", str(tmp_path), "--backend", "sable", "--types", "i32", "--programs", "0", "--no-kernels"]
    assert main(asked) == 0 and "its own instructions: 1 vectors" in capsys.readouterr().out
    assert any(" leaky 1 " in path.read_text() for path in tmp_path.glob("*-own_leaky/retired.log"))


def test_doctor_and_sweep_know_it_by_its_name() -> None:
    registry.register(Backend(MACHINE, name="sable"))
    assert machine_named("sable") == MACHINE and machine_named("edge").name == "edge"
    with pytest.raises(LaunchError, match="there is no machine `cpu`"):
        machine_named("cpu")


# --- words -----------------------------------------------------------------------------------------------------------------


def test_every_field_of_t1_has_a_place_with_a_name() -> None:
    fields = [where for one in T1.by_name.values() for _, where in one.fields] + [where for where, _ in T1.common.values()]
    assert {(where.position, where.bits) for where in [*fields, T1.opcode]} == set(SLOTS)
    assert len(PLACES) == len(SLOTS)


@given(st.data())
def test_own_words_read_back_and_others_are_illegal(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(list(OWN.by_opcode.values())))
    word = one.opcode << OWN.opcode.position | data.draw(st.integers(0, (1 << 152) - 1)) & one.used
    try:
        decoded = OWN.decode(word)
    except Illegal:
        return
    assert OWN.word(decoded) == word and OWN.assemble(OWN.show(decoded)) == [word]


def test_an_absent_operand_has_a_code_in_narrow_fields() -> None:
    word = OWN.encode("dst", 0, 1, 255)
    assert OWN.decode(word)["mask"] == 255 and word >> 72 & 127 == 127
    assert OWN.bits == 160 and word >> 152 == T1.by_name["dst"].opcode


def test_what_a_field_may_name_follows_from_the_machine() -> None:
    more = MACHINE.but(load_channels=8)
    assert instruction_set(more).encode("dld", 0, 0, 0, 255, channel=7) != 0
    with pytest.raises(Illegal, match="channel = 7 does not fit"):
        OWN.encode("dld", 0, 0, 0, 255, channel=7)


@pytest.mark.parametrize(
    "text, message, help",
    [
        (
            "bits = 128\n[encoding.fields]\nimm = [90, 32]\n",
            "encoding.fields.dtype and encoding.fields.imm share bits, and tset has both",
            "move one of them",
        ),
        ("bits = 128\n[encoding.fields]\nto = [24, 5]\n", "encoding.fields.to has 5 bits; `to` needs 6", "make it wider"),
        ("bits = 128\n[encoding.fields]\nimm = [100, 32]\n", "encoding.fields.imm takes bits 100 to 131 of 128", "lowest bit"),
        ("bits = 128\n[encoding.fields]\nimn = [96, 32]\n", "there is no `encoding.fields.imn`", "did you mean `imm`?"),
        ("bits = 128\n[encoding.fields]\nimm = 96\n", "encoding.fields.imm is 96", "two numbers"),
        ("bits = 128\n[encoding.opcodes]\nmm = 2\n", "the opcode of mm, 0x2, is that of movhi", r"[encoding.opcodes] mm = ..."),
        ("bits = 128\n[encoding.opcodes]\nmn = 2\n", "there is no instruction `mn`", "tiledsl isa"),
        ("[encoding.opcodes]\nmm = 2\n", "encoding.bits is 0", "whole bytes"),
        ("bits = 100\n", "encoding.bits is 100", "whole bytes"),
    ],
)
def test_mistakes_of_a_layout_name_the_key(tmp_path: Path, text: str, message: str, help: str) -> None:
    with pytest.raises(LaunchError) as caught:
        vendor(tmp_path, text="[encoding]\n" + text)
    assert message in str(caught.value) and help in str(caught.value)


# --- instructions ----------------------------------------------------------------------------------------------------------


def test_registers_and_numbers_are_operands(tmp_path: Path) -> None:
    x, out = np.arange(-20, 44, dtype=np.int32), np.empty(192, np.int32)
    text = run(vendor(tmp_path, CAPPED), capped_sum, x, out, 30, N=64)
    np.testing.assert_array_equal(out, np.concatenate([np.minimum(x + 7, 30), np.minimum(x + 7, 100), x + 70]))
    assert text.count("\ncapped ") == 2 and ", #7, r" in text and text.count("vec2 add") == 1


def test_one_that_takes_wholes_stands_where_a_function_says(tmp_path: Path) -> None:
    backend = vendor(tmp_path, ROLLED)
    x, y = np.random.default_rng(0).standard_normal((2, 8, 16), np.float32)
    out = np.empty_like(x)
    registry.register(backend)
    launched = differences[(1,)](x, y, out, M=8, N=16, backend="mine")
    np.testing.assert_array_equal(out, x - y)
    assert "rolled" in launched.asm["asm"] and launched.report.details["busy"]["X"] == 500


def test_large_tiles_go_through_it_piece_by_piece(tmp_path: Path) -> None:
    backend = vendor(tmp_path, CAPPED, "[spm]\nbytes = 8192\n")
    x, out = np.arange(4096, dtype=np.int32), np.empty(3 * 4096, np.int32)
    assert "capped" in run(backend, capped_sum, x, out, 3000, N=4096)
    np.testing.assert_array_equal(out, np.concatenate([np.minimum(x + 7, 3000), np.minimum(x + 7, 100), x + 70]))


def test_the_check_runs_what_an_instruction_stands_for(tmp_path: Path) -> None:
    registry.register(vendor(tmp_path, CAPPED))
    (row,) = conformance.own("mine", [DTYPES["i32"], DTYPES["f32"]])
    assert row.name == "capped" and row.passed == ["i32 i32 i32"] and not row.wrong
    registry.register(vendor(tmp_path, CAPPED.replace("np.minimum(", "np.maximum(")))
    (row,) = conformance.own("mine", [DTYPES["i32"]])
    assert list(row.wrong) == ["i32 i32 i32"]
    registry.register(vendor(tmp_path, CAPPED.replace("np.minimum(", "np.least(")))
    (row,) = conformance.own("mine", [DTYPES["i32"]])
    assert "has no attribute 'least'" in row.wrong["i32 i32 i32"]


@pytest.mark.parametrize(
    "change, message",
    [
        (("0x80", "0x51"), "T1 has this name, or opcode 0x51"),
        (("def capped", "def perm"), "instruction perm: T1 has this name"),
        (('unit="V"', 'unit="L"'), "one of M, V, X"),
        (("a: TileA, b: Imm", "a: TileA"), "fields and match 'minimum(add(a, b), c)' differ in b"),
        (("add(a", "plus(a"), "there is no op `plus`"),
        (("add(a, b)", "a + b"), "is not made of ops, operands and numbers"),
        (("add(a, b)", "add(a, b"), "is no expression"),
        (("to: TileTo, a", "a"), "`to: TileTo` first"),
    ],
)
def test_mistakes_of_a_declaration_are_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(LaunchError) as caught:
        vendor(tmp_path, CAPPED.replace(*change))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "change, message",
    [
        (("if op.spec.name", "if op.spec.nome"), r"hooks.py:10: AttributeError: .* has no attribute 'nome'"),
        (('"b": op', '"c": op'), r"instruction rolled: its match gives {'a': .*, 'c': .*}\nhelp: values for a, b, or None"),
        (("500.0", "machine.lines"), r"hooks.py:13: AttributeError: .* has no attribute 'lines'"),
        (("500.0", "-1"), r"instruction rolled: its cost is -1\nhelp: a number of cycles, 0 or more"),
        (("core.get(a) -", "core.take(a) -"), r"UNSUPPORTED: rolled: .*hooks.py:16: AttributeError: .* has no attribute 'take'\n  -->"),
    ],
)
def test_mistakes_of_functions_say_where(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    x = np.zeros((4, 8), np.int32)
    with pytest.raises(TileError, match=message):
        run(vendor(tmp_path, ROLLED.replace(*change)), differences, x, x, x.copy(), M=4, N=8)


def test_files_of_hooks(tmp_path: Path) -> None:
    first = vendor(tmp_path, CAPPED).machine
    assert first != vendor(tmp_path, CAPPED.replace("no more", "not more")).machine  # kernels are compiled again
    assert instruction_set(T1_BASE) is T1
    with pytest.raises(LaunchError, match="declares no instructions"):
        vendor(tmp_path, "EXTENSION = None\n")
    with pytest.raises(LaunchError, match=r"hooks.py:8: SyntaxError: invalid syntax"):
        vendor(tmp_path, "def (\n")
    with pytest.raises(LaunchError, match=r"hooks.py:8: ZeroDivisionError: division by zero"):
        vendor(tmp_path, "1 / 0\n")
    (tmp_path / "hooks.py").unlink()
    with pytest.raises(LaunchError, match=r"npu.hooks is 'hooks.py': No such file"):
        read(tmp_path / "mine.npu.toml")


def test_what_the_guide_shows_is_a_machine(tmp_path: Path) -> None:
    page = (ROOT / "tiledsl" / "docs" / "your_accelerator.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    machine = [text for kind, text in blocks if kind == "toml" and "[project" not in text]
    assert len(machine) == 4
    (tmp_path / "mine.npu.toml").write_text(machine[0].replace("[npu]\n", machine[2]) + machine[1] + machine[3])
    (tmp_path / "instructions.py").write_text(next(text for kind, text in blocks if "EXTENSION" in text))
    backend = Backend(read(tmp_path / "mine.npu.toml"), name="mine")
    registry.register(backend)
    (row,) = conformance.own("mine", [DTYPES["f32"], DTYPES["f16"]])
    assert (row.name, row.passed) == ("leaky", ["f32 f32"]) and "bits 152-159" in backend.manual()
