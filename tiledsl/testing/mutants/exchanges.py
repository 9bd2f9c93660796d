"""Mutations of an expression: each is given one, and returns what shall stand there, or None if nothing fits."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from random import Random

from .declare import exchange, is_read
from .pool import COMPARISONS, DTYPES, METHODS, NUMBERS, OPERATORS, PUBLIC, UNARY, UNKNOWN, Pool


@exchange
def other_operator(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if isinstance(node, ast.BinOp):
        return ast.BinOp(node.left, random.choice(OPERATORS)(), node.right)
    if isinstance(node, ast.Compare):
        return ast.Compare(node.left, [random.choice(COMPARISONS)() for _ in node.ops], node.comparators)
    if isinstance(node, ast.UnaryOp):
        return ast.UnaryOp(random.choice(UNARY)(), node.operand)
    if isinstance(node, ast.BoolOp):
        return ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    return None


@exchange
def operands_swapped(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    return ast.BinOp(node.right, node.op, node.left) if isinstance(node, ast.BinOp) else None


@exchange
def operator_dropped(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if isinstance(node, ast.BinOp):
        return random.choice([node.left, node.right])
    return node.operand if isinstance(node, ast.UnaryOp) else None


@exchange
def other_number(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    return ast.Constant(random.choice(NUMBERS)) if isinstance(node, ast.Constant) else None


@exchange
def near_number(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return None
    return ast.Constant(random.choice([node.value + 1, node.value - 1, -node.value, node.value * 2, node.value / 2, float(node.value)]))


@exchange
def number_for_anything(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    return ast.Constant(random.choice(NUMBERS))


@exchange
def other_name(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    return pool.name(random) if isinstance(node, ast.Name) else None


@exchange
def other_expression(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    return pool.expression(random)


@exchange
def other_member(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    """tl.float32 -> tl.int8, tl.sum -> tl.dot, x.shape -> x.dtype."""
    if not isinstance(node, ast.Attribute):
        return None
    if node.attr in DTYPES and random.random() < 0.7:
        return ast.Attribute(node.value, random.choice(DTYPES), ast.Load())
    of_the_language = isinstance(node.value, ast.Name) and node.value.id in ("tl", "language")
    return ast.Attribute(node.value, random.choice(PUBLIC if of_the_language else METHODS), ast.Load())


@exchange
def other_type(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if isinstance(node, ast.Attribute) and node.attr in DTYPES:
        return ast.Attribute(node.value, random.choice(DTYPES), ast.Load())
    return None


@exchange
def arguments_changed(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    """One argument more, one less, two swapped, one doubled, a keyword renamed, dropped or made positional."""
    if not isinstance(node, ast.Call):
        return None
    args, keywords = list(node.args), list(node.keywords)
    kind = random.randrange(9)
    if kind == 0 and args:
        args.pop(random.randrange(len(args)))
    elif kind == 1 and args:
        args.append(copy.deepcopy(random.choice(args)))
    elif kind == 2 and len(args) > 1:
        i, j = random.sample(range(len(args)), 2)
        args[i], args[j] = args[j], args[i]
    elif kind == 3:
        args.insert(random.randint(0, len(args)), pool.anything(random))
    elif kind == 4 and keywords:
        keywords.pop(random.randrange(len(keywords)))
    elif kind == 5 and keywords:
        moved = keywords.pop(random.randrange(len(keywords)))
        args.append(moved.value)
    elif kind == 6:
        word = random.choice(["axis", "mask", "other", "dtype", "acc", "dim", "nothing", "keep_dims", "boundary_check", "reverse", "sem"])
        if word not in [k.arg for k in keywords]:
            keywords.append(ast.keyword(word, pool.anything(random)))
    elif kind == 7 and keywords:
        at = random.randrange(len(keywords))
        keywords[at] = ast.keyword(keywords[at].arg, pool.anything(random))
    elif kind == 8 and args:
        at = random.randrange(len(args))
        args[at] = random.choice([ast.Starred(args[at], ast.Load()), pool.anything(random)])
    return ast.Call(node.func, args, keywords)


@exchange
def items_changed(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    """A shape or another tuple with items exchanged, dropped, doubled or nested."""
    if not isinstance(node, ast.Tuple | ast.List):
        return None
    items = list(node.elts)
    kind = random.randrange(6)
    if kind == 0:
        items.reverse()
    elif kind == 1 and items:
        items.pop(random.randrange(len(items)))
    elif kind == 2 and items:
        items.append(copy.deepcopy(random.choice(items)))
    elif kind == 3:
        items.insert(random.randint(0, len(items)), pool.anything(random))
    elif kind == 4 and items:
        at = random.randrange(len(items))
        items[at] = ast.Tuple([items[at]], ast.Load())
    elif items:
        items[random.randrange(len(items))] = ast.Constant(random.choice(NUMBERS))
    return type(node)(items, ast.Load())


@exchange
def index_changed(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    """x[:, None] -> x[None], x[:], x[0], x[1:3], or x without an index."""
    if not isinstance(node, ast.Subscript):
        return None
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    number = ast.Constant(random.choice(NUMBERS))
    kind = random.randrange(6)
    if kind == 0 and len(items) > 1:
        items.pop(random.randrange(len(items)))
    elif kind == 1:
        items.insert(random.randint(0, len(items)), ast.Constant(None))
    elif kind == 2:
        items[random.randrange(len(items))] = random.choice([number, pool.anything(random)])
    elif kind == 3:
        items[random.randrange(len(items))] = ast.Slice(number, ast.Constant(random.choice(NUMBERS)))
    elif kind == 4:
        items.append(ast.Slice())
    else:
        return node.value
    return ast.Subscript(node.value, ast.Tuple(items, ast.Load()) if len(items) > 1 else items[0], ast.Load())


@exchange
def wrapped(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    """e -> -e, (e, e), e[None], e.to(f16), tl.sum(e), e if e else e, f"{e}", lambda: e and so on."""
    tl = ast.Name("tl", ast.Load())
    other = pool.anything(random)
    both = copy.deepcopy(node)
    made: list[Callable[[], ast.expr]] = [
        lambda: ast.UnaryOp(random.choice(UNARY)(), node),
        lambda: ast.Tuple([node], ast.Load()),
        lambda: ast.Tuple([node, both], ast.Load()),
        lambda: ast.List([node, other], ast.Load()),
        lambda: ast.Subscript(node, ast.Constant(random.choice([None, 0, -1, 5])), ast.Load()),
        lambda: ast.Call(ast.Attribute(node, "to", ast.Load()), [ast.Attribute(tl, random.choice(DTYPES), ast.Load())], []),
        lambda: ast.Call(ast.Attribute(tl, random.choice(PUBLIC), ast.Load()), [node], []),
        lambda: ast.Call(ast.Attribute(tl, random.choice(PUBLIC), ast.Load()), [node, other], []),
        lambda: ast.Call(ast.Attribute(node, random.choice(METHODS), ast.Load()), [], []),
        lambda: ast.Attribute(node, random.choice(METHODS), ast.Load()),
        lambda: ast.IfExp(other, node, both),
        lambda: ast.IfExp(node, both, other),
        lambda: ast.BinOp(node, random.choice(OPERATORS)(), other),
        lambda: ast.Compare(node, [random.choice(COMPARISONS)()], [other]),
        lambda: ast.Compare(node, [ast.Lt(), ast.LtE()], [other, both]),
        lambda: ast.BoolOp(random.choice([ast.And, ast.Or])(), [node, other]),
        lambda: ast.JoinedStr([ast.FormattedValue(node, -1, None)]),
        lambda: ast.Lambda(ast.arguments([], [], None, [], [], None, []), node),
        lambda: ast.NamedExpr(ast.Name("walrus", ast.Store()), node),
        lambda: ast.Call(node, [other], []),
        lambda: ast.Call(ast.Name(random.choice(UNKNOWN), ast.Load()), [node], []),
        lambda: ast.ListComp(node, [ast.comprehension(ast.Name("item", ast.Store()), other, [], 0)]),
        lambda: ast.Dict([node], [other]),
        lambda: ast.Set([node]),
    ]
    return random.choice(made)()


@exchange
def part_for_whole(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    inner = [n for n in ast.walk(node) if isinstance(n, ast.expr) and n is not node and is_read(n) and not isinstance(n, ast.Starred)]
    return copy.deepcopy(random.choice(inner)) if inner else None


@exchange
def called_itself(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if isinstance(node, ast.Call):
        return ast.Call(pool.name(random), node.args, node.keywords)
    return None
