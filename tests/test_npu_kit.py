"""The bring-up kit: launches become vectors, which run again to the same bytes; what differs is told apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tiledsl
import tiledsl.language as tl
from tiledsl.__main__ import main
from tiledsl.backend import registry
from tiledsl.backends.npu.kit.record import Recorder
from tiledsl.backends.npu.kit.vectors import load, read_image
from tiledsl.errors import LaunchError
from tiledsl.testing.suite import recording


@tiledsl.jit
def scale_in_place(x, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + at, mask=at < n) * 2
    tl.store(x + at, values, mask=at < n)
    tl.atomic_add(out, tl.sum(values))


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Path]:
    """A folder with one launch of two programs."""
    before = registry.find("npu")
    recorder = before.recorder(tmp_path / "golden")  # type: ignore[attr-defined]
    assert isinstance(recorder, Recorder)
    registry.register(recorder)
    x, out = np.arange(40, dtype=np.int32), np.zeros(1, np.int32)
    try:
        scale_in_place[(2,)](x, out, 40, BLOCK=32, backend="npu")
    finally:
        registry.register(before)
    np.testing.assert_array_equal(x, 2 * np.arange(40))
    assert out[0] == 40 * 39
    yield tmp_path / "golden"


def test_a_vector_holds_a_launch(vectors: Path) -> None:
    [place] = vectors.iterdir()
    vector = load(place)
    assert vector.grid == (2, 1, 1) and [p.name for p in vector.places] == ["x", "out"]
    np.testing.assert_array_equal(np.frombuffer(vector.before[0], np.int32), np.arange(40))
    np.testing.assert_array_equal(np.frombuffer(vector.after[0], np.int32), 2 * np.arange(40))
    assert vector.arguments[:2] == [p.address for p in vector.places] and vector.arguments[2] == 40
    programs = [line.split()[0] for line in vector.retired]
    assert sorted(programs) == programs and set(programs) == {"0", "1"}
    assert any(" dst 1 dram[" in line for line in vector.retired) and any("=0000000000000028" in line for line in vector.retired)
    assert len((place / "program.hex").read_text().split()) == len(vector.words) == len(vector.sources)
    assert any("test_npu_kit.py" in line for line in vector.sources)


def test_vectors_run_again(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", str(vectors), "--check"]) == 0
    assert capsys.readouterr().out == "1 vectors, 0 differ\n"


def test_another_simulator_is_told_where_it_parts(vectors: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(vectors, other)
    assert main(["vectors", str(vectors), "--check", "--against", str(other)]) == 0
    [place] = other.iterdir()
    image = (place / "memory_out.hex").read_text().split("\n")
    image[3] = "f" + image[3][1:]  # the top of the third word
    (place / "memory_out.hex").write_text("\n".join(image))
    log = (place / "retired.log").read_text().splitlines()
    log[1] = log[1].replace("arg", "movi")
    (place / "retired.log").write_text("\n".join(log))
    capsys.readouterr()
    assert main(["vectors", str(vectors), "--check", "--against", str(other)]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert "retired.log line 2: expected `0 1 arg 1 r" in first and "found `0 1 movi 1 r" in first and "arg r" in first.split(";")[1]
    assert "`x` byte 47 (address 0x1000002f): expected 00, found f0" in second
    assert last == "1 vectors, 1 differ"


def test_images_are_read_as_simulators_write_them(vectors: Path) -> None:
    [place] = vectors.iterdir()
    vector, path = load(place), place / "memory_out.hex"
    path.write_text("// 0x01000000\n" + path.read_text().replace("0000\n", "00_00 // lowest\n").upper())
    assert read_image(path, vector.places) == vector.after
    path.write_text("@1000000\n" + "x" * 32)
    with pytest.raises(LaunchError, match=r"memory_out.hex:2: `x+` is no number in hexadecimal"):
        read_image(path, vector.places)


def test_vectors_of_another_machine_are_told(vectors: Path) -> None:
    with pytest.raises(LaunchError, match="is of the machine `t1-base`, words of 128 bits; it is held against `edge`") as caught:
        list(registry.find("npu:edge").replayed(vectors))  # type: ignore[attr-defined]
    assert "--backend" in str(caught.value)


def test_words_that_stop_are_a_difference(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [place] = vectors.iterdir()
    words = (place / "program.hex").read_text().split()
    (place / "program.hex").write_text("\n".join([words[0], "f" * 32, *words[2:]]))
    assert main(["vectors", str(vectors), "--check"]) == 1
    said = capsys.readouterr().out
    assert "ILLEGAL: opcode 0xff is no instruction of T1-128" in said and "instruction 1: word 0xfff" in said and "1 differ" in said


def test_a_folder_without_vectors_and_another_format(vectors: Path, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="there are no vectors in"):
        list(registry.find("npu").replayed(tmp_path / "nothing"))  # type: ignore[attr-defined]
    [place] = vectors.iterdir()
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(LaunchError, match="has format 2; this version reads 1"):
        load(place)


def test_a_suite_is_written_and_runs_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", str(tmp_path), "--types", "u8", "--programs", "2", "--no-kernels"]) == 0
    ops, programs = capsys.readouterr().out.splitlines()
    assert int(ops.split()[1]) > 20 and programs == "random programs: 2 vectors"
    assert main(["vectors", str(tmp_path), "--check"]) == 0
    with pytest.raises(LaunchError, match="`cpu` records no vectors"):
        recording("cpu", tmp_path)
