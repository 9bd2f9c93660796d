"""A number that changes with whatever else a launch depends on: what native code compares instead of asking again."""

from __future__ import annotations

import ctypes

word = ctypes.c_int64()


def advance() -> None:
    """Something changed that every launch has to look at: launches that were prepared are prepared anew."""
    word.value += 1
