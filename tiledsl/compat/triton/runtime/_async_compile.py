"""Compiling in the background: inside `with AsyncCompileMode(executor)` a warmup returns at once, a launch waits."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future, as_completed
from contextvars import ContextVar
from typing import Any


class FutureKernel:
    """A kernel that may still be compiling; asking for anything of it waits."""

    def __init__(self, finalize_compile: Callable[[Any], None], future: Future[Any]):
        self.finalize_compile, self.future = finalize_compile, future
        self.kernel: Any = None

    def result(self, ignore_errors: bool = False) -> Any:
        """The kernel; waits for it."""
        if self.kernel is None:
            try:
                made = self.future.result()
            except Exception:
                if ignore_errors:
                    return None
                raise
            self.finalize_compile(made)
            self.kernel = made
        return self.kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(self.result(), name)


class AsyncCompileMode:
    """Compiles on an executor; leaving the block waits for all and raises what went wrong."""

    def __init__(self, executor: Executor, *, ignore_errors: bool = False):
        self.executor, self.ignore_errors = executor, ignore_errors
        self.raw_futures: list[Future[Any]] = []
        self.future_kernels: dict[Hashable, FutureKernel] = {}
        self._made: dict[int, FutureKernel] = {}

    def submit(self, key: Hashable, compile_fn: Callable[[], Any], finalize_fn: Callable[[Any], None]) -> FutureKernel:
        """The future of a key; started unless it was before."""
        found = self.future_kernels.get(key)
        if found is None:
            future = self.executor.submit(compile_fn)
            self.raw_futures.append(future)
            found = self.future_kernels[key] = self._made[id(future)] = FutureKernel(finalize_fn, future)
        return found

    def __enter__(self) -> AsyncCompileMode:
        if active_mode.get() is not None:
            raise RuntimeError("an AsyncCompileMode is active already")
        active_mode.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        active_mode.set(None)
        for future in as_completed(self.raw_futures):
            self._made[id(future)].result(self.ignore_errors)


active_mode: ContextVar[AsyncCompileMode | None] = ContextVar("active_mode", default=None)
