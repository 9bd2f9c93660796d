"""The source of a function: its text as in the file, and its syntax tree with the file's lines and columns."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

from .errors import CompilationError, UnsupportedSyntax
from .location import Loc


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
            f"the source of `{fn.__name__}` is not available",
            notes=[f"it was made in {file}; kernels are compiled from the text of their file"],
            help="write it into a file, and run or import that; notebooks and IPython keep the text of their cells",
        )
    refuse_async(fn, own)
    tree = first_function(own, first)
    if hasattr(fn, "__wrapped__") or fn.__name__ == "<lambda>":
        what, help = ("a `lambda`", "write it with `def`") if fn.__name__ == "<lambda>" else ("inside another decorator's function", BELOW)
        raise CompilationError(f"`{fn.__name__}` is {what}, and no plain `def`", Loc(file, first), help=help)
    if tree is None or tree.name != fn.__name__:
        raise CompilationError(
            f"`{fn.__name__}` is not at line {first} of {file}, or no plain `def`",
            help="if the file was edited since it was imported, import it again",
        )
    return "".join(own[: (tree.end_lineno or 0) - first + 1]), tree


BELOW = "put @tiledsl.jit below the other decorators, right above `def`"


def refuse_async(fn: FunctionType, own: Sequence[str]) -> None:
    """Raise UnsupportedSyntax for an `async def`."""
    if not fn.__code__.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return
    for number, line in enumerate(own):
        column = len(line) - len(line.lstrip())
        if line.lstrip().startswith("async "):
            place = Loc(fn.__code__.co_filename, fn.__code__.co_firstlineno + number, column, column + len("async"), fn.__name__)
            raise UnsupportedSyntax("an `async` function is no kernel", place, help=f"write `def {fn.__name__}`")


def first_function(lines: Sequence[str], number: int = 1) -> ast.FunctionDef | None:
    """The function at the start of lines, the first of which has this number in its file. It may end before any line that
    is indented no deeper than its first, and does before the first of these where Python accepts it: strings and brackets
    may hold such lines, too."""
    margin = len(lines[0]) - len(lines[0].lstrip())
    nested = "if True:\n" if margin else ""
    defined = False
    for end in range(1, len(lines) + 1):
        defined = defined or lines[end - 1].lstrip().startswith(("def", "async"))
        if not defined:  # decorators
            continue
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
            shift = number - 1 - bool(nested)
            for node in nodes(found):
                if hasattr(node, "lineno"):
                    node.lineno += shift
                    node.end_lineno += shift
            return found
        return None
    return None


def nodes(tree: ast.AST) -> Iterator[Any]:
    """Every node of a tree, in no particular order: what ast.walk gives, in a third of its time."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        for value in vars(node).values():
            if isinstance(value, ast.AST):
                left.append(value)
            elif type(value) is list:
                left += [item for item in value if isinstance(item, ast.AST)]
