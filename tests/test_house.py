"""The house keeps its own promises: who imports whom, what is documented, how large files are."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from tiledsl import config
from tiledsl.ir.spec import SPECS

# a module imports from the rows above its own, and from its neighbours where the third column names them
LAYERS: tuple[tuple[str, dict[str, set[str]]], ...] = (
    (
        "ground",
        {
            "beyond": {"errors", "location"},
            "collecting": set(),
            "config": {"errors", "record"},
            "digest": set(),
            "files": {"digest"},
            "forks": set(),
            "frames": {"config", "errors"},
            "epoch": set(),
            "errors": {"location", "record"},
            "location": set(),
            "machine": {"record"},
            "record": set(),
            "source": {"errors", "location"},
            "version": set(),
            "watch": {"config", "errors", "location"},
        },
    ),
    ("grammar", {"ir": set()}),
    ("vocabulary", {"ops": set(), "messages": set()}),
    (
        "readers of ops",
        {
            "memory": set(),
            "waiting": set(),
            "interpreter": {"memory", "waiting"},
            "numerics": {"memory", "interpreter", "passes"},  # its exhaustive check runs its own definitions
            "passes": {"memory", "interpreter", "numerics", "waiting"},
            "ptx": {"numerics"},
            "language": {"numerics", "ptx"},  # libdevice writes its functions as tile programs
            "frontend": {"language"},
        },
    ),
    ("targets", {"backend": set()}),
    ("running", {"runtime": set()}),
    ("tools", {"autotune": set(), "testing": set(), "manual": set()}),
    ("the names users see", {"tiledsl": set()}),
    (
        "users of the compiler",
        {"backends": set(), "kernels": {"bench"}, "compat": set(), "bench": {"kernels", "backends"}, "explore": {"kernels", "backends"}},
    ),
    ("the command", {"__main__": set()}),
)
EXEMPT = {("numerics.check", "backend")}  # a program of its own, that runs the definitions on every backend
PRIVATE_TO_BACKENDS = {"autotune", "testing", "tiledsl", "runtime", "language", "frontend", "kernels"}  # a backend needs none of them
LONGEST = 520

# imports that do not stand at the top of their file, each with the reason that its line or this table gives
LATE = {
    "llvmlite": "60 ms that a kernel loaded from the cache does not need to spend",
    "importlib.metadata": "slow, and only needed for a name that is not built in",
    "torch": "optional",
    "redis": "optional",
    "pandas": "optional",
    "matplotlib": "optional",
    "ml_dtypes": "optional",
    "numba": "optional",
}


def sources(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


HOUSE = sources("tiledsl", "backends", "kernels")


def module_of(path: Path) -> list[str]:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return parts if parts[0] == "tiledsl" else ["tiledsl", *parts]


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """The full name of everything a file imports."""
    package = module_of(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = [*base, *(node.module.split(".") if node.module else [])]
            if names == ["tiledsl"]:
                yield from ((f"tiledsl.{alias.name}", node) for alias in node.names)
            else:
                yield ".".join(names), node


def room(module: list[str]) -> str:
    """The row of the table a module belongs to."""
    rooms = {name for _, row in LAYERS for name in row}
    return module[1] if len(module) > 1 and module[1] in rooms else "tiledsl"


def typing_only(path: Path) -> set[ast.stmt]:
    """Imports that only type checkers see."""
    tree = ast.parse(path.read_text())
    guarded = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")]
    return {(s.lineno, s.col_offset) for g in guarded for s in ast.walk(g) if isinstance(s, ast.Import | ast.ImportFrom)}  # type: ignore[misc]


@pytest.mark.parametrize("path", HOUSE, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_what_lies_below_it(path: Path) -> None:
    height = {name: i for i, (_, row) in enumerate(LAYERS) for name in row}
    allowed = {name: more for _, row in LAYERS for name, more in row.items()}
    here, unseen = room(module_of(path)), typing_only(path)
    for name, node in imports(path):
        if not name.startswith("tiledsl") or (node.lineno, node.col_offset) in unseen:
            continue
        there = room(name.split("."))
        exempt = (".".join(module_of(path)[1:]), there) in EXEMPT
        below = height[there] < height[here] or there in allowed[here] or there == here or exempt
        assert below, f"line {node.lineno}: {here} imports {there}, which does not lie below it"
        assert here != "backends" or there not in PRIVATE_TO_BACKENDS, f"line {node.lineno}: a backend imports {there}"


# `compat` mirrors the modules of another package, and those need each other
ORDERLY = [path for path in HOUSE if room(module_of(path)) != "compat"]


@pytest.mark.parametrize("path", ORDERLY, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_stand_at_the_top(path: Path) -> None:
    unseen = typing_only(path)
    top = {(n.lineno, n.col_offset) for n in ast.parse(path.read_text()).body}
    lines = path.read_text().splitlines()
    for name, node in imports(path):
        place = (node.lineno, node.col_offset)
        if place in top or place in unseen or name.split(".")[0] in LATE or name in LATE:
            continue
        assert "#" in lines[node.lineno - 1], f"line {node.lineno}: {name} is imported late, and the line does not say why"


# --- documentation


def test_every_op_says_what_it_does() -> None:
    for spec in SPECS.values():
        first = spec.doc.splitlines()[0]
        assert len(first) > 3 and not first.startswith("TODO"), spec.name
        assert spec.doc.rstrip().endswith((".", "...")), f"{spec.name}: {spec.doc!r}"


def test_every_file_says_what_it_is_about() -> None:
    for path in [*HOUSE, *sources("tests")]:
        if "files" not in path.parts and path.read_text().strip():
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no first line"


def test_every_variable_is_declared() -> None:
    declared = {v.name for v in config.VARIABLES}
    texts = [*HOUSE, *sources("tests", "examples"), *ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("*/*/*.md"), *ROOT.glob("*.cfg")]
    for path in texts:
        for name in re.findall(r"TILEDSL_[A-Z][A-Z_]*[A-Z]", path.read_text()):
            assert name in declared, f"{path} mentions {name}, which config.py does not declare"
    assert all(v.help for v in config.VARIABLES)


def test_what_is_kept_is_text() -> None:
    listing = (
        subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True) if (ROOT / ".git").exists() else None
    )
    if listing is None or listing.returncode:
        pytest.skip("not a checkout: nothing says which files are kept")
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():  # a file that is about to be removed is still listed
            assert b"\0" not in (ROOT / name).read_bytes(), f"{name} is not text: what was built or downloaded stays out of the repository"


def test_files_can_be_read_in_one_sitting() -> None:
    for path in HOUSE:
        count = len(path.read_text().splitlines())
        assert count <= LONGEST, f"{path} has {count} lines"
