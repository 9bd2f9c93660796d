"""What the language says with several ops, in random programs: casts towards zero, pairs, scaled products, `libdevice`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from ..errors import TypeRuleError
from ..ir.core import Block, Builder, Value
from ..ir.types import DTYPES, DType, Tile, f8e4nv, f32, f64, i32, i64, u8, u32, u64
from ..language import arrange, libdevice, scaled
from ..language import math as arithmetic
from ..language.core import Builtin
from ..language.dtypes import dtype

if TYPE_CHECKING:  # programs draws from this file
    from .programs import Scope


@dataclass
class Plain:
    """All that these builtins ask of the frontend."""

    build: Builder
    debug: bool = False


def _say(scope: Scope, builtin: Builtin, *args: Any, **more: Any) -> list[Value]:
    """A builtin's results, or none where it does not take such operands."""
    try:
        out = builtin.function(Plain(scope.build), *args, **more)
    except TypeRuleError:
        return []
    return list(out) if isinstance(out, tuple) else [out]


def truncated(scope: Scope) -> Sequence[Value]:
    """A float rounded towards zero to a narrower type."""
    wide = [v for v in scope.pool if v.type.elem.is_float and v.type.elem.bits > 8]
    x = scope.pick(wide[::-1]) if wide else scope.value(Tile(f32, scope.pick(scope.author.shapes)))
    narrower = [t for t in DTYPES.values() if t.is_float and t.bits < x.type.elem.bits]
    return _say(scope, arithmetic.cast, x, dtype.of(scope.pick(narrower)), fp_downcast_rounding="rtz")


def paired(scope: Scope) -> Sequence[Value]:
    """Two tiles side by side, in turn or one after the other, and halves of one."""
    kind = scope.pick([arrange.join, arrange.interleave, arrange.cat, arrange.split, arrange.flip])
    if kind is arrange.split:
        even = [v for v in scope.pool if v.type.rank and v.type.shape[-1] == 2]
        return _say(scope, kind, scope.pick(even[::-1])) if even else []
    x = scope.any_value()
    return _say(scope, kind, x) if kind is arrange.flip else _say(scope, kind, x, scope.value(x.type))


ROWS, COLUMNS, DEPTH = 4, 5, 32  # of a scaled product: the least depth that has a scale


def scaled_product(scope: Scope) -> Sequence[Value]:
    """A product of narrow floats with shared scales, in any two formats, packed along either axis."""
    first, second = (scope.pick([*scaled.FORMATS]) for _ in range(2))
    along = [scope.pick([True, False]) for _ in range(2)]
    a, rows = _narrow_operand(scope, first, (ROWS, DEPTH), 1 if along[0] else 0)
    b, columns = _narrow_operand(scope, second, (DEPTH, COLUMNS), 0 if along[1] else 1)
    kind = scope.pick([u8, f8e4nv])
    groups = DEPTH // (32 if kind is u8 else 16)
    scales = [None if scope.chance(4) else scope.value(Tile(kind, (extent, groups))) for extent in (rows, columns)]
    acc = scope.value(Tile(f32, (rows, columns))) if scope.chance(2) else None
    lhs, rhs = (scales[0], first), (scales[1], second)
    return _say(scope, scaled.dot_scaled, a, *lhs, b, *rhs, acc, lhs_k_pack=along[0], rhs_k_pack=along[1])


def _narrow_operand(scope: Scope, name: str, shape: tuple[int, int], packed: int) -> tuple[Value, int]:
    """Elements of a format, two to a byte if it is the one of four bits, and how many rows or columns it stands for."""
    free = 1 if shape[0] == DEPTH else 0
    extents = list(shape)
    if name == "e2m1":
        extents[packed] = (extents[packed] + 1) // 2
    whole = extents[free] * 2 if name == "e2m1" and packed == free else extents[free]
    return scope.value(Tile(scaled.FORMATS[name], tuple(extents))), whole


# --- libdevice

# they read the bits of their last operand, and those of a NaN are not defined
READS_BITS = {"signbit", "copysign", "float_as_int", "float_as_uint", "double_as_longlong", "double2hiint", "double2loint"}
INLINED = {"jn", "yn"}  # loops written in the language, which only the frontend can say
FUNCTIONS = {name: found for name, found in sorted(vars(libdevice).items()) if isinstance(found, Builtin) and name not in INLINED}
WORDS = (f32, f64, i32, i64, u32, u64)


def called(scope: Scope) -> Sequence[Value]:
    """A function of `libdevice`."""
    name = scope.pick([*FUNCTIONS])
    accepted = operand_types(name)
    mine = {t.elem for t in scope.author.palette}
    elems = scope.pick([types for types in accepted if mine & {*types}] or accepted)
    shape = scope.pick(scope.author.shapes)
    operands = [scope.value(Tile(elem, shape)) for elem in elems]
    if name in READS_BITS:
        operands[-1] = scope.defined(operands[-1])
    return _say(scope, FUNCTIONS[name], *operands)


@cache
def operand_types(name: str) -> tuple[tuple[DType, ...], ...]:
    """What types of operands a function takes as they are: all alike if there are such, else any mixture."""
    function = FUNCTIONS[name]
    count = len(function.__signature__.parameters)
    alike = tuple((elem,) * count for elem in WORDS)
    for candidates in (alike, tuple(product(WORDS, repeat=count))):
        found = tuple(types for types in candidates if _takes(function, types))
        if found:
            return found
    raise AssertionError(f"libdevice.{name} takes none of {WORDS}")


def _takes(function: Builtin, types: Sequence[DType]) -> bool:
    build = Builder(Block([Value(Tile(elem)) for elem in types]))
    try:
        function.function(Plain(build), *build.block.args)
    except TypeRuleError:
        return False
    return True


EXACT: list[Callable[[Any], Sequence[Value]]] = [truncated, paired, scaled_product]
PHRASES: list[Callable[[Any], Sequence[Value]]] = [*EXACT, called]  # functions may use ops that are defined within a bound
