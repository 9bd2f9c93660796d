"""What Triton's native module answers to Python: variables, and how one argument specialises a kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ....language.core import constexpr
from .._utils import canonicalize_dtype
from ..knobs import as_flag, getenv

llvm = SimpleNamespace(get_cpu_features=lambda: set())


def getenv_bool(name: str, default: bool | None = False) -> bool | None:
    """A variable as a flag."""
    text = getenv(name)
    return default if text is None else as_flag(text)


def native_specialize_impl(backend: Any, arg: Any, is_const: bool, specialize_value: bool, align: bool) -> tuple[Any, Any]:
    """(type as a signature writes it, what else the kernel may rely on) of one argument."""
    if arg is None:
        return ("constexpr", None)
    if isinstance(arg, bool):
        return ("u1", None)
    if isinstance(arg, int):
        return _integer(backend, arg, specialize_value, align)
    if isinstance(arg, float):
        return ("fp32", None)
    if hasattr(arg, "data_ptr"):
        kind = ("*k" if is_const else "*") + canonicalize_dtype(arg.dtype)
        return (kind, backend.get_tensor_specialization(arg, align=align) if specialize_value else None)
    if getattr(arg, "is_jit_function", False):
        return ("constexpr", arg.cache_key)
    if isinstance(arg, constexpr):
        return ("constexpr", arg)
    if isinstance(arg, tuple):
        parts = [native_specialize_impl(backend, part, False, True, True) for part in arg]
        like = (lambda items: type(arg)(*items)) if hasattr(arg, "_fields") else tuple
        return (like([kind for kind, _ in parts]), like([key for _, key in parts]))
    if hasattr(arg, "block_shape"):
        return (_descriptor(arg), None)
    raise TypeError(f"Unsupported type: {type(arg)}")


def _integer(backend: Any, arg: int, specialize_value: bool, align: bool) -> tuple[str, Any]:
    if arg == 1 and specialize_value:
        return ("constexpr", 1)
    key = backend.get_int_specialization(arg, align=align) if specialize_value else None
    if -(2**31) <= arg < 2**31:
        return ("i32", key)
    return ("u64" if 2**63 <= arg < 2**64 else "i64", key)


def _descriptor(arg: Any) -> str:
    layout = f",{arg.layout!r}" if hasattr(arg, "layout") else ""
    return f"tensordesc<{canonicalize_dtype(arg.base.dtype)}{list(arg.block_shape)}{layout}>"
