"""Every golden file under tests/files says what is so."""

from pathlib import Path

import pytest

from tiledsl.testing.golden import check_file

ROOT = Path(__file__).parent / "files"
FILES = sorted([*ROOT.rglob("*.tile"), *(ROOT / "errors").rglob("*.py")])


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_golden_file(path: Path, update_golden: bool) -> None:
    check_file(path, update_golden)


WRONG = """; test: verify
kernel @f() {
  %x: f32[4] = constant {value=1.0, type=f32[4]}
  %y: f32[8] = neg %x
}
"""


def test_an_unexpected_text_fails_and_update_rewrites_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tile"
    path.write_text("; test: parse\nkernel @f() {\n}\n; expect:\nkernel @g() {\n}\n")
    with pytest.raises(AssertionError, match="expected"):
        check_file(path)
    check_file(path, update=True)
    check_file(path)
    assert path.read_text().endswith("; expect:\nkernel @f() {\n}\n")


def test_an_error_on_another_line_or_none_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.tile"
    path.write_text(WRONG.replace("neg %x", "neg %x  ; error: typing rule says f32[4]"))
    check_file(path)
    path.write_text(WRONG.replace("f32[4]}", "f32[4]}  ; error: typing rule says f32[4]"))
    with pytest.raises(AssertionError, match="at line 4"):
        check_file(path)
    path.write_text(WRONG.replace("f32[8] = neg %x", "f32[4] = neg %x  ; error: typing rule"))
    with pytest.raises(AssertionError, match="got none"):
        check_file(path)


def test_a_wrong_result_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.tile"
    text = "; test: run\nkernel @f(%p: *f32) {\n  %x: f32 = load %p\n  %y: f32 = neg %x\n  store %p, %y\n}\n; run: ([1.0]) == ([WANTED])\n"
    path.write_text(text.replace("WANTED", "-1.0"))
    check_file(path)
    path.write_text(text.replace("WANTED", "1.0"))
    with pytest.raises(AssertionError, match=r"the file says 1\.0 .* as written -1.0"):
        check_file(path)


def test_a_script_is_held_to_its_diagnostic(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("from tiledsl.errors import LaunchError\n\nraise LaunchError('no', help='try')\n\n# expect:\n# wrong\n")
    with pytest.raises(AssertionError, match="help: try"):
        check_file(path)
    check_file(path, update=True)
    check_file(path)
