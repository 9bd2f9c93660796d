"""What happens at compile time: assertions, messages, loops that are unrolled."""

from __future__ import annotations

from typing import Any

from ..errors import StaticAssertionError, TypeRuleError
from ..record import Record
from . import coerce
from .core import Context, beyond, builtin, is_tensor, static_int, unwrap


@builtin
def static_assert(ctx: Context, cond: Any, msg: str = "") -> None:
    """Refuse to compile unless a compile-time condition holds."""
    cond = unwrap(cond)
    if is_tensor(cond):
        raise TypeRuleError("static_assert takes a compile-time condition", help="use tl.device_assert for values of the kernel")
    if not isinstance(cond, bool):
        beyond(ctx.build, f"static_assert takes a bool, got {coerce.describe(cond)}", "compare it, as in `x != 0`")
    if not cond:
        raise StaticAssertionError(f"static assertion failed: {unwrap(msg)}" if unwrap(msg) else "static assertion failed")


@builtin
def static_print(ctx: Context, *values: Any, sep: str = " ", end: str = "\n", file: Any = None, flush: bool = False) -> None:
    """Print while compiling."""
    print(*map(unwrap, values), sep=unwrap(sep), end=unwrap(end))


class Range(Record):
    """The bounds of a loop, as tiles or numbers; `static` ones are unrolled by the frontend."""

    start: Any
    stop: Any
    step: Any
    static: bool = False
    stages: int = 0  # iterations that may overlap; 0: as many as the launch allows


def _bounds(start: Any, stop: Any, step: Any) -> tuple[Any, Any, Any]:
    start, stop, step = unwrap(start), unwrap(stop), unwrap(step)
    first, last = (0, start) if stop is None else (start, stop)
    return first, last, 1 if step is None else step


@builtin
def range(
    ctx: Context,
    arg1: Any,
    arg2: Any = None,
    step: Any = None,
    num_stages: int | None = None,
    loop_unroll_factor: int | None = None,
    disallow_acc_multi_buffer: bool = False,
    flatten: bool = False,
    warp_specialize: bool = False,
    disable_licm: bool = False,
) -> Range:
    """A loop that runs in the kernel; the hints are accepted and change no result. On npu, `num_stages` bounds how many of its
    iterations have tiles of their own, instead of the launch's."""
    stages = None if unwrap(num_stages) is None else static_int(num_stages)
    if stages is None and unwrap(num_stages) is not None:
        raise TypeRuleError(f"num_stages takes a compile-time int, got {coerce.describe(num_stages)}", help="1 for none that overlap")
    return Range(*_bounds(arg1, arg2, step), stages=0 if stages is None else max(stages, 1))


@builtin
def condition(ctx: Context, arg: Any, disable_licm: bool = False) -> Any:
    """The condition of a `while`, with hints that change no result."""
    return arg


@builtin
def static_range(ctx: Context, arg1: Any, arg2: Any = None, step: Any = None) -> Range | tuple[Any, ...]:
    """A loop unrolled while compiling; its bounds are compile-time ints, and so is its index. Or over the items of a tuple."""
    if isinstance(unwrap(arg1), tuple) and arg2 is None and step is None:
        beyond(ctx.build, "static_range takes compile-time ints, got a tuple", "index it: for i in tl.static_range(len(...))")
        return unwrap(arg1)
    start, stop, by = (_known(v) for v in _bounds(arg1, arg2, step))
    return Range(start, stop, by, static=True)


def _known(bound: Any) -> int:
    n = static_int(bound)
    if n is None:
        spoken = coerce.describe(bound)
        raise TypeRuleError(f"static_range takes compile-time ints, got {spoken}", help="use tl.range, or declare it `tl.constexpr`")
    return n
