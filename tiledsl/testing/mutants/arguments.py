"""What a kernel can be called with: guesses by name and use, improved by how far the compiler gets with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from ... import language as tl
from ...ir.types import DTYPES, DType
from ...memory import Buffer
from ..cases import Array
from .sources import Unit, free_names

ELEMENTS = 1 << 14  # of every array
POINTED = ("f32", "i32", "f16", "i64", "bf16", "u8", "i1", "f64", "i8", "u32", "f8e4nv")
IS_FLOAT = re.compile(r"eps|scale|alpha|beta|momentum|^p$|prob|lr|decay|slope|value|threshold|factor|soft")
IS_FLAG = re.compile(
    r"^(is|has|use|do|need|even|with|store|save|apply|reverse|causal|trans|return|add|load|output|input)_|^[A-Z]*(IS|HAS|USE)"
)
IS_TYPE = re.compile(r"dtype|type|_ty$", re.I)
IS_SMALL = re.compile(r"stage|warp|group|unroll|num_|^n[a-z]?_|dim|axis|rank|split", re.I)
IS_INDEX = re.compile(r"ind|idx|id(_|s|$)|len|offset|loc|table|map|count|start|end|num|label|target|token|seq|pos|page|lock", re.I)
MEMORY = re.compile(r"\b(load|store|atomic_\w+|make_block_ptr|make_tensor_descriptor)$")


@dataclass(frozen=True)
class Pointer:
    """An array argument: its element type."""

    elem: str

    def __repr__(self) -> str:
        return f"*{self.elem}"


Arguments = dict[str, Any]  # by parameter, or by a name that the file left undefined


def choices(unit: Unit) -> dict[str, list[Any]]:
    """For every parameter and free name what it may be, the likeliest first."""
    pointers = _pointers(unit.function)
    found: dict[str, list[Any]] = {}
    args = unit.function.args
    ordered = [*args.posonlyargs, *args.args]
    defaults = dict(zip([a.arg for a in ordered[len(ordered) - len(args.defaults) :]], args.defaults, strict=True))
    for a in [*ordered, *args.kwonlyargs]:
        constant = a.annotation is not None and "constexpr" in ast.unparse(a.annotation)
        likely = _constants(a.arg) if constant else _values(a.arg, a.arg in pointers)
        default = defaults.get(a.arg)
        if isinstance(default, ast.Constant):
            likely = [default.value, *likely]
        found[a.arg] = likely
    for name in free_names(unit):
        found[name] = _constants(name)
    return found


def _constants(name: str) -> list[Any]:
    sizes, flags = [16, 32, 64, 1, 2, 4, 8, 128, 3], [False, True]
    types = [tl.float32, tl.float16, tl.int32, tl.bfloat16]
    words: list[Any] = [None, "none", "ieee", 1.0, "", "mul"]
    if IS_TYPE.search(name):
        return [*types, *flags, *sizes, *words]
    if IS_FLAG.search(name):
        return [*flags, *sizes, *types, *words]
    if IS_SMALL.search(name):
        return [1, 2, 4, *sizes, *flags, *types, *words]
    return [*sizes, *flags, *words, *types]


def _values(name: str, is_pointer: bool) -> list[Any]:
    first = ("i32", "i64") if IS_INDEX.search(name) else ()
    pointers: list[Any] = [Pointer(elem) for elem in dict.fromkeys([*first, *POINTED])]
    numbers: list[Any] = [0.5, 16, 1, 4] if IS_FLOAT.search(name) else [16, 4, 1, 33, 64, 2, 0.5]
    return [*pointers, None, *numbers] if is_pointer else [*numbers, *pointers, None]


def _pointers(function: ast.FunctionDef) -> set[str]:
    """Names whose sums memory is accessed at."""
    found: set[str] = set()
    assigned: list[tuple[str, str]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and MEMORY.search(ast.unparse(node.func)) and (node.args or node.keywords):
            found.add(_first(node.args[0] if node.args else node.keywords[0].value))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.append((node.targets[0].id, _first(node.value)))
    for _ in range(4):  # through that many assignments
        found |= {source for name, source in assigned if name in found}
    return found


def _first(node: ast.expr) -> str:
    """The name a sum starts with."""
    while True:
        if isinstance(node, ast.BinOp):
            node = node.left
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.args
            and node.func.attr in ("advance", "multiple_of")
        ):
            node = node.args[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to":
            node = node.func.value
        elif isinstance(node, ast.IfExp):
            node = node.body
        else:
            return node.id if isinstance(node, ast.Name) else ""


Score = tuple[int, int]  # how many steps went well, and the line of the kernel that the next one stumbled over


def search(
    unit: Unit, attempt: Callable[[Arguments], tuple[Score, str]], random: Random, tries: int, enough: int
) -> tuple[Arguments, Score]:
    """Arguments with which compiling gets far: single guesses are changed, those on the line of the message first, and
    kept if it gets no less far."""
    options = choices(unit)
    best: Arguments = {name: likely[0] for name, likely in options.items()}
    score, line = attempt(best)
    for _ in range(tries):
        if score[0] >= enough or not options:
            break
        named = [n for n in options if re.search(rf"\b{re.escape(n)}\b", line)]
        name = random.choice(named if named and random.random() < 0.7 else list(options))
        near = options[name][: 4 if random.random() < 0.5 else None]
        changed = {**best, name: random.choice(near)}
        found, spoken = attempt(changed)
        if found >= score:
            best, score, line = changed, found, spoken
    return best, score


# --- values


def buffers(arguments: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The arguments with arrays in place of pointers: small numbers, so that those that are indices stay in bounds."""
    made: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, Pointer):
            elem = DTYPES[value.elem]
            stored = contents(elem, seed + len(made))
            made[name] = Buffer(stored.ctypes.data, stored.nbytes, elem, True, stored, name)
        else:
            made[name] = value
    return made


def contents(elem: DType, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if elem.is_float:
        return np.ascontiguousarray(elem.encode(elem.round(random.standard_normal(ELEMENTS).astype(np.float64))))
    return random.integers(0, 2 if elem.name == "i1" else 16, ELEMENTS).astype(elem.storage)


def cases_arguments(bound: list[Any]) -> tuple[Any, ...]:
    """Bound arguments as those of a case: pointers by what they point to."""
    out: list[Any] = []
    for value in bound:
        if isinstance(value, Buffer):
            stored = value.owner
            assert isinstance(stored, np.ndarray)
            out.append(Array(value.name, value.dtype, stored, value.address % 16 == 0))
        else:
            out.append(value)
    return tuple(out)
