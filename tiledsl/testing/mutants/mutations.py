"""Mutations: small changes that make a kernel mean something else, or nothing.

A mutation takes a random generator, the tree of a function and a pool of what its file contains, changes the tree in
place, and says whether it found something to change. Those of expressions are declared in exchanges.py.
"""

from __future__ import annotations

import ast
import copy
import io
import tokenize
from collections.abc import Callable
from random import Random

from . import exchanges as exchanges  # declares its own
from .declare import MUTATIONS, mutation
from .pool import NUMBERS, OPERATORS, Pool, parsed


def mutate(function: ast.FunctionDef, pool: Pool, random: Random) -> str:
    """Change a function by one mutation; its name, or the empty string if nothing fitted."""
    for _ in range(20):
        name = random.choice(list(MUTATIONS))
        if MUTATIONS[name](random, function, pool):
            ast.fix_missing_locations(function)
            return name
    return ""


def mutate_tokens(text: str, random: Random) -> str | None:
    """The text with a token dropped, doubled, exchanged with its neighbour or replaced by another; None if that is no Python."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.string.strip() and t.type != tokenize.COMMENT]
    at = random.randrange(2, len(tokens))  # not the decorator
    token = tokens[at]
    other = random.choice(tokens).string
    kind = random.randrange(4)
    after = {0: "", 1: f"{token.string} {token.string}", 2: other, 3: f"{token.string} {other}"}[kind]
    lines = text.splitlines(keepends=True)
    (row, column), (end_row, end) = token.start, token.end
    if row != end_row:
        return None
    lines[row - 1] = lines[row - 1][:column] + after + lines[row - 1][end:]
    changed = "".join(lines)
    try:
        tree = ast.parse(changed)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    whole = len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef) and len(tree.body[0].decorator_list) == 1
    return changed if whole else None


def _bodies(function: ast.FunctionDef) -> list[list[ast.stmt]]:
    return [
        held
        for node in ast.walk(function)
        for name, held in ast.iter_fields(node)
        if name in ("body", "orelse") and isinstance(held, list) and held and isinstance(held[0], ast.stmt)
    ]


@mutation
def statement_dropped(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    body = random.choice(_bodies(function))
    body.pop(random.randrange(len(body)))
    if not body:
        body.append(ast.Pass())
    return True


@mutation
def statement_doubled(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    body = random.choice(_bodies(function))
    at = random.randrange(len(body))
    body.insert(random.randint(0, len(body)), copy.deepcopy(body[at]))
    return True


@mutation
def statements_swapped(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    body = random.choice(_bodies(function))
    if len(body) < 2:
        return False
    i, j = random.sample(range(len(body)), 2)
    body[i], body[j] = body[j], body[i]
    return True


@mutation
def statement_moved(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    """Into or out of a loop or a branch."""
    bodies = _bodies(function)
    source, target = random.choice(bodies), random.choice(bodies)
    moved = copy.deepcopy(random.choice(source))
    target.insert(random.randint(0, len(target)), moved)
    return True


@mutation
def statement_of_another(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    body = random.choice(_bodies(function))
    if not pool.statements:
        return False
    body.insert(random.randint(0, len(body)), copy.deepcopy(random.choice(pool.statements)))
    return True


@mutation
def statement_wrapped(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    """In a branch, a loop, or something that no kernel contains."""
    body = random.choice(_bodies(function))
    at = random.randrange(len(body))
    inner, index = body[at], ast.Name("index", ast.Store())
    other = pool.anything(random)
    ranges = ["range(4)", "range(0)", "tl.static_range(3)", "range(8, 0, -2)", "tl.range(0, 1 << 40, 1 << 38)", "range(0, 4, 0)", "(1, 2)"]
    made: list[Callable[[], ast.stmt]] = [
        lambda: ast.If(other, [inner], []),
        lambda: ast.If(other, [ast.Pass()], [inner]),
        lambda: ast.If(other, [inner], [copy.deepcopy(inner)]),
        lambda: ast.For(index, parsed(random.choice(ranges)), [inner], []),
        lambda: ast.For(index, ast.Call(ast.Name("range", ast.Load()), [other], []), [inner], []),
        lambda: ast.For(index, other, [inner], random.choice([[], [ast.Pass()]])),
        lambda: ast.While(other, [inner], []),
        lambda: ast.With([ast.withitem(other)], [inner]),
        lambda: ast.Try([inner], [ast.ExceptHandler(None, None, [ast.Pass()])], [], []),
        lambda: ast.FunctionDef("inner", ast.arguments([], [], None, [], [], None, []), [inner], [], None, type_params=[]),  # type: ignore[call-arg, unused-ignore]
    ]
    body[at] = random.choice(made)()
    return True


@mutation
def statement_unwrapped(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    """The body of a branch or a loop in its place."""
    bodies = [(b, i) for b in _bodies(function) for i, s in enumerate(b) if isinstance(s, ast.If | ast.For | ast.While)]
    if not bodies:
        return False
    body, at = random.choice(bodies)
    outer = body[at]
    body[at : at + 1] = outer.body  # type: ignore[attr-defined]
    return True


@mutation
def statement_inserted(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    name = random.choice(pool.names)
    text = random.choice([
        "return", f"return {name}", "break", "continue", "pass", "raise", "raise ValueError('x')",
            f"assert {name}", f"del {name}",
        f"global {name}", "nonlocal_ = 1", f"import {name}", f"{name}: tl.constexpr = 3", f"{name} = None", f"{name} = 0", f"{name} += 1.5",
        f"{name} = ()", f"a = b = {name}", f"{name}, b = {name}", f"{name}, *b = {name}", f"{name}[0] = 1", f"{name}.x = 1",
            f"{name}: int = 1",
        "tl.static_assert(False)", f"tl.static_assert({name} > 0)", f"tl.static_print({name})", f"tl.device_print('x', {name})",
        f"tl.device_assert({name} > 0)", f"tl.debug_barrier({name})", "while True: pass", "while tl.program_id(0) < 0: pass",
        f"for {name} in range(3): pass", f"yield {name}", "0", "'''text'''", f"({name})", f"{name}()", f"lambda: {name}", "async_ = 1",
        f"{name} = {name}.to(tl.float16)", f"{name} = tl.sum({name})", f"{name} = tl.zeros((16, 16), tl.float32)",
            f"{name} = tl.arange(0, 16)",
        f"if {name}: return", f"if {name} > 0: {name} = 1", f"if tl.program_id(0) > 0: {name} = 1.0", f"with {name}: pass",
        f"for i in tl.static_range({name}): {name} = i", f"for i in range({name}): {name} = i", f"while {name}: {name} = {name} - 1",
        "match 1:\n    case _: pass", "class A: pass", "def f(): pass", "async def f(): pass", "try:\n    pass\nfinally:\n    pass",
    ])  # fmt: skip
    body = random.choice(_bodies(function))
    body.insert(random.randint(0, len(body)), ast.parse(text).body[0])
    return True


@mutation
def assignment_changed(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    """x = e -> x += e, x, y = e, a = x = e, x: tl.constexpr = e, y = e."""
    places = [(b, i) for b in _bodies(function) for i, s in enumerate(b) if isinstance(s, ast.Assign | ast.AugAssign)]
    if not places:
        return False
    body, at = random.choice(places)
    old = body[at]
    assert isinstance(old, ast.Assign | ast.AugAssign)
    target = old.targets[0] if isinstance(old, ast.Assign) else old.target
    other = ast.Name(random.choice(pool.names), ast.Store())
    value = old.value
    made: list[Callable[[], ast.stmt]] = [
        lambda: ast.Assign([other], value),
        lambda: ast.Assign([target, other], value),
        lambda: ast.Assign([ast.Tuple([target, other], ast.Store())], value),
        lambda: ast.Assign([ast.Tuple([target], ast.Store())], value),
        lambda: ast.Expr(value),
    ]
    if isinstance(target, ast.Name):
        name = target
        made += [
            lambda: ast.AugAssign(name, random.choice(OPERATORS)(), value),
            lambda: ast.AnnAssign(name, parsed(random.choice(["tl.constexpr", "int", "tl.tensor", "'constexpr'", "0"])), value, 1),
            lambda: ast.AnnAssign(name, parsed("tl.constexpr"), None, 1),
        ]
    body[at] = random.choice(made)()
    return True


@mutation
def parameters_changed(random: Random, function: ast.FunctionDef, pool: Pool) -> bool:
    """A constexpr more or less, another annotation, a default, another order, one dropped or renamed."""
    args = function.args.args
    if not args:
        return False
    at = random.randrange(len(args))
    kind = random.randrange(6)
    if kind == 0:
        args[at].annotation = None if args[at].annotation is not None else parsed("tl.constexpr")
    elif kind == 1:
        notes = ["tl.constexpr", "'constexpr'", "tl.int64", "tl.float64", "'*fp32'", "'i64'", "tl.const", "int", "None", "0", "tl.float8e5"]
        args[at].annotation = parsed(random.choice(notes))
    elif kind == 2 and len(function.args.defaults) < len(args):
        function.args.defaults.insert(0, ast.Constant(random.choice(NUMBERS)))
    elif kind == 3 and len(args) > 1:
        other = random.randrange(len(args))
        args[at], args[other] = args[other], args[at]
    elif kind == 4 and len(function.args.defaults) < len(args):
        args.pop(at)
    else:
        taken = {a.arg for a in args}
        name = random.choice(pool.names)
        if name in taken:
            return False
        args[at].arg = name
    return True
