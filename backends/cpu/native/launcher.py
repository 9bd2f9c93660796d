"""The native launcher: launch.ll as a callable of Python, and the tables it reads, in the memory it reads them from.

The layouts here and in launch.ll are the same, field by field. Tables are only ever added to a launcher, and live as long as it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tiledsl import epoch
from tiledsl.backend.direct import ABSENT, Kind, Table, Where
from tiledsl.forks import lock

from ..engine import Linked
from ..entry import PARAMETERS
from . import arena
from .kept import native
from .load import Mapped, Unloadable
from .pool import NativePool

SLOTS = 68  # in launch.ll, for the grid and the parameters
MOST = 32  # tables of a launcher, before calls that fit none are left to Python
FASTCALL_WITH_KEYWORDS = 0x80 | 0x02

_word, _pointer = ctypes.c_int64, ctypes.c_void_p


class _Launcher(ctypes.Structure):
    _fields_ = [("first", _pointer), ("slow", _pointer), ("epoch", _pointer)]


class _Record(ctypes.Structure):
    _fields_ = [
        ("next", _pointer),
        ("positional", _word),
        ("named", _word),
        ("names", _pointer),
        ("epoch", _word),
        ("watch_count", _word),
        ("watches", _pointer),
        ("expected_count", _word),
        ("expected", _pointer),
        ("grid", _word * 3),
        ("total", _word),
        ("how", _word),
        ("kernel", _pointer),
        ("scratch", _word),
        ("key", _word),
        ("spread", _pointer),
        ("result", _pointer),
        ("region", _pointer),
        ("pool", _pointer),
        ("threads", _word),
        ("pace", _word),
    ]


class _Watch(ctypes.Structure):
    _fields_ = [("kind", _word), ("where", _pointer), ("name", _pointer), ("value", _pointer)]


class _Expected(ctypes.Structure):
    _fields_ = [
        ("kind", _word),
        ("source", _word),
        ("slot", _word),
        ("type", _pointer),
        ("object", _pointer),
        ("low", _word),
        ("high", _word),
        ("bits", _word),
        ("is_zero", _word),
        ("size", _word),
        ("written", _word),
    ]


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("code", _pointer), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]
    loaded: Mapped | Linked  # what the pointer points into


HERE, ALONE, SPREAD = range(3)  # how to run: holding the interpreter lock, without it, on threads


class Launcher:
    """A callable in native code, for what its tables describe; `slow` answers everything else."""

    def __init__(self, slow: Callable[..., Any], method: _Method):
        self._kept: list[Any] = [slow, method]  # whatever the tables point to
        self._count = 0
        self._own = _Launcher(None, id(slow), ctypes.addressof(epoch.word))
        make = ctypes.pythonapi.PyCMethod_New
        make.restype, make.argtypes = ctypes.py_object, [_pointer, ctypes.py_object, _pointer, _pointer]
        self.call: Callable[..., Any] = make(ctypes.addressof(method), (ctypes.addressof(self._own), self), None, None)

    def learn(
        self,
        table: Table,
        written: set[int],
        kernel: int,
        scratch: int,
        how: int,
        spread: Callable[[int], object],
        pool: NativePool | None,
        threads: int,
    ) -> bool:
        """Go by this table, too. Grids for several threads (0: one per processor) are run by the pool, and where there is none
        or it has too few threads, by `spread`, given the address of the arguments."""
        if self._count == MOST or len(table.program.params) > SLOTS - PARAMETERS:
            return False
        names = (_pointer * len(table.keywords))(*map(id, table.keywords))
        watches = (_Watch * len(table.watches))(
            *[
                _Watch(w.where, id(w.place), id(w.name), None if w.value is ABSENT or w.where is Where.EMPTY else id(w.value))
                for w in table.watches
            ]
        )
        expected = (_Expected * len(table.arguments))(
            *[
                _Expected(
                    a.kind,
                    a.source,
                    0 if a.parameter is None else PARAMETERS + a.parameter,
                    None if a.type is None else id(a.type),
                    # a function's address stands for itself; an int may leave out 1
                    a.object if a.kind is Kind.TENSOR else int(a.not_one) if a.kind is Kind.INTEGER else id(a.object),
                    a.low,
                    a.high,
                    a.bits,
                    a.is_zero,
                    a.size,
                    a.parameter in written,
                )
                for a in table.arguments
            ]
        )
        x, y, z = table.grid
        record = _Record(
            self._own.first,
            table.positional,
            len(table.keywords),
            ctypes.addressof(names),
            table.epoch,
            len(watches),
            ctypes.addressof(watches),
            len(expected),
            ctypes.addressof(expected),
            (x, y, z),
            x * y * z,
            how,
            kernel,
            scratch,
            arena.key(),
            id(spread),
            id(table.result),
            None if pool is None else pool.spread,
            None if pool is None else pool.address,
            threads,
        )
        self._kept += [table, names, watches, expected, spread, record]
        self._own.first = ctypes.addressof(record)
        self._count += 1
        return True


@cache
def method() -> _Method | None:
    """The method that every launcher is, compiled once and kept on disk; None where objects are not laid out as we read them,
    or Python does not offer what it calls."""
    if not _is_familiar():
        return None
    try:
        with lock:
            code = native("launch")
    except Unloadable:
        return None
    made = _Method(b"launch", code.address("launch"), FASTCALL_WITH_KEYWORDS, b"Launch over the grid.")
    made.loaded = code
    return made


def _is_familiar() -> bool:
    """Whether this is CPython with a global lock, and its objects and NumPy's are laid out as launch.ll reads them."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != 16 or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    probe = np.arange(24.0).reshape(4, 6)[::2, 1:]
    word, half = ctypes.c_size_t.from_address, ctypes.c_int32.from_address
    at, axes = id(probe), np.dtype(np.intp).itemsize
    shape, strides = word(at + 32).value, word(at + 40).value
    return (
        axes == 8
        and word(at + 8).value == id(np.ndarray)
        and word(at + 16).value == probe.ctypes.data
        and half(at + 24).value == 2
        and [word(shape).value, word(shape + 8).value, word(strides).value, word(strides + 8).value] == [*probe.shape, *probe.strides]
        and word(at + 56).value == id(probe.dtype)
        and half(at + 64).value == probe.flags.num
    )
