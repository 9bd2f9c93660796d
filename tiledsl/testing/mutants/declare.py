"""How a mutation is declared: of a function, or of one expression somewhere in it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from random import Random

from .pool import Pool

Mutation = Callable[[Random, ast.FunctionDef, Pool], bool]
Exchange = Callable[[Random, ast.expr, Pool], ast.expr | None]
MUTATIONS: dict[str, Mutation] = {}


def mutation(fn: Mutation) -> Mutation:
    """Declare a mutation of a function."""
    MUTATIONS[fn.__name__] = fn
    return fn


def exchange(fn: Exchange) -> Exchange:
    """Declare a mutation of one expression, which may have any place in the body."""

    def everywhere(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
        places = list(_places(function))
        random.shuffle(places)
        for parent, name, index in places[:40]:
            held = getattr(parent, name)
            node = held if index is None else held[index]
            new = fn(random, node, pool)
            if new is not None and new is not node:
                if index is None:
                    setattr(parent, name, new)
                else:
                    held[index] = new
                return True
        return False

    MUTATIONS[fn.__name__] = everywhere
    return fn


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Where expressions are read in the body: (node, field, index in the field)."""
    for statement in function.body:
        for parent in ast.walk(statement):
            for name, held in ast.iter_fields(parent):
                if isinstance(held, ast.expr) and is_read(held):
                    yield parent, name, None
                elif isinstance(held, list):
                    yield from ((parent, name, i) for i, item in enumerate(held) if isinstance(item, ast.expr) and is_read(item))


def is_read(node: ast.expr) -> bool:
    return not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) and not isinstance(node, ast.FormattedValue | ast.JoinedStr)
