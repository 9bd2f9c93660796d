"""How compiled code is called: what the compiler and those who only run what it made agree on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

ENTRY = "run"  # the name of the function that lower.py writes
AGAIN = 1 << 62  # beside the number of the first program: the arena holds what an earlier range of the launch left there
PARAMETERS = 3  # the slot of the first one, after the extents of the grid
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)

Run = Callable[[int, int, int, int], None]  # (args, first, last, arena), without the interpreter lock
