"""Expressions: compile-time ones are computed by Python, the others become ops."""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from .. import ops
from ..errors import CompilationError, TileError, UnsupportedSyntax, nearest
from ..ir.core import Block, Value
from ..language import coerce
from ..language.aggregates import Aggregate
from ..language.block_pointers import BlockPointer
from ..language.core import LANGUAGE, METHODS, Builtin, beyond, constexpr, is_room, static_int, unwrap
from ..language.debug import assert_no_overflow
from ..language.descriptors import TensorDescriptor
from ..language.dtypes import dtype
from ..language.functions import constexpr_function
from ..language.indexing import index as tile_index
from ..language.operators import BINARY, ON_VALUES, apply_binary, apply_logical, apply_unary
from ..language.tensor import ATTRIBUTES, BoundMethod, attribute
from ..language.tuples import constexpr_type, tuple_type
from . import lanes, sequences
from .calls import apply
from .carry import Ended, Undefined, flatten, settled
from .frame import Frame, expression
from .function import JITFunction, annotated_constexpr

MISSING = object()


@expression(ast.Constant)
def constant(frame: Frame, node: ast.Constant) -> Any:
    return node.value


@expression(ast.Name)
def name(frame: Frame, node: ast.Name) -> Any:
    if node.id in frame.names:
        value = frame.names[node.id]
        if isinstance(value, Ended):
            refusal = f"the index of a loop, `{node.id}`, is undefined after the loop"
            beyond(frame.at(node).build, refusal, f"assign it to another name in the loop, and read that; {value.reason}")
            frame.assign(node.id, value.value(frame.build))
            return frame.names[node.id]
        if isinstance(value, Undefined):
            raise frame.error(node, f"`{node.id}` is not defined here", notes=[value.reason], help=f"give `{node.id}` a value before")
        return value
    try:
        return captured(frame, node, frame.function.lookup(node.id))
    except KeyError:
        known = [*frame.names, *frame.function.fn.__globals__]
        help = nearest(node.id, known) or f"give `{node.id}` a value before, or make it a parameter of `{frame.function.name}`"
        raise frame.error(node, f"`{node.id}` is not defined", help=help) from None


def captured(frame: Frame, node: ast.Name, value: Any) -> Any:
    """A global as a kernel may use it: compile-time objects, but no plain numbers, which might change unseen."""
    if isinstance(value, constexpr):
        return constexpr_function(value.value) if inspect.isfunction(value.value) else value.value
    shape: Any = getattr(value, "shape", None)
    is_array = not inspect.isclass(value) and (hasattr(value, "__array_interface__") or hasattr(value, "__dlpack__"))
    if is_array and shape:
        raise frame.error(
            node,
            f"`{node.id}` is a global array, which a kernel cannot read",
            help=f"make it a parameter of the kernel, pass it to the launch, and read it: tl.load({node.id} + i)",
        )
    plain = is_array or isinstance(value, (bool, int, float, str, list, dict))
    if plain and os.environ.get("TRITON_ALLOW_NON_CONSTEXPR_GLOBALS", "0") not in ("1", "true"):
        refusal, help = (
            f"Cannot access global variable {node.id} from within @jit'ed function",
            f"write `{node.id} = tl.constexpr({value!r})`",
        )
        if not annotated_constexpr(frame.function.fn, node.id):
            raise frame.error(node, refusal, notes=["a kernel may read only globals that are tl.constexpr"], help=help)
        frame.build.beyond.add(refusal, frame.loc(node), help, CompilationError)
    if value is UNNAMED.get(node.id, MISSING):
        beyond(frame.at(node).build, f"{node.id} is not defined", f"use tl.{node.id}" if node.id in SPOKEN else "compute it outside")
    return value


# of Python's functions, those that kernels may call here and that Triton gives no name; more stand in sequences.py
UNNAMED = {fn.__name__: fn for fn in (abs, bool, str, repr, round, sorted, tuple)}
SPOKEN = ("abs", "tuple")


