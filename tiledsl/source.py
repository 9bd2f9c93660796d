"""The source of a function: its text as in the file, and its syntax tree with the file's lines and columns."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Sequence
from types import FunctionType

from .errors import CompilationError


def lines_of(fn: FunctionType) -> list[str]:
    """The lines of the file that a function is from, as they are now; none if there is no such file."""
    linecache.checkcache(fn.__code__.co_filename)
    return linecache.getlines(fn.__code__.co_filename, fn.__globals__)


def parse_function(fn: FunctionType, lines: Sequence[str]) -> tuple[str, ast.FunctionDef]:
    """The text of a function, decorators included, and its tree, from the lines of its file."""
    file, first = fn.__code__.co_filename, fn.__code__.co_firstlineno
    own = lines[first - 1 :]
    if not own:
        raise CompilationError(
            f"the source of `{fn.__name__}` is not available", notes=[f"it was made in {file}"], help="define it in a file"
        )
    tree = first_function(own)
    if tree is None or tree.name != fn.__name__:
        raise CompilationError(
            f"`{fn.__name__}` is not at line {first} of {file}, or no plain `def`",
            help="if the file was edited since it was imported, import it again",
        )
    text = "".join(own[: tree.end_lineno])
    ast.increment_lineno(tree, first - 1)
    return text, tree


def first_function(lines: Sequence[str]) -> ast.FunctionDef | None:
    """The function at the start of lines. It may end before any line that is indented no deeper than its first, and
    does before the first of these where Python accepts it: strings and brackets may hold such lines, too."""
    margin = len(lines[0]) - len(lines[0].lstrip())
    nested = "if True:\n" if margin else ""
    for end in range(1, len(lines) + 1):
        if end < len(lines):
            rest = lines[end].lstrip()
            if not rest or rest[0] == "#" or len(lines[end]) - len(rest) > margin:
                continue
        try:
            (top,) = ast.parse(nested + "".join(lines[:end])).body
        except (SyntaxError, ValueError):
            continue
        found = top.body[0] if isinstance(top, ast.If) and nested else top
        if isinstance(found, ast.FunctionDef):
            ast.increment_lineno(found, -bool(nested))
            return found
        return None
    return None
