"""Mutations: small changes that make a kernel mean something else, or nothing.

A mutation takes a random generator, the tree of a function and a pool of what its file contains, changes the tree in
place, and says whether it found something to change. Most are about an expression somewhere; these are given one and return
what shall stand there.
"""

from __future__ import annotations

import ast
import copy
import io
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from ... import language

Mutation = Callable[[Random, ast.FunctionDef, "Pool"], bool]
Exchange = Callable[[Random, ast.expr, "Pool"], "ast.expr | None"]
MUTATIONS: dict[str, Mutation] = {}

NUMBERS = (
    0, 1, -1, 2, 3, 5, 7, 16, 17, 31, 32, 33, 64, 100, 127, 128, 255, 256, 1000, 1024, 65536, 1 << 20, 1 << 21, 2**31 - 1, 2**31,
    2**32, 2**63 - 1, 2**63, 2**64, 2**70, -2, -7, -16, -(2**31), -(2**31) - 1, -(2**63), -(2**64),
    0.0, -0.0, 0.5, 1.5, -2.5, 3.0, 1e-50, 1e38, 1e39, 1e308, 1e400, True, False, None, ..., "", "x", "tl.float32", "mul", b"x", 1j,
)  # fmt: skip
UNKNOWN = (
    "nothing x len int float bool str list tuple dict set type range print min max abs sum object isinstance getattr hasattr iter zip "
    "enumerate sorted repr super slice map any all round pow divmod hash id callable ValueError tl triton math jit"
).split()
DTYPES = tuple(name for name, value in vars(language).items() if isinstance(value, language.dtype))
PUBLIC = tuple(name for name in vars(language) if not name.startswith("_"))
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.LShift, ast.RShift,
             ast.BitAnd, ast.BitOr, ast.BitXor)  # fmt: skip
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn)
UNARY = (ast.USub, ast.UAdd, ast.Not, ast.Invert)
METHODS = ("to", "sum", "max", "min", "trans", "reshape", "expand_dims", "abs", "exp", "cast", "split", "broadcast_to", "store", "load",
           "T", "dtype", "shape", "type", "value", "element_ty", "numel", "handle", "__class__", "__dict__", "nothing")  # fmt: skip


@dataclass
class Pool:
    """What the definitions around a function contain, to be put elsewhere."""

    names: list[str] = field(default_factory=list)
    expressions: list[ast.expr] = field(default_factory=list)
    statements: list[ast.stmt] = field(default_factory=list)

    @staticmethod
    def of(definitions: Sequence[ast.AST]) -> Pool:
        pool = Pool()
        for definition in definitions:
            for node in ast.walk(definition):
                if isinstance(node, ast.Name):
                    pool.names.append(node.id)
                elif isinstance(node, ast.arg):
                    pool.names.append(node.arg)
                if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                    pool.expressions.append(node)
                if isinstance(node, ast.stmt) and node is not definition:
                    pool.statements.append(node)
        return pool

    def expression(self, random: Random) -> ast.expr:
        return copy.deepcopy(random.choice(self.expressions))

    def name(self, random: Random) -> ast.expr:
        return ast.Name(random.choice(self.names if random.random() < 0.8 else UNKNOWN), ast.Load())

    def anything(self, random: Random) -> ast.expr:
        """A name, a number, or an expression of the file."""
        kind = random.randrange(4)
        return self.name(random) if kind == 0 else ast.Constant(random.choice(NUMBERS)) if kind == 1 else self.expression(random)


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
                if isinstance(held, ast.expr) and _is_read(held):
                    yield parent, name, None
                elif isinstance(held, list):
                    yield from ((parent, name, i) for i, item in enumerate(held) if isinstance(item, ast.expr) and _is_read(item))


def _is_read(node: ast.expr) -> bool:
    return not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del) and not isinstance(node, ast.FormattedValue | ast.JoinedStr)


# --- expressions


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
    inner = [n for n in ast.walk(node) if isinstance(n, ast.expr) and n is not node and _is_read(n) and not isinstance(n, ast.Starred)]
    return copy.deepcopy(random.choice(inner)) if inner else None


@exchange
def called_itself(random: Random, node: ast.expr, pool: Pool) -> ast.expr | None:
    if isinstance(node, ast.Call):
        return ast.Call(pool.name(random), node.args, node.keywords)
    return None


# --- statements


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
        lambda: ast.For(index, _expression(random.choice(ranges)), [inner], []),
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
            lambda: ast.AnnAssign(name, _expression(random.choice(["tl.constexpr", "int", "tl.tensor", "'constexpr'", "0"])), value, 1),
            lambda: ast.AnnAssign(name, _expression("tl.constexpr"), None, 1),
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
        args[at].annotation = None if args[at].annotation is not None else _expression("tl.constexpr")
    elif kind == 1:
        notes = ["tl.constexpr", "'constexpr'", "tl.int64", "tl.float64", "'*fp32'", "'i64'", "tl.const", "int", "None", "0", "tl.float8e5"]
        args[at].annotation = _expression(random.choice(notes))
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


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