@expression(ast.Attribute)
def get_attribute(frame: Frame, node: ast.Attribute) -> Any:
    owner = unwrap(frame.evaluate(node.value))
    if isinstance(owner, Value):
        return attribute(frame.at(node), owner, node.attr)
    if isinstance(owner, (bool, int, float)) and node.attr in METHODS:
        return BoundMethod(METHODS[node.attr], coerce.tensor(frame.at(node).build, owner))
    if isinstance(owner, (bool, int, float, str, tuple, dtype, Builtin)) and node.attr == "value":
        return owner
    if node.attr == "type" and (owner is None or isinstance(owner, (bool, int, float, str, tuple))):
        return type_of(owner)
    found = getattr(owner, node.attr, MISSING)
    if is_room(found):
        found = MISSING
    if isinstance(owner, Aggregate) and isinstance(found, JITFunction):
        fixed = isinstance(inspect.getattr_static(type(owner), node.attr), staticmethod)
        return found if fixed else BoundMethod(found, owner)
    if found is MISSING:
        what = f"module `{owner.__name__}`" if isinstance(owner, ModuleType) else coerce.describe(owner)
        spoken = ast.unparse(node.value)
        offered = [n for n in dir(owner) if not n.startswith("_") and not is_room(getattr(owner, n, None)) and hasattr(owner, n)]
        help = nearest(node.attr, offered).replace("`", f"`{spoken}.", 1)
        raise frame.error(node, f"{what} has no attribute `{node.attr}`", help=help or f"dir({spoken}) lists what there is")
    if isinstance(found, Builtin) and getattr(type(owner), node.attr, None) is found:
        return BoundMethod(found, owner)
    return unwrap(found)


def type_of(value: Any) -> Any:
    """What x.type is, also for compile-time values and tuples."""
    value = unwrap(value)
    if isinstance(value, (BlockPointer, TensorDescriptor)):
        value = value.base  # kernels ask what it points to
    if isinstance(value, tuple) and flatten(value):
        return tuple_type(map(type_of, value))
    return ATTRIBUTES["type"](None, value) if isinstance(value, Value) else constexpr_type(value)  # type: ignore[arg-type]


@expression(ast.BinOp)
def binary(frame: Frame, node: ast.BinOp) -> Any:
    x, y = frame.evaluate(node.left), frame.evaluate(node.right)
    try:
        if isinstance(node.op, ast.Mod) and isinstance(x, str):
            return x % y
        if frame.debug and not str(frame.function.__module__).startswith(f"{LANGUAGE}."):  # whose own functions wrap on purpose
            assert_no_overflow(frame.at(node), type(node.op).__name__, unwrap(x), unwrap(y))
        return operate(frame, node, node.op, x, y)
    except TileError as error:
        raise explained(frame, error, node, {node.left: x, node.right: y}) from None


OWN_OPERATORS = {name: f"__{fn.__name__.strip('_')}__" for name, (_, fn) in BINARY.items()} | {"Pow": "__pow__"}
OWN_OPERATORS |= {name: f"__{fn.__name__.strip('_')}__" for name, fn in ON_VALUES.items()}


def operate(frame: Frame, node: ast.AST, op: ast.AST, x: Any, *y: Any) -> Any:
    """An operator: the jit method for it if the left operand's class has one, or what it does to numbers and tiles."""
    name = type(op).__name__
    method = getattr(type(unwrap(x)), OWN_OPERATORS.get(name, ""), None)
    if isinstance(method, JITFunction):
        return apply(frame.at(node), method, (x, *y), {}, lambda: OWN_OPERATORS[name])
    return (apply_binary if y else apply_unary)(frame.at(node).build, name, x, *y)


def explained(frame: Frame, error: TileError, node: ast.AST, operands: dict[ast.expr, Any]) -> TileError:
    """The error with a note per operand that is a tile: what it is called, its type, where it was made."""
    notes = list(error.diagnostic.notes)
    for operand, value in operands.items():
        if isinstance(value, Value):
            place = f", made at {value.source.loc}" if value.source and value.source.loc else ""
            notes.append(f"`{ast.unparse(operand)}` is {value.type}{place}")
    return type(error)(error.message, error.loc or frame.loc(node), label=error.diagnostic.label, notes=notes, help=error.diagnostic.help)


@expression(ast.UnaryOp)
def unary(frame: Frame, node: ast.UnaryOp) -> Any:
    return apply_unary_at(frame, node, frame.evaluate(node.operand))


def apply_unary_at(frame: Frame, node: ast.UnaryOp, x: Any) -> Any:
    return operate(frame, node, node.op, x)


@expression(ast.Compare)
def compare(frame: Frame, node: ast.Compare) -> Any:
    """A chain is `and` of its links, each operand evaluated once, none after a link that is known not to hold."""
    if len(node.ops) > 1:
        frame.build.beyond.add("a chained comparison is not supported", frame.loc(node), "write (a < b) & (b < c)", UnsupportedSyntax)
    result: Any = True
    left, x = node.left, unwrap(frame.evaluate(node.left))
    for op, right in zip(node.ops, node.comparators, strict=True):
        y = unwrap(frame.evaluate(right))
        link = unwrap(_compared(frame, node, op, {left: x, right: y}))
        if isinstance(result, Value) and isinstance(link, Value):
            link = apply_logical(frame.at(node).build, "and", result, link)
        elif not isinstance(link, Value) and not link:
            return link
        result = link if isinstance(link, Value) or not isinstance(result, Value) else result
        left, x = right, y
    return result


