"""Functions with a role at compile time: computed by Python, or made for their result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from ..digest import sha256
from ..source import lines_of, parse_function
from .core import unwrap


class ConstexprFunction:
    """A Python function that kernels call while compiling; its arguments and result are compile-time values."""

    is_constexpr_function = True

    def __init__(self, fn: Callable[..., Any]):
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.hash: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("_semantic", None)
        return self.fn(*map(unwrap, args), **{name: unwrap(value) for name, value in kwargs.items()})

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else BoundConstexprFunction(owner, self)

    def __repr__(self) -> str:
        return f"<constexpr function {getattr(self, '__qualname__', '')}>"

    # what Triton programs read

    @property
    def src(self) -> str:
        replaced = self.__dict__.get("_replaced")
        return replaced if replaced is not None else parse_function(self.fn, lines_of(self.fn))[0]  # type: ignore[arg-type]

    def _unsafe_update_src(self, new_src: str) -> None:
        self.__dict__.update(_replaced=new_src, hash=None)

    @property
    def cache_key(self) -> str:
        """A digest of the source; RuntimeError if it calls what is no part of it."""
        code = self.fn.__code__
        for name in code.co_names:
            value = self.fn.__globals__.get(name)
            if isinstance(value, FunctionType) or isinstance(value, ModuleType) and value.__name__ not in ("math", "builtins"):
                raise RuntimeError(f"Unsupported function referenced: {value}")
        return sha256(self.src.encode()).hexdigest()


class BoundConstexprFunction:
    """Such a function as a method of an object."""

    is_constexpr_function = True

    def __init__(self, owner: Any, function: ConstexprFunction):
        self.__self__, self.__func__ = owner, function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__func__(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


def constexpr_function(fn: Callable[..., Any]) -> ConstexprFunction:
    """Make a Python function callable while compiling."""
    return ConstexprFunction(fn)


def must_use_result(x: Any, s: bool | str = True) -> Any:
    """Refuse calls whose result is dropped: `must_use_result(function)`, or a decorator with words for the message."""
    if isinstance(x, str):
        return lambda function: must_use_result(function, x)
    x.must_use_result = s
    return x
