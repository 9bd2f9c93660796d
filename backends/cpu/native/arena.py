"""A thread's scratch memory, told to native code: the value of a POSIX thread's own key."""

from __future__ import annotations

import ctypes
from functools import cache


class Arena(ctypes.Structure):
    """As launch.ll reads it."""

    _fields_ = [("address", ctypes.c_void_p), ("size", ctypes.c_int64)]


@cache
def key() -> int:
    """Under which every thread has its own."""
    made = ctypes.c_uint()
    if ctypes.CDLL(None).pthread_key_create(ctypes.byref(made), None):
        raise OSError("there are no more keys for memory of threads")
    return made.value


def announce(address: int, size: int) -> Arena:
    """Let launches of this thread use its scratch memory, as long as what comes back is kept."""
    made = Arena(address, size)
    ctypes.CDLL(None).pthread_setspecific(ctypes.c_uint(key()), ctypes.byref(made))
    return made