def _compared(frame: Frame, node: ast.Compare, op: ast.cmpop, operands: dict[ast.expr, Any]) -> Any:
    x, y = operands.values()
    if isinstance(op, ast.Is):
        return x is y
    if isinstance(op, ast.IsNot):
        return x is not y
    if isinstance(op, (ast.In, ast.NotIn)):
        word = "in" if isinstance(op, ast.In) else "not in"
        frame.build.beyond.add(f"`{word}` is not supported", frame.loc(node), "compare with ==, and combine with |", UnsupportedSyntax)
        found = sequences.contains(frame.at(node), x, y)
        return found if isinstance(op, ast.In) else sequences.not_(frame, found)
    if x is None or y is None or not (isinstance(x, Value) or isinstance(y, Value)):
        if isinstance(op, (ast.Eq, ast.NotEq)) and not isinstance(x, Aggregate):
            return (x == y) == isinstance(op, ast.Eq)
        return operate(frame, node, op, x, y)
    try:
        return operate(frame, node, op, x, y)
    except TileError as error:
        raise explained(frame, error, node, operands) from None


@expression(ast.BoolOp)
def boolean(frame: Frame, node: ast.BoolOp) -> Any:
    """Compile-time operands decide without looking further; of tiles all are computed."""
    symbol = "and" if isinstance(node.op, ast.And) else "or"
    result: Any = MISSING
    for operand in node.values:
        value = unwrap(frame.evaluate(operand))
        if result is MISSING or not isinstance(result, Value):
            if result is not MISSING and not isinstance(value, Value):
                result = value
            elif isinstance(value, Value) or result is MISSING:
                result = value
            if not isinstance(result, Value) and bool(result) == (symbol == "or"):
                return result
            continue
        if isinstance(value, Value):
            result = apply_logical(frame.at(node).build, symbol, result, value)
        elif bool(value) == (symbol == "or"):
            return value
    return result


@expression(ast.IfExp)
def choose(frame: Frame, node: ast.IfExp) -> Any:
    cond = known_condition(frame.evaluate(node.test))
    if not isinstance(cond, Value):
        return frame.evaluate(node.body if cond else node.orelse)
    if frame.lanes is not None:
        return lanes.choose(frame, node, cond)
    test = scalar_condition(frame, node.test, cond)
    blocks: list[Block] = []
    values: list[Value | None] = []
    for branch in (node.body, node.orelse):
        with frame.block([]) as block:
            value = unwrap(frame.evaluate(branch))
            tile = None if value is None else coerce.tensor(frame.build, value)
            frame.build.emit(ops.yield_, *([] if tile is None else [tile]))
            values.append(tile)
            blocks.append(block)
    kinds = [value and value.type for value in values]
    if kinds[0] != kinds[1]:
        raise frame.error(
            node,
            f"Ternary expression with dynamic condition has inconsistent types {kinds[0]} and {kinds[1]}",
            help="convert one of them with .to(...)",
        )
    result = frame.at(node).build.emit(ops.if_, test, blocks=blocks)
    return None if kinds[0] is None else result


def known_condition(value: Any) -> Any:
    """A condition as a compile-time bool, if it is one; else the tile."""
    value = unwrap(value)
    if not isinstance(value, Value):
        return value
    known = static_int(value)
    return value if known is None else bool(known)


def scalar_condition(frame: Frame, node: ast.AST, value: Value) -> Value:
    """A condition of the running kernel as an i1 scalar."""
    build = frame.at(node).build
    if value.type.size != 1:
        raise frame.error(
            node,
            f"the condition is {value.type}: Boolean value of Tensor with more than one value is ambiguous",
            help="choose elementwise with tl.where, or reduce it first, for example with tl.max",
        )
    scalar = build.emit(ops.reshape, value, shape=()) if value.type.shape else value
    return coerce.condition(build, scalar)


@expression(ast.Tuple, ast.List)
def sequence(frame: Frame, node: ast.Tuple | ast.List) -> tuple[Any, ...]:
    items: list[Any] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            items += frame.evaluate(element.value)
        else:
            items.append(unwrap(frame.evaluate(element)))
    return tuple(items)


@expression(ast.ListComp, ast.GeneratorExp)
def comprehension(frame: Frame, node: ast.ListComp | ast.GeneratorExp) -> tuple[Any, ...]:
    """A tuple: what is run through is known when compiling, and so are the conditions."""
    if len(node.generators) > 1 or isinstance(node, ast.GeneratorExp):
        help = "write a list comprehension with one `for` over a tuple"
        frame.build.beyond.add("a generator is not supported", frame.loc(node), help, UnsupportedSyntax)
    kept = dict(frame.names)
    items = [unwrap(frame.evaluate(node.elt)) for _ in _run_through(frame, node.generators)]
    frame.names = kept
    return tuple(items)


