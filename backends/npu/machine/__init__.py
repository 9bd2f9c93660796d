"""The machines of this backend, each described by a file: compiler, simulator, checker and timing read the same numbers."""

from .model import Npu
from .spec import PRESETS, find, read

T1_BASE = find("t1-base")

__all__ = ["PRESETS", "T1_BASE", "Npu", "find", "read"]
