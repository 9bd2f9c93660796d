"""Loads, stores and atomics on tiles of pointers."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..errors import TypeRuleError, require
from ..ir.core import Builder, Value
from ..ir.types import DType, Pointer, f32, i1, i32, i64, u32, u64
from ..ops import Atomic
from . import coerce
from .block_pointers import BlockPointer, load_window, store_window
from .core import Context, beyond, builtin, is_tensor, method, unwrap
from .creation import pointee
from .dtypes import short_name

CACHE = {"load": ("", ".ca", ".cg", ".cs", ".cv"), "store": ("", ".wb", ".cg", ".cs", ".wt")}
EVICTION = ("", "evict_last", "evict_first", "evict_normal")
SEMANTICS = (None, "acquire", "release", "acq_rel", "relaxed")
SCOPES = (None, "gpu", "cta", "sys")


def _check_hints(build: Builder, verb: str, cache: Any, eviction: Any) -> None:
    """Cache hints are accepted and have no meaning here; misspelt ones are refused."""
    for name, value, choices in (("cache modifier", cache, CACHE[verb]), ("eviction policy", eviction, EVICTION)):
        if (unwrap(value) or "") not in choices:
            raise TypeRuleError(f"{name} {unwrap(value)!r} is not one of {', '.join(map(repr, choices))}")
    if unwrap(eviction) == "evict_normal":
        beyond(build, "Eviction policy evict_normal not supported", "leave it out: it is the default")


def _check_order(sem: Any, scope: Any) -> None:
    for name, value, choices in (("sem", sem, SEMANTICS), ("scope", scope, SCOPES)):
        if unwrap(value) not in choices:
            raise TypeRuleError(f"{name} {unwrap(value)!r} is not one of {', '.join(map(repr, choices[1:]))}")


def _mask(build: Builder, mask: Any) -> Value | None:
    mask = unwrap(mask)
    if mask is None or mask is True:
        return None
    tile = coerce.tensor(build, mask)
    if tile.type.elem is not i1:
        beyond(build, "Mask must have boolean scalar type", help="compare it: mask=(... != 0)")
    return coerce.condition(build, tile) if not is_tensor(mask) or tile.type.elem is not i1 else tile


@builtin
def load(
    ctx: Context,
    pointer: Value | BlockPointer,
    mask: Any = None,
    other: Any = None,
    boundary_check: Any = (),
    padding_option: str = "",
    cache_modifier: str = "",
    eviction_policy: str = "",
    volatile: bool = False,
) -> Value:
    """Read through a tile of pointers. Lanes where mask is false touch no memory and are `other`, or 0."""
    _check_hints(ctx.build, "load", cache_modifier, eviction_policy)
    if isinstance(pointer, BlockPointer):
        require(unwrap(mask) is None and unwrap(other) is None, "`mask` and `other` cannot be specified for loading block pointers")
        return load_window(ctx.build, pointer, boundary_check, padding_option)
    build, elem = ctx.build, pointee(pointer)
    plain = boundary_check is None or (unwrap(boundary_check) == () and not unwrap(padding_option))
    require(plain, "`padding_option` or `boundary_check` argument is not supported for loading a tensor of pointers")
    other = unwrap(other)
    require(other is None or unwrap(mask) is not None, "`other` cannot be provided without `mask`", help="add mask=...")
    lanes = _mask(build, mask)
    if lanes is None:
        return build.emit(ops.load, pointer)
    if lanes.type.shape and not pointer.type.shape:
        beyond(build, "Mask argument cannot be block type if pointer argument is not a block", help="offset the pointer by a tl.arange")
    _require_meeting(pointer, lanes)
    pointer, lanes = coerce.broadcast_pair(build, pointer, lanes)
    if other is None:
        return build.emit(ops.load, pointer, lanes)
    fill = coerce.cast(build, coerce.tensor(build, other), elem) if is_tensor(other) else _number(build, other, elem)
    return build.emit(ops.load, pointer, lanes, coerce.broadcast_to(build, fill, pointer.type.shape))


def _require_meeting(pointer: Value, mask: Value) -> None:
    """Say that a mask fits no pointers, and how one of fewer axes does."""
    try:
        coerce.broadcast_shape(pointer.type.shape, mask.type.shape)
    except TypeRuleError as error:
        help, extents = coerce.MEETING, mask.type.shape
        if len(extents) == 1 and extents[0] in pointer.type.shape:
            axis = pointer.type.shape.index(extents[0])
            index = ", ".join(":" if i == axis else "None" for i in range(pointer.type.rank))
            help = f"lay the mask along axis {axis}: {mask.name or 'mask'}[{index}]; join several with &"
        raise TypeRuleError(f"a mask {mask.type} fits no pointers {pointer.type}: {error.message}", help=help) from None


def _number(build: Builder, value: Any, elem: DType) -> Value:
    """A number in the type of memory: as an int if that is exact, else through its own type."""
    if elem.is_float or (isinstance(value, (bool, int)) and coerce.fits(int(value), elem)):
        return coerce.constant(build, value, elem)
    return coerce.cast(build, coerce.tensor(build, value), elem)


def _value(build: Builder, pointer: Value, value: Any, what: str) -> Value:
    """A value in the type and shape of what a pointer points to."""
    elem, value = pointee(pointer), unwrap(value)
    assert isinstance(pointer.type.elem, Pointer)
    require(not pointer.type.elem.const, "Cannot store to a constant pointer")
    if is_tensor(value) and isinstance(value.type.elem, Pointer):
        require(
            elem.is_int,
            f"{what} of {value.type} through {pointer.type}: an address is no number of this type",
            help=f"store what is there: tl.load({value.name or '...'}); to store addresses, pass an array of int64",
        )
        value = build.emit(ops.address, value)
    tile = coerce.cast(build, value, elem) if is_tensor(value) else _number(build, value, elem)
    if coerce.broadcast_shape(pointer.type.shape, tile.type.shape) != pointer.type.shape:
        raise TypeRuleError(
            f"{what} of {tile.type} through {pointer.type}: the pointer has fewer elements", help="offset the pointer by a tl.arange"
        )
    return coerce.broadcast_to(build, tile, pointer.type.shape)


def _lanes(build: Builder, pointer: Value, mask: Any) -> tuple[Value, ...]:
    lanes = _mask(build, mask)
    if lanes is None:
        return ()
    _require_meeting(pointer, lanes)
    if coerce.broadcast_shape(pointer.type.shape, lanes.type.shape) != pointer.type.shape:
        raise TypeRuleError(f"Expected pointer argument to have shape {list(lanes.type.shape)} but got {list(pointer.type.shape)}")
    return (coerce.broadcast_to(build, lanes, pointer.type.shape),)


@builtin
def store(
    ctx: Context,
    pointer: Value | BlockPointer,
    value: Any,
    mask: Any = None,
    boundary_check: Any = (),
    cache_modifier: str = "",
    eviction_policy: str = "",
) -> None:
    """Write through a tile of pointers where mask is true; the value is converted to the element type."""
    _check_hints(ctx.build, "store", cache_modifier, eviction_policy)
    if isinstance(pointer, BlockPointer):
        require(unwrap(mask) is None, "`mask` cannot be specified for storing through block pointers")
        store_window(ctx.build, pointer, value, boundary_check)
        return
    require(unwrap(boundary_check) in ((), None), "`boundary_check` argument is not supported for storing a tensor of pointers")
    tile = _value(ctx.build, pointer, value, "store")
    ctx.build.emit(ops.store, pointer, tile, *_lanes(ctx.build, pointer, mask))


def _atomic(name: str, kind: Atomic, doc: str) -> Any:
    def atomic(ctx: Context, pointer: Value, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Value:
        _check_order(sem, scope)
        elem = pointee(pointer)
        refused = elem.bits < 32 and (elem.is_int or kind not in (Atomic.ADD, Atomic.XCHG))
        wide = "float32" if elem.is_float else "int32"
        require(not refused, f"{name} does not support {short_name(elem)}", help=f"pass an array of {wide}: x.astype(np.{wide})")
        tile, lanes = _value(ctx.build, pointer, val, name), _lanes(ctx.build, pointer, mask)
        if elem.is_float and kind in (Atomic.MAX, Atomic.MIN):
            return _by_bits(ctx.build, pointer, tile, lanes, kind)
        return ctx.build.emit(ops.atomic_rmw, pointer, tile, *lanes, kind=kind)

    atomic.__name__, atomic.__doc__ = name, doc + " Returns what was there before; 0 in lanes without mask."
    return builtin(atomic)


def _by_bits(build: Builder, pointer: Value, value: Value, lanes: tuple[Value, ...], kind: Atomic) -> Value:
    """The larger or smaller float by its bits, as Triton has it: those of positive ones are ordered as integers, those of
    negative ones the other way round, as integers without sign. A positive NaN is larger than all numbers, a negative one smaller."""
    elem = value.type.elem
    signed, unsigned = (i32, u32) if elem is f32 else (i64, u64)
    bits = build.emit(ops.bitcast, value, to=signed)
    zero = coerce.constant(build, 0, signed, bits.type.shape)
    positive = build.emit(ops.ge, bits, zero)
    other = Atomic.MIN if kind is Atomic.MAX else Atomic.MAX
    found = []
    for to, which, combine in ((signed, positive, kind), (unsigned, build.emit(ops.lt, bits, zero), other)):
        mask = build.emit(ops.and_, which, lanes[0]) if lanes else which
        place = build.emit(ops.pointer, build.emit(ops.address, pointer), to=to)
        before = build.emit(ops.atomic_rmw, place, build.emit(ops.bitcast, value, to=to), mask, kind=combine)
        found.append(build.emit(ops.bitcast, before, to=elem))
    return build.emit(ops.select, positive, *found)


atomic_add = _atomic("atomic_add", Atomic.ADD, "Add to memory.")
atomic_max = _atomic(
    "atomic_max", Atomic.MAX, "Keep the larger in memory; floats by their bits, so that a NaN without sign is the largest."
)
atomic_min = _atomic(
    "atomic_min", Atomic.MIN, "Keep the smaller in memory; floats by their bits, so that a NaN with a sign is the smallest."
)
atomic_and = _atomic("atomic_and", Atomic.AND, "Bitwise and into memory.")
atomic_or = _atomic("atomic_or", Atomic.OR, "Bitwise or into memory.")
atomic_xor = _atomic("atomic_xor", Atomic.XOR, "Bitwise exclusive or into memory.")
atomic_xchg = _atomic("atomic_xchg", Atomic.XCHG, "Put a value into memory.")


WIDER = "pass an array of int32: x.astype(np.int32)"


@builtin
def atomic_cas(ctx: Context, pointer: Value, cmp: Any, val: Any, sem: str | None = None, scope: str | None = None) -> Value:
    """Write val where memory holds cmp; returns what was there before."""
    _check_order(sem, scope)
    require(pointee(pointer).bits >= 16, f"atomic_cas does not support {short_name(pointee(pointer))}", help=WIDER)
    expected, new = _value(ctx.build, pointer, cmp, "atomic_cas"), _value(ctx.build, pointer, val, "atomic_cas")
    return ctx.build.emit(ops.atomic_cas, pointer, expected, new)


for _each in (atomic_add, atomic_max, atomic_min, atomic_and, atomic_or, atomic_xor, atomic_xchg, atomic_cas, store):
    method(_each)