def _run_through(frame: Frame, generators: Sequence[ast.comprehension]) -> Iterator[None]:
    """Bind the names of a comprehension, one combination after the other."""
    if not generators:
        yield
        return
    source, *inner = generators
    for item in sequences.items(frame.evaluate(source.iter), "a comprehension"):
        _bind(frame, source.target, item)
        if source.ifs:
            beyond(frame.at(source.ifs[0]).build, "the condition of a comprehension is left out", "name the elements that are wanted")
        if all(_known_test(frame, test) for test in source.ifs):
            yield from _run_through(frame, inner)


def _bind(frame: Frame, target: ast.expr, item: Any) -> None:
    if isinstance(target, ast.Name):
        frame.names[target.id] = item
        return
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
    values = sequences.items(item, "a comprehension")
    if len(parts) != len(values):
        raise frame.error(target, f"{len(values)} values for {len(parts)} names")
    for part, value in zip(parts, values, strict=True):
        _bind(frame, part, value)


def _known_test(frame: Frame, node: ast.expr) -> bool:
    known = known_condition(frame.evaluate(node))
    if isinstance(known, Value):
        raise frame.error(node, f"the condition of a comprehension is a compile-time value, got {known.type}", help="use tl.where")
    return bool(known)


@expression(ast.JoinedStr)
def formatted(frame: Frame, node: ast.JoinedStr) -> str:
    return "".join(str(v.value) if isinstance(v, ast.Constant) else _format(frame, v) for v in node.values)


def _format(frame: Frame, node: ast.expr) -> str:
    assert isinstance(node, ast.FormattedValue)
    value = unwrap(frame.evaluate(node.value))
    if isinstance(value, Value):
        help = f"print it beside the text: tl.device_print('...', {ast.unparse(node.value)})"
        raise frame.error(node, "an f-string takes compile-time values only", help=help)
    spec = formatted(frame, node.format_spec) if isinstance(node.format_spec, ast.JoinedStr) else ""
    return format(repr(value) if node.conversion == ord("r") else value, spec)


@expression(ast.NamedExpr)
def named(frame: Frame, node: ast.NamedExpr) -> Any:
    value = unwrap(frame.evaluate(node.value))
    if node.target.id not in frame.constants:
        value = settled(frame.at(node).build, value)
    frame.assign(node.target.id, value)
    return value


@expression(ast.Slice)
def slice_(frame: Frame, node: ast.Slice) -> slice:
    return slice(*(None if part is None else _slice_bound(frame, part) for part in (node.lower, node.upper, node.step)))


def _slice_bound(frame: Frame, node: ast.expr) -> int | None:
    value = unwrap(frame.evaluate(node))
    known = static_int(value)
    if known is None and value is not None:
        help = "give the tile its final extents and mask, or use tl.gather"
        raise frame.error(node, f"the bounds of a slice are compile-time ints, got {coerce.describe(value)}", help=help)
    return known


@expression(ast.Subscript)
def subscript(frame: Frame, node: ast.Subscript) -> Any:
    owner = unwrap(frame.evaluate(node.value))
    index = unwrap(frame.evaluate(node.slice))
    if isinstance(owner, Aggregate) and hasattr(owner, "__getitem__"):
        method = type(owner).__getitem__
        if isinstance(method, JITFunction):
            return unwrap(frame.at(node).call(method, [owner, index]))
        return unwrap(method(owner, index, _semantic=frame.at(node)))
    if isinstance(owner, (Value, bool, int, float)):
        tile = coerce.tensor(frame.at(node).build, owner)
        return tile_index(frame, tile, index if isinstance(index, tuple) else (index,))
    if isinstance(index, Value):
        known = static_int(index)
        if known is None:
            help = "index it by a number, a tl.constexpr or the index of a tl.static_range; tl.where chooses between tiles"
            raise frame.error(node, f"a tuple is indexed by a compile-time int, got {index.type}", help=help)
        index = known
    if isinstance(owner, tuple) and isinstance(index, int):
        return unwrap(sequences.indexed(owner, index, ast.unparse(node.value)))
    try:
        return unwrap(owner[index])
    except TypeError:
        taken = f"{coerce.describe(owner)} has no element {coerce.describe(index)}"
        raise frame.error(node, taken, help="tiles and tuples have elements; of arrays, tl.load reads them") from None


@expression(ast.Starred)
def starred(frame: Frame, node: ast.Starred) -> Any:
    raise frame.error(node, "a starred expression stands only in a call or a tuple", help="leave the star out")
