"""The seam between the compiler and a backend: five names, and the data that crosses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..ir.core import Kernel
from ..ir.types import Tile
from ..machine import Machine
from ..memory import Buffer
from ..record import Record

if TYPE_CHECKING:
    from ..passes.pipeline import Pass

Argument = Buffer | int | float | bool

__all__ = ["Argument", "Backend", "Buffer", "Options", "Program", "Report"]


class Options(Record):
    """What a launch may ask of the compiler and the runtime; what LAUNCHING names is not part of the cache key."""

    num_threads: int | None = None  # None: one per core this process may use
    enable_fp_fusion: bool = True  # whether a*b + c becomes fma
    deterministic: bool = False  # float atomics between programs in program order
    fast_math: bool = False  # leaves the numerics contract: reassociation and approximations allowed
    cooperative: bool = False  # all programs of the grid run at once, so that any may wait for any
    num_stages: int | None = None  # iterations of a loop that have tiles of their own at a time, at most; None: the backend chooses


LAUNCHING = ("num_threads", "cooperative")  # options that compiled code does not depend on


class Program(Record):
    """A compiled kernel: bytes for the machine, text for people. It can be pickled and loaded elsewhere."""

    backend: str
    name: str
    params: tuple[Tile, ...]
    binary: bytes
    text: Mapping[str, str] = field(default_factory=dict)  # stages by name: "llvm", "asm", ...; a backend's `stages` may make more of it


@dataclass
class Report:
    """What a launch can tell afterwards; None where the backend does not measure."""

    seconds: float | None = None
    cycles: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    profile: Any = field(default=None, repr=False, compare=False)  # what explains the cycles, from a backend's `profiler`


class Backend(Protocol):
    """A target. `launch` runs a program over a grid of up to three axes, x fastest.

    One that reads and writes wherever a pointer leads says so by `unchecked = True`: when debugging, kernels then check it.
    One that overlaps iterations says by `staged` how many at most: a launch's `num_stages` below that reaches it, and its key."""

    name: str

    @property  # these two are read only: an attribute will do
    def machine(self) -> Machine:
        """The numbers that shape its code."""
        ...

    @property
    def passes(self) -> Sequence[Pass]:
        """What runs before `compile`."""
        ...

    def compile(self, kernel: Kernel, options: Options) -> Program:
        """Machine code for a kernel that the passes have lowered; Unsupported names the op and its line."""
        ...

    def launch(self, program: Program, grid: tuple[int, int, int], args: Sequence[Argument], options: Options) -> Report | None:
        """Run every program of the grid on bound arguments."""
        ...
