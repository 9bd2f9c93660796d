"""Kernels of any file, each taken out of it: nothing of the file runs but its imports, its constants and what is compiled."""

from __future__ import annotations

import ast
import builtins
import copy
import importlib
import linecache
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ...runtime.jit import jit

JIT = re.compile(r"^(triton\.|tiledsl\.|tl\.)?jit\b")  # not those of other compilers
COMPILED = re.compile(JIT.pattern + r"|\b(aggregate|constexpr_function)\b")
HARMLESS = ("triton", "tiledsl", "math", "numpy", "typing", "collections", "enum", "functools", "operator", "itertools", "dataclasses")
PURE = re.compile(r"constexpr|float|int|bool|str|tuple|namedtuple|math\.|cdiv|next_power_of_2|dtype|float\d|finfo|log2?|sqrt|len")
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True, eq=False)
class Unit:
    """A kernel, the definitions of its file that it can reach, and the names that it finds outside."""

    file: str
    kernel: str
    definitions: tuple[Definition, ...]
    names: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.file}::{self.kernel}"

    @property
    def function(self) -> ast.FunctionDef:
        """The kernel's own definition, the last."""
        last = self.definitions[-1]
        assert isinstance(last, ast.FunctionDef)
        return last


def units(paths: Iterable[Path]) -> Iterator[Unit]:
    """Every kernel of these files, and of the files below these folders: a jit function that returns nothing."""
    library = Library()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from library.units(file)


class Library:
    """Files read so far, by path."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, Any]] = {}

    def units(self, file: Path) -> Iterator[Unit]:
        """The kernels of a file, those inside functions and classes too."""
        tree = _parsed(file)
        if tree is None or "jit" not in file.read_text(errors="replace"):
            return
        names = self.names(file, tree)
        yield from self._within(file, tree.body, names, ())

    def _within(self, file: Path, body: Sequence[ast.stmt], names: dict[str, Any], outer: tuple[Definition, ...]) -> Iterator[Unit]:
        here = tuple(_plain(s) for s in _flat(body) if isinstance(s, Definition) and _is_compiled(s))
        visible = (*outer, *here)
        for definition in here:
            if isinstance(definition, ast.FunctionDef) and not _gives(definition):
                yield Unit(str(file), definition.name, reached(definition, visible), names)
        for s in _flat(body):
            if isinstance(s, Definition) and not _is_compiled(s):
                inner = dict(names)
                _run_constants(_flat(s.body), inner)
                yield from self._within(file, s.body, inner, visible)

    def names(self, file: Path, tree: ast.Module | None = None) -> dict[str, Any]:
        """What the top of a file defines: imports, constants, and what is compiled."""
        file = file.resolve()
        if file in self._names:
            return self._names[file]
        names: dict[str, Any] = {"__name__": file.stem}
        self._names[file] = names  # before it is filled: files import each other
        tree = tree or _parsed(file)
        if tree is None:
            return names
        for s in _flat(tree.body):
            if isinstance(s, ast.Import | ast.ImportFrom):
                self._import(s, file, names)
        _run_constants(_flat(tree.body), names)
        compiled = [_plain(s) for s in _flat(tree.body) if isinstance(s, Definition) and _is_compiled(s)]
        for definition in compiled:
            try:
                define([definition], f"<{file}:{definition.name}>", names)
            except Exception:
                continue
        return names

    def _import(self, node: ast.Import | ast.ImportFrom, file: Path, names: dict[str, Any]) -> None:
        """Bind what an import binds: of known packages by importing, of others by reading their files."""
        for alias in node.names:
            module = alias.name if isinstance(node, ast.Import) else node.module or ""
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            bound = alias.asname or alias.name
            if not relative and module.partition(".")[0] in HARMLESS:
                try:
                    found = importlib.import_module(module)
                    if isinstance(node, ast.Import):
                        names[bound.partition(".")[0]] = found if alias.asname else importlib.import_module(module.partition(".")[0])
                    elif alias.name == "*":
                        names.update({k: v for k, v in vars(found).items() if not k.startswith("_")})
                    else:
                        names[bound] = _member(found, module, alias.name)
                except (ImportError, AttributeError):
                    pass
            elif isinstance(node, ast.ImportFrom) and (source := _file_of(module, node.level, alias.name, file)):
                theirs = self.names(source)
                if alias.name == "*":
                    names.update(theirs)
                elif alias.name in theirs:
                    names[bound] = theirs[alias.name]
                elif (inner := source.parent / f"{alias.name}.py").is_file():
                    names[bound] = ModuleType(alias.name)
                    vars(names[bound]).update(self.names(inner))


def define(definitions: Sequence[ast.stmt], file: str, names: dict[str, Any]) -> str:
    """Run definitions, as text that tracebacks and the compiler find under `file`."""
    text = "\n\n".join(map(ast.unparse, definitions)) + "\n"
    run_text(text, file, names)
    return text


def run_text(text: str, file: str, names: dict[str, Any]) -> None:
    """Run the text of definitions; `jit` is there for their decorators."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names.setdefault("__name__", "mutants")
    names["jit"] = jit
    exec(compile(text, file, "exec"), names)


