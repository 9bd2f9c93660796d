"""Which Python a kernel may contain; everything else is refused here, with what to write instead."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from ..errors import UnsupportedSyntax
from ..location import Loc
from ..source import nodes
from . import precedence
from .function import JITFunction

LOOPS = (ast.For, ast.While)

REFUSED: dict[type[ast.AST], tuple[str, str]] = {
    # AST class: what it is, what to do
    ast.Lambda: ("`lambda` is not supported", "define a function with @tiledsl.jit"),
    ast.FunctionDef: ("a nested function is not supported", "define it outside, with @tiledsl.jit"),
    ast.AsyncFunctionDef: ("`async` is not supported", "define it outside, with @tiledsl.jit and `def`"),
    ast.ClassDef: ("a class inside a kernel is not supported", "define it outside"),
    ast.Try: ("`try` is not supported", "kernels raise no exceptions"),
    ast.With: ("`with` is not supported", "write the statements without it: programs hold no resources"),
    ast.Delete: ("`del` is not supported", "leave it out: a value lasts as long as it is used"),
    ast.Global: ("`global` is not supported", "pass a pointer and store through it"),
    ast.Nonlocal: ("`nonlocal` is not supported", "return the value"),
    ast.Import: ("`import` inside a kernel is not supported", "import at the top of the file"),
    ast.ImportFrom: ("`import` inside a kernel is not supported", "import at the top of the file"),
    ast.Dict: ("a dict is not supported", "use separate variables, or a tuple"),
    ast.Set: ("a set is not supported", "use a tuple"),
    ast.DictComp: ("a dict comprehension is not supported", "write a list comprehension over a tuple, or separate variables"),
    ast.SetComp: ("a set comprehension is not supported", "write a list comprehension over a tuple"),
    ast.Yield: ("`yield` is not supported", "store results through a pointer, or return them all from a jit function"),
    ast.YieldFrom: ("`yield` is not supported", "store results through a pointer, or return them all from a jit function"),
    ast.Await: ("`await` is not supported", "leave it out: a call has its result"),
    ast.Match: ("`match` is not supported", "use `if`"),
    ast.MatMult: ("the operator `@` is not supported", "write tl.dot(a, b)"),
}


def check(function: JITFunction) -> None:
    """Raise UnsupportedSyntax for the first thing in a function that a kernel cannot contain."""
    for statement in function.tree.body:
        for node, in_loop in _walk(statement):
            refused = REFUSED.get(type(node.op if isinstance(node, (ast.BinOp, ast.AugAssign)) else node))  # an operator has no place
            problem = refused or (type(node) in LOOKED_AT and _problem(node, in_loop, function))
            if problem:
                message, help = problem
                raise UnsupportedSyntax(message, location(function, node if hasattr(node, "lineno") else statement), help=help)


def _walk(statement: ast.stmt) -> Iterator[tuple[ast.AST, bool]]:
    """Every node in the order of the source, and whether it stands in a loop."""
    left: list[tuple[ast.AST, bool]] = [(statement, False)]
    while left:
        node, in_loop = left.pop()
        yield node, in_loop
        children = list(ast.iter_child_nodes(node))
        inside = in_loop or isinstance(node, LOOPS)
        left += [(child, inside) for child in reversed(children)]


LOOKED_AT = (ast.Return, ast.Compare, ast.Assign, *LOOPS, ast.Starred, ast.Subscript, ast.Attribute)


def _problem(node: ast.AST, in_loop: bool, function: JITFunction) -> tuple[str, str] | None:
    if isinstance(node, ast.Return) and in_loop:
        return (
            "Cannot have `return` statements inside `while` or `for` statements in triton",
            "set a variable, leave the loop with `break`, and return the variable after it",
        )
    if isinstance(node, ast.Compare):
        found = precedence.problem(node, function.lines)
        if found and len(node.ops) == 1:  # which Triton takes at its word
            warnings.warn_explicit("; ".join(found), UserWarning, function.file, node.lineno)
            return None
        return found
    if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store):
        help = "make a new tile, for example with tl.where"
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Slice, ast.Tuple)):
            help += f"; memory is written with tl.store({ast.unparse(node.value)} + {ast.unparse(node.slice)}, value)"
        return "only plain names can be assigned: tiles and tuples are values", help
    return None


def location(function: JITFunction, node: ast.AST, called_from: Loc | None = None) -> Loc:
    """The place of a node in its file."""
    line, column = getattr(node, "lineno", function.first_line), getattr(node, "col_offset", 0)
    same_line = getattr(node, "end_lineno", line) == line
    end = getattr(node, "end_col_offset", 0) if same_line else 0
    return Loc(function.file, line, column, end, function.name, called_from)


def assigned(statements: list[ast.stmt]) -> dict[str, None]:
    """Every name that statements assign, in order of first assignment."""
    found: dict[str, None] = {}
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found[node.id] = None
    return found


def returns(statements: list[ast.stmt]) -> bool:
    """Whether a return stands anywhere in statements."""
    return any(isinstance(node, ast.Return) for s in statements for node in nodes(s))


def always_returns(statements: list[ast.stmt]) -> bool:
    """Whether control never passes the end of statements."""
    for statement in statements:
        if isinstance(statement, ast.Return):
            return True
        if isinstance(statement, ast.If) and always_returns(statement.body) and always_returns(statement.orelse):
            return True
    return False
