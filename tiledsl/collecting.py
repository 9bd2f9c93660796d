"""Python's search for unreachable cycles of objects, while we compile: rare.

Compiling and importing make many objects that reference counts free, or that stay. To look for cycles among them after every
few hundred takes a tenth of the time, and up to two milliseconds at once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 100_000  # more than an ordinary kernel makes; what a huge one leaves is found now and then


@contextmanager
def rarely() -> Iterator[None]:
    """Search only after so many new objects, unless it is off or rarer already. Entered under the lock of forks.py."""
    first, *others = gc.get_threshold()
    if not 0 < first < OBJECTS:
        yield
        return
    gc.set_threshold(OBJECTS, *others)
    try:
        yield
    finally:
        if gc.get_threshold()[0] == OBJECTS:  # nobody has asked for something else meanwhile
            if first < gc.get_count()[0] and gc.isenabled():
                gc.collect(0)  # among what is new; else Python would now search older objects, too, and we made none of those
            gc.set_threshold(first, *others)
