"""What a compiler needs to know about one machine: sizes, memories, units and costs; numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from .record import Record


class Machine(Record):
    """The numbers shared passes and tools read; a backend may subclass it with its own."""

    name: str
    vector_bytes: int = 32  # widest register or lane group, in bytes
    offsets: bool = False  # whether its blocks may have an offset for every index of an axis, in place of a stride
    native: frozenset[str] = frozenset()  # ops that are defined by others, and that it has instructions for all the same
    memories: Mapping[str, int] = field(default_factory=dict)  # capacity in bytes by name; empty: no limit
    peak_flops: float = 0.0  # fp32 operations per second; 0: unknown
    bandwidth: float = 0.0  # bytes per second to main memory; 0: unknown
    cores: int = 1  # that run programs at the same time, where they are the machine's own
