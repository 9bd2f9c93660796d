"""Statements: assignment, branches, loops, return."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .. import ops
from ..errors import CompilationError, TileError, UnsupportedSyntax
from ..ir.core import Block, Value
from ..ir.types import Pointer, dtype_of
from ..language import coerce
from ..language.core import beyond, constexpr, static_int, unwrap
from ..language.debug import device_assert
from ..language.static import Range
from . import counting, jumps, lanes, sequences
from .carry import Undefined, describe, flatten, kind_of, restore, settled
from .expressions import explained, known_condition, operate, scalar_condition
from .frame import Frame, Returned, statement
from .syntax import always_returns, assigned, returns


@statement(ast.Expr)
def expression_statement(frame: Frame, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant):  # a docstring
        return
    if isinstance(node.value, ast.Call) and not isinstance(node.value.func, ast.Call):
        callee = unwrap(frame.evaluate(node.value.func))
        words = getattr(getattr(callee, "method", callee), "must_use_result", False)
        if words:
            spoken = f"The result of {ast.unparse(node.value.func)} is not being used."
            raise frame.error(node, f"{spoken} {words}" if isinstance(words, str) else spoken)
    frame.evaluate(node.value)


@statement(ast.Pass)
def nothing(frame: Frame, node: ast.Pass) -> None:
    pass


@statement(ast.Assert)
def assertion(frame: Frame, node: ast.Assert) -> None:
    value = known_condition(frame.evaluate(node.test))
    if not isinstance(value, Value) and not value:
        message = unwrap(frame.evaluate(node.msg)) if node.msg is not None else ""
        raise frame.error(node, f"assertion failed: {message}" if message else "assertion failed")
    if isinstance(value, Value):
        device_assert.function(frame.at(node), value, unwrap(frame.evaluate(node.msg)) if node.msg is not None else "")


@statement(ast.Raise)
def raise_(frame: Frame, node: ast.Raise) -> None:
    """Fine in a branch that is not compiled; anywhere else the kernel says it cannot be compiled for these arguments."""
    raise UnsupportedSyntax(f"`{ast.unparse(node)}` is reached while compiling", frame.loc(node), help="use tl.static_assert")


@statement(ast.Return)
def return_(frame: Frame, node: ast.Return) -> Returned:
    return Returned(None if node.value is None else unwrap(frame.evaluate(node.value)), frame.loc(node))


# --- assignment


@statement(ast.Assign)
def assign(frame: Frame, node: ast.Assign) -> None:
    value = frame.evaluate(node.value)
    if len(node.targets) > 1:
        beyond(frame.at(node).build, "assignment to several names at once is not supported", "write one assignment per line")
    for target in node.targets:
        bind_target(frame, target, value, node)


def bind_target(frame: Frame, target: ast.expr, value: Any, node: ast.AST) -> None:
    """Bind a name, or the names of a tuple. A number becomes a scalar of the kernel, unless it is a tl.constexpr."""
    if isinstance(target, ast.Name):
        known = isinstance(value, constexpr) or target.id in frame.constants
        frame.assign(target.id, unwrap(value) if known else settled(frame.at(node).build, value))
        return
    assert isinstance(target, (ast.Tuple, ast.List))
    items = unwrap(value)
    if not isinstance(items, (tuple, list)):
        raise frame.error(node, f"cannot take {coerce.describe(items)} apart into {len(target.elts)} names", help=_apart(items))
    for part, item in zip(target.elts, _spread(frame, target, tuple(items), node), strict=True):
        bind_target(frame, part.value if isinstance(part, ast.Starred) else part, item, node)


def _apart(value: Any) -> str:
    """What to write for one value that shall have several names."""
    if not isinstance(value, Value):
        return "give it one name"
    source = value.source.spec.name if value.source else ""
    if source in ("program_id", "num_programs"):
        return f"it counts along one axis: ask for each, tl.{source}(0), tl.{source}(1)"
    if not value.type.shape:
        return "it is one number: give it one name"
    return "index it, as in x[0], or use tl.split for a tile whose last axis has two elements"


def _spread(frame: Frame, target: ast.Tuple | ast.List, items: tuple[Any, ...], node: ast.AST) -> tuple[Any, ...]:
    """One value per target; a starred one takes what the others leave."""
    names = len(target.elts)
    starred = next((i for i, part in enumerate(target.elts) if isinstance(part, ast.Starred)), None)
    if starred is None:
        if len(items) != names:
            raise frame.error(node, f"{len(items)} values for {names} names", help="write one name per value")
        return items
    beyond(frame.at(target).build, "a starred target is not supported", "name every element")
    rest = len(items) - (names - 1)
    if rest < 0:
        raise frame.error(node, f"{len(items)} values for at least {names - 1} names")
    return (*items[:starred], items[starred : starred + rest], *items[starred + rest :])


@statement(ast.AnnAssign)
def annotated(frame: Frame, node: ast.AnnAssign) -> None:
    assert isinstance(node.target, ast.Name)
    note = frame.evaluate(node.annotation) if not isinstance(node.annotation, ast.Constant) else node.annotation.value
    if node.value is None:
        if note is constexpr or note in ("constexpr", "tl.constexpr"):
            frame.constants.add(node.target.id)
        return
    value = frame.evaluate(node.value)
    if note is constexpr or note in ("constexpr", "tl.constexpr"):
        name = node.target.id
        if name in frame.names:
            beyond(frame.at(node).build, f"{name} is already defined. constexpr cannot be reassigned.", "use another name")
        known = static_int(value) if isinstance(value, Value) else unwrap(value)
        # Triton lets a value of the running kernel pass; where a constant is needed, its use is refused
        frame.names[node.target.id] = value if known is None and isinstance(value, Value) else known
    else:
        bind_target(frame, node.target, value, node)


@statement(ast.AugAssign)
def augmented(frame: Frame, node: ast.AugAssign) -> None:
    assert isinstance(node.target, ast.Name)
    load = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
    x, y = frame.evaluate(load), frame.evaluate(node.value)
    try:
        value = operate(frame, node, node.op, x, y)
    except TileError as error:
        raise explained(frame, error, node, {load: x, node.value: y}) from None
    bind_target(frame, node.target, value, node)


# --- branches


@statement(ast.If)
def branch(frame: Frame, at: tuple[ast.If, Sequence[ast.stmt]]) -> tuple[Returned | None, bool]:
    """(what was returned, whether the rest of the statements is done): if a branch returns, the rest moves into it."""
    node, rest = at
    cond = known_condition(frame.evaluate(node.test))
    if not isinstance(cond, Value):
        _check_static_condition(frame, node.test, cond)
        chosen = node.body if cond else node.orelse
        if returns(chosen):  # perhaps under a condition of the kernel: then the rest belongs to the other arm
            return frame.execute([*chosen, *rest]), True
        frame.execute(chosen)
        return None, False
    if frame.lanes is not None:
        return lanes.branch(frame, node, cond, rest)
    test = scalar_condition(frame, node.test, cond)
    if returns(node.body) or returns(node.orelse):
        return _returning(frame, node, test, rest), True
    _merging(frame, node, test)
    return None, False


def _check_static_condition(frame: Frame, node: ast.AST, cond: Any) -> None:
    if not isinstance(cond, (bool, int, type(None))) and not hasattr(cond, "__bool__"):
        raise frame.error(node, f"a condition is a bool, an int, None or a scalar tile, got {coerce.describe(cond)}")


def _returning(frame: Frame, node: ast.If, test: Value, rest: Sequence[ast.stmt]) -> Returned:
    """A branch with an early return: what follows the branch runs in the arms that do not return."""
    arms, places = [], []
    for body in (node.body, node.orelse):
        tail = [*body] if always_returns(body) else [*body, *rest]
        with frame.block([]) as block:
            out = frame.execute(tail)
            value = settled(frame.build, out.value if out is not None else None)
            arms.append((block, value))
            places.append(None if out is None else out.loc)
            frame.build.emit(ops.yield_, *flatten(value))
    (then, value), (otherwise, other) = arms
    if kind_of(value) != kind_of(other):
        kinds = [describe(kind_of(value)), describe(kind_of(other))]
        returns = [f"{kind} is returned at {place}" for kind, place in zip(kinds, places, strict=True) if place is not None]
        spoken = f"Return type mismatch: {kinds[0]} if the condition holds, {kinds[1]} otherwise"
        notes = [*returns, f"the condition is at {frame.loc(node.test)}"]
        function = replace(frame.function.loc, called_from=frame.called_from)
        raise CompilationError(spoken, function, notes=notes, help="return the same type on every path")
    results = frame.at(node).build.emit(ops.if_, test, blocks=[then, otherwise])
    return Returned(restore(value, list(results) if isinstance(results, tuple) else [results]), places[0] or places[1])


def _merging(frame: Frame, node: ast.If, test: Value) -> None:
    """Run both arms into blocks; names they assign become results of the branch."""
    names = [*assigned([*node.body, *node.orelse])]
    before = dict(frame.names)
    blocks: list[Block] = []
    after: list[dict[str, Any]] = []
    builders = []
    for body in (node.body, node.orelse):
        with frame.block([]) as block:
            frame.execute(body)
            blocks.append(block)
            after.append(frame.names)
            builders.append(frame.build)
    merged: dict[str, Any] = {}
    missing: dict[str, Undefined] = {}
    for name in names:
        arms = [names_after.get(name, Undefined("")) for names_after in after]
        absent = [isinstance(value, Undefined) for value in arms]
        if all(absent):
            missing[name] = Undefined(next((v.reason for v in arms if v.reason), f"`{name}` is assigned nowhere"))
        elif any(absent):
            which = "when the condition holds" if absent[1] else "when the condition does not hold"
            missing[name] = Undefined(f"`{name}` is assigned only {which}, at {frame.loc(node.test)}")
        elif arms[0] is arms[1]:
            frame.names[name] = arms[0]
        else:
            merged[name] = [settled(b, v) for b, v in zip(builders, arms, strict=True)]
    for name, (then, otherwise) in merged.items():
        if kind_of(then) != kind_of(otherwise):
            was = f", before it {describe(kind_of(before[name]))}" if name in before else ""
            raise frame.error(
                node,
                f"Mismatched type for {name}: {describe(kind_of(then))} when the condition holds, "
                f"{describe(kind_of(otherwise))} otherwise{was}",
                help=f"convert one of them, so that `{name}` has one type",
            )
    for i, build in enumerate(builders):
        build.emit(ops.yield_, *(leaf for pair in merged.values() for leaf in flatten(pair[i])))
    results = frame.at(node).build.emit(ops.if_, test, blocks=blocks)
    leaves = list(results) if isinstance(results, tuple) else [results]
    for name, (then, _) in merged.items():
        frame.assign(name, restore(then, leaves))
    frame.names.update(missing)


# --- loops


@statement(ast.For)
def for_loop(frame: Frame, node: ast.For) -> None:
    bounds = unwrap(frame.evaluate(node.iter))
    body = jumps.enter(frame, node)
    if isinstance(bounds, (tuple, list)):
        beyond(frame.at(node.iter).build, "a loop over a tuple is not supported", "index it: for i in tl.static_range(len(...))")
        _unrolled(frame, node, bounds, body)
        return
    if not isinstance(bounds, Range):
        raise frame.error(node.iter, f"cannot loop over {coerce.describe(bounds)}", help="use range, tl.range or tl.static_range")
    if bounds.static:
        _unrolled(frame, node, range(bounds.start, bounds.stop, bounds.step), body)
        return
    if not isinstance(node.target, ast.Name):
        raise frame.error(node.target, "the index of a loop is one name")
    if jumps.breaks(node):
        counting.until_broken(frame, node, _bounds(frame, node, bounds), body)
    else:
        _counted(frame, node, _bounds(frame, node, bounds), body, node.target.id, bounds.stages)
    jumps.leave(frame, node)


def _unrolled(frame: Frame, node: ast.For, items: Iterable[Any], body: list[ast.stmt]) -> None:
    for item in items:
        broken = jumps.is_broken(frame, node)
        if not isinstance(broken, Value) and broken:
            break
        bind_static(frame, node.target, item, node)
        frame.execute([jumps.unless(node, body)] if isinstance(broken, Value) else body)
    jumps.leave(frame, node)


def bind_static(frame: Frame, target: ast.expr, value: Any, node: ast.AST) -> None:
    """Bind the index of an unrolled loop; it stays a compile-time value."""
    if isinstance(target, ast.Name):
        frame.names[target.id] = value
        return
    assert isinstance(target, (ast.Tuple, ast.List))
    items = sequences.items(value, "a loop that binds several names")
    for part, item in zip(target.elts, _spread(frame, target, items, node), strict=True):
        bind_static(frame, part.value if isinstance(part, ast.Starred) else part, item, node)


def _bounds(frame: Frame, node: ast.For, bounds: Range) -> list[Value]:
    """Lower, upper and step as scalars of one integer type."""
    if unwrap(bounds.step) == 0 and not isinstance(bounds.step, Value):
        raise frame.error(node.iter, "a loop with a step of zero never ends", help="take a step above or below zero")
    build = frame.at(node.iter).build
    tiles = [coerce.tensor(build, b) for b in (bounds.start, bounds.stop, bounds.step)]
    for tile in tiles:
        if not tile.type.elem.is_int or tile.type.shape:
            if isinstance(tile.type.elem, Pointer):
                raise coerce.no_number(tile)
            help = "reduce it to a scalar, for example with tl.max" if tile.type.shape else "convert it with .to(tl.int32)"
            raise frame.error(node.iter, f"the bounds of a loop are scalar ints, got {tile.type}", help=help)
    index = dtype_of(tiles[0].type)
    for tile in tiles[1:]:
        index = coerce.promoted(index, dtype_of(tile.type))
    return [coerce.cast(build, tile, index) for tile in tiles]


def _carried(frame: Frame, body: list[ast.stmt], index: str = "") -> dict[str, Any]:
    """The names that live before a loop and change in it, with their values as carried."""
    found = {}
    for name in assigned(body):
        value = frame.names.get(name, Undefined(""))
        if name != index and not isinstance(value, Undefined):
            if isinstance(value, (bool, int, float)) and name not in frame.constants:
                beyond(frame.build, f"cannot reassign constexpr {name} in the loop", f"start with another name: a = {name}")
            found[name] = lanes.widened(frame, value)
    return found


def _enter(frame: Frame, carried: dict[str, Any], args: Sequence[Value]) -> None:
    """Bind carried names to the arguments of a loop's block."""
    leaves = list(args)
    for name, value in carried.items():
        frame.assign(name, restore(value, leaves))


