"""`triton.language.core`: the objects that kernels are made of."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ....ir.core import Value
from ....language import *
from ....language import abs, max, min, range, sum  # names that Python has, too
from ....language.aggregates import aggregate as _aggregate
from ....language.core import Builtin, constexpr
from ....language.core import unwrap as _unwrap_if_constexpr
from ....language.functions import must_use_result
from ....language.types import get_int_dtype


def builtin(fn: Callable[..., Any]) -> Builtin:  # type: ignore[no-redef]  # Triton's form of it
    """Make a Python function callable in kernels; it receives the context as `_semantic` and hands it on."""

    def enter(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs, _semantic=ctx)

    functools.update_wrapper(enter, fn)
    made = Builtin(enter)
    shown = [p for p in inspect.signature(fn).parameters.values() if p.name != "_semantic"]
    made.__signature__ = inspect.Signature(shown)
    made.__dict__.pop("__wrapped__", None)
    return made


extern = builtin  # modules that declare functions of a GPU's library can be imported; a call is refused with its line


def is_builtin(fn: Any) -> bool:
    """Whether it is a function of the language."""
    return isinstance(fn, Builtin)


CONSTEXPR_0 = constexpr(0)  # kernels copied from Triton's own library name it as a default
