"""Banks of the scratchpad: each gives one word a cycle, so that lanes which want several words of one bank wait.

    128 lanes of 4 bytes, 32 banks of 16 bytes: neighbours take one word of every bank, rows 512 bytes apart all lie in one

Every operand of an instruction has a port of its own; where a tile begins is left out, for tiles begin at whole words.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from ..isa.state import SPACES, TileDescriptor
from ..machine import Npu

SPM = SPACES.index("spm")


def cycles(machine: Npu, tiles: Iterable[TileDescriptor], lanes: int) -> int:
    """Cycles in which the scratchpad has given, or taken, what so many lanes want of each of some tiles."""
    if not machine.banks:
        return 1
    return max((busiest(t.extents, t.strides, lanes, machine.banks, machine.bank_bytes) for t in tiles if t.space == SPM), default=1)


@lru_cache(maxsize=4096)
def busiest(extents: tuple[int, ...], strides: tuple[int, ...], lanes: int, banks: int, width: int) -> int:
    """The most words that one bank has to give for the first elements of a tile, in row-major order; what repeats is given once."""
    offsets = np.zeros(1, np.int64)
    for extent, stride in zip(reversed(extents), reversed(strides), strict=True):
        rows = min(extent, -(-lanes // len(offsets)))
        offsets = (np.arange(rows)[:, None] * stride + offsets).ravel()
    words = np.unique(offsets[:lanes] // width)
    return int(np.bincount(words % banks).max())