def _next(frame: Frame, node: ast.AST, carried: dict[str, Any]) -> list[Value]:
    """What the names carry to the next iteration; their kind must not change."""
    leaves: list[Value] = []
    for name, value in carried.items():
        new = lanes.widened(frame, frame.names[name])
        if isinstance(new, Undefined):
            raise frame.error(node, f"loop-carried variable `{name}` may be undefined at the end of an iteration", notes=[new.reason])
        if kind_of(new) != kind_of(value):
            before, now = describe(kind_of(value)), describe(kind_of(new))
            raise frame.error(
                node,
                f"loop-carried variable `{name}` has initial type {before} but is re-assigned to {now}",
                notes=[f"`{name}` must keep its type and shape from one iteration to the next"],
                help=_suggestion(name, new),
            )
        leaves += flatten(new)
    return leaves


def _suggestion(name: str, new: Any) -> str:
    if isinstance(new, Value) and new.type.shape and new.type.elem.is_float:
        return f"start with `{name} = tl.zeros({list(new.type.shape)}, tl.float{new.type.elem.bits})`"
    return f"convert the new value, or start `{name}` with its type"


def _leave(frame: Frame, node: ast.For | ast.While, carried: dict[str, Any], results: Any) -> None:
    leaves = list(results) if isinstance(results, tuple) else [results]
    for name, value in carried.items():
        frame.assign(name, restore(value, leaves))
    inner = f"it is assigned only inside the loop at {frame.loc(node)}"
    frame.forget(assigned(node.body), inner)


