"""How many threads a launch may use that does not say so itself."""

from __future__ import annotations

from .. import config, epoch
from ..errors import LaunchError

_count: int | None = None


def set_num_threads(count: int | None) -> None:
    """Let launches use up to so many threads, unless they say `num_threads=`; None: what TILEDSL_NUM_THREADS says, or one per
    processor that this process may use."""
    global _count
    if count is not None and (type(count) is not int or count < 1):
        raise LaunchError(f"`num_threads` is {count!r}", help="pass an int of at least 1, or None for one per core")
    _count = count
    epoch.advance()


def num_threads() -> int | None:
    """How many there may be; None: one per processor."""
    return _count or config.num_threads() or None
