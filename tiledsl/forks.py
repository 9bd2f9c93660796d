"""A lock that no child process inherits held: a fork waits until nobody is importing a backend or compiling."""

from __future__ import annotations

import os
from threading import RLock

# imports and LLVM have locks of their own; a thread that does not exist in the child would hold them for ever
lock = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
