"""Instructions that a vendor adds to T1: fields, meaning and manual as there; cost, legality, and what of a kernel they stand for.

    EXTENSION = Extension()

    @EXTENSION.instruction(0x80, unit="V", match="select(ge(a, 0), a, mul(a, b))", cost=cost, legal=legal)
    def leaky(core: Core, to: TileTo, a: TileA, b: TileB) -> None:
        "to = a, or a * b where a is negative."
        core.put(to, ...)

The file of these lines is what a machine's `npu.hooks` names. In a match, op names are those that `kernel.show(...)` prints after
the last shared pass, other names are operands of the instruction, and numbers are constants. Where a match says too little,
it may be a function of the op whose result the instruction makes: the values of the operands by label, or None.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tiledsl import ops
from tiledsl.backend.isa import Instruction, InstructionSet
from tiledsl.errors import LaunchError, TileError, nearest
from tiledsl.ir.core import Op, Value
from tiledsl.ir.spec import SPECS
from tiledsl.ir.types import Tile

from ..machine import Npu
from .instructions import T1
from .state import TileDescriptor, Trap

ENGINES = ("M", "V", "X")
MOST_TILES, MOST_FIELDS = 4, 6  # what a row of the trace, and a record of the fast simulator, have room for
Operands = Mapping[str, Value]  # of a match, by the names of the instruction's fields
Match = Callable[[Op], "Operands | None"]
Cost = Callable[[Npu, Mapping[str, TileDescriptor]], float]  # cycles that the unit is busy, from its tiles by label
Legal = Callable[[Npu, Mapping[str, Tile]], bool]  # whether a machine does it, from the types of operands and result by label


@dataclass(frozen=True, eq=False)
class Custom:
    """One instruction of a vendor's own."""

    instruction: Instruction
    match: Match
    pattern: ast.expr | None  # the match, where it is text
    cost: Cost
    legal: Legal
    elementwise: bool  # whether it may go piece by piece through a large tile

    @property
    def labels(self) -> tuple[str, ...]:
        """The operands that a match has to find."""
        return tuple(label for label, where in self.instruction.fields if where.role != "write")


class Extension:
    """The instructions that one file adds."""

    def __init__(self) -> None:
        self.customs: dict[str, Custom] = {}
        self._declared = InstructionSet("an extension of T1", T1.bits, common=T1.common, idle=T1.idle)

    def instruction(
        self, opcode: int, *, unit: str, match: str | Match, cost: Cost, legal: Legal | None = None, elementwise: bool = True
    ) -> Callable[[Callable[..., Any]], Custom]:
        """Declare an instruction; see the head of this file. One that is not `elementwise` sees its operands as wholes."""

        def declare(meaning: Callable[..., Any]) -> Custom:
            new = self._declared.instruction(opcode, unit=unit)(_told(meaning, ValueError))  # which becomes a trap
            _require_sound(new)
            pattern = _parsed(new, match) if isinstance(match, str) else None
            found = partial(_found, new, _told(match)) if callable(match) else partial(matched, pattern)
            made = Custom(new, found, pattern, partial(_cycles, new, _told(cost)), _told(legal or _always), elementwise)
            self.customs[new.name] = made
            return made

        return declare


def _require_sound(new: Instruction) -> None:
    """What every instruction keeps to, so that allocation, tokens, races and traces hold for it as for those of T1."""
    made = [label for label, where in new.fields if where.role == "write"]
    tiles = [label for label, where in new.fields if where.prefix == "t"]
    known = all(where.prefix == "t" or where.prefix == "r" and where.role == "read" or where.prefix == "#" for _, where in new.fields)
    if new.name in T1.by_name or new.opcode in T1.by_opcode:
        raise LaunchError(f"instruction {new.name}: T1 has this name, or opcode {new.opcode:#x}", help="take 0x80 or above")
    if new.unit not in ENGINES:
        raise LaunchError(f"instruction {new.name}: unit {new.unit!r}", help=f"one of {', '.join(ENGINES)}: transfers are those of T1")
    if made != ["to"] or not known or not 1 < len(tiles) <= MOST_TILES or len(new.fields) > MOST_FIELDS or new.fields[0][0] != "to":
        raise LaunchError(
            f"instruction {new.name} has the fields {', '.join(label for label, _ in new.fields)}",
            help=f"`to: TileTo` first, then what it reads: tiles, {MOST_TILES} in all, scalar registers, numbers",
        )


# --- a vendor's functions ----------------------------------------------------------------------------------------------


def _told(function: Callable[..., Any], kind: type[Exception] = LaunchError) -> Callable[..., Any]:
    """The same, but what it raises by mistake says where."""

    @wraps(function)
    def call(*given: Any) -> Any:
        try:
            return function(*given)
        except (TileError, Trap):
            raise
        except Exception as error:
            raise kind(_said(error, inspect.getsourcefile(function) or "")) from error

    return call


