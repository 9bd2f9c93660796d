"""Processes that `multiprocessing` starts anew, and not as a copy, import triton as the program that starts them does."""

from __future__ import annotations

import sys
from multiprocessing import spawn
from typing import Any


class _First:
    """What a new process does when it reads this, before it reads anything else of the program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import sys; sys.path[:] = {sys.path!r}; import tiledsl.compat.triton.pytest", {})


def install() -> None:
    """For all that are started from now on."""
    prepared = spawn.get_preparation_data

    def with_triton(name: str) -> dict[str, Any]:
        return {"triton": _First(), **prepared(name)}

    if prepared.__name__ != with_triton.__name__:
        spawn.get_preparation_data = with_triton
