"""From a call that went the general way to a table for native code (backend/direct.py).

What the general way looks at is either in the call, and then an `Expected` describes it; or a variable, and then a `Watch` does;
or it cannot change without `epoch` advancing. A call with anything else has no table, and always goes the general way.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, epoch
from ..backend import registry
from ..backend.base import Backend
from ..backend.direct import ABSENT, Expected, Kind, Table, Watch, Where
from ..frontend.captures import Captures
from ..ir.types import DTYPES, DType, Pointer, Tile
from .arguments import ALIGNMENT, Bound, Slot
from .launch import Launched

if TYPE_CHECKING:
    from .jit import Launchable, Launcher

LEAST, MOST = -(1 << 63), (1 << 63) - 1


class Indescribable(Exception):
    """A call that no table describes."""


def teach(launcher: Launcher, args: tuple[Any, ...], given: Mapping[str, Any], launched: Launched) -> None:
    """Let the backend's native code answer the next call like this one, if it has any and the call can be described."""
    kernel = launcher.kernel
    if type(launcher.grid) is not tuple or set(map(type, launcher.grid)) != {int}:
        return
    try:
        table, backend = table_of(kernel, launcher.grid, args, given, launched)
    except Indescribable:
        return
    if launcher.direct is None and hasattr(backend, "direct"):
        launcher.direct = backend.direct(launcher.slowly)
    if launcher.direct is not None and launcher.direct.backend is backend and launcher.direct.learn(table):
        kernel._launchers[launcher.grid] = launcher.grid, launcher.direct.call


def table_of(kernel: Launchable, grid: object, args: tuple[Any, ...], given: Mapping[str, Any], result: Any) -> tuple[Table, Backend]:
    """The table of a call that has just been launched, and returned this."""
    now, watches = epoch.word.value, watched(kernel, given, result)
    values, target = kernel._call(args, given)
    bound: list[Bound] = []
    key = kernel._binder.key(values, bound)
    compiled = kernel.kept(target, key, {name: value for name, value in given.items() if name not in kernel._binder.names})
    sizes = kernel._sizes(grid, values)
    captured = kernel._captured
    if compiled is None or compiled.messages or 0 in sizes or captured is None or captured.changed() is not None:
        raise Indescribable
    sources = _sources(kernel, len(args), given)
    arguments: list[Expected] = []
    position = 0
    for slot, source, value, part in zip(kernel._binder.slots, sources, values, key, strict=True):
        if isinstance(part, str):
            if source is None:
                raise Indescribable  # a default that is passed at run time
            arguments.append(_passed(slot, source, value, part, position, compiled.program.params[position]))
            position += 1
        elif source is not None:
            arguments.append(_constant(source, value, slot))
        else:
            _constant(0, value, slot)  # a default: as good as fixed, if it cannot change inside
    options = [(len(args) + i, name) for i, name in enumerate(given) if name not in kernel._binder.names and name not in kernel.overlooked]
    arguments += [_constant(source, given[name], None) for source, name in options]
    table = Table(len(args), tuple(given), now, watches, arguments, compiled.stored, compiled.program, sizes, target.options, result)
    return table, target.backend


def _sources(kernel: Launchable, positional: int, given: Mapping[str, Any]) -> list[int | None]:
    """Where each parameter's value stands in the call; None for a default."""
    params = kernel.params
    if params and params[-1].is_variadic:
        raise Indescribable
    named = {name: positional + i for i, name in enumerate(given)}
    return [p.index if p.index < positional else named.get(p.name) for p in params]


# --- what is in the call


def _constant(source: int, value: Any, slot: Slot | None) -> Expected:
    """A value that was compiled in, or chooses how to launch."""
    kind = type(value)
    if kind is int and LEAST <= value <= MOST:
        return Expected(Kind.INTEGER, source, type=int, low=value, high=value)
    if kind is float:
        return Expected(Kind.REAL, source, type=float, low=struct.unpack("<q", struct.pack("<d", value))[0])
    if kind is str:
        return Expected(Kind.TEXT, source, type=str, object=value)
    if _is_fixed(value):
        return Expected(Kind.SAME, source, object=value)
    raise Indescribable


def _is_fixed(value: Any) -> bool:
    """Whether a value stays what it is, as long as it is the same object."""
    if type(value) is tuple:
        return all(map(_is_fixed, value))
    elem = getattr(value, "elem", value)  # a dtype of the language
    simple = value is None or type(value) in (bool, int, float, str) or isinstance(elem, DType)
    return simple or bool(getattr(value, "is_jit_function", False))


