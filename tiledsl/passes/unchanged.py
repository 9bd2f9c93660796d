"""Values that a loop carries without changing them are its surroundings' values; so are those both arms of a branch yield."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ir.core import Block, Kernel, Op, Value
from ..ir.rebuild import Copier, rebuild
from ..machine import Machine


def unchanged(kernel: Kernel, machine: Machine) -> Kernel:
    """The kernel whose loops carry only what changes."""
    return rebuild(kernel, _visit)


def _visit(build: Copier, op: Op, operands: list[Value]) -> Any:
    if op.spec in (ops.for_, ops.while_):
        return _loop(build, op, operands)
    if op.spec is ops.if_:
        return _branch(build, op, operands)
    return None


def _loop(build: Copier, op: Op, operands: list[Value]) -> Any:
    lead = 1 if op.spec is ops.for_ else 0  # the index comes before what is carried
    fixed = 3 if op.spec is ops.for_ else 0
    body = op.blocks[-1]
    keeps = [made is arg for made, arg in zip(body.yields, body.args[lead:], strict=True)]
    if not any(keeps):
        return None
    initial = operands[fixed:]
    blocks = []
    for old in op.blocks:
        for arg, value, kept in zip(old.args[lead:], initial, keeps, strict=True):
            if kept:
                build.new_of[arg] = value
        args = [*old.args[:lead], *(a for a, kept in zip(old.args[lead:], keeps, strict=True) if not kept)]
        blocks.append(_rebuilt(build, old, args, keeps if old is body else None))
    changing = [v for v, kept in zip(initial, keeps, strict=True) if not kept]
    made = build.emit(op.spec, *operands[:fixed], *changing, blocks=blocks, loc=op.loc, **op.attrs)
    results = iter(made if isinstance(made, tuple) else (made,))
    return tuple(value if kept else next(results) for value, kept in zip(initial, keeps, strict=True))


def _rebuilt(build: Copier, old: Block, args: list[Value], keeps: list[bool] | None) -> Block:
    """A block with fewer arguments, that yields fewer values where keeps says so."""
    new = Block([Value(a.type, a.name) for a in args])
    inner = Copier(new, build.new_of, build.visit, build.retype)
    inner.new_of.update(zip(args, new.args, strict=True))
    for op in old.ops[:-1]:
        inner.rebuild(op)
    last = old.ops[-1]
    yields = [build.new_of[v] for i, v in enumerate(last.operands) if keeps is None or not keeps[i]]
    inner.emit(last.spec, *yields, loc=last.loc)
    return new


def _branch(build: Copier, op: Op, operands: list[Value]) -> Any:
    then, otherwise = op.blocks
    same = [a if a is b else None for a, b in zip(then.yields, otherwise.yields, strict=True)]
    if not any(same):
        return None
    keeps = [value is not None for value in same]
    blocks = [_rebuilt(build, block, [], keeps) for block in op.blocks]
    made = build.emit(op.spec, *operands, blocks=blocks, loc=op.loc, **op.attrs)
    results = iter(made if isinstance(made, tuple) else (made,))
    return tuple(next(results) if value is None else build.new_of[value] for value in same)