def reached(function: Definition, definitions: Sequence[Definition]) -> tuple[Definition, ...]:
    """The definitions whose names a function's text mentions, and theirs; the function itself last."""
    by_name = {d.name: d for d in definitions}
    found: dict[str, Definition] = {}
    todo = [function]
    while todo:
        current = todo.pop()
        for node in ast.walk(current):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in by_name and name not in found and by_name[name] is not function:
                found[name] = by_name[name]
                todo.append(by_name[name])
    return (*(d for d in definitions if found.get(d.name) is d), function)


def free_names(unit: Unit) -> list[str]:
    """Names that the definitions read and that nothing defines: what a test's parameters were, for example."""
    defined = {d.name for d in unit.definitions} | {*unit.names} | {*vars(builtins)} | {"jit"}
    found: dict[str, None] = {}
    for definition in unit.definitions:
        own = {n.arg for n in ast.walk(definition) if isinstance(n, ast.arg)}
        own |= {n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        read = [n.id for n in ast.walk(definition) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        found.update(dict.fromkeys(n for n in read if n not in own and n not in defined))
    return list(found)


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_text(errors="replace"))
    except (SyntaxError, ValueError, OSError):
        return None


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements, and those inside `if`, `try`, `with` and loops."""
    for s in body:
        yield s
        for part in ("body", "orelse", "finalbody"):
            if not isinstance(s, Definition | ast.AsyncFunctionDef):
                yield from _flat(getattr(s, part, []))


def _is_compiled(node: Definition) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(COMPILED.search(ast.unparse(d)) for d in node.decorator_list) or any("NamedTuple" in ast.unparse(b) for b in node.bases)
    return any(COMPILED.search(ast.unparse(d)) for d in node.decorator_list)


def _plain(node: Definition) -> Definition:
    """The definition with `@jit` alone, whatever tunes or wraps it."""
    if isinstance(node, ast.FunctionDef) and any(JIT.search(ast.unparse(d)) for d in node.decorator_list):
        bare = copy.copy(node)
        bare.decorator_list = [ast.Name("jit", ast.Load())]
        bare.returns = None
        return ast.fix_missing_locations(bare)
    return node


def _gives(node: ast.FunctionDef) -> bool:
    """Whether a function returns a value: then it is no kernel."""
    return any(isinstance(n, ast.Return) and n.value is not None and not _is_none(n.value) for n in ast.walk(node))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _run_constants(body: Iterable[ast.stmt], names: dict[str, Any]) -> None:
    """Run assignments whose values are computed from numbers and names alone."""
    for s in body:
        if not isinstance(s, ast.Assign | ast.AnnAssign) or s.value is None:
            continue
        if not all(PURE.search(ast.unparse(c.func)) for c in ast.walk(s.value) if isinstance(c, ast.Call)):
            continue
        if any(isinstance(n, ast.Lambda | ast.Await | ast.Yield) for n in ast.walk(s.value)):
            continue
        names.setdefault("math", math)
        try:
            exec(compile(ast.Module([s], []), "<constant>", "exec"), names)
        except Exception:
            continue


def _member(module: Any, name: str, member: str) -> Any:
    """module.member, or the submodule of that name."""
    return getattr(module, member) if hasattr(module, member) else importlib.import_module(f"{name}.{member}")


def _file_of(module: str, level: int, member: str, importer: Path) -> Path | None:
    """The file that an import reads, looked for beside and above the importer."""
    parts = [p for p in module.split(".") if p]
    if level:
        starts = [importer.resolve().parents[level - 1]]
    else:
        starts = list(importer.resolve().parents)[:8]
    for start in starts:
        base = start.joinpath(*parts)
        for candidate in (base.with_suffix(".py") if parts else base / "__init__.py", base / "__init__.py", base / f"{member}.py"):
            if candidate.is_file() and candidate.resolve() != importer.resolve():
                return candidate
    return None