def _passed(slot: Slot, source: int, value: Any, key: str, position: int, param: Tile) -> Expected:
    """A value that is passed at run time."""
    text, _, divisible = key.partition("/")
    bits = ALIGNMENT - 1 if slot.specialize and slot.align else 0
    made = Expected(Kind.SAME, source, position, type(value), bits=bits, is_zero=bool(divisible) or not bits)
    if isinstance(param.elem, Pointer):
        return _pointer(value, DTYPES[text[1:]], made)
    elem = param.elem
    if type(value) is int and elem.is_int and elem.bits > 1:
        low, high = _range(value, text, slot)
        return replace(made, kind=Kind.INTEGER, low=low, high=high, size=elem.itemsize, not_one=slot.specialize and slot.elem is None)
    if type(value) is float and elem.name in ("f32", "f64"):
        return replace(made, kind=Kind.SINGLE if elem.bits == 32 else Kind.DOUBLE)
    if type(value) is bool and elem.bits == 1:
        return replace(made, kind=Kind.BOOL, object=True)
    raise Indescribable


def _range(value: int, key: str, slot: Slot) -> tuple[int, int]:
    """The values with the same key, or those of them around this one."""
    elem = DTYPES[key]
    if slot.elem is not None:
        low, high = (-(1 << elem.bits - 1), (1 << elem.bits - 1) - 1) if elem.is_signed else (0, (1 << elem.bits) - 1)
    elif elem.bits == 32:
        low, high = -(1 << 31), (1 << 31) - 1
    elif elem.is_signed:
        low, high = (1 << 31, MOST) if value > 0 else (LEAST, -(1 << 31) - 1)
    else:
        raise Indescribable
    return low, min(high, MOST)


def _pointer(value: Any, elem: DType, made: Expected) -> Expected:
    if type(value) is np.ndarray:
        return replace(made, kind=Kind.ARRAY, object=value.dtype, size=value.itemsize)
    interface = getattr(type(value), "__dlpack_c_exchange_api__", None)
    if interface is None:
        raise Indescribable
    opener, name = _exchange(interface, value)
    return replace(made, kind=Kind.TENSOR, object=opener, low=name, size=elem.itemsize)


def _exchange(interface: object, tensor: object) -> tuple[int, int]:
    """The function that opens a tensor for reading its fields, and what it calls the dtype of this one."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_size_t, [ctypes.py_object, ctypes.c_char_p]
    at = pointer(interface, b"dlpack_exchange_api")
    (major,) = struct.unpack("<I", ctypes.string_at(at, 4))
    # a version, a link to an older one, then functions: three that own memory, and the one that only looks
    opener = ctypes.c_size_t.from_address(at + 5 * 8).value
    if major != 1 or not opener:
        raise Indescribable
    view = ctypes.create_string_buffer(48)
    try:
        failed = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(opener)(tensor, ctypes.addressof(view))
    except Exception:  # whatever the library raises for a tensor that it does not show
        raise Indescribable from None
    if failed:
        raise Indescribable
    return opener, struct.unpack_from("<I", view, 20)[0]


# --- what is not


def watched(kernel: Launchable, given: Mapping[str, Any], launched: Any) -> list[Watch]:
    """The variables that the general way would look at."""
    watches = [Watch(Where.EMPTY, kernel.pre_run_hooks), *kernel.watches(launched)]
    watches += [*environment(config.num_threads.name), *environment(config.strict_triton.name)]
    if given.get("backend") is None:
        watches += [Watch(Where.DICT, vars(registry), "_default", registry._default), *environment(config.backend.name)]
    if kernel._captured is not None:
        watches += _of_captures(kernel._captured)
    return watches


def environment(name: str) -> list[Watch]:
    """A variable of the environment."""
    if type(config.table) is not dict:
        raise Indescribable
    key = config.key_of(name)
    return [Watch(Where.DICT, config.table, key, config.table.get(key, ABSENT))]


def _of_captures(captured: Captures) -> list[Watch]:
    watches = []
    for capture in captured.found:
        if type(capture.scope) is dict:
            value = capture.scope.get(capture.name, ABSENT)
            watches.append(Watch(Where.DICT, capture.scope, capture.name, value))
        elif not isinstance(capture.scope, dict):
            try:
                value = capture.scope.cell_contents
            except ValueError:
                value = ABSENT
            watches.append(Watch(Where.CELL, capture.scope, value=value))
        else:
            raise Indescribable
        if type(value).__name__ == "constexpr":  # what is inside may change
            inside = getattr(value, "__dict__", None)
            if inside is None or list(inside) != ["value"]:
                raise Indescribable
            watches.append(Watch(Where.DICT, inside, "value", inside["value"]))
    return watches