def _said(error: Exception, path: str) -> str:
    """An exception, with the last line of a file that it came through, or that is no Python."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"{path}{f':{line}' if line else ''}: {type(error).__name__}: {getattr(error, 'msg', error)}"


def _always(machine: Npu, types: Mapping[str, Tile]) -> bool:
    return True


def _cycles(new: Instruction, cost: Cost, machine: Npu, tiles: Mapping[str, TileDescriptor]) -> float:
    """What a cost says, if it is one."""
    cycles = cost(machine, tiles)
    if not isinstance(cycles, int | float | np.number) or not 0 <= cycles < 1 << 53:
        raise LaunchError(f"instruction {new.name}: its cost is {cycles!r}", help="a number of cycles, 0 or more")
    return float(cycles)


def _found(new: Instruction, match: Match, op: Op) -> Operands | None:
    """What a match that is a function finds, if it is values for all operands."""
    found = match(op)
    wanted = {label for label, where in new.fields if where.role != "write"}
    if found is not None and (set(found) != wanted or not all(isinstance(x, Value) for x in found.values())):
        raise LaunchError(f"instruction {new.name}: its match gives {found!r}", help=f"values for {', '.join(sorted(wanted))}, or None")
    return found


# --- matches -----------------------------------------------------------------------------------------------------------


def _parsed(new: Instruction, text: str) -> ast.expr:
    """A match as a tree of calls, names and numbers; LaunchError for anything else."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise LaunchError(f"instruction {new.name}: the match {text!r} is no expression: {error.msg}") from None
    labels = {label for label, _ in new.fields} - {"to"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and spec_named(node.func.id) is None:
            raise LaunchError(f"instruction {new.name}: there is no op `{node.func.id}`", help=nearest(node.func.id, list(SPECS)))
        if not isinstance(node, ast.Call | ast.Name | ast.Constant | ast.UnaryOp | ast.USub | ast.Load):
            raise LaunchError(f"instruction {new.name}: the match {text!r} is not made of ops, operands and numbers")
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {_called(node) for node in ast.walk(tree)}
    if found != labels or not isinstance(tree, ast.Call):
        missing = ", ".join(sorted(labels ^ found)) or "no op"
        raise LaunchError(f"instruction {new.name}: fields and match {text!r} differ in {missing}")
    return tree


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def spec_named(name: str) -> Any:
    """The op that a match calls by a name; None if there is none, or it takes more than values."""
    spec = SPECS.get(name)
    return spec if spec is not None and not spec.attrs and not spec.blocks and spec.effect == "pure" else None


def matched(pattern: ast.expr | None, op: Op) -> Operands | None:
    """The operands of a match whose result an op makes."""
    assert pattern is not None
    found = next(iter(_ways(pattern, op.result, {})), None) if len(op.results) == 1 else None
    return found


def _ways(pattern: ast.expr, value: Value, bound: dict[str, Value]) -> list[dict[str, Value]]:
    """All bindings under which a value is what a pattern says."""
    if isinstance(pattern, ast.Name):
        known = bound.get(pattern.id)
        return [] if known is not None and not same(known, value) else [bound | {pattern.id: known or value}]
    if not isinstance(pattern, ast.Call):
        number = constant(value)
        return [bound] if number is not None and number == ast.literal_eval(pattern) else []
    op = value.source
    if op is None or op.spec.name != _called(pattern) or len(op.operands) != len(pattern.args):
        return []
    orders: list[Sequence[Value]] = [op.operands]
    if "commutative" in op.spec.traits:
        orders.append(op.operands[::-1])
    found = []
    for order in orders:
        ways = [bound]
        for part, operand in zip(pattern.args, order, strict=True):
            ways = [more for way in ways for more in _ways(part, operand, way)]
        found += ways
    return found


def same(one: Value, other: Value) -> bool:
    """Whether two values are known to be one: the same, or the same number."""
    number = constant(one)
    return one is other or number is not None and one.type == other.type and number == constant(other)


def constant(value: Value) -> float | int | None:
    """The number that every element of a value is, if that can be seen."""
    op = value.source
    while op is not None and op.spec is ops.broadcast:
        op = op.operands[0].source
    return op.attrs["value"] if op is not None and op.spec is ops.constant else None


# --- files -------------------------------------------------------------------------------------------------------------


@cache
def loaded(path: str, digest: str) -> Mapping[str, Custom]:
    """What a file of hooks declares, by name; read again once its contents are others."""
    name = f"tiledsl_hooks_{digest[:12]}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = path
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), module.__dict__)  # Python's bytecode may be that of a second ago
    except TileError:
        raise
    except Exception as error:
        raise LaunchError(_said(error, path)) from error
    found = [x for x in vars(module).values() if isinstance(x, Extension)]
    if not found:
        raise LaunchError(f"{path} declares no instructions", help="EXTENSION = Extension(), and instructions of it")
    return {name: custom for extension in found for name, custom in extension.customs.items()}


def customs(machine: Npu) -> Mapping[str, Custom]:
    """The instructions that a machine has besides those of T1, by name."""
    return loaded(machine.hooks, machine.hooks_digest) if machine.hooks else {}
