"""Images in memory that runs: written first, then executable, never both."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from .image import Image

if TYPE_CHECKING:
    from ..engine import Linked

READ, EXECUTE = 1, 4  # of mprotect


class Unloadable(OSError):
    """The platform does not let us run code that we wrote, or a name that it needs is nowhere."""


class Mapped:
    """An image in memory; its code lives as long as this object."""

    def __init__(self, image: Image):
        code = bytearray(image.code)
        for name, slot in image.imports.items():
            code[slot : slot + 8] = address_of(name).to_bytes(8, "little")
        try:
            # private: a forked child has its own
            self.memory = mmap.mmap(-1, max(len(code), 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (AttributeError, ValueError) as error:  # not POSIX
            raise Unloadable(str(error)) from None
        self.memory.write(code)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        _protect(start, len(self.memory))
        self._start, self._entries = start, image.entries

    def address(self, name: str) -> int:
        """Where a function is."""
        return self._start + self._entries[name]


def loaded(image: Image, again: Callable[[], bytes], outside: Sequence[str] = ()) -> Mapped | Linked:
    """Code in this process: an image as it is; else an object file, compiled `again` where the platform refuses the image,
    which needs to be told what is `outside` of it."""
    if not image.is_object:
        try:
            return Mapped(image)
        except Unloadable:
            pass
    from ..engine import Linked  # LLVM, which images do without

    return Linked(image.code if image.is_object else again(), outside)


def _protect(start: int, size: int) -> None:
    if _mprotect()(start, size, READ | EXECUTE):
        raise Unloadable(ctypes.get_errno(), "memory cannot be made executable")


@cache
def _mprotect() -> Callable[[int, int, int], int]:
    found = ctypes.CDLL(None, use_errno=True).mprotect
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found


@cache
def address_of(name: str) -> int:
    """The address of a function or a variable of this process: of Python, the C library, or libm."""
    for library in _libraries():
        try:
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        except AttributeError:
            continue
    raise Unloadable(f"there is no function `{name}` in this process")


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    return ctypes.pythonapi, ctypes.CDLL(None)
