"""Where an op comes from: a place in the user's file and the chain of calls that led there."""

from __future__ import annotations

import os
from dataclasses import dataclass


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
