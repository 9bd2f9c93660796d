"""Scratch memory of launches: kernels here need none, so the allocator that a program sets is kept and not called."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

Allocator = Callable[[int, int, Any], Any]


class NullAllocator:
    """Stands for no allocator."""

    def __call__(self, size: int, alignment: int, stream: Any) -> Any:
        raise RuntimeError("no allocator is set: call triton.set_allocator(function of size, alignment and stream)")


_NULL_ALLOCATOR = NullAllocator()
_allocator: ContextVar[Allocator] = ContextVar("allocator", default=_NULL_ALLOCATOR)
_profile_allocator: ContextVar[Allocator] = ContextVar("profile_allocator", default=_NULL_ALLOCATOR)


def set_allocator(allocator: Allocator) -> None:
    """Keep an allocator."""
    _allocator.set(allocator)


def set_profile_allocator(allocator: Allocator | None) -> None:
    """Keep an allocator for profiles."""
    _profile_allocator.set(allocator or _NULL_ALLOCATOR)


def has_profile_allocator() -> bool:
    return _profile_allocator.get() is not _NULL_ALLOCATOR
