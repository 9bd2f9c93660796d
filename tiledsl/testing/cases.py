"""A case: a kernel, a grid and arguments for one launch; what random programs are handed over as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir.core import Kernel
from ..ir.types import DType
from ..memory import Buffer

ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Array:
    """The contents of a pointer argument, in storage form."""

    name: str
    dtype: DType
    stored: np.ndarray
    aligned: bool = False  # whether the kernel may rely on an address divisible by 16

    @property
    def values(self) -> np.ndarray:
        return self.dtype.decode(self.stored)

    def __repr__(self) -> str:
        return (
            f"{self.name}: {self.dtype}[{self.stored.size}] {np.array2string(self.values, threshold=12, edgeitems=6, max_line_width=140)}"
        )


Argument = Array | int | float | bool


@dataclass(frozen=True, eq=False)
class Case:
    """One launch: `args` stand for the kernel's parameters in order."""

    kernel: Kernel
    grid: tuple[int, int, int]
    args: tuple[Argument, ...]

    def __repr__(self) -> str:
        lines = [f"; grid {self.grid}"]
        for param, arg in zip(self.kernel.body.args, self.args, strict=True):
            lines.append(f"; {arg!r}" if isinstance(arg, Array) else f"; {param.name} = {arg!r}")
        return "\n".join(["", *lines, repr(self.kernel)])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # else Hypothesis shows the fields of every op

    def of(self, kernel: Kernel) -> Case:
        """The same launch of another kernel."""
        return replace(self, kernel=kernel)


def bind(case: Case) -> tuple[list[Buffer | int | float | bool], list[np.ndarray]]:
    """Launch arguments on fresh copies of all arrays, and those copies."""
    bound: list[Buffer | int | float | bool] = []
    copies: list[np.ndarray] = []
    for arg in case.args:
        if isinstance(arg, Array):
            copy = fresh(arg.stored, 0 if arg.aligned else arg.dtype.itemsize)
            copies.append(copy)
            bound.append(Buffer(copy.ctypes.data, copy.nbytes, arg.dtype, True, copy, arg.name))
        else:
            bound.append(arg)
    return bound, copies


def fresh(stored: np.ndarray, beyond: int) -> np.ndarray:
    """A copy whose address lies `beyond` bytes after a multiple of 64, so that alignment is what was promised and no more."""
    raw = np.zeros(stored.nbytes + 2 * ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT + beyond
    copy = raw[start : start + stored.nbytes].view(stored.dtype)
    copy[:] = stored
    return copy
