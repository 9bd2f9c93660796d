"""What has a name while code is written, and a number only later: registers, labels, buffers."""

from __future__ import annotations

from dataclasses import dataclass

from ..isa.state import SPM

DRAM = 2  # the third space after scratchpad and accumulators: everything may be anywhere in it


@dataclass(eq=False)
class Reg:
    """A scalar register to be; the allocator gives it a number, or a place in the scratchpad."""

    number: int = -1


@dataclass(eq=False)
class Label:
    """A place to jump to."""


@dataclass(eq=False)
class Buffer:
    """Bytes of one memory that hold a value; the allocator decides where."""

    nbytes: int
    space: int = SPM
    offset: int = -1
