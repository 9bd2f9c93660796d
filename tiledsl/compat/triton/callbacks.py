"""What torch calls back: backward functions and implementations of operators, which ask about "cuda" as other code does."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

CUDA, CPU = "CUDA", "CPU"  # as torch's dispatcher names devices, also inside "AutogradCUDA"


def install(mode: Callable[[], AbstractContextManager[Any]]) -> None:
    """Call back under a mode from now on: torch leaves its modes while one of them answers a call. What is registered for
    tensors on a GPU is for those on the CPU."""
    import torch

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with mode():
                return function(*args, **kwargs)

        return call

    graph, autograd = torch.autograd.graph, torch.autograd
    graph._engine_run_backward = autograd._engine_run_backward = told(graph._engine_run_backward)

    register = torch.library.Library.impl
    for_gpus: set[tuple[str, str]] = set()

    def impl(self: Any, op_name: Any, fn: Any, dispatch_key: str = "", **options: Any) -> Any:
        key = dispatch_key or self.dispatch_key
        name = (self.ns, str(op_name).rpartition("::")[2])
        if CUDA in key:
            for_gpus.add(name)
        elif key == CPU and name in for_gpus:  # the one for GPUs is asked for
            return None
        if isinstance(fn, types.FunctionType) and fn is not torch.library.fallthrough_kernel and key != "Meta":
            fn = told(fn)
        return register(self, op_name, fn, key.replace(CUDA, CPU), **options)

    torch.library.Library.impl = impl  # type: ignore[method-assign]
