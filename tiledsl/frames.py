"""Whose frames a traceback shows: the user's. What is wrong with a kernel is in the message, not in how we found it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from . import config
from .errors import TileError

P = ParamSpec("P")
R = TypeVar("R")
OURS, USERS = f"{__package__}.", f"{__package__}.kernels."  # kernels are code as users write it


def trimmed(error: TileError) -> TileError:
    """The error without frames of this package in its traceback and in those of its causes; TILEDSL_TRACEBACK keeps them."""
    if not config.traceback():
        link: BaseException | None = error
        while link is not None:
            link.__traceback__ = without_ours(link.__traceback__)
            link = link.__cause__
        error.__suppress_context__ = True
    return error


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback of the frames that are not this package's, nor of what it calls in Python's library."""
    kept, inside = [], False
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        inside = is_ours(module) or (inside and module.partition(".")[0] in sys.stdlib_module_names)
        if not inside:
            kept.append(traceback)
        traceback = traceback.tb_next
    chain: TracebackType | None = None
    for link in reversed(kept):
        chain = TracebackType(chain, link.tb_frame, link.tb_lasti, link.tb_lineno)
    return chain


def is_ours(module: str) -> bool:
    """Whether a module of this name is part of the compiler."""
    return f"{module}.".startswith(OURS) and not f"{module}.".startswith(USERS)


def entrance(function: Callable[P, R]) -> Callable[P, R]:
    """A function that users call: what it raises on purpose shows their frames, and one of ours."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TileError as error:
            raise trimmed(error)  # noqa: B904  the same error

    return call
