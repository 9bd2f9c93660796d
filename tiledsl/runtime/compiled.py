"""A compiled kernel, as it is launched and kept."""

from __future__ import annotations

from ..backend.base import Program
from ..messages import Message
from ..record import Record


class Compiled(Record, eq=False):
    """A program and what a launch has to know of it."""

    program: Program
    stored: tuple[int, ...]  # which of its parameters are pointers that it may write through
    key: str = ""
    messages: tuple[Message, ...] = ()  # what it may say: then one more parameter, the last, receives it

    @property
    def name(self) -> str:
        return self.program.name
