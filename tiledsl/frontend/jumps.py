"""`break`, `continue` and `else` of loops, written with `if` and flags that the loop carries.

    for x in xs:                       broken = False
        if a: continue                 for x in xs, until broken:
        if b: break          ->            if a: pass
        rest                               else:
    else:                                      if b: broken = True
        unbroken                               else: rest
                                       if not broken: unbroken

What follows a jump moves into the arms that do not take it, so that it sees what they define.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ..errors import UnsupportedSyntax
from ..ir.core import Value
from .frame import Frame

Loop = ast.For | ast.While

TRITON = {
    ast.Break: ("`break` is not supported", "loop with `while` and a condition, or mask the remaining iterations"),
    ast.Continue: ("`continue` is not supported", "put the rest of the body under `if`"),
}


def flag_of(loop: Loop) -> str:
    """The name that says whether a loop was left by `break`."""
    return f"break_{loop.lineno}_{loop.col_offset}"


def jumps(statements: Sequence[ast.stmt]) -> Iterator[ast.Break | ast.Continue]:
    """The jumps that belong to the loop around these statements."""
    for statement in statements:
        if isinstance(statement, (ast.Break, ast.Continue)):
            yield statement
        elif isinstance(statement, ast.If):
            yield from jumps([*statement.body, *statement.orelse])
        elif isinstance(statement, (ast.For, ast.While)):  # those of its body are its own
            yield from jumps(statement.orelse)


def breaks(loop: Loop) -> bool:
    """Whether a loop may be left by `break`."""
    return any(isinstance(jump, ast.Break) for jump in jumps(loop.body))


def enter(frame: Frame, loop: Loop) -> list[ast.stmt]:
    """The body of a loop without jumps; notes what Triton does not have, and prepares the flag."""
    found = sorted(jumps(loop.body), key=lambda jump: (jump.lineno, jump.col_offset))
    for jump in found:
        message, help = TRITON[type(jump)]
        frame.build.beyond.add(message, frame.loc(jump), help, UnsupportedSyntax)
    if loop.orelse:
        frame.build.beyond.add("`else` of a loop is not supported", frame.loc(loop), "set a variable in the loop", UnsupportedSyntax)
    if breaks(loop):
        frame.constants.add(flag_of(loop))  # it stays a compile-time value as long as it can
        frame.names[flag_of(loop)] = False
    return without(loop.body, flag_of(loop)) if found else loop.body


def leave(frame: Frame, loop: Loop) -> None:
    """What stands under the `else` of a loop."""
    if loop.orelse:
        frame.execute(otherwise(loop))


def without(statements: Sequence[ast.stmt], flag: str) -> list[ast.stmt]:
    """Statements of a loop's body without its jumps; `break` sets the flag."""
    out: list[ast.stmt] = []
    for i, statement in enumerate(statements):
        rest = statements[i + 1 :]
        if isinstance(statement, ast.Continue):
            return out
        if isinstance(statement, ast.Break):
            made = ast.Assign([ast.Name(flag, ast.Store())], ast.Constant(True))
            return [*out, ast.fix_missing_locations(ast.copy_location(made, statement))]
        if isinstance(statement, (ast.For, ast.While)) and any(jumps(statement.orelse)):
            bare = _like(statement, orelse=[])
            return [*out, bare, *without([*otherwise(statement), *rest], flag)]
        if isinstance(statement, ast.If) and any(jumps([statement])):
            arms = [without([*arm, *rest], flag) for arm in (statement.body, statement.orelse)]
            return [*out, _like(statement, body=arms[0] or [ast.copy_location(ast.Pass(), statement)], orelse=arms[1])]
        out.append(statement)
    return out


def otherwise(loop: Loop) -> list[ast.stmt]:
    """What stands under the `else` of a loop, to be run after it."""
    return [unless(loop, loop.orelse)] if breaks(loop) else loop.orelse


def unless(loop: Loop, body: list[ast.stmt]) -> ast.stmt:
    """Statements that run if a loop has not been left by `break`."""
    test = ast.UnaryOp(ast.Not(), ast.Name(flag_of(loop), ast.Load()))
    return ast.fix_missing_locations(ast.copy_location(ast.If(test, body, []), loop))


def _like(statement: ast.stmt, **changed: list[ast.stmt]) -> ast.stmt:
    fields = {name: getattr(statement, name) for name in statement._fields if hasattr(statement, name)}
    return ast.copy_location(type(statement)(**{**fields, **changed}), statement)


def is_broken(frame: Frame, loop: Loop) -> Value | bool:
    """Whether an unrolled loop has been left: known, or a condition of the kernel."""
    return frame.names.get(flag_of(loop), False)
