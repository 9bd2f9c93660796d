"""Where an op comes from: a place in the user's file and the chain of calls that led there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Loc:
    """One place in a source file; lines count from 1, columns from 0, `end_column` is exclusive."""

    file: str
    line: int
    column: int = 0
    end_column: int = 0
    function: str = ""
    called_from: Loc | None = None

    def __str__(self) -> str:
        inside = f", in {self.function}" if self.function else ""
        return f"{os.path.basename(self.file)}:{self.line}:{self.column + 1}{inside}"

    def chain(self) -> tuple[Loc, ...]:
        """This place, then the call that led to it, then that one's caller, outward."""
        here: Loc | None = self
        places = []
        while here is not None:
            places.append(here)
            here = here.called_from
        return tuple(places)

    def plain(self) -> list[Any]:
        """This place as plain data, for a file: reading one must not run anything."""
        caller = None if self.called_from is None else self.called_from.plain()
        return [self.file, self.line, self.column, self.end_column, self.function, caller]

    @staticmethod
    def of(data: list[Any] | None) -> Loc | None:
        """The place in plain data."""
        if data is None:
            return None
        file, line, column, end_column, function, called_from = data
        return Loc(file, line, column, end_column, function, Loc.of(called_from))
