"""A launch as a table: all that was found out about one call, so that a backend's native code can repeat it without Python.

A backend that can do so has `direct(slow)`, which gives a Direct, or None where this Python or platform does not allow it. What
a table does not describe goes to the slow path; so a table may expect more than would be needed, but never less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from .base import Backend, Options, Program


class Kind(IntEnum):
    """What an argument is expected to be."""

    SAME = 0  # this very object
    TEXT = 1  # a string equal to the object
    INTEGER = 2  # an int from low to high
    REAL = 3  # the float whose bits are low
    SINGLE = 4  # any float, for a parameter of type f32
    DOUBLE = 5  # any float, for an f64
    BOOL = 6  # True, which is the object, or False
    ARRAY = 7  # a NumPy array whose dtype is the object
    TENSOR = 8  # a tensor on the CPU; the object is a function of DLPack's exchange interface, low its name for the dtype


@dataclass(frozen=True)
class Expected:
    """One argument: where it stands in a call, what it has to be, and which parameter of the program it becomes."""

    kind: Kind
    source: int  # among the positional arguments, then those with keywords
    parameter: int | None = None  # of the program; None: it was compiled in
    type: type | None = None
    object: Any = None
    low: int = 0
    high: int = 0
    bits: int = 0  # of an int or an address that tell versions apart
    is_zero: bool = True  # whether they are all 0
    size: int = 0  # bytes of an element, or of a number
    not_one: bool = False  # 1 has a version of its own


class Where(IntEnum):
    """What kind of place a variable stands in."""

    DICT = 0
    CELL = 1
    EMPTY = 2  # a list, expected to be empty


ABSENT = object()


@dataclass(frozen=True)
class Watch:
    """A variable, and what it was."""

    where: Where
    place: Any
    name: Any = None
    value: Any = ABSENT


@dataclass(frozen=True)
class Table:
    """One call."""

    positional: int
    keywords: Sequence[str]
    epoch: int
    watches: Sequence[Watch]
    arguments: Sequence[Expected]
    stored: Sequence[int]  # parameters of the program that it may write through
    program: Program
    grid: tuple[int, int, int]
    options: Options
    result: Any  # what the launch returns


class Direct(Protocol):
    """A callable in native code, and the tables it goes by."""

    call: Callable[..., Any]

    @property
    def backend(self) -> Backend:
        """Whose code it runs."""
        ...

    def learn(self, table: Table) -> bool:
        """Go by this table, too; False if it says what native code cannot do."""
        ...
