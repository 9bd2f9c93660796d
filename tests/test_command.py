"""`python -m tiledsl`: every command says what it takes, and answers what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiledsl import __main__ as command


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """What a command returns or exits with, and all it prints."""
    try:
        code = command.main(arguments)
    except SystemExit as exit:
        code = int(exit.code or 0)
    return code, "".join(capsys.readouterr())


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_has_help(name: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, name, flag)
    assert code == 0 and f"usage: python -m tiledsl {name}" in text


def test_an_unknown_command_is_called_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "shwo")
    assert code == 2 and "there is no command `shwo`" in text and "did you mean `show`?" in text


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("show", "missing.tile"), "missing.tile: No such file or directory"),
        (("show", "x.tile", "--after", "dea"), "did you mean `dead`?"),
        (("show",), "required: FILE.tile"),
        (("run", "missing.py"), "there is no such file"),
        (("ops", "sqr"), "did you mean `sqrt`?"),
        (("isa", "nup"), "did you mean `npu`?"),
        (("config", "TILEDSL-CACHE"), "did you mean `TILEDSL_CACHE`?"),
        (("check", "cpu", "many"), "`many` is no number, 0 or more"),
        (("check", "cpu", "-3"), "`-3` is no number, 0 or more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_it_does_not_know_is_named(arguments: tuple[str, ...], answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, *arguments)
    assert code != 0 and answer in text


def test_a_file_that_is_no_text_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.tile").write_bytes(b"\x89PNG\xaa\x00")
    code, text = said(capsys, "show", str(tmp_path / "photo.tile"))
    assert code == 1 and "photo.tile: this is no text\nhelp: " in text


def test_a_folder_for_a_file_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = said(capsys, "show", str(tmp_path))
    assert code == 1 and str(tmp_path) in text
