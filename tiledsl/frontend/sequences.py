"""Python's functions of sequences, on what is a sequence in a kernel: tuples, and ranges of compile-time ints."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..errors import TypeRuleError
from ..ir.core import Value
from ..language import coerce
from ..language import math as tile_math
from ..language.core import Builtin, beyond, static_int, unwrap
from ..language.operators import apply_binary, apply_logical
from ..language.static import Range
from .frame import Frame

SPELLED = "write the elements out, or index the tuple in a tl.static_range"


def items(value: Any, what: str) -> tuple[Any, ...]:
    """The elements of a sequence that is known when compiling."""
    value = unwrap(value)
    if isinstance(value, (tuple, list, range)):
        return tuple(map(unwrap, value))
    if isinstance(value, Range):
        bounds = [static_int(bound) for bound in (value.start, value.stop, value.step)]
        if None not in bounds:
            return tuple(range(*bounds))  # type: ignore[arg-type]
        raise TypeRuleError(f"{what} takes a range of compile-time ints", help="declare its bounds `tl.constexpr`, or write a loop")
    help = f"reduce a tile with tl.{what}" if what in ("sum", "min", "max") else "write a loop over a range and index the tile"
    raise TypeRuleError(
        f"{what} takes a tuple, got {coerce.describe(value)}", help=help if isinstance(value, Value) else "pass a tuple, such as (1, 2)"
    )


def indexed(items: Sequence[Any], at: Any, what: str) -> Any:
    """One of several that are known when compiling; outside of them, what there is."""
    if isinstance(at, int) and not -len(items) <= at < len(items):
        if not items:
            raise TypeRuleError(f"{what} is empty: there is no element {at}", help=SHAPELESS)
        raise TypeRuleError(f"{what} has {len(items)} elements: there is no element {at}", help=f"the last is {what}[{len(items) - 1}]")
    return items[at]


# the shape of an argument is asked for by those who think of its array
SHAPELESS = "a scalar has no axes; of an array a kernel gets an address and no shape: pass its extents, too"


def zipped(frame: Frame, *sequences: Any, strict: Any = False) -> tuple[Any, ...]:
    beyond(frame.build, "`zip` cannot be called in a kernel", SPELLED)
    return tuple(zip(*(items(s, "zip") for s in sequences), strict=bool(unwrap(strict))))


def enumerated(frame: Frame, sequence: Any, start: Any = 0) -> tuple[Any, ...]:
    beyond(frame.build, "`enumerate` cannot be called in a kernel", SPELLED)
    first = static_int(start)
    if first is None:
        raise TypeRuleError(f"enumerate starts at a compile-time int, got {coerce.describe(start)}")
    return tuple(enumerate(items(sequence, "enumerate"), first))


def backwards(frame: Frame, sequence: Any) -> tuple[Any, ...]:
    beyond(frame.build, "`reversed` cannot be called in a kernel", SPELLED)
    return items(sequence, "reversed")[::-1]


def total(frame: Frame, sequence: Any, start: Any = 0) -> Any:
    """Added up from the left, as Python does; a start of 0 is left out."""
    parts = items(sequence, "sum")
    known = unwrap(start)
    beyond(frame.build, "`sum` cannot be called in a kernel", "add the elements up with +")
    if parts and not isinstance(known, Value) and known == 0:
        known, *parts = parts  # type: ignore[assignment]
    for part in parts:
        known = apply_binary(frame.build, "Add", known, part)
    return known


def joined(symbol: str) -> Callable[..., Any]:
    """`any` or `all`: compile-time elements may decide, of scalars and tiles all are asked."""

    def apply(frame: Frame, sequence: Any) -> Any:
        name = "any" if symbol == "or" else "all"
        beyond(frame.build, f"`{name}` cannot be called in a kernel", f"join the conditions with `{symbol}`")
        result: Any = symbol == "and"
        for part in items(sequence, name):
            if not isinstance(part, Value):
                if bool(part) == (symbol == "or"):
                    return symbol == "or"
            else:
                holds = coerce.condition(frame.build, part)
                result = apply_logical(frame.build, symbol, result, holds) if isinstance(result, Value) else holds
        return result

    return apply


def extreme(on_tiles: Builtin, on_values: Callable[..., Any]) -> Callable[..., Any]:
    """`min` or `max` of numbers, scalars and tiles, lane by lane."""

    def apply(frame: Frame, *args: Any) -> Any:
        parts = items(args[0], on_values.__name__) if len(args) == 1 else tuple(map(unwrap, args))
        if not any(isinstance(part, Value) for part in parts):
            if any(isinstance(part, float) and (part != part or str(part) == "-0.0") for part in parts):
                raise TypeRuleError(
                    f"`{on_values.__name__}` of compile-time NaN or -0.0 depends on their order", help="use tl.minimum or tl.maximum"
                )
            return on_values(parts)
        result = parts[0]
        for part in parts[1:]:
            result = on_tiles.function(frame, result, part)
        return result

    return apply


def contains(frame: Frame, element: Any, sequence: Any) -> Any:
    """`element in sequence`: whether it equals one of a tuple; on a tile lane by lane."""
    sequence = unwrap(sequence)
    if isinstance(sequence, str):
        return unwrap(element) in sequence
    result: Any = False
    for part in items(sequence, "in"):
        if not isinstance(element, Value) and not isinstance(part, Value):
            if element == part:
                return True
            continue
        same = apply_binary(frame.build, "Eq", element, part)
        result = apply_logical(frame.build, "or", result, same) if isinstance(result, Value) else same
    return result


def not_(frame: Frame, value: Any) -> Any:
    return frame.build.emit(ops.not_, value) if isinstance(value, Value) else not value


SEQUENCES: dict[Any, Callable[..., Any]] = {
    builtins.zip: zipped,
    builtins.enumerate: enumerated,
    builtins.reversed: backwards,
    builtins.sum: total,
    builtins.any: joined("or"),
    builtins.all: joined("and"),
    builtins.min: extreme(tile_math.minimum, builtins.min),
    builtins.max: extreme(tile_math.maximum, builtins.max),
}
