"""The manual is what the declarations say: its pages are up to date, complete, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiledsl import __main__ as command
from tiledsl import config
from tiledsl import language as tl
from tiledsl.ir.spec import SPECS
from tiledsl.language.core import Builtin, Library
from tiledsl.manual import FOLDER, pages
from tiledsl.manual.deviations import DEVIATIONS
from tiledsl.manual.examples import FUNCTIONS

MADE = pages()
PAGES = sorted(FOLDER.glob("*.md"))


@pytest.mark.parametrize("name", MADE)
def test_a_page_is_what_the_declarations_say(name: str) -> None:
    assert (FOLDER / name).read_text() == MADE[name], "write it again: python -m tiledsl docs --update"


def test_every_function_of_the_language_and_every_op_has_an_entry() -> None:
    functions = {n for n, v in vars(tl).items() if isinstance(v, Builtin | Library)}
    assert functions - set(re.findall(r"^### `tl\.(\w+)\(", MADE["language.md"], re.M)) == set()
    assert SPECS.keys() - set(re.findall(r"^### (\w+)$", MADE["ops.md"], re.M)) == set()
    assert all(f"`{v.name}`" in MADE["environment.md"] for v in config.VARIABLES)


def test_the_manual_is_the_same_on_every_machine() -> None:
    assert not any(str(Path.home()) in text for text in MADE.values() if len(str(Path.home())) > 1)


def test_what_is_said_of_a_function_is_about_one_that_there_is() -> None:
    assert [name for name in (*DEVIATIONS, *FUNCTIONS) if not hasattr(tl, name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", prose):
        assert not target or target.startswith("http") or (page.parent / target).exists(), target


def test_a_manual_written_elsewhere_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["docs", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in PAGES}
    assert "](../" not in "".join(p.read_text() for p in tmp_path.iterdir())
    before = {p: p.stat().st_mtime_ns for p in PAGES}
    capsys.readouterr()
    assert command.main(["docs"]) == 0
    assert capsys.readouterr().out.split() == [str(p) for p in PAGES]
    assert before == {p: p.stat().st_mtime_ns for p in PAGES}, "reading where they are writes none"


def test_the_first_page_leads_to_the_others() -> None:
    assert {*MADE, "coming_from_triton.md"} - {"index.md"} <= set(re.findall(r"\]\(([^)]*\.md)\)", MADE["index.md"]))
