"""What a jit function reads from outside: globals, variables of enclosing functions, other functions, transitively."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import field
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ..digest import sha256
from ..errors import CompilationError
from ..record import Record
from ..source import lines_of, nodes, parse_function
from .signature import text_of

if TYPE_CHECKING:
    from .function import JITFunction


class Capture(Record):
    """One name read from outside and what it meant when the function was compiled."""

    scope: dict[str, Any] | CellType = field(repr=False)
    name: str
    value: object
    text: str
    shown: str = ""  # as messages show it

    def changed(self) -> bool:
        """Whether the name means something else now; the value inside a tl.constexpr may change, too."""
        now = read(self.scope, self.name)
        return (now is not self.value or type(now).__name__ == "constexpr") and describe(now) != self.text

    def now(self) -> object:
        """What the name means now."""
        return read(self.scope, self.name)

    @property
    def is_plain(self) -> bool:
        """Neither code nor a module: a value that a change would make stale."""
        return not _is_jit(self.value) and not isinstance(self.value, (FunctionType, ModuleType))


class Captures(Record):
    """The captures of a function and of all that it calls, and a digest of them and of every source."""

    found: tuple[Capture, ...]
    digest: str
    functions: tuple[Any, ...] = ()  # the jit functions, from the one asked for on
    read_by: Mapping[int, tuple[Capture, ...]] = field(default_factory=dict)  # by id: what each of them reads itself

    def changed(self) -> Capture | None:
        """The first capture that no longer is what it was."""
        for c in self.found:
            if (type(c.scope) is not dict or c.scope.get(c.name) is not c.value) and c.changed():
                return c
        return None


def read(scope: dict[str, Any] | CellType, name: str) -> object:
    """The value of a name in a scope; None where there is none."""
    if isinstance(scope, CellType):
        try:
            return scope.cell_contents
        except ValueError:
            return None
    return scope.get(name)


def find_captures(function: JITFunction) -> Captures:
    """Walk the function and everything it calls."""
    found: dict[tuple[int, str], Capture] = {}
    texts: list[str] = []
    done: set[int] = set()
    functions: list[Any] = []
    read_by: dict[int, list[Capture]] = {}

    def visit(function: Any) -> None:
        if id(function) in done:  # a function may call itself
            return
        done.add(id(function))
        own = read_by.setdefault(id(function), [])
        if _is_jit(function):
            functions.append(function)
        tree, fn, source = _parts(function)
        values = (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values())
        defaults = [v.name if _is_jit(v) else text_of(v) for v in values]
        where = f"{fn.__code__.co_filename}:{fn.__code__.co_firstlineno}"  # compiled code names its lines in errors
        texts.append(f"{fn.__qualname__}({', '.join(defaults)}) {where}\n{source}")
        for value in values:
            for code in _code_of(value):
                visit(code)
        for scope, name, value in _references(tree, fn):
            for code in _code_of(value):
                visit(code)
            shown = repr(value) if type(value).__name__ == "constexpr" else str(value)
            capture = Capture(scope, name, value, describe(value), shown)
            found.setdefault((id(scope), name), capture)
            own.append(capture)
            texts.append(f"{name} = {capture.text}")

    visit(function)
    digest = sha256("\0".join(texts).encode()).hexdigest()
    return Captures(tuple(found.values()), digest, tuple(functions), {key: tuple(own) for key, own in read_by.items()})


def describe(value: object) -> str:
    """A captured value as text; a function by its own source, its captures are described on their own."""
    if _is_jit(value):
        return f"jit {value.name}\n{value.source}"  # type: ignore[attr-defined]
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return text_of(value)


def _code_of(value: Any) -> list[Any]:
    """The functions that a value brings along: itself, what it wraps, or the methods of a class."""
    if _is_jit(value):
        return [value]
    if isinstance(value, type):
        return [m for m in vars(value).values() if _is_jit(m) or (isinstance(m, FunctionType) and m.__module__ == value.__module__)]
    value = value.value if type(value).__name__ == "constexpr" else value  # a function that a constexpr holds
    wrapped = value if isinstance(value, FunctionType) else getattr(value, "__wrapped__", None)
    of_the_compiler = isinstance(wrapped, FunctionType) and str(wrapped.__module__).startswith("tiledsl.")
    return [wrapped] if isinstance(wrapped, FunctionType) and (not of_the_compiler or ".kernels." in wrapped.__module__) else []


def _is_jit(value: object) -> bool:
    return bool(getattr(value, "is_jit_function", False))


def _parts(function: Any) -> tuple[ast.AST, FunctionType, str]:
    if _is_jit(function):
        return function.tree, function.fn, function.source
    try:
        source, tree = parse_function(function, lines_of(function))
        return tree, function, source
    except CompilationError:  # a lambda, or made without a file
        return ast.Module([], []), function, _code_text(function.__code__)


def _code_text(code: CodeType) -> str:
    inner = [_code_text(c) if isinstance(c, CodeType) else text_of(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} ({', '.join(inner)})"


def _references(tree: ast.AST, fn: FunctionType) -> Iterator[tuple[dict[str, Any] | CellType, str, object]]:
    """(scope, name, value) for every outside name the function reads; `module.name` counts as a name of the module."""
    free = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    local = {*fn.__code__.co_varnames, *fn.__code__.co_cellvars}
    if not local.isdisjoint(fn.__globals__):
        local -= _read_before_assigned(tree)
    for chain in _chains(tree):
        scope = free.get(chain[0]) or (fn.__globals__ if chain[0] not in local and chain[0] in fn.__globals__ else None)
        if scope is None:
            continue
        name, value = chain[0], read(scope, chain[0])
        for attribute in chain[1:]:
            if not isinstance(value, ModuleType) or not hasattr(value, attribute):
                break
            scope, name, value = vars(value), attribute, getattr(value, attribute)
        of_the_language = isinstance(scope, dict) and str(scope.get("__name__")).startswith(_LANGUAGE)
        if not of_the_language and not isinstance(value, ModuleType) and value is not vars(builtins).get(name):
            yield scope, name, value


def _read_before_assigned(tree: ast.AST) -> set[str]:
    """Names that a statement reads before any assigns them: outside ones at that point, although assigned later."""
    if not isinstance(tree, ast.FunctionDef):
        return set()
    found, assigned = set(), {a.arg for a in nodes(tree.args) if isinstance(a, ast.arg)}
    for statement in tree.body:
        names = [node for node in nodes(statement) if isinstance(node, ast.Name)]
        stored = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)):
            found |= {n.id for n in names if isinstance(n.ctx, ast.Load)} - assigned
        assigned |= stored
    return found


_LANGUAGE = ("tiledsl.language", "tiledsl.compat.triton.language")


def _chains(tree: ast.AST) -> Iterator[list[str]]:
    """["a", "b", "c"] for every a.b.c that the body or an annotation reads; decorators and defaults are not part of the code."""
    outside = set(getattr(tree, "decorator_list", ()))
    if isinstance(tree, ast.FunctionDef):
        outside |= {*tree.args.defaults, *tree.args.kw_defaults}
    stack = [tree]
    while stack:
        node = stack.pop()
        if node in outside:
            continue
        names: list[str] = []
        base = node
        while isinstance(base, ast.Attribute):
            names.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name) and isinstance(base.ctx, ast.Load):
            yield [base.id, *names]
        else:
            stack.extend(ast.iter_child_nodes(node))
