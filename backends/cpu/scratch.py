"""Scratch memory of threads."""

from __future__ import annotations

import ctypes
import mmap
import threading

from .native.arena import announce

PAGE = 2 << 20


class Scratch(threading.local):
    """Each thread's scratch memory; it only grows."""

    memory: mmap.mmap | None = None

    def of(self, size: int) -> int:
        if self.memory is None or len(self.memory) < size:
            # private, or a forked child would scribble over its parent's tiles
            self.memory = mmap.mmap(-1, -(-max(size, 1) // PAGE) * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
            self.announced = announce(self.address, len(self.memory))
        return self.address


_scratch = Scratch()


def arena_of(size: int) -> int:
    """The address of so many bytes of this thread's own, on a page boundary."""
    return _scratch.of(size)