def _counted(frame: Frame, node: ast.For, limits: list[Value], statements: list[ast.stmt], index: str, stages: int) -> None:
    carried = _carried(frame, statements, index)
    before = frame.names.get(index)
    initial = flatten(tuple(carried.values()))
    with frame.block([limits[0].type, *(v.type for v in initial)]) as block:
        frame.assign(index, block.args[0])
        _enter(frame, carried, block.args[1:])
        frame.execute(statements)
        frame.at(node).build.emit(ops.yield_, *_next(frame, node, carried))
    hints: dict[str, Any] = {"stages": stages} if stages else {}
    results = frame.at(node).build.emit(ops.for_, *limits, *initial, blocks=[block], **hints)
    _leave(frame, node, carried, results)
    frame.names[index] = counting.ended(frame, node, limits, before)


@statement(ast.While)
def while_loop(frame: Frame, node: ast.While) -> None:
    statements = jumps.enter(frame, node)
    if jumps.breaks(node):
        run_while(frame, counting.unless_broken(node, statements))
    else:
        run_while(frame, ast.copy_location(ast.While(node.test, statements, []), node))
    jumps.leave(frame, node)


def run_while(frame: Frame, node: ast.While) -> None:
    """A loop whose body has no jumps."""
    carried = _carried(frame, node.body)
    if frame.lanes is not None:
        _leave(frame, node, carried, tuple(lanes.while_loop(frame, node, carried)))
        return
    initial = flatten(tuple(carried.values()))
    types = [v.type for v in initial]
    with frame.block(types) as condition:
        _enter(frame, carried, condition.args)
        cond = unwrap(frame.evaluate(node.test))
        tile = cond if isinstance(cond, Value) else coerce.tensor(frame.at(node.test).build, bool(cond))
        go_on = scalar_condition(frame, node.test, tile)
        frame.at(node.test).build.emit(ops.yield_, go_on)
    with frame.block(types) as body:
        _enter(frame, carried, body.args)
        frame.execute(node.body)
        frame.at(node).build.emit(ops.yield_, *_next(frame, node, carried))
    results = frame.at(node).build.emit(ops.while_, *initial, blocks=[condition, body])
    _leave(frame, node, carried, results)
