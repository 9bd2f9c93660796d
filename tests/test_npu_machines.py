"""Machines as files: presets, errors that name the key, and the same bits from every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.backend import registry
from tiledsl.backends.npu import Backend
from tiledsl.backends.npu.machine import PRESETS, T1_BASE, Npu, find, read
from tiledsl.backends.npu.machine.model import DECLARED, KEYS
from tiledsl.errors import LaunchError


@tiledsl.jit
def doubled(x, out, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(out + at, tl.load(x + at) * 2)


def spec(folder: Path, text: str) -> Path:
    path = folder / "mine.npu.toml"
    path.write_text(text, "latin-1")
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_sources(name: str) -> None:
    machine = find(name)
    assert machine.name == name and machine.sources["npu"]
    assert machine.memories == {"spm": machine.spm_bytes, "acc": machine.acc_bytes}


def test_what_a_file_leaves_out_is_as_in_the_base(tmp_path: Path) -> None:
    machine = read(spec(tmp_path, '[npu]\nname = "mine"\n[spm]\nbytes = 4096\n[matrix.rate]\ni8 = 2\n'))
    assert (machine.name, machine.spm_bytes, machine.lanes) == ("mine", 4096, T1_BASE.lanes)
    assert machine.multiplies("i8") and not machine.multiplies("f32")
    assert machine == find(str(tmp_path / "mine.npu.toml"))


def test_defaults_are_those_of_the_base() -> None:
    bare = Npu()
    assert all(getattr(bare, name) == getattr(T1_BASE, name) for name in KEYS.values())
    assert bare.matrix_rate == T1_BASE.matrix_rate and all(key.meaning for key in DECLARED.values())


@pytest.mark.parametrize(
    "text, message, help",
    [
        ("[spm]\nbites = 4096\n", r"there is no key `spm.bites`", "did you mean `spm.bytes`?"),
        ("[smp]\nbytes = 4096\n", r"there is no section \[smp\]", "did you mean `spm`?"),
        ("spm = 4096\n", "`spm` is a section, not a value", "write [spm]"),
        ('[spm]\nbytes = "much"\n', "spm.bytes is 'much', not a whole number", "bytes of scratchpad"),
        ("[spm]\nbytes = 12.5\n", "spm.bytes is 12.5, not a whole number", "bytes of scratchpad"),
        ("[spm]\nbytes = 8\n", "spm.bytes is 8; it lies between 1024 and", "bytes of scratchpad"),
        ("[dma]\nburst = 48\n", "dma.burst is 48, no power of two", "bytes that DRAM moves"),
        ("[matrix.rate]\ni4 = 1\n", r"there is no type `i4` in \[matrix.rate\]", ""),
        ("[matrix.rate]\ni8 = -1\n", "matrix.rate.i8 is -1", "a number from 0 to 64"),
        ("[matrix]\nrows = 0\n", "matrix.rows is 0 and matrix.cols is 32", "write 0 for both"),
        ("[spm\n", "is no TOML", ""),
        ('[npu]\nname = " "\n', "npu.name is ' '", "what it is called"),
        ('[npu]\nname = "\xe9"\n', "is no TOML: byte 14 is no UTF-8", "save it as UTF-8"),
        ("[spm]\nsource = 1\n", "spm.source is 1, not a string", "where the numbers"),
        ("[energy.mac_pj]\ni8 = nan\n", "energy.mac_pj.i8 is nan", "a number, 0 or more"),
        ("[encoding]\nbits = 160\n[encoding.opcodes]\nhlt = 1\n", r"there is no instruction `hlt` in \[encoding.opcodes\]", ""),
    ],
)
def test_mistakes_name_machine_and_key(tmp_path: Path, text: str, message: str, help: str) -> None:
    with pytest.raises(LaunchError, match=message) as caught:
        registry.find(f"npu:{spec(tmp_path, text)}")
    assert "mine" in str(caught.value) and help in str(caught.value)


def test_a_launch_names_a_machine(tmp_path: Path) -> None:
    path = spec(tmp_path, '[npu]\nname = "slow"\n[dram]\nlatency_cycles = 5000\n')
    x = np.arange(128, dtype=np.float32)
    cycles = []
    for backend in ("npu", "npu:t1-base", "npu:ideal", f"npu:{path}"):
        out = np.zeros_like(x)
        launched = doubled[(2,)](x, out, N=64, backend=backend)
        np.testing.assert_array_equal(out, 2 * x)
        cycles.append(launched.report.cycles)
    assert cycles[0] == cycles[1] > cycles[2] and cycles[3] > cycles[0] + 5000


def test_a_machine_of_a_file_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what was compiled for it, also once its file lies elsewhere than where one is."""
    spec(tmp_path, '[npu]\nname = "other"\ncores = 3\n')
    monkeypatch.chdir(tmp_path)
    x = np.arange(64, dtype=np.float32)
    launched = doubled[(1,)](x, x.copy(), N=64, backend="npu:mine.npu.toml")
    monkeypatch.chdir("/")
    assert "halt" in launched.asm["asm"] and "asm" in repr(launched)
    backend = registry.find(f"npu:{tmp_path / 'mine.npu.toml'}")
    assert registry.find(backend.name) is backend


@tiledsl.jit
def sorted_sums(x, out, N: tl.constexpr):
    at = tl.arange(0, N)
    values = tl.load(x + at)
    tl.store(out + at, tl.cumsum(tl.sort(values), axis=0) / tl.sum(values, axis=0))


def test_elements_may_be_wider_than_all_lanes() -> None:
    """A lane has four bytes, and a machine may have one."""
    x = np.random.default_rng(0).standard_normal(16)
    expected, found, cycles = np.empty(16), np.empty(16), []
    sorted_sums[(1,)](x, expected, N=16, backend="interpreter")
    for lanes in (1, 3, 8):
        with registry.standing_in(Backend(T1_BASE.but(lanes=lanes), name="narrow")):
            launched = sorted_sums[(1,)](x, found, N=16, backend="narrow")
        np.testing.assert_array_equal(found, expected)
        cycles.append(launched.report.cycles)
    assert cycles[0] > cycles[1] > cycles[2]


def test_a_machine_that_is_not_there() -> None:
    with pytest.raises(LaunchError, match="there is no machine `egde`") as caught:
        registry.find("npu:egde")
    assert "did you mean `edge`?" in str(caught.value)
    with pytest.raises(LaunchError, match="`cpu` has no machines to choose from"):
        registry.find("cpu:edge")
    with pytest.raises(LaunchError, match="No such file"):
        registry.find("npu:nowhere.toml")


def test_a_machine_is_made_once() -> None:
    assert registry.find("npu:edge") is registry.find("npu:edge")
    assert registry.find("npu:t1-base") is registry.find("npu")
